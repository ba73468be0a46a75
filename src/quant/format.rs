//! Host-side block formats: packing, quantising, dequantising.
//!
//! One layout serves every device: `words[k / per_word][n]`, so that neighbouring outputs lie side by side; a GPU reads
//! it coalesced, a CPU vectorises across outputs without horizontal sums. `per_word` is 8 (4 bits) or 4 (8 bits).

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
