//! FiFa-MLLM: the composition. No layer lives here.
//!
//! A crop is encoded once; the same evidence feeds the language model (visual tokens, state tokens, region token) and the
//! masks (task tokens, `[SEG]` states).

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::lm::Lm;
use crate::model::projector::Projector;
use crate::model::states::{Readout, SegProjector, StateTokens};
use crate::model::tasks::{Evidence, SegOutput};
use crate::model::vision::Vision;
use crate::text::template::Prompt;
use crate::weights::Vars;
use burn::module::Module;
use burn::tensor::Tensor;

/// The whole model.
#[derive(Module, Debug)]
pub struct Fifa {
    /// Encoder, region encoder, multi-task decoder.
    pub vision: Vision,
    /// Projector, language model, state tokens, `[SEG]` projector.
    pub language: Language,
}

/// The speaking half.
#[derive(Module, Debug)]
pub struct Language {
    /// Encoder map → visual tokens `[b, visual_tokens, lm_dim]`.
    pub projector: Projector,
    /// The language model with its adapters and added tokens.
    pub lm: Lm,
    /// Task states → tokens.
    pub states: StateTokens,
    /// Hidden state → mask prompt.
    pub seg: SegProjector,
}

impl Fifa {
    /// Names `vision`, `language`.
    ///
    /// # Errors
    /// [`Error::Model`] for sizes that do not fit; `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        cfg.check()?;
        Ok(Self { vision: Vision::build(cfg, &v.pp("vision"))?, language: Language::build(cfg, &v.pp("language"))? })
    }

    /// Masks of hidden states `[n, lm_dim]` taken where `[SEG]` is predicted.
    pub fn segment(&self, evidence: &Evidence, hidden: Tensor<2>) -> SegOutput {
        let prompts = self.language.seg.forward(hidden, self.vision.dec.seg_prompts());
        self.vision.segment(evidence, prompts)
    }
}

impl Language {
    /// Names `projector`, `lm`, `states`, `seg`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        Ok(Self {
            projector: Projector::build(cfg, &v.pp("projector"))?,
            lm: Lm::build(cfg, &v.pp("lm"))?,
            states: StateTokens::build(cfg, &v.pp("states"))?,
            seg: SegProjector::build(cfg, &v.pp("seg"))?,
        })
    }

    /// The prompt's embeddings with image, state and region tokens in their places, `[1, t, lm_dim]`: [`Self::head`] and
    /// [`Self::rest`] behind each other.
    ///
    /// # Errors
    /// Those of the two.
    pub fn splice(&self, prompt: &Prompt, map: Tensor<4>, readout: &Readout, top: &[usize]) -> Result<Tensor<3>> {
        Ok(Tensor::cat(vec![self.head(prompt, map)?, self.rest(prompt, readout, top)?], 1))
    }

    /// What every question about a face begins with: the system turn and the image, `[1, states_at, lm_dim]`.
    ///
    /// # Arguments
    /// - `map`: encoder map, `[1, enc_out, g, g]`.
    ///
    /// # Errors
    /// [`Error::Model`] when the prompt's placeholders do not fit the image.
    pub fn head(&self, prompt: &Prompt, map: Tensor<4>) -> Result<Tensor<3>> {
        let visual = self.projector.forward(map);
        if prompt.states_at != prompt.image_at + visual.dims()[1] {
            return Err(misplaced());
        }
        let before = prompt.ids.get(..prompt.image_at).ok_or_else(misplaced)?;
        Ok(Tensor::cat(vec![self.lm.embed(before)?, visual], 1))
    }

    /// The rest: states, region if one is asked for, question, `[1, t - states_at, lm_dim]`.
    ///
    /// # Arguments
    /// - `top`: concepts whose states are shown, strongest first.
    ///
    /// # Errors
    /// [`Error::Model`] when the prompt's placeholders do not fit, or it asks for a region token and the readout has none.
    pub fn rest(&self, prompt: &Prompt, readout: &Readout, top: &[usize]) -> Result<Tensor<3>> {
        let states = self.states.forward(readout, top);
        let mut next = prompt.states_at + states.dims()[1];
        if prompt.region_at.is_some_and(|at| at != next) {
            return Err(misplaced());
        }
        let mut parts = vec![states];
        if prompt.region_at.is_some() {
            let region = self.states.region(readout);
            parts.push(region.ok_or_else(|| Error::Model("the prompt has a region, the readout has none".into()))?);
            next += 1;
        }
        parts.push(self.lm.embed(prompt.ids.get(next..).unwrap_or_default())?);
        Ok(Tensor::cat(parts, 1))
    }
}

fn misplaced() -> Error {
    Error::Model("the prompt's placeholders do not fit the model's tokens".into())
}
