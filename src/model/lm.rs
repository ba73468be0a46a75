//! The language model: a Llama decoder (SmolLM2's layout) with low-rank adapters, a cache, and a path for training.
//!
//! Pre-norm blocks of grouped-query attention with rotary positions and SwiGLU, tied head (Touvron et al. 2023). The
//! numbers are checked against an independent reading of the same GGUF file (`tests/parity_lm.rs`). Nothing here reads
//! back from the device, so that it runs on WebGPU from wasm.

use super::lm_cache::KvCache;
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
    attn_norm: Norm,
    q: BlockLinear,
    k: BlockLinear,
    v: BlockLinear,
    o: BlockLinear,
    /// Adapter beside `q`.
    pub q_lora: Option<Lora>,
    /// Adapter beside `v`.
    pub v_lora: Option<Lora>,
    ffn_norm: Norm,
    gate: BlockLinear,
    up: BlockLinear,
    down: BlockLinear,
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
