//! The command line's door (feature `native`): conversion of upstream weights, the annotator, training, evaluation.

pub mod analyze;
pub mod annotate;
pub mod bench;
pub mod cli;
pub mod convert;
pub mod device;
pub mod eval;
pub mod export;
pub mod files;
pub mod metrics;
pub mod score;
pub mod train;
