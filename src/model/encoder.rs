//! The face encoder: MobileSAM's TinyViT-5M, from a normalised crop to a map of 256 channels at stride 16.
//!
//! Two stride-2 convolutions, a stage of inverted bottlenecks (stride 4), three stages of windowed attention (strides
//! 8, 16, 16: the last merging keeps the size, MobileSAM's change), and SAM's neck. Sources: TinyViT (Wu et al. 2022,
//! arXiv 2207.10666), MobileSAM (Zhang et al. 2023, arXiv 2306.14289), `mobile_sam/modeling/tiny_vit_sam.py`. Batch
//! normalisations are folded into the convolutions when weights are converted.
//!
//! Layout: the convolutional stage works on `[b, c, h, w]`; blocks of attention keep `[b, h, w, c]` and turn to
//! `[b, c, h, w]` only around their depthwise convolution.

use super::dense::{Act, conv2d, linear, norm};
use super::encoder_block::Block;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::{Conv, Vars};
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;

/// Widening of the inverted bottlenecks.
const EXPAND: usize = 4;
/// Epsilon of SAM's channel norms (PyTorch's own layer norms use 1e-5).
const NECK_EPSILON: f64 = 1e-6;

/// TinyViT with SAM's neck.
#[derive(Module, Debug)]
pub struct TinyVit {
    patch1: Conv2d,
    patch2: Conv2d,
    mb: Vec<MbConv>,
    merge: Vec<Merge>,
    stage1: Vec<Block>,
    stage2: Vec<Block>,
    stage3: Vec<Block>,
    neck1: Linear,
    neck_norm1: LayerNorm,
    neck2: Conv2d,
    neck_norm2: LayerNorm,
}

impl TinyVit {
    /// Builds from weights under this place.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let d = cfg.enc_dims;
        let stage = |s: usize| -> Result<Vec<Block>> {
            let v = v.pp(format!("stage{s}"));
            (0..cfg.enc_depths[s]).map(|i| Block::build(d[s], cfg.enc_heads[s], cfg.enc_windows[s], &v.pp(i))).collect()
        };
        let half = Conv::same(3).stride(2);
        Ok(Self {
            patch1: v.conv2d("patch1", [3, d[0] / 2], half, true)?,
            patch2: v.conv2d("patch2", [d[0] / 2, d[0]], half, true)?,
            mb: (0..cfg.enc_depths[0]).map(|i| MbConv::build(d[0], &v.pp("mb").pp(i))).collect::<Result<_>>()?,
            // The last merging has stride 1.
            merge: (0..3)
                .map(|i| Merge::build([d[i], d[i + 1]], if i == 2 { 1 } else { 2 }, &v.pp("merge").pp(i)))
                .collect::<Result<_>>()?,
            stage1: stage(1)?,
            stage2: stage(2)?,
            stage3: stage(3)?,
            neck1: v.linear("neck1", d[3], cfg.enc_out, false)?,
            neck_norm1: v.layer_norm("neck_norm1", cfg.enc_out, NECK_EPSILON)?,
            neck2: v.conv2d("neck2", [cfg.enc_out, cfg.enc_out], Conv::same(3), false)?,
            neck_norm2: v.layer_norm("neck_norm2", cfg.enc_out, NECK_EPSILON)?,
        })
    }

    /// `[b, 3, S, S]`, normalised by SAM's mean and deviation, S a multiple of 16 → `[b, enc_out, S/16, S/16]`.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut x = conv2d(&self.patch2, conv2d(&self.patch1, image, None, Act::Gelu), None, Act::None);
        for block in &self.mb {
            x = block.forward(x);
        }
        for (merge, blocks) in self.merge.iter().zip([&self.stage1, &self.stage2, &self.stage3]) {
            let mut cells = merge.forward(x).permute([0, 2, 3, 1]);
            for block in blocks {
                cells = block.forward(cells);
            }
            x = cells.permute([0, 3, 1, 2]);
        }
        let x = norm(&self.neck_norm1, NECK_EPSILON, linear(&self.neck1, x.permute([0, 2, 3, 1]), None, Act::None));
        let x = conv2d(&self.neck2, x.permute([0, 3, 1, 2]), None, Act::None);
        norm(&self.neck_norm2, NECK_EPSILON, x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2])
    }
}

/// Normalises over the channels of `[b, c, h, w]` (SAM's LayerNorm2d).
pub(super) fn channel_norm(norm: &LayerNorm, x: Tensor<4>) -> Tensor<4> {
    norm.forward(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2])
}

/// Inverted bottleneck: 1×1 widen, 3×3 depthwise, 1×1 narrow, residual.
#[derive(Module, Debug)]
struct MbConv {
    expand: Conv2d,
    depthwise: Conv2d,
    project: Conv2d,
}

impl MbConv {
    fn build(dim: usize, v: &Vars) -> Result<Self> {
        let wide = dim * EXPAND;
        Ok(Self {
            expand: v.conv2d("expand", [dim, wide], Conv::same(1), true)?,
            depthwise: v.conv2d("depthwise", [wide, wide], Conv::same(3).groups(wide), true)?,
            project: v.conv2d("project", [wide, dim], Conv::same(1), true)?,
        })
    }

    /// `[b, c, h, w]` → the same shape.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = conv2d(&self.expand, x.clone(), None, Act::Gelu);
        let y = conv2d(&self.depthwise, y, None, Act::Gelu);
        conv2d(&self.project, y, Some(x), Act::Gelu)
    }
}

/// Patch merging: 1×1, 3×3 depthwise with stride, 1×1.
#[derive(Module, Debug)]
struct Merge {
    expand: Conv2d,
    depthwise: Conv2d,
    project: Conv2d,
}

impl Merge {
    fn build([d_in, d_out]: [usize; 2], stride: usize, v: &Vars) -> Result<Self> {
        Ok(Self {
            expand: v.conv2d("expand", [d_in, d_out], Conv::same(1), true)?,
            depthwise: v.conv2d("depthwise", [d_out, d_out], Conv::same(3).stride(stride).groups(d_out), true)?,
            project: v.conv2d("project", [d_out, d_out], Conv::same(1), true)?,
        })
    }

    /// `[b, d_in, h, w]` → `[b, d_out, h/stride, w/stride]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = conv2d(&self.expand, x, None, Act::Gelu);
        conv2d(&self.project, conv2d(&self.depthwise, y, None, Act::Gelu), None, Act::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn shapes_of_the_tiny_preset_and_of_a_side_that_no_window_divides() {
        let cfg = ModelConfig::tiny();
        let device = Device::flex();
        let net = TinyVit::build(&cfg, &Vars::random(1, &device)).unwrap();
        for side in [64, 80] {
            let map = net.forward(Tensor::random([2, 3, side, side], Distribution::Default, &device));
            assert_eq!(map.dims(), [2, cfg.enc_out, side / 16, side / 16]);
        }
    }

    #[test]
    fn gradients_reach_the_first_weights() {
        let device = Device::flex().autodiff();
        let net = TinyVit::build(&ModelConfig::tiny(), &Vars::random(1, &device)).unwrap();
        let map = net.forward(Tensor::random([1, 3, 64, 64], Distribution::Default, &device));
        // Squared, because the mean of a normalised map has no gradient.
        let gradients = map.powi_scalar(2).slice([0..1, 0..3]).sum().backward();
        let g = net.patch1.weight.val().grad(&gradients).unwrap().abs().sum().into_scalar::<f32>();
        assert!(g.is_finite() && g > 0.0, "{g}");
    }
}
