//! fict
