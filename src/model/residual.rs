//! The residual branch of the face encoder: a small convolutional pyramid on what smoothing removes from the crop.
//!
//! A segmentation backbone is trained to ignore noise, sharpness and compression, which is where forgeries show
//! (the argument of noise-residual detectors, e.g. Fridrich and Kodovsky, "Rich Models for Steganalysis", 2012). The
//! branch sees the crop minus its 3×3 mean beside the crop itself, down to stride 32 and up again (feature pyramid, Lin et al.
//! 2017); on the way up it also takes the trunk's maps at strides 4, 8 and 16, which know edges and parts from the first
//! step. It gives features to everything else, a map of evidence, and pooled evidence for detection and family. Its
//! contribution to the trunk's map starts at zero: before training the encoder is exactly MobileSAM's.

use super::dense::{Act, conv2d, norm_on_cpu};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::model::encoder::EncoderOutput;
use crate::weights::{Conv, Init, Vars};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{
    Tensor,
    activation::{relu, sigmoid},
    module::{avg_pool2d, interpolate},
};

/// The high-pass band is about ten times weaker than the image; both enter the first convolution at a similar size.
const HIGH_PASS_GAIN: f32 = 8.0;

/// Epsilon of channel norms, upstream's.
const EPSILON: f64 = 1e-6;

/// Residual branch, see the module's text.
#[derive(Module, Debug)]
pub struct ResidualBranch {
    stem: Conv2d,
    stages: Vec<Stage>,
    laterals: Vec<Conv2d>,
    trunk_norms: Vec<ChannelNorm>,
    merges: Vec<Merge>,
    evidence: Conv2d,
    pooled: Linear,
    det: Linear,
    cls: Linear,
    out: Conv2d,
}

/// What the branch sees.
pub struct ResidualOutput {
    /// To be added to the trunk's map, `[b, enc_out, g, g]`.
    pub map: Tensor<4>,
    /// Features at stride 4 for sharp mask borders, `[b, res_width, 4g, 4g]`.
    pub fine: Tensor<4>,
    /// Is this place forged, logits at stride 4, `[b, 1, 4g, 4g]`.
    pub artifact: Tensor<4>,
    /// Is the crop forged, logit from pooled features, `[b, 1]`.
    pub det: Tensor<2>,
    /// Family, logits from pooled features, `[b, classes]`.
    pub cls: Tensor<2>,
}

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

#[derive(Module, Debug)]
struct Stage {
    down: Conv2d,
    norm: ChannelNorm,
    mix: Conv2d,
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

impl ResidualBranch {
    /// Names: `stem`, `stages.{0..3}.{down,norm,mix}` (strides 4, 8, 16, 32), `laterals.{0..3}` (strides 32, 16, 8, 4),
    /// `trunk_norms.{0..2}` and `merges.{0..2}.{mix,norm}` (strides 16, 8, 4), `evidence`, `pooled`, `det`, `cls`, `out`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let (d, w) = (cfg.res_dims, cfg.res_width);
        let half = Conv::same(3).stride(2);
        let stages = (0..4)
            .map(|i| {
                let v = v.pp("stages").pp(i);
                Ok(Stage {
                    down: v.conv2d("down", [d[i], d[i + 1]], half, false)?,
                    norm: ChannelNorm::build(&v.pp("norm"), d[i + 1])?,
                    mix: v.conv2d("mix", [d[i + 1], d[i + 1]], Conv::same(3), true)?,
                })
            })
            .collect::<Result<_>>()?;
        // Channels of the trunk at strides 16, 8, 4.
        let trunk = [cfg.enc_out, cfg.enc_dims[1], cfg.enc_dims[0]];
        let laterals = (0..4)
            .map(|i| {
                let more = if i == 0 { 0 } else { trunk[i - 1] };
                v.conv2d(&format!("laterals.{i}"), [d[4 - i] + more, w], Conv::same(1), true)
            })
            .collect::<Result<_>>()?;
        let trunk_norms = (0..3).map(|i| ChannelNorm::build(&v.pp("trunk_norms").pp(i), trunk[i])).collect::<Result<_>>()?;
        let merges = (0..3).map(|i| Merge::build(w, &v.pp("merges").pp(i))).collect::<Result<_>>()?;
        let out = v.starting(Init::Const(0.0)).conv2d("out", [w, cfg.enc_out], Conv::same(1), true)?;
        Ok(Self {
            stem: v.conv2d("stem", [6, d[0]], half, true)?,
            stages,
            laterals,
            trunk_norms,
            merges,
            evidence: v.conv2d("evidence", [w, 1], Conv::same(1), true)?,
            pooled: v.linear("pooled", 2 * d[4] + 4 * w + 2, 2 * w, true)?,
            det: v.linear("det", 2 * w, 1, true)?,
            cls: v.linear("cls", 2 * w, cfg.dec_classes, true)?,
            out,
        })
    }

    /// `[b, 3, s, s]` normalised crop and the trunk's maps of it → [`ResidualOutput`].
    pub fn forward(&self, image: Tensor<4>, trunk: &EncoderOutput) -> ResidualOutput {
        let plain = |layer: &Conv2d, x: Tensor<4>| conv2d(layer, x, None, Act::None);
        let mut x = conv2d(&self.stem, with_high_pass(image), None, Act::Relu);
        let mut levels = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            x = relu(stage.norm.forward(plain(&stage.down, x)));
            x = x.clone() + conv2d(&stage.mix, x, None, Act::Relu);
            levels.push(x.clone());
        }
        // Up again, coarse to fine; `merged` holds strides 16, 8, 4.
        let mut y = plain(&self.laterals[0], x.clone());
        let mut merged = Vec::with_capacity(self.merges.len());
        let known = [&trunk.map, &trunk.early[1], &trunk.early[0]];
        let steps =
            self.merges.iter().zip(&self.laterals[1..]).zip(levels.iter().rev().skip(1)).zip(known.into_iter().zip(&self.trunk_norms));
        for (((merge, lateral), level), (known, norm)) in steps {
            let seen = Tensor::cat(vec![level.clone(), norm.forward(known.clone())], 1);
            let sum = conv2d(lateral, seen, Some(double(y, level)), Act::Relu);
            y = merge.forward(sum);
            merged.push(y.clone());
        }
        let artifact = plain(&self.evidence, y.clone());
        let [middle, near] = [merged[0].clone(), merged[1].clone()];
        let pooled = relu(self.pooled.forward(pooled([x, middle.clone(), near, sigmoid(artifact.clone())])));
        ResidualOutput {
            map: self.out.forward(middle),
            fine: y,
            artifact,
            det: self.det.forward(pooled.clone()),
            cls: self.cls.forward(pooled),
        }
    }
}

/// The crop behind its high-pass band, `[b, 3, s, s] → [b, 6, s, s]`.
pub(super) fn with_high_pass(image: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]).with_count_include_pad(false);
    let smooth = avg_pool2d(image.clone(), options);
    Tensor::cat(vec![(image.clone() - smooth) * HIGH_PASS_GAIN, image], 1)
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
