//! The branch that looks for traces of a forgery, by a network that learned from pixels: EfficientNet-Lite0 ([`super::lite`]) on the crop and its
//! high-pass band, and a pyramid up again (Lin et al. 2017) to stride 4.
//!
//! A segmentation backbone is trained to ignore noise, sharpness and compression, which is where forgeries show (the argument of
//! noise-residual detectors, e.g. Fridrich and Kodovsky, "Rich Models for Steganalysis", 2012). So the branch sees what smoothing removes
//! beside the picture itself, and nothing else, neither trunk nor mesh: it can be trained alone, on small squares. It gives features to
//! everything else, a map of evidence, and pooled evidence for detection and family. Its contribution to the trunk's map starts at zero:
//! before training the encoder is exactly MobileSAM's.

use super::dense::{Act, conv2d};
use super::lite::Lite;
use super::pyramid::{Merge, double, pooled};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::{Conv, Init, Vars};
use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;

/// The high-pass band is about ten times weaker than the image; both enter the first convolution at a similar size.
const HIGH_PASS_GAIN: f32 = 8.0;

/// See the module's text.
#[derive(Module, Debug)]
pub struct Traces {
    /// The network that learned ImageNet.
    pub lite: Lite,
    laterals: Vec<Conv2d>,
    merges: Vec<Merge>,
    evidence: Conv2d,
    pooled: Linear,
    det: Linear,
    cls: Linear,
    out: Conv2d,
}

/// What the branch sees.
pub struct Traced {
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

impl Traces {
    /// Names: `lite`, `laterals.{0..3}` (strides 32, 16, 8, 4), `merges.{0..2}.{mix,norm}` (strides 16, 8, 4), `evidence`, `pooled`, `det`, `cls`,
    /// `out`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let (w, levels) = (cfg.res_width, Lite::levels(&cfg.res_lite));
        // New layers start small beside a network that is trained already: at √3 times this the map is learned at half the speed.
        let small = |inputs: usize| v.starting(Init::Uniform(1.0 / (inputs as f32).sqrt()));
        let lateral = |i: usize| small(levels[3 - i]).conv2d(&format!("laterals.{i}"), [levels[3 - i], w], Conv::same(1), true);
        Ok(Self {
            lite: Lite::build(&cfg.res_lite, &v.pp("lite"))?,
            laterals: (0..4).map(lateral).collect::<Result<_>>()?,
            merges: (0..3).map(|i| Merge::build(w, &small(9 * w).pp("merges").pp(i))).collect::<Result<_>>()?,
            evidence: small(w).conv2d("evidence", [w, 1], Conv::same(1), true)?,
            pooled: v.linear("pooled", 2 * levels[3] + 4 * w + 2, 2 * w, true)?,
            det: v.linear("det", 2 * w, 1, true)?,
            cls: v.linear("cls", 2 * w, cfg.dec_classes, true)?,
            // Before training the trunk's map stays as it is.
            out: v.starting(Init::Const(0.0)).conv2d("out", [w, cfg.enc_out], Conv::same(1), true)?,
        })
    }

    /// `[b, 3, s, s]` normalised crop, s a multiple of 32 → what is seen in it.
    pub fn forward(&self, image: Tensor<4>) -> Traced {
        let levels = self.lite.forward(with_high_pass(image));
        let mut y = conv2d(&self.laterals[0], levels[3].clone(), None, Act::None);
        let mut merged = Vec::with_capacity(self.merges.len());
        for (i, merge) in self.merges.iter().enumerate() {
            let level = &levels[2 - i];
            y = merge.forward(conv2d(&self.laterals[i + 1], level.clone(), Some(double(y, level)), Act::Relu));
            merged.push(y.clone());
        }
        let artifact = conv2d(&self.evidence, y.clone(), None, Act::None);
        let seen = pooled([levels[3].clone(), merged[0].clone(), merged[1].clone(), sigmoid(artifact.clone())]);
        let seen = relu(self.pooled.forward(seen));
        Traced {
            map: conv2d(&self.out, merged[0].clone(), None, Act::None),
            fine: y,
            artifact,
            det: self.det.forward(seen.clone()),
            cls: self.cls.forward(seen),
        }
    }
}

/// The crop behind its high-pass band, `[b, 3, s, s] → [b, 6, s, s]`.
fn with_high_pass(image: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]).with_count_include_pad(false);
    let smooth = avg_pool2d(image.clone(), options);
    Tensor::cat(vec![(image.clone() - smooth) * HIGH_PASS_GAIN, image], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn tiny(device: &Device) -> (ModelConfig, Traces) {
        let cfg = ModelConfig::tiny();
        let traces = Traces::build(&cfg, &Vars::random(1, device)).unwrap();
        (cfg, traces)
    }

    #[test]
    fn shapes_and_an_untouched_map_before_training() {
        let (cfg, traces) = tiny(&Device::flex());
        for side in [64, 96] {
            let seen = traces.forward(Tensor::random([2, 3, side, side], Distribution::Normal(0.0, 1.0), &Device::flex()));
            assert_eq!(seen.map.dims(), [2, cfg.enc_out, side / 16, side / 16]);
            assert_eq!(seen.map.abs().max().into_scalar::<f32>(), 0.0);
            assert_eq!(seen.fine.dims(), [2, cfg.res_width, side / 4, side / 4]);
            assert_eq!(seen.artifact.dims(), [2, 1, side / 4, side / 4]);
            assert_eq!((seen.det.dims(), seen.cls.dims()), ([2, 1], [2, cfg.dec_classes]));
        }
    }

    #[test]
    fn both_ways_on_the_cpu_agree_and_gradients_reach_the_first_weights() {
        let (plain, tracked) = (Device::flex(), Device::flex().autodiff());
        let image = Tensor::<4>::random([1, 3, 64, 64], Distribution::Normal(0.0, 1.0), &plain);
        let want = tiny(&plain).1.forward(image.clone()).artifact;
        let traces = tiny(&tracked).1;
        let seen = traces.forward(Tensor::from_data(image.into_data(), &tracked));
        let gap = (seen.artifact.clone().inner() - want).abs().max().into_scalar::<f32>();
        assert!(gap < 5e-3, "{gap}");
        let gradients = (seen.artifact.sum() + seen.det.sum()).backward();
        let g = traces.lite.some()[0].grad(&gradients).unwrap().abs().sum().into_scalar::<f32>();
        assert!(g.is_finite() && g > 0.0, "{g}");
    }

    #[cfg(feature = "native")]
    #[test]
    fn derivatives_of_the_whole_are_burns() {
        let device = Device::flex().autodiff();
        let image = Tensor::<4>::random([2, 3, 64, 64], Distribution::Normal(0.0, 1.0), &device);
        let target = Tensor::<4>::random([2, 1, 16, 16], Distribution::Default, &device);
        let grads = |plainly: bool| {
            super::super::lite::PLAINLY.set(plainly);
            let traces = tiny(&device).1;
            let seen = traces.forward(image.clone());
            let all = ((seen.artifact - target.clone()).square().mean() + seen.det.square().mean()).backward();
            super::super::lite::PLAINLY.set(false);
            let of = traces.lite.some().into_iter().chain([traces.laterals[3].weight.val(), traces.merges[2].mix_weight()]);
            of.map(|w| w.grad(&all).unwrap().into_data().try_to_vec::<f32>().unwrap()).collect::<Vec<_>>()
        };
        for (i, (a, b)) in grads(false).iter().zip(&grads(true)).enumerate() {
            let top = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
            println!("{i}: {worst:e} of {top:e}");
            assert!(top > 0.0 && worst < 1e-3 * top, "{i}: {worst:e} of {top:e}");
        }
    }
}
