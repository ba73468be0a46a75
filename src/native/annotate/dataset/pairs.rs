//! `--pairs DIR`: photos edited by other tools. `DIR/real/NAME` and `DIR/edited/NAME` are two versions of one photo.
//!
//! Registered, compared, cut around the face, annotated like everything else; the mask is the adaptive one, the paper's top 5 % is
//! kept in the record's parameters as its overlap (IoU) with it. The pair at place n of the sorted names gives two samples:
//! untouched (2n), edited (2n + 1); a refused pair leaves its two indices empty. So shards are independent, a run that was
//! stopped goes on, and the same folder gives the same bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{card, record, register, run, shard, source};
use crate::error::{Error, Result};
use crate::face::FaceFinder;
use crate::fict::lift;
use crate::image::{self, Mask, Rgb8};
use crate::native::annotate::crop::{self, Augment};
use crate::native::annotate::degrade::Degradation;
use crate::native::annotate::pack::{Photo, Split};
use crate::native::annotate::recipe::Family;
use crate::native::annotate::sampler::Sample;
use crate::native::many::bar;

/// What became of the pairs.
#[derive(Debug, Default)]
pub struct Outcome {
    pub made: u64,
    /// Pairs in shards that were there before.
    pub kept: u64,
    /// [name, reason].
    pub refused: Vec<[String; 2]>,
}

/// What to make.
#[derive(Debug)]
pub struct Job {
    /// Holds `real/` and `edited/`.
    pub dir: PathBuf,
    pub weights: PathBuf,
    pub out: PathBuf,
    /// What kind of edit it was.
    pub family: Family,
    /// Side of the pictures, px.
    pub side: usize,
    pub seed: u64,
    /// Pictures a shard.
    pub shard: u64,
}

/// What decides the bytes, kept in `run.json`.
#[derive(Debug, Serialize)]
struct Terms {
    program: String,
    pairs: usize,
    /// SHA-256 over names and files.
    files_sha256: String,
    family: Family,
    side: usize,
    seed: u64,
    shard: u64,
}

/// Most distance of the two meshes after registration, in parts of the face's width: beyond it they are two people (or one
/// reshaped beyond recognition).
const SAME_FACE: f32 = 0.12;

/// Annotates the pairs, shard by shard; writes the card.
///
/// # Errors
/// `io.failed`; `request.bad` if no pair could be used (nothing is left behind), the folders are not there, or the output folder
/// holds another run.
pub fn run(job: &Job) -> Result<Outcome> {
    let names = names(&job.dir)?;
    let finder = source::finder(&job.weights)?;
    // An even number of pictures: both of a pair lie in one shard.
    let size = job.shard.max(2) / 2 * 2;
    let terms = Terms {
        program: format!("facext {}", env!("CARGO_PKG_VERSION")),
        pairs: names.len(),
        files_sha256: digest(&job.dir, &names),
        family: job.family,
        side: job.side,
        seed: job.seed,
        shard: size,
    };
    std::fs::create_dir_all(&job.out).map_err(|e| Error::Io(format!("{}: {e}", job.out.display())))?;
    run::agree(&job.out, &terms)?;
    let bar = bar(names.len() as u64, "comparing pairs");
    let mut outcome = Outcome::default();
    for (k, chunk) in names.chunks((size / 2) as usize).enumerate() {
        let first = k as u64 * size;
        let file = shard::name(first, size);
        if shard::is_done(&job.out, &file) {
            let there = shard::summary(&job.out, &file)?;
            outcome.kept += there.samples / 2;
            outcome.refused.extend(there.refused);
            bar.inc(chunk.len() as u64);
            continue;
        }
        let mut writer = shard::Writer::create(&job.out, &file)?;
        for (n, name) in chunk.iter().enumerate() {
            match pair(&job.dir, name, &finder, job.family, job.side) {
                Ok(samples) => {
                    for (sample, index) in samples.into_iter().zip(first + 2 * n as u64..) {
                        let (r, png) = record::write(sample, index, job.seed)?;
                        writer.add(&r, &png)?;
                    }
                    outcome.made += 1;
                }
                Err(e) => {
                    let refused = [name.display().to_string(), e.to_string()];
                    writer.refuse(refused[0].clone(), refused[1].clone());
                    outcome.refused.push(refused);
                }
            }
            bar.inc(1);
        }
        writer.finish()?;
    }
    bar.finish_and_clear();
    for [name, why] in &outcome.refused {
        eprintln!("refused {name}: {why}");
    }
    if outcome.made + outcome.kept == 0 {
        discard(&job.out, names.len() as u64 * 2, size)?;
        return Err(Error::Request(format!("{}: no pair could be used ({} refused)", job.dir.display(), outcome.refused.len())));
    }
    card::write(&job.out, &head(&terms, &outcome))?;
    Ok(outcome)
}

fn head(terms: &Terms, outcome: &Outcome) -> card::Head {
    let row = |k: &str, v: String| [k.to_string(), v];
    card::Head {
        count: terms.pairs as u64 * 2,
        shard: terms.shard,
        side: terms.side,
        altered: "edited by other tools",
        pairs: "Indices 2n and 2n + 1 are one photo and crop, untouched and edited; pairs that were refused leave gaps. The photos were \
                not degraded here, so files and pixels may betray the class.",
        masks: "Masks are differences: what stands above the noise of the pair, in clusters; their overlap with the paper's top 5 % is in \
                the records. The kind of edit is what the caller said it was.",
        rows: vec![
            row("program", terms.program.clone()),
            row("seed", terms.seed.to_string()),
            row("pairs, refused", format!("{}, {}", terms.pairs, outcome.refused.len())),
            row("files' hash", format!("`{}`", terms.files_sha256)),
        ],
    }
}

/// Takes away what a run without a usable pair has written.
fn discard(out: &Path, count: u64, size: u64) -> Result<()> {
    let shards = (0..count).step_by(size as usize).flat_map(|first| shard::files(&shard::name(first, size)));
    for file in shards.chain(["run.json".to_string()]) {
        let path = out.join(file);
        if path.is_file() {
            std::fs::remove_file(&path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
        }
    }
    Ok(())
}

/// Hash over names and bytes; a file that cannot be read counts as empty (it will be refused).
fn digest(dir: &Path, names: &[PathBuf]) -> String {
    let mut hash = Sha256::new();
    for name in names {
        for side in ["real", "edited"] {
            let bytes = std::fs::read(dir.join(side).join(name)).unwrap_or_default();
            hash.update(name.to_string_lossy().as_bytes());
            hash.update(bytes.len().to_le_bytes());
            hash.update(&bytes);
        }
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// File names of both folders, sorted, hidden ones left out; a name that only one of them has will be refused.
fn names(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = |sub: &str| -> Result<BTreeSet<PathBuf>> {
        let at = dir.join(sub);
        let entries =
            std::fs::read_dir(&at).map_err(|e| Error::Request(format!("{}: {e}; pairs lie in real/ and edited/", at.display())))?;
        let names = entries.filter_map(|e| e.ok()).map(|e| PathBuf::from(e.file_name()));
        Ok(names.filter(|n| !n.to_string_lossy().starts_with('.')).collect())
    };
    let (real, edited) = (list("real")?, list("edited")?);
    if real.is_disjoint(&edited) {
        return Err(Error::Request(format!("{}: no file name is in both real/ and edited/", dir.display())));
    }
    Ok(real.union(&edited).cloned().collect())
}

fn read(path: &Path) -> Result<Rgb8> {
    let bytes = std::fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    Ok(image::decode(&bytes)?.rgb)
}

fn pair(dir: &Path, name: &Path, finder: &FaceFinder, family: Family, side: usize) -> Result<[Sample; 2]> {
    let (real, edited) = (read(&dir.join("real").join(name))?, read(&dir.join("edited").join(name))?);
    let fit = register::fit(&real, &edited)?;
    let mesh = source::mesh_in(&real, finder)?;
    let after = source::mesh_in(&edited, finder)?;
    let apart = distance(&mesh, &after, fit.shift);
    if apart > SAME_FACE {
        return Err(Error::Request(format!(
            "the faces differ in shape by {:.0} % of their width, most {:.0} %",
            100.0 * apart,
            100.0 * SAME_FACE
        )));
    }
    let moved = shifted(&edited, fit.shift);
    let difference = register::difference(&real, &edited, &fit);
    let (mask, cut) = register::adaptive(&difference, real.width, real.height);
    if mask.area() == 0 {
        return Err(Error::Request(format!("nothing differs by more than {cut:.0} levels")));
    }
    let overlap = mask.iou(&register::top_five_percent(&difference, real.width, real.height))?;
    // Both versions and the mask are cut alike, around the real photo's face.
    let photo = Photo::in_memory(&name.display().to_string(), Split::Train, real.clone(), mesh);
    let grey = Rgb8 { width: mask.width, height: mask.height, data: mask.data.iter().flat_map(|&m| [m * 255; 3]).collect() };
    let crops = [&real, &moved, &grey].map(|rgb| crop::cut(&photo, rgb, side, &Augment::NONE));
    let mut changed = Mask { width: side, height: side, data: crops[2].image.px.iter().map(|p| u8::from(p[0] > 127.0)).collect() };
    // Outside of the photo the crop is grey 127, never changed.
    changed.data.iter_mut().zip(&crops[2].image.px).filter(|(_, p)| p[0] == 127.0).for_each(|(m, _)| *m = 0);
    // The edited face keeps its own shape, placed in the same crop.
    let ([x0, y0], step) = (crops[0].origin, crops[0].step);
    let place = |p: &[f32; 3]| [(p[0] - fit.shift[0] as f32 - x0) / step, (p[1] - fit.shift[1] as f32 - y0) / step, p[2] / step];
    let edited_mesh: Vec<[f32; 3]> = after.iter().map(place).collect();
    let [before, after, _] = crops;
    let make = |image: Rgb8, mesh: Vec<[f32; 3]>, artifact: Mask, untouched: Option<Rgb8>| {
        let forged = untouched.is_some();
        let labels = crate::fict::part_labels(&mesh, side, side);
        let hits = lift::hits(&labels, &artifact);
        Sample {
            concepts: lift::lifted(&labels, &hits),
            hits,
            labels,
            image,
            mesh,
            family: if forged { family } else { Family::Real },
            recipe: None,
            difficulty: 0.0,
            parts: if forged { vec!["pair"] } else { Vec::new() },
            params: if forged {
                vec![
                    ("shift_x", fit.shift[0] as f32),
                    ("shift_y", fit.shift[1] as f32),
                    ("correlation", fit.correlation),
                    ("threshold", cut),
                    ("iou_with_top_5_percent", overlap),
                ]
            } else {
                Vec::new()
            },
            artifact,
            degradation: Degradation::default(),
            wild: None,
            twin_mesh: if forged { before.mesh.clone() } else { Vec::new() },
            twin: untouched.filter(|_| forged),
            attempt: 0,
            photo: [real.width, real.height],
            person: name.display().to_string(),
            file: name.display().to_string(),
            donor: None,
        }
    };
    if !changed.data.contains(&1) {
        return Err(Error::Request("the change lies outside of the face's crop".into()));
    }
    let none = Mask { width: side, height: side, data: vec![0; side * side] };
    let untouched = before.image.to_rgb();
    Ok([make(untouched.clone(), before.mesh.clone(), none, None), make(after.image.to_rgb(), edited_mesh, changed, Some(untouched))])
}

/// Mean distance of the meshes in parts of the face's width, the registration's shift removed.
fn distance(a: &[[f32; 3]], b: &[[f32; 3]], shift: [isize; 2]) -> f32 {
    let width = (a[454][0] - a[234][0]).hypot(a[454][1] - a[234][1]).max(1.0);
    let sum: f32 = a.iter().zip(b).map(|(p, q)| (q[0] - p[0] - shift[0] as f32).hypot(q[1] - p[1] - shift[1] as f32)).sum();
    sum / a.len().max(1) as f32 / width
}

/// The edited photo in the real one's frame; border pixels repeat.
fn shifted(rgb: &Rgb8, shift: [isize; 2]) -> Rgb8 {
    let (w, h) = (rgb.width as isize, rgb.height as isize);
    let mut data = Vec::with_capacity(rgb.data.len());
    for y in 0..h {
        for x in 0..w {
            let (u, v) = ((x + shift[0]).clamp(0, w - 1), (y + shift[1]).clamp(0, h - 1));
            let i = 3 * (v * w + u) as usize;
            data.extend_from_slice(&rgb.data[i..i + 3]);
        }
    }
    Rgb8 { width: rgb.width, height: rgb.height, data }
}
