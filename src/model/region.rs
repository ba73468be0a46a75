//! The region encoder: any box or drawn mask becomes one token.
//!
//! Features are pooled under the region (mask pooling, as in Osprey, arXiv 2312.10032) from two levels, the encoder's map at
//! stride 16 and the traces branch's features at stride 4, and joined with the region's place and size; the token then passes
//! through the multi-task decoder, where it can look at the rest of the face. A box is just a full mask, so boxes and
//! drawings share one path.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::Vars;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, activation::relu};

/// `mask → [b, 1, dec_dim]`.
#[derive(Module, Debug)]
pub struct RegionEncoder {
    map: Linear,
    early: Linear,
    place: Linear,
    out: Linear,
}

impl RegionEncoder {
    /// Names `map`, `early`, `place`, `out`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        Ok(Self {
            map: v.linear("map", cfg.enc_out, cfg.dec_dim, true)?,
            early: v.linear("early", cfg.res_width, cfg.dec_dim, false)?,
            place: v.linear("place", 5, cfg.dec_dim, false)?,
            out: v.linear("out", cfg.dec_dim, cfg.dec_dim, true)?,
        })
    }

    /// # Arguments
    /// - `map`: the encoder's map, `[b, enc_out, g, g]`; `fine`: features of the traces branch, `[b, res_width, 4g, 4g]`.
    /// - `mask`: share of each cell that the region covers, 0..1, `[b, 1, g, g]`.
    /// - `fine_mask`: the same at stride 4, `[b, 1, 4g, 4g]`.
    /// - `place`: centre x, centre y, width, height, area share, each 0..1 of the crop, `[b, 5]`.
    ///
    /// # Returns
    /// `[b, 1, dec_dim]`
    pub fn forward(&self, map: Tensor<4>, fine: Tensor<4>, mask: Tensor<4>, fine_mask: Tensor<4>, place: Tensor<2>) -> Tensor<3> {
        let sum = self.map.forward(pool(map, mask)) + self.early.forward(pool(fine, fine_mask)) + self.place.forward(place);
        self.out.forward(relu(sum)).unsqueeze_dim(1)
    }
}

/// Mean of `features` `[b, c, h, w]` weighted by `mask` `[b, 1, h, w]` → `[b, c]`.
fn pool(features: Tensor<4>, mask: Tensor<4>) -> Tensor<2> {
    let [b, c, h, w] = features.dims();
    let mask: Tensor<3> = mask.reshape([b, h * w, 1]);
    let total: Tensor<3> = mask.clone().sum_dim(1) + 1e-4;
    let pooled: Tensor<3> = features.reshape([b, c, h * w]).matmul(mask);
    (pooled / total).reshape([b, c])
}

/// A region at the two resolutions that the encoder pools at, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionMask {
    /// Share of each cell covered, row-major, `[g, g]`.
    pub coarse: Vec<f32>,
    /// Share of each stride-4 cell covered, row-major, `[4g, 4g]`.
    pub fine: Vec<f32>,
    /// Centre x, centre y, width, height, area share, each 0..1 of the crop.
    pub place: [f32; 5],
}

impl RegionMask {
    /// From a 0/1 mask of the crop, row-major `[side, side]`, `side` a multiple of 16.
    pub fn from_crop_mask(mask: &[u8], side: usize) -> Self {
        let shares = |stride: usize| {
            let n = side / stride;
            let mut out = vec![0.0f32; n * n];
            for (y, row) in mask.chunks_exact(side).enumerate() {
                for (x, v) in row.iter().enumerate() {
                    if *v != 0 {
                        out[y / stride * n + x / stride] += 1.0;
                    }
                }
            }
            out.iter_mut().for_each(|v| *v /= (stride * stride) as f32);
            out
        };
        let (mut x0, mut y0, mut x1, mut y1, mut area) = (side, side, 0, 0, 0usize);
        for (y, row) in mask.chunks_exact(side).enumerate() {
            for (x, v) in row.iter().enumerate() {
                if *v != 0 {
                    (x0, y0, x1, y1, area) = (x0.min(x), y0.min(y), x1.max(x + 1), y1.max(y + 1), area + 1);
                }
            }
        }
        let s = side as f32;
        let place = if area == 0 {
            [0.5, 0.5, 0.0, 0.0, 0.0]
        } else {
            let (x0, y0, x1, y1) = (x0 as f32, y0 as f32, x1 as f32, y1 as f32);
            [(x0 + x1) / 2.0 / s, (y0 + y1) / 2.0 / s, (x1 - x0) / s, (y1 - y0) / s, area as f32 / (s * s)]
        };
        Self { coarse: shares(16), fine: shares(4), place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_mask_has_its_place() {
        let side = 32;
        let mask: Vec<u8> = (0..side * side).map(|i| u8::from(i % side < 16 && i / side < 16)).collect();
        let r = RegionMask::from_crop_mask(&mask, side);
        assert_eq!(r.place, [0.25, 0.25, 0.5, 0.5, 0.25]);
        assert_eq!(r.coarse, [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(r.fine.iter().sum::<f32>(), 16.0);
    }
}
