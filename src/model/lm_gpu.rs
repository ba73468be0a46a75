//! One position through the decoder on a GPU in seven launches a layer, instead of some fifty plain operations.
//!
//! | launch | what |
//! |---|---|
//! | 1 | norm, first halves of the adapters |
//! | 2 | query, key and value with the adapters' second halves |
//! | 3 | rotary embedding, cache write, attention |
//! | 4 | output projection, residual |
//! | 5 | norm |
//! | 6 | gate, up, SwiGLU |
//! | 7 | down projection, residual |
//!
//! Taken for one sequence and one new position, when all weights of a layer are packed on a GPU and sizes fit the kernels;
//! everything else (prompts, training, the CPU) goes the plain way of [`super::lm`], whose numbers this must reproduce.

use super::lm::{Layer, Lm};
use super::lm_cache::KvCache;
use super::lm_parts::{Lora, Norm};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::quant::BlockLinear;
use crate::quant::gpu::attention::{Heads, LONGEST, attend};
use crate::quant::gpu::matvec::{Adapter, matvec, qkv, swiglu};
use crate::quant::gpu::norm::{Down, norm};
use crate::quant::gpu::scores::scores;
use crate::quant::gpu::{View, floats, in_place, ints, runs_on, tensor};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_cubecl::tensor::CubeTensor;

/// A layer's weights in the backend's terms.
struct Parts {
    attn_norm: CubeTensor,
    qkv: [View; 3],
    loras: [Option<(CubeTensor, CubeTensor, usize)>; 2],
    scale: f32,
    o: View,
    ffn_norm: CubeTensor,
    gate: View,
    up: View,
    down: View,
}

impl Parts {
    /// `None` if the kernels cannot run this layer.
    fn of(layer: &Layer) -> Option<Self> {
        let lora = |l: &Option<Lora>| match l {
            None => Some(None),
            Some(l) => {
                let rank = l.a.dims()[1];
                rank.is_multiple_of(4).then_some(())?;
                Some(Some((floats(l.a.val())?, floats(l.b.val())?, rank)))
            }
        };
        let scales = [&layer.q_lora, &layer.v_lora].map(|l| l.as_ref().map(|l| l.scale as f32));
        let scale = scales.into_iter().flatten().next().unwrap_or(1.0);
        let parts = Self {
            attn_norm: gain(&layer.attn_norm)?,
            qkv: [view(&layer.q)?, view(&layer.k)?, view(&layer.v)?],
            loras: [lora(&layer.q_lora)?, lora(&layer.v_lora)?],
            scale,
            o: view(&layer.o)?,
            ffn_norm: gain(&layer.ffn_norm)?,
            gate: view(&layer.gate)?,
            up: view(&layer.up)?,
            down: view(&layer.down)?,
        };
        let [q, k, v] = &parts.qkv;
        let fits = scales.into_iter().flatten().all(|s| s == scale)
            && [q, k, v].iter().all(|w| w.bits == q.bits && w.k == q.k && w.n.is_multiple_of(4))
            && (k.n, parts.gate.n, parts.gate.bits) == (v.n, parts.up.n, parts.up.bits);
        fits.then_some(parts)
    }

    /// `x [1, dim] → [1, dim]`.
    fn forward(
        &self,
        x: CubeTensor,
        epsilon: f32,
        h: Heads,
        table: &CubeTensor,
        at: &CubeTensor,
        [keys, values]: [CubeTensor; 2],
    ) -> CubeTensor {
        let [q, k, v] = &self.qkv;
        let halves = self.loras.clone().map(|l| l.map(|(a, b, rank)| (Down { a, rank }, Adapter { b, rank })));
        let [(down_q, up_q), (down_v, up_v)] = halves.map(Option::unzip);
        let normed = norm(x.clone(), self.attn_norm.clone(), epsilon, [down_q, down_v], self.scale);
        let projected = qkv(normed, [q, k, v], [up_q, up_v]);
        let mixed = attend(projected, table.clone(), at.clone(), keys, values, h);
        let x = matvec(mixed, &self.o, Some(x));
        let normed = norm(x.clone(), self.ffn_norm.clone(), epsilon, [None, None], 1.0);
        matvec(swiglu(normed, &self.gate, &self.up), &self.down, Some(x))
    }
}

fn view(l: &BlockLinear) -> Option<View> {
    match l {
        BlockLinear::Gpu(w) => Some(w.view()),
        _ => None,
    }
}

fn gain(n: &Norm) -> Option<CubeTensor> {
    floats(n.weight.val())
}

/// The hidden state `[1, 1, dim]` after the final norm of the next position, given its embedding `[1, 1, dim]`; `None` if the
/// plain way must be taken. Keys and values are written into the cache; its length is left to the caller.
pub(super) fn step(lm: &Lm, x: &Tensor<3>, cache: &mut KvCache) -> Result<Option<Tensor<3>>> {
    let cfg = lm.config();
    let [batch, t, dim] = x.dims();
    let Some(table) = cache.table() else { return Ok(None) };
    if (batch, t) != (1, 1) || !cache.fits(cfg) {
        return Ok(None);
    }
    let layers: Option<Vec<Parts>> = lm.layers.iter().map(Parts::of).collect();
    let at = Tensor::<1, Int>::from_data(TensorData::new(vec![cache.len as i32], [1]), (&x.device(), DType::I32));
    let (Some(layers), Some(mut x), Some(table), Some(at), Some(last)) =
        (layers, floats(x.clone().reshape([1, dim])), floats(table), ints(at), gain(&lm.norm))
    else {
        return Ok(None);
    };
    let heads = Heads { query: cfg.lm_heads, kv: cfg.lm_kv_heads, dim: cfg.lm_head_dim(), capacity: cache.capacity() };
    let epsilon = cfg.lm_norm_eps as f32;
    for (i, layer) in layers.iter().enumerate() {
        let [keys, values] = cache.whole(i)?;
        let (Some(keys), Some(values)) = (in_place(keys), in_place(values)) else { return Ok(None) };
        x = layer.forward(x, epsilon, heads, &table, &at, [keys, values]);
    }
    Ok(Some(tensor::<2>(norm(x, last, epsilon, [None, None], 1.0)).reshape([1, 1, dim])))
}

/// Scores `[1, 1, vocab + added]` of one position in one launch; `None` if the plain way must be taken.
pub(super) fn logits(lm: &Lm, hidden: &Tensor<3>) -> Option<Tensor<3>> {
    let [batch, t, dim] = hidden.dims();
    let table = (batch * t == 1).then(|| view(&lm.embed))??;
    let added = floats(lm.added.weight.val())?;
    let (vocab, count) = (table.n, lm.added.weight.dims()[0]);
    let x = floats(hidden.clone().reshape([1, dim]))?;
    Some(tensor::<2>(scores(x, &table, added, count)).reshape([1, 1, vocab + count]))
}

/// Cosines and sines of every position, `[capacity, head]`, for devices on which [`step`] may run.
pub(super) fn table(cfg: &ModelConfig, capacity: usize, device: &Device) -> Option<Tensor<2>> {
    let head = cfg.lm_head_dim();
    let fits = runs_on(device) && head.is_multiple_of(8) && head <= 256 && capacity <= LONGEST;
    fits.then(|| {
        let values: Vec<f32> = (0..capacity)
            .flat_map(|p| {
                let (cos, sin) = super::lm_parts::angles(cfg, p);
                cos.into_iter().chain(sin)
            })
            .collect();
        Tensor::from_data(TensorData::new(values, [capacity, head]), device)
    })
}
