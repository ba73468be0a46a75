//! The square crop around a face, with its augmentation: one bilinear resampling for real and forged alike.
//!
//! Without augmentation it is the crop the model sees later: side 1.6 × the longer side of the mesh box, centred on it,
//! outside of the photo grey 127. With it: shift and scale up to ±8 %, mirroring, mild light, colour and gamma.

use rand::Rng;
use rand::rngs::SmallRng;

use super::pack::Photo;
use super::pixels::{Img, between, chance};
use crate::error::Result;
use crate::fict::mesh::MIRROR;
use crate::image::Rgb8;

/// Crop side over the longer side of the mesh box.
pub const FACTOR: f32 = 1.6;
const OUTSIDE: f32 = 127.0;

/// A crop with the mesh in its pixels.
#[derive(Debug, Clone)]
pub struct Cropped {
    /// Values are whole levels 0..255.
    pub image: Img,
    pub mesh: Vec<[f32; 3]>,
    /// Crop pixels a photo pixel, at least 1.
    pub texel: f32,
    /// Left and top of the crop in photo pixels, and photo pixels a crop pixel (before mirroring).
    pub origin: [f32; 2],
    pub step: f32,
}

/// Augmentation of one crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augment {
    pub flip: bool,
    pub scale: f32,
    /// Shift in parts of the side.
    pub shift: [f32; 2],
    pub gain: [f32; 3],
    pub offset: f32,
    pub gamma: f32,
}

impl Augment {
    /// No change.
    pub const NONE: Self = Self { flip: false, scale: 1.0, shift: [0.0; 2], gain: [1.0; 3], offset: 0.0, gamma: 1.0 };

    /// A drawn augmentation.
    pub fn draw(rng: &mut SmallRng) -> Self {
        let mut a = Self {
            flip: rng.random(),
            scale: 1.0 + between(rng, -0.08, 0.08),
            shift: [between(rng, -0.08, 0.08), between(rng, -0.08, 0.08)],
            ..Self::NONE
        };
        if chance(rng, 0.6) {
            let light = between(rng, 0.85, 1.15);
            a.gain = [0; 3].map(|_| light * between(rng, 0.95, 1.05));
            a.offset = between(rng, -12.0, 12.0);
            a.gamma = between(rng, 0.85, 1.18);
        }
        a
    }
}

/// Cuts the crop of `side` px from a decoded photo.
pub fn cut(photo: &Photo, rgb: &Rgb8, side: usize, a: &Augment) -> Cropped {
    let b = photo.mesh_box();
    let size = FACTOR * (b[2] - b[0]).max(b[3] - b[1]).max(1.0) * a.scale;
    let (x0, y0) = ((b[0] + b[2]) / 2.0 - size / 2.0 + a.shift[0] * size, (b[1] + b[3]) / 2.0 - size / 2.0 + a.shift[1] * size);
    let step = size / side as f32;
    // Area-like when shrinking: a grid of sub-samples a pixel.
    let sub = (step.ceil() as usize).clamp(1, 4);
    let curve: Vec<[f32; 3]> = (0..256).map(|v| a.gain.map(|g| tone(v as f32, g, a.offset, a.gamma))).collect();
    let toned = |c: usize, v: u8| curve[v as usize][c];
    let plain = a.gain == [1.0; 3] && a.offset == 0.0 && a.gamma == 1.0;
    let mut image = Img::new(side, side);
    let (columns, rows) = (taps(rgb.width, side, sub, step, x0), taps(rgb.height, side, sub, step, y0));
    for y in 0..side {
        for x in 0..side {
            let mut sum = [0.0f32; 3];
            for row in &rows[y * sub..(y + 1) * sub] {
                for column in &columns[x * sub..(x + 1) * sub] {
                    let p = bilinear(rgb, column, row);
                    (0..3).for_each(|c| sum[c] += p[c]);
                }
            }
            let at = y * side + if a.flip { side - 1 - x } else { x };
            image.px[at] = [0, 1, 2].map(|c| {
                let v = (sum[c] / (sub * sub) as f32 + 0.5) as u8;
                if plain { f32::from(v) } else { toned(c, v).round() }
            });
        }
    }
    let to_crop = |p: &[f32; 3]| {
        let x = (p[0] - x0) / step;
        [if a.flip { side as f32 - x } else { x }, (p[1] - y0) / step, p[2] / step]
    };
    let moved: Vec<[f32; 3]> = photo.mesh.iter().map(to_crop).collect();
    let mesh = if a.flip && moved.len() == MIRROR.len() { MIRROR.iter().map(|&i| moved[i as usize]).collect() } else { moved };
    Cropped { image, mesh, texel: (1.0 / step).max(1.0), origin: [x0, y0], step }
}

/// Loads a photo and cuts it.
///
/// # Errors
/// Those of [`Photo::load`].
pub fn load(photo: &Photo, side: usize, a: &Augment) -> Result<Cropped> {
    Ok(cut(photo, &photo.load()?, side, a))
}

fn tone(v: f32, gain: f32, offset: f32, gamma: f32) -> f32 {
    let v = ((v * gain + offset) / 255.0).clamp(0.0, 1.0);
    255.0 * v.powf(gamma)
}

/// Along one axis: the two pixels that a sample lies between, and how far it lies towards the second.
struct Tap {
    low: usize,
    high: usize,
    part: f32,
}

/// The samples of all crop pixels along one axis of a photo of `n` pixels, `sub` a crop pixel; `None` outside of the photo.
fn taps(n: usize, side: usize, sub: usize, step: f32, origin: f32) -> Vec<Option<Tap>> {
    let tap = |i: usize| {
        let at = ((i / sub) as f32 + ((i % sub) as f32 + 0.5) / sub as f32) * step + origin;
        (at >= 0.0 && at < n as f32).then(|| {
            let at = (at - 0.5).clamp(0.0, n as f32 - 1.0);
            let low = at as usize;
            Tap { low, high: (low + 1).min(n - 1), part: at - low as f32 }
        })
    };
    (0..side * sub).map(tap).collect()
}

/// Bilinear read of the photo, grey outside.
fn bilinear(rgb: &Rgb8, column: &Option<Tap>, row: &Option<Tap>) -> [f32; 3] {
    let (Some(x), Some(y)) = (column, row) else { return [OUTSIDE; 3] };
    let at = |x: usize, y: usize| {
        let i = 3 * (y * rgb.width + x);
        rgb.data.get(i..i + 3).map_or([OUTSIDE; 3], |p| [f32::from(p[0]), f32::from(p[1]), f32::from(p[2])])
    };
    let (a, b, c, d) = (at(x.low, y.low), at(x.high, y.low), at(x.low, y.high), at(x.high, y.high));
    [0, 1, 2].map(|k| {
        let (t, u) = (a[k] + (b[k] - a[k]) * x.part, c[k] + (d[k] - c[k]) * x.part);
        t + (u - t) * y.part
    })
}

#[cfg(test)]
mod tests {
    use super::super::pack::Split;
    use super::*;
    use crate::fict;

    fn photo() -> (Photo, Rgb8) {
        let mesh = crate::fict::tests::mean_mesh(320.0);
        let mut rgb = Rgb8 { width: 320, height: 320, data: vec![60; 320 * 320 * 3] };
        // A bright square on the tip of the nose (mesh point 4).
        let (nx, ny) = (mesh[4][0] as usize, mesh[4][1] as usize);
        for y in ny - 4..ny + 4 {
            for x in nx - 4..nx + 4 {
                rgb.data[3 * (y * 320 + x)] = 255;
            }
        }
        (Photo::in_memory("p", Split::Train, rgb.clone(), mesh), rgb)
    }

    #[test]
    fn the_mesh_follows_the_pixels_through_shift_scale_and_mirror() {
        let (photo, rgb) = photo();
        for flip in [false, true] {
            let a = Augment { flip, scale: 1.07, shift: [0.05, -0.06], ..Augment::NONE };
            let crop = cut(&photo, &rgb, 448, &a);
            let nose = crop.mesh[4];
            let at = |x: f32, y: f32| crop.image.px[y as usize * 448 + x as usize][0];
            assert!(at(nose[0], nose[1]) > 200.0, "flip {flip}");
            assert!(at(nose[0] + 20.0, nose[1]) < 70.0);
            // Mirrored or not, the subject's left eye is on the right of the crop.
            let m = fict::mask("left_eye", &crop.mesh, 448, 448).unwrap();
            let x = m.data.iter().enumerate().filter(|(_, v)| **v == 1).map(|(i, _)| i % 448).max().unwrap();
            assert!(x > 224);
        }
    }

    #[test]
    fn plain_crop_has_the_contract_size_and_grey_outside() {
        let (photo, rgb) = photo();
        let crop = cut(&photo, &rgb, 448, &Augment::NONE);
        let b = crop.mesh.iter().take(468).fold([f32::MAX, f32::MIN], |b, p| [b[0].min(p[1]), b[1].max(p[1])]);
        assert!((b[1] - b[0] - 448.0 / 1.6).abs() < 1.0);
        let out = cut(&photo, &rgb, 448, &Augment { shift: [0.9, 0.0], ..Augment::NONE });
        assert_eq!(out.image.px[447], [127.0; 3]);
    }
}
