//! Results as PNG files: the photo, a mask, and the overlay of both.
//!
//! Colours are those of Okabe and Ito, which stay apart for all common kinds of colour blindness. Colour is not the only
//! sign: every mask also has an outline, and a thin dark line beside it that shows on any background.

use super::{Mask, Rgb8};
use crate::error::{Error, Result};
use ::png::{BitDepth, ColorType, Compression, Encoder};

/// Colours of masks, by their number, repeating (Okabe and Ito 2008, without black).
pub const PALETTE: [[u8; 3]; 7] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167], [0, 114, 178]];

/// The colour of mask number `i`.
pub fn colour(i: usize) -> [u8; 3] {
    PALETTE[i % PALETTE.len()]
}

fn encode(width: usize, height: usize, colour: ColorType, data: &[u8]) -> Result<Vec<u8>> {
    let failed = |e: ::png::EncodingError| Error::Io(format!("PNG: {e}"));
    let size = |n: usize| u32::try_from(n).map_err(|_| Error::Io(format!("PNG: a side of {n} pixels")));
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, size(width)?, size(height)?);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(data).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}

/// A picture as an 8-bit RGB PNG. Fails with `io.failed` for a picture without pixels or with a wrong length.
pub fn encode_rgb(rgb: &Rgb8) -> Result<Vec<u8>> {
    encode(rgb.width, rgb.height, ColorType::Rgb, &rgb.data)
}

/// A mask as an 8-bit greyscale PNG, 0 and 255. Errors as [`encode_rgb`].
pub fn encode_mask(mask: &Mask) -> Result<Vec<u8>> {
    let data: Vec<u8> = mask.data.iter().map(|&v| if v == 0 { 0 } else { 255 }).collect();
    encode(mask.width, mask.height, ColorType::Grayscale, &data)
}

/// The photo with translucent masks in [`PALETTE`] colours and their outlines. `opacity` 0–1 is that of the areas; the
/// outlines are opaque. Fails with `request.bad` where a mask has another size than the photo.
pub fn overlay(rgb: &Rgb8, masks: &[Mask], opacity: f32) -> Result<Rgb8> {
    let mut out = rgb.clone();
    let opacity = if opacity.is_nan() { 0.0 } else { opacity.clamp(0.0, 1.0) };
    for (i, mask) in masks.iter().enumerate() {
        if (mask.width, mask.height) != (rgb.width, rgb.height) || mask.data.len() * 3 != rgb.data.len() {
            return Err(Error::Request(format!("a mask of {}×{} for a photo of {}×{}", mask.width, mask.height, rgb.width, rgb.height)));
        }
        let tint = colour(i);
        for (p, _) in out.data.as_chunks_mut::<3>().0.iter_mut().zip(&mask.data).filter(|(_, m)| **m != 0) {
            for c in 0..3 {
                p[c] = (f32::from(p[c]) * (1.0 - opacity) + f32::from(tint[c]) * opacity + 0.5) as u8;
            }
        }
    }
    // Outlines after all areas, so that no area hides one. A line is about 1/300 of the shorter side.
    let radius = (rgb.width.min(rgb.height) / 600).min(8);
    for (i, mask) in masks.iter().enumerate() {
        outline(&mut out, mask, radius, colour(i));
    }
    Ok(out)
}

/// [`overlay`] as a PNG.
pub fn encode_overlay(rgb: &Rgb8, masks: &[Mask], opacity: f32) -> Result<Vec<u8>> {
    encode_rgb(&overlay(rgb, masks, opacity)?)
}

/// Draws the border pixels of a mask, widened by `radius`, and a dark line on their outer side.
fn outline(out: &mut Rgb8, mask: &Mask, radius: usize, tint: [u8; 3]) {
    let (w, h) = (mask.width, mask.height);
    let border: Vec<(usize, usize)> = (0..w * h)
        .map(|i| (i % w, i / w))
        .filter(|&(x, y)| mask.get(x, y))
        // `wrapping_sub` sends the left of column 0 outside, where a mask is 0.
        .filter(|&(x, y)| ![(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)].iter().all(|&(x, y)| mask.get(x, y)))
        .collect();
    for (r, colour, outside_only) in [(radius + 1, [20, 20, 20], true), (radius, tint, false)] {
        for &(x, y) in &border {
            for py in y.saturating_sub(r)..=(y + r).min(h - 1) {
                for px in x.saturating_sub(r)..=(x + r).min(w - 1) {
                    if !(outside_only && mask.get(px, py)) {
                        let i = (py * w + px) * 3;
                        out.data[i..i + 3].copy_from_slice(&colour);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    fn square() -> Mask {
        let mut m = Mask::new(30, 20);
        for y in 5..15 {
            m.data[y * 30 + 8..y * 30 + 20].fill(1);
        }
        m
    }

    #[test]
    fn files_come_back() {
        let rgb = Rgb8::new(30, 20, (0..1800).map(|i| (i * 7 % 256) as u8).collect()).unwrap();
        assert_eq!(decode(&encode_rgb(&rgb).unwrap()).unwrap().rgb, rgb);
        let back = decode(&encode_mask(&square()).unwrap()).unwrap();
        assert_eq!(Mask::from_rgb(&back.rgb), square());
        assert_eq!(encode_rgb(&Rgb8::filled(0, 0, [0; 3])).unwrap_err().code(), "io.failed");
        assert_eq!(encode_rgb(&Rgb8 { width: 2, height: 2, data: vec![0; 3] }).unwrap_err().code(), "io.failed");
    }

    #[test]
    fn an_overlay_tints_inside_and_lines_the_edge() {
        let rgb = Rgb8::filled(30, 20, [100; 3]);
        let o = overlay(&rgb, &[square()], 0.5).unwrap();
        assert_eq!(o.get(12, 10), Some([165, 130, 50]));
        assert_eq!(o.get(8, 5), Some(PALETTE[0]));
        assert_eq!(o.get(7, 5), Some([20; 3]));
        assert_eq!(o.get(2, 2), Some([100; 3]));
        assert_eq!(overlay(&rgb, &[], 0.5).unwrap(), rgb);
        assert_eq!(overlay(&rgb, &[Mask::new(3, 3)], 0.5).unwrap_err().code(), "request.bad");
        assert!(encode_overlay(&rgb, &[square(), Mask::new(30, 20)], f32::NAN).is_ok());
    }
}
