//! The FaceMesh V2 network: a 256×256 face → 478 points and a presence logit.
//!
//! Architecture of MediaPipe's `face_landmarks_detector` (the mesh of 468 points with 2×5 iris points, trained jointly):
//! a stem, then seven stages of four bottleneck units, each stage but the last followed by a unit that halves the map.
//! A unit is 1×1 (or 2×2 stride 2) "expand" → PReLU → 3×3 depthwise → 1×1 "project", added to the identity, PReLU.
//! Batch norms are folded upstream; depthwise biases are all zero there and therefore absent here.

use super::detector::shortcut;
use crate::error::Result;
use crate::weights::{Conv, Init, Vars};
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{PRelu, PaddingConfig2d};
use burn::tensor::Tensor;

/// Side of the input, pixels.
pub const INPUT: usize = 256;
/// Points of the mesh: 468 of the face, then 5 of each iris (right of the subject first).
pub const POINTS: usize = 478;

/// Unit `i`: channels in, inside, out, and its stride. Upstream order.
pub fn unit_shape(i: usize) -> (usize, usize, usize, usize) {
    /// Channels of the seven stages.
    const WIDTHS: [usize; 7] = [16, 32, 64, 128, 128, 128, 128];
    let (stage, place) = (i / 5, i % 5);
    let width = WIDTHS[stage.min(6)];
    if place < 4 { (width, width / 2, width, 1) } else { (width, width.min(64), WIDTHS[(stage + 1).min(6)], 2) }
}

/// Number of units: 7 stages of 4, and 6 that halve the map.
pub const UNITS: usize = 34;

#[derive(Module, Debug)]
struct Unit {
    expand: Conv2d,
    inner: PRelu,
    depth: Conv2d,
    project: Conv2d,
    outer: PRelu,
    #[module(skip)]
    growth: usize,
}

/// The mesh network.
#[derive(Module, Debug)]
pub struct MeshNet {
    stem: Conv2d,
    stem_act: PRelu,
    units: Vec<Unit>,
    points: Conv2d,
    presence: Conv2d,
}

/// Raw outputs.
pub struct RawMesh {
    /// `[batch, 478 * 3]`: x, y in input pixels; z in the same unit, smaller is nearer.
    pub points: Tensor<2>,
    /// Logit of "a face is there" `[batch, 1]`.
    pub presence: Tensor<2>,
}

impl MeshNet {
    /// Reads `stem`, `stem_act`, `units.N.{expand,inner,depth,project,outer}`, `points`, `presence`.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(v: &Vars) -> Result<Self> {
        let prelu = |v: &Vars, name: &str, channels: usize| -> Result<PRelu> {
            Ok(PRelu { alpha: v.pp(name).param("alpha", [channels], Init::Const(0.25))?, alpha_value: 0.25 })
        };
        let mut stem = v.conv2d("stem", [3, 16], Conv { kernel: 3, stride: 2, padding: 0, groups: 1 }, true)?;
        // TensorFlow's "same": the odd row of padding is at the end.
        stem.padding = PaddingConfig2d::Explicit(0, 0, 1, 1);
        let mut units = Vec::with_capacity(UNITS);
        for i in 0..UNITS {
            let v = v.pp("units").pp(i);
            let (from, mid, to, stride) = unit_shape(i);
            // Kernel = stride: 1×1, or 2×2 without overlap.
            let expand = Conv { kernel: stride, stride, padding: 0, groups: 1 };
            units.push(Unit {
                expand: v.conv2d("expand", [from, mid], expand, true)?,
                inner: prelu(&v, "inner", mid)?,
                depth: v.conv2d("depth", [mid, mid], Conv::same(3).groups(mid), false)?,
                project: v.conv2d("project", [mid, to], Conv::same(1), true)?,
                outer: prelu(&v, "outer", to)?,
                growth: to - from,
            });
        }
        let head = Conv { kernel: 2, stride: 1, padding: 0, groups: 1 };
        Ok(Self {
            stem,
            stem_act: prelu(v, "stem_act", 16)?,
            units,
            points: v.conv2d("points", [128, POINTS * 3], head, true)?,
            presence: v.conv2d("presence", [128, 1], head, true)?,
        })
    }

    /// `image`: `[batch, 3, 256, 256]`, RGB scaled to `0..1`.
    pub fn forward(&self, image: Tensor<4>) -> RawMesh {
        let batch = image.dims()[0];
        let mut x = self.stem_act.forward(self.stem.forward(image));
        for unit in &self.units {
            x = unit.forward(x);
        }
        RawMesh {
            points: self.points.forward(x.clone()).reshape([batch, POINTS * 3]),
            presence: self.presence.forward(x).reshape([batch, 1]),
        }
    }
}

impl Unit {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.inner.forward(self.expand.forward(x.clone()));
        let y = self.project.forward(self.depth.forward(y));
        self.outer.forward(shortcut(x, self.expand.stride[0], self.growth) + y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_map_shrinks_to_two_cells_and_the_channels_chain() {
        let mut side = INPUT / 2;
        let mut channels = 16;
        for i in 0..UNITS {
            let (from, _, to, stride) = unit_shape(i);
            assert_eq!(from, channels);
            channels = to;
            side /= stride;
        }
        assert_eq!((side, channels), (2, 128));
    }

    #[test]
    fn outputs_have_one_row_per_face() {
        let device = Device::flex();
        let net = MeshNet::build(&Vars::random(1, &device)).unwrap();
        let raw = net.forward(Tensor::zeros([1, 3, INPUT, INPUT], &device));
        assert_eq!(raw.points.dims(), [1, POINTS * 3]);
        assert_eq!(raw.presence.dims(), [1, 1]);
    }
}
