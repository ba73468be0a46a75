//! Contact sheets: every recipe at three difficulties, to be looked at by a person.

use std::path::Path;

use super::recipe::Recipe;
use super::sampler::{Order, SIDE, Sample, Sampler};
use crate::error::{Error, Result};
use crate::image::{Mask, Rgb8};

/// Writes a PNG: two rows a recipe (two photos), in them crop | overlay at difficulty 0, 0.5 and 1.
///
/// A recipe that cannot be made on the photo drawn is tried on the next ones.
///
/// # Errors
/// When samples cannot be made or the file cannot be written.
pub fn contact_sheet(sampler: &Sampler, recipes: &[Recipe], path: &Path) -> Result<()> {
    let tile = SIDE / 2;
    let (columns, rows) = (6, 2 * recipes.len());
    let mut sheet = Rgb8 { width: columns * tile, height: rows * tile, data: vec![255; columns * rows * tile * tile * 3] };
    for (r, &recipe) in recipes.iter().enumerate() {
        for copy in 0..2 {
            for (k, difficulty) in [0.0, 0.5, 1.0].into_iter().enumerate() {
                let index = 1000 * r as u64 + 10 * copy as u64 + k as u64;
                let order = Order { recipe: Some(recipe), difficulty, augment: false, degrade: false };
                let mut made = sampler.make(index, order);
                for attempt in 1..8 {
                    if !matches!(made, Err(Error::Request(_))) {
                        break;
                    }
                    made = sampler.make(index + 100 * attempt, order);
                }
                let sample = made?;
                let (x, y) = (2 * k * tile, (2 * r + copy) * tile);
                paste_half(&mut sheet, &sample.image, x, y);
                paste_half(&mut sheet, &overlay(&sample.image, &sample.artifact), x + tile, y);
            }
        }
    }
    write_png(&sheet, path)
}

/// A sheet of samples as drawn for training: crop | overlay, `columns` pairs a row.
///
/// # Errors
/// As [`contact_sheet`].
pub fn sample_sheet(samples: &[Sample], columns: usize, path: &Path) -> Result<()> {
    let tile = SIDE / 2;
    let rows = samples.len().div_ceil(columns);
    let mut sheet = Rgb8 { width: 2 * columns * tile, height: rows * tile, data: vec![255; 2 * columns * rows * tile * tile * 3] };
    for (i, s) in samples.iter().enumerate() {
        let (x, y) = (2 * (i % columns) * tile, i / columns * tile);
        paste_half(&mut sheet, &s.image, x, y);
        paste_half(&mut sheet, &overlay(&s.image, &s.artifact), x + tile, y);
    }
    write_png(&sheet, path)
}

/// The mask laid over the picture in red.
pub fn overlay(image: &Rgb8, mask: &Mask) -> Rgb8 {
    let mut out = image.clone();
    for (p, &m) in out.data.chunks_exact_mut(3).zip(&mask.data) {
        if m == 1 {
            p[0] = p[0] / 2 + 127;
            p[1] /= 2;
            p[2] /= 2;
        }
    }
    out
}

/// The label map laid over the picture, one colour a leaf (the hue turns by the golden angle from label to label).
pub fn label_overlay(image: &Rgb8, labels: &[u8]) -> Rgb8 {
    let mut out = image.clone();
    for (p, &l) in out.data.as_chunks_mut::<3>().0.iter_mut().zip(labels) {
        if l != crate::fict::BACKGROUND {
            let hue = f32::from(l) * 2.399_963;
            for (k, v) in p.iter_mut().enumerate() {
                let c = 127.0 + 120.0 * (hue + k as f32 * 2.094).cos();
                *v = (0.5 * f32::from(*v) + 0.5 * c) as u8;
            }
        }
    }
    out
}

/// Pastes `image` at half size (2 × 2 means).
fn paste_half(sheet: &mut Rgb8, image: &Rgb8, x0: usize, y0: usize) {
    for y in 0..image.height / 2 {
        for x in 0..image.width / 2 {
            for c in 0..3 {
                let at = |dx: usize, dy: usize| u32::from(image.data[3 * ((2 * y + dy) * image.width + 2 * x + dx) + c]);
                let v = (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4;
                sheet.data[3 * ((y0 + y) * sheet.width + x0 + x) + c] = v as u8;
            }
        }
    }
}

/// Writes a PNG file.
///
/// # Errors
/// `Io` when it cannot be written.
pub fn write_png(rgb: &Rgb8, path: &Path) -> Result<()> {
    ::image::save_buffer(path, &rgb.data, rgb.width as u32, rgb.height as u32, ::image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Io(format!("{}: {e}", path.display())))
}
