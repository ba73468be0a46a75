//! FiFa-MLLM: one face encoder that serves both language and masks, a projector, a region encoder, a language model and
//! a multi-task decoder. One file a block; [`fifa`] only composes them.

pub mod conv_grad;
pub mod dense;
#[cfg(feature = "native")]
mod depthwise_grad;
pub mod encoder;
pub mod encoder_block;
pub mod fifa;
pub mod gelu;
pub mod lite;
#[cfg(feature = "native")]
mod lite_grad;
pub mod lm;
pub mod lm_cache;
mod lm_cpu;
#[cfg(feature = "gpu")]
mod lm_gpu;
mod lm_parts;
pub mod mask_decoder;
pub mod presence;
pub mod projector;
pub mod prompt;
mod pyramid;
pub mod region;
mod rounded;
pub mod states;
pub mod tasks;
pub mod traces;
pub mod twoway;
pub mod vision;

pub use fifa::Fifa;
pub use vision::Vision;
