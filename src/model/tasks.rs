//! The multi-task decoder: one set of task tokens T_in, one two-way transformer, a head per task.
//!
//! The paper's idea, as far as its reviews tell it: whatever is asked is a set of tokens T_in that look at the same image
//! features (arXiv 2510.20531; the token decoder of Faceptor is the nearest ancestor known). Which tokens there are is ours:
//! detection, classification, the whole artifact, one query a concept, an asked region; `[SEG]` states run in a set of their
//! own. The transformer, upscaler and prompt encoder are those of Segment Anything as distilled in MobileSAM, so training
//! starts from a decoder that can already cut out things. The own evidence of what looks for traces is added to every answer.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::model::mask_decoder::MaskDecoder;
use crate::model::prompt::PromptEncoder;
use crate::weights::{Conv, Init, Vars};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{
    Tensor,
    activation::{relu, sigmoid, softmax},
};

/// Tokens before the concept queries: detection, classification, whole artifact.
const HEAD_TOKENS: usize = 3;

/// Multi-task decoder, see the module's text.
#[derive(Module, Debug)]
pub struct TaskDecoder {
    /// Positions and the "no mask" embedding. Points and boxes as mask prompts are there and checked against the reference;
    /// no task uses them yet (an asked box is a region token).
    pub prompt: PromptEncoder,
    /// Two-way transformer, upscaler, and the promptable masks of Segment Anything.
    pub mask: MaskDecoder,
    tokens: Param<Tensor<2>>,
    concepts: Param<Tensor<2>>,
    seg_prompts: Param<Tensor<2>>,
    skip: Conv2d,
    det: Linear,
    cls: Linear,
    presence: Linear,
    region: Linear,
    presence_gain: Param<Tensor<1>>,
    artifact_hyper: Hyper,
    concept_hyper: Hyper,
    seg_hyper: Hyper,
    quality: Linear,
}

/// Token → the weights of a 1×1 convolution over the upscaled features.
#[derive(Module, Debug)]
struct Hyper {
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl Hyper {
    fn build(v: &Vars, dim: usize, out: usize) -> Result<Self> {
        Ok(Self { fc1: v.linear("fc1", dim, dim, true)?, fc2: v.linear("fc2", dim, dim, true)?, fc3: v.linear("fc3", dim, out, true)? })
    }

    /// Tokens `[b, t, dim]` and features `[b, c, h, w]` → mask logits `[b, t, h, w]`.
    fn masks(&self, tokens: Tensor<3>, features: Tensor<4>) -> Tensor<4> {
        let [b, c, h, w] = features.dims();
        let kernels = self.fc3.forward(relu(self.fc2.forward(relu(self.fc1.forward(tokens)))));
        let t = kernels.dims()[1];
        kernels.matmul(features.reshape([b, c, h * w])).reshape([b, t, h, w])
    }
}

/// Concept logits `[b, k, h, w]` → probabilities of the same shape; "none of them" has logit 0.
fn parse(logits: Tensor<4>) -> Tensor<4> {
    let [b, k, h, w] = logits.dims();
    let none = Tensor::zeros([b, 1, h, w], &logits.device());
    softmax(Tensor::cat(vec![none, logits], 1), 1).narrow(1, 1, k)
}

/// Share of each mask `[b, k, h, w]` that a map `[b, 1, h, w]` of 0..1 fills → `[b, k]`.
fn share(masks: Tensor<4>, map: Tensor<4>) -> Tensor<2> {
    let [b, k, h, w] = masks.dims();
    let masks: Tensor<3> = masks.reshape([b, k, h * w]);
    let both: Tensor<3> = masks.clone().matmul(map.reshape([b, h * w, 1]));
    (both / (masks.sum_dim(2) + 1.0)).reshape([b, k])
}

/// Image-side inputs of the decoder.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Encoder map, `[b, enc_out, g, g]`.
    pub map: Tensor<4>,
    /// Features of what looks for traces, stride 4, `[b, res_width, 4g, 4g]`.
    pub fine: Tensor<4>,
    /// Is this place forged, logits of what looks for traces, `[b, 1, 4g, 4g]`.
    pub artifact: Tensor<4>,
    /// Is the crop forged, logit of what looks for traces, `[b, 1]`.
    pub det: Tensor<2>,
    /// Family, logits of what looks for traces, `[b, classes]`.
    pub cls: Tensor<2>,
}

/// Answers of the task tokens. Logits throughout; `K` = concepts.
pub struct TaskOutput {
    /// Forged or not, `[b, 1]`.
    pub det: Tensor<2>,
    /// Family, `[b, classes]`.
    pub cls: Tensor<2>,
    /// Is concept k manipulated, `[b, K]`.
    pub presence: Tensor<2>,
    /// Whole artifact, `[b, 1, 4g, 4g]`.
    pub artifact: Tensor<4>,
    /// Where concept k is (auxiliary parsing), `[b, K, 4g, 4g]`; concepts exclude each other, and "none of them" has logit 0.
    pub concepts: Tensor<4>,
    /// Does the asked region hold an artifact, `[b, 1]`, if a region was given.
    pub region: Option<Tensor<2>>,
    /// The artifact inside the asked region, `[b, 1, 4g, 4g]`, if a region was given.
    pub region_mask: Option<Tensor<4>>,
    /// Token states: detection, classification, artifact, concepts, (region), `[b, 3 + K (+ 1), dec_dim]`.
    pub states: Tensor<3>,
}

/// Masks of `[SEG]` states.
pub struct SegOutput {
    /// Logits, `[b, n, 4g, 4g]`.
    pub masks: Tensor<4>,
    /// Expected IoU with the truth, as logits (a sigmoid makes them 0..1), `[b, n]`.
    pub quality: Tensor<2>,
}

impl TaskDecoder {
    /// Names `prompt`, `mask`, `tokens`, `concepts`, `seg_prompts`, `skip`, and the heads.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let (d, up) = (cfg.dec_dim, cfg.dec_dim / 8);
        let skip = v.starting(Init::Const(0.0)).conv2d("skip", [cfg.res_width, up], Conv::same(1), true)?;
        Ok(Self {
            prompt: PromptEncoder::build(cfg, &v.pp("prompt"))?,
            mask: MaskDecoder::build(cfg, &v.pp("mask"))?,
            tokens: v.param("tokens", [HEAD_TOKENS, d], Init::Normal(0.5))?,
            concepts: v.param("concepts", [cfg.dec_concepts, d], Init::Normal(0.5))?,
            seg_prompts: v.param("seg_prompts", [cfg.dec_concepts, d], Init::Normal(0.5))?,
            skip,
            det: v.linear("det", d, 1, true)?,
            cls: v.linear("cls", d, cfg.dec_classes, true)?,
            presence: v.linear("presence", d, 1, true)?,
            region: v.linear("region", d, 1, true)?,
            presence_gain: v.param("presence_gain", [2], Init::Const(4.0))?,
            artifact_hyper: Hyper::build(&v.pp("artifact_hyper"), d, up)?,
            concept_hyper: Hyper::build(&v.pp("concept_hyper"), d, up)?,
            seg_hyper: Hyper::build(&v.pp("seg_hyper"), d, up)?,
            quality: v.linear("quality", d, 1, true)?,
        })
    }

    /// Prompt of every concept in the space of `[SEG]` states, `[K, dec_dim]`: the target that the language side learns to hit.
    pub fn seg_prompts(&self) -> Tensor<2> {
        self.seg_prompts.val()
    }

    /// Runs the task tokens over the image.
    ///
    /// # Arguments
    /// - `evidence`: the encoder's output.
    /// - `region`: token of an asked region, `[b, 1, dec_dim]`, and its mask at stride 4, `[b, 1, 4g, 4g]`.
    pub fn tasks(&self, evidence: &Evidence, region: Option<(Tensor<3>, Tensor<4>)>) -> TaskOutput {
        let b = evidence.map.dims()[0];
        let fixed = Tensor::cat(vec![self.tokens.val(), self.concepts.val()], 0).unsqueeze::<3>().repeat_dim(0, b);
        let (tokens, place) = match region {
            Some((token, place)) => (Tensor::cat(vec![fixed, token], 1), Some(place)),
            None => (fixed, None),
        };
        let asked = place.is_some();
        let (states, features) = self.look(evidence, tokens);
        let [_, t, d] = states.dims();
        let k = t - HEAD_TOKENS - usize::from(asked);
        let one = |i: usize| states.clone().narrow(1, i, 1);
        let flat = |i: usize| one(i).reshape([b, d]);
        let concepts = states.clone().narrow(1, HEAD_TOKENS, k);
        let parsed = self.concept_hyper.masks(concepts.clone(), features.clone());
        // What the evidence map shows under a concept is a strong hint of its presence; the token decides.
        let seen = sigmoid(evidence.artifact.clone());
        let gains = self.presence_gain.val();
        let under = share(parse(parsed.clone()).detach(), seen.clone()) * gains.clone().narrow(0, 0, 1).unsqueeze();
        TaskOutput {
            det: self.det.forward(flat(0)) + evidence.det.clone(),
            cls: self.cls.forward(flat(1)) + evidence.cls.clone(),
            presence: self.presence.forward(concepts).reshape([b, k]) + under,
            artifact: self.artifact_hyper.masks(one(2), features.clone()) + evidence.artifact.clone(),
            concepts: parsed,
            region: place.map(|m| self.region.forward(flat(t - 1)) + share(m, seen) * gains.narrow(0, 1, 1).unsqueeze()),
            region_mask: asked.then(|| self.artifact_hyper.masks(one(t - 1), features) + evidence.artifact.clone()),
            states,
        }
    }

    /// Runs `[SEG]` states `[b, n, dec_dim]` over the image.
    pub fn segment(&self, evidence: &Evidence, seg: Tensor<3>) -> SegOutput {
        let [b, n, _] = seg.dims();
        let (states, features) = self.look(evidence, seg);
        SegOutput {
            quality: self.quality.forward(states.clone()).reshape([b, n]),
            masks: self.seg_hyper.masks(states, features) + evidence.artifact.clone(),
        }
    }

    /// Tokens look at the image, the image at the tokens; then the image is upscaled to stride 4.
    fn look(&self, evidence: &Evidence, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let grid = evidence.map.dims()[2];
        let image = evidence.map.clone() + self.prompt.no_mask(grid);
        let (states, upscaled) = self.mask.transform(image, self.prompt.dense_pe(grid), tokens);
        (states, upscaled + self.skip.forward(evidence.fine.clone()))
    }
}
