//! SAM's prompt encoder: points, boxes and coarse masks become vectors and maps in the decoder's space.
//!
//! Places are coded by random Fourier features: sin and cos of 2π(2p − 1)·F, p in [0, 1]², F `[2, dim/2]` drawn once by
//! upstream and never trained. Source: Segment Anything (Kirillov et al. 2023, arXiv 2304.02643), section A;
//! `prompt_encoder.py`. Sizes are relative to the crop, so that any side works with the same weights.

use super::encoder::channel_norm;
use super::gelu::gelu;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::{Conv, Init, Vars};
use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::f64::consts::TAU;

/// Channels of the mask branch before its last layer.
const MASK_CHANNELS: usize = 16;
/// Epsilon of SAM's channel norms.
const EPSILON: f64 = 1e-6;

/// Prompts → decoder space of `dec_dim` channels.
#[derive(Module, Debug)]
pub struct PromptEncoder {
    /// `[2, dim/2]`, fixed; row 0 is x.
    frequencies: Param<Tensor<2>>,
    /// Kinds of points, `[4, dim]`: background, foreground, top left and bottom right of a box.
    labels: Param<Tensor<2>>,
    /// `[1, dim]`, for label −1.
    not_a_point: Param<Tensor<2>>,
    /// `[1, dim]`, where no mask is given.
    no_mask: Param<Tensor<2>>,
    mask1: Conv2d,
    mask_norm1: LayerNorm,
    mask2: Conv2d,
    mask_norm2: LayerNorm,
    mask3: Conv2d,
    /// Centres of the cells of the configured grid, row by row, `[1, grid², 2]` in −1..1: uploaded once.
    centres: Tensor<3>,
    /// Side of the crop, pixels.
    #[module(skip)]
    side: usize,
}

impl PromptEncoder {
    /// Builds from weights under this place.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let d = cfg.dec_dim;
        let halve = Conv { kernel: 2, stride: 2, padding: 0, groups: 1 };
        Ok(Self {
            frequencies: v.param("frequencies", [2, d / 2], Init::Normal(1.0))?.set_require_grad(false),
            labels: v.param("labels", [4, d], Init::Normal(1.0))?,
            not_a_point: v.param("not_a_point", [1, d], Init::Normal(1.0))?,
            no_mask: v.param("no_mask", [1, d], Init::Normal(1.0))?,
            mask1: v.conv2d("mask1", [1, MASK_CHANNELS / 4], halve, true)?,
            mask_norm1: v.layer_norm("mask_norm1", MASK_CHANNELS / 4, EPSILON)?,
            mask2: v.conv2d("mask2", [MASK_CHANNELS / 4, MASK_CHANNELS], halve, true)?,
            mask_norm2: v.layer_norm("mask_norm2", MASK_CHANNELS, EPSILON)?,
            mask3: v.conv2d("mask3", [MASK_CHANNELS, d], Conv::same(1), true)?,
            centres: centres(cfg.grid(), v.device()),
            side: cfg.enc_image,
        })
    }

    /// Code of the centres of a `grid`×`grid` map: `[1, dim, grid, grid]`.
    pub fn dense_pe(&self, grid: usize) -> Tensor<4> {
        let known = self.centres.dims()[1] == grid * grid;
        let places = if known { self.centres.clone() } else { centres(grid, &self.centres.device()) };
        let code = self.code(places);
        let dim = code.dims()[2];
        code.swap_dims(1, 2).reshape([1, dim, grid, grid])
    }

    /// Points `[b, n, 2]` as (x, y) in crop pixels with labels `[b, n]` (1 face of interest, 0 not, 2 and 3 the corners
    /// of a box, −1 no point) → `[b, n, dim]`. Upstream appends one point of label −1 when no box is given; so must the
    /// caller who wants its answers.
    pub fn points(&self, places: Tensor<3>, labels: Tensor<2, Int>) -> Tensor<3> {
        let [b, n, _] = places.dims();
        let kinds = Tensor::cat(vec![self.not_a_point.val(), self.labels.val()], 0);
        let dim = kinds.dims()[1];
        let kind = kinds.select(0, (labels.clone() + 1).reshape([b * n])).reshape([b, n, dim]);
        let is_point = labels.not_equal_elem(-1).float().reshape([b, n, 1]);
        self.code(self.relative(places)) * is_point + kind
    }

    /// Boxes `[b, 4]` as (x0, y0, x1, y1) in crop pixels → `[b, 2, dim]`.
    pub fn boxes(&self, boxes: Tensor<2>) -> Tensor<3> {
        let b = boxes.dims()[0];
        self.code(self.relative(boxes.reshape([b, 2, 2]))) + self.labels.val().narrow(0, 2, 2).unsqueeze::<3>()
    }

    /// What stands for "no mask": `[1, dim, grid, grid]`.
    pub fn no_mask(&self, grid: usize) -> Tensor<4> {
        let row = self.no_mask.val();
        let dim = row.dims()[1];
        row.reshape([1, dim, 1, 1]).expand([1, dim, grid, grid])
    }

    /// Mask logits `[b, 1, 4g, 4g]` → `[b, dim, g, g]`.
    pub fn mask(&self, logits: Tensor<4>) -> Tensor<4> {
        let x = gelu(channel_norm(&self.mask_norm1, self.mask1.forward(logits)));
        let x = gelu(channel_norm(&self.mask_norm2, self.mask2.forward(x)));
        self.mask3.forward(x)
    }

    /// Crop pixels (corner of a pixel) → −1..1, at the centre of the pixel.
    fn relative(&self, places: Tensor<3>) -> Tensor<3> {
        (places + 0.5) * (2.0 / self.side as f64) - 1.0
    }

    /// Places `[b, n, 2]` in −1..1 → `[b, n, dim]`.
    fn code(&self, places: Tensor<3>) -> Tensor<3> {
        let angles = places.matmul(self.frequencies.val().unsqueeze::<3>()) * TAU;
        Tensor::cat(vec![angles.clone().sin(), angles.cos()], 2)
    }
}

/// Centres of the cells of a `grid`×`grid` map, row by row, as (x, y) in −1..1: `[1, grid², 2]`.
fn centres(grid: usize, device: &Device) -> Tensor<3> {
    let centre = |i: usize| 2.0 * (i as f32 + 0.5) / grid as f32 - 1.0;
    let places = (0..grid * grid).flat_map(|i| [centre(i % grid), centre(i / grid)]).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(places, [1, grid * grid, 2]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(t: Tensor<3>) -> Vec<f32> {
        t.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn a_box_is_its_two_corners() {
        let cfg = ModelConfig::tiny();
        let device = Device::flex();
        let p = PromptEncoder::build(&cfg, &Vars::random(5, &device)).unwrap();
        let corners = Tensor::<3>::from_floats([[[3.0, 7.0], [30.0, 41.0]]], &device);
        let labels = Tensor::<2, Int>::from_ints([[2, 3]], &device);
        let boxes = Tensor::<2>::from_floats([[3.0, 7.0, 30.0, 41.0]], &device);
        assert_eq!(values(p.points(corners, labels)), values(p.boxes(boxes)));
    }

    #[test]
    fn a_missing_point_does_not_depend_on_its_place() {
        let device = Device::flex();
        let p = PromptEncoder::build(&ModelConfig::tiny(), &Vars::random(5, &device)).unwrap();
        let at = |x: f32| p.points(Tensor::from_floats([[[x, 1.0]]], &device), Tensor::from_ints([[-1]], &device));
        assert_eq!(values(at(3.0)), values(at(40.0)));
    }

    #[test]
    fn maps_have_the_grid_of_the_encoder() {
        let cfg = ModelConfig::tiny();
        let device = Device::flex();
        let p = PromptEncoder::build(&cfg, &Vars::random(5, &device)).unwrap();
        let (g, d) = (cfg.grid(), cfg.dec_dim);
        assert_eq!(p.dense_pe(g).dims(), [1, d, g, g]);
        assert_eq!(p.no_mask(g).dims(), [1, d, g, g]);
        assert_eq!(p.mask(Tensor::zeros([2, 1, 4 * g, 4 * g], &device)).dims(), [2, d, g, g]);
    }
}
