//! A packed weight as the kernels read it: words, scales and minima of a block side by side in one buffer.
//!
//! One buffer instead of three: the projections of one input then fit one launch within the eight storage buffers that
//! every WebGPU adapter offers, and what a thread reads of a block lies close together.

use super::super::format::{BLOCK, Blocks};
use super::columns;
use super::{floats, ints, matmat, matvec, tensor};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

/// Outputs are padded to a multiple of this with zeros, so that four neighbours are always one load.
pub(super) const LANE: usize = 4;

/// Words of one block and output: the values, the scale and, for 4 bits, the minimum.
pub(super) const fn rows(bits: usize) -> usize {
    if bits == 4 { 6 } else { 9 }
}

/// Packed weight `[k, n]` on a GPU.
#[derive(Module, Debug)]
pub struct GpuWeight {
    /// `[k / 32 · rows, n rounded up to 4]`, bit patterns; rows of a block: `bits` rows of values as in
    /// [`Blocks::words`], one of scales (f32), for 4 bits one of minima (f32).
    pub blocks: Param<Tensor<2, Int>>,
    /// 4 or 8.
    pub bits: usize,
    /// Inputs.
    pub k: usize,
    /// Outputs.
    pub n: usize,
}

impl GpuWeight {
    /// Reorders blocks and puts them on a GPU.
    pub fn new(blocks: &Blocks, device: &Device) -> Self {
        let (k, n, bits) = (blocks.k, blocks.n, blocks.bits as usize);
        let wide = n.next_multiple_of(LANE);
        let mut data = vec![0i32; k / BLOCK * rows(bits) * wide];
        for (block, out) in data.chunks_exact_mut(rows(bits) * wide).enumerate() {
            let mut put = |row: usize, values: &mut dyn Iterator<Item = i32>| {
                out[row * wide..][..n].iter_mut().zip(values).for_each(|(to, from)| *to = from);
            };
            for r in 0..bits {
                put(r, &mut blocks.words[(block * bits + r) * n..][..n].iter().map(|w| *w as i32));
            }
            put(bits, &mut blocks.scales[block * n..][..n].iter().map(|s| s.to_bits() as i32));
            if let (4, Some(mins)) = (bits, &blocks.mins) {
                put(5, &mut mins[block * n..][..n].iter().map(|s| s.to_bits() as i32));
            }
        }
        let shape = [k / BLOCK * rows(bits), wide];
        let blocks = Tensor::from_data(TensorData::new(data, shape), (device, DType::I32));
        Self { blocks: Param::initialized(ParamId::new(), blocks), bits, k, n }
    }

    /// `[m, k] → [m, n]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let m = x.dims()[0];
        let view = self.view();
        let x = floats(x).expect("a GPU's weight is multiplied on that GPU, in f32");
        tensor(if m == 1 { matvec::matvec(x, &view, None) } else { matmat::matmat(x, m, &view) })
    }

    /// Columns `ids [t]` as rows `[t, k]`.
    pub fn columns(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        let ids = ids.cast(DType::I32);
        tensor(columns::columns(ints(ids).expect("indices of a GPU's weight lie on that GPU"), &self.view()))
    }

    /// The float weight `[k, n]`.
    pub fn expand(&self) -> Tensor<2> {
        let ids: Vec<i32> = (0..self.n as i32).collect();
        let device = self.blocks.val().device();
        self.columns(Tensor::from_data(TensorData::new(ids, [self.n]), (&device, DType::I32))).transpose()
    }

    /// What kernels take.
    pub(crate) fn view(&self) -> View {
        let blocks = ints(self.blocks.val()).expect("a GPU's weight lies on a GPU");
        View { blocks, bits: self.bits, k: self.k, n: self.n }
    }
}

/// A [`GpuWeight`] in the backend's terms.
#[derive(Clone)]
pub(crate) struct View {
    /// See [`GpuWeight::blocks`].
    pub blocks: CubeTensor,
    pub bits: usize,
    pub k: usize,
    pub n: usize,
}

impl View {
    /// Outputs with padding, in groups of `width`.
    pub(super) fn lanes(&self, width: usize) -> usize {
        self.n.next_multiple_of(LANE) / width
    }
}

/// The three tensors of a [`super::super::linear::PackedWeight`] in this order, on their device. Only weights that were moved
/// off an autodiff device come this way; others are packed so when they are loaded.
pub(crate) fn repack(words: CubeTensor, scales: CubeTensor, mins: CubeTensor, dims: [usize; 2], bits: usize) -> View {
    let [k, n] = dims;
    let blocks = k / BLOCK;
    // The same bits under another type.
    let relabel = |t: CubeTensor| CubeTensor { dtype: DType::I32, ..burn_cubecl::kernel::into_contiguous(t) };
    let part = |t: CubeTensor, rows: usize| Tensor::<2, Int>::from_primitive::<CubeBackend>(relabel(t)).reshape([blocks, rows, n]);
    let mut parts = vec![part(words, bits), part(scales, 1)];
    if bits == 4 {
        parts.push(part(mins, 1));
    }
    let mut all = Tensor::cat(parts, 1);
    let missing = n.next_multiple_of(LANE) - n;
    if missing > 0 {
        let zeros = Tensor::zeros([blocks, rows(bits), missing], (&all.device(), DType::I32));
        all = Tensor::cat(vec![all, zeros], 2);
    }
    View { blocks: ints(all).expect("made on this backend"), bits, k, n }
}
