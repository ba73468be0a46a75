//! WebP (RFC 9649): a walk over the RIFF chunks, then pixels by `image-webp`.
//!
//! The walk guards the decoder where it trusts the file: sizes inside of a frame that differ from the frame's own, and
//! chunks longer than the file (it would allocate what they promise). An animation gives its first frame on its canvas.

use super::{Header, Rgb8, Warning, flatten_rgba, limits};
use crate::error::{Error, ImageFault, Result};
use image_webp::{DecodingError, WebPDecoder};
use std::io::{Cursor, ErrorKind};

fn corrupt(words: impl std::fmt::Display) -> Error {
    Error::image(ImageFault::Corrupt, words)
}

fn cut() -> Error {
    Error::image(ImageFault::Truncated, "the file ends inside of a chunk")
}

/// Chunks of a RIFF list: name, body.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    fn next(&mut self) -> Result<Option<([u8; 4], &'a [u8])>> {
        if self.0.is_empty() || self.0 == [0] {
            return Ok(None);
        }
        let &[n0, n1, n2, n3, s0, s1, s2, s3] = self.0.first_chunk::<8>().ok_or_else(cut)?;
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let body = self.0.get(8..).and_then(|rest| rest.get(..size)).ok_or_else(cut)?;
        // Odd chunks are followed by a zero; the last one of a file often lacks it.
        self.0 = self.0.get(8 + size + size % 2..).unwrap_or(&[]);
        Ok(Some(([n0, n1, n2, n3], body)))
    }
}

/// A 24-bit little-endian number at `at`.
fn u24(body: &[u8], at: usize) -> Result<u64> {
    match body.get(at..at + 3) {
        Some(&[a, b, c]) => Ok(u64::from(u32::from_le_bytes([a, b, c, 0]))),
        _ => Err(corrupt("a short chunk")),
    }
}

/// Size in a `VP8 ` (lossy) key frame header, RFC 6386 9.1.
fn vp8_size(body: &[u8]) -> Result<(u64, u64)> {
    match body {
        [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] if tag & 1 == 0 => {
            Ok((u64::from(u16::from_le_bytes([*w0, *w1]) & 0x3fff), u64::from(u16::from_le_bytes([*h0, *h1]) & 0x3fff)))
        }
        _ => Err(corrupt("no VP8 key frame")),
    }
}

/// Size in a `VP8L` (lossless) header, RFC 9649 3.4.
fn vp8l_size(body: &[u8]) -> Result<(u64, u64)> {
    match body {
        [0x2f, a, b, c, d, ..] => {
            let bits = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
            Ok(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => Err(corrupt("no VP8L signature")),
    }
}

/// Reads all chunk headers and checks the limits as soon as the size is known.
pub(crate) fn header(bytes: &[u8]) -> Result<Header<'_>> {
    let mut header = Header { frames: 1, ..Header::default() };
    let declared = match bytes.get(4..8) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize + 8,
        _ => return Err(cut()),
    };
    let body = &bytes[12.min(bytes.len())..declared.min(bytes.len()).max(12)];
    let mut chunks = Chunks(body);
    let (name, first) = chunks.next()?.ok_or_else(cut)?;
    let (width, height) = match &name {
        b"VP8 " => vp8_size(first)?,
        b"VP8L" => vp8l_size(first)?,
        b"VP8X" => (u24(first, 4)? + 1, u24(first, 7)? + 1),
        _ => return Err(corrupt("no picture chunk at the beginning")),
    };
    limits::check(width, height)?;
    // One byte short is a missing pad byte after the last chunk.
    if declared > bytes.len() + 1 {
        return Err(cut());
    }
    (header.width, header.height) = (width as usize, height as usize);
    if bytes.len() > declared + 1 {
        header.warnings.push(Warning::TrailingBytes);
    }
    let animated = &name == b"VP8X" && first.first().is_some_and(|f| f & 2 != 0);
    header.form = match &name {
        b"VP8 " => "lossy",
        b"VP8L" => "lossless",
        _ if animated => "animated",
        _ => "extended",
    }
    .to_owned();
    if &name == b"VP8X" {
        extended(&mut header, chunks, animated)?;
    }
    // Planes, RGBA, canvas and RGB that are held at once, at the worst.
    limits::check_alloc(width * height * if animated { 13 } else { 8 })?;
    Ok(header)
}

/// The chunks after `VP8X`.
fn extended<'a>(header: &mut Header<'a>, mut chunks: Chunks<'a>, animated: bool) -> Result<()> {
    let canvas = (header.width as u64, header.height as u64);
    let mut frames = 0;
    let mut picture = false;
    while let Some((name, body)) = chunks.next()? {
        match &name {
            b"EXIF" => _ = header.exif.get_or_insert(body.strip_prefix(b"Exif\0\0").unwrap_or(body)),
            b"XMP " => header.xmp = true,
            b"ICCP" => header.icc = Some(String::new()),
            b"C2PA" => header.c2pa = true,
            b"VP8 " | b"VP8L" if !animated => {
                same_size(&name, body, canvas)?;
                picture = true;
            }
            b"ANMF" => {
                frames += 1;
                if frames == 1 {
                    frame(body, canvas)?;
                    picture = true;
                }
            }
            _ => {}
        }
    }
    if !picture {
        return Err(corrupt("no picture"));
    }
    if animated {
        header.frames = frames.max(1);
        header.warnings.push(Warning::FirstFrameOnly);
    }
    Ok(())
}

/// The first frame of an animation: inside of the canvas, and its picture of its own size.
fn frame(body: &[u8], canvas: (u64, u64)) -> Result<()> {
    let (x, y) = (u24(body, 0)? * 2, u24(body, 3)? * 2);
    let size = (u24(body, 6)? + 1, u24(body, 9)? + 1);
    if x + size.0 > canvas.0 || y + size.1 > canvas.1 {
        return Err(corrupt("a frame outside of the canvas"));
    }
    let mut chunks = Chunks(body.get(16..).ok_or_else(cut)?);
    while let Some((name, body)) = chunks.next()? {
        if matches!(&name, b"VP8 " | b"VP8L") {
            same_size(&name, body, size)?;
        }
    }
    Ok(())
}

fn same_size(name: &[u8; 4], body: &[u8], size: (u64, u64)) -> Result<()> {
    let own = if name == b"VP8 " { vp8_size(body)? } else { vp8l_size(body)? };
    if own == size { Ok(()) } else { Err(corrupt(format!("a picture of {}×{} in a frame of {}×{}", own.0, own.1, size.0, size.1))) }
}

/// Decodes to RGB.
pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<(Rgb8, Vec<Warning>)> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(fault)?;
    decoder.set_memory_limit(limits::MAX_ALLOC as usize);
    if decoder.dimensions() != (header.width as u32, header.height as u32) {
        return Err(corrupt("the decoder sees another size"));
    }
    let size = decoder.output_buffer_size().ok_or_else(|| Error::image(ImageFault::TooLarge, "no size"))?;
    let mut out = limits::zeroed(size)?;
    decoder.read_image(&mut out).map_err(fault)?;
    let (data, alpha) = if decoder.has_alpha() { flatten_rgba(&out)? } else { (out, false) };
    let warnings = if alpha { vec![Warning::AlphaFlattened] } else { Vec::new() };
    Ok((Rgb8::new(header.width, header.height, data)?, warnings))
}

/// The decoder's errors as faults of this stage.
fn fault(e: DecodingError) -> Error {
    match e {
        DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => Error::image(ImageFault::Truncated, e),
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => Error::image(ImageFault::TooLarge, e),
        DecodingError::UnsupportedFeature(e) => Error::image(ImageFault::Unsupported, format!("a WebP with {e}")),
        e => corrupt(e),
    }
}
