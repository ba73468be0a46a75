//! Blur of planes of numbers or of colours, in place: Gaussian and box. Rows, then columns.

/// What a filter can average.
pub trait Value: Copy {
    const ZERO: Self;
    fn add(self, o: Self, k: f32) -> Self;
}

impl Value for f32 {
    const ZERO: Self = 0.0;
    fn add(self, o: Self, k: f32) -> Self {
        self + o * k
    }
}

impl<const N: usize> Value for [f32; N] {
    const ZERO: Self = [0.0; N];
    fn add(mut self, o: Self, k: f32) -> Self {
        for (a, b) in self.iter_mut().zip(o) {
            *a += b * k;
        }
        self
    }
}

/// Gaussian blur in place; borders repeat. Exact taps up to sigma 2, three box passes above.
pub fn gaussian<V: Value>(data: &mut [V], w: usize, h: usize, sigma: f32) {
    if sigma < 0.05 || data.is_empty() {
        return;
    }
    if sigma > 2.0 {
        // Three boxes of radius r have variance 3·((2r+1)²−1)/12 = r(r+1).
        let r = ((sigma * sigma + 0.25).sqrt() - 0.5).round().max(1.0) as usize;
        for _ in 0..3 {
            boxed(data, w, h, r);
        }
        return;
    }
    let r = (3.0 * sigma).ceil() as usize;
    let mut taps: Vec<f32> = (0..=2 * r).map(|i| (-(i as f32 - r as f32).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f32 = taps.iter().sum();
    taps.iter_mut().for_each(|t| *t /= sum);
    lines(data, w, h, |line, out| {
        let n = line.len();
        for (i, o) in out.iter_mut().enumerate() {
            let mut sum = V::ZERO;
            if i >= r && i + r < n {
                for (v, k) in line[i - r..=i + r].iter().zip(&taps) {
                    sum = sum.add(*v, *k);
                }
            } else {
                for (t, k) in taps.iter().enumerate() {
                    sum = sum.add(line[(i + t).saturating_sub(r).min(n - 1)], *k);
                }
            }
            *o = sum;
        }
    });
}

/// Box mean of radius `r` in place; borders repeat.
pub fn boxed<V: Value>(data: &mut [V], w: usize, h: usize, r: usize) {
    let k = 1.0 / (2 * r + 1) as f32;
    lines(data, w, h, |line, out| {
        let n = line.len();
        let at = |i: usize| line[i.saturating_sub(r).min(n - 1)];
        let mut sum = (0..=2 * r).fold(V::ZERO, |s, i| s.add(at(i), 1.0));
        for (i, o) in out.iter_mut().enumerate() {
            *o = V::ZERO.add(sum, k);
            sum = sum.add(at(i + 2 * r + 1), 1.0).add(at(i), -1.0);
        }
    });
}

/// Runs a 1-d filter over all rows, then over all columns.
fn lines<V: Value>(data: &mut [V], w: usize, h: usize, f: impl Fn(&[V], &mut [V])) {
    let mut out = vec![V::ZERO; w.max(h)];
    for row in data.chunks_exact_mut(w) {
        f(row, &mut out[..w]);
        row.copy_from_slice(&out[..w]);
    }
    let mut line = vec![V::ZERO; h];
    for x in 0..w {
        for y in 0..h {
            line[y] = data[y * w + x];
        }
        f(&line, &mut out[..h]);
        for y in 0..h {
            data[y * w + x] = out[y];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blur_keeps_the_mean_and_spreads_by_sigma() {
        for sigma in [0.8f32, 1.5, 3.0, 6.0] {
            let n = 81;
            let mut d = vec![0.0f32; n * n];
            d[40 * n + 40] = 1.0;
            gaussian(&mut d, n, n, sigma);
            let sum: f32 = d.iter().sum();
            let var: f32 = d.iter().enumerate().map(|(i, v)| v * ((i % n) as f32 - 40.0).powi(2)).sum();
            assert!((sum - 1.0).abs() < 1e-3, "{sum}");
            assert!((var.sqrt() - sigma).abs() < 0.25 * sigma, "sigma {sigma}: {}", var.sqrt());
        }
    }
}
