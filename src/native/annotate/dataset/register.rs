//! Two photos brought onto each other, and what differs.
//!
//! Registration is a shift: luma at a quarter of the size is searched over ± 2 % of the side, then refined at full size. Editors
//! that crop or scale are refused by the caller (sizes differ). Difference: the largest channel difference, smoothed by 1 px.

use crate::error::{Error, Result};
use crate::image::{Mask, Rgb8};
use crate::native::annotate::pixels::{boxed, gaussian};

/// How two photos lie on each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Edited pixel = real pixel + shift.
    pub shift: [isize; 2],
    /// Correlation of smoothed luma after the shift, −1..1.
    pub correlation: f32,
}

/// Least correlation of two versions of one photo.
pub const SAME_PHOTO: f32 = 0.8;

/// Finds the shift.
///
/// # Errors
/// `request.bad` if the sizes differ, or the photos are too unlike to be versions of one photo; both with the measured numbers.
pub fn fit(real: &Rgb8, edited: &Rgb8) -> Result<Fit> {
    if (real.width, real.height) != (edited.width, edited.height) {
        return Err(Error::Request(format!("sizes differ: {} × {} against {} × {}", real.width, real.height, edited.width, edited.height)));
    }
    let (w, h) = (real.width, real.height);
    let (a, b) = (luma(real), luma(edited));
    let step = (w.max(h) / 160).max(1);
    let (sa, sb) = (shrunk(&a, w, h, step), shrunk(&b, w, h, step));
    let (sw, sh) = (w / step, h / step);
    let reach = (sw.max(sh) as isize / 50).max(1);
    let mut best = (f32::MAX, [0, 0]);
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let d = distance(&sa, &sb, sw, sh, [dx, dy], 1);
            if d < best.0 {
                best = (d, [dx, dy]);
            }
        }
    }
    let centre = best.1.map(|v| v * step as isize);
    let mut fine = (f32::MAX, centre);
    for dy in -(step as isize)..=step as isize {
        for dx in -(step as isize)..=step as isize {
            let shift = [centre[0] + dx, centre[1] + dy];
            let d = distance(&a, &b, w, h, shift, (step / 2).max(1));
            if d < fine.0 {
                fine = (d, shift);
            }
        }
    }
    let shift = fine.1;
    let small = shift.map(|v| (v as f32 / step as f32).round() as isize);
    let correlation = correlation(&sa, &sb, sw, sh, small);
    if correlation < SAME_PHOTO {
        return Err(Error::Request(format!("not two versions of one photo: correlation {correlation:.2}, least {SAME_PHOTO}")));
    }
    Ok(Fit { shift, correlation })
}

fn luma(rgb: &Rgb8) -> Vec<f32> {
    rgb.data.as_chunks::<3>().0.iter().map(|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])).collect()
}

/// Box means of `step` × `step` px.
fn shrunk(v: &[f32], w: usize, h: usize, step: usize) -> Vec<f32> {
    let (sw, sh) = (w / step, h / step);
    let mut out = Vec::with_capacity(sw * sh);
    for y in 0..sh {
        for x in 0..sw {
            let rows = (y * step..(y + 1) * step).map(|yy| v[yy * w + x * step..yy * w + (x + 1) * step].iter().sum::<f32>());
            out.push(rows.sum::<f32>() / (step * step) as f32);
        }
    }
    out
}

/// Overlapping pixel pairs under a shift.
fn pairs<'a>(a: &'a [f32], b: &'a [f32], w: usize, h: usize, s: [isize; 2], step: usize) -> impl Iterator<Item = (f32, f32)> + 'a {
    (0..h).step_by(step).flat_map(move |y| {
        (0..w).step_by(step).filter_map(move |x| {
            let (u, v) = (x as isize + s[0], y as isize + s[1]);
            (u >= 0 && v >= 0 && u < w as isize && v < h as isize).then(|| (a[y * w + x], b[v as usize * w + u as usize]))
        })
    })
}

/// Mean of differences capped at 30 levels: an edit must not pull the fit.
fn distance(a: &[f32], b: &[f32], w: usize, h: usize, s: [isize; 2], step: usize) -> f32 {
    let (mut sum, mut n) = (0.0f64, 0u32);
    for (p, q) in pairs(a, b, w, h, s, step) {
        sum += f64::from((p - q).abs().min(30.0));
        n += 1;
    }
    (sum / f64::from(n.max(1))) as f32
}

fn correlation(a: &[f32], b: &[f32], w: usize, h: usize, s: [isize; 2]) -> f32 {
    let (mut n, mut sa, mut sb, mut saa, mut sbb, mut sab) = (0.0f64, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (p, q) in pairs(a, b, w, h, s, 1) {
        let (p, q) = (f64::from(p), f64::from(q));
        n += 1.0;
        sa += p;
        sb += q;
        saa += p * p;
        sbb += q * q;
        sab += p * q;
    }
    let cov = sab - sa * sb / n.max(1.0);
    let var = ((saa - sa * sa / n.max(1.0)) * (sbb - sb * sb / n.max(1.0))).max(1e-9);
    (cov / var.sqrt()) as f32
}

/// Difference map of the real photo's frame, levels 0..255; 0 where the shift leaves nothing to compare.
pub fn difference(real: &Rgb8, edited: &Rgb8, fit: &Fit) -> Vec<f32> {
    let (w, h) = (real.width, real.height);
    let mut out = vec![0.0f32; w * h];
    for y in 0..h {
        for x in 0..w {
            let (u, v) = (x as isize + fit.shift[0], y as isize + fit.shift[1]);
            if u >= 0 && v >= 0 && u < w as isize && v < h as isize {
                let (i, j) = (3 * (y * w + x), 3 * (v as usize * w + u as usize));
                out[y * w + x] = (0..3).map(|c| real.data[i + c].abs_diff(edited.data[j + c])).max().map_or(0.0, f32::from);
            }
        }
    }
    gaussian(&mut out, w, h, 1.0);
    out
}

/// The paper's rule: the 5 % of pixels that differ most (fewer if fewer differ at all).
pub fn top_five_percent(difference: &[f32], width: usize, height: usize) -> Mask {
    let mut v: Vec<f32> = difference.to_vec();
    let n = v.len();
    if n == 0 {
        return Mask { width, height, data: Vec::new() };
    }
    let at = (n - 1) - n / 20;
    let cut = *v.select_nth_unstable_by(at, f32::total_cmp).1;
    Mask { width, height, data: difference.iter().map(|&d| u8::from(d > cut && d > 0.0)).collect() }
}

/// The adaptive rule: what stands above the noise of the pair (median + 6 × 1.4826 × median absolute deviation, at least 6
/// levels), in clusters: a pixel and most of its 5 × 5 neighbourhood.
pub fn adaptive(difference: &[f32], width: usize, height: usize) -> (Mask, f32) {
    let middle = |v: &mut Vec<f32>| {
        let n = v.len() / 2;
        if v.is_empty() { 0.0 } else { *v.select_nth_unstable_by(n, f32::total_cmp).1 }
    };
    let median = middle(&mut difference.to_vec());
    let mad = middle(&mut difference.iter().map(|d| (d - median).abs()).collect());
    let cut = (median + 6.0 * 1.4826 * mad).max(6.0);
    let mut near: Vec<f32> = difference.iter().map(|&d| f32::from(u8::from(d > cut))).collect();
    boxed(&mut near, width, height, 2);
    (Mask { width, height, data: near.iter().map(|&n| u8::from(n > 0.5)).collect() }, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(w: usize, h: usize) -> Rgb8 {
        let data = (0..w * h)
            .flat_map(|i| {
                let (x, y) = ((i % w) as f32, (i / w) as f32);
                let v = 120.0 + 60.0 * (x / 17.0).sin() + 50.0 * (y / 23.0 + x / 61.0).cos();
                [v as u8, (v * 0.9) as u8, (v * 0.8) as u8]
            })
            .collect();
        Rgb8 { width: w, height: h, data }
    }

    #[test]
    fn an_edit_is_found_through_a_shift() {
        let real = picture(320, 300);
        let mut edited = real.clone();
        for y in 0..300usize {
            for x in 0..320usize {
                let (u, v) = (x.saturating_sub(3), (y + 2).min(299));
                for c in 0..3 {
                    edited.data[3 * (y * 320 + x) + c] = real.data[3 * (v * 320 + u) + c];
                }
            }
        }
        let square = |x: usize, y: usize| (100..140).contains(&x) && (90..150).contains(&y);
        for y in 0..300 {
            for x in 0..320 {
                if square(x, y) {
                    edited.data[3 * (y * 320 + x)] = edited.data[3 * (y * 320 + x)].wrapping_add(60);
                }
            }
        }
        let f = fit(&real, &edited).unwrap();
        assert_eq!(f.shift, [3, -2]);
        let d = difference(&real, &edited, &f);
        let (mask, _) = adaptive(&d, 320, 300);
        let hits = mask.data.iter().enumerate().filter(|&(i, &m)| m == 1 && square(i % 320 + 3, i / 320 - 2)).count();
        assert!(hits as f32 > 0.9 * 2400.0, "{hits}");
        assert!(mask.area() < 2900, "{}", mask.area());
        // The fixed share takes 5 % of the picture, however large the edit is.
        assert!((top_five_percent(&d, 320, 300).area() as f32 / 96000.0 - 0.05).abs() < 0.025);
    }

    #[test]
    fn other_sizes_and_other_pictures_are_refused_with_numbers() {
        let a = picture(100, 100);
        assert!(fit(&a, &picture(100, 90)).unwrap_err().to_string().contains("100 × 100 against 100 × 90"));
        let mut other = a.clone();
        other.data.reverse();
        other.data.iter_mut().enumerate().for_each(|(i, v)| *v = (i / 300 * 2) as u8);
        assert!(fit(&a, &other).unwrap_err().to_string().contains("correlation"));
    }
}
