//! Cutting a square, possibly rotated, region out of a photo.
//!
//! Coordinates are *edge based*: the photo spans `0..width × 0..height`, and the centre of its first pixel is
//! `(0.5, 0.5)`. Each output pixel is the mean of a grid of bilinear samples fine enough that shrinking never skips a
//! pixel (plain bilinear sampling, as MediaPipe's converter does it, aliases on large photos). [`Mips`] keeps that cheap.

use crate::image::Rgb8;

/// A square region of the photo, rotated about its centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roi {
    /// Centre, photo pixels.
    pub centre: [f32; 2],
    /// Side, photo pixels.
    pub size: f32,
    /// Rotation in radians, clockwise as seen (y points down); 0 = upright.
    pub angle: f32,
}

impl Roi {
    /// An upright square.
    pub fn upright(centre: [f32; 2], size: f32) -> Self {
        Self { centre, size, angle: 0.0 }
    }

    /// From the unit square of the region (`0..1`, origin at its top-left) to photo pixels.
    pub fn to_photo(&self, [u, v]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.angle.sin_cos();
        let (x, y) = ((u - 0.5) * self.size, (v - 0.5) * self.size);
        [self.centre[0] + x * cos - y * sin, self.centre[1] + x * sin + y * cos]
    }
}

/// What lies outside of the photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outside {
    /// One grey value, 0..=255.
    Grey(f32),
    /// The nearest pixel of the photo.
    Edge,
}

/// Samples the region at `side × side` pixels: row-major RGB, `0..=255`.
pub fn sample(photo: &Rgb8, roi: &Roi, side: usize, outside: Outside) -> Vec<f32> {
    let mut out = Vec::with_capacity(side * side * 3);
    if photo.width == 0 || photo.height == 0 || photo.data.len() < photo.width * photo.height * 3 {
        out.resize(side * side * 3, if let Outside::Grey(g) = outside { g } else { 0.0 });
        return out;
    }
    // One sample per photo pixel or denser.
    let grid = (roi.size / side as f32).ceil().clamp(1.0, 64.0) as usize;
    let step = 1.0 / (side * grid) as f32;
    let weight = 1.0 / (grid * grid) as f32;
    for j in 0..side {
        for i in 0..side {
            let mut sum = [0.0f32; 3];
            for b in 0..grid {
                for a in 0..grid {
                    let u = ((i * grid + a) as f32 + 0.5) * step;
                    let v = ((j * grid + b) as f32 + 0.5) * step;
                    let px = bilinear(photo, roi.to_photo([u, v]), outside);
                    sum = [sum[0] + px[0], sum[1] + px[1], sum[2] + px[2]];
                }
            }
            out.extend(sum.map(|s| s * weight));
        }
    }
    out
}

/// Bilinear value at an edge-based point. The photo is not empty (checked by the caller).
fn bilinear(photo: &Rgb8, [x, y]: [f32; 2], outside: Outside) -> [f32; 3] {
    let (x, y) = (x - 0.5, y - 0.5);
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let mut out = [0.0f32; 3];
    for (dy, wy) in [(0.0, 1.0 - fy), (1.0, fy)] {
        for (dx, wx) in [(0.0, 1.0 - fx), (1.0, fx)] {
            let (px, py) = (x0 + dx, y0 + dy);
            let inside = px >= 0.0 && py >= 0.0 && px < photo.width as f32 && py < photo.height as f32;
            let w = wx * wy;
            if let (false, Outside::Grey(g)) = (inside, outside) {
                out = out.map(|o| o + w * g);
                continue;
            }
            // Float-to-integer casts saturate, so a point that is not finite still lands inside.
            let (px, py) = ((px as usize).min(photo.width - 1), (py as usize).min(photo.height - 1));
            let at = (py * photo.width + px) * 3;
            for (o, value) in out.iter_mut().zip(&photo.data[at..at + 3]) {
                *o += w * f32::from(*value);
            }
        }
    }
    out
}

/// A photo and its halvings, so that a large region costs no more to sample than a small one.
pub struct Mips<'a> {
    photo: &'a Rgb8,
    halves: Vec<Rgb8>,
}

impl<'a> Mips<'a> {
    /// Halves the photo until its long side is at most 128 px (the detector's input).
    pub fn new(photo: &'a Rgb8) -> Self {
        let mut halves: Vec<Rgb8> = Vec::new();
        loop {
            let last = halves.last().unwrap_or(photo);
            if last.width.max(last.height) <= 128 || last.width.min(last.height) < 2 {
                break;
            }
            let next = halve(last);
            halves.push(next);
        }
        Self { photo, halves }
    }

    /// The photo itself.
    pub fn photo(&self) -> &Rgb8 {
        self.photo
    }

    /// As [`sample`], from the smallest halving that still has a pixel for every output pixel.
    pub fn sample(&self, roi: &Roi, side: usize, outside: Outside) -> Vec<f32> {
        let scale = (roi.size / side as f32).max(1.0);
        let level = (scale.log2().floor() as usize).min(self.halves.len());
        if level == 0 {
            return sample(self.photo, roi, side, outside);
        }
        let k = 1.0 / (1usize << level) as f32;
        let roi = Roi { centre: [roi.centre[0] * k, roi.centre[1] * k], size: roi.size * k, angle: roi.angle };
        sample(&self.halves[level - 1], &roi, side, outside)
    }
}

/// Means of 2×2 pixels; an odd last row or column is dropped, which keeps coordinates exactly halved.
fn halve(photo: &Rgb8) -> Rgb8 {
    let (width, height) = (photo.width / 2, photo.height / 2);
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let top = &photo.data[2 * y * photo.width * 3..][..photo.width * 3];
        let low = &photo.data[(2 * y + 1) * photo.width * 3..][..photo.width * 3];
        for (a, b) in top.chunks_exact(6).zip(low.chunks_exact(6)) {
            for c in 0..3 {
                let sum = u16::from(a[c]) + u16::from(a[c + 3]) + u16::from(b[c]) + u16::from(b[c + 3]);
                data.push(((sum + 2) / 4) as u8);
            }
        }
    }
    Rgb8 { width, height, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red = x, green = y.
    fn ramp(side: usize) -> Rgb8 {
        let data = (0..side * side).flat_map(|i| [(i % side) as u8, (i / side) as u8, 9]).collect();
        Rgb8 { width: side, height: side, data }
    }

    #[test]
    fn an_upright_region_of_the_same_scale_is_a_copy() {
        let photo = ramp(64);
        let out = sample(&photo, &Roi::upright([32.0, 32.0], 64.0), 64, Outside::Edge);
        for (a, b) in out.iter().zip(&photo.data) {
            assert!((a - f32::from(*b)).abs() < 1e-2, "{a} {b}");
        }
    }

    #[test]
    fn a_quarter_turn_swaps_the_axes() {
        let roi = Roi { centre: [32.0, 32.0], size: 64.0, angle: std::f32::consts::FRAC_PI_2 };
        let out = sample(&ramp(64), &roi, 64, Outside::Edge);
        // Output right = photo down; output down = photo left.
        let at = (10 * 64 + 20) * 3;
        assert!((out[at] - 53.0).abs() < 0.1 && (out[at + 1] - 20.0).abs() < 0.1, "{:?}", &out[at..at + 2]);
    }

    #[test]
    fn halvings_agree_with_direct_sampling() {
        let photo = ramp(250);
        let roi = Roi { centre: [120.0, 130.0], size: 200.0, angle: 0.3 };
        let direct = sample(&photo, &roi, 32, Outside::Grey(0.0));
        let quick = Mips::new(&photo).sample(&roi, 32, Outside::Grey(0.0));
        let worst = direct.iter().zip(&quick).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst < 30.0, "{worst}"); // the border pixels mix with the outside
        let mean = direct.iter().zip(&quick).map(|(a, b)| (a - b).abs()).sum::<f32>() / direct.len() as f32;
        assert!(mean < 0.8, "{mean}");
    }

    #[test]
    fn outside_is_grey_and_nothing_panics_on_odd_regions() {
        let photo = ramp(8);
        assert_eq!(sample(&photo, &Roi::upright([100.0, 100.0], 4.0), 2, Outside::Grey(127.0)), vec![127.0; 12]);
        for size in [f32::NAN, f32::INFINITY, 0.0, -3.0, 1e20] {
            assert_eq!(sample(&photo, &Roi::upright([f32::NAN, 1e30], size), 2, Outside::Edge).len(), 12);
        }
        let empty = Rgb8 { width: 0, height: 0, data: Vec::new() };
        assert_eq!(Mips::new(&empty).sample(&Roi::upright([0.0, 0.0], 4.0), 2, Outside::Edge), vec![0.0; 12]);
    }
}
