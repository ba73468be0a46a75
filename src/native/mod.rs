//! The native door: forging and annotating training data, metrics.

pub mod annotate;
pub mod metrics;
