//! Small parts of the language model: RMSNorm, low-rank adapters, the added rows, position tables.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::{Init, Vars};
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData, module::linear};

/// Root-mean-square normalisation over the last axis (Zhang and Sennrich 2019).
#[derive(Module, Debug)]
pub struct Norm {
    /// Gain, `[dim]`.
    pub weight: Param<Tensor<1>>,
    pub(super) epsilon: f64,
}

impl Norm {
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(dim: usize, epsilon: f64, v: &Vars) -> Result<Self> {
        Ok(Self { weight: v.param("weight", [dim], Init::Const(1.0))?, epsilon })
    }

    /// `[b, t, dim] → [b, t, dim]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let rms = (x.clone().square().mean_dim(2) + self.epsilon).sqrt();
        x / rms * self.weight.val().unsqueeze()
    }
}

/// A low-rank side path beside a frozen projection (LoRA, Hu et al. 2021): `(alpha / rank) · (x · A) · B`.
///
/// Kept apart from the projection, so that the shards of the base model stay byte-identical to upstream.
#[derive(Module, Debug)]
pub struct Lora {
    /// `[dim, rank]`.
    pub a: Param<Tensor<2>>,
    /// `[rank, out]`, starts at zero: an untrained adapter changes nothing.
    pub b: Param<Tensor<2>>,
    pub(super) scale: f64,
}

impl Lora {
    /// The adapter named by `v`, or `None` if the configuration has none, or these weights (without a seed) have none.
    ///
    /// # Errors
    /// `weights.missing_tensor` for half an adapter, `weights.shape`.
    pub fn build(cfg: &ModelConfig, out: usize, v: &Vars) -> Result<Option<Self>> {
        let rank = cfg.lm_lora_rank;
        if rank == 0 {
            return Ok(None);
        }
        let a = match v.param("a", [cfg.lm_dim, rank], Init::Uniform(1.0 / (cfg.lm_dim as f32).sqrt())) {
            Err(e) if e.code() == "weights.missing_tensor" && !v.has("b") => return Ok(None),
            other => other?,
        };
        let b = v.param("b", [rank, out], Init::Const(0.0))?;
        Ok(Some(Self { a, b, scale: f64::from(cfg.lm_lora_alpha) / rank as f64 }))
    }

    /// `[b, t, dim] → [b, t, out]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(linear(x, self.a.val(), None).mul_scalar(self.scale), self.b.val(), None)
    }
}

/// Rows of the tokens that we added: both embedding and head, apart from the upstream table.
#[derive(Module, Debug)]
pub struct Added {
    /// `[added, dim]`.
    pub weight: Param<Tensor<2>>,
}

impl Added {
    /// The rows named by `v`. Drawn rows are the mean of the upstream rows plus a tenth of their spread: an average
    /// token starts with an average logit, so that no new token disturbs the model before it is trained (Hewitt 2021).
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(cfg: &ModelConfig, v: &Vars, table: &Vars) -> Result<Self> {
        let shape = [cfg.lm_added, cfg.lm_dim];
        let mut rows = v.values("weight", &shape, Init::Normal(1.0))?;
        if !v.has("weight") {
            let bound = 1.0 / (cfg.lm_dim as f32).sqrt();
            let upstream = table.values("weight", &[cfg.lm_dim, cfg.lm_vocab], Init::Uniform(bound))?;
            let moments: Vec<_> = upstream.chunks_exact(cfg.lm_vocab).map(mean_and_std).collect();
            for row in rows.chunks_exact_mut(cfg.lm_dim) {
                for (noise, (mean, std)) in row.iter_mut().zip(&moments) {
                    *noise = mean + 0.1 * std * *noise;
                }
            }
        }
        let weight = Tensor::from_data(TensorData::new(rows, shape), v.device());
        Ok(Self { weight: Param::from_tensor(weight) })
    }
}

fn mean_and_std(values: &[f32]) -> (f32, f32) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    (mean as f32, variance.sqrt() as f32)
}

/// Indices on the device. i32, because a browser's GPU knows no wider integers.
pub(super) fn indices(ids: impl IntoIterator<Item = u32>, device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.into_iter().map(|i| i as i32).collect();
    let len = ids.len();
    Tensor::from_data(TensorData::new(ids, [len]), (device, DType::I32))
}

/// Cosines and sines of the rotary embedding at a position, half a head each.
pub(super) fn angles(cfg: &ModelConfig, position: usize) -> (Vec<f32>, Vec<f32>) {
    let head = cfg.lm_head_dim();
    let frequency = |i: usize| f64::from(cfg.lm_rope_theta).powf(-2.0 * i as f64 / head as f64);
    (0..head / 2).map(|i| (position as f64 * frequency(i)).sin_cos()).map(|(s, c)| (c as f32, s as f32)).unzip()
}

/// What depends on positions only, shared by all layers of one step.
pub(super) struct Positions {
    /// `[1, t, 1, head]`.
    cos: Tensor<4>,
    /// `[1, t, 1, head]`, negated in the first half.
    sin: Tensor<4>,
    /// Added to the scores: `[1, 1, repeat · t, length]`, or `[1, 1, 1, length]` for one position.
    pub mask: Tensor<4>,
}

impl Positions {
    /// Positions `start..start + t`, attending causally over `length` slots; `repeat` query heads share a key head.
    pub fn new(cfg: &ModelConfig, start: usize, t: usize, length: usize, device: &Device) -> Self {
        let head = cfg.lm_head_dim();
        let mut cos = Vec::with_capacity(t * head);
        let mut sin = Vec::with_capacity(t * head);
        for p in start..start + t {
            let (c, s) = angles(cfg, p);
            cos.extend(c.iter().chain(&c));
            sin.extend(s.iter().map(|s| -s));
            sin.extend(&s);
        }
        // Finite, because a software GPU may turn infinities of a softmax into NaN.
        let row = |p: usize| (0..length).map(move |key| if key <= p { 0.0 } else { -1e9f32 });
        let repeat = if t == 1 { 1 } else { cfg.lm_heads / cfg.lm_kv_heads };
        let mask: Vec<f32> = (0..repeat).flat_map(|_| (start..start + t).flat_map(row)).collect();
        let table = |v| Tensor::from_data(TensorData::new(v, [1, t, 1, head]), device);
        let mask = Tensor::from_data(TensorData::new(mask, [1, 1, repeat * t, length]), device);
        Self { cos: table(cos), sin: table(sin), mask }
    }

    /// Rotary embedding by halves (Su et al. 2021, in the layout of HuggingFace's Llama): `[b, t, heads, head]`.
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let swapped = Tensor::cat(vec![x.clone().slice_dim(3, half..2 * half), x.clone().slice_dim(3, 0..half)], 3);
        x * self.cos.clone() + swapped * self.sin.clone()
    }
}
