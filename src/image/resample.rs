//! Squares of a photo in, probability maps out.
//!
//! Coordinates are continuous: pixel i covers [i, i + 1), its centre is i + 0.5 (the "half-pixel" convention of OpenCV
//! and Pillow, not "align corners"). Shrinking averages over the exact area that an output pixel covers, so that fine
//! noise, which is evidence here, does not alias into patterns; enlarging is bilinear. Both are separable.

use super::{Mask, Rgb8};
use crate::error::{Error, Result};

/// What a crop shows outside of the photo.
pub const OUTSIDE: u8 = 127;

/// A square region of a photo, in photo pixels. Fractions, and places outside of the photo, are allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Square {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Side, above 0.
    pub size: f32,
}

impl Square {
    fn is_usable(&self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.size.is_finite() && self.size > 0.0
    }
}

/// Where one output pixel takes its value from, along one axis.
struct Tap {
    /// First input pixel.
    start: usize,
    /// Weights of the input pixels from `start` on.
    weights: Vec<f32>,
    /// Weight of what lies outside of the input. All weights sum to 1.
    outside: f32,
}

/// Taps of `n_out` pixels that cover `origin .. origin + size` of an axis of `n_in` pixels. With `clamp`, pixels past the
/// edge repeat the edge; else they count as outside.
fn taps(origin: f64, size: f64, n_out: usize, n_in: usize, clamp: bool) -> Vec<Tap> {
    let step = size / n_out as f64;
    let end = n_in as f64;
    let tap = |i: usize| {
        // Enlarging: the triangle of bilinear interpolation is the overlap with a box of one pixel around the sample's
        // centre, so one rule serves both.
        let (centre, half) = (origin + (i as f64 + 0.5) * step, step.max(1.0) / 2.0);
        let (mut a, mut b) = (centre - half, centre + half);
        if clamp {
            // Slide the box inside: for bilinear this repeats the edge pixel.
            let shift = (0.0f64).max(-a) - (0.0f64).max(b - end);
            (a, b) = ((a + shift).max(0.0), (b + shift).min(end));
        }
        let (lo, hi) = (a.clamp(0.0, end), b.clamp(0.0, end));
        let (start, stop) = ((lo.floor() as usize).min(n_in), (hi.ceil() as usize).min(n_in));
        let weights: Vec<f32> = (start..stop).map(|p| (((hi.min(p as f64 + 1.0) - lo.max(p as f64)).max(0.0)) / (b - a)) as f32).collect();
        let outside = (1.0 - weights.iter().sum::<f32>()).max(0.0);
        Tap { start, weights, outside: if clamp { 0.0 } else { outside } }
    };
    (0..n_out).map(tap).collect()
}

/// Applies horizontal and vertical taps.
fn apply(rgb: &Rgb8, across: &[Tap], down: &[Tap]) -> Rgb8 {
    let (w, grey) = (across.len(), f32::from(OUTSIDE));
    // Rows of the input after the horizontal pass, made when first asked for and dropped when the output has passed.
    let mut rows: Vec<Option<Vec<f32>>> = vec![None; rgb.height];
    let mut data = Vec::with_capacity(w * down.len() * 3);
    let mut line = vec![0f32; w * 3];
    let mut passed = 0;
    for tap in down {
        line.fill(tap.outside * grey);
        for (y, &weight) in (tap.start..).zip(&tap.weights) {
            let row = rows[y].get_or_insert_with(|| horizontal(rgb.row(y), across, grey));
            line.iter_mut().zip(row.iter()).for_each(|(v, r)| *v += weight * r);
        }
        data.extend(line.iter().map(|v| (v + 0.5).clamp(0.0, 255.0) as u8));
        while passed < tap.start.min(rows.len()) {
            rows[passed] = None;
            passed += 1;
        }
    }
    Rgb8 { width: w, height: down.len(), data }
}

fn horizontal(row: &[u8], across: &[Tap], grey: f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(across.len() * 3);
    for tap in across {
        let mut sum = [tap.outside * grey; 3];
        let pixels = row.get(tap.start * 3..).unwrap_or(&[]).as_chunks::<3>().0;
        for (p, &weight) in pixels.iter().zip(&tap.weights) {
            for c in 0..3 {
                sum[c] += weight * f32::from(p[c]);
            }
        }
        out.extend(sum);
    }
    out
}

/// Cuts a square and scales it to `side` × `side` pixels. Outside of the photo it is [`OUTSIDE`] grey, and so is all of it
/// for a square that is empty or not finite.
pub fn crop_square(rgb: &Rgb8, square: Square, side: usize) -> Rgb8 {
    if !square.is_usable() || side == 0 {
        return Rgb8::filled(side, side, [OUTSIDE; 3]);
    }
    let (x, y, size) = (f64::from(square.x), f64::from(square.y), f64::from(square.size));
    apply(rgb, &taps(x, size, side, rgb.width, false), &taps(y, size, side, rgb.height, false))
}

/// Scales a whole picture to `width` × `height`, each axis on its own; at the edges it repeats the edge.
pub fn resize(rgb: &Rgb8, width: usize, height: usize) -> Rgb8 {
    if rgb.width == 0 || rgb.height == 0 {
        return Rgb8::filled(width, height, [OUTSIDE; 3]);
    }
    let across = taps(0.0, rgb.width as f64, width, rgb.width, true);
    apply(rgb, &across, &taps(0.0, rgb.height as f64, height, rgb.height, true))
}

/// Lays a probability map over a square of a photo of `[width, height]` pixels and thresholds it: the inverse of [`crop_square`]. `probs` holds `side * side` values, row-major. Pixels whose centre is in the square
/// and whose bilinear value is above `threshold` become 1; all others, and values that are not a number, 0.
///
/// # Errors
/// `model.failed` where `probs` has another length than `side * side`.
pub fn map_to_mask(probs: &[f32], side: usize, square: Square, [width, height]: [usize; 2], threshold: f32) -> Result<Mask> {
    if side == 0 || side.checked_mul(side) != Some(probs.len()) {
        return Err(Error::Model(format!("a map of {} values for a side of {side}", probs.len())));
    }
    let mut mask = Mask::new(width, height);
    if !square.is_usable() {
        return Ok(mask);
    }
    let size = f64::from(square.size);
    // For each photo pixel of an axis: the two map cells around its centre and the share of the second; `first` is the
    // photo pixel of the first entry.
    let axis = |origin: f64, n: usize| {
        let scale = side as f64 / size;
        let from = (origin - 0.5).ceil().clamp(0.0, n as f64) as usize;
        let to = (origin + size - 0.5).ceil().clamp(0.0, n as f64) as usize;
        let cells: Vec<(usize, usize, f32)> = (from..to)
            .map(|p| {
                let u = ((p as f64 + 0.5 - origin) * scale - 0.5).clamp(0.0, (side - 1) as f64);
                let i = u.floor() as usize;
                (i.min(side - 1), (i + 1).min(side - 1), (u - u.floor()) as f32)
            })
            .collect();
        (from, cells)
    };
    let (left, across) = axis(square.x.into(), width);
    let (top, down) = axis(square.y.into(), height);
    for (py, &(y0, y1, fy)) in (top..).zip(&down) {
        let (upper, lower) = (&probs[y0 * side..(y0 + 1) * side], &probs[y1 * side..(y1 + 1) * side]);
        let out = &mut mask.data[py * width + left..py * width + left + across.len()];
        for (out, &(x0, x1, fx)) in out.iter_mut().zip(&across) {
            let a = upper[x0] + (upper[x1] - upper[x0]) * fx;
            let b = lower[x0] + (lower[x1] - lower[x0]) * fx;
            *out = u8::from(a + (b - a) * fy > threshold);
        }
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sq(x: f32, y: f32, size: f32) -> Square {
        Square { x, y, size }
    }

    /// R grows with x, G with y, B is fixed.
    fn ramp(w: usize, h: usize) -> Rgb8 {
        let data = (0..h).flat_map(|y| (0..w).flat_map(move |x| [(x * 8) as u8, (y * 8) as u8, 50])).collect();
        Rgb8::new(w, h, data).unwrap()
    }

    #[test]
    fn a_crop_at_scale_one_is_a_copy() {
        let rgb = ramp(20, 16);
        let c = crop_square(&rgb, sq(3.0, 2.0, 8.0), 8);
        for (y, x) in (0..8).flat_map(|y| (0..8).map(move |x| (y, x))) {
            assert_eq!(c.get(x, y), rgb.get(x + 3, y + 2));
        }
    }

    #[test]
    fn shrinking_averages_the_exact_area() {
        let rgb = ramp(20, 16);
        // 2.5 pixels a sample: pixel 0 covers x 1–3.5, the mean of R = 8(x - 0.5) there is 8 * 1.77 = 14.2.
        let c = crop_square(&rgb, sq(1.0, 1.0, 10.0), 4);
        assert_eq!(c.get(0, 0).unwrap()[0], ((8.0 + 16.0 + 0.5 * 24.0) / 2.5f32).round() as u8);
        assert_eq!(c.get(0, 0).unwrap()[2], 50);
        let checker = Rgb8::new(64, 64, (0..64 * 64).flat_map(|i| [((i + i / 64) % 2 * 255) as u8; 3]).collect()).unwrap();
        assert!(crop_square(&checker, sq(0.0, 0.0, 64.0), 8).data.iter().all(|&v| v == 127 || v == 128));
    }

    #[test]
    fn enlarging_is_bilinear_at_half_pixels() {
        let rgb = Rgb8::new(2, 2, vec![0, 0, 0, 100, 100, 100, 0, 0, 0, 100, 100, 100]).unwrap();
        let r = resize(&rgb, 4, 4);
        assert_eq!((0..4).map(|x| r.get(x, 0).unwrap()[0]).collect::<Vec<_>>(), [0, 25, 75, 100]);
        let c = crop_square(&rgb, sq(0.0, 0.0, 2.0), 4);
        // The outermost samples see a quarter of the grey outside along each axis.
        assert_eq!(c.get(1, 1).unwrap()[0], 25);
        assert_eq!(c.get(0, 1).unwrap()[0], 32);
    }

    #[test]
    fn outside_is_grey_and_nothing_panics() {
        let rgb = ramp(8, 8);
        let c = crop_square(&rgb, sq(-8.0, -8.0, 16.0), 16);
        assert_eq!((c.get(0, 0), c.get(8, 8)), (Some([127; 3]), Some([0, 0, 50])));
        for (x, y, s) in [(f32::NAN, 0.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, -3.0), (1e9, 1e9, 5.0), (-1e30, 0.0, 1e30)] {
            assert!(crop_square(&rgb, sq(x, y, s), 4).data.iter().all(|&v| v.abs_diff(127) <= 1), "{x} {y} {s}");
        }
        assert_eq!(crop_square(&Rgb8::filled(0, 0, [0; 3]), sq(0.0, 0.0, 4.0), 2).data, [127; 12]);
        assert_eq!(resize(&ramp(5, 3), 1, 1).data.len(), 3);
    }

    #[test]
    fn resize_keeps_a_constant_and_the_mean() {
        let flat = Rgb8::filled(37, 23, [10, 200, 77]);
        assert!(resize(&flat, 11, 50).data.as_chunks::<3>().0.iter().all(|p| p == &[10, 200, 77]));
        let mean = |r: &Rgb8| r.data.iter().step_by(3).map(|&v| f64::from(v)).sum::<f64>() / (r.width * r.height) as f64;
        let rgb = ramp(30, 30);
        assert!((mean(&rgb) - mean(&resize(&rgb, 7, 13))).abs() < 0.6);
    }

    #[test]
    fn a_map_comes_back_to_where_its_crop_was() {
        // A disc in the photo, seen through a crop as a "probability", comes back as the disc.
        let (w, h) = (120, 90);
        let inside = |x: f32, y: f32| (x - 60.0).powi(2) + (y - 40.0).powi(2) < 20.0f32.powi(2);
        let disc: Vec<u8> = (0..w * h).map(|i| u8::from(inside((i % w) as f32 + 0.5, (i / w) as f32 + 0.5))).collect();
        let photo = Rgb8::new(w, h, disc.iter().flat_map(|&v| [v * 255; 3]).collect()).unwrap();
        for (x, y, size, side) in [(20.3, -5.2, 90.7, 64), (35.0, 15.0, 50.0, 256)] {
            let crop = crop_square(&photo, sq(x, y, size), side);
            let probs: Vec<f32> = crop.data.iter().step_by(3).map(|&v| f32::from(v) / 255.0).collect();
            let back = map_to_mask(&probs, side, sq(x, y, size), [w, h], 0.5).unwrap();
            let iou = back.iou(&Mask::from_data(w, h, disc.clone()).unwrap()).unwrap();
            assert!(iou > 0.97, "{iou} at side {side}");
        }
    }

    #[test]
    fn maps_of_any_place_and_content() {
        assert!(map_to_mask(&[0.0; 5], 2, sq(0.0, 0.0, 1.0), [4, 4], 0.5).is_err());
        let full = map_to_mask(&[1.0; 4], 2, sq(1.0, 1.0, 2.0), [4, 4], 0.5).unwrap();
        assert_eq!((full.area(), full.bbox().unwrap().x), (4, 1.0));
        for (x, s) in [(f32::NAN, 1.0), (1e30, 1.0), (-1e30, 3.0), (0.0, f32::INFINITY), (9.0, 2.0)] {
            assert_eq!(map_to_mask(&[1.0; 4], 2, sq(x, 0.0, s), [4, 4], 0.5).unwrap().area(), 0, "{x} {s}");
        }
        assert_eq!(map_to_mask(&[f32::NAN; 4], 2, sq(0.0, 0.0, 4.0), [4, 4], 0.5).unwrap().area(), 0);
    }
}
