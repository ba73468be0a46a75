//! The key-value cache of the language model: preallocated, so that no buffer grows while it writes.

#[cfg(feature = "gpu")]
use super::lm_gpu;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use burn::tensor::{Device, Tensor};

/// Attended lengths are rounded up to this, the rest is masked: a GPU then meets few shapes (each new one may compile a
/// pipeline), and vector loads stay aligned.
pub(super) const LENGTH_STEP: usize = 16;

/// Keys and values of every layer, `[batch, kv_heads, capacity, head_dim]` each.
///
/// Belongs to one sequence (or one batch of sequences of equal length). Start over with [`KvCache::truncate`]; the
/// buffers are kept.
#[derive(Debug)]
pub struct KvCache {
    pub(super) layers: Vec<[Option<Tensor<4>>; 2]>,
    /// Cosines and sines of every position, `[capacity, head]`, where a GPU's kernels read them.
    #[cfg(feature = "gpu")]
    table: Option<Tensor<2>>,
    pub(super) capacity: usize,
    pub(super) len: usize,
}

impl KvCache {
    /// An empty cache of `cfg.lm_context` positions.
    pub fn new(cfg: &ModelConfig, batch: usize, device: &Device) -> Self {
        let capacity = cfg.lm_context.next_multiple_of(LENGTH_STEP);
        let zeros = || Some(Tensor::zeros([batch, cfg.lm_kv_heads, capacity, cfg.lm_head_dim()], device));
        let layers = (0..cfg.lm_layers).map(|_| [zeros(), zeros()]).collect();
        Self {
            layers,
            #[cfg(feature = "gpu")]
            table: lm_gpu::table(cfg, capacity, device),
            capacity,
            len: 0,
        }
    }

    /// Positions that are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no position is filled.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions that are still free.
    pub fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// Forgets all positions from `len` on, for instance to keep a shared prompt. Longer than filled changes nothing.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// See the field.
    #[cfg(feature = "gpu")]
    pub(super) fn table(&self) -> Option<Tensor<2>> {
        self.table.clone()
    }

    /// Positions that there is room for.
    #[cfg(feature = "gpu")]
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether it belongs to one sequence of that model.
    #[cfg(feature = "gpu")]
    pub(super) fn fits(&self, cfg: &ModelConfig) -> bool {
        let shape = [1, cfg.lm_kv_heads, self.capacity, cfg.lm_head_dim()];
        self.layers.len() == cfg.lm_layers && self.layers.iter().flatten().flatten().all(|t| t.dims() == shape)
    }

    /// Keys and values of a layer, `[batch, kv, capacity, head]`, for a kernel that writes into them in place.
    #[cfg(feature = "gpu")]
    pub(super) fn whole(&self, layer: usize) -> Result<[Tensor<4>; 2]> {
        match self.layers.get(layer) {
            Some([Some(keys), Some(values)]) => Ok([keys.clone(), values.clone()]),
            _ => Err(Error::Model("the cache was lost in a failed step, or is of another model".into())),
        }
    }

    /// Length that attention runs over when `t` positions are added.
    pub(super) fn padded(&self, t: usize) -> usize {
        (self.len + t).next_multiple_of(LENGTH_STEP).min(self.capacity)
    }

    /// Refuses what does not fit.
    pub(super) fn check(&self, t: usize) -> Result<()> {
        if t > self.room() {
            return Err(Error::Model(format!("{} + {t} positions exceed the context of {}", self.len, self.capacity)));
        }
        Ok(())
    }

    /// Writes new keys or values `[b, kv, t, head]` of a layer behind the filled positions, gives the padded past.
    pub(super) fn write(&mut self, layer: usize, which: usize, new: Tensor<4>) -> Result<Tensor<4>> {
        let [batch, heads, t, head] = new.dims();
        let (len, padded) = (self.len, self.padded(t));
        let slot = self.layers.get_mut(layer).and_then(|l| l.get_mut(which));
        let slot = slot.ok_or_else(|| Error::Model("the cache is of another model".into()))?;
        // Taken out, so that the tensor has one owner and is written in place.
        let whole = slot.take().ok_or_else(|| Error::Model("the cache was lost in a failed step".into()))?;
        if whole.dims() != [batch, heads, self.capacity, head] {
            return Err(Error::Model(format!("the cache {:?} does not fit {:?}", whole.dims(), new.dims())));
        }
        let whole = whole.slice_assign([0..batch, 0..heads, len..len + t, 0..head], new);
        let past = whole.clone().slice([0..batch, 0..heads, 0..padded, 0..head]);
        *slot = Some(whole);
        Ok(past)
    }
}
