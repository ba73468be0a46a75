//! Float images and the few filters that forging needs: blur, guided smoothing, smooth fill, bilinear sampling.
//!
//! Work is confined to a [`Rect`] wherever it can be: a forged eyebrow is 2 % of the crop. Values are sRGB levels 0..255
//! (blending in sRGB is what editors and face-swap tools do, so its traces are the ones to learn).

use rand::Rng;
use rand::rngs::SmallRng;

use crate::image::{Mask, Rgb8};

pub use crate::image::blur::{Value, boxed, gaussian};
pub use crate::image::rect::Rect;

/// Row-major RGB image in sRGB levels 0..255.
#[derive(Debug, Clone)]
pub struct Img {
    pub width: usize,
    pub height: usize,
    pub px: Vec<[f32; 3]>,
}

impl Img {
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, px: vec![[0.0; 3]; width * height] }
    }

    pub fn from_rgb(rgb: &Rgb8) -> Self {
        let px = rgb.data.as_chunks::<3>().0.iter().map(|p| p.map(f32::from)).collect();
        Self { width: rgb.width, height: rgb.height, px }
    }

    /// Rounds to bytes.
    pub fn to_rgb(&self) -> Rgb8 {
        let data = self.px.iter().flatten().map(|v| (v + 0.5).clamp(0.0, 255.0) as u8).collect();
        Rgb8 { width: self.width, height: self.height, data }
    }

    /// Bilinear sample at a point of the pixel frame (pixel centres at .5); the border pixels repeat outside.
    pub fn sample(&self, x: f32, y: f32) -> [f32; 3] {
        let x = (x - 0.5).clamp(0.0, (self.width - 1) as f32);
        let y = (y - 0.5).clamp(0.0, (self.height - 1) as f32);
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(self.width - 1), (y0 + 1).min(self.height - 1));
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let row = |y: usize| {
            let (a, b) = (self.px[y * self.width + x0], self.px[y * self.width + x1]);
            [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * fx)
        };
        let (a, b) = (row(y0), row(y1));
        [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * fy)
    }

    /// Copy of a rectangle.
    pub fn cut(&self, r: Rect) -> Self {
        Self { width: r.width(), height: r.height(), px: r.indices(self.width).map(|i| self.px[i]).collect() }
    }

    /// Copy in which rectangle `r` is blurred by a Gaussian of `sigma` px (its surroundings take part).
    pub fn blurred(&self, sigma: f32, r: Rect) -> Self {
        let pad = r.grown((3.0 * sigma).ceil() as usize + 1, self.width, self.height);
        let mut part = self.cut(pad);
        gaussian(&mut part.px, part.width, part.height, sigma);
        let mut out = self.clone();
        for y in r.y0..r.y1 {
            let from = (y - pad.y0) * part.width + r.x0 - pad.x0;
            out.px[y * self.width + r.x0..y * self.width + r.x1].copy_from_slice(&part.px[from..from + r.width()]);
        }
        out
    }
}

/// Self-guided edge-preserving smoothing (He et al., guided image filtering), per channel: flat parts are averaged over
/// `radius`, edges much stronger than `eps` levels stay.
pub fn guided(img: &Img, radius: usize, eps: f32) -> Img {
    let (w, h) = (img.width, img.height);
    let mut m: Vec<[f32; 6]> = img.px.iter().map(|p| [p[0], p[1], p[2], p[0] * p[0], p[1] * p[1], p[2] * p[2]]).collect();
    boxed(&mut m, w, h, radius);
    let mut ab: Vec<[f32; 6]> = m
        .iter()
        .map(|m| {
            let a = [0, 1, 2].map(|c| {
                let var = (m[c + 3] - m[c] * m[c]).max(0.0);
                var / (var + eps * eps)
            });
            [a[0], a[1], a[2], m[0] * (1.0 - a[0]), m[1] * (1.0 - a[1]), m[2] * (1.0 - a[2])]
        })
        .collect();
    boxed(&mut ab, w, h, radius);
    let px = img.px.iter().zip(&ab).map(|(p, k)| [0, 1, 2].map(|c| k[c] * p[c] + k[c + 3])).collect();
    Img { width: w, height: h, px }
}

/// Fills the pixels that are not `known` smoothly from those that are: pull-push start, then Gauss-Seidel on Laplace's
/// equation. With differences at a border as values this is the membrane of gradient-domain (Poisson) cloning.
pub fn fill_smooth(values: &mut [[f32; 3]], known: &[bool], w: usize, h: usize, sweeps: usize) {
    let weighted = values.iter().zip(known).map(|(v, &k)| if k { [v[0], v[1], v[2], 1.0] } else { [0.0; 4] }).collect();
    let full = pull_push(weighted, w, h);
    for ((v, f), &k) in values.iter_mut().zip(&full).zip(known) {
        if !k {
            *v = [f[0], f[1], f[2]];
        }
    }
    for _ in 0..sweeps {
        for y in 0..h {
            for x in 0..w {
                let i = y * w + x;
                if known[i] {
                    continue;
                }
                let (l, r) = (if x > 0 { i - 1 } else { i }, if x + 1 < w { i + 1 } else { i });
                let (u, d) = (if y > 0 { i - w } else { i }, if y + 1 < h { i + w } else { i });
                values[i] = [0, 1, 2].map(|c| 0.25 * (values[l][c] + values[r][c] + values[u][c] + values[d][c]));
            }
        }
    }
}

/// Means of the known pixels on ever coarser grids, read back where the finer grid knows nothing.
fn pull_push(fine: Vec<[f32; 4]>, w: usize, h: usize) -> Vec<[f32; 4]> {
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let mut out = fine;
    if w * h > 1 && out.iter().any(|v| v[3] == 0.0) {
        let mut coarse = vec![[0.0f32; 4]; cw * ch];
        for y in 0..h {
            for x in 0..w {
                if out[y * w + x][3] > 0.0 {
                    let c = &mut coarse[(y / 2) * cw + x / 2];
                    *c = c.add(out[y * w + x], 1.0);
                }
            }
        }
        for c in coarse.iter_mut().filter(|c| c[3] > 0.0) {
            *c = [c[0] / c[3], c[1] / c[3], c[2] / c[3], 1.0];
        }
        let coarse = pull_push(coarse, cw, ch);
        let at = |x: i32, y: i32| coarse[y.clamp(0, ch as i32 - 1) as usize * cw + x.clamp(0, cw as i32 - 1) as usize];
        for y in 0..h {
            for x in 0..w {
                if out[y * w + x][3] == 0.0 {
                    let (fx, fy) = ((x as f32 - 0.5) / 2.0, (y as f32 - 0.5) / 2.0);
                    let (x0, y0) = (fx.floor(), fy.floor());
                    let (tx, ty) = (fx - x0, fy - y0);
                    let (x0, y0) = (x0 as i32, y0 as i32);
                    out[y * w + x] = [0.0; 4]
                        .add(at(x0, y0), (1.0 - tx) * (1.0 - ty))
                        .add(at(x0 + 1, y0), tx * (1.0 - ty))
                        .add(at(x0, y0 + 1), (1.0 - tx) * ty)
                        .add(at(x0 + 1, y0 + 1), tx * ty);
                }
            }
        }
    }
    out
}

/// Mask of the pixels whose alpha is at least `least`.
pub fn mask_of_alpha(alpha: &[f32], width: usize, height: usize, least: f32) -> Mask {
    Mask { width, height, data: alpha.iter().map(|&a| u8::from(a >= least)).collect() }
}

/// Mean absolute difference over a mask, in levels; 0 for an empty mask.
pub fn mean_change(a: &Img, b: &Img, mask: &Mask) -> f32 {
    let (mut sum, mut n) = (0.0, 0);
    for ((p, q), &m) in a.px.iter().zip(&b.px).zip(&mask.data) {
        if m == 1 {
            sum += (p[0] - q[0]).abs() + (p[1] - q[1]).abs() + (p[2] - q[2]).abs();
            n += 3;
        }
    }
    if n == 0 { 0.0 } else { sum / n as f32 }
}

/// Uniform in `a..b` (either order).
pub fn between(rng: &mut SmallRng, a: f32, b: f32) -> f32 {
    a + (b - a) * rng.random::<f32>()
}

/// True with probability `p`.
pub fn chance(rng: &mut SmallRng, p: f32) -> bool {
    rng.random::<f32>() < p
}

/// Standard normal deviate (Box-Muller).
pub fn normal(rng: &mut SmallRng) -> f32 {
    let u: f32 = rng.random::<f32>().max(1e-7);
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * rng.random::<f32>()).cos()
}

/// One element by weight; the list must not be empty.
pub fn weighted<'a, T>(rng: &mut SmallRng, items: &'a [T], weight: impl Fn(&T) -> f32) -> &'a T {
    let mut left = rng.random::<f32>() * items.iter().map(&weight).sum::<f32>();
    for item in items {
        left -= weight(item);
        if left < 0.0 {
            return item;
        }
    }
    &items[items.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_fill_continues_a_ramp() {
        let (w, h) = (40, 30);
        let mut v: Vec<[f32; 3]> = (0..w * h).map(|i| [(i % w) as f32; 3]).collect();
        let known: Vec<bool> = (0..w * h).map(|i| !(12..28).contains(&(i % w)) || !(8..22).contains(&(i / w))).collect();
        let truth = v.clone();
        for (p, &k) in v.iter_mut().zip(&known) {
            if !k {
                *p = [99.0; 3];
            }
        }
        fill_smooth(&mut v, &known, w, h, 60);
        let worst = v.iter().zip(&truth).map(|(a, b)| (a[0] - b[0]).abs()).fold(0.0, f32::max);
        assert!(worst < 0.5, "{worst}"); // a harmonic function continues a ramp exactly; 60 sweeps come this near
    }

    #[test]
    fn guided_flattens_noise_and_keeps_an_edge() {
        let (w, h) = (60, 20);
        let px = (0..w * h).map(|i| [if i % w < 30 { 50.0 } else { 200.0 } + if (i * 7919) % 5 < 2 { 4.0 } else { -4.0 }; 3]);
        let img = Img { width: w, height: h, px: px.collect() };
        let out = guided(&img, 4, 20.0);
        let edge = out.px[10 * w + 31][0] - out.px[10 * w + 28][0];
        assert!(edge > 120.0, "{edge}");
        let rough = |i: &Img| (5..20).map(|x| (i.px[10 * w + x][0] - i.px[10 * w + x + 1][0]).abs()).sum::<f32>();
        assert!(rough(&out) < 0.3 * rough(&img));
    }

    #[test]
    fn sampling_hits_pixel_centres() {
        let img = Img { width: 2, height: 1, px: vec![[0.0; 3], [10.0; 3]] };
        assert_eq!(img.sample(0.5, 0.5), [0.0; 3]);
        assert_eq!(img.sample(1.0, 0.5), [5.0; 3]);
        assert_eq!(img.sample(9.0, -3.0), [10.0; 3]);
    }
}
