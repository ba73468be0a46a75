//! The loop that makes a data set: shard by shard, samples in parallel, written in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{card, record, shard, source};
use crate::error::{Error, Result};
use crate::image::sha256_hex;
use crate::native::annotate::nets::Nets;
use crate::native::annotate::pack::Split;
use crate::native::annotate::sampler::Sampler;
use crate::native::annotate::set::RecipeSet;
use crate::native::many::bar;

/// What decides the bytes of a data set; kept in `run.json`, so that a run is gone on with only under the same terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    pub program: String,
    pub count: u64,
    pub seed: u64,
    pub side: usize,
    pub split: String,
    pub set: RecipeSet,
    pub shard: u64,
    /// SHA-256 over names, persons and meshes of the photos used.
    pub photos_sha256: String,
    pub photos: usize,
    pub persons: usize,
    pub skipped: usize,
    /// Networks borrowed, and recipes of the set left out for want of one.
    pub networks: Vec<String>,
    pub left_out: Vec<String>,
}

/// What to make.
#[derive(Debug, Clone)]
pub struct Job {
    pub faces: PathBuf,
    pub weights: PathBuf,
    pub out: PathBuf,
    pub count: u64,
    pub seed: u64,
    pub side: usize,
    /// `None`: every photo.
    pub split: Option<Split>,
    pub set: RecipeSet,
    pub shard: u64,
    /// Indices to make, aligned to shards; `None`: all.
    pub range: Option<(u64, u64)>,
    pub jobs: usize,
    pub nets: Nets,
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    pub made: u64,
    pub kept: u64,
    pub skipped: usize,
    /// Whether the whole data set, not only this range, is there now.
    pub whole: bool,
    pub seconds: f64,
}

/// Makes the shards of the range that are not there yet; writes the card when the last one is.
///
/// # Errors
/// `request.bad` for terms that do not fit; `io.failed`; those of [`source::open`].
pub fn run(job: &Job) -> Result<Done> {
    let size = job.shard.max(1);
    let (from, to) = job.range.unwrap_or((0, job.count));
    if from >= to || to > job.count || from % size != 0 || (to % size != 0 && to != job.count) {
        return Err(Error::Request(format!("range {from}..{to}: must lie in 0..{} and begin and end at multiples of {size}", job.count)));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(job.jobs.max(1)).build().map_err(|e| Error::Io(e.to_string()))?;
    let source = pool.install(|| source::open(&job.faces, &job.weights, job.split))?;
    let skipped = source.skipped.len();
    let terms = terms(job, &source);
    std::fs::create_dir_all(&job.out).map_err(|e| Error::Io(format!("{}: {e}", job.out.display())))?;
    agree(&job.out, &terms)?;
    let sampler = Sampler::over_all(Arc::new(source.pack), job.seed)?.with_set(job.set).with_nets(job.nets.clone()).with_side(job.side);
    let bar = bar(to - from, "annotating");
    let (mut made, mut kept) = (0, 0);
    let clock = std::time::Instant::now();
    for first in (from..to).step_by(size as usize) {
        let file = shard::name(first, size);
        let last = (first + size).min(to);
        if shard::is_done(&job.out, &file) {
            kept += last - first;
            bar.inc(last - first);
            continue;
        }
        let mut writer = shard::Writer::create(&job.out, &file)?;
        // Chunks bound memory; a pair (2n, 2n + 1) stays in one.
        for a in (first..last).step_by(64) {
            let b = (a + 64).min(last);
            let samples: Vec<Result<(record::Record, Vec<u8>)>> = pool.install(|| {
                (a..b)
                    .into_par_iter()
                    .map(|i| {
                        let out = record::write(sampler.paired(i)?, i, job.seed);
                        bar.inc(1);
                        out
                    })
                    .collect()
            });
            for s in samples {
                let (record, png) = s?;
                writer.add(&record, &png)?;
            }
        }
        writer.finish()?;
        made += last - first;
    }
    bar.finish_and_clear();
    let whole = card::write(&job.out, &head(&terms))?.is_some();
    Ok(Done { made, kept, skipped, whole, seconds: clock.elapsed().as_secs_f64() })
}

fn terms(job: &Job, source: &source::Source) -> Terms {
    let mut text = String::new();
    for p in &source.pack.photos {
        let mesh: Vec<u32> = p.mesh.iter().flatten().map(|v| v.to_bits()).collect();
        text += &format!("{}\t{}\t{mesh:?}\n", p.file, p.person);
    }
    let persons: std::collections::BTreeSet<&str> = source.pack.photos.iter().map(|p| p.person.as_str()).collect();
    let split = match job.split {
        Some(Split::Train) => "train",
        Some(Split::Val) => "val",
        Some(Split::Test) => "test",
        None => "all",
    };
    Terms {
        program: format!("facext {}", env!("CARGO_PKG_VERSION")),
        count: job.count,
        seed: job.seed,
        side: job.side,
        split: split.into(),
        set: job.set,
        shard: job.shard.max(1),
        photos_sha256: sha256_hex(text.as_bytes()),
        photos: source.pack.photos.len(),
        persons: persons.len(),
        skipped: source.skipped.len(),
        networks: job.nets.sources(),
        left_out: job.set.recipes().iter().filter(|&&r| !job.nets.can(r)).map(|r| r.id().to_string()).collect(),
    }
}

fn head(terms: &Terms) -> card::Head {
    let list = |words: &[String]| if words.is_empty() { "none".to_string() } else { words.join("; ") };
    let set = serde_json::to_value(terms.set).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
    let row = |k: &str, v: String| [k.to_string(), v];
    card::Head {
        count: terms.count,
        shard: terms.shard,
        side: terms.side,
        altered: "altered by this program",
        pairs: "Indices 2n and 2n + 1 are one photo, crop and degradation, untouched and altered. No entire synthesis: no generator \
                with a clean licence was at hand.",
        masks: "Altered parts are exact masks (no threshold); whether they can be seen after the degradation is another matter: \
                difficulty goes from crude to nearly invisible.",
        rows: vec![
            row("program", terms.program.clone()),
            row("seed", terms.seed.to_string()),
            row("recipe set", format!("`{set}`")),
            row("split", terms.split.clone()),
            row("photos, persons, files skipped", format!("{}, {}, {}", terms.photos, terms.persons, terms.skipped)),
            row("photos' hash", format!("`{}`", terms.photos_sha256)),
            row("networks borrowed", list(&terms.networks)),
            row("recipes left out for want of a network", list(&terms.left_out)),
        ],
    }
}

/// Writes the terms, or compares them with those already there.
///
/// # Errors
/// `request.bad` if others are there; `io.failed`.
pub fn agree(out: &Path, terms: &impl Serialize) -> Result<()> {
    let path = out.join("run.json");
    let text = serde_json::to_string_pretty(terms).map_err(|e| Error::Io(e.to_string()))?;
    match std::fs::read_to_string(&path) {
        Ok(there) if there == text => Ok(()),
        Ok(_) => Err(Error::Request(format!("{}: holds a run with other arguments or photos; take another folder", out.display()))),
        Err(_) => {
            let part = out.join(format!("run.json.{}.part", std::process::id()));
            let fault = |e: std::io::Error| Error::Io(format!("{}: {e}", path.display()));
            std::fs::write(&part, text).map_err(fault)?;
            std::fs::rename(&part, &path).map_err(fault)
        }
    }
}
