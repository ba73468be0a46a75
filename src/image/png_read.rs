//! PNG and APNG (W3C PNG, third edition): a walk over the chunks, then pixels by the `png` crate.
//!
//! Text chunks and the colour profile are never inflated: kilobytes can become gigabytes there, outside of every limit
//! on pixels. Only the keywords, which are not compressed, become facts. An APNG gives its default image (the IDAT
//! chunks), as a viewer without animation shows it.

use super::sniff::PNG_MAGIC;
use super::{Header, Rgb8, Warning, flatten_rgba, limits, over_white};
use crate::error::{Error, ImageFault, Result};
use ::png::{ColorType, Decoder, DecodingError, Transformations};
use std::io::Cursor;

/// Memory that the decoder may take for itself (rows, small chunks), besides the output.
const DECODER_BYTES: usize = 64 << 20;
/// Most text keywords that become facts.
const MAX_KEYWORDS: usize = 8;

/// Reads all chunk headers and checks the limits as soon as the size is known.
pub(crate) fn header(bytes: &[u8]) -> Result<Header<'_>> {
    let cut = || Error::image(ImageFault::Truncated, "the file ends before its IEND chunk");
    let mut header = Header { frames: 1, ..Header::default() };
    let mut at = PNG_MAGIC.len();
    let (mut first, mut data, mut memory) = (true, false, 0);
    loop {
        let &[a, b, c, d, kind @ ..] = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).ok_or_else(cut)?;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > i32::MAX as usize {
            return Err(Error::image(ImageFault::Corrupt, "a chunk of an impossible length"));
        }
        // The size is checked before the rest of the file is looked at: a bomb is too large, whether it is whole or not.
        if first {
            if &kind != b"IHDR" || length != 13 {
                return Err(Error::image(ImageFault::Corrupt, "no IHDR chunk at the beginning"));
            }
            let body = bytes.get(at + 8..at + 21).and_then(|b| b.first_chunk::<13>()).ok_or_else(cut)?;
            memory = ihdr(&mut header, body)?;
            first = false;
        }
        let end = at.saturating_add(12).saturating_add(length);
        let body = bytes.get(at + 8..end - 4).filter(|_| end <= bytes.len()).ok_or_else(cut)?;
        match &kind {
            b"IDAT" => data = true,
            b"acTL" => header.frames = body.first_chunk::<4>().map_or(1, |&n| u32::from_be_bytes(n)).max(1),
            b"eXIf" => _ = header.exif.get_or_insert(body.strip_prefix(b"Exif\0\0").unwrap_or(body)),
            b"iCCP" => header.icc = Some(keyword(body).unwrap_or_default()),
            b"caBX" => header.c2pa = true,
            b"tEXt" | b"zTXt" | b"iTXt" => match keyword(body) {
                Some(k) if k == "XML:com.adobe.xmp" => header.xmp = true,
                Some(k) if header.keywords.len() < MAX_KEYWORDS && !header.keywords.contains(&k) => header.keywords.push(k),
                _ => {}
            },
            b"IEND" => {
                if bytes.len() > end {
                    header.warnings.push(Warning::TrailingBytes);
                }
                break;
            }
            _ => {}
        }
        at = end;
    }
    if !data {
        return Err(Error::image(ImageFault::Corrupt, "no IDAT chunk"));
    }
    if header.frames > 1 {
        header.warnings.push(Warning::FirstFrameOnly);
    }
    limits::check_alloc(memory)?;
    Ok(header)
}

/// The IHDR chunk. Returns the memory that decoding takes.
fn ihdr(header: &mut Header, body: &[u8; 13]) -> Result<u64> {
    let &[w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, _, _, interlaced] = body;
    let (width, height) = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    limits::check(width.into(), height.into())?;
    (header.width, header.height) = (width as usize, height as usize);
    let words = match colour {
        0 => "greyscale",
        2 => "RGB",
        3 => "palette",
        4 => "greyscale with alpha",
        6 => "RGBA",
        _ => return Err(Error::image(ImageFault::Corrupt, format!("colour type {colour}"))),
    };
    if depth == 16 {
        header.warnings.push(Warning::SixteenBitReduced);
    }
    header.form = format!("{depth}-bit {words}{}", if interlaced == 1 { ", interlaced" } else { "" });
    // Up to four channels as decoded, and RGB beside it.
    Ok(u64::from(width) * u64::from(height) * 7)
}

/// The keyword at the beginning of a text or profile chunk: Latin-1, 1–79 bytes, up to a zero.
fn keyword(body: &[u8]) -> Option<String> {
    let n = body.iter().take(80).position(|&b| b == 0).filter(|&n| n > 0)?;
    Some(body.get(..n)?.iter().map(|&b| char::from(b)).collect())
}

/// Decodes to RGB.
pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<(Rgb8, Vec<Warning>)> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), ::png::Limits { bytes: DECODER_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // EXPAND: palette, 1–4 bits and tRNS to 8-bit channels. STRIP_16: the high byte, as libpng and Pillow do.
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(fault)?;
    let size = reader.output_buffer_size().ok_or_else(|| Error::image(ImageFault::TooLarge, "no size"))?;
    let mut out = limits::zeroed(size)?;
    let frame = reader.next_frame(&mut out).map_err(fault)?;
    if (frame.width as usize, frame.height as usize) != (header.width, header.height) {
        return Err(Error::image(ImageFault::Corrupt, "the picture does not fill its frame"));
    }
    let mut seen = false;
    let data = match frame.color_type {
        ColorType::Rgb => out,
        ColorType::Rgba => {
            let (rgb, alpha) = flatten_rgba(&out)?;
            seen = alpha;
            rgb
        }
        ColorType::Grayscale => {
            let mut rgb = limits::with_capacity(out.len() * 3)?;
            out.iter().for_each(|&v| rgb.extend_from_slice(&[v; 3]));
            rgb
        }
        ColorType::GrayscaleAlpha => {
            let mut rgb = limits::with_capacity(out.len() / 2 * 3)?;
            for &[v, a] in out.as_chunks::<2>().0 {
                seen |= a != 255;
                rgb.extend_from_slice(&[over_white(v, a); 3]);
            }
            rgb
        }
        ColorType::Indexed => return Err(Error::image(ImageFault::Corrupt, "a palette that was not expanded")),
    };
    let warnings = if seen { vec![Warning::AlphaFlattened] } else { Vec::new() };
    Ok((Rgb8::new(header.width, header.height, data)?, warnings))
}

/// The decoder's errors as faults of this stage. The walk has already seen all chunks, so what is missing now is missing
/// inside of the compressed data: damage.
fn fault(e: DecodingError) -> Error {
    match e {
        DecodingError::LimitsExceeded => Error::image(ImageFault::TooLarge, "the decoder's own limit"),
        DecodingError::IoError(e) => Error::image(ImageFault::Truncated, e),
        e => Error::image(ImageFault::Corrupt, e),
    }
}
