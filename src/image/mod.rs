//! Bytes of a file → an upright RGB photo with the SHA-256 of the file and its metadata as plain facts.
//!
//! [`decode`] is the only door for photos: sniffed type ([`sniff`]) → headers and limits, before any pixel is allocated
//! ([`limits`], [`jpeg`], [`png_read`], [`webp`]) → pixels → EXIF orientation, exactly once ([`orient`]).
//! The decoders behind the `image` crate are called directly, because `image` runs its JPEG decoder in lax mode (a cut
//! photo would come back half grey) and keeps the text chunks of a PNG.
//!
//! The other files serve the later stages: [`mask`] and [`rle`] (masks and their COCO form), [`rect`] and [`blur`] (measurements), [`resample`] (crops in,
//! probability maps out), [`png`] (results as files). Nothing here reads files or the clock: it compiles to wasm32.

pub mod bbox;
pub mod blur;
pub mod exif;
pub mod facts;
pub mod jpeg;
pub mod jpeg_scan;
pub mod limits;
pub mod mask;
pub mod orient;
pub mod png;
pub mod png_read;
pub mod rect;
pub mod resample;
pub mod rle;
pub mod sniff;
pub mod webp;

use crate::error::{Error, ImageFault, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use bbox::BBox;
pub use facts::Fact;
pub use mask::Mask;
pub use rle::Rle;
pub use sniff::ImageKind;

/// An 8-bit RGB picture: row-major, 3 bytes a pixel, origin at the top left. Values are taken as sRGB; an embedded
/// colour profile is reported as a fact, not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub data: Vec<u8>,
}

impl Rgb8 {
    /// A picture from its bytes. Fails with `image.corrupt` where their number is not `width * height * 3`.
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Result<Self> {
        match width.checked_mul(height).and_then(|n| n.checked_mul(3)) {
            Some(n) if n == data.len() => Ok(Self { width, height, data }),
            _ => Err(Error::image(ImageFault::Corrupt, format!("{} bytes for {width}×{height} RGB", data.len()))),
        }
    }

    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, data: colour.repeat(width * height) }
    }

    /// The pixel at (`x`, `y`), or `None` outside of the picture.
    pub fn get(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let i = (y * self.width + x) * 3;
        self.data.get(i..i + 3)?.try_into().ok()
    }

    /// Row `y` as bytes; empty outside of the picture.
    pub fn row(&self, y: usize) -> &[u8] {
        let n = self.width * 3;
        self.data.get(y.saturating_mul(n)..(y + 1).saturating_mul(n)).unwrap_or(&[])
    }
}

/// A decoded photo.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The photo, upright.
    pub rgb: Rgb8,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: usize,
    /// What the file is, by its magic bytes.
    pub kind: ImageKind,
    /// EXIF orientation as found in the file, 1–8 (1 where there is none). It is already applied to `rgb`.
    pub orientation: u8,
    /// Metadata as plain facts, in a stable order.
    pub facts: Vec<Fact>,
    /// Stable codes, see [`Warning`].
    pub warnings: Vec<&'static str>,
}

/// What [`decode`] did to the photo, or saw in its file, that a reader of the report should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Warning {
    /// Transparent pixels were laid over white, as a page or a viewer shows them.
    AlphaFlattened,
    /// The file is an animation; only its first frame was decoded.
    FirstFrameOnly,
    /// CMYK ink values were turned into RGB without a colour profile.
    CmykConverted,
    /// 16-bit samples were reduced to their high byte.
    SixteenBitReduced,
    /// The EXIF orientation is not 1–8; the photo was left as stored.
    OrientationInvalid,
    /// There are bytes after the end of the picture (a second picture, a video, or something hidden).
    TrailingBytes,
    /// A progressive JPEG whose last refinements are missing: the photo is softer than it was.
    IncompleteScans,
}

impl Warning {
    /// The stable code that reports carry.
    pub fn code(self) -> &'static str {
        match self {
            Self::AlphaFlattened => "image.alpha_flattened",
            Self::FirstFrameOnly => "image.first_frame_only",
            Self::CmykConverted => "image.cmyk_converted",
            Self::SixteenBitReduced => "image.sixteen_bit_reduced",
            Self::OrientationInvalid => "image.orientation_invalid",
            Self::TrailingBytes => "image.trailing_bytes",
            Self::IncompleteScans => "image.incomplete_scans",
        }
    }
}

/// What a container says about its picture before any pixel is decoded. The sizes have passed [`limits::check`].
#[derive(Debug, Default)]
pub(crate) struct Header<'a> {
    pub width: usize,
    pub height: usize,
    /// One line: "baseline", "8-bit RGB, interlaced", "lossy, with alpha".
    pub form: String,
    /// TIFF bytes of the first EXIF block, without an `Exif\0\0` prefix.
    pub exif: Option<&'a [u8]>,
    pub xmp: bool,
    pub c2pa: bool,
    /// Name of the colour profile, or an empty string where it is not known without inflating.
    pub icc: Option<String>,
    /// Keywords of the text chunks (PNG only); the texts stay compressed and unread.
    pub keywords: Vec<String>,
    /// 1 for a still picture.
    pub frames: u32,
    pub warnings: Vec<Warning>,
}

/// Decodes a photo: the whole image stage.
///
/// Transparent pixels are laid over white; an animation gives its first frame; greyscale and palette become RGB.
///
/// # Errors
/// `image.empty`, `image.too_many_bytes`, `image.not_an_image`, `image.unsupported` (with the name of the format),
/// `image.too_large`, `image.truncated`, `image.corrupt`. Never panics, whatever the bytes are.
pub fn decode(bytes: &[u8]) -> Result<Picture> {
    limits::check_bytes(bytes.len())?;
    let kind = sniff::sniff(bytes)?;
    let (header, (stored, mut warnings)) = match kind {
        ImageKind::Jpeg => {
            let jpeg = jpeg::header(bytes)?;
            let decoded = jpeg::decode(bytes, &jpeg)?;
            (jpeg.header, decoded)
        }
        ImageKind::Png => {
            let header = png_read::header(bytes)?;
            let decoded = png_read::decode(bytes, &header)?;
            (header, decoded)
        }
        ImageKind::WebP => {
            let header = webp::header(bytes)?;
            let decoded = webp::decode(bytes, &header)?;
            (header, decoded)
        }
    };
    warnings.extend(header.warnings.iter().copied());
    let exif = header.exif.map(exif::read).unwrap_or_default();
    let orientation = match exif.orientation {
        None => 1,
        Some(n @ 1..=8) => n as u8,
        Some(_) => {
            warnings.push(Warning::OrientationInvalid);
            1
        }
    };
    let rgb = orient::upright(stored, orientation)?;
    let facts = facts::collect(kind, &header, &exif, orientation);
    let mut codes: Vec<&'static str> = warnings.into_iter().map(Warning::code).collect();
    codes.sort_unstable();
    codes.dedup();
    Ok(Picture { rgb, sha256: sha256_hex(bytes), bytes: bytes.len(), kind, orientation, facts, warnings: codes })
}

/// SHA-256 of `bytes` as lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Lays RGBA pixels over white (straight alpha, in sRGB values, as browsers do). Returns the RGB bytes, and whether
/// any pixel was not opaque.
pub(crate) fn flatten_rgba(rgba: &[u8]) -> Result<(Vec<u8>, bool)> {
    let mut out = limits::with_capacity(rgba.len() / 4 * 3)?;
    let mut seen = false;
    for p in rgba.as_chunks::<4>().0 {
        let [r, g, b, a] = *p;
        seen |= a != 255;
        out.extend_from_slice(&[over_white(r, a), over_white(g, a), over_white(b, a)]);
    }
    Ok((out, seen))
}

/// One sample laid over white.
pub(crate) fn over_white(v: u8, a: u8) -> u8 {
    let (v, a) = (u32::from(v), u32::from(a));
    ((v * a + 255 * (255 - a) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_standard_one() {
        // FIPS 180-2, example B.1.
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn flatten_lays_over_white() {
        let (rgb, seen) = flatten_rgba(&[10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 200, 128]).unwrap();
        assert!(seen);
        assert_eq!(rgb, [10, 20, 30, 255, 255, 255, 127, 177, 227]);
        assert!(!flatten_rgba(&[1, 2, 3, 255]).unwrap().1);
    }

    #[test]
    fn rgb8_checks_its_length() {
        assert!(Rgb8::new(2, 2, vec![0; 12]).is_ok());
        assert_eq!(Rgb8::new(2, 2, vec![0; 11]).unwrap_err().code(), "image.corrupt");
        assert!(Rgb8::new(usize::MAX, 2, vec![]).is_err());
    }
}
