//! Upstream packages → our tensors.

mod facemesh;

pub use facemesh::facemesh;
