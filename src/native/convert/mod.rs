//! Upstream packages → named tensors.

pub mod gguf;
pub mod smollm;
