//! From files to named tensors: the manifest, shards that are verified before anything is read from them, the stored
//! tensor forms, and [`Vars`], through which every block of the model is built.

pub mod loader;
pub mod manifest;
pub mod shard;
pub mod store;
pub mod vars;

pub use loader::Loader;
pub use manifest::{Codec, FileEntry, FileKind, Manifest, Source, TensorEntry};
pub use shard::write_shards;
pub use store::{Arrived, Stored, TensorMap};
pub use vars::{Conv, Init, Vars};
