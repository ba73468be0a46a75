//! Host-side block formats: packing, quantising, dequantising.
//!
//! One layout serves every device: `words[k / per_word][n]`, so that neighbouring outputs lie side by side; a GPU reads
//! it coalesced, a CPU vectorises across outputs without horizontal sums. `per_word` is 8 (4 bits) or 4 (8 bits).
//! Scales and minima are rounded to f16 before values are chosen, because f16 is what will be on disk.

use crate::error::{Error, Result, WeightsFault};
use half::f16;

/// Inputs that share one scale.
pub const BLOCK: usize = 32;

/// A quantised matrix `[k, n]` (inputs × outputs).
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks {
    /// 4 or 8.
    pub bits: u32,
    /// Inputs, a multiple of [`BLOCK`].
    pub k: usize,
    /// Outputs.
    pub n: usize,
    /// `[k / (32 / bits), n]`; value `j` of a word sits at bit `bits * j`. 4-bit values are unsigned, 8-bit signed.
    pub words: Vec<u32>,
    /// `[k / 32, n]`.
    pub scales: Vec<f32>,
    /// `[k / 32, n]`, present for 4 bits: `w = q * scale + min`; for 8 bits `w = q * scale`.
    pub mins: Option<Vec<f32>>,
}

impl Blocks {
    /// Quantises a row-major `[k, n]` weight to 4 bits: values from the block's minimum to its maximum in 15 steps.
    ///
    /// # Errors
    /// `weights.shape`; `weights.not_finite` for a block whose range is beyond f16.
    pub fn quantise4(weight: &[f32], k: usize, n: usize) -> Result<Self> {
        Self::quantise(weight, k, n, 4, |block| {
            let low = block.iter().copied().fold(f32::INFINITY, f32::min);
            let high = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let min = f16::from_f32(low).to_f32();
            (f16::from_f32((high - min).max(0.0) / 15.0).to_f32(), min)
        })
    }

    /// Quantises a row-major `[k, n]` weight to 8 bits, symmetric: scale = max|w| / 127 of the block.
    ///
    /// # Errors
    /// `weights.shape`; `weights.not_finite` for a block whose range is beyond f16.
    pub fn quantise8(weight: &[f32], k: usize, n: usize) -> Result<Self> {
        Self::quantise(weight, k, n, 8, |block| {
            let top = block.iter().fold(0.0, |a: f32, v| a.max(v.abs()));
            (f16::from_f32(top / 127.0).to_f32(), 0.0)
        })
    }

    /// `choose` gives scale and minimum of a block.
    fn quantise(weight: &[f32], k: usize, n: usize, bits: u32, choose: impl Fn(&[f32; BLOCK]) -> (f32, f32)) -> Result<Self> {
        if n == 0 || k == 0 || !k.is_multiple_of(BLOCK) || k.checked_mul(n) != Some(weight.len()) {
            return Err(Error::weights(WeightsFault::Shape, format!("{} values as blocks [{k}, {n}]", weight.len())));
        }
        if weight.iter().any(|v| !v.is_finite()) {
            return Err(Error::weights(WeightsFault::NotFinite, format!("weight [{k}, {n}]")));
        }
        let per_word = (32 / bits) as usize;
        let (low, high) = if bits == 4 { (0.0, 15.0) } else { (-127.0, 127.0) };
        let mut words = vec![0u32; k / per_word * n];
        let (mut scales, mut mins) = (Vec::with_capacity(k / BLOCK * n), Vec::with_capacity(k / BLOCK * n));
        for (b, rows) in weight.chunks_exact(BLOCK * n).enumerate() {
            for col in 0..n {
                let block: [f32; BLOCK] = std::array::from_fn(|i| rows[i * n + col]);
                let (scale, min) = choose(&block);
                let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                for (i, v) in block.iter().enumerate() {
                    let q = ((v - min) * inverse).round().clamp(low, high) as i32 as u32 & (u32::MAX >> (32 - bits));
                    words[(b * BLOCK + i) / per_word * n + col] |= q << (bits * (i % per_word) as u32);
                }
                scales.push(scale);
                mins.push(min);
            }
        }
        let out = Self { bits, k, n, words, scales, mins: (bits == 4).then_some(mins) };
        out.check()?;
        Ok(out)
    }

    /// Whether the parts belong together and all scales are finite.
    ///
    /// # Errors
    /// `weights.shape`, `weights.not_finite`.
    pub fn check(&self) -> Result<()> {
        let (bits, k, n) = (self.bits as usize, self.k, self.n);
        let values = k.checked_mul(n).unwrap_or(0);
        let fits = values > 0
            && (bits == 4 || bits == 8)
            && k.is_multiple_of(BLOCK)
            && self.words.len() == values / (32 / bits)
            && self.scales.len() == values / BLOCK
            && self.mins.as_ref().map(Vec::len) == (bits == 4).then_some(values / BLOCK);
        if !fits {
            return Err(Error::weights(WeightsFault::Shape, format!("blocks of {bits} bits [{k}, {n}]")));
        }
        if self.scales.iter().chain(self.mins.iter().flatten()).any(|v| !v.is_finite()) {
            return Err(Error::weights(WeightsFault::NotFinite, format!("scales of blocks [{k}, {n}]")));
        }
        Ok(())
    }

    /// Outputs `from .. from + len` as a matrix of their own. The range must lie inside of `n`.
    pub fn columns(&self, from: usize, len: usize) -> Self {
        let cut = |v: &[f32]| v.chunks_exact(self.n).flat_map(|row| &row[from..from + len]).copied().collect();
        Self {
            bits: self.bits,
            k: self.k,
            n: len,
            words: self.words.chunks_exact(self.n).flat_map(|row| &row[from..from + len]).copied().collect(),
            scales: cut(&self.scales),
            mins: self.mins.as_deref().map(cut),
        }
    }

    /// Matrices of the same bits and inputs, their outputs one after another: the inverse of [`Self::columns`].
    pub fn side_by_side(parts: &[Self]) -> Self {
        fn rows<T: Copy>(parts: &[Blocks], count: usize, of: impl Fn(&Blocks) -> &[T]) -> Vec<T> {
            let mut out = Vec::with_capacity(parts.iter().map(|p| of(p).len()).sum());
            for r in 0..count {
                for p in parts {
                    out.extend_from_slice(&of(p)[r * p.n..][..p.n]);
                }
            }
            out
        }
        let Some(first) = parts.first() else {
            return Self { bits: 8, k: 0, n: 0, words: Vec::new(), scales: Vec::new(), mins: None };
        };
        let (bits, k) = (first.bits, first.k);
        Self {
            bits,
            k,
            n: parts.iter().map(|p| p.n).sum(),
            words: rows(parts, k * bits as usize / 32, |p| &p.words),
            scales: rows(parts, k / BLOCK, |p| &p.scales),
            mins: first.mins.as_ref().map(|_| rows(parts, k / BLOCK, |p| p.mins.as_deref().unwrap_or(&p.scales))),
        }
    }

    /// The values as `[k, n]`, row-major.
    pub fn dequantise(&self) -> Vec<f32> {
        let per_word = (32 / self.bits) as usize;
        let mut out = vec![0.0; self.k * self.n];
        for (k, row) in out.chunks_exact_mut(self.n).enumerate() {
            let words = &self.words[k / per_word * self.n..][..self.n];
            let scales = &self.scales[k / BLOCK * self.n..][..self.n];
            let shift = self.bits * (k % per_word) as u32;
            for n in 0..self.n {
                let q = if self.bits == 4 { ((words[n] >> shift) & 15) as f32 } else { (words[n] >> shift) as u8 as i8 as f32 };
                row[n] = q * scales[n];
            }
            if let Some(mins) = &self.mins {
                for (v, m) in row.iter_mut().zip(&mins[k / BLOCK * self.n..][..self.n]) {
                    *v += m;
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(k: usize, n: usize) -> Vec<f32> {
        (0..k * n).map(|i| (i as f32 * 0.37).sin() * 0.1 + 0.02).collect()
    }

    #[test]
    fn quantised_values_lie_within_half_a_step() {
        let (k, n) = (96, 7);
        let w = wave(k, n);
        for b in [Blocks::quantise4(&w, k, n).unwrap(), Blocks::quantise8(&w, k, n).unwrap()] {
            for (i, (a, v)) in w.iter().zip(b.dequantise()).enumerate() {
                let scale = b.scales[i / n / BLOCK * n + i % n];
                // Half a step, and what rounding scale and minimum to f16 (2^-11) adds at the ends.
                assert!((a - v).abs() <= scale * 0.51 + 0.13 / 1024.0, "{} bits: {a} {v}", b.bits);
            }
        }
    }

    #[test]
    fn quantising_again_changes_nothing() {
        let w = Blocks::quantise8(&wave(64, 3), 64, 3).unwrap();
        assert_eq!(Blocks::quantise8(&w.dequantise(), 64, 3).unwrap().dequantise(), w.dequantise());
        let flat = Blocks::quantise4(&[0.25; 64], 32, 2).unwrap();
        assert_eq!(flat.dequantise(), [0.25; 64]);
    }

    #[test]
    fn columns_and_side_by_side_are_inverse() {
        for b in [Blocks::quantise4(&wave(64, 11), 64, 11).unwrap(), Blocks::quantise8(&wave(64, 11), 64, 11).unwrap()] {
            assert_eq!(Blocks::side_by_side(&[b.columns(0, 4), b.columns(4, 1), b.columns(5, 6)]), b);
            let part: Vec<f32> = b.dequantise().chunks(11).flat_map(|r| r[4..9].to_vec()).collect();
            assert_eq!(b.columns(4, 5).dequantise(), part);
        }
    }

    #[test]
    fn bad_sizes_and_values_are_errors() {
        assert_eq!(Blocks::quantise4(&[0.0; 33], 33, 1).unwrap_err().code(), "weights.shape");
        assert_eq!(Blocks::quantise8(&[0.0; 32], 32, 2).unwrap_err().code(), "weights.shape");
        assert_eq!(Blocks::quantise8(&[f32::NAN; 32], 32, 1).unwrap_err().code(), "weights.not_finite");
        assert_eq!(Blocks::quantise4(&[f32::MAX; 32], 32, 1).unwrap_err().code(), "weights.not_finite");
        let mut b = Blocks::quantise4(&[0.0; 32], 32, 1).unwrap();
        b.mins = None;
        assert_eq!(b.check().unwrap_err().code(), "weights.shape");
    }
}
