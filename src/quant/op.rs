//! The product with a packed weight as an own operation of burn's backends: one signature, a CPU arm ([`super::cpu`]) and a
//! GPU arm (`super::gpu`, where the build has it).
//!
//! No derivative exists here: a layer on an autodiff device never calls this operation, see [`super::linear`].

use super::cpu;
#[cfg(feature = "gpu")]
use super::gpu;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
#[cfg(feature = "gpu")]
use burn::tensor::DType;
use burn::tensor::{Int, Shape, Tensor, TensorData};
#[cfg(feature = "gpu")]
use burn_cubecl::{CubeBackend, kernel::into_contiguous};
use burn_flex::FlexTensor;

/// Products with packed weights.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"))]
pub trait BlockOps: Backend {
    /// `x [m, k] · W [k, n] → [m, n]`, all f32. `words [k · bits / 32, n]` i32 bit patterns, `scales [k / 32, n]`,
    /// `mins [k / 32, n]` (not read for 8 bits; hand in the scales), `bits` 4 or 8.
    fn block_mm(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        scales: FloatTensor<Self>,
        mins: FloatTensor<Self>,
        bits: usize,
    ) -> FloatTensor<Self>;
}

/// [`BlockOps::block_mm`] on tensors of the high-level interface.
pub(super) fn block_mm(x: Tensor<2>, words: Tensor<2, Int>, scales: Tensor<2>, mins: Tensor<2>, bits: usize) -> Tensor<2> {
    let out =
        <Dispatch as BlockOps>::block_mm(x.into_dispatch(), words.into_dispatch(), scales.into_dispatch(), mins.into_dispatch(), bits);
    Tensor::from_dispatch(out)
}

/// `[m, k, n]`, after checking that the parts belong together.
fn shape_of(x: &Shape, words: &Shape, scales: &Shape, mins: &Shape, bits: usize) -> [usize; 3] {
    let ([m, k], [rows, n]) = (x.dims(), words.dims());
    assert!(bits == 4 || bits == 8, "blocks hold 4 or 8 bits, not {bits}");
    assert_eq!(rows * 32, k * bits, "a weight for {} inputs against {k}", rows * 32 / bits);
    assert_eq!(scales.dims(), [k / super::BLOCK, n]);
    assert_eq!(mins.dims(), [k / super::BLOCK, n]);
    [m, k, n]
}

impl BlockOps for Flex {
    fn block_mm(x: FlexTensor, words: FlexTensor, scales: FlexTensor, mins: FlexTensor, bits: usize) -> FlexTensor {
        let [m, k, n] = shape_of(&x.shape(), &words.shape(), &scales.shape(), &mins.shape(), bits);
        // Weights are contiguous as loaded, so these are handles, not copies.
        let [x, words, scales, mins] = [x, words, scales, mins].map(|t| t.to_contiguous());
        let w = cpu::Packed { bits, k, n, words: words.storage(), scales: scales.storage(), mins: mins.storage() };
        FlexTensor::from_data(TensorData::new(cpu::matmul(x.storage(), m, w), [m, n]))
    }
}

#[cfg(feature = "gpu")]
impl BlockOps for CubeBackend {
    fn block_mm(
        x: FloatTensor<Self>,
        words: IntTensor<Self>,
        scales: FloatTensor<Self>,
        mins: FloatTensor<Self>,
        bits: usize,
    ) -> FloatTensor<Self> {
        let dims = shape_of(&x.shape(), &words.shape(), &scales.shape(), &mins.shape(), bits);
        assert_eq!(x.dtype, DType::F32, "the packed product is f32");
        let [m, k, n] = dims;
        gpu::matmat::matmat(into_contiguous(x), m, &gpu::repack(words, scales, mins, [k, n], bits))
    }
}
