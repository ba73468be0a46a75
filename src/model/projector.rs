//! From the encoder's map to visual tokens: pixel shuffle, then a two-layer perceptron.
//!
//! Pixel shuffle stacks a square of cells into one token (as in Idefics3 and SmolVLM): 28×28 cells become 49 tokens, so
//! that the language model's prompt stays short.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::{Init, Vars};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, activation::gelu};

/// `[b, enc_out, g, g] → [b, visual_tokens, lm_dim]`.
#[derive(Module, Debug)]
pub struct Projector {
    fc1: Linear,
    fc2: Linear,
    shuffle: usize,
}

impl Projector {
    /// Names `fc1`, `fc2`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let stacked = cfg.enc_out * cfg.proj_shuffle * cfg.proj_shuffle;
        let mut fc2 = v.linear("fc2", cfg.lm_dim, cfg.lm_dim, true)?;
        // Untrained visual tokens must not drown the text: start about as small as the language model's own embeddings.
        fc2.weight = v.pp("fc2").param("weight", [cfg.lm_dim, cfg.lm_dim], Init::Normal(0.1 / (cfg.lm_dim as f32).sqrt()))?;
        Ok(Self { fc1: v.linear("fc1", stacked, cfg.lm_dim, true)?, fc2, shuffle: cfg.proj_shuffle })
    }

    /// `[b, enc_out, g, g] → [b, (g/shuffle)², lm_dim]`, tokens in row-major order of the crop.
    pub fn forward(&self, map: Tensor<4>) -> Tensor<3> {
        let [b, c, g, _] = map.dims();
        let (s, side) = (self.shuffle, g / self.shuffle);
        let cells: Tensor<6> = map.reshape([b, c, side, s, side, s]);
        let tokens = cells.permute([0, 2, 4, 3, 5, 1]).reshape([b, side * side, s * s * c]);
        self.fc2.forward(gelu(self.fc1.forward(tokens)))
    }
}
