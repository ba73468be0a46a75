//! What a file is, by its first bytes; its name is never asked.
//!
//! Formats that people do send but that are not decoded here are named, so that the page can say "this is a HEIC photo"
//! instead of "broken file". Signatures are those of the formats' specifications and of the WHATWG MIME Sniffing Standard.

use crate::error::{Error, ImageFault, Result};
use serde::Serialize;

/// A kind of picture that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageKind {
    /// JPEG, ITU-T T.81.
    Jpeg,
    /// PNG or APNG, W3C PNG third edition.
    Png,
    /// WebP, RFC 9649.
    WebP,
}

impl ImageKind {
    /// The format's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        }
    }
}

/// The first bytes of a PNG file.
pub(crate) const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Major brands of ISO base media files that hold still pictures or film, with the words for them.
const BRANDS: &[(&[&[u8; 4]], &str)] = &[
    (&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"], "a HEIC/HEIF photo"),
    (&[b"avif", b"avis"], "an AVIF picture"),
    (&[b"crx "], "a Canon CR3 raw photo"),
    (&[b"jp2 ", b"jpx "], "a JPEG 2000 picture"),
];

/// Signatures of what is not decoded: bytes, offset, words.
const NAMED: &[(&[u8], usize, &str)] = &[
    (b"GIF87a", 0, "a GIF picture"),
    (b"GIF89a", 0, "a GIF picture"),
    (b"II*\0", 0, "a TIFF picture or a camera's raw file"),
    (b"MM\0*", 0, "a TIFF picture or a camera's raw file"),
    (b"II+\0", 0, "a BigTIFF picture"),
    (b"MM\0+", 0, "a BigTIFF picture"),
    (b"8BPS", 0, "a Photoshop document"),
    (b"\0\0\x01\0", 0, "an icon"),
    (b"\xff\x0a", 0, "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", 0, "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", 0, "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", 0, "a JPEG 2000 picture"),
    (b"v/1\x01", 0, "an OpenEXR picture"),
    (b"qoif", 0, "a QOI picture"),
    (b"%PDF-", 0, "a PDF document"),
    (b"\x1aE\xdf\xa3", 0, "a film"),
    (b"AVI ", 8, "a film"),
    (b"PK\x03\x04", 0, "a ZIP archive or an office document"),
];

/// Names the kind of picture.
///
/// # Errors
/// `image.unsupported` with what it is, for a known format that is not decoded; `image.not_an_image` otherwise;
/// `image.truncated` where the file is a mere beginning of a signature.
pub fn sniff(bytes: &[u8]) -> Result<ImageKind> {
    if bytes.is_empty() {
        return Err(Error::image(ImageFault::Empty, "0 bytes"));
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(ImageKind::Jpeg);
    }
    if bytes.starts_with(PNG_MAGIC) {
        return Ok(ImageKind::Png);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(ImageKind::WebP);
    }
    match other(bytes) {
        Some(words) => Err(Error::image(ImageFault::Unsupported, words)),
        None if is_beginning(bytes) => Err(Error::image(ImageFault::Truncated, format!("only {} bytes", bytes.len()))),
        None => Err(Error::image(ImageFault::NotAnImage, if is_text(bytes) { "it is text" } else { "unknown first bytes" })),
    }
}

/// A file cut inside its signature: at least two bytes of it, so that a lone byte of text is still text.
fn is_beginning(bytes: &[u8]) -> bool {
    let cut = |magic: &[u8]| (2..magic.len()).contains(&bytes.len()) && magic.starts_with(bytes);
    cut(b"\xff\xd8\xff") || cut(PNG_MAGIC) || cut(b"RIFF") || ((4..12).contains(&bytes.len()) && bytes.starts_with(b"RIFF"))
}

/// Words for a known format that is not decoded.
fn other(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        let brand = bytes.get(8..12)?;
        let named = BRANDS.iter().find(|(brands, _)| brands.iter().any(|b| b.as_slice() == brand));
        return Some(named.map_or("a film (ISO base media file)", |(_, words)| words));
    }
    if let Some((.., words)) = NAMED.iter().find(|(magic, at, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic))) {
        return Some(words);
    }
    // "BM" alone also begins English words: ask for a plausible size of the BMP information header, too.
    if bytes.starts_with(b"BM") && matches!(bytes.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])) {
        return Some("a BMP picture");
    }
    is_svg(bytes).then_some("an SVG drawing")
}

/// An `<svg` element among the first kilobyte of a file that begins like XML.
fn is_svg(bytes: &[u8]) -> bool {
    let head = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = &head[..head.len().min(1024)];
    let head = head.trim_ascii_start();
    head.first() == Some(&b'<') && head.windows(4).any(|w| w.eq_ignore_ascii_case(b"<svg"))
}

/// Valid UTF-8 without control characters, as far as the first 512 bytes show.
fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let valid = match std::str::from_utf8(head) {
        Ok(s) => s,
        // A character cut by the 512-byte window is no fault of the text.
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(bytes: &[u8]) -> String {
        sniff(bytes).map_or_else(|e| format!("{} {e}", e.code()), |k| k.name().to_owned())
    }

    #[test]
    fn names_what_it_sees() {
        assert_eq!(fault(b"\xff\xd8\xff\xe0rest"), "JPEG");
        assert_eq!(fault(b"\x89PNG\r\n\x1a\nrest"), "PNG");
        assert_eq!(fault(b"RIFF\x10\0\0\0WEBPVP8 "), "WebP");
        for (bytes, words) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0"[..], "HEIC"),
            (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x18ftypisom\0\0\0\0", "film"),
            (b"GIF89a\x01\0", "GIF"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "BMP"),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg xmlns='x'/>", "SVG"),
            (b"%PDF-1.7", "PDF"),
        ] {
            let got = fault(bytes);
            assert!(got.starts_with("image.unsupported") && got.contains(words), "{got}");
        }
    }

    #[test]
    fn text_and_noise_are_no_images() {
        assert!(fault(b"BMW is a make of car, and this is text.").starts_with("image.not_an_image"));
        assert!(fault("naïve text, cut ü".as_bytes()).contains("it is text"));
        assert!(fault(b"<html><body>404</body></html>").starts_with("image.not_an_image"));
        assert!(fault(&[0x13, 0x37, 0, 255, 3]).starts_with("image.not_an_image"));
        assert!(fault(b"RIFF\x10\0\0\0WAVEfmt ").starts_with("image.not_an_image"));
        assert!(fault(b"").starts_with("image.empty"));
        assert!(fault(b"\x89PNG\r").starts_with("image.truncated"));
        assert!(fault(b"RIFF\x10\0\0\0WE").starts_with("image.truncated"));
    }
}
