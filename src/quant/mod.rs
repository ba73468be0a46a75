//! Block formats and the quantised linear layer.
//!
//! Weights of a linear layer `[in = K, out = N]` are cut along K into blocks of 32 that share a scale (and, for 4 bits,
//! a minimum), the layout of GGUF's Q4_1 and Q8_0, so that the upstream language model is carried over without loss.

pub mod cpu;
pub mod format;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;
pub mod linear;
mod op;

pub use format::{BLOCK, Blocks};
#[cfg(feature = "gpu")]
pub use gpu::{GpuForm, GpuWeight, self_test, set_gpu_form};
pub use linear::BlockLinear;
