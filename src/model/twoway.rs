//! SAM's two-way transformer: tokens attend to themselves and to the image, the image attends to the tokens.
//!
//! Positions are added again at every attention, never to the values. Works for any number of tokens and cells. Source:
//! Segment Anything (Kirillov et al. 2023, arXiv 2304.02643), section A; `transformer.py`.

use super::dense::{Act, attention, linear, norm};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::Vars;
use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;

/// Cross-attention works at 1/2 of the width.
const NARROW: usize = 2;
/// PyTorch's default.
const EPSILON: f64 = 1e-5;

/// Attention whose inner width may be smaller than its outer one.
#[derive(Module, Debug)]
pub struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    #[module(skip)]
    heads: usize,
}

impl Attention {
    /// Builds attention over `dim` channels with inner width `inner`.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(dim: usize, inner: usize, heads: usize, v: &Vars) -> Result<Self> {
        Ok(Self {
            q: v.linear("q", dim, inner, true)?,
            k: v.linear("k", dim, inner, true)?,
            v: v.linear("v", dim, inner, true)?,
            out: v.linear("out", inner, dim, true)?,
            heads,
        })
    }

    /// Queries `[b, t, dim]`, keys and values `[b, s, dim]` → `[b, t, dim]`.
    pub fn forward(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let project = |layer: &Linear, x: Tensor<3>| linear(layer, x, None, Act::None);
        let y = attention(project(&self.q, q), project(&self.k, k), project(&self.v, v), self.heads);
        project(&self.out, y)
    }
}

/// One two-way block.
#[derive(Module, Debug)]
pub struct TwoWayBlock {
    self_attn: Attention,
    norm1: LayerNorm,
    to_image: Attention,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    norm3: LayerNorm,
    to_tokens: Attention,
    norm4: LayerNorm,
}

impl TwoWayBlock {
    fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let (d, heads) = (cfg.dec_dim, cfg.dec_heads);
        Ok(Self {
            self_attn: Attention::build(d, d, heads, &v.pp("self_attn"))?,
            norm1: v.layer_norm("norm1", d, EPSILON)?,
            to_image: Attention::build(d, d / NARROW, heads, &v.pp("to_image"))?,
            norm2: v.layer_norm("norm2", d, EPSILON)?,
            fc1: v.linear("fc1", d, cfg.dec_mlp, true)?,
            fc2: v.linear("fc2", cfg.dec_mlp, d, true)?,
            norm3: v.layer_norm("norm3", d, EPSILON)?,
            to_tokens: Attention::build(d, d / NARROW, heads, &v.pp("to_tokens"))?,
            norm4: v.layer_norm("norm4", d, EPSILON)?,
        })
    }

    /// Tokens `[b, t, d]` with positions `[b, t, d]`, cells `[b, n, d]` with positions `[1 or b, n, d]`. The first block
    /// attends to itself without positions and without residual (its input *is* the positions).
    fn forward(&self, tokens: Tensor<3>, cells: Tensor<3>, token_pe: &Tensor<3>, cell_pe: &Tensor<3>, first: bool) -> [Tensor<3>; 2] {
        let tokens = if first {
            self.self_attn.forward(tokens.clone(), tokens.clone(), tokens)
        } else {
            let q = tokens.clone() + token_pe.clone();
            self.self_attn.forward(q.clone(), q, tokens.clone()) + tokens
        };
        let tokens = norm(&self.norm1, EPSILON, tokens);

        let placed = cells.clone() + cell_pe.clone();
        let seen = self.to_image.forward(tokens.clone() + token_pe.clone(), placed.clone(), cells.clone());
        let tokens = norm(&self.norm2, EPSILON, tokens + seen);

        let wide = linear(&self.fc1, tokens.clone(), None, Act::Relu);
        let tokens = norm(&self.norm3, EPSILON, linear(&self.fc2, wide, Some(tokens), Act::None));

        let told = self.to_tokens.forward(placed, tokens.clone() + token_pe.clone(), tokens.clone());
        [tokens, norm(&self.norm4, EPSILON, cells + told)]
    }
}

/// `dec_depth` two-way blocks and a last look of the tokens at the image.
#[derive(Module, Debug)]
pub struct TwoWayTransformer {
    layers: Vec<TwoWayBlock>,
    final_attn: Attention,
    final_norm: LayerNorm,
}

impl TwoWayTransformer {
    /// Builds from weights under this place.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let d = cfg.dec_dim;
        Ok(Self {
            layers: (0..cfg.dec_depth).map(|i| TwoWayBlock::build(cfg, &v.pp("layers").pp(i))).collect::<Result<_>>()?,
            final_attn: Attention::build(d, d / NARROW, cfg.dec_heads, &v.pp("final_attn"))?,
            final_norm: v.layer_norm("final_norm", d, EPSILON)?,
        })
    }

    /// Cells `[b, n, d]` with positions `[1 or b, n, d]` and tokens `[b, t, d]` → tokens `[b, t, d]`, cells `[b, n, d]`.
    pub fn forward(&self, cells: Tensor<3>, cell_pe: Tensor<3>, tokens: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let token_pe = tokens.clone();
        let (mut tokens, mut cells) = (tokens, cells);
        for (i, layer) in self.layers.iter().enumerate() {
            [tokens, cells] = layer.forward(tokens, cells, &token_pe, &cell_pe, i == 0);
        }
        let seen = self.final_attn.forward(tokens.clone() + token_pe, cells.clone() + cell_pe, cells.clone());
        (norm(&self.final_norm, EPSILON, tokens + seen), cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn the_order_of_cells_does_not_matter_when_positions_move_with_them() {
        let cfg = ModelConfig::tiny();
        let device = Device::flex();
        let net = TwoWayTransformer::build(&cfg, &Vars::random(2, &device)).unwrap();
        let noise = |n| Tensor::<3>::random([1, n, cfg.dec_dim], Distribution::Normal(0.0, 1.0), &device);
        let (cells, pe, tokens) = (noise(16), noise(16), noise(7));
        let (a, _) = net.forward(cells.clone(), pe.clone(), tokens.clone());
        let (b, _) = net.forward(cells.flip([1]), pe.flip([1]), tokens);
        let gap = (a - b).abs().max().into_scalar::<f32>();
        // Sums over 16 cells in another order.
        assert!(gap < 1e-5, "{gap}");
    }
}
