//! The one flat model configuration: every size of FiFa-MLLM, with presets as named constructors.
//!
//! Prefixes say which block a size belongs to (`enc_` face encoder, `res_` what looks for traces, `proj_` projector, `lm_`
//! language model, `dec_` multi-task decoder), as in nanoVLM's flat configuration. It is stored as `config.json`
//! beside the weights; [`ModelConfig::check`] refuses combinations that the blocks cannot run.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Version of the layout of the weights. Raised when old weights can no longer be loaded by this code.
pub const WEIGHTS_VERSION: u32 = 1;

/// Every size of the model. All fields are counts unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Name of the preset this was made from: `tiny`, `base`, `paper`.
    pub preset: String,

    /// Side of the square face crop, pixels. 448 keeps every TinyViT window whole (112, 56, 28 cells).
    pub enc_image: usize,
    /// Channels of the four TinyViT stages.
    pub enc_dims: [usize; 4],
    /// Blocks of the four stages (the first stage is convolutional).
    pub enc_depths: [usize; 4],
    /// Attention heads of the four stages (the first entry is unused).
    pub enc_heads: [usize; 4],
    /// Window side of the four stages, cells (the first entry is unused).
    pub enc_windows: [usize; 4],
    /// Channels of the encoder's output map, `[batch, enc_out, enc_image/16, enc_image/16]`.
    pub enc_out: usize,
    /// Channels of the network that looks for traces ([`crate::model::lite`]): stem and seven stages. Weights from before there was
    /// one have none.
    #[serde(default)]
    pub res_lite: [usize; 8],
    /// Channels of its way up.
    pub res_width: usize,

    /// Side of the square of cells that becomes one visual token (pixel shuffle).
    pub proj_shuffle: usize,

    /// Width of the language model.
    pub lm_dim: usize,
    /// Layers.
    pub lm_layers: usize,
    /// Query heads.
    pub lm_heads: usize,
    /// Key and value heads.
    pub lm_kv_heads: usize,
    /// Width of the gated feed-forward layer.
    pub lm_ffn: usize,
    /// Rows of the upstream embedding.
    pub lm_vocab: usize,
    /// Rows of the added embedding (`[SEG]`, `<p>`, …), ids `lm_vocab..lm_vocab+lm_added`.
    pub lm_added: usize,
    /// Base of the rotary embedding.
    pub lm_rope_theta: f32,
    /// Epsilon of RMSNorm.
    pub lm_norm_eps: f64,
    /// Positions of the preallocated KV cache.
    pub lm_context: usize,
    /// Longest answer, tokens; the task may set a shorter one.
    pub lm_answer: usize,
    /// Rank of the low-rank adapters on the query and value projections; 0 = none.
    pub lm_lora_rank: usize,
    /// Scale numerator of the adapters: they are scaled by `lm_lora_alpha / lm_lora_rank`.
    pub lm_lora_alpha: f32,

    /// Width of the multi-task decoder (the prompt space).
    pub dec_dim: usize,
    /// Heads of its attention.
    pub dec_heads: usize,
    /// Two-way blocks.
    pub dec_depth: usize,
    /// Width of its feed-forward layers.
    pub dec_mlp: usize,
    /// Concept queries: leaves of the concept tree.
    pub dec_concepts: usize,
    /// Forgery families including "none".
    pub dec_classes: usize,
    /// Concepts whose states are handed to the language model, strongest first.
    pub dec_states: usize,
}

impl ModelConfig {
    /// TinyViT-5M + SmolLM2-135M: the shipped model, about 150 M parameters.
    pub fn base() -> Self {
        Self {
            preset: "base".into(),
            enc_image: 448,
            enc_dims: [64, 128, 160, 320],
            enc_depths: [2, 2, 6, 2],
            enc_heads: [2, 4, 5, 10],
            enc_windows: [7, 7, 14, 7],
            enc_out: 256,
            res_lite: [32, 16, 24, 40, 80, 112, 192, 320],
            res_width: 48,
            proj_shuffle: 4,
            lm_dim: 576,
            lm_layers: 30,
            lm_heads: 9,
            lm_kv_heads: 3,
            lm_ffn: 1536,
            lm_vocab: 49_152,
            lm_added: 8,
            lm_rope_theta: 100_000.0,
            lm_norm_eps: 1e-5,
            lm_context: 320,
            lm_answer: 96,
            lm_lora_rank: 8,
            lm_lora_alpha: 16.0,
            dec_dim: 256,
            dec_heads: 8,
            dec_depth: 2,
            dec_mlp: 2048,
            dec_concepts: crate::config::CONCEPTS,
            dec_classes: 5,
            dec_states: 3,
        }
    }

    /// For tests and software GPUs: about 0.5 M parameters and, because the tokenizer is the same, an embedding of 3 M.
    /// Same code, random weights, toy answers.
    pub fn tiny() -> Self {
        Self {
            preset: "tiny".into(),
            enc_image: 64,
            enc_dims: [16, 32, 32, 64],
            enc_depths: [1, 1, 1, 1],
            enc_heads: [1, 2, 2, 4],
            enc_windows: [4, 4, 4, 4],
            enc_out: 32,
            res_lite: [8, 8, 8, 8, 8, 8, 16, 16],
            res_width: 8,
            proj_shuffle: 2,
            lm_dim: 64,
            lm_layers: 2,
            lm_heads: 4,
            lm_kv_heads: 2,
            lm_ffn: 128,
            lm_vocab: 49_152,
            lm_added: 8,
            lm_rope_theta: 10_000.0,
            lm_norm_eps: 1e-5,
            lm_context: 192,
            lm_answer: 32,
            lm_lora_rank: 4,
            lm_lora_alpha: 8.0,
            dec_dim: 32,
            dec_heads: 4,
            dec_depth: 2,
            dec_mlp: 64,
            dec_concepts: crate::config::CONCEPTS,
            dec_classes: 5,
            dec_states: 3,
        }
    }

    /// Sizes of the paper's class of model (a 7 B Llama-family language model) for those who hold such checkpoints.
    /// The same code path; nothing of this size is shipped or tested beyond its shapes.
    pub fn paper() -> Self {
        Self {
            preset: "paper".into(),
            lm_dim: 4096,
            lm_layers: 32,
            lm_heads: 32,
            lm_kv_heads: 32,
            lm_ffn: 11_008,
            lm_vocab: 32_000,
            lm_rope_theta: 10_000.0,
            lm_context: 2048,
            ..Self::base()
        }
    }

    /// The preset of that name.
    ///
    /// # Errors
    /// [`Error::Request`] for an unknown name.
    pub fn preset(name: &str) -> Result<Self> {
        match name {
            "tiny" => Ok(Self::tiny()),
            "base" => Ok(Self::base()),
            "paper" => Ok(Self::paper()),
            _ => Err(Error::Request(format!("no preset is called {name}: tiny, base, paper"))),
        }
    }

    /// Side of the encoder's output map, cells.
    pub fn grid(&self) -> usize {
        self.enc_image / 16
    }

    /// Number of visual tokens handed to the language model.
    pub fn visual_tokens(&self) -> usize {
        let side = self.grid() / self.proj_shuffle;
        side * side
    }

    /// Width of one attention head of the language model.
    pub fn lm_head_dim(&self) -> usize {
        self.lm_dim / self.lm_heads
    }

    /// Refuses sizes that the blocks cannot run.
    ///
    /// # Errors
    /// [`Error::Model`] naming the first pair of sizes that do not fit.
    pub fn check(&self) -> Result<()> {
        let fits = [
            (self.enc_image.is_multiple_of(16) && self.enc_image > 0, "enc_image must be a positive multiple of 16"),
            (self.proj_shuffle > 0 && self.grid().is_multiple_of(self.proj_shuffle.max(1)), "proj_shuffle must divide enc_image/16"),
            (self.lm_heads > 0 && self.lm_dim.is_multiple_of(self.lm_heads.max(1)), "lm_heads must divide lm_dim"),
            (self.lm_kv_heads > 0 && self.lm_heads.is_multiple_of(self.lm_kv_heads.max(1)), "lm_kv_heads must divide lm_heads"),
            (self.dec_heads > 0 && self.dec_dim.is_multiple_of(2 * self.dec_heads.max(1)), "2·dec_heads must divide dec_dim"),
            (self.lm_dim.is_multiple_of(32) && self.lm_ffn.is_multiple_of(32), "lm_dim and lm_ffn must be multiples of the block, 32"),
            (self.enc_out == self.dec_dim, "enc_out must equal dec_dim"),
            (self.dec_concepts == CONCEPTS, "dec_concepts must equal the leaves of the concept tree"),
        ];
        match fits.iter().find(|(ok, _)| !ok) {
            Some((_, why)) => Err(Error::Model((*why).into())),
            None => Ok(()),
        }
    }
}

/// Leaves of the concept tree that the decoder has queries for; `fict` asserts that its table agrees.
pub const CONCEPTS: usize = 27;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_fit_their_blocks() {
        for name in ["tiny", "base", "paper"] {
            ModelConfig::preset(name).and_then(|c| c.check()).unwrap();
        }
        assert_eq!(ModelConfig::base().visual_tokens(), 49);
    }

    #[test]
    fn unfit_sizes_are_refused() {
        let mut c = ModelConfig::base();
        c.lm_heads = 7;
        assert_eq!(c.check().unwrap_err().code(), "model.failed");
    }
}
