//! `facext annotate`: makes data sets, checks them, shows them.
//!
//! There is no way to choose whose face goes onto whose: donors are drawn. What is made is marked in every file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dataset::{pairs, preview, probe, run, source, verify};
use super::nets::Borrow;
use super::pack::Split;
use super::sampler::{Order, Sampler};
use super::set::RecipeSet;
use crate::error::{Error, Result};
use crate::fict::concepts;
use crate::measure::norms::{self, Norm};
use crate::measure::{Gauge, Measure};
use crate::native::many::bar;
use crate::native::say::say;
use crate::text::Family;

/// Makes annotated forgeries from photos, checks and shows them.
#[derive(clap::Args)]
pub struct Args {
    /// Photo pack, or any folder of photos.
    #[arg(long, required_unless_present_any = ["verify", "preview", "probe", "pairs"])]
    faces: Option<PathBuf>,
    /// Folder of the data set.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Pictures; 2n and 2n + 1 are one photo, untouched and altered.
    #[arg(long, default_value_t = 1000)]
    count: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only indices A..B of the count, aligned to shards: so that several processes or machines share the work.
    #[arg(long, value_parser = parse_range)]
    range: Option<(u64, u64)>,
    /// Whose photos: train, val, test or all. A pack's default is train, a folder's all.
    #[arg(long, value_parser = ["train", "val", "test", "all"])]
    split: Option<String>,
    /// Which recipes.
    #[arg(long, value_enum, default_value = "all")]
    set: RecipeSet,
    /// Side of the pictures, px.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..=1024))]
    size: u32,
    /// Pictures a shard.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    shard: u64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Folder of weights, for the face finder (a pack brings its meshes and needs none).
    #[arg(long, default_value = "weights")]
    weights: PathBuf,
    #[command(flatten)]
    borrow: Borrow,
    /// Measures every sentence of a data set again.
    #[arg(long, value_name = "DIR")]
    verify: Option<PathBuf>,
    /// Writes OUT/preview.html with the first N samples of the data set OUT.
    #[arg(long, value_name = "N", requires = "out")]
    preview: Option<usize>,
    /// Whether files betray the class: AUC of two classifiers on file-level features of a data set.
    #[arg(long, value_name = "DIR")]
    probe: Option<PathBuf>,
    /// Annotates photos edited elsewhere: DIR/real/NAME and DIR/edited/NAME.
    #[arg(long, value_name = "DIR", requires = "out")]
    pairs: Option<PathBuf>,
    /// Family of the edits of --pairs.
    #[arg(long, default_value = "attribute_edit", value_parser = ["face_swap", "reenactment", "attribute_edit", "entire_synthesis"])]
    family: String,
    /// Writes a contact sheet (PNG) of the set's recipes at three difficulties.
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Measures untouched photos and writes the table of norms.
    #[arg(long, value_name = "FILE", hide = true)]
    norms: Option<PathBuf>,
}

/// Exit code of a run that left files out.
pub const SKIPPED: u8 = 5;

fn parse_range(text: &str) -> std::result::Result<(u64, u64), String> {
    let (a, b) = text.split_once("..").ok_or("A..B")?;
    Ok((a.trim().parse().map_err(|e| format!("{a}: {e}"))?, b.trim().parse().map_err(|e| format!("{b}: {e}"))?))
}

/// Runs the command. Returns the exit code: 0, [`SKIPPED`] if files were left out, 1 if a check failed.
///
/// # Errors
/// Those of the parts.
pub fn run(args: &Args) -> Result<u8> {
    if let Some(dir) = &args.verify {
        return verified(dir);
    }
    if let Some(dir) = &args.probe {
        return probed(dir);
    }
    let out = || args.out.clone().ok_or_else(|| Error::Request("--out is missing".into()));
    if let Some(n) = args.preview {
        say!("{}", preview::write(&out()?, n)?.display())?;
        return Ok(0);
    }
    if let Some(dir) = &args.pairs {
        let family = Family::ALL.into_iter().find(|f| serde_json::to_value(f).is_ok_and(|v| v.as_str() == Some(&args.family)));
        let family = family.ok_or_else(|| Error::Request(format!("no family {}", args.family)))?;
        let job = pairs::Job {
            dir: dir.clone(),
            weights: args.weights.clone(),
            out: out()?,
            family,
            side: args.size as usize,
            seed: args.seed,
            shard: args.shard,
        };
        let done = pairs::run(&job)?;
        say!("{} pairs annotated, {} kept from before, {} refused", done.made, done.kept, done.refused.len())?;
        return Ok(if done.refused.is_empty() { 0 } else { SKIPPED });
    }
    let faces = args.faces.clone().ok_or_else(|| Error::Request("--faces is missing".into()))?;
    let split = match args.split.as_deref() {
        Some("all") => None,
        Some(word) => Split::parse(word),
        None => faces.join("faces.csv").is_file().then_some(Split::Train),
    };
    let nets = args.borrow.open()?;
    if args.sheet.is_some() || args.norms.is_some() {
        let source = source::open(&faces, &args.weights, split)?;
        let sampler = Sampler::over_all(Arc::new(source.pack), args.seed)?.with_set(args.set).with_nets(nets);
        if let Some(path) = &args.sheet {
            super::contact_sheet(&sampler, sampler.recipes(), path)?;
        }
        if let Some(path) = &args.norms {
            table(&sampler.with_side(args.size as usize), args.count, path)?;
        }
        return Ok(if source.skipped.is_empty() { 0 } else { SKIPPED });
    }
    let job = run::Job {
        faces,
        weights: args.weights.clone(),
        out: out()?,
        count: args.count,
        seed: args.seed,
        side: args.size as usize,
        split,
        set: args.set,
        shard: args.shard,
        range: args.range,
        jobs: args.jobs,
        nets,
    };
    let done = run::run(&job)?;
    say!(
        "{} pictures made, {} kept from before, in {:.1} s ({:.1} a second){}",
        done.made,
        done.kept,
        done.seconds,
        done.made as f64 / done.seconds.max(1e-9),
        if done.whole { "; the data set is whole" } else { "; other ranges are still missing" }
    )?;
    if done.skipped > 0 {
        say!("{} files skipped", done.skipped)?;
    }
    Ok(if done.skipped > 0 { SKIPPED } else { 0 })
}

fn verified(dir: &Path) -> Result<u8> {
    let v = verify::verify(dir)?;
    for e in &v.examples {
        eprintln!("refuted {e}");
    }
    say!(
        "{} samples, {} sentences: {} confirmed, {} refuted; agreement {:.2} %",
        v.samples,
        v.confirmed + v.refuted,
        v.confirmed,
        v.refuted,
        100.0 * v.agreement()
    )?;
    Ok(u8::from(v.agreement() < 0.99))
}

fn probed(dir: &Path) -> Result<u8> {
    let p = probe::probe(dir)?;
    say!(
        "{} samples: AUC {:.3} (logistic regression), {:.3} (boosted stumps); chance is 0.5 ± {:.3}",
        p.samples,
        p.logistic,
        p.boosted,
        p.chance_error
    )?;
    Ok(u8::from((p.logistic - 0.5).abs() > 0.03 || (p.boosted - 0.5).abs() > 0.03))
}

/// Medians and spreads of `count` untouched pictures, degraded as all are.
fn table(sampler: &Sampler, count: u64, path: &Path) -> Result<()> {
    use rayon::prelude::*;
    let bar = bar(count, "measuring");
    let rows: Vec<Vec<(&'static str, Measure, f32)>> = (0..count)
        .into_par_iter()
        .map(|i| {
            bar.inc(1);
            let s = sampler.make(i, Order { recipe: None, difficulty: 0.0, augment: true, degrade: true })?;
            let gauge = Gauge::new(&s.image, &s.labels, &s.mesh, None);
            let of = |id: &'static str| gauge.values(id, false).into_iter().map(move |(m, v)| (id, m, v));
            Ok(concepts().flat_map(|c| of(c.id)).collect())
        })
        .collect::<Result<_>>()?;
    bar.finish_and_clear();
    let mut values: BTreeMap<(&'static str, Measure), Vec<f32>> = BTreeMap::new();
    for (id, m, v) in rows.into_iter().flatten() {
        values.entry((id, m)).or_default().push(v);
    }
    let mut text = String::from("# concept\tmeasure\tmedian\tspread\tphotos\n");
    for ((id, m), mut v) in values {
        if let Some(Norm { median, spread }) = Norm::of(&mut v) {
            text += &format!("{id}\t{}\t{median:.4}\t{spread:.4}\t{}\n", norms::name(m), v.len());
        }
    }
    std::fs::write(path, text).map_err(|e| Error::Io(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_need_two_numbers() {
        assert_eq!(parse_range("0..500"), Ok((0, 500)));
        assert!(parse_range("500").is_err() && parse_range("a..b").is_err());
    }
}
