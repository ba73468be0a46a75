//! Where faces come from: a photo pack, or any folder of photos.
//!
//! A file that cannot be read or shows no usable face is listed, skipped and counted, never fatal. In a plain folder a person is
//! a file, and splits follow the hash of the file's name (80 % train, 10 % val, 10 % test), so they do not depend on what else
//! lies there.

use std::path::Path;

use burn::tensor::Device;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::face::{FaceFinder, Faces};
use crate::image;
use crate::native::annotate::pack::{Pack, Photo, Split};
use crate::native::files;
use crate::native::many::{bar, files_of};
use crate::weights::Vars;

/// A usable pack and what was left out of it.
#[derive(Debug, Default)]
pub struct Source {
    pub pack: Pack,
    /// (file, reason), in the order of the files.
    pub skipped: Vec<(String, String)>,
    /// Whether it has splits of its own.
    pub is_pack: bool,
}

/// Opens `dir` as a pack if it holds `faces.csv`, else as a folder of photos (`weights` brings the face finder).
///
/// # Errors
/// `io.failed` for a folder that cannot be listed, `request.bad` if no photo of the split has a usable face, `weights.*`.
pub fn open(dir: &Path, weights: &Path, split: Option<Split>) -> Result<Source> {
    let mut source = if dir.join("faces.csv").is_file() { pack(dir, split)? } else { folder(dir, weights)? };
    if let Some(split) = split {
        source.pack.photos.retain(|p| p.split == split);
    }
    for (file, reason) in &source.skipped {
        eprintln!("skipped {file}: {reason}");
    }
    if source.pack.photos.is_empty() {
        let n = source.skipped.len();
        return Err(Error::Request(format!("{}: no usable face ({n} files skipped)", dir.display())));
    }
    Ok(source)
}

/// A pack whose photos of the split were all decoded once: a broken file must not be found in the middle of a shard.
fn pack(dir: &Path, split: Option<Split>) -> Result<Source> {
    let mut pack = Pack::open(dir)?;
    pack.photos.retain(|p| split.is_none_or(|s| p.split == s));
    let bar = bar(pack.photos.len() as u64, "reading photos");
    let faults: Vec<Option<String>> = pack
        .photos
        .par_iter()
        .map(|p| {
            bar.inc(1);
            p.load().err().map(|e| e.to_string())
        })
        .collect();
    bar.finish_and_clear();
    let mut source = Source { is_pack: true, ..Source::default() };
    let photos = std::mem::take(&mut pack.photos);
    for (photo, fault) in photos.into_iter().zip(faults) {
        match fault {
            Some(why) => source.skipped.push((photo.file, why)),
            None => pack.photos.push(photo),
        }
    }
    source.pack = pack;
    Ok(source)
}

fn folder(dir: &Path, weights: &Path) -> Result<Source> {
    let files = files_of(dir)?;
    if files.is_empty() {
        return Err(Error::Request(format!("{}: no files", dir.display())));
    }
    let finder = finder(weights)?;
    let mut source = Source::default();
    let bar = bar(files.len() as u64, "finding faces");
    for path in files {
        bar.inc(1);
        let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
        match mesh_of(&path, &finder) {
            Ok(mesh) => source.pack.photos.push(Photo::upright(&name, &path, split_of(&name), mesh)),
            Err(e) => source.skipped.push((name, e.to_string())),
        }
    }
    bar.finish_and_clear();
    Ok(source)
}

/// The face finder alone, on the CPU.
///
/// # Errors
/// `weights.*`
pub fn finder(weights: &Path) -> Result<FaceFinder> {
    let tensors = std::sync::Arc::new(files::read(weights)?.tensors);
    FaceFinder::build(&Vars::stored(tensors, &Device::flex()).pp("face"))
}

/// The mesh of the largest face of a file.
fn mesh_of(path: &Path, finder: &FaceFinder) -> Result<Vec<[f32; 3]>> {
    let bytes = std::fs::read(path).map_err(|e| Error::Io(e.to_string()))?;
    mesh_in(&image::decode(&bytes)?.rgb, finder)
}

/// The mesh of the largest face of a picture.
///
/// # Errors
/// `request.bad` if there is no usable face, with the reason.
pub fn mesh_in(rgb: &image::Rgb8, finder: &FaceFinder) -> Result<Vec<[f32; 3]>> {
    match pollster::block_on(finder.find_in(rgb))? {
        Faces::Found(faces) => {
            let largest = faces.into_iter().max_by(|a, b| a.bbox.area().total_cmp(&b.bbox.area()));
            largest.map(|f| f.mesh).ok_or_else(|| Error::Request("no face".into()))
        }
        Faces::NoneUsable { reason, detail } => Err(Error::Request(format!("no usable face ({}): {detail}", reason.code()))),
    }
}

/// Split by the hash of a name.
fn split_of(name: &str) -> Split {
    let byte = u8::from_str_radix(image::sha256_hex(name.as_bytes()).get(..2).unwrap_or("ff"), 16).unwrap_or(255);
    match byte {
        0..26 => Split::Test,
        26..52 => Split::Val,
        _ => Split::Train,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_follow_names_in_the_promised_shares() {
        let all: Vec<Split> = (0..2000).map(|i| split_of(&format!("photo{i}.jpg"))).collect();
        let share = |s| all.iter().filter(|&&x| x == s).count() as f32 / 2000.0;
        assert!((share(Split::Train) - 0.8).abs() < 0.04 && (share(Split::Val) - 0.1).abs() < 0.03);
        assert_eq!(split_of("photo7.jpg"), all[7]);
    }
}
