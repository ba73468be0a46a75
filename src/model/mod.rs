//! model

pub mod encoder;
pub mod encoder_block;
pub mod gelu;
pub mod mask_decoder;
pub mod prompt;
pub mod twoway;
