//! The command line's own parts: files, threads, conversion of upstream packages, training.

pub mod convert;
