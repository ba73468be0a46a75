//! The way up of a feature pyramid (Lin et al., "Feature Pyramid Networks for Object Detection", 2017): coarse features are enlarged, joined
//! with finer ones and mixed; and what detection and family read, pooled over places.

use super::dense::{Act, conv2d, norm_on_cpu};
use crate::error::Result;
use crate::weights::{Conv, Init, Vars};
use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, activation::relu, module::interpolate};

/// Epsilon of channel norms, that of Segment Anything's `LayerNorm2d`.
const EPSILON: f64 = 1e-6;

/// On the way up: joined features, mixed.
#[derive(Module, Debug)]
pub(super) struct Merge {
    mix: Conv2d,
    norm: ChannelNorm,
}

impl Merge {
    pub(super) fn build(width: usize, v: &Vars) -> Result<Self> {
        Ok(Self { mix: v.conv2d("mix", [width, width], Conv::same(3), false)?, norm: ChannelNorm::build(&v.pp("norm"), width)? })
    }

    #[cfg(test)]
    pub(super) fn mix_weight(&self) -> Tensor<4> {
        self.mix.weight.val()
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(self.norm.forward(conv2d(&self.mix, x, None, Act::None)))
    }
}

/// Layer normalisation over the channels of `[b, c, h, w]` (`LayerNorm2d` of Segment Anything).
#[derive(Module, Debug)]
pub struct ChannelNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
}

impl ChannelNorm {
    /// Weights `gamma`, `beta`, both `[channels]`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(v: &Vars, channels: usize) -> Result<Self> {
        Ok(Self { gamma: v.param("gamma", [channels], Init::Const(1.0))?, beta: v.param("beta", [channels], Init::Const(0.0))? })
    }

    /// `[b, c, h, w] → [b, c, h, w]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        // The same in one operation, on channels-last memory.
        if let Some(y) = norm_on_cpu([&self.gamma.val(), &self.beta.val()], EPSILON, &x.clone().permute([0, 2, 3, 1])) {
            return y.permute([0, 3, 1, 2]);
        }
        let c = self.gamma.dims()[0];
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        let normed = centred / (variance + EPSILON).sqrt();
        normed * self.gamma.val().reshape([1, c, 1, 1]) + self.beta.val().reshape([1, c, 1, 1])
    }
}

/// Mean and maximum over the places of several maps `[b, c, h, w]`, side by side.
pub(super) fn pooled<const N: usize>(maps: [Tensor<4>; N]) -> Tensor<2> {
    Tensor::cat(maps.into_iter().flat_map(|m| [mean(m.clone()), max(m)]).collect(), 1)
}

/// To the size of `like`; nearest, because the mix that follows smooths.
pub(super) fn double(x: Tensor<4>, like: &Tensor<4>) -> Tensor<4> {
    let [_, _, h, w] = like.dims();
    interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([h, w]))
}

/// Mean over the places of `[b, c, h, w]` → `[b, c]`.
fn mean(x: Tensor<4>) -> Tensor<2> {
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, h * w]).mean_dim(2).reshape([b, c])
}

/// Maximum over the places of `[b, c, h, w]` → `[b, c]`.
fn max(x: Tensor<4>) -> Tensor<2> {
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, h * w]).max_dim(2).reshape([b, c])
}
