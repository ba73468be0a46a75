//! The language model: a Llama decoder (SmolLM2's layout) with low-rank adapters, a cache, and a path for training.
//!
//! Pre-norm blocks of grouped-query attention with rotary positions and SwiGLU, tied head (Touvron et al. 2023). The
//! numbers are checked against an independent reading of the same GGUF file (`tests/parity_lm.rs`). Nothing here reads
//! back from the device, so that it runs on WebGPU from wasm.

use super::lm_cache::KvCache;
use super::lm_cpu;
#[cfg(feature = "gpu")]
use super::lm_gpu;
use super::lm_parts::{Added, Lora, Norm, Positions, indices};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::quant::BlockLinear;
use crate::weights::Vars;
use burn::module::Module;
use burn::tensor::activation::{silu, softmax};
use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor, TensorData};

/// The decoder with its tables.
#[derive(Module, Debug)]
pub struct Lm {
    /// Upstream table `[dim, vocab]`: the head, and by columns the embedding.
    pub embed: BlockLinear,
    /// Rows of the added tokens.
    pub added: Added,
    /// Blocks, first to last.
    pub layers: Vec<Layer>,
    /// Final norm.
    pub norm: Norm,
    #[module(skip)]
    cfg: ModelConfig,
}

/// One block.
#[derive(Module, Debug)]
pub struct Layer {
    pub(super) attn_norm: Norm,
    pub(super) q: BlockLinear,
    pub(super) k: BlockLinear,
    pub(super) v: BlockLinear,
    pub(super) o: BlockLinear,
    /// Adapter beside `q`.
    pub q_lora: Option<Lora>,
    /// Adapter beside `v`.
    pub v_lora: Option<Lora>,
    pub(super) ffn_norm: Norm,
    pub(super) gate: BlockLinear,
    pub(super) up: BlockLinear,
    pub(super) down: BlockLinear,
}

impl Layer {
    fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        let (dim, kv, ffn) = (cfg.lm_dim, cfg.lm_kv_heads * cfg.lm_head_dim(), cfg.lm_ffn);
        Ok(Self {
            attn_norm: Norm::build(dim, cfg.lm_norm_eps, &v.pp("attn_norm"))?,
            q: v.block_linear("q", dim, dim)?,
            k: v.block_linear("k", dim, kv)?,
            v: v.block_linear("v", dim, kv)?,
            o: v.block_linear("o", dim, dim)?,
            q_lora: Lora::build(cfg, dim, &v.pp("q_lora"))?,
            v_lora: Lora::build(cfg, kv, &v.pp("v_lora"))?,
            ffn_norm: Norm::build(dim, cfg.lm_norm_eps, &v.pp("ffn_norm"))?,
            gate: v.block_linear("gate", dim, ffn)?,
            up: v.block_linear("up", dim, ffn)?,
            down: v.block_linear("down", ffn, dim)?,
        })
    }

    /// `[b, t, dim] → [b, t, dim]`. `past` takes new keys (0) or values (1), `[b, kv, t, head]`, and gives all that is
    /// attended to, `[b, kv, length, head]`.
    fn forward(
        &self,
        x: Tensor<3>,
        cfg: &ModelConfig,
        at: &Positions,
        mut past: impl FnMut(usize, Tensor<4>) -> Result<Tensor<4>>,
    ) -> Result<Tensor<3>> {
        let [b, t, dim] = x.dims();
        let (heads, kv, head) = (cfg.lm_heads, cfg.lm_kv_heads, cfg.lm_head_dim());
        let repeat = heads / kv;

        let h = self.attn_norm.forward(x.clone());
        let with = |y: Tensor<3>, lora: &Option<Lora>| match lora {
            Some(l) => y + l.forward(h.clone()),
            None => y,
        };
        let q = with(self.q.forward(h.clone()), &self.q_lora).reshape([b, t, heads, head]);
        let k = self.k.forward(h.clone()).reshape([b, t, kv, head]);
        let v = with(self.v.forward(h.clone()), &self.v_lora).reshape([b, t, kv, head]);
        // Queries and keys are rotated in one go: half as many launches.
        let qk = at.rotate(Tensor::cat(vec![q, k], 2));
        let q = qk.clone().slice_dim(2, 0..heads).mul_scalar(1.0 / (head as f64).sqrt());
        let k = past(0, qk.slice_dim(2, heads..heads + kv).swap_dims(1, 2))?;
        let v = past(1, v.swap_dims(1, 2))?;

        // The query heads of one key head become rows of one matrix, so that keys and values are never repeated.
        let q = q.reshape([b, t, kv, repeat, head]).permute([0, 2, 3, 1, 4]).reshape([b, kv, repeat * t, head]);
        let scores = q.matmul(k.swap_dims(2, 3)) + at.mask.clone();
        let mixed = softmax(scores, 3).matmul(v);
        let mixed = mixed.reshape([b, kv, repeat, t, head]).permute([0, 3, 1, 2, 4]).reshape([b, t, dim]);
        let x = x + self.o.forward(mixed);

        let h = self.ffn_norm.forward(x.clone());
        Ok(x + self.down.forward(silu(self.gate.forward(h.clone())) * self.up.forward(h)))
    }
}

impl Lm {
    /// Whether several known tokens are better read in one step. On the CPU that costs the weights' way through memory once, and
    /// gives bit for bit the same; a GPU would compile kernels for every number of tokens.
    pub fn reads_together(&self) -> bool {
        lm_cpu::applies(self)
    }

    /// The model whose weights are named below `v` (`lm.`).
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`; [`Error::Model`] for sizes that do not fit.
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        cfg.check()?;
        Ok(Self {
            embed: v.block_linear("embed", cfg.lm_dim, cfg.lm_vocab)?,
            added: Added::build(cfg, &v.pp("added"), &v.pp("embed"))?,
            layers: (0..cfg.lm_layers).map(|i| Layer::build(cfg, &v.pp("layers").pp(i))).collect::<Result<_>>()?,
            norm: Norm::build(cfg.lm_dim, cfg.lm_norm_eps, &v.pp("norm"))?,
            cfg: cfg.clone(),
        })
    }

    /// Embeddings `[1, t, dim]` of token ids (upstream or added), looked up on the device.
    ///
    /// # Errors
    /// [`Error::Model`] for an id outside of the vocabulary, or no ids at all.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor<3>> {
        let (vocab, added) = (self.cfg.lm_vocab as u32, self.cfg.lm_added as u32);
        if ids.is_empty() {
            return Err(Error::Model("no tokens to embed".into()));
        }
        if let Some(id) = ids.iter().find(|id| **id >= vocab + added) {
            return Err(Error::Model(format!("token {id} is outside of the vocabulary of {}", vocab + added)));
        }
        let device = self.norm.weight.device();
        let t = ids.len();
        // Every position looks both tables up, at 0 where the other one holds it.
        let is_added = |id: u32| id >= vocab;
        let upstream = || self.embed.columns(indices(ids.iter().map(|id| if is_added(*id) { 0 } else { *id }), &device));
        let ours = || self.added.weight.val().select(0, indices(ids.iter().map(|id| id.saturating_sub(vocab)), &device));
        let rows = match (ids.iter().all(|id| is_added(*id)), ids.iter().any(|id| is_added(*id))) {
            (true, _) => ours(),
            (_, false) => upstream(),
            _ => {
                let pick: Vec<f32> = ids.iter().map(|id| f32::from(is_added(*id))).collect();
                let pick = Tensor::<2>::from_data(TensorData::new(pick, [t, 1]), (&device, DType::F32));
                upstream() * (1.0 - pick.clone()) + ours() * pick
            }
        };
        Ok(rows.reshape([1, t, self.cfg.lm_dim]))
    }

    /// Hidden states `[b, t, dim]` after the final norm of the next `t` positions, given embeddings `[b, t, dim]`.
    /// Keys and values are added to `cache`.
    ///
    /// # Errors
    /// [`Error::Model`] if the context is full, or `x` or the cache have other sizes than the model.
    pub fn forward(&self, x: Tensor<3>, cache: &mut KvCache) -> Result<Tensor<3>> {
        let t = self.steps(&x)?;
        cache.check(t)?;
        if let Some(hidden) = lm_cpu::forward(self, &x, cache)? {
            return Ok(hidden);
        }
        #[cfg(feature = "gpu")]
        if let Some(hidden) = lm_gpu::step(self, &x, cache)? {
            cache.len += t;
            return Ok(hidden);
        }
        let at = Positions::new(&self.cfg, cache.len, t, cache.padded(t), &x.device());
        let mut x = x;
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &self.cfg, &at, |which, new| cache.write(i, which, new))?;
        }
        cache.len += t;
        Ok(self.norm.forward(x))
    }

    /// The same hidden states for whole sequences from position 0, without a cache, differentiable. Shorter sequences of
    /// a batch are padded at the end: causal attention keeps the padding out of what comes before it.
    ///
    /// # Errors
    /// [`Error::Model`] if `x` has another width than the model, or no positions.
    pub fn forward_train(&self, x: Tensor<3>) -> Result<Tensor<3>> {
        let t = self.steps(&x)?;
        let at = Positions::new(&self.cfg, 0, t, t, &x.device());
        let mut x = x;
        for layer in &self.layers {
            x = layer.forward(x, &self.cfg, &at, |_, new| Ok(new))?;
        }
        Ok(self.norm.forward(x))
    }

    /// Scores `[b, t, vocab + added]` of the next token, from hidden states `[b, t, dim]`. Only hand over the positions
    /// whose scores are needed: the head is the largest matrix of the model.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        #[cfg(feature = "gpu")]
        if let Some(scores) = lm_gpu::logits(self, &hidden) {
            return scores;
        }
        let added = linear(hidden.clone(), self.added.weight.val().transpose(), None);
        Tensor::cat(vec![self.embed.forward(hidden), added], 2)
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &ModelConfig {
        &self.cfg
    }

    fn steps(&self, x: &Tensor<3>) -> Result<usize> {
        let [_, t, dim] = x.dims();
        if t == 0 || dim != self.cfg.lm_dim {
            return Err(Error::Model(format!("embeddings {:?} where [batch, positions > 0, {}] is needed", x.dims(), self.cfg.lm_dim)));
        }
        Ok(t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{Stored, TensorMap};
    use burn::tensor::Device;
    use std::sync::Arc;

    fn small() -> ModelConfig {
        ModelConfig { lm_vocab: 96, lm_context: 40, ..ModelConfig::tiny() }
    }

    fn values(t: Tensor<3>) -> Vec<f32> {
        t.into_data().try_to_vec::<f32>().unwrap()
    }

    fn apart(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_cache_changes_nothing() {
        let device = Device::flex();
        let cfg = small();
        let lm = Lm::build(&cfg, &Vars::random(1, &device)).unwrap();
        let ids: Vec<u32> = (0..23).map(|i| i * 37 % 104).collect();
        let x = lm.embed(&ids).unwrap();
        let whole = values(lm.forward_train(x.clone()).unwrap());
        let mut cache = KvCache::new(&cfg, 1, &device);
        // A prompt, then one by one across a step of the padded length, then a few at once; then again after truncation.
        for start in [0, 9] {
            cache.truncate(start);
            let cuts = [start, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 23];
            let cuts: Vec<_> = cuts.into_iter().filter(|c| *c >= start).collect();
            for pair in cuts.windows(2).filter(|p| p[0] < p[1]) {
                let step = x.clone().slice_dim(1, pair[0]..pair[1]);
                let got = values(lm.forward(step, &mut cache).unwrap());
                let want = &whole[pair[0] * cfg.lm_dim..pair[1] * cfg.lm_dim];
                // The order of sums differs; values are about 1.
                assert!(apart(&got, want) < 2e-5, "{pair:?}: {}", apart(&got, want));
            }
            assert_eq!((cache.len(), cache.room()), (23, 48 - 23));
        }
    }

    #[test]
    fn a_full_context_is_an_error_and_leaves_the_cache_whole() {
        let device = Device::flex();
        let cfg = small();
        let lm = Lm::build(&cfg, &Vars::random(1, &device)).unwrap();
        let mut cache = KvCache::new(&cfg, 1, &device);
        lm.forward(lm.embed(&[1; 40]).unwrap(), &mut cache).unwrap();
        assert_eq!(lm.forward(lm.embed(&[1; 9]).unwrap(), &mut cache).unwrap_err().code(), "model.failed");
        lm.forward(lm.embed(&[1; 8]).unwrap(), &mut cache).unwrap();
        assert_eq!(lm.embed(&[104]).unwrap_err().code(), "model.failed");
        assert_eq!(lm.embed(&[]).unwrap_err().code(), "model.failed");
        let two = Tensor::cat(vec![lm.embed(&[1]).unwrap(); 2], 0);
        let mut other = KvCache::new(&cfg, 1, &device);
        assert_eq!(lm.forward(two, &mut other).unwrap_err().code(), "model.failed");
    }

    #[test]
    fn untrained_adapters_change_nothing_and_trained_ones_do() {
        let device = Device::flex();
        let cfg = small();
        let plain = ModelConfig { lm_lora_rank: 0, ..cfg.clone() };
        let run = |cfg: &ModelConfig, v: &Vars| {
            let lm = Lm::build(cfg, v).unwrap();
            values(lm.logits(lm.forward_train(lm.embed(&[3, 1, 99, 2]).unwrap()).unwrap()))
        };
        let base = run(&plain, &Vars::random(1, &device));
        assert_eq!(run(&cfg, &Vars::random(1, &device)), base);
        let b = Stored::float([cfg.lm_lora_rank, cfg.lm_dim], vec![0.1; cfg.lm_lora_rank * cfg.lm_dim]);
        let map = TensorMap([("layers.0.q_lora.b".to_owned(), b)].into());
        assert!(apart(&run(&cfg, &Vars::for_training(Arc::new(map), 1, &device)), &base) > 1e-4);
    }

    #[test]
    fn stored_weights_without_adapters_have_none() {
        let cfg = small();
        let v = Vars::stored(Arc::new(TensorMap::default()), &Device::flex());
        assert!(Lora::build(&cfg, 8, &v).unwrap().is_none());
        let half = Stored::float([cfg.lm_lora_rank, 8], vec![0.0; cfg.lm_lora_rank * 8]);
        let v = Vars::stored(Arc::new(TensorMap([("b".to_owned(), half)].into())), &Device::flex());
        assert_eq!(Lora::build(&cfg, 8, &v).unwrap_err().code(), "weights.missing_tensor");
    }

    #[test]
    fn added_rows_are_embedding_and_head() {
        let device = Device::flex();
        let cfg = small();
        let rows: Vec<f32> = (0..8 * cfg.lm_dim).map(|i| (i as f32 * 0.7).sin()).collect();
        let map = TensorMap([("added.weight".to_owned(), Stored::float([8, cfg.lm_dim], rows.clone()))].into());
        let lm = Lm::build(&cfg, &Vars::for_training(Arc::new(map), 1, &device)).unwrap();
        let mixed = values(lm.embed(&[98, 5, 103]).unwrap());
        let d = cfg.lm_dim;
        assert_eq!(mixed[..d], rows[2 * d..3 * d]);
        assert_eq!(mixed[2 * d..], rows[7 * d..]);
        assert_eq!(mixed[d..2 * d], values(lm.embed(&[5]).unwrap())[..]);
        let hidden = lm.embed(&[100]).unwrap();
        let scores = values(lm.logits(hidden.clone()));
        assert_eq!(scores.len(), 104);
        let want: f32 = values(hidden).iter().zip(&rows[3 * d..]).map(|(a, b)| a * b).sum();
        assert!((scores[99] - want).abs() < 1e-4);
    }

    /// Padding behind a shorter sequence must not reach it, and gradients must reach adapters and added rows.
    #[test]
    #[cfg(feature = "native")]
    fn batches_are_padded_at_the_end_and_gradients_arrive() {
        let device = Device::flex().autodiff();
        let cfg = small();
        let lm = Lm::build(&cfg, &Vars::random(1, &device)).unwrap();
        let (short, long) = ([97, 4, 5], [97, 4, 5, 98, 7]);
        let alone = values(lm.forward_train(lm.embed(&short).unwrap()).unwrap());
        let batch = Tensor::cat(vec![lm.embed(&[97, 4, 5, 0, 0]).unwrap(), lm.embed(&long).unwrap()], 0);
        let hidden = lm.forward_train(batch).unwrap();
        assert!(apart(&values(hidden.clone())[..3 * cfg.lm_dim], &alone) < 2e-5);
        let grads = lm.logits(hidden).square().mean().backward();
        let norm = |g: Option<Tensor<2>>| g.map(|g| g.abs().sum().into_scalar::<f32>());
        assert!(norm(lm.added.weight.val().grad(&grads)).unwrap() > 0.0);
        for layer in &lm.layers {
            for lora in [&layer.q_lora, &layer.v_lora] {
                let lora = lora.as_ref().unwrap();
                assert!(norm(lora.b.val().grad(&grads)).unwrap() > 0.0);
                // Behind a zero B, A has a gradient of exactly zero: it moves from the second step on.
                assert_eq!(norm(lora.a.val().grad(&grads)), Some(0.0));
            }
        }
    }
}
