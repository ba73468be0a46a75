//! EXIF orientation: how the stored pixels are turned so that the photo stands upright (CIPA DC-008, tag 0x0112).
//!
//! Applied here and nowhere else. Everything after this stage lives in pixels of the upright photo.

use super::{Rgb8, limits};
use crate::error::Result;

/// Turns a stored picture upright. `orientation` is the EXIF value, 1–8; any other leaves the picture as it is.
///
/// | value | stored picture must be | value | stored picture must be |
/// |---|---|---|---|
/// | 1 | left as it is | 5 | mirrored at its main diagonal |
/// | 2 | mirrored left to right | 6 | turned 90° clockwise |
/// | 3 | turned 180° | 7 | mirrored at its other diagonal |
/// | 4 | mirrored top to bottom | 8 | turned 90° counter-clockwise |
///
/// # Errors
/// `image.too_large` where there is no memory for the second picture.
pub fn upright(stored: Rgb8, orientation: u8) -> Result<Rgb8> {
    let (w, h) = (stored.width, stored.height);
    if !(2..=8).contains(&orientation) || w == 0 || h == 0 {
        return Ok(stored);
    }
    let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
    let mut data = limits::with_capacity(stored.data.len())?;
    for y in 0..height {
        for x in 0..width {
            // Where in the stored picture the upright pixel (x, y) lies.
            let (sx, sy) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            let i = (sy * w + sx) * 3;
            data.extend_from_slice(&stored.data[i..i + 3]);
        }
    }
    Rgb8::new(width, height, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored picture is 3×2: a b c / d e f (one letter a pixel).
    fn turned(orientation: u8) -> (usize, String) {
        let data = b"abcdef".iter().flat_map(|&v| [v; 3]).collect();
        let r = upright(Rgb8::new(3, 2, data).unwrap(), orientation).unwrap();
        (r.width, r.data.chunks(3).map(|p| char::from(p[0])).collect())
    }

    #[test]
    fn all_eight() {
        let want = [(3, "abcdef"), (3, "cbafed"), (3, "fedcba"), (3, "defabc"), (2, "adbecf"), (2, "daebfc"), (2, "fcebda"), (2, "cfbead")];
        for (n, (w, s)) in (1u8..).zip(want) {
            assert_eq!(turned(n), (w, s.to_owned()), "orientation {n}");
        }
        assert_eq!(turned(0), (3, "abcdef".into()));
        assert_eq!(turned(9), (3, "abcdef".into()));
    }
}
