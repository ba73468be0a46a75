//! A tensor as it is stored: float, flat 8-bit, or block-quantised matrix. And the weights of a model on their way to where it computes.

use crate::error::{Error, Result, WeightsFault};
use crate::quant::{BLOCK, BlockLinear, Blocks};
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

    /// The values, row-major; plain ones are handed over without a copy.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::Float { data, .. } => data,
            other => other.to_f32(),
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
        fits(name, &t.shape(), shape)?;
        Ok(t)
    }
}

fn fits(name: &str, found: &[usize], wanted: &[usize]) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::weights(WeightsFault::Shape, format!("{name}: {found:?} where {wanted:?} is needed")))
}

/// The weights of one model, each to be used once: packed matrices that are on the device already, the rest on the host. What was
/// used is gone from here, so that no weight is held twice while a model is built.
#[derive(Debug, Default)]
pub struct Arrived {
    placed: BTreeMap<String, Option<BlockLinear>>,
    /// Names stay when their tensors are taken.
    waiting: BTreeMap<String, Option<Stored>>,
}

impl From<TensorMap> for Arrived {
    /// All on the host.
    fn from(map: TensorMap) -> Self {
        Self { placed: BTreeMap::new(), waiting: map.0.into_iter().map(|(name, t)| (name, Some(t))).collect() }
    }
}

impl Arrived {
    /// With these matrices on their device.
    pub fn with_placed(mut self, placed: BTreeMap<String, BlockLinear>) -> Self {
        self.placed = placed.into_iter().map(|(name, l)| (name, Some(l))).collect();
        self
    }

    /// Whether a tensor of that name came, used or not.
    pub fn has(&self, name: &str) -> bool {
        self.waiting.contains_key(name) || self.placed.contains_key(name)
    }

    /// The tensor of that name, out of here.
    ///
    /// # Errors
    /// `weights.missing_tensor` (also for one that was taken before, or placed), `weights.shape`.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Stored> {
        let slot = self.waiting.get_mut(name).ok_or_else(|| Error::weights(WeightsFault::MissingTensor, name))?;
        let t = slot.take().ok_or_else(|| Error::weights(WeightsFault::MissingTensor, format!("{name} was used already")))?;
        fits(name, &t.shape(), shape)?;
        Ok(t)
    }

    /// The matrix of that name, out of here, if it came in blocks: from its place on the device, or onto `device` now.
    ///
    /// # Errors
    /// `weights.missing_tensor` for one that was taken before, `weights.shape`.
    pub fn take_blocks(&mut self, name: &str, shape: [usize; 2], device: &burn::tensor::Device) -> Result<Option<BlockLinear>> {
        if let Some(slot) = self.placed.get_mut(name) {
            let l = slot.take().ok_or_else(|| Error::weights(WeightsFault::MissingTensor, format!("{name} was used already")))?;
            fits(name, &l.dims(), &shape)?;
            return Ok(Some(l));
        }
        if !matches!(self.waiting.get(name), Some(Some(Stored::Blocks(_)))) {
            return Ok(None);
        }
        match self.take(name, &shape)? {
            Stored::Blocks(b) => Ok(Some(BlockLinear::packed(b, device))),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_is_used_once_and_remembered() {
        let device = burn::tensor::Device::flex();
        let blocks = Blocks::quantise4(&[0.5; 64], 32, 2).unwrap();
        let map = [("f".to_string(), Stored::float([2], vec![1.0, 2.0])), ("b".to_string(), Stored::Blocks(blocks.clone()))];
        let placed = [("p".to_string(), BlockLinear::packed(blocks, &device))];
        let mut all = Arrived::from(TensorMap(map.into())).with_placed(placed.into());
        assert_eq!(all.take("g", &[2]).unwrap_err().code(), "weights.missing_tensor");
        assert_eq!(all.take("f", &[2]).unwrap().into_f32(), [1.0, 2.0]);
        assert_eq!(all.take("f", &[2]).unwrap_err().code(), "weights.missing_tensor");
        assert!(all.has("f") && all.has("p") && !all.has("g"));
        assert!(all.take_blocks("f", [1, 2], &device).unwrap().is_none() && all.take_blocks("g", [1, 2], &device).unwrap().is_none());
        for name in ["b", "p"] {
            assert_eq!(all.take_blocks(name, [32, 2], &device).unwrap().unwrap().dims(), [32, 2]);
        }
        assert_eq!(all.take_blocks("p", [32, 2], &device).unwrap_err().code(), "weights.missing_tensor");
    }

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
