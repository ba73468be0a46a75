//! Layer normalisation of rows.
//!
//! burn's own on the CPU follows the mean from value to value with a division each, on one thread in the browser; here a row is passed
//! three times, in lanes: sum, squares around the mean, result. f32 throughout; a row has some hundred values.

use super::share;

/// Values at a time.
const LANES: usize = 16;
/// `y = (x − mean) / √(variance + epsilon) · gain + shift` of every row of `[m, k]`.
pub fn layer_norm(x: &[f32], [gain, shift]: [&[f32]; 2], epsilon: f32) -> Vec<f32> {
    let k = gain.len();
    assert!(k > 0 && shift.len() == k && x.len().is_multiple_of(k));
    let mut y = vec![0.0; x.len()];
    if y.is_empty() {
        return y;
    }
    let work = share::EASY * x.len();
    let each = (x.len() / k).div_ceil(4 * share::threads_for(work));
    let mut rooms = share::rooms(work, || ());
    share::pieces(&mut y, each * k, &mut rooms, |(), i, y| {
        for (x, y) in x[i * each * k..].chunks_exact(k).zip(y.chunks_exact_mut(k)) {
            let mean = sum(x, |v| v) / k as f32;
            let variance = sum(x, |v| (v - mean) * (v - mean)) / k as f32;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for (((y, x), g), s) in y.iter_mut().zip(x).zip(gain).zip(shift) {
                *y = (x - mean) * scale * g + s;
            }
        }
    });
    y
}

/// Sum of `of(v)` over a row.
#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (groups, rest) = row.as_chunks::<LANES>();
    for group in groups {
        for i in 0..LANES {
            sums[i] += of(group[i]);
        }
    }
    rest.iter().map(|v| of(*v)).chain(sums).sum()
}
