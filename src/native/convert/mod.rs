//! From upstream checkpoints to this crate's named tensors. Runs once, natively, when the weights are made.
//!
//! [`torch`] reads a PyTorch checkpoint without Python; [`mobile_sam`] renames and reshapes what is in it.

pub mod mobile_sam;
pub mod torch;

pub use mobile_sam::mobile_sam;
