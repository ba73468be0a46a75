//! A linear layer without bias whose weight is float or block-quantised: one type for training and inference.

use super::format::Blocks;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// `y = x · W`, `W: [in, out]`.
#[derive(Module, Debug)]
pub enum BlockLinear {
    /// Float weight `[in, out]`.
    Float(FloatWeight),
}

/// Float weight of a [`BlockLinear`].
#[derive(Module, Debug)]
pub struct FloatWeight {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
}

impl BlockLinear {
    /// A float layer from a row-major `[k, n]` weight.
    pub fn float(weight: Vec<f32>, k: usize, n: usize, device: &Device) -> Self {
        let weight = Param::from_tensor(Tensor::from_data(TensorData::new(weight, [k, n]), device));
        Self::Float(FloatWeight { weight })
    }

    /// A layer that keeps its blocks packed on the device.
    pub fn packed(blocks: Blocks, device: &Device) -> Self {
        Self::float(blocks.dequantise(), blocks.k, blocks.n, device)
    }

    /// `[.., in] → [.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Float(w) => burn::tensor::module::linear(x, w.weight.val(), None),
        }
    }

    /// Columns `ids` (i32) of the weight as rows `[t, in]`: the embedding look-up of a tied table. No read-back.
    pub fn columns(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Self::Float(w) => w.weight.val().select(1, ids).transpose(),
        }
    }
}
