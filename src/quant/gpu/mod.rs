//! GPU kernels of the language model: products with packed weights, norm, attention, written once in CubeCL and compiled for
//! Vulkan, Metal, DirectX and WebGPU.
//!
//! Plain WGSL features only: no subgroups, no f16, at most 8 storage buffers, 256 invocations, 16 KiB of workgroup memory, so
//! that they run in every browser that has WebGPU. Each kernel exists in two forms ([`GpuForm`]): one that spreads a sum over
//! a workgroup, for GPUs, and one without barriers, for software adapters, where a barrier costs more than the work.
//!
//! Sizes that change from token to token (the position) lie in a buffer, never in an argument, and nothing is specialised
//! on a length: after the first token no pipeline is compiled and no buffer is made (`tests/gpu_decode.rs`).

// What the kernel language compiles is not all of Rust: neither iterators nor `is_multiple_of`, and an `if` on a compile-time value stands by
// itself; and it names a type and a size of a kernel alike.
#![allow(
    clippy::collapsible_if,
    clippy::duplicate_underscore_argument,
    clippy::manual_is_multiple_of,
    clippy::needless_range_loop,
    clippy::too_many_arguments
)]

pub(crate) mod attention;
mod check;
mod columns;
pub(crate) mod matmat;
pub(crate) mod matvec;
pub(crate) mod norm;
pub(crate) mod scores;
mod weight;

pub use check::self_test;
pub use weight::GpuWeight;
pub(crate) use weight::{View, repack};

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, Int, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::features::Plane;
use cubecl::prelude::*;
use std::sync::atomic::{AtomicU8, Ordering};

/// Which form of the kernels runs on a GPU device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuForm {
    /// [`Self::Split`] where the adapter is a GPU with subgroups, else [`Self::Threads`]. Trap: a GPU whose browser
    /// offers no subgroups (Firefox) counts as software here; whoever knows better calls [`set_gpu_form`].
    Auto,
    /// One thread does one sum from end to end, no barriers.
    Threads,
    /// A workgroup shares a sum and joins its parts in workgroup memory.
    Split,
}

static FORM: AtomicU8 = AtomicU8::new(0);

/// Chooses the form for the whole process (the page knows whether its adapter is a fallback; a kernel does not).
pub fn set_gpu_form(form: GpuForm) {
    FORM.store(form as u8, Ordering::Relaxed);
}

/// Whether a workgroup shares a sum on this device.
fn split(tensor: &CubeTensor) -> bool {
    match FORM.load(Ordering::Relaxed) {
        1 => false,
        2 => true,
        _ => tensor.client.properties().features.plane.contains(Plane::Ops),
    }
}

/// Whether kernels of this folder can run there: a GPU, without autodiff (they have no derivative).
pub(crate) fn runs_on(device: &Device) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Cube(_))
}

/// Four neighbouring values, one load.
pub(crate) type Quad = Vector<f32, Const<4>>;

/// The sum of the four.
#[cube]
fn sum4(v: Quad) -> f32 {
    (v.extract(0usize) + v.extract(1usize)) + (v.extract(2usize) + v.extract(3usize))
}

/// Leaves the sum of a workgroup's values in the first. `width` threads, a power of two, have written theirs and waited.
#[cube]
fn sum_of_all(values: &mut Shared<[f32]>, me: usize, #[comptime] width: usize) {
    let mut left = comptime!(width / 2).runtime();
    while left > 0 {
        if me < left {
            let other = values[me + left];
            values[me] += other;
        }
        sync_cube();
        left /= 2;
    }
}

/// The tensor as this backend holds it, row after row; `None` on another backend or for another type than f32.
pub(crate) fn floats<const D: usize>(t: Tensor<D>) -> Option<CubeTensor> {
    let t = t.try_into_primitive::<CubeBackend>().ok()?;
    (t.dtype == DType::F32).then(|| burn_cubecl::kernel::into_contiguous(t))
}

/// The tensor itself, for a kernel that writes into it; `None` if its values would have to be moved first.
pub(crate) fn in_place<const D: usize>(t: Tensor<D>) -> Option<CubeTensor> {
    let t = t.try_into_primitive::<CubeBackend>().ok()?;
    (t.dtype == DType::F32 && t.is_contiguous()).then_some(t)
}

/// Like [`floats`] for whole numbers, 32 bits wide.
pub(crate) fn ints<const D: usize>(t: Tensor<D, Int>) -> Option<CubeTensor> {
    let t = t.try_into_primitive::<CubeBackend>().ok()?;
    (t.dtype == DType::I32).then(|| burn_cubecl::kernel::into_contiguous(t))
}

/// A kernel's result as a tensor again.
pub(crate) fn tensor<const D: usize>(t: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<CubeBackend>(t)
}

/// Room for a kernel's f32 result, beside `like`.
fn room(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), DType::F32)
}

/// Workgroups in a row of `width` threads each, for so many threads; rows of at most 65 535 workgroups.
fn groups(threads: usize, width: usize) -> u32 {
    threads.div_ceil(width) as u32
}
