//! The residual branch of the face encoder: a small convolutional stem on what smoothing removes from the crop.
//!
//! A segmentation backbone is trained to ignore noise, sharpness and compression, which is where forgeries show
//! (the argument of noise-residual detectors, e.g. Fridrich and Kodovsky, "Rich Models for Steganalysis", 2012). The
//! branch sees the crop minus its 3×3 mean beside the crop itself. Its output is added to the trunk's map through a
//! zero-initialised projection: before training the encoder is exactly MobileSAM's.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::{Conv, Init, Vars};
use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Tensor, activation::relu, module::avg_pool2d};

/// The high-pass band is about ten times weaker than the image; both enter the first convolution at a similar size.
const HIGH_PASS_GAIN: f32 = 8.0;

/// Residual branch, see the module's text.
#[derive(Module, Debug)]
pub struct ResidualBranch {
    stem: Conv2d,
    stages: Vec<Stage>,
    out: Conv2d,
}

/// What the branch sees.
pub struct ResidualOutput {
    /// To be added to the trunk's map, `[b, enc_out, g, g]`.
    pub map: Tensor<4>,
    /// Features at stride 4 for sharp mask borders, `[b, res_dims[1], 4g, 4g]`.
    pub fine: Tensor<4>,
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

    /// `[b, c, h, w] → [b, c, h, w]`, epsilon 1e-6 as upstream.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let c = self.gamma.dims()[0];
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        let normed = centred / (variance + 1e-6).sqrt();
        normed * self.gamma.val().reshape([1, c, 1, 1]) + self.beta.val().reshape([1, c, 1, 1])
    }
}

impl ResidualBranch {
    /// Names: `stem`, `stages.{0,1,2}.{down,norm,mix}`, `out`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let d = cfg.res_dims;
        let half = Conv::same(3).stride(2);
        let stages = (0..3)
            .map(|i| {
                let v = v.pp("stages").pp(i);
                Ok(Stage {
                    down: v.conv2d("down", [d[i], d[i + 1]], half, false)?,
                    norm: ChannelNorm::build(&v.pp("norm"), d[i + 1])?,
                    mix: v.conv2d("mix", [d[i + 1], d[i + 1]], Conv::same(3), true)?,
                })
            })
            .collect::<Result<_>>()?;
        let mut out = v.conv2d("out", [d[3], cfg.enc_out], Conv::same(1), true)?;
        out.weight = v.pp("out").param("weight", [cfg.enc_out, d[3], 1, 1], Init::Const(0.0))?;
        Ok(Self { stem: v.conv2d("stem", [6, d[0]], half, true)?, stages, out })
    }

    /// `[b, 3, s, s]` normalised crop → [`ResidualOutput`].
    pub fn forward(&self, image: Tensor<4>) -> ResidualOutput {
        let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]).with_count_include_pad(false);
        let smooth = avg_pool2d(image.clone(), options);
        let high = (image.clone() - smooth) * HIGH_PASS_GAIN;
        let mut x = relu(self.stem.forward(Tensor::cat(vec![high, image], 1)));
        let mut fine = None;
        for stage in &self.stages {
            x = relu(stage.norm.forward(stage.down.forward(x)));
            x = x.clone() + relu(stage.mix.forward(x));
            fine.get_or_insert_with(|| x.clone());
        }
        let fine = fine.unwrap_or_else(|| x.clone());
        ResidualOutput { map: self.out.forward(x), fine }
    }
}
