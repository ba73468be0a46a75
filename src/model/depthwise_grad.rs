//! Derivatives of a depthwise convolution on channels-last images, for [`super::lite_grad`].
//!
//! Sums stay in registers: of the input's gradient all taps of a cell, of the weight's all columns of a row. Added up in memory tap by
//! tap, each value was read and written once for every multiplication.

use crate::quant::cpu::conv::Shape;
use std::ops::Range;

/// Channels at a time.
const WIDE: usize = 16;

/// Gradient of the input `[b, h, w, c]`, from taps `[k, k, c]` and the output's gradient `g` `[b, h', w', c]`.
pub fn input_grad(s: Shape, taps: &[f32], g: &[f32]) -> Vec<f32> {
    let (Shape { b, size: [h, w], c_in: c, kernel, .. }, [rows, columns]) = (s, s.out());
    assert!(taps.len() == c * kernel * kernel && g.len() == b * rows * columns * c);
    let mut dx = vec![0.0; b * h * w * c];
    let mut joined = Vec::with_capacity(kernel * kernel);
    for (i, cell) in dx.chunks_exact_mut(c.max(1)).enumerate() {
        let (image, y, x) = (i / w / h, i / w % h, i % w);
        joined.clear();
        for (row, ky) in outputs(s, y, rows) {
            for (column, kx) in outputs(s, x, columns) {
                joined.push((((image * rows + row) * columns + column) * c, (ky * kernel + kx) * c));
            }
        }
        let (groups, rest) = cell.as_chunks_mut::<WIDE>();
        let done = groups.len() * WIDE;
        for (at, to) in groups.iter_mut().enumerate() {
            let mut sums = [0.0; WIDE];
            for (g_at, tap_at) in &joined {
                let (g, tap) = (group(g, g_at + at * WIDE), group(taps, tap_at + at * WIDE));
                (0..WIDE).for_each(|i| sums[i] += g[i] * tap[i]);
            }
            *to = sums;
        }
        for (at, v) in rest.iter_mut().enumerate() {
            *v = joined.iter().map(|(g_at, tap_at)| g[g_at + done + at] * taps[tap_at + done + at]).sum();
        }
    }
    dx
}

/// Gradient of the taps `[k, k, c]`, from the input `x` `[b, h, w, c]` and the output's gradient `g` `[b, h', w', c]`; k is 3 or 5.
///
/// # Panics
/// If it is another.
pub fn weight_grad(s: Shape, x: &[f32], g: &[f32]) -> Vec<f32> {
    match s.kernel {
        3 => weight_grad_of::<3>(s, x, g),
        5 => weight_grad_of::<5>(s, x, g),
        k => panic!("no depthwise filter of side {k} is trained"),
    }
}

fn weight_grad_of<const K: usize>(s: Shape, x: &[f32], g: &[f32]) -> Vec<f32> {
    let (Shape { b, size: [h, w], c_in: c, stride, padding, .. }, [rows, columns]) = (s, s.out());
    assert!(x.len() == b * h * w * c && g.len() == b * rows * columns * c);
    let mut sums = vec![0.0; K * K * c];
    // Columns whose filters lie inside of the picture.
    let inside = padding.div_ceil(stride).min(columns)..((w + padding + stride).saturating_sub(K) / stride).min(columns);
    let inside = inside.start..inside.end.max(inside.start);
    for (image, row, ky) in (0..b * rows * K).map(|i| (i / K / rows, i / K % rows, i % K)) {
        let Some(y) = (row * stride + ky).checked_sub(padding).filter(|y| *y < h) else { continue };
        let (x, g) = (&x[(image * h + y) * w * c..][..w * c], &g[(image * rows + row) * columns * c..][..columns * c]);
        let sums = &mut sums[ky * K * c..][..K * c];
        for from in (0..c / WIDE).map(|i| i * WIDE) {
            let mut acc = [[0.0; WIDE]; K];
            for column in inside.clone() {
                let (g, first) = (group(g, column * c + from), (column * stride - padding) * c + from);
                for (kx, acc) in acc.iter_mut().enumerate() {
                    let x = group(x, first + kx * c);
                    (0..WIDE).for_each(|i| acc[i] += g[i] * x[i]);
                }
            }
            for (kx, acc) in acc.iter().enumerate() {
                sums[kx * c + from..][..WIDE].iter_mut().zip(acc).for_each(|(s, a)| *s += a);
            }
        }
        let mut plainly = |columns: Range<usize>, channels: Range<usize>| {
            for (column, kx) in columns.flat_map(|column| (0..K).map(move |kx| (column, kx))) {
                let Some(at) = (column * stride + kx).checked_sub(padding).filter(|x| *x < w) else { continue };
                let (sums, g) = (&mut sums[kx * c..][channels.clone()], &g[column * c..][channels.clone()]);
                sums.iter_mut().zip(g).zip(&x[at * c..][channels.clone()]).for_each(|((s, g), x)| *s += g * x);
            }
        };
        plainly(0..inside.start, 0..c);
        plainly(inside.end..columns, 0..c);
        plainly(inside.clone(), c / WIDE * WIDE..c);
    }
    sums
}

/// Output rows (or columns) below `end` whose filter covers the input row `at`, each with the filter's row that does.
fn outputs(s: Shape, at: usize, end: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..s.kernel).filter_map(move |k| {
        let first = (at + s.padding).checked_sub(k)?;
        (first.is_multiple_of(s.stride) && first / s.stride < end).then_some((first / s.stride, k))
    })
}

/// The group of channels that begins at `from`.
fn group(all: &[f32], from: usize) -> &[f32; WIDE] {
    all[from..].first_chunk().expect("a whole group")
}
