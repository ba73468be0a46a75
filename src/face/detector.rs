//! The BlazeFace short-range detector: 128×128 photo → 896 raw candidates.
//!
//! Architecture of MediaPipe's `face_detection_short_range` (Bazarevsky et al. 2019): a 5×5 stem, sixteen residual
//! blocks of a 3×3 depthwise and a 1×1 convolution, and a pair of 1×1 heads at strides 8 and 16. Batch norms are folded
//! upstream. TensorFlow's "same" padding puts the odd row at the *end*, hence the asymmetric pads.
//! Turning raw values into boxes is [`super::candidates`]' work.

use crate::error::Result;
use crate::weights::{Conv, Vars};
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::{MaxPoolOptions, PadMode};

/// Side of the detector's input, pixels.
pub const INPUT: usize = 128;
/// Candidates: 16×16 cells × 2 + 8×8 cells × 6.
pub const CANDIDATES: usize = 896;
/// Values of a candidate: box centre and size, then six key points; all in input pixels relative to its anchor.
pub const VALUES: usize = 16;

/// Channels into and out of each block, and its stride. The first head reads after block 10, the second at the end.
pub const BLOCKS: [(usize, usize, usize); 16] = [
    (24, 24, 1),
    (24, 28, 1),
    (28, 32, 2),
    (32, 36, 1),
    (36, 42, 1),
    (42, 48, 2),
    (48, 56, 1),
    (56, 64, 1),
    (64, 72, 1),
    (72, 80, 1),
    (80, 88, 1),
    (88, 96, 2),
    (96, 96, 1),
    (96, 96, 1),
    (96, 96, 1),
    (96, 96, 1),
];
/// Index of the last block before the first head.
const FIRST_HEAD: usize = 10;

/// One residual block.
#[derive(Module, Debug)]
struct Block {
    depth: Conv2d,
    point: Conv2d,
    #[module(skip)]
    growth: usize,
}

/// The detector network.
#[derive(Module, Debug)]
pub struct Detector {
    stem: Conv2d,
    blocks: Vec<Block>,
    score_8: Conv2d,
    score_16: Conv2d,
    box_8: Conv2d,
    box_16: Conv2d,
}

/// Raw outputs, before anchors.
pub struct RawDetections {
    /// Logits `[batch, 896]`.
    pub scores: Tensor<2>,
    /// Box and key points `[batch, 896, 16]`, input pixels relative to the anchors.
    pub values: Tensor<3>,
}

impl Detector {
    /// Reads `stem`, `blocks.N.{depth,point}`, `score_8`, `score_16`, `box_8`, `box_16`.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(v: &Vars) -> Result<Self> {
        let mut stem = v.conv2d("stem", [3, 24], Conv { kernel: 5, stride: 2, padding: 0, groups: 1 }, true)?;
        stem.padding = PaddingConfig2d::Explicit(1, 1, 2, 2);
        let mut blocks = Vec::with_capacity(BLOCKS.len());
        for (i, &(from, to, stride)) in BLOCKS.iter().enumerate() {
            let v = v.pp("blocks").pp(i);
            let mut depth = v.conv2d("depth", [from, from], Conv { kernel: 3, stride, padding: 1, groups: from }, false)?;
            if stride == 2 {
                depth.padding = PaddingConfig2d::Explicit(0, 0, 1, 1);
            }
            blocks.push(Block { depth, point: v.conv2d("point", [from, to], Conv::same(1), true)?, growth: to - from });
        }
        let head = |name, from, to| v.conv2d(name, [from, to], Conv::same(1), true);
        Ok(Self {
            stem,
            blocks,
            score_8: head("score_8", 88, 2)?,
            score_16: head("score_16", 96, 6)?,
            box_8: head("box_8", 88, 2 * VALUES)?,
            box_16: head("box_16", 96, 6 * VALUES)?,
        })
    }

    /// `image`: `[batch, 3, 128, 128]`, RGB scaled to `-1..1`.
    pub fn forward(&self, image: Tensor<4>) -> RawDetections {
        let batch = image.dims()[0];
        let mut x = relu(self.stem.forward(image));
        let mut middle = x.clone();
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(x);
            if i == FIRST_HEAD {
                middle = x.clone();
            }
        }
        // Channels last, so that the anchors of one cell are neighbours.
        let flat = |t: Tensor<4>, width: usize| t.permute([0, 2, 3, 1]).reshape([batch as i32, -1, width as i32]);
        let scores = [flat(self.score_8.forward(middle.clone()), 1), flat(self.score_16.forward(x.clone()), 1)];
        let values = [flat(self.box_8.forward(middle), VALUES), flat(self.box_16.forward(x), VALUES)];
        RawDetections { scores: Tensor::cat(scores.to_vec(), 1).reshape([batch, CANDIDATES]), values: Tensor::cat(values.to_vec(), 1) }
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.point.forward(self.depth.forward(x.clone()));
        let x = shortcut(x, self.depth.stride[0], self.growth);
        relu(x + y)
    }
}

/// The identity branch: 2×2 max pooling where the block strides, zeros for the channels that it adds.
pub(super) fn shortcut(x: Tensor<4>, stride: usize, growth: usize) -> Tensor<4> {
    let x = if stride == 2 { max_pool2d(x, MaxPoolOptions::new([2, 2])) } else { x };
    if growth == 0 { x } else { x.pad([(0, 0), (0, growth), (0, 0), (0, 0)], PadMode::Constant(0.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn outputs_have_one_row_per_anchor() {
        let device = Device::flex();
        let net = Detector::build(&Vars::random(1, &device)).unwrap();
        let raw = net.forward(Tensor::zeros([2, 3, INPUT, INPUT], &device));
        assert_eq!(raw.scores.dims(), [2, CANDIDATES]);
        assert_eq!(raw.values.dims(), [2, CANDIDATES, VALUES]);
    }
}
