//! A tensor as it is stored: float, flat 8-bit, or block-quantised matrix.

use crate::error::{Error, Result, WeightsFault};
use crate::quant::{BLOCK, Blocks};
use std::collections::BTreeMap;

/// One stored tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// Plain values, row-major. On disk f32 or f16.
    Float { shape: Vec<usize>, data: Vec<f32>, half: bool },
    /// 8-bit values in flat blocks of 32 over the row-major order, `w = q * scale`; the tail block is padded with zeros.
    Flat8 { shape: Vec<usize>, data: Vec<i8>, scales: Vec<f32> },
    /// A linear weight `[in, out]` in blocks of 32 inputs, see [`Blocks`].
    Blocks(Blocks),
}

impl Stored {
    /// Plain values kept in f32 on disk.
    pub fn float(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Self::Float { shape: shape.into(), data, half: false }
    }

    /// Plain values kept in f16 on disk.
    pub fn half(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Self::Float { shape: shape.into(), data, half: true }
    }

    /// Quantises to flat 8-bit blocks, symmetric, scale = max|w| / 127.
    pub fn flat8(shape: impl Into<Vec<usize>>, data: &[f32]) -> Self {
        let mut q = Vec::with_capacity(data.len().next_multiple_of(BLOCK));
        let mut scales = Vec::with_capacity(data.len().div_ceil(BLOCK));
        for block in data.chunks(BLOCK) {
            let top = block.iter().fold(0.0f32, |a, v| a.max(v.abs()));
            // The scale is rounded to f16 first, because that is what will be on disk.
            let scale = half::f16::from_f32(top / 127.0).to_f32();
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            q.extend(block.iter().map(|v| (v * inverse).round().clamp(-127.0, 127.0) as i8));
            q.resize(q.len().next_multiple_of(BLOCK), 0);
            scales.push(scale);
        }
        Self::Flat8 { shape: shape.into(), data: q, scales }
    }

    /// Row-major shape.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Float { shape, .. } | Self::Flat8 { shape, .. } => shape.clone(),
            Self::Blocks(b) => vec![b.k, b.n],
        }
    }

    /// Name of the form in the manifest.
    pub fn codec(&self) -> &'static str {
        match self {
            Self::Float { half: false, .. } => "f32",
            Self::Float { half: true, .. } => "f16",
            Self::Flat8 { .. } => "q8f",
            Self::Blocks(b) if b.bits == 4 => "q4",
            Self::Blocks(_) => "q8",
        }
    }

    /// The values, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Float { data, .. } => data.clone(),
            Self::Flat8 { shape, data, scales } => {
                let len = shape.iter().product();
                let mut out = Vec::with_capacity(data.len());
                for (block, scale) in data.chunks(BLOCK).zip(scales) {
                    out.extend(block.iter().map(|q| *q as f32 * scale));
                }
                out.truncate(len);
                out
            }
            Self::Blocks(b) => b.dequantise(),
        }
    }
}

/// Named tensors.
#[derive(Debug, Default, Clone)]
pub struct TensorMap(pub BTreeMap<String, Stored>);

impl TensorMap {
    /// The tensor of that name.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<&Stored> {
        let t = self.0.get(name).ok_or_else(|| Error::weights(WeightsFault::MissingTensor, name))?;
        if t.shape() != shape {
            return Err(Error::weights(WeightsFault::Shape, format!("{name}: {:?} where {shape:?} is needed", t.shape())));
        }
        Ok(t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat8_keeps_values_within_half_a_step() {
        let data: Vec<f32> = (0..77).map(|i| (i as f32 * 0.37).sin()).collect();
        let stored = Stored::flat8([7, 11], &data);
        let back = stored.to_f32();
        assert_eq!(back.len(), 77);
        for (a, b) in data.iter().zip(&back) {
            assert!((a - b).abs() <= 0.5 / 127.0 + 1e-3, "{a} {b}");
        }
    }
}
