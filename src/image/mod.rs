//! Minimal picture types (the image helper's branch holds the real module; the lead merges).

/// An upright sRGB picture: row-major, 3 bytes a pixel, top-left origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub data: Vec<u8>,
}

/// A box in pixels of the upright photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

/// A binary mask, row-major, 0 or 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `width * height` values, 0 or 1.
    pub data: Vec<u8>,
}

/// A decoded photo.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Upright pixels.
    pub rgb: Rgb8,
}
