//! From the encoder's map to visual tokens: pixel shuffle, then a two-layer perceptron.
//!
//! Pixel shuffle stacks a square of cells into one token (as in Idefics3 and SmolVLM): 28×28 cells become 49 tokens, so
//! that the language model's prompt stays short.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::Vars;
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
        let fc2 = v.linear("fc2", cfg.lm_dim, cfg.lm_dim, true)?;
        Ok(Self { fc1: v.linear("fc1", stacked, cfg.lm_dim, true)?, fc2, shuffle: cfg.proj_shuffle })
    }

    /// `[b, enc_out, g, g] → [b, (g/shuffle)², lm_dim]`, tokens in row-major order of the crop.
    pub fn forward(&self, map: Tensor<4>) -> Tensor<3> {
        let [b, c, g, _] = map.dims();
        let (s, side) = (self.shuffle, g / self.shuffle);
        let cells: Tensor<6> = map.reshape([b, c, side, s, side, s]);
        let tokens = cells.permute([0, 2, 4, 3, 5, 1]).reshape([b, side * side, s * s * c]);
        at_text_size(self.fc2.forward(gelu(self.fc1.forward(tokens))))
    }
}

/// Root mean square of the language model's own embeddings (0.098 in SmolLM2-135M's table).
const TEXT_RMS: f64 = 0.1;

/// Tokens of any size → tokens of the size of text, `[b, t, lm_dim]`. Without this, tokens made by training grow to twenty times
/// the text within some hundred steps; what layers add to them is then lost, and so is every word beside them.
pub(crate) fn at_text_size(x: Tensor<3>) -> Tensor<3> {
    let rms = (x.clone().square().mean_dim(2) + 1e-6).sqrt();
    x / rms * TEXT_RMS
}
