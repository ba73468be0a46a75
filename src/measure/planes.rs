//! The picture as planes that measurements average over, for the part of it that holds the face.

use crate::fict::BACKGROUND;
use crate::image::Rgb8;
use crate::image::{blur::gaussian, rect::Rect};

/// Planes over [`Planes::rect`], row-major; positions are those of the whole picture.
#[derive(Debug)]
pub struct Planes {
    /// Side of the picture, px.
    pub width: usize,
    /// Where planes exist: the face and a margin.
    pub rect: Rect,
    /// Y' of BT.601, levels.
    pub luma: Vec<f32>,
    /// Cb and Cr of BT.601, offsets from grey, levels.
    pub chroma: Vec<[f32; 2]>,
    /// Luma minus its Gaussian of 1.2 px, levels, signed: detail finer than about 4 px.
    pub fine: Vec<f32>,
    /// |Y ∗ [1 −2 1; −2 4 −2; 1 −2 1]|, levels: blind to edges and ramps (Immerkær, "Fast noise variance estimation", 1996).
    pub noise: Vec<f32>,
    /// Length of the Sobel gradient of luma, levels a pixel.
    pub gradient: Vec<f32>,
}

/// Margin around the labelled face, px.
const MARGIN: usize = 20;

impl Planes {
    /// `None` when no pixel of the picture has a label.
    pub fn of(image: &Rgb8, labels: &[u8]) -> Option<Self> {
        let (w, h) = (image.width, image.height);
        if labels.len() != w * h || image.data.len() != 3 * w * h {
            return None;
        }
        let rect = Rect::of(w, h, |i| labels[i] != BACKGROUND)?.grown(MARGIN, w, h);
        let (rw, rh) = (rect.width(), rect.height());
        let (mut luma, mut chroma) = (Vec::with_capacity(rw * rh), Vec::with_capacity(rw * rh));
        for y in rect.y0..rect.y1 {
            for p in image.data[3 * (y * w + rect.x0)..3 * (y * w + rect.x1)].as_chunks::<3>().0 {
                let [r, g, b] = p.map(f32::from);
                let l = 0.299 * r + 0.587 * g + 0.114 * b;
                luma.push(l);
                chroma.push([0.564 * (b - l), 0.713 * (r - l)]);
            }
        }
        let mut fine = luma.clone();
        gaussian(&mut fine, rw, rh, 1.2);
        fine.iter_mut().zip(&luma).for_each(|(f, l)| *f = l - *f);
        let (mut noise, mut gradient) = (vec![0.0; rw * rh], vec![0.0; rw * rh]);
        for y in 1..rh.saturating_sub(1) {
            let row = |k: usize| &luma[k * rw..(k + 1) * rw];
            let (a, b, c) = (row(y - 1), row(y), row(y + 1));
            for x in 1..rw - 1 {
                let (l, r) = (x - 1, x + 1);
                noise[y * rw + x] = (a[l] - 2.0 * a[x] + a[r] - 2.0 * b[l] + 4.0 * b[x] - 2.0 * b[r] + c[l] - 2.0 * c[x] + c[r]).abs();
                let gx = a[r] + 2.0 * b[r] + c[r] - a[l] - 2.0 * b[l] - c[l];
                let gy = c[l] + 2.0 * c[x] + c[r] - a[l] - 2.0 * a[x] - a[r];
                gradient[y * rw + x] = (gx * gx + gy * gy).sqrt() / 8.0;
            }
        }
        Some(Self { width: w, rect, luma, chroma, fine, noise, gradient })
    }

    /// Index into the planes of pixel index `i` of the picture; `None` outside of them.
    pub fn at(&self, i: usize) -> Option<usize> {
        let (x, y) = (i % self.width, i / self.width);
        let r = &self.rect;
        (x >= r.x0 && x < r.x1 && y >= r.y0 && y < r.y1).then(|| (y - r.y0) * r.width() + x - r.x0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_ignores_a_ramp_and_sees_grain() {
        let make = |grain: u8| {
            let data = (0..64 * 64)
                .flat_map(|i: usize| [(2 * (i % 64)) as u8 + if (i * 7919 / 13).is_multiple_of(2) { grain } else { 0 }; 3])
                .collect();
            let p = Planes::of(&Rgb8 { width: 64, height: 64, data }, &[0; 64 * 64]).unwrap();
            p.noise.iter().sum::<f32>() / p.noise.len() as f32
        };
        assert!(make(0) < 0.01 && make(6) > 3.0, "{} {}", make(0), make(6));
    }
}
