//! Exact GELU, x·Φ(x).

use burn::tensor::Tensor;

/// x·Φ(x), Φ the normal distribution function.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    burn::tensor::activation::gelu(x)
}
