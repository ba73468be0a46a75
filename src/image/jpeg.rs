//! JPEG (ITU-T T.81): a walk over its markers before decoding, then pixels by `zune-jpeg`.
//!
//! Traps that this file exists for:
//! - `zune-jpeg` (and `image` around it) fills what is missing from a cut photo with grey and reports success. The walk
//!   asks for the end marker, [`super::jpeg_scan`] asks for every block, and the decoder runs in strict mode.
//! - It takes four components as Adobe's inverted CMYK always. Without an Adobe marker the ink values are not inverted.
//! - It takes three components with Adobe transform 0 (plain RGB) as an error unless their ids spell "RGB".

use super::{Header, Rgb8, Warning, jpeg_scan, limits};
use crate::error::{Error, ImageFault, Result};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

/// Most scans that are followed: a progressive photo has about ten, a bomb has thousands, each over the whole picture.
const MAX_SCANS: usize = 100;

/// One colour component of the frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Component {
    pub id: u8,
    /// Horizontal sampling factor, 1–4.
    pub h: usize,
    /// Vertical sampling factor, 1–4.
    pub v: usize,
}

/// What the markers say.
#[derive(Debug)]
pub(crate) struct Jpeg<'a> {
    pub header: Header<'a>,
    pub progressive: bool,
    pub components: Vec<Component>,
    /// Position of the transform byte of the Adobe marker, and its value.
    adobe: Option<(usize, u8)>,
    scans: usize,
}

/// One marker segment: its code, and its payload without the length.
pub(crate) struct Segment<'a> {
    pub code: u8,
    pub at: usize,
    pub body: &'a [u8],
}

/// Marker segments from the start of the file to the end marker, which is the last item. Entropy-coded data is skipped.
pub(crate) struct Segments<'a> {
    bytes: &'a [u8],
    /// Position of the next byte to look at.
    pub at: usize,
    done: bool,
}

impl<'a> Segments<'a> {
    /// Starts after the start-of-image marker.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2, done: false }
    }

    /// The next segment; `None` after the end marker.
    pub fn next(&mut self) -> Result<Option<Segment<'a>>> {
        if self.done {
            return Ok(None);
        }
        loop {
            // Anything before the next marker is entropy-coded data or padding. FF 00 is a stuffed data byte, FF FF is
            // filling, D0–D7 are restarts inside the data, 01 is TEM without a payload.
            let code = loop {
                match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                    (Some(0xff), Some(&c)) if !matches!(c, 0 | 0xff) => break c,
                    (Some(_), Some(_)) => self.at += 1,
                    _ => return Err(Error::image(ImageFault::Truncated, "no end-of-image marker")),
                }
            };
            self.at += 2;
            match code {
                0x01 | 0xd0..=0xd8 => continue,
                0xd9 => {
                    self.done = true;
                    return Ok(Some(Segment { code, at: self.at, body: &[] }));
                }
                _ => {}
            }
            let length = match self.bytes.get(self.at..self.at + 2) {
                Some(&[a, b]) => usize::from(u16::from_be_bytes([a, b])),
                _ => return Err(Error::image(ImageFault::Truncated, "the file ends inside a marker")),
            };
            if length < 2 {
                return Err(Error::image(ImageFault::Corrupt, format!("marker {code:02X} has length {length}")));
            }
            let at = self.at + 2;
            let body = self.bytes.get(at..self.at + length);
            let body = body.ok_or_else(|| Error::image(ImageFault::Truncated, format!("the file ends inside marker {code:02X}")))?;
            self.at += length;
            return Ok(Some(Segment { code, at, body }));
        }
    }
}

/// Reads all markers and checks the limits as soon as the size is known.
pub(crate) fn header(bytes: &[u8]) -> Result<Jpeg<'_>> {
    let mut jpeg =
        Jpeg { header: Header { frames: 1, ..Header::default() }, progressive: false, components: Vec::new(), adobe: None, scans: 0 };
    let mut segments = Segments::new(bytes);
    while let Some(s) = segments.next()? {
        match s.code {
            0xc0..=0xc2 => frame(&mut jpeg, &s)?,
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let words = if s.code == 0xc3 || s.code > 0xc8 { "lossless or arithmetic" } else { "hierarchical" };
                return Err(Error::image(ImageFault::Unsupported, format!("a JPEG of the {words} kind (SOF{})", s.code - 0xc0)));
            }
            0xda => {
                jpeg.scans += 1;
                if jpeg.components.is_empty() {
                    return Err(Error::image(ImageFault::Corrupt, "a scan before the frame header"));
                }
                if jpeg.scans > MAX_SCANS {
                    return Err(Error::image(ImageFault::Corrupt, format!("more than {MAX_SCANS} scans")));
                }
            }
            0xe1 => {
                if let Some(tiff) = s.body.strip_prefix(b"Exif\0\0") {
                    jpeg.header.exif.get_or_insert(tiff);
                } else if s.body.starts_with(b"http://ns.adobe.com/xap/1.0/\0") {
                    jpeg.header.xmp = true;
                }
            }
            0xe2 if s.body.starts_with(b"ICC_PROFILE\0") => jpeg.header.icc = Some(String::new()),
            // JUMBF in APP11 (ISO 19566-5): "JP", box instance, sequence, then boxes; C2PA's is labelled "c2pa".
            0xeb if s.body.starts_with(b"JP") && s.body.windows(4).any(|w| w == b"c2pa") => jpeg.header.c2pa = true,
            0xee if s.body.starts_with(b"Adobe") && s.body.len() >= 12 => jpeg.adobe = Some((s.at + 11, s.body[11])),
            _ => {}
        }
    }
    if jpeg.components.is_empty() || jpeg.scans == 0 {
        return Err(Error::image(ImageFault::Corrupt, "no frame or no scan"));
    }
    // Zeros after the end are padding of cards and caches; anything else may be of interest.
    if bytes.get(segments.at..).is_some_and(|rest| rest.iter().any(|&b| b != 0)) {
        jpeg.header.warnings.push(Warning::TrailingBytes);
    }
    let colour = match (jpeg.components.len(), jpeg.adobe) {
        (1, _) => "greyscale",
        (4, Some((_, 2))) => "YCCK",
        (4, _) => "CMYK",
        (_, Some((_, 0))) => "RGB",
        _ if jpeg.is_rgb_by_id() => "RGB",
        _ => "YCbCr",
    };
    if jpeg.components.len() == 4 {
        jpeg.header.warnings.push(Warning::CmykConverted);
    }
    jpeg.header.form = format!("{}, {colour}", if jpeg.progressive { "progressive" } else { "sequential" });
    limits::check_alloc(jpeg.memory())?;
    Ok(jpeg)
}

/// The frame header, T.81 B.2.2.
fn frame(jpeg: &mut Jpeg, s: &Segment) -> Result<()> {
    let bad = |words: &str| Error::image(ImageFault::Corrupt, words);
    if !jpeg.components.is_empty() {
        return Err(bad("two frame headers"));
    }
    let &[precision, h1, h0, w1, w0, n, ref rest @ ..] = s.body else { return Err(bad("a short frame header")) };
    let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
    limits::check(width.into(), height.into())?;
    if precision != 8 {
        return Err(Error::image(ImageFault::Unsupported, format!("a JPEG of {precision} bits a sample")));
    }
    if !matches!(n, 1 | 3 | 4) {
        return Err(Error::image(ImageFault::Unsupported, format!("a JPEG of {n} components")));
    }
    for c in rest.as_chunks::<3>().0.iter().take(n.into()) {
        let component = Component { id: c[0], h: usize::from(c[1] >> 4), v: usize::from(c[1] & 15) };
        if !(1..=4).contains(&component.h) || !(1..=4).contains(&component.v) {
            return Err(bad("a sampling factor outside 1–4"));
        }
        jpeg.components.push(component);
    }
    if jpeg.components.len() != usize::from(n) {
        return Err(bad("a short frame header"));
    }
    jpeg.progressive = s.code == 0xc2;
    (jpeg.header.width, jpeg.header.height) = (width.into(), height.into());
    Ok(())
}

impl Jpeg<'_> {
    /// libjpeg's convention: components called 'R', 'G', 'B' are just that.
    fn is_rgb_by_id(&self) -> bool {
        self.components.iter().map(|c| c.id).eq(*b"RGB")
    }

    /// Blocks across and down, and the largest sampling factors: the padded grid of whole MCUs.
    pub fn grid(&self) -> (usize, usize, usize, usize) {
        let hmax = self.components.iter().map(|c| c.h).max().unwrap_or(1);
        let vmax = self.components.iter().map(|c| c.v).max().unwrap_or(1);
        (self.header.width.div_ceil(8 * hmax), self.header.height.div_ceil(8 * vmax), hmax, vmax)
    }

    /// Estimate of the memory that decoding takes: the output, and all coefficients where they come in several scans.
    fn memory(&self) -> u64 {
        let (x, y, ..) = self.grid();
        let blocks: usize = self.components.iter().map(|c| c.h * c.v * x * y).sum();
        let coefficients = if self.progressive || self.scans > 1 { blocks as u64 * 128 } else { 0 };
        let pixel = if self.components.len() == 4 && self.adobe.is_none() { 7 } else { 3 };
        (self.header.width * self.header.height) as u64 * pixel + coefficients
    }
}

/// Decodes to RGB, as stored (not turned upright).
pub(crate) fn decode(bytes: &[u8], jpeg: &Jpeg) -> Result<(Rgb8, Vec<Warning>)> {
    let warnings = if jpeg_scan::check(bytes, jpeg)? { Vec::new() } else { vec![Warning::IncompleteScans] };
    let (width, height) = (jpeg.header.width, jpeg.header.height);
    let data = match (jpeg.components.len(), jpeg.adobe) {
        (4, None) => plain_cmyk_to_rgb(&pixels(bytes, ColorSpace::CMYK, 4, width * height)?)?,
        (3, Some((at, 0))) if !jpeg.is_rgb_by_id() => {
            // Call it YCbCr and ask for YCbCr: the decoder then hands the planes over as they are, which is RGB.
            let mut copy = limits::with_capacity(bytes.len())?;
            copy.extend_from_slice(bytes);
            if let Some(transform) = copy.get_mut(at) {
                *transform = 1;
            }
            pixels(&copy, ColorSpace::YCbCr, 3, width * height)?
        }
        _ => pixels(bytes, ColorSpace::RGB, 3, width * height)?,
    };
    Ok((Rgb8::new(width, height, data)?, warnings))
}

/// Runs the decoder. Strict, so that what it cannot decode is an error and not grey; the one strictness that real
/// photos break (stray bytes between headers, by some cameras) is forgiven.
fn pixels(bytes: &[u8], colour: ColorSpace, channels: usize, count: usize) -> Result<Vec<u8>> {
    let mut out = limits::zeroed(count * channels)?;
    let mut run = |strict: bool| {
        let options = DecoderOptions::default()
            .set_strict_mode(strict)
            .set_max_width(limits::MAX_SIDE as usize)
            .set_max_height(limits::MAX_SIDE as usize)
            .jpeg_set_max_scans(MAX_SCANS)
            .jpeg_set_out_colorspace(colour);
        let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|e| format!("{e:?}"))?;
        if decoder.output_buffer_size() != Some(out.len()) {
            return Err("the decoder sees another size".to_owned());
        }
        decoder.decode_into(&mut out).map_err(|e| format!("{e:?}"))
    };
    let result = match run(true) {
        Err(e) if e.contains("Extra bytes between headers") => run(false),
        result => result,
    };
    result.map_err(|e| Error::image(ImageFault::Corrupt, e.chars().take(200).collect::<String>()))?;
    Ok(out)
}

/// Ink values that are not inverted (0 is no ink) to RGB, without a colour profile.
fn plain_cmyk_to_rgb(cmyk: &[u8]) -> Result<Vec<u8>> {
    let mut out = limits::with_capacity(cmyk.len() / 4 * 3)?;
    for &[c, m, y, k] in cmyk.as_chunks::<4>().0 {
        out.extend([c, m, y].map(|ink| ((u32::from(255 - ink) * u32::from(255 - k) + 127) / 255) as u8));
    }
    Ok(out)
}
