//! Task states as tokens for the language model, and `[SEG]` states as prompts for the masks.
//!
//! Forward: the decoder's detection, classification, concept and region states become tokens beside the visual ones. The
//! paper has the task tokens in its decoder; handing their states to the language model is ours. Each is a *soft word*: an
//! embedding for each thing that the state may mean ("left eyebrow", "face swap"), weighted by the state's probability, plus
//! a learned projection of the state as a shade of it. The embeddings start as the mean of those words' own (the language stage of training
//! sets them) and are trained from there; the shade is at most a third of the word. So training starts from tokens among words
//! which the language model knows.
//!
//! Back: the hidden state at the position that predicts `[SEG]` chooses among the decoder's concept prompts, plus a
//! learned residual for what is no concept.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::model::projector::at_text_size;
use crate::model::tasks::TaskOutput;
use crate::weights::{Init, Vars};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::{Int, Tensor, TensorData};

/// What the task decoder says, as probabilities and states, for one batch.
#[derive(Debug, Clone)]
pub struct Readout {
    /// Forged, 0..1, `[b, 1]`.
    pub det: Tensor<2>,
    /// Families, sum 1, `[b, classes]`.
    pub cls: Tensor<2>,
    /// Concept manipulated, 0..1, `[b, K]`.
    pub presence: Tensor<2>,
    /// Asked region holds an artifact, 0..1, `[b, 1]`.
    pub region: Option<Tensor<2>>,
    /// Decoder states, `[b, 3 + K (+ 1), dec_dim]`.
    pub states: Tensor<3>,
}

impl Readout {
    /// With the presence of every leaf given ([`crate::model::presence::presence`]), `[K]`, for a batch of one.
    pub fn with_presence(self, presence: &[f32]) -> Self {
        let device = self.det.device();
        let data = TensorData::new(presence.to_vec(), [1, presence.len()]);
        Self { presence: Tensor::from_data(data, &device), ..self }
    }

    /// One that says nothing, for ablations: even probabilities, no states.
    pub fn silent(self) -> Self {
        let even = |t: Tensor<2>| t * 0.0 + 0.5;
        let classes = self.cls.dims()[1] as f32;
        Self {
            det: even(self.det),
            cls: self.cls * 0.0 + 1.0 / classes,
            presence: even(self.presence),
            region: self.region.map(even),
            states: self.states * 0.0,
        }
    }

    /// Probabilities from the task tokens' logits.
    pub fn of(out: &TaskOutput) -> Self {
        Self {
            det: sigmoid(out.det.clone()),
            cls: softmax(out.cls.clone(), 1),
            presence: sigmoid(out.presence.clone()),
            region: out.region.clone().map(sigmoid),
            states: out.states.clone(),
        }
    }
}

/// Size of a state's shade relative to its word.
const SHADE: f64 = 0.3;

/// Soft words, see the module's text.
#[derive(Module, Debug)]
pub struct StateTokens {
    /// "no sign", "forged", `[2, lm_dim]`; used for detection and for an asked region.
    pub det_words: Param<Tensor<2>>,
    /// One row a family, `[classes, lm_dim]`.
    pub cls_words: Param<Tensor<2>>,
    /// One row a concept leaf, then "nothing", `[K + 1, lm_dim]`.
    pub concept_words: Param<Tensor<2>>,
    project: Linear,
}

impl StateTokens {
    /// Names `det_words`, `cls_words`, `concept_words`, `project`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let word = Init::Normal(0.05);
        Ok(Self {
            det_words: v.param("det_words", [2, cfg.lm_dim], word)?,
            cls_words: v.param("cls_words", [cfg.dec_classes, cfg.lm_dim], word)?,
            concept_words: v.param("concept_words", [cfg.dec_concepts + 1, cfg.lm_dim], word)?,
            project: v.linear("project", cfg.dec_dim, cfg.lm_dim, false)?,
        })
    }

    /// State tokens of a batch of one: detection, family, then the concepts of `top`, strongest first.
    ///
    /// # Returns
    /// `[1, 2 + top.len(), lm_dim]`
    pub fn forward(&self, r: &Readout, top: &[usize]) -> Tensor<3> {
        let device = r.det.device();
        let k = r.presence.dims()[1];
        let det = Tensor::cat(vec![r.det.clone().neg() + 1.0, r.det.clone()], 1).matmul(self.det_words.val());
        let cls = r.cls.clone().matmul(self.cls_words.val());
        let ids: Vec<i32> = top.iter().map(|i| *i as i32).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [top.len()]), &device);
        let p: Tensor<2> = r.presence.clone().select(1, ids.clone()).transpose();
        let words = self.concept_words.val();
        let named = words.clone().select(0, ids.clone());
        let concepts = named * p.clone() + words.narrow(0, k, 1) * (p.neg() + 1.0);
        let states = r.states.clone();
        let picked = Tensor::cat(vec![states.clone().narrow(1, 0, 2), states.narrow(1, 3, k).select(1, ids)], 1);
        Tensor::cat(vec![det, cls, concepts], 0).unsqueeze::<3>() + self.shade(picked)
    }

    /// Token of an asked region, `[1, 1, lm_dim]`; `None` without one.
    pub fn region(&self, r: &Readout) -> Option<Tensor<3>> {
        let p = r.region.clone()?;
        let last = r.states.dims()[1] - 1;
        let word = Tensor::cat(vec![p.clone().neg() + 1.0, p], 1).matmul(self.det_words.val());
        Some(word.unsqueeze::<3>() + self.shade(r.states.clone().narrow(1, last, 1)))
    }

    /// States `[b, t, dec_dim]` as a shade of the word they stand beside: never more than a part of it.
    fn shade(&self, states: Tensor<3>) -> Tensor<3> {
        at_text_size(self.project.forward(states)) * SHADE
    }
}

/// Hidden state → prompt of the mask decoder.
#[derive(Module, Debug)]
pub struct SegProjector {
    choose: Linear,
    fc1: Linear,
    fc2: Linear,
}

impl SegProjector {
    /// Names `choose`, `fc1`, `fc2`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let fc2 = v.starting(Init::Const(0.0)).linear("fc2", cfg.dec_dim, cfg.dec_dim, false)?;
        Ok(Self {
            choose: v.linear("choose", cfg.lm_dim, cfg.dec_concepts, true)?,
            fc1: v.linear("fc1", cfg.lm_dim, cfg.dec_dim, true)?,
            fc2,
        })
    }

    /// Hidden states `[n, lm_dim]` → which concept each one means, logits `[n, K]`.
    pub fn choice(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.choose.forward(hidden)
    }

    /// Hidden states `[n, lm_dim]` and the decoder's concept prompts `[K, dec_dim]` → prompts `[1, n, dec_dim]`.
    pub fn forward(&self, hidden: Tensor<2>, prompts: Tensor<2>) -> Tensor<3> {
        let mixed = softmax(self.choice(hidden.clone()), 1).matmul(prompts);
        (mixed + self.fc2.forward(relu(self.fc1.forward(hidden)))).unsqueeze()
    }
}
