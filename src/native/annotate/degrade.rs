//! Degradations: what happens to photos on their way. Drawn without knowing whether the picture is forged.

use rand::Rng;
use rand::rngs::SmallRng;

use super::pixels::{Img, Rect, between, chance, normal};
use crate::image::Rgb8;

/// Drawn degradation; `None` fields are steps not taken. Applied in the order of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Degradation {
    /// Gaussian blur, px.
    pub blur: Option<f32>,
    /// Shrunk to this part of the side and back.
    pub resize: Option<f32>,
    /// Standard deviation of added noise, levels.
    pub noise: Option<f32>,
    /// JPEG quality.
    pub jpeg: Option<u8>,
}

impl Degradation {
    /// Two pictures in five stay as they are. Heavier treatment leaves nothing of most forgeries to be seen, and is for the
    /// full annotator.
    pub fn draw(rng: &mut SmallRng) -> Self {
        if chance(rng, 0.4) {
            return Self::default();
        }
        let mut d = Self {
            blur: chance(rng, 0.15).then(|| between(rng, 0.4, 1.0)),
            resize: chance(rng, 0.2).then(|| between(rng, 0.6, 1.0)),
            noise: chance(rng, 0.15).then(|| between(rng, 1.0, 4.0)),
            jpeg: chance(rng, 0.7).then(|| rng.random_range(55..=95)),
        };
        if d == Self::default() {
            d.jpeg = Some(rng.random_range(55..=95));
        }
        d
    }

    /// Applies it. Noise uses `rng`.
    pub fn apply(&self, img: &Img, rng: &mut SmallRng) -> Rgb8 {
        let (w, h) = (img.width, img.height);
        let mut cur = img.clone();
        if let Some(sigma) = self.blur {
            cur = cur.blurred(sigma, Rect { x0: 0, y0: 0, x1: w, y1: h });
        }
        if let Some(part) = self.resize {
            let (sw, sh) = (((w as f32 * part) as usize).max(8), ((h as f32 * part) as usize).max(8));
            cur = resized(&resized(&cur, sw, sh), w, h);
        }
        if let Some(sd) = self.noise {
            for p in &mut cur.px {
                *p = p.map(|v| v + sd * normal(rng));
            }
        }
        let rgb = cur.to_rgb();
        match self.jpeg {
            Some(quality) => jpeg(&rgb, quality).unwrap_or(rgb),
            None => rgb,
        }
    }
}

/// Bilinear when growing, box-averaged bilinear when shrinking.
pub(super) fn resized(img: &Img, w: usize, h: usize) -> Img {
    let (sx, sy) = (img.width as f32 / w as f32, img.height as f32 / h as f32);
    let sub = (sx.max(sy).ceil() as usize).clamp(1, 4);
    let mut out = Img::new(w, h);
    for (i, p) in out.px.iter_mut().enumerate() {
        let mut sum = [0.0; 3];
        for k in 0..sub * sub {
            let x = ((i % w) as f32 + ((k % sub) as f32 + 0.5) / sub as f32) * sx;
            let y = ((i / w) as f32 + ((k / sub) as f32 + 0.5) / sub as f32) * sy;
            let v = img.sample(x, y);
            (0..3).for_each(|c| sum[c] += v[c]);
        }
        *p = sum.map(|v| v / (sub * sub) as f32);
    }
    out
}

/// Encodes and decodes; `None` if the codec refuses (it does not for sizes used here).
pub(crate) fn jpeg(rgb: &Rgb8, quality: u8) -> Option<Rgb8> {
    let mut bytes = Vec::new();
    ::image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&rgb.data, rgb.width as u32, rgb.height as u32, ::image::ExtendedColorType::Rgb8)
        .ok()?;
    let back = ::image::load_from_memory(&bytes).ok()?.into_rgb8();
    Some(Rgb8 { width: rgb.width, height: rgb.height, data: back.into_raw() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn picture() -> Img {
        let px = (0..64 * 64).map(|i| [(i % 64) as f32 * 4.0, (i / 64) as f32 * 4.0, if (i / 4) % 2 == 0 { 40.0 } else { 200.0 }]);
        Img { width: 64, height: 64, px: px.collect() }
    }

    #[test]
    fn none_changes_nothing_and_each_step_changes_something() {
        let img = picture();
        let mut rng = SmallRng::seed_from_u64(3);
        assert_eq!(Degradation::default().apply(&img, &mut rng), img.to_rgb());
        for d in [
            Degradation { blur: Some(1.0), ..Default::default() },
            Degradation { resize: Some(0.5), ..Default::default() },
            Degradation { noise: Some(3.0), ..Default::default() },
            Degradation { jpeg: Some(40), ..Default::default() },
        ] {
            let out = d.apply(&img, &mut rng);
            assert_ne!(out, img.to_rgb());
            let mean = |r: &Rgb8| r.data.iter().map(|&v| f32::from(v)).sum::<f32>() / r.data.len() as f32;
            assert!((mean(&out) - mean(&img.to_rgb())).abs() < 3.0, "{d:?} moves the mean");
        }
    }

    #[test]
    fn two_in_five_are_untouched() {
        let mut rng = SmallRng::seed_from_u64(5);
        let n = (0..4000).filter(|_| Degradation::draw(&mut rng) == Degradation::default()).count();
        assert!((1480..1720).contains(&n), "{n}");
    }
}
