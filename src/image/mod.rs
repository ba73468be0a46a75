//! Minimal shared image types of this branch; the full module replaces this file at merge.

/// Row-major sRGB picture, 3 bytes a pixel, origin at the top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8 {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

/// Row-major mask, each byte 0 or 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}
