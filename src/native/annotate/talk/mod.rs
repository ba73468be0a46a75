//! Questions and answers from measured evidence: the eleven tasks and what a person would ask besides.
//!
//! An answer is a list of sentences, and each says what it rests on: the label, a mask, measurements, or nothing (a question that
//! pixels cannot answer). So a checker can go through them one by one. [`forms`] holds the questions, [`crate::measure::words`] what
//! measurements are called, [`compose`] puts them together;
//! [`draw`] draws one at a time.

pub mod compose;
pub mod draw;
pub mod forms;

pub use compose::{Basis, Claim, Sentence, Turn, turns};
