//! native

pub mod convert;
