//! COCO's compressed run-length encoding of masks, byte for byte that of pycocotools (`maskApi.c` of cocoapi).
//!
//! Runs of 0 and 1 alternate, beginning with 0, down the columns (not along the rows). From the fourth on, a run is
//! written as its difference to the run before the last one; numbers are cut into 5-bit groups, least first, sign in
//! bit 4 of the last group, "more follows" in bit 5, each as the character 48 + group.

use super::{Mask, limits};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A mask as a COCO compressed RLE. In JSON: `{"size": [h, w], "counts": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle {
    /// Height and width (in this order).
    pub size: [usize; 2],
    /// The compressed runs: characters 48–111.
    pub counts: String,
}

fn bad(words: &str) -> Error {
    Error::Request(format!("a mask that is not a COCO RLE: {words}"))
}

impl Rle {
    /// Encodes a mask.
    pub fn encode(mask: &Mask) -> Self {
        let (w, h) = (mask.width, mask.height);
        let mut runs: Vec<i64> = Vec::new();
        let (mut value, mut run) = (0u8, 0i64);
        for x in 0..w {
            for y in 0..h {
                let v = u8::from(mask.get(x, y));
                if v != value {
                    runs.push(run);
                    (value, run) = (v, 0);
                }
                run += 1;
            }
        }
        runs.push(run);
        let mut counts = String::new();
        for (i, &run) in runs.iter().enumerate() {
            let mut rest = if i > 2 { run - runs[i - 2] } else { run };
            loop {
                let group = (rest & 0x1f) as u8;
                rest >>= 5;
                let more = if group & 0x10 != 0 { rest != -1 } else { rest != 0 };
                counts.push(char::from(48 + group + if more { 0x20 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        Self { size: [h, w], counts }
    }

    /// The runs, 0 first, in column order. Their sum is height × width.
    ///
    /// # Errors
    /// `request.bad` for a character outside 48–111, a number that is cut or too long, a negative run, a wrong sum, or a
    /// size over the limits of [`super::limits`].
    pub fn runs(&self) -> Result<Vec<u64>> {
        let total = self.size[0].checked_mul(self.size[1]).map(|n| n as u64).filter(|&n| n <= limits::MAX_PIXELS);
        let total = total.ok_or_else(|| bad("its size is over the limit"))?;
        let mut runs: Vec<u64> = Vec::new();
        let (mut bytes, mut sum) = (self.counts.bytes().peekable(), 0u64);
        while bytes.peek().is_some() {
            let (mut value, mut shift) = (0i64, 0);
            loop {
                let group = match bytes.next() {
                    Some(c @ 48..=111) => i64::from(c - 48),
                    Some(_) => return Err(bad("a character outside of the alphabet")),
                    None => return Err(bad("it ends inside of a number")),
                };
                if shift > 35 {
                    return Err(bad("a number that is too long"));
                }
                value |= (group & 0x1f) << shift;
                shift += 5;
                if group & 0x20 == 0 {
                    if group & 0x10 != 0 {
                        value |= -1 << shift;
                    }
                    break;
                }
            }
            if runs.len() > 2 {
                value += runs[runs.len() - 2] as i64;
            }
            let run = u64::try_from(value).map_err(|_| bad("a negative run"))?;
            sum += run;
            if sum > total {
                return Err(bad("its runs are longer than the mask"));
            }
            runs.push(run);
        }
        if sum != total {
            return Err(bad("its runs are shorter than the mask"));
        }
        Ok(runs)
    }

    /// Decodes to a mask. Errors as [`Rle::runs`].
    pub fn decode(&self) -> Result<Mask> {
        let runs = self.runs()?;
        let [h, w] = self.size;
        let mut mask = Mask::new(w, h);
        let mut at = 0usize;
        for (i, run) in runs.into_iter().enumerate() {
            let end = at + run as usize;
            if i % 2 == 1 {
                for p in at..end {
                    mask.data[p % h * w + p / h] = 1;
                }
            }
            at = end;
        }
        Ok(mask)
    }

    /// Number of pixels that are 1, without decoding. Errors as [`Rle::runs`].
    pub fn area(&self) -> Result<u64> {
        Ok(self.runs()?.into_iter().skip(1).step_by(2).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        /// Row-major "0101…".
        mask: String,
        rle: Rle,
        area: u64,
        bbox: super::super::BBox,
    }

    /// Vectors by pycocotools 2.0.11 (tests/reference/rle_vectors.py). Exact: the format is.
    #[test]
    fn agrees_with_pycocotools() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/fixtures/image/rle.json")).unwrap();
        assert!(cases.len() >= 20);
        for c in cases {
            let [h, w] = c.rle.size;
            let mask = Mask::from_data(w, h, c.mask.bytes().map(|b| b - b'0').collect()).unwrap();
            assert_eq!(Rle::encode(&mask), c.rle);
            assert_eq!(c.rle.decode().unwrap(), mask);
            assert_eq!(c.rle.area().unwrap(), c.area);
            assert_eq!(mask.area() as u64, c.area);
            assert_eq!(mask.bbox().unwrap_or_default(), c.bbox);
        }
    }

    #[test]
    fn large_runs_survive() {
        let mut mask = Mask::new(700, 900);
        mask.data[123_456..400_000].fill(1);
        let rle = Rle::encode(&mask);
        assert_eq!(rle.decode().unwrap(), mask);
        let json = serde_json::to_string(&rle).unwrap();
        assert!(json.starts_with(r#"{"size":[900,700],"counts":""#), "{json}");
        assert_eq!(serde_json::from_str::<Rle>(&json).unwrap(), rle);
    }

    #[test]
    fn rejects_what_is_malformed() {
        let good = Rle::encode(&Mask::from_data(5, 4, (0..20).map(|i| u8::from(i % 3 == 0)).collect()).unwrap());
        assert!(good.decode().is_ok());
        for counts in
            ["", "0", "é", "\u{7f}", "d", "``````````````", "oooooooooooo", "4O", "~", " ", "41", "X", "1111111111111111111111111111"]
        {
            let rle = Rle { size: [4, 5], counts: counts.into() };
            assert!(rle.decode().is_err(), "{counts:?} passed");
        }
        assert!(Rle { size: [5, 5], counts: good.counts.clone() }.decode().is_err());
        assert!(Rle { size: [usize::MAX, 2], counts: good.counts.clone() }.decode().is_err());
        assert!(Rle { size: [100_000, 100_000], counts: good.counts.clone() }.decode().is_err());
        // Nothing is asked of noise but that it does not panic.
        let mut seed = 1u64;
        for _ in 0..20_000 {
            let mut counts = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                counts.push(char::from(44 + (seed >> 33) as u8 % 72));
            }
            let _ = Rle { size: [40, 50], counts }.decode();
        }
        assert!(Rle { size: [0, 0], counts: "0".into() }.decode().is_ok());
    }
}
