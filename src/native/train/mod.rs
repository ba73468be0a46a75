//! `facext train`: burn autodiff on the same model code that ships.
//!
//! Two stages. `vision` trains what sees; `language` trains what speaks from frozen vision. Both resume exactly from
//! their last checkpoint.

pub mod batch;
pub mod language;
pub mod losses;
pub mod schedule;
pub mod vision;
