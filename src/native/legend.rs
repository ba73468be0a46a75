//! The picture of `facext fict --out`: a crop tinted leaf by leaf, numbers on it, and a legend of all leaves beside it.
//!
//! The photo shows in eight shades only, so the file stays small; colour is not the only sign, borders and numbers are drawn.

use crate::fict::{Depth, leaves::LEAVES};
use crate::image::Rgb8;
use font8x8::legacy::BASIC_LEGACY;

/// Side of the crop in the picture, pixels: rows of the legend fill it.
pub const SIDE: usize = ROW * LEAVES / COLUMNS;
/// Height of a row of the legend.
const ROW: usize = 12;
/// Columns of the legend.
const COLUMNS: usize = 2;
/// Width of a column: swatch, number, name of up to 42 letters.
const COLUMN: usize = 16 + (4 + 42) * GLYPH;
/// Side of a letter.
const GLYPH: usize = 8;
/// Shades of the photo.
const SHADES: f32 = 8.0;
/// Least area of a leaf that carries its number.
const NUMBERED: usize = 420;

/// The picture, `SIDE + 2 × COLUMN` wide and `SIDE` high.
///
/// `crop` is `SIDE × SIDE`, `labels` its label map at the depth of leaves; of another size only the legend is drawn.
pub fn draw(crop: &Rgb8, labels: &[u8]) -> Rgb8 {
    let mut out = Rgb8::filled(SIDE + COLUMNS * COLUMN, SIDE, [255; 3]);
    if (crop.width, crop.height, labels.len()) == (SIDE, SIDE, SIDE * SIDE) {
        tint(&mut out, crop, labels);
        for label in 0..LEAVES as u8 {
            if let Some([x, y]) = middle(labels, label) {
                let number = (u16::from(label) + 1).to_string();
                write(&mut out, x.saturating_sub(number.len() * GLYPH / 2), y.saturating_sub(GLYPH / 2), &number, [0; 3]);
            }
        }
    }
    for (l, leaf) in Depth::Leaves.ends().enumerate() {
        let (x, y) = (SIDE + l / (LEAVES / COLUMNS) * COLUMN + 4, l % (LEAVES / COLUMNS) * ROW);
        for i in 0..10 * 10 {
            put(&mut out, x + i % 10, y + 1 + i / 10, colour(l as u8));
        }
        write(&mut out, x + 12, y + 2, &format!("{:3} {}", l + 1, leaf.en), [0; 3]);
    }
    out
}

/// Colour of a leaf: hues a golden angle apart, in three strengths, so that neighbours in the table differ.
fn colour(label: u8) -> [u8; 3] {
    let hue = f32::from(label) * 2.399_963;
    let strength = [120.0, 85.0, 55.0][usize::from(label) % 3];
    [0.0, 2.094, 4.189].map(|third| (135.0 + strength * (hue + third).cos()) as u8)
}

fn tint(out: &mut Rgb8, crop: &Rgb8, labels: &[u8]) {
    for (i, &label) in labels.iter().enumerate() {
        let (x, y) = (i % SIDE, i / SIDE);
        let grey = crop.data[3 * i..3 * i + 3].iter().map(|v| f32::from(*v)).sum::<f32>() / 3.0;
        let shade = (grey * SHADES / 256.0).floor() * 255.0 / (SHADES - 1.0);
        let border = (x > 0 && labels[i - 1] != label) || (y > 0 && labels[i - SIDE] != label);
        let mix = |c: u8| if border { 20 } else { (0.5 * f32::from(c) + 0.5 * shade) as u8 };
        put(out, x, y, colour(label).map(mix));
    }
}

/// The pixel of a leaf nearest to its centre of gravity, if the leaf is large enough for a number.
fn middle(labels: &[u8], label: u8) -> Option<[usize; 2]> {
    let all: Vec<[usize; 2]> = labels.iter().enumerate().filter(|(_, l)| **l == label).map(|(i, _)| [i % SIDE, i / SIDE]).collect();
    if all.len() < NUMBERED {
        return None;
    }
    let mean = |axis: usize| all.iter().map(|p| p[axis]).sum::<usize>() / all.len();
    let (x, y) = (mean(0), mean(1));
    all.into_iter().min_by_key(|p| p[0].abs_diff(x).pow(2) + p[1].abs_diff(y).pow(2))
}

/// Writes ASCII text with its top left corner at (x, y).
fn write(out: &mut Rgb8, x: usize, y: usize, text: &str, ink: [u8; 3]) {
    for (k, c) in text.bytes().enumerate() {
        let glyph = BASIC_LEGACY.get(usize::from(c)).copied().unwrap_or_default();
        for (row, bits) in glyph.iter().enumerate() {
            for bit in (0..GLYPH).filter(|b| bits >> b & 1 == 1) {
                put(out, x + k * GLYPH + bit, y + row, ink);
            }
        }
    }
}

/// Sets a pixel; outside of the picture nothing happens.
fn put(out: &mut Rgb8, x: usize, y: usize, colour: [u8; 3]) {
    if x < out.width && y < out.height {
        let at = 3 * (y * out.width + x);
        out.data[at..at + 3].copy_from_slice(&colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fict::{Seen, leaf_labels, tests::mean_mesh};

    #[test]
    fn every_leaf_is_in_the_legend_and_its_name_fits() {
        for leaf in Depth::Leaves.ends() {
            assert!(16 + (4 + leaf.en.len()) * GLYPH <= COLUMN, "{} is cut", leaf.en);
        }
        let map = leaf_labels(&mean_mesh(SIDE as f32), &Seen::default(), SIDE, SIDE);
        let picture = draw(&Rgb8::filled(SIDE, SIDE, [255; 3]), &map);
        assert_eq!((picture.width, picture.height), (SIDE + 2 * COLUMN, SIDE));
        for l in 0..LEAVES {
            let (x, y) = (SIDE + l / 56 * COLUMN + 8, l % 56 * ROW + 5);
            assert_eq!(picture.get(x, y), Some(colour(l as u8)), "swatch {l}");
            // The leaf itself shows in a tint of the same colour.
            let tinted = colour(l as u8).map(|c| (0.5 * f32::from(c) + 127.5) as u8);
            let shown = map.iter().enumerate().any(|(i, m)| usize::from(*m) == l && picture.get(i % SIDE, i / SIDE) == Some(tinted));
            assert!(shown, "leaf {l}");
        }
        // A label map of another size draws the legend alone.
        assert_eq!(draw(&Rgb8::filled(5, 5, [0; 3]), &[0; 25]).get(0, 0), Some([255; 3]));
    }
}
