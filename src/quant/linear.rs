//! A linear layer without bias whose weight is float or block-quantised: one type for training and inference.
//!
//! A packed weight is read in place by an own kernel (`op`). On an autodiff device that kernel has no derivative,
//! so there the weight is expanded by plain operations and multiplied: gradients flow to `x`, never to the packed weight,
//! at the price of a float copy for the length of the call. Training normally keeps such weights float.

use super::cpu::Packed;
use super::format::{BLOCK, Blocks};
#[cfg(feature = "gpu")]
use super::gpu::{self, GpuWeight};
use super::op::block_mm;
use burn::backend::Flex;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_flex::FlexTensor;

/// `y = x · W`, `W: [in, out]`.
#[derive(Module, Debug)]
pub enum BlockLinear {
    /// Float weight `[in, out]`.
    Float(FloatWeight),
    /// Packed blocks, constant.
    Packed(PackedWeight),
    /// Packed blocks on a GPU, constant.
    #[cfg(feature = "gpu")]
    Gpu(GpuWeight),
}

/// Float weight of a [`BlockLinear`].
#[derive(Module, Debug)]
pub struct FloatWeight {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
}

/// Packed weight of a [`BlockLinear`]; layout as in [`Blocks`].
#[derive(Module, Debug)]
pub struct PackedWeight {
    /// `[in · bits / 32, out]`, i32 bit patterns.
    pub words: Param<Tensor<2, Int>>,
    /// `[in / 32, out]`.
    pub scales: Param<Tensor<2>>,
    /// `[in / 32, out]`, for 4 bits.
    pub mins: Option<Param<Tensor<2>>>,
    /// 4 or 8.
    pub bits: usize,
}

impl BlockLinear {
    /// A float layer from a row-major `[k, n]` weight.
    pub fn float(weight: Vec<f32>, k: usize, n: usize, device: &Device) -> Self {
        let weight = Param::from_tensor(Tensor::from_data(TensorData::new(weight, [k, n]), device));
        Self::Float(FloatWeight { weight })
    }

    /// A layer that keeps its blocks packed on the device.
    pub fn packed(blocks: Blocks, device: &Device) -> Self {
        #[cfg(feature = "gpu")]
        if gpu::runs_on(device) {
            return Self::Gpu(GpuWeight::new(&blocks, device));
        }
        let Blocks { bits, k, n, words, scales, mins } = blocks;
        let bits = bits as usize;
        // Same bits, other type: WebGPU and burn know no u32 tensors of kind Int by default.
        let words: Vec<i32> = words.into_iter().map(|w| w as i32).collect();
        let words = Tensor::from_data(TensorData::new(words, [k * bits / 32, n]), (device, DType::I32));
        // Not `Param::from_tensor`: that would ask for a gradient.
        let constant = |v: Vec<f32>| {
            let t = Tensor::from_data(TensorData::new(v, [k / BLOCK, n]), device);
            Param::initialized(ParamId::new(), t.set_require_grad(false))
        };
        Self::Packed(PackedWeight {
            words: Param::initialized(ParamId::new(), words),
            scales: constant(scales),
            mins: mins.map(constant),
            bits,
        })
    }

    /// Whether the weight is held in blocks.
    pub fn is_packed(&self) -> bool {
        !matches!(self, Self::Float(_))
    }

    /// `[in, out]`.
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Float(w) => w.weight.dims(),
            Self::Packed(w) => {
                let [rows, n] = w.words.dims();
                [rows * 32 / w.bits, n]
            }
            #[cfg(feature = "gpu")]
            Self::Gpu(w) => [w.k, w.n],
        }
    }

    /// `[.., in] → [.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let packed = |x: Tensor<D>, product: &dyn Fn(Tensor<2>) -> Tensor<2>| {
            let mut dims = x.dims();
            let y = product(x.flatten_leading());
            dims[D - 1] = y.dims()[1];
            y.reshape(dims)
        };
        match self {
            Self::Float(w) => burn::tensor::module::linear(x, w.weight.val(), None),
            Self::Packed(w) => packed(x, &|x| w.forward(x)),
            #[cfg(feature = "gpu")]
            Self::Gpu(w) => packed(x, &|x| w.forward(x)),
        }
    }

    /// Columns `ids [t]` of the weight as rows: `[t, in]`. This is the embedding look-up of a tied output layer.
    pub fn columns(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Self::Float(w) => w.weight.val().select(1, ids).transpose(),
            Self::Packed(w) => w.columns(ids).transpose(),
            #[cfg(feature = "gpu")]
            Self::Gpu(w) => w.columns(ids),
        }
    }

    /// The packed weight as the CPU kernels read it, without a copy; `None` if it is float, or not on the CPU.
    pub fn on_cpu(&self) -> Option<CpuWeight> {
        match self {
            Self::Packed(w) => CpuWeight::of(w),
            _ => None,
        }
    }

    /// The weight in float, row-major `[in, out]`, read back from the device (blocking: not in a browser).
    #[cfg(feature = "native")]
    pub fn to_float(&self) -> (Vec<f32>, [usize; 2]) {
        let weight = match self {
            Self::Float(w) => w.weight.val(),
            Self::Packed(w) => w.expand(),
            #[cfg(feature = "gpu")]
            Self::Gpu(w) => w.expand(),
        };
        let dims = weight.dims();
        (weight.into_data().iter::<f32>().collect(), dims)
    }
}

/// A packed weight in the CPU's memory: handles, not copies.
pub struct CpuWeight {
    words: FlexTensor,
    scales: FlexTensor,
    mins: Option<FlexTensor>,
    bits: usize,
    dims: [usize; 2],
}

impl CpuWeight {
    fn of(w: &PackedWeight) -> Option<Self> {
        let float = |t: Tensor<2>| (!t.is_autodiff()).then(|| t.try_into_primitive::<Flex>().ok()).flatten();
        let [rows, n] = w.words.dims();
        let mins = match &w.mins {
            Some(m) => Some(float(m.val())?),
            None => None,
        };
        let all = Self {
            words: w.words.val().try_into_primitive::<Flex>().ok()?,
            scales: float(w.scales.val())?,
            mins,
            bits: w.bits,
            dims: [rows * 32 / w.bits, n],
        };
        let whole = |t: &FlexTensor| t.is_contiguous() && t.layout().start_offset() == 0;
        (whole(&all.words) && whole(&all.scales) && all.mins.as_ref().is_none_or(whole)).then_some(all)
    }

    /// The weight by reference.
    pub fn packed(&self) -> Packed<'_> {
        let scales = self.scales.storage();
        let mins = self.mins.as_ref().map_or(scales, |m| m.storage());
        Packed { bits: self.bits, k: self.dims[0], n: self.dims[1], words: self.words.storage(), scales, mins }
    }
}

/// `[.., k] → [m, k]`.
trait FlattenLeading {
    fn flatten_leading(self) -> Tensor<2>;
}

impl<const D: usize> FlattenLeading for Tensor<D> {
    fn flatten_leading(self) -> Tensor<2> {
        let dims = self.dims();
        self.reshape([dims[..D - 1].iter().product(), dims[D - 1]])
    }
}

impl PackedWeight {
    /// `[m, in] → [m, out]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        if x.is_autodiff() || self.scales.val().is_autodiff() {
            return x.matmul(self.expand());
        }
        let scales = self.scales.val();
        let mins = self.mins.as_ref().map_or_else(|| scales.clone(), |m| m.val());
        block_mm(x, self.words.val(), scales, mins, self.bits)
    }

    /// The float weight `[in, out]`, a constant.
    fn expand(&self) -> Tensor<2> {
        dequantise(self.words.val(), self.scales.val(), self.mins.as_ref().map(|m| m.val()), self.bits)
    }

    /// `[in, t]`.
    fn columns(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        let take = |t: Tensor<2>| t.select(1, ids.clone());
        dequantise(self.words.val().select(1, ids.clone()), take(self.scales.val()), self.mins.as_ref().map(|m| take(m.val())), self.bits)
    }
}

/// Unpacks words `[k · bits / 32, n]` to `[k, n]` by plain operations.
fn dequantise(words: Tensor<2, Int>, scales: Tensor<2>, mins: Option<Tensor<2>>, bits: usize) -> Tensor<2> {
    let ([rows, n], per_word) = (words.dims(), 32 / bits);
    // Each value is moved to the top of the word and back down, which brings the sign along.
    let up: Vec<i32> = (0..per_word).map(|j| (32 - bits * (j + 1)) as i32).collect();
    let up = Tensor::<1, Int>::from_data(TensorData::new(up, [per_word]), (&words.device(), DType::I32)).reshape([1, per_word, 1]);
    let values = words.reshape([rows, 1, n]).bitwise_left_shift(up).bitwise_right_shift_scalar(32 - bits as i32);
    // 4-bit values have no sign.
    let values = if bits == 4 { values.bitwise_and_scalar(15) } else { values };
    let blocks = rows * per_word / BLOCK;
    let weight = values.float().reshape([blocks, BLOCK, n]) * scales.detach().reshape([blocks, 1, n]);
    let weight = match mins {
        Some(mins) => weight + mins.detach().reshape([blocks, 1, n]),
        None => weight,
    };
    weight.reshape([rows * per_word, n])
}
