//! `facext demo`: three pictures of one portrait for the page's gallery, with the truth about each.
//!
//! An untouched crop, one with a crudely and one with a subtly changed part, made by the annotator's own recipes. For demonstration only:
//! a strip below each picture says so in its pixels, away from the face. What was changed is written beside them, so that an answer can
//! be held against it.

use crate::error::{Error, Result};
use crate::face::Faces;
use crate::fict;
use crate::image::{Mask, Rgb8, Rle, png};
use crate::native::analyze;
use crate::native::annotate::crop::{Augment, cut};
use crate::native::annotate::recipe::{Face, Forged, PARTS, Part};
use crate::native::annotate::{Photo, Split, edit};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Side of the pictures without their strip, pixels.
const SIDE: usize = 448;
/// Height of the strip, pixels.
const STRIP: usize = 30;
/// Pixels a dot of its letters.
const DOT: usize = 2;
/// Of the pictures' marks over the changed place.
const OPACITY: f32 = 0.5;

/// Arguments of `demo`.
#[derive(clap::Args)]
pub struct Args {
    /// A portrait that may be shown to anybody, with one usable face.
    pub photo: PathBuf,
    /// Folder of weights (the face finder's are used).
    #[arg(long, default_value = "weights")]
    pub weights: PathBuf,
    /// Where the pictures and `gallery.json` go.
    #[arg(long)]
    pub out: PathBuf,
}

/// One picture and the truth about it.
#[derive(Serialize)]
struct Example {
    /// `untouched`, `crude`, `subtle`; also the names of the files: `KIND.png`, `KIND-small.png` for a button, and
    /// `KIND-truth.png` with the place marked.
    kind: &'static str,
    sha256: String,
    /// What was done: a recipe's id, or none.
    recipe: Option<&'static str>,
    /// Ids of the changed parts.
    parts: Vec<&'static str>,
    /// The changed pixels.
    mask: Option<Rle>,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Request`] if the photo has no usable face; else any stage's.
pub fn run(args: &Args) -> Result<()> {
    let bytes = fs::read(&args.photo).map_err(|e| Error::Io(format!("{}: {e}", args.photo.display())))?;
    let analyzer = analyze::load(&args.weights, "cpu")?;
    let photo = pollster::block_on(analyzer.open(&bytes, "", &mut analyze::Silent))?;
    let Faces::Found(faces) = &photo.faces else { return Err(Error::Request("the photo has no usable face".into())) };
    let face = faces.first().ok_or_else(|| Error::Request("the photo has no usable face".into()))?;
    let portrait = Photo::in_memory("portrait", Split::Test, photo.picture.rgb.clone(), face.mesh.clone());
    let crop = cut(&portrait, &photo.picture.rgb, SIDE, &Augment::NONE);
    let labels = fict::part_labels(&crop.mesh, SIDE, SIDE);
    let face = Face { image: &crop.image, mesh: &crop.mesh, labels: &labels, texel: crop.texel };
    fs::create_dir_all(&args.out)?;
    // Any fixed seed: the pictures must come out the same in each build.
    let mut rng = SmallRng::seed_from_u64(7);
    let crude = edit::part_inpaint(&face, &[part("left_eyebrow")?], 0.0, &mut rng);
    let subtle = edit::part_blur(&face, &[part("mouth")?], 0.9, &mut rng);
    let examples = [
        write(&args.out, "untouched", &crop.image.to_rgb(), None)?,
        write(&args.out, "crude", &crop.image.to_rgb(), Some(("part_inpaint", made(crude)?)))?,
        write(&args.out, "subtle", &crop.image.to_rgb(), Some(("part_blur", made(subtle)?)))?,
    ];
    let json = serde_json::to_string_pretty(&examples).map_err(|e| Error::Io(e.to_string()))?;
    fs::write(args.out.join("gallery.json"), json + "\n")?;
    Ok(())
}

fn part(id: &str) -> Result<&'static Part> {
    PARTS.iter().find(|p| p.id == id).ok_or_else(|| Error::Request(format!("there is no part {id}")))
}

fn made(forged: Option<Forged>) -> Result<Forged> {
    forged.ok_or_else(|| Error::Request("the part lies outside of the picture".into()))
}

fn write(dir: &Path, kind: &'static str, original: &Rgb8, forged: Option<(&'static str, Forged)>) -> Result<Example> {
    let words = if forged.is_some() { "DEMONSTRATION: FORGED BY FACEXT" } else { "DEMONSTRATION: UNTOUCHED" };
    let image = forged.as_ref().map_or_else(|| original.clone(), |(_, f)| f.image.to_rgb());
    let picture = with_strip(&image, words);
    let mask = forged.as_ref().map(|(_, f)| taller(&f.mask, picture.height)).transpose()?;
    let bytes = png::encode_rgb(&picture)?;
    fs::write(dir.join(format!("{kind}.png")), &bytes)?;
    fs::write(dir.join(format!("{kind}-small.png")), png::encode_rgb(&quarter(&image))?)?;
    if let Some(mask) = &mask {
        fs::write(dir.join(format!("{kind}-truth.png")), png::encode_overlay(&picture, std::slice::from_ref(mask), OPACITY)?)?;
    }
    Ok(Example {
        kind,
        sha256: Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect(),
        recipe: forged.as_ref().map(|(recipe, _)| *recipe),
        parts: forged.map_or_else(Vec::new, |(_, f)| f.parts),
        mask: mask.as_ref().map(Rle::encode),
    })
}

/// The picture at a quarter of its size, each pixel the mean of sixteen.
fn quarter(image: &Rgb8) -> Rgb8 {
    let (width, height) = (image.width / 4, image.height / 4);
    let mut data = Vec::with_capacity(width * height * 3);
    for i in 0..width * height * 3 {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        let from = |k: usize| ((4 * y + k / 4) * image.width + 4 * x + k % 4) * 3 + c;
        let sum: u32 = (0..16).map(|k| image.data.get(from(k)).copied().map_or(0, u32::from)).sum();
        data.push((sum / 16) as u8);
    }
    Rgb8 { width, height, data }
}

/// The mask on a canvas of that height; nothing of the strip is in it.
fn taller(mask: &Mask, height: usize) -> Result<Mask> {
    let mut data = mask.data.clone();
    data.resize(mask.width * height, 0);
    Mask::from_data(mask.width, height, data)
}

/// The picture with a white strip below that bears dark words.
fn with_strip(image: &Rgb8, words: &str) -> Rgb8 {
    let (w, h) = (image.width, image.height + STRIP);
    let mut data = image.data.clone();
    data.resize(w * h * 3, 255);
    let top = image.height + (STRIP - 7 * DOT) / 2;
    for (i, letter) in words.chars().enumerate() {
        for (row, bits) in glyph(letter).iter().enumerate() {
            for column in (0..5).filter(|c| bits >> (4 - c) & 1 == 1) {
                for dot in 0..DOT * DOT {
                    let x = 12 + (i * 6 + column) * DOT + dot % DOT;
                    let y = top + row * DOT + dot / DOT;
                    if let Some(px) = data.get_mut((y * w + x) * 3..(y * w + x) * 3 + 3).filter(|_| x < w) {
                        px.fill(20);
                    }
                }
            }
        }
    }
    Rgb8 { width: w, height: h, data }
}

/// Rows of a letter, five dots each, the leftmost in bit 4. Only the letters that the words above need.
fn glyph(letter: char) -> [u8; 7] {
    match letter {
        'A' => [14, 17, 17, 31, 17, 17, 17],
        'B' => [30, 17, 17, 30, 17, 17, 30],
        'C' => [14, 17, 16, 16, 16, 17, 14],
        'D' => [30, 17, 17, 17, 17, 17, 30],
        'E' => [31, 16, 16, 30, 16, 16, 31],
        'F' => [31, 16, 16, 30, 16, 16, 16],
        'G' => [14, 17, 16, 23, 17, 17, 14],
        'H' => [17, 17, 17, 31, 17, 17, 17],
        'I' => [14, 4, 4, 4, 4, 4, 14],
        'M' => [17, 27, 21, 21, 17, 17, 17],
        'N' => [17, 25, 21, 19, 17, 17, 17],
        'O' => [14, 17, 17, 17, 17, 17, 14],
        'R' => [30, 17, 17, 30, 20, 18, 17],
        'S' => [15, 16, 16, 14, 1, 1, 30],
        'T' => [31, 4, 4, 4, 4, 4, 4],
        'U' => [17, 17, 17, 17, 17, 17, 14],
        'X' => [17, 10, 4, 4, 4, 10, 17],
        'Y' => [17, 17, 10, 4, 4, 4, 4],
        ':' => [0, 4, 0, 0, 4, 0, 0],
        _ => [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_keeps_colours() {
        let small = quarter(&Rgb8::filled(16, 8, [10, 20, 30]));
        assert_eq!((small.width, small.height, small.data), (4, 2, [10, 20, 30].repeat(8)));
    }

    #[test]
    fn the_strip_bears_the_words_and_leaves_the_picture_alone() {
        let image = Rgb8::filled(SIDE, 40, [90, 120, 150]);
        let marked = with_strip(&image, "DEMONSTRATION: FORGED BY FACEXT");
        assert_eq!((marked.width, marked.height), (SIDE, 40 + STRIP));
        assert_eq!(marked.data[..image.data.len()], image.data);
        let dark = marked.data[image.data.len()..].chunks_exact(3).filter(|p| p[0] < 128).count();
        assert!(dark > 1000, "{dark} dark pixels");
        // Every word fits, and has letters.
        for word in ["DEMONSTRATION: FORGED BY FACEXT", "DEMONSTRATION: UNTOUCHED"] {
            assert!(12 + word.len() * 6 * DOT < SIDE);
            assert!(word.chars().all(|c| c == ' ' || glyph(c) != [0; 7]), "{word}");
        }
    }
}
