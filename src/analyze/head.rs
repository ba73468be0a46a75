//! The beginning of the prompt that all questions about a face share: the system turn and the image. Its keys and values are computed
//! once a face, as its encoding is, and every further question goes on behind them.
//!
//! One face's are kept, the last one that was asked about: they take as much memory as the cache (15 MB for the preset `base`), and
//! people go on asking about one face.

use crate::config::ModelConfig;
use crate::model::lm_cache::KvCache;
use burn::tensor::Device;

/// The kept cache, and whose it is.
#[derive(Debug, Default)]
pub struct Head {
    kept: Option<(usize, KvCache)>,
}

impl Head {
    /// A cache to answer with, and whether it holds the head of that face. Until it is given back nothing is kept: an answer that
    /// fails half-way leaves no cache of unknown content.
    pub fn take(&mut self, face: usize, cfg: &ModelConfig, device: &Device) -> (bool, KvCache) {
        match self.kept.take() {
            Some((of, cache)) => (of == face, cache),
            None => (false, KvCache::new(cfg, 1, device)),
        }
    }

    /// Keeps the cache of an answer about that face.
    pub fn keep(&mut self, face: usize, cache: KvCache) {
        self.kept = Some((face, cache));
    }
}
