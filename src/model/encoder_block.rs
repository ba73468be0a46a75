//! One block of TinyViT's attention stages: attention inside windows, a depthwise 3×3, a feed-forward layer.
//!
//! Attention adds a learned bias per head and per (|Δrow|, |Δcolumn|), LeViT's attention bias. Where the window does
//! not divide the map, zeros are added to the right and at the bottom *before* the norm, as upstream does: padded cells
//! then hold the norm's bias and are attended to like any other cell. Source: `TinyViTBlock` in `tiny_vit_sam.py`.

use super::dense::{Act, conv2d, linear, norm, window_attention};
use crate::error::Result;
use crate::weights::{Conv, Init, Vars};
use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::module::attention;
use burn::tensor::ops::{AttentionModuleOptions, PadMode};
use burn::tensor::{Int, Tensor, TensorData};

/// Widening of the feed-forward layer.
const MLP: usize = 4;
/// PyTorch's default, which TinyViT keeps.
const EPSILON: f64 = 1e-5;

/// A block on `[b, h, w, c]`.
#[derive(Module, Debug)]
pub struct Block {
    attn_norm: LayerNorm,
    qkv: Linear,
    proj: Linear,
    /// Bias by head and by |Δrow|·window + |Δcolumn|, `[heads, window²]`.
    offsets: Param<Tensor<2>>,
    /// That index for every pair of cells of a window, `[window⁴]`.
    pairs: Tensor<1, Int>,
    local: Conv2d,
    mlp_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    window: usize,
}

impl Block {
    /// Builds a block of `dim` channels.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(dim: usize, heads: usize, window: usize, v: &Vars) -> Result<Self> {
        let cells = window * window;
        let mut pairs = Vec::with_capacity(cells * cells);
        for p in 0..cells {
            for q in 0..cells {
                let (rows, columns) = ((p / window).abs_diff(q / window), (p % window).abs_diff(q % window));
                pairs.push((rows * window + columns) as i32);
            }
        }
        Ok(Self {
            attn_norm: v.layer_norm("attn_norm", dim, EPSILON)?,
            qkv: v.linear("qkv", dim, 3 * dim, true)?,
            proj: v.linear("proj", dim, dim, true)?,
            offsets: v.param("offsets", [heads, cells], Init::Const(0.0))?,
            pairs: Tensor::from_data(TensorData::new(pairs, [cells * cells]), v.device()),
            local: v.conv2d("local", [dim, dim], Conv::same(3).groups(dim), true)?,
            mlp_norm: v.layer_norm("mlp_norm", dim, EPSILON)?,
            fc1: v.linear("fc1", dim, MLP * dim, true)?,
            fc2: v.linear("fc2", MLP * dim, dim, true)?,
            heads,
            window,
        })
    }

    /// `[b, h, w, c]` → the same shape. The input may be a permuted view.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.attend(x);
        let x = conv2d(&self.local, x.permute([0, 3, 1, 2]), None, Act::None).permute([0, 2, 3, 1]);
        let y = linear(&self.fc1, norm(&self.mlp_norm, EPSILON, x.clone()), None, Act::Gelu);
        linear(&self.fc2, y, Some(x), Act::None)
    }

    /// Windowed attention with its residual.
    fn attend(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, h, w, c] = x.dims();
        let (side, heads) = (self.window, self.heads);
        let (rows, columns) = (h.div_ceil(side), w.div_ceil(side));
        let (down, right) = (rows * side - h, columns * side - w);
        let residual = x.clone();
        let x = if down + right > 0 { x.pad([(0, down), (0, right), (0, 0)], PadMode::Constant(0.0)) } else { x };
        let (windows, cells, d) = (b * rows * columns, side * side, c / heads);
        let qkv = linear(&self.qkv, norm(&self.attn_norm, EPSILON, x), None, Act::None);
        let bias = self.offsets.val().select(1, self.pairs.clone());
        let y = window_attention(&qkv, &bias.clone().reshape([heads, cells, cells]), side).unwrap_or_else(|| {
            // One permutation cuts windows, splits heads and separates queries, keys and values: [3, b, rows, columns,
            // heads, side, side, d]. Upstream's order of outputs is head, then q | k | v.
            let qkv = qkv.reshape([b, rows, side, columns, side, heads, 3, d]).permute([6, 0, 1, 3, 5, 2, 4, 7]).reshape([
                3 * windows,
                heads,
                cells,
                d,
            ]);
            let [q, k, v] = [0, 1, 2].map(|i| qkv.clone().narrow(0, i * windows, windows));
            // The scale is 1/√d.
            attention(q, k, v, None, Some(bias.reshape([1, heads, cells, cells])), AttentionModuleOptions::default())
                .reshape([b, rows, columns, heads, side, side, d])
                .permute([0, 1, 4, 2, 5, 3, 6])
                .reshape([b, rows * side, columns * side, c])
        });
        let y = if down + right > 0 { y.slice([0..b, 0..h, 0..w]) } else { y };
        linear(&self.proj, y, Some(residual), Act::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    /// Attention written the slow way, cell by cell, with padding, against the one above.
    #[test]
    fn attention_agrees_with_a_plain_loop_where_windows_do_not_divide() {
        let (dim, heads, side, h, w) = (8, 2, 3, 4, 5);
        let device = Device::flex();
        let mut block = Block::build(dim, heads, side, &Vars::random(3, &device)).unwrap();
        block.offsets = Param::from_tensor(Tensor::random([heads, 9], Distribution::Normal(0.0, 1.0), &device));
        block.attn_norm.beta = Some(Param::from_tensor(Tensor::random([dim], Distribution::Default, &device)));
        let x = Tensor::<4>::random([1, h, w, dim], Distribution::Normal(0.0, 1.0), &device);
        let got: Vec<f32> = (block.attend(x.clone()) - x.clone()).into_data().try_into_vec().unwrap();

        let padded = x.pad([(0, 2), (0, 1), (0, 0)], PadMode::Constant(0.0));
        let qkv: Vec<f32> = block.qkv.forward(block.attn_norm.forward(padded)).into_data().try_into_vec().unwrap();
        let offsets: Vec<f32> = block.offsets.val().into_data().try_into_vec().unwrap();
        let (columns, d) = (6, dim / heads);
        let at = |r: usize, c: usize, head: usize, part: usize, i: usize| qkv[(r * columns + c) * 3 * dim + head * 3 * d + part * d + i];
        let mut mixed = vec![0.0f32; h * w * dim];
        for (r, c, head) in (0..h).flat_map(|r| (0..w).flat_map(move |c| (0..heads).map(move |head| (r, c, head)))) {
            let (r0, c0) = (r / side * side, c / side * side);
            let cells = || (r0..r0 + side).flat_map(|y| (c0..c0 + side).map(move |x| (y, x)));
            let score = |(y, x): (usize, usize)| {
                let dot: f32 = (0..d).map(|i| at(r, c, head, 0, i) * at(y, x, head, 1, i)).sum();
                (dot / (d as f32).sqrt() + offsets[head * 9 + r.abs_diff(y) * side + c.abs_diff(x)]).exp()
            };
            let total: f32 = cells().map(score).sum();
            for i in 0..d {
                mixed[(r * w + c) * dim + head * d + i] = cells().map(|p| score(p) / total * at(p.0, p.1, head, 2, i)).sum();
            }
        }
        let want = block.proj.forward(Tensor::<4>::from_data(TensorData::new(mixed, [1, h, w, dim]), &device));
        let want: Vec<f32> = want.into_data().try_into_vec().unwrap();
        // Linear layers in fixed point: 2e-4 of what is about 0.4.
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 2e-4), "{got:?}\n{want:?}");
    }

    #[test]
    fn gradients_reach_the_attention_bias() {
        let device = Device::flex().autodiff();
        let block = Block::build(8, 2, 3, &Vars::random(3, &device)).unwrap();
        let x = Tensor::<4>::random([1, 4, 4, 8], Distribution::Normal(0.0, 1.0), &device);
        let gradients = block.forward(x).sum().backward();
        let g = block.offsets.val().grad(&gradients).unwrap().abs().sum().into_scalar::<f32>();
        assert!(g.is_finite() && g > 0.0, "{g}");
    }
}
