//! Figures of merit. Every definition, with its source and what it leaves unseen, is in `docs/evaluation.md`.
//!
//! - [`ranking`], [`reliability`]: of scores (ROC, equal error rate, calibration error).
//! - [`overlap`], [`coco`]: of masks against masks (two kinds of mean IoU, mask recall, AP50).
//! - [`text`]: of words against words (BLEU, ROUGE-L, CIDEr-D, METEOR), on the tokens of [`mod@text::tokens`].
//! - [`answer`]: of an answer against itself (does it parse, do its words fit its masks and its score).
//!
//! Those of the field are checked against the reference packages by `tests/score.rs`.

pub mod answer;
pub mod coco;
pub mod overlap;
pub mod ranking;
pub mod reliability;
pub mod text;

pub use answer::{answer_parses, rate};
pub use overlap::{Overlap, greedy_miou, symmetric_miou};
pub use ranking::{eer, roc_auc, roc_points};

/// Mean; `None` of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.into_iter().fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    (n > 0).then(|| sum / n as f64)
}
