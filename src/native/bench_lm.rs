//! `facext bench --lm`: the language model alone, a prompt and then token by token, so that it can be set beside another engine on
//! the same weights; on a GPU also the bytes that a token moves against the bandwidth that the device shows.

use crate::analyze::read_back;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::lm::Lm;
use crate::model::lm_cache::KvCache;
use crate::native::{device, files};
use crate::weights::{Stored, TensorMap, Vars};
use burn::tensor::{Device, Tensor};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Values of the tensor that the bandwidth is measured with: far more than any cache holds.
const PROBE: usize = 64 << 20;

/// What was measured.
#[derive(Debug, serde::Serialize)]
pub struct Measured {
    /// Name of the device.
    pub device: String,
    /// Threads that a CPU may use.
    pub threads: usize,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens that were generated, each run.
    pub tokens: usize,
    /// Milliseconds for the whole prompt, each run.
    pub prefill_ms: Vec<f64>,
    /// Milliseconds of every single token, read back as scores each time.
    pub token_ms: Vec<f64>,
    /// Bytes of packed weights, and of keys and values at half of the generated length, that one token reads.
    pub bytes_a_token: usize,
    /// Bytes a second that reading and writing a large tensor reaches; on a GPU only.
    pub bandwidth: Option<f64>,
}

/// Prompt and greedy continuation, `runs` times, after one run to warm up.
///
/// # Errors
/// `weights.*`, `device.*`; [`Error::Request`] when prompt and tokens do not fit the model's context.
pub fn measure(weights: &Path, wish: &str, prompt: usize, tokens: usize, runs: usize) -> Result<Measured> {
    let w = files::read(weights)?;
    let (device, label) = device::choose(wish)?;
    // The upstream model, as the other engine has it: without our adapters.
    let cfg = ModelConfig { lm_lora_rank: 0, lm_context: prompt + tokens, ..w.settings.model };
    if prompt == 0 || tokens == 0 {
        return Err(Error::Request("a prompt and tokens to generate are needed".into()));
    }
    let bytes = weight_bytes(&w.tensors) + 4 * 2 * cfg.lm_layers * cfg.lm_kv_heads * cfg.lm_head_dim() * (prompt + tokens / 2);
    let lm = Lm::build(&cfg, &Vars::stored(Arc::new(w.tensors), &device).pp("language.lm"))?;
    let ids: Vec<u32> = (0..prompt as u32).map(|i| (i * 37 + 11) % cfg.lm_vocab as u32).collect();
    let mut cache = KvCache::new(&cfg, 1, &device);
    let (mut prefill_ms, mut token_ms) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        cache.truncate(0);
        let clock = Instant::now();
        let hidden = lm.forward(lm.embed(&ids)?, &mut cache)?;
        let mut next = best(&lm, hidden.narrow(1, prompt - 1, 1))?;
        let first = clock.elapsed().as_secs_f64() * 1e3;
        let mut each = Vec::with_capacity(tokens);
        for _ in 0..tokens {
            let clock = Instant::now();
            let hidden = lm.forward(lm.embed(&[next])?, &mut cache)?;
            next = best(&lm, hidden)?;
            each.push(clock.elapsed().as_secs_f64() * 1e3);
        }
        if run > 0 {
            prefill_ms.push(first);
            token_ms.extend(each);
        }
    }
    let bandwidth = if label.starts_with("cpu") { None } else { Some(bandwidth(&device)?) };
    let threads = rayon::current_num_threads();
    Ok(Measured { device: label, threads, prompt, tokens, prefill_ms, token_ms, bytes_a_token: bytes, bandwidth })
}

/// The likeliest next token.
fn best(lm: &Lm, hidden: Tensor<3>) -> Result<u32> {
    let scores = pollster::block_on(read_back(lm.logits(hidden)))?;
    let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map(|(i, _)| i as u32).ok_or_else(|| Error::Model("no scores".into()))
}

/// Bytes of the language model's packed matrices: all are read for every token, the table as the head.
fn weight_bytes(tensors: &TensorMap) -> usize {
    let of = |(name, t): (&String, &Stored)| match t {
        Stored::Blocks(b) if name.starts_with("language.lm.") => 4 * (b.words.len() + b.scales.len() + b.mins.as_ref().map_or(0, Vec::len)),
        _ => 0,
    };
    tensors.0.iter().map(of).sum()
}

/// Bytes a second of an addition over a large tensor, read once and written once; the best of several.
fn bandwidth(device: &Device) -> Result<f64> {
    let x = Tensor::<1>::zeros([PROBE], device);
    let mut top = 0.0f64;
    for _ in 0..6 {
        let clock = Instant::now();
        // Several in a row: one wait for the device is a small part of it then.
        let mut y = x.clone() + 1.0;
        for _ in 0..7 {
            y = y + 1.0;
        }
        pollster::block_on(read_back(y.narrow(0, PROBE - 1, 1)))?;
        top = top.max(8.0 * 2.0 * 4.0 * PROBE as f64 / clock.elapsed().as_secs_f64());
    }
    Ok(top)
}
