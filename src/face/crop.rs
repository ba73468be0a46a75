//! The square that the model sees, and the way back to the photo.
//!
//! Coordinates are edge based (see [`super::sample`]): crop pixel `i` covers `i..i+1`.

use super::Face;
use super::sample::{Outside, Roi, sample};
use crate::error::{Error, Result};
use crate::image::{Mask, Rgb8};

/// Side of the crop over the long side of the face box.
pub const MARGIN: f32 = 1.6;
/// Value of what lies outside of the photo.
const GREY: f32 = 127.0;
/// Mean of the photos that SAM's encoder was trained on, RGB, 0..=255.
pub const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
/// Their standard deviation.
pub const STD: [f32; 3] = [58.395, 57.12, 57.375];

/// A square region of the photo, resampled.
#[derive(Debug, Clone, PartialEq)]
pub struct Crop {
    /// Left edge, photo pixels; may be negative.
    pub x: f32,
    /// Top edge, photo pixels; may be negative.
    pub y: f32,
    /// Side, photo pixels.
    pub size: f32,
    /// Side, crop pixels.
    pub side: usize,
    /// `side × side` pixels; grey 127 outside of the photo.
    pub pixels: Rgb8,
}

impl Crop {
    /// The square around a face: [`MARGIN`] × the long side of its box, centred on the box.
    pub fn around(face: &Face, photo: &Rgb8, side: usize) -> Self {
        let b = &face.bbox;
        let size = MARGIN * b.w.max(b.h);
        Self::square([b.x + b.w / 2.0, b.y + b.h / 2.0], size, photo, side)
    }

    /// Any square: centre and size in photo pixels.
    pub fn square(centre: [f32; 2], size: f32, photo: &Rgb8, side: usize) -> Self {
        let values = sample(photo, &Roi::upright(centre, size), side, Outside::Grey(GREY));
        let data = values.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
        let pixels = Rgb8 { width: side, height: side, data };
        Self { x: centre[0] - size / 2.0, y: centre[1] - size / 2.0, size, side, pixels }
    }

    /// Photo pixels → crop pixels.
    pub fn to_crop(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let k = self.side as f32 / self.size;
        [(x - self.x) * k, (y - self.y) * k]
    }

    /// Crop pixels → photo pixels.
    pub fn to_photo(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let k = self.size / self.side as f32;
        [x * k + self.x, y * k + self.y]
    }

    /// The encoder's input `[3, side, side]` (add the batch axis), normalised with [`MEAN`] and [`STD`].
    pub fn normalised(&self) -> Vec<f32> {
        let plane = |c: usize| self.pixels.data.iter().skip(c).step_by(3).map(move |v| (f32::from(*v) - MEAN[c]) / STD[c]);
        (0..3).flat_map(plane).collect()
    }

    /// A map over the crop (`map_side × map_side` values, row-major; any resolution) as a mask of the photo: 1 where the
    /// bilinearly enlarged map is above `threshold`, 0 elsewhere and outside of the crop.
    ///
    /// # Errors
    /// [`Error::Face`] if the map has not `map_side²` values.
    pub fn mask_to_photo(&self, map: &[f32], map_side: usize, threshold: f32, width: usize, height: usize) -> Result<Mask> {
        if map_side == 0 || map.len() != map_side * map_side {
            return Err(Error::Face(format!("a map of {} values is not a square of side {map_side}", map.len())));
        }
        let mut data = vec![0u8; width * height];
        let k = map_side as f32 / self.size;
        let last = (map_side - 1) as f32;
        // Clamping to the border repeats the outermost values over the outer half pixel of the map.
        let place = |edge: f32| {
            let t = (edge * k - 0.5).clamp(0.0, last);
            let low = t.floor();
            (low as usize, (low as usize + 1).min(map_side - 1), t - low)
        };
        let first = |origin: f32| (origin - 0.5).ceil().max(0.0) as usize;
        let end = |origin: f32, limit: usize| ((origin + self.size - 0.5).ceil().max(0.0) as usize).min(limit);
        for y in first(self.y)..end(self.y, height) {
            let (y0, y1, fy) = place(y as f32 + 0.5 - self.y);
            for x in first(self.x)..end(self.x, width) {
                let (x0, x1, fx) = place(x as f32 + 0.5 - self.x);
                let row = |r: usize| map[r * map_side + x0] * (1.0 - fx) + map[r * map_side + x1] * fx;
                data[y * width + x] = u8::from(row(y0) * (1.0 - fy) + row(y1) * fy > threshold);
            }
        }
        Ok(Mask { width, height, data })
    }

    /// A mask of the photo over the crop: the covered share of each of `map_side × map_side` cells, 0..1.
    pub fn mask_to_crop(&self, mask: &Mask, map_side: usize) -> Vec<f32> {
        // The resampler averages; a mask is a grey photo to it.
        let data = mask.data.iter().flat_map(|v| [255 * v.min(&1); 3]).collect();
        let grey = Rgb8 { width: mask.width, height: mask.height, data };
        let centre = [self.x + self.size / 2.0, self.y + self.size / 2.0];
        let values = sample(&grey, &Roi::upright(centre, self.size), map_side, Outside::Grey(0.0));
        values.iter().step_by(3).map(|v| v / 255.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BBox;

    fn crop() -> (Rgb8, Crop) {
        let data = (0..100 * 80).flat_map(|i| [(i % 100) as u8, (i / 100) as u8, 200]).collect();
        let photo = Rgb8 { width: 100, height: 80, data };
        let face =
            Face { bbox: BBox { x: 10.0, y: 20.0, w: 30.0, h: 40.0 }, mesh: Vec::new(), score: 1.0, sharpness: 1.0, warnings: Vec::new() };
        let crop = Crop::around(&face, &photo, 32);
        (photo, crop)
    }

    #[test]
    fn the_square_is_centred_and_points_go_there_and_back() {
        let (_, crop) = crop();
        assert_eq!((crop.x, crop.y, crop.size), (-7.0, 8.0, 64.0));
        assert_eq!(crop.to_crop([25.0, 40.0]), [16.0, 16.0]);
        assert_eq!(crop.to_photo(crop.to_crop([3.0, 77.0])), [3.0, 77.0]);
    }

    #[test]
    fn outside_is_grey_and_inside_is_the_photo() {
        let (_, crop) = crop();
        assert_eq!(&crop.pixels.data[..3], &[127, 127, 127]);
        // Crop pixel (20, 10) covers photo x 33..35, y 28..30.
        let at = (10 * 32 + 20) * 3;
        assert_eq!(&crop.pixels.data[at..at + 3], &[34, 29, 200]);
        let normal = crop.normalised();
        assert_eq!(normal.len(), 3 * 32 * 32);
        assert!((normal[32 * 32 + 10 * 32 + 20] - (29.0 - MEAN[1]) / STD[1]).abs() < 1e-6);
    }

    #[test]
    fn masks_go_to_the_photo_and_back() {
        let (photo, crop) = crop();
        // The right half of the crop.
        let map: Vec<f32> = (0..32 * 32).map(|i| if i % 32 >= 16 { 1.0 } else { 0.0 }).collect();
        let mask = crop.mask_to_photo(&map, 32, 0.5, photo.width, photo.height).unwrap();
        let columns: Vec<u8> = (0..100).map(|x| mask.data[40 * 100 + x]).collect();
        assert_eq!(columns.iter().position(|v| *v == 1), Some(25));
        assert_eq!(columns.iter().rposition(|v| *v == 1), Some(56));
        assert!(mask.data[..8 * 100].iter().all(|v| *v == 0) && mask.data[72 * 100..].iter().all(|v| *v == 0));
        let back = crop.mask_to_crop(&mask, 32);
        let wrong = map.iter().zip(&back).filter(|(a, b)| (**a - **b).abs() > 0.6).count();
        assert!(wrong <= 32, "{wrong}");
        assert!(crop.mask_to_photo(&map, 31, 0.5, 10, 10).is_err());
    }
}
