//! The command line's door (feature `native`): conversion of upstream weights, the annotator, training, evaluation.

pub mod analyze;
pub mod annotate;
pub mod bench;
pub mod bench_lm;
pub mod cli;
pub mod convert;
pub mod demo;
pub mod device;
pub mod eval;
pub mod export;
pub mod fict;
pub mod files;
pub mod legend;
pub mod many;
pub mod metrics;
pub(crate) mod say;
pub mod score;
pub mod train;
pub mod verify;
