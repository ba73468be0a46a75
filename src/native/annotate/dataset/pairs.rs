//! `--pairs DIR`: photos edited by other tools. `DIR/real/NAME` and `DIR/edited/NAME` are two versions of one photo.
//!
//! Registered, compared, cut around the face, annotated like everything else; the mask is the adaptive one, the paper's top 5 % is
//! kept in the record's parameters as its overlap (IoU) with it. Each pair gives two samples: untouched (2n), edited (2n + 1).

use std::path::{Path, PathBuf};

use super::{record, register, shard, source};
use crate::error::{Error, Result};
use crate::face::FaceFinder;
use crate::fict::lift;
use crate::image::{self, Mask, Rgb8};
use crate::native::annotate::crop::{self, Augment};
use crate::native::annotate::degrade::Degradation;
use crate::native::annotate::pack::{Photo, Split};
use crate::native::annotate::recipe::Family;
use crate::native::annotate::sampler::Sample;

/// What became of the pairs.
#[derive(Debug, Default)]
pub struct Outcome {
    pub made: usize,
    /// (name, reason).
    pub refused: Vec<(String, String)>,
}

/// Most distance of the two meshes after registration, in parts of the face's width: beyond it they are two people (or one
/// reshaped beyond recognition).
const SAME_FACE: f32 = 0.12;

/// Annotates every pair into one shard.
///
/// # Errors
/// `io.failed`; `request.bad` if no pair could be used, or the folders are not there.
pub fn run(dir: &Path, weights: &Path, out: &Path, family: Family, side: usize, seed: u64) -> Result<Outcome> {
    let names = names(dir)?;
    let finder = source::finder(weights)?;
    std::fs::create_dir_all(out).map_err(|e| Error::Io(format!("{}: {e}", out.display())))?;
    let mut writer = shard::Writer::create(out, "shard-000000.tar")?;
    let bar = source::bar(names.len() as u64, "comparing pairs");
    let mut outcome = Outcome::default();
    for name in names {
        bar.inc(1);
        match pair(dir, &name, &finder, family, side) {
            Ok(samples) => {
                for (k, sample) in samples.into_iter().enumerate() {
                    let (r, png) = record::write(sample, 2 * outcome.made as u64 + k as u64, seed)?;
                    writer.add(&r, &png)?;
                }
                outcome.made += 1;
            }
            Err(e) => outcome.refused.push((name.display().to_string(), e.to_string())),
        }
    }
    bar.finish_and_clear();
    for (name, why) in &outcome.refused {
        eprintln!("refused {name}: {why}");
    }
    if outcome.made == 0 {
        return Err(Error::Request(format!("{}: no pair could be used ({} refused)", dir.display(), outcome.refused.len())));
    }
    writer.finish()?;
    Ok(outcome)
}

/// File names present in both folders, sorted.
fn names(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = |sub: &str| -> Result<Vec<PathBuf>> {
        let at = dir.join(sub);
        let entries =
            std::fs::read_dir(&at).map_err(|e| Error::Request(format!("{}: {e}; pairs lie in real/ and edited/", at.display())))?;
        let mut names: Vec<PathBuf> = entries.filter_map(|e| e.ok()).map(|e| PathBuf::from(e.file_name())).collect();
        names.sort();
        Ok(names)
    };
    let edited = list("edited")?;
    let both: Vec<PathBuf> = list("real")?.into_iter().filter(|n| edited.contains(n)).collect();
    if both.is_empty() {
        return Err(Error::Request(format!("{}: no file name is in both real/ and edited/", dir.display())));
    }
    Ok(both)
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
    Ok([make(untouched.clone(), before.mesh.clone(), none, None), make(after.image.to_rgb(), before.mesh, changed, Some(untouched))])
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
