//! The full range of what happens to photos on their way: up to two JPEGs, WebP, strong shrinking, blur, noise, screenshots.
//!
//! Drawn without knowing whether the picture is forged, from a stream of its own. Pixels keep their frame (a shrunk picture
//! is enlarged again), so size tells nothing. Chroma is averaged before a JPEG as 4:4:4, 4:2:2 or 4:2:0 would. WebP is
//! libwebp's lossy encoder (the encoder of `image` is lossless, which leaves no trace).

use rand::Rng;
use rand::rngs::SmallRng;

use super::degrade::{jpeg, resized};
use super::pixels::{Img, Rect, between, chance, normal};
use crate::image::Rgb8;

/// One JPEG pass.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Jpeg {
    /// 30–95.
    pub quality: u8,
    /// Chroma samples averaged together: width and height, 1 or 2.
    pub chroma: [u8; 2],
}

/// Drawn degradation; applied in the order of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Wild {
    /// Gaussian blur, px.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blur: Option<f32>,
    /// A first JPEG, before resizing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_jpeg: Option<Jpeg>,
    /// Shrunk to this part of the side and back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resize: Option<f32>,
    /// Standard deviation of added noise, levels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub noise: Option<f32>,
    /// A screenshot: scaled by this and back, sharpened, gamma moved slightly.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub screen: Option<f32>,
    /// The last JPEG.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jpeg: Option<Jpeg>,
    /// Quality of a lossy WebP in place of the last JPEG, 30–95.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub webp: Option<u8>,
}

impl Wild {
    /// Three pictures in ten stay as they are.
    pub fn draw(rng: &mut SmallRng) -> Self {
        if chance(rng, 0.3) {
            return Self::default();
        }
        let jpeg =
            |rng: &mut SmallRng| Jpeg { quality: rng.random_range(30..=95), chroma: [[1, 1], [2, 1], [2, 2]][rng.random_range(0..3)] };
        let mut d = Self {
            blur: chance(rng, 0.12).then(|| between(rng, 0.4, 1.4)),
            first_jpeg: chance(rng, 0.2).then(|| jpeg(rng)),
            // Mostly mild: at a quarter of the side little of a forgery is left.
            resize: chance(rng, 0.3).then(|| 1.0 - 0.75 * between(rng, 0.0, 1.0).powi(2)),
            noise: chance(rng, 0.12).then(|| between(rng, 1.0, 5.0)),
            screen: chance(rng, 0.1).then(|| between(rng, 0.6, 0.97)),
            jpeg: chance(rng, 0.65).then(|| jpeg(rng)),
            webp: None,
        };
        // One last file in four is a WebP.
        if let Some(j) = d.jpeg
            && chance(rng, 0.25)
        {
            (d.jpeg, d.webp) = (None, Some(j.quality));
        }
        if d == Self::default() {
            d.jpeg = Some(jpeg(rng));
        }
        d
    }

    /// Applies it. Noise uses `rng`.
    pub fn apply(&self, img: &Img, rng: &mut SmallRng) -> Rgb8 {
        let (w, h) = (img.width, img.height);
        let whole = Rect { x0: 0, y0: 0, x1: w, y1: h };
        let mut cur = std::borrow::Cow::Borrowed(img);
        if let Some(sigma) = self.blur {
            cur = std::borrow::Cow::Owned(cur.blurred(sigma, whole));
        }
        if let Some(j) = self.first_jpeg {
            cur = std::borrow::Cow::Owned(Img::from_rgb(&j.apply(&cur)));
        }
        if let Some(part) = self.resize {
            let side = |n: usize| ((n as f32 * part) as usize).max(8);
            cur = std::borrow::Cow::Owned(resized(&resized(&cur, side(w), side(h)), w, h));
        }
        if let Some(sd) = self.noise {
            for p in &mut cur.to_mut().px {
                *p = p.map(|v| v + sd * normal(rng));
            }
        }
        if let Some(part) = self.screen {
            let side = |n: usize| ((n as f32 * part) as usize).max(8);
            let small = resized(&cur, side(w), side(h)).to_rgb();
            let mut shown = resized(&Img::from_rgb(&small), w, h);
            let soft = shown.blurred(1.0, whole);
            let gamma = 0.92 + 0.16 * part;
            for (p, s) in shown.px.iter_mut().zip(&soft.px) {
                *p = [0, 1, 2].map(|c| {
                    let v = (p[c] + 0.5 * (p[c] - s[c])).clamp(0.0, 255.0);
                    255.0 * (v / 255.0).powf(gamma)
                });
            }
            cur = std::borrow::Cow::Owned(shown);
        }
        match (self.jpeg, self.webp) {
            (Some(j), _) => j.apply(&cur),
            (None, Some(quality)) => {
                let rgb = cur.to_rgb();
                webp(&rgb, quality).unwrap_or(rgb)
            }
            (None, None) => cur.to_rgb(),
        }
    }
}

/// Lossy WebP and back; `None` if the codec refuses.
fn webp(rgb: &Rgb8, quality: u8) -> Option<Rgb8> {
    let (width, height) = (u32::try_from(rgb.width).ok()?, u32::try_from(rgb.height).ok()?);
    let bytes = ::webp::Encoder::from_rgb(&rgb.data, width, height).encode_simple(false, f32::from(quality)).ok()?;
    let back = ::image::load_from_memory(&bytes).ok()?.into_rgb8();
    Some(Rgb8 { width: rgb.width, height: rgb.height, data: back.into_raw() })
}

impl Jpeg {
    fn apply(&self, img: &Img) -> Rgb8 {
        let rgb = if self.chroma == [1, 1] { img.to_rgb() } else { self.averaged(img).to_rgb() };
        jpeg(&rgb, self.quality).unwrap_or(rgb)
    }

    /// Chroma averaged over blocks, luma kept.
    fn averaged(&self, img: &Img) -> Img {
        let (w, h) = (img.width, img.height);
        let (bw, bh) = (usize::from(self.chroma[0]).max(1), usize::from(self.chroma[1]).max(1));
        let mut out = img.clone();
        for y in (0..h).step_by(bh) {
            for x in (0..w).step_by(bw) {
                let block = Rect { x0: x, y0: y, x1: (x + bw).min(w), y1: (y + bh).min(h) };
                let (mut cb, mut cr, mut n) = (0.0, 0.0, 0.0);
                for i in block.indices(w) {
                    let [r, g, b] = img.px[i];
                    let luma = 0.299 * r + 0.587 * g + 0.114 * b;
                    cb += b - luma;
                    cr += r - luma;
                    n += 1.0;
                }
                let (cb, cr) = (cb / n, cr / n);
                for i in block.indices(w) {
                    let [r, g, b] = img.px[i];
                    let luma = 0.299 * r + 0.587 * g + 0.114 * b;
                    out.px[i] = [luma + cr, luma - (0.114 * cb + 0.299 * cr) / 0.587, luma + cb];
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn picture() -> Img {
        let px =
            (0..64 * 64).map(|i| [(i % 64) as f32 * 3.0 + 20.0, (i / 64) as f32 * 3.0 + 20.0, if (i / 4) % 2 == 0 { 60.0 } else { 190.0 }]);
        Img { width: 64, height: 64, px: px.collect() }
    }

    #[test]
    fn each_step_changes_something_and_keeps_the_mean() {
        let (img, mut rng) = (picture(), SmallRng::seed_from_u64(3));
        assert_eq!(Wild::default().apply(&img, &mut rng), img.to_rgb());
        let jpeg = Some(Jpeg { quality: 40, chroma: [2, 2] });
        for d in [
            Wild { blur: Some(1.0), ..Wild::default() },
            Wild { first_jpeg: jpeg, ..Wild::default() },
            Wild { resize: Some(0.3), ..Wild::default() },
            Wild { noise: Some(3.0), ..Wild::default() },
            Wild { screen: Some(0.8), ..Wild::default() },
            Wild { jpeg, ..Wild::default() },
            Wild { webp: Some(40), ..Wild::default() },
        ] {
            let out = d.apply(&img, &mut rng);
            assert_ne!(out, img.to_rgb(), "{d:?}");
            let mean = |r: &Rgb8| r.data.iter().map(|&v| f32::from(v)).sum::<f32>() / r.data.len() as f32;
            assert!((mean(&out) - mean(&img.to_rgb())).abs() < 6.0, "{d:?} moves the mean");
        }
    }

    #[test]
    fn averaged_chroma_keeps_luma() {
        let img = picture();
        let out = Jpeg { quality: 90, chroma: [2, 2] }.averaged(&img);
        let luma = |p: [f32; 3]| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        assert!(img.px.iter().zip(&out.px).all(|(a, b)| (luma(*a) - luma(*b)).abs() < 0.01));
        assert!((out.px[0][0] - luma(out.px[0]) - (out.px[1][0] - luma(out.px[1]))).abs() < 0.01);
    }

    #[test]
    fn the_whole_range_is_drawn() {
        let mut rng = SmallRng::seed_from_u64(5);
        let all: Vec<Wild> = (0..4000).map(|_| Wild::draw(&mut rng)).collect();
        let n = all.iter().filter(|d| **d == Wild::default()).count();
        assert!((1100..1300).contains(&n), "{n}");
        assert!(all.iter().any(|d| d.jpeg.is_some_and(|j| j.quality < 33)) && all.iter().any(|d| d.resize.is_some_and(|r| r < 0.3)));
        assert!(all.iter().any(|d| d.first_jpeg.is_some() && d.jpeg.is_some()) && all.iter().any(|d| d.screen.is_some()));
        let files = all.iter().filter(|d| d.jpeg.is_some() || d.webp.is_some()).count() as f32;
        let webp = all.iter().filter(|d| d.webp.is_some()).count() as f32;
        assert!((0.18..0.3).contains(&(webp / files)), "{webp} of {files}");
        assert!(all.iter().all(|d| d.jpeg.is_none() || d.webp.is_none()));
    }
}
