//! The blocks of FiFa-MLLM.

pub mod lm;
pub mod lm_cache;
pub mod lm_parts;
