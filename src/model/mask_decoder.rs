//! SAM's mask decoder: learned tokens meet the image in the two-way transformer; each mask token becomes a filter over
//! the upscaled map; a quality token estimates each mask's IoU.
//!
//! Upscaling is two transposed convolutions with kernel = stride = 2. Those never overlap, so each is a linear layer
//! whose outputs are dealt to 2×2 new pixels; both run on cells, and the pixels are put in place once, at the end.
//! Source: Segment Anything (Kirillov et al. 2023, arXiv 2304.02643), section A; `mask_decoder.py`.

use super::dense::norm;
use super::gelu::gelu;
use super::twoway::TwoWayTransformer;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::{Init, Vars};
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

/// Masks of one prompt: the single answer and three of growing extent.
pub const MASKS: usize = 4;
/// Epsilon of SAM's channel norms.
const EPSILON: f64 = 1e-6;

/// Masks of one prompt.
#[derive(Debug, Clone)]
pub struct MaskOutput {
    /// Logits `[b, 4, 4g, 4g]`; the first is the answer to an unambiguous prompt (several points, a box).
    pub masks: Tensor<4>,
    /// Estimated IoU of each, `[b, 4]`, about 0..1 but not clamped.
    pub quality: Tensor<2>,
}

/// Linear layers with ReLU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Builds `depth` layers, all but the last as wide as the input.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(d_in: usize, d_out: usize, depth: usize, v: &Vars) -> Result<Self> {
        let width = |i: usize| if i + 1 == depth { d_out } else { d_in };
        let layers = (0..depth).map(|i| v.pp("layers").linear(&i.to_string(), d_in, width(i), true)).collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// `[.., d_in]` → `[.., d_out]`.
    pub fn forward<const D: usize>(&self, mut x: Tensor<D>) -> Tensor<D> {
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if i + 1 < self.layers.len() {
                x = relu(x);
            }
        }
        x
    }
}

/// A transposed convolution, kernel 2, stride 2, as a linear layer: weight `[in, (ky, kx, out)]`, bias `[out]`.
#[derive(Module, Debug)]
pub struct Spread {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Spread {
    fn build(d_in: usize, d_out: usize, v: &Vars) -> Result<Self> {
        let bound = (3.0 / d_in as f32).sqrt();
        Ok(Self { weight: v.param("weight", [d_in, 4 * d_out], Init::Uniform(bound))?, bias: v.param("bias", [d_out], Init::Const(0.0))? })
    }

    /// `[n, in]` → `[4n, out]`, the 2×2 pixels of a cell one after the other.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [n, _] = x.dims();
        let [d] = self.bias.val().dims();
        x.matmul(self.weight.val()).reshape([4 * n, d]) + self.bias.val().unsqueeze::<2>()
    }
}

/// The mask decoder.
#[derive(Module, Debug)]
pub struct MaskDecoder {
    transformer: TwoWayTransformer,
    /// `[1, dim]`.
    quality_token: Param<Tensor<2>>,
    /// `[4, dim]`.
    mask_tokens: Param<Tensor<2>>,
    up1: Spread,
    up_norm: LayerNorm,
    up2: Spread,
    hyper: Vec<Mlp>,
    quality: Mlp,
}

impl MaskDecoder {
    /// Builds from weights under this place.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let d = cfg.dec_dim;
        Ok(Self {
            transformer: TwoWayTransformer::build(cfg, &v.pp("transformer"))?,
            quality_token: v.param("quality_token", [1, d], Init::Normal(1.0))?,
            mask_tokens: v.param("mask_tokens", [MASKS, d], Init::Normal(1.0))?,
            up1: Spread::build(d, d / 4, &v.pp("up1"))?,
            up_norm: v.layer_norm("up_norm", d / 4, EPSILON)?,
            up2: Spread::build(d / 4, d / 8, &v.pp("up2"))?,
            hyper: (0..MASKS).map(|i| Mlp::build(d, d / 8, 3, &v.pp("hyper").pp(i))).collect::<Result<_>>()?,
            quality: Mlp::build(d, MASKS, 3, &v.pp("quality"))?,
        })
    }

    /// The decoder's own tokens, `[b, 5, dim]`: quality, then the four masks.
    pub fn own_tokens(&self, batch: usize) -> Tensor<3> {
        let tokens = Tensor::cat(vec![self.quality_token.val(), self.mask_tokens.val()], 0);
        let [n, d] = tokens.dims();
        tokens.unsqueeze::<3>().expand([batch, n, d])
    }

    /// Runs any tokens `[b, t, dim]` against the image `[b, dim, g, g]` (dense prompt already added) with its positions
    /// `[1, dim, g, g]`: the tokens `[b, t, dim]` and the map for filters, `[b, dim/8, 4g, 4g]`.
    pub fn transform(&self, image: Tensor<4>, dense_pe: Tensor<4>, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let [_, _, h, w] = image.dims();
        let cells = |x: Tensor<4>| x.flatten::<3>(2, 3).swap_dims(1, 2);
        let (tokens, cells) = self.transformer.forward(cells(image), cells(dense_pe), tokens);
        (tokens, self.upscale(cells, h, w))
    }

    /// Cells `[b, h·w, dim]` → `[b, dim/8, 4h, 4w]`.
    fn upscale(&self, cells: Tensor<3>, h: usize, w: usize) -> Tensor<4> {
        let [b, n, d] = cells.dims();
        let x = gelu(norm(&self.up_norm, EPSILON, self.up1.forward(cells.reshape([b * n, d]))));
        let x = gelu(self.up2.forward(x));
        // [b, h, w, y1, x1, y2, x2, c] → [b, c, h, y1, y2, w, x1, x2].
        x.reshape([b, h, w, 2, 2, 2, 2, d / 8]).permute([0, 7, 1, 3, 5, 2, 4, 6]).reshape([b, d / 8, 4 * h, 4 * w])
    }

    /// Four masks for image `[b or 1, dim, g, g]`, positions `[1, dim, g, g]`, prompt vectors `[b, n, dim]` and dense
    /// prompt `[b or 1, dim, g, g]`.
    pub fn predict_masks(&self, image: Tensor<4>, pe: Tensor<4>, sparse: Tensor<3>, dense: Tensor<4>) -> MaskOutput {
        let [b, _, dim] = sparse.dims();
        let [_, c, g, w] = image.dims();
        let image = (image + dense).expand([b, c, g, w]);
        let tokens = Tensor::cat(vec![self.own_tokens(b), sparse], 1);
        let (tokens, map) = self.transform(image, pe, tokens);
        let token = |i: usize| tokens.clone().slice([0..b, i..i + 1]);
        let filters = Tensor::cat(self.hyper.iter().enumerate().map(|(i, mlp)| mlp.forward(token(1 + i))).collect(), 1);
        MaskOutput { masks: apply_filters(filters, map), quality: self.quality.forward(token(0).reshape([b, dim])) }
    }
}

/// Filters `[b, m, c]` over a map `[b, c, h, w]` → logits `[b, m, h, w]`.
pub fn apply_filters(filters: Tensor<3>, map: Tensor<4>) -> Tensor<4> {
    let [b, m, _] = filters.dims();
    let [_, _, h, w] = map.dims();
    filters.matmul(map.flatten::<3>(2, 3)).reshape([b, m, h, w])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::module::conv_transpose2d;
    use burn::tensor::ops::ConvTransposeOptions;
    use burn::tensor::{Device, Distribution};

    fn decoder(device: &Device) -> (ModelConfig, MaskDecoder) {
        let cfg = ModelConfig::tiny();
        let net = MaskDecoder::build(&cfg, &Vars::random(4, device)).unwrap();
        (cfg, net)
    }

    #[test]
    fn upscaling_is_two_transposed_convolutions() {
        let device = Device::flex();
        let (cfg, net) = decoder(&device);
        let (d, h, w) = (cfg.dec_dim, 3, 5);
        let x = Tensor::<4>::random([2, d, h, w], Distribution::Normal(0.0, 1.0), &device);
        let got = net.upscale(x.clone().flatten::<3>(2, 3).swap_dims(1, 2), h, w);
        // [in, ky, kx, out] → [in, out, ky, kx], the weight of a transposed convolution.
        let conv = |x: Tensor<4>, s: &Spread| {
            let [i, o] = [s.weight.val().dims()[0], s.bias.val().dims()[0]];
            let weight = s.weight.val().reshape([i, 2, 2, o]).permute([0, 3, 1, 2]);
            conv_transpose2d(x, weight, Some(s.bias.val()), ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1))
        };
        let y = gelu(super::super::encoder::channel_norm(&net.up_norm, conv(x, &net.up1)));
        let want = gelu(conv(y, &net.up2));
        let gap = (got - want).abs().max().into_scalar::<f32>();
        assert!(gap < 1e-5, "{gap}");
    }

    #[test]
    fn shapes_and_gradients() {
        let device = Device::flex().autodiff();
        let (cfg, net) = decoder(&device);
        let (d, g) = (cfg.dec_dim, cfg.grid());
        let noise = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let sparse = Tensor::<3>::random([2, 3, d], Distribution::Normal(0.0, 1.0), &device);
        let out = net.predict_masks(noise([1, d, g, g]), noise([1, d, g, g]), sparse, noise([1, d, g, g]));
        assert_eq!(out.masks.dims(), [2, MASKS, 4 * g, 4 * g]);
        assert_eq!(out.quality.dims(), [2, MASKS]);
        let gradients = (out.masks.powi_scalar(2).mean() + out.quality.sum()).backward();
        for p in [&net.mask_tokens, &net.quality_token, &net.up1.weight] {
            let g = p.val().grad(&gradients).unwrap().abs().sum().into_scalar::<f32>();
            assert!(g.is_finite() && g > 0.0, "{g}");
        }
    }
}
