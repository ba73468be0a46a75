//! The command line's side.

pub mod convert;
