//! facext: fine-grained explainable deepfake analysis of face photos.
//!
//! The modules follow the data, and import only from modules listed above them (`tests/layering.rs` holds this):
//!
//! 1. [`error`], [`config`]: the one error type, the one flat model configuration.
//! 2. [`image`]: bytes → sniffed type → limits → decoded, upright RGB, with the SHA-256 of the file.
//! 3. [`quant`], [`weights`]: block formats and kernels; manifest, shards, verification, named tensors.
//! 4. [`face`]: every face with its box and 478-point mesh, and the square crop that the model sees.
//! 5. [`fict`]: the facial image concept tree and its masks.
//! 6. [`measure`]: what a part looks like in numbers, and what untouched photos show.
//! 7. [`text`]: tokenizer, chat template, grounded-text grammar.
//! 8. [`model`]: encoder, projector, region encoder, language model, multi-task decoder; [`model::fifa`] composes them.
//! 9. [`analyze`]: the loop that turns a photo and a question into a report.
//! 10. `web` (feature `web`) and `native` (feature `native`): the two doors; they never meet.

pub mod error;
pub mod config;
pub mod image;
pub mod quant;
pub mod weights;
pub mod face;
pub mod fict;
pub mod measure;
pub mod text;
pub mod model;
pub mod analyze;

#[cfg(feature = "native")]
pub mod native;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub mod web;

pub use error::{Error, Result};
