//! What is refused before anything is allocated for it.
//!
//! A header of thirty bytes can promise a picture of gigabytes. Sizes are checked as soon as the header is read, then
//! the decoder's own working memory is estimated (a progressive JPEG keeps every coefficient), and only then are
//! buffers asked for, in a way that reports a refusal instead of aborting.

use crate::error::{Error, ImageFault, Result};

/// Largest file, in bytes.
pub const MAX_BYTES: usize = 200_000_000;
/// Most pixels.
pub const MAX_PIXELS: u64 = 100_000_000;
/// Longest side, in pixels.
pub const MAX_SIDE: u64 = 32_768;
/// Most bytes that one decoding may hold at once, by the estimate of its format's reader. A quarter of what a 32-bit
/// wasm memory can address, so that the model still fits beside it.
pub const MAX_ALLOC: u64 = 1 << 30;

/// Refuses a file that is empty or larger than [`MAX_BYTES`].
pub fn check_bytes(bytes: usize) -> Result<()> {
    match bytes {
        0 => Err(Error::image(ImageFault::Empty, "0 bytes")),
        n if n > MAX_BYTES => Err(Error::image(ImageFault::TooManyBytes, format!("{n} bytes, the limit is {MAX_BYTES}"))),
        _ => Ok(()),
    }
}

/// Refuses sizes that are zero or over the limits.
pub fn check(width: u64, height: u64) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::image(ImageFault::Corrupt, format!("the header says {width}×{height} pixels")));
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(Error::image(ImageFault::TooLarge, format!("{width}×{height}, the longest side may be {MAX_SIDE}")));
    }
    if width * height > MAX_PIXELS {
        let mp = (width * height).div_ceil(1_000_000);
        return Err(Error::image(ImageFault::TooLarge, format!("{width}×{height} ({mp} MP), the limit is {} MP", MAX_PIXELS / 1_000_000)));
    }
    Ok(())
}

/// Refuses a decoding whose estimated memory is over [`MAX_ALLOC`].
pub fn check_alloc(bytes: u64) -> Result<()> {
    if bytes > MAX_ALLOC {
        let (need, limit) = (bytes >> 20, MAX_ALLOC >> 20);
        return Err(Error::image(ImageFault::TooLarge, format!("decoding would take {need} MiB, the limit is {limit} MiB")));
    }
    Ok(())
}

/// An empty buffer with room for `bytes`, or `image.too_large` where memory is short.
pub fn with_capacity(bytes: usize) -> Result<Vec<u8>> {
    check_alloc(bytes as u64)?;
    let mut v = Vec::new();
    v.try_reserve_exact(bytes).map_err(|_| Error::image(ImageFault::TooLarge, format!("no memory for {bytes} bytes")))?;
    Ok(v)
}

/// A zeroed buffer of `bytes`, or `image.too_large` where memory is short.
pub fn zeroed(bytes: usize) -> Result<Vec<u8>> {
    let mut v = with_capacity(bytes)?;
    v.resize(bytes, 0);
    Ok(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(r: Result<()>) -> &'static str {
        r.map_or_else(|e| e.code(), |()| "ok")
    }

    #[test]
    fn each_limit_is_tight() {
        assert_eq!(code(check(10_000, 10_000)), "ok");
        assert_eq!(code(check(10_000, 10_001)), "image.too_large");
        assert_eq!(code(check(32_768, 3_051)), "ok");
        assert_eq!(code(check(32_769, 1)), "image.too_large");
        assert_eq!(code(check(u64::from(u32::MAX), u64::from(u32::MAX))), "image.too_large");
        assert_eq!(code(check(0, 5)), "image.corrupt");
        assert_eq!(code(check_bytes(0)), "image.empty");
        assert_eq!(code(check_bytes(MAX_BYTES)), "ok");
        assert_eq!(code(check_bytes(MAX_BYTES + 1)), "image.too_many_bytes");
        assert_eq!(code(check_alloc(MAX_ALLOC + 1)), "image.too_large");
        assert!(zeroed(usize::MAX).is_err());
    }
}
