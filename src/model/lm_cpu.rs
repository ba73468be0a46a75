//! The language model's layers on the CPU: the same maths as `Layer::forward`, on slices, with the kernels of [`crate::quant::cpu`].
//!
//! burn's CPU backend takes some 55 operations and allocations a layer for what is little work when one token is decoded, and repeats
//! masks and copies of the cache. Here a layer is four products, two norms, one attention and one SwiGLU, and the cache is written in
//! place. Taken where weights are packed and one sequence runs on the CPU without derivatives; everything else (GPU, training,
//! float weights, batches) runs through burn. The tests below hold the two together.

use super::dense::values;
use super::lm::{Layer, Lm};
use super::lm_cache::KvCache;
use super::lm_parts::{Lora, Norm};
use crate::error::{Error, Result};
use crate::quant::cpu::decoder::{Heads, Rotary, add, attention, low_rank, rms_norm, swiglu};
use crate::quant::cpu::{Inputs, Packed, products};
use crate::quant::linear::{BlockLinear, CpuWeight};
use burn::backend::Flex;
use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;

/// As `Lm::forward`, once it is known that `x` fits and the cache has room; `None` where this path does not apply.
///
/// # Errors
/// [`Error::Model`] if the cache is of another model.
pub(super) fn forward(lm: &Lm, x: &Tensor<3>, cache: &mut KvCache) -> Result<Option<Tensor<3>>> {
    let cfg = lm.config();
    let [batch, t, dim] = x.dims();
    let head = cfg.lm_head_dim();
    if batch != 1 || !head.is_multiple_of(16) {
        return Ok(None);
    }
    let Some(x) = values(x) else { return Ok(None) };
    // Every layer or none: a cache that one layer has written is not as the other path expects it.
    let Some(layers) = lm.layers.iter().map(CpuLayer::of).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let Some(last) = CpuNorm::of(&lm.norm) else { return Ok(None) };
    let sizes = Heads { heads: cfg.lm_heads, kv: cfg.lm_kv_heads, head, capacity: cache.capacity };
    let at = Rotary::new(cache.len, t, head, cfg.lm_rope_theta);
    let mut x = x.storage::<f32>().to_vec();
    let mut room = Room::default();
    for (i, layer) in layers.iter().enumerate() {
        let [mut keys, mut values] = take(cache, i, sizes)?;
        layer.forward(&mut x, &at, cache.len, sizes, [keys.storage_mut(), values.storage_mut()], &mut room);
        cache.layers[i] = [keys, values].map(|t| Some(Tensor::from_primitive::<Flex>(t)));
    }
    cache.len += t;
    last.forward(&x, &mut room.h);
    Ok(Some(Tensor::from_data(TensorData::new(room.h, [1, t, dim]), &lm.norm.weight.device())))
}

/// Whether [`forward`] takes this model (for one sequence).
pub(super) fn applies(lm: &Lm) -> bool {
    lm.config().lm_head_dim().is_multiple_of(16)
        && values(&lm.norm.weight.val()).is_some()
        && lm.layers.iter().all(|l| CpuLayer::of(l).is_some())
}

/// The layer's keys and values, `[1, kv, capacity, head]`, out of the cache, so that each has one owner and is written in place.
fn take(cache: &mut KvCache, layer: usize, sizes: Heads) -> Result<[FlexTensor; 2]> {
    let slots = cache.layers.get_mut(layer).ok_or_else(|| Error::Model("the cache is of another model".into()))?;
    let mut out = Vec::with_capacity(2);
    for slot in slots.iter_mut() {
        let whole = slot.take().ok_or_else(|| Error::Model("the cache was lost in a failed step".into()))?;
        if whole.dims() != [1, sizes.kv, sizes.capacity, sizes.head] {
            return Err(Error::Model(format!("the cache {:?} does not fit {sizes:?}", whole.dims())));
        }
        out.push(values(&whole).ok_or_else(|| Error::Model("the cache is on another device".into()))?);
    }
    <[FlexTensor; 2]>::try_from(out).map_err(|_| Error::Model("a cache has keys and values".into()))
}

/// Memory that layers share.
#[derive(Default)]
struct Room {
    /// Normalised inputs; after the last layer, the result.
    h: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

/// A vector of `len` values that are overwritten.
fn sized(v: &mut Vec<f32>, len: usize) -> &mut [f32] {
    v.resize(len, 0.0);
    v
}

struct CpuNorm {
    gain: FlexTensor,
    epsilon: f32,
}

impl CpuNorm {
    fn of(norm: &Norm) -> Option<Self> {
        Some(Self { gain: values(&norm.weight.val())?, epsilon: norm.epsilon as f32 })
    }

    fn forward(&self, x: &[f32], out: &mut Vec<f32>) {
        rms_norm(x, self.gain.storage(), self.epsilon, out);
    }
}

struct CpuLora {
    a: FlexTensor,
    b: FlexTensor,
    sizes: [usize; 3],
    scale: f32,
}

impl CpuLora {
    /// `Some(None)` where the layer has no adapter.
    fn of(lora: &Option<Lora>) -> Option<Option<Self>> {
        let Some(lora) = lora else { return Some(None) };
        let ([k, r], [_, n]) = (lora.a.dims(), lora.b.dims());
        let of = |p: &Param<Tensor<2>>| values(&p.val());
        Some(Some(Self { a: of(&lora.a)?, b: of(&lora.b)?, sizes: [k, r, n], scale: lora.scale as f32 }))
    }

    fn add(&self, x: &[f32], y: &mut [f32]) {
        low_rank(x, self.a.storage(), self.b.storage(), self.sizes, self.scale, y);
    }
}

/// A layer's weights by handle.
struct CpuLayer {
    attn_norm: CpuNorm,
    ffn_norm: CpuNorm,
    q: CpuWeight,
    k: CpuWeight,
    v: CpuWeight,
    o: CpuWeight,
    gate: CpuWeight,
    up: CpuWeight,
    down: CpuWeight,
    q_lora: Option<CpuLora>,
    v_lora: Option<CpuLora>,
}

impl CpuLayer {
    fn of(layer: &Layer) -> Option<Self> {
        let of = BlockLinear::on_cpu;
        Some(Self {
            attn_norm: CpuNorm::of(&layer.attn_norm)?,
            ffn_norm: CpuNorm::of(&layer.ffn_norm)?,
            q: of(&layer.q)?,
            k: of(&layer.k)?,
            v: of(&layer.v)?,
            o: of(&layer.o)?,
            gate: of(&layer.gate)?,
            up: of(&layer.up)?,
            down: of(&layer.down)?,
            q_lora: CpuLora::of(&layer.q_lora)?,
            v_lora: CpuLora::of(&layer.v_lora)?,
        })
    }

    /// `x [t, dim]` in place.
    fn forward(&self, x: &mut [f32], at: &Rotary, start: usize, sizes: Heads, [keys, values]: [&mut [f32]; 2], room: &mut Room) {
        let dim = self.q.packed().k;
        let t = x.len() / dim;
        let Room { h, q, k, v, gate, up } = room;

        self.attn_norm.forward(x, h);
        let [wq, wk, wv] = [&self.q, &self.k, &self.v].map(CpuWeight::packed);
        together(h, t, &mut [(wq, sized(q, t * wq.n)), (wk, sized(k, t * wk.n)), (wv, sized(v, t * wv.n))]);
        if let Some(lora) = &self.q_lora {
            lora.add(h, q);
        }
        if let Some(lora) = &self.v_lora {
            lora.add(h, v);
        }
        let mixed = attention([q, k, v], at, start, sizes, keys, values);
        let wo = self.o.packed();
        together(&mixed, t, &mut [(wo, sized(q, t * wo.n))]);
        add(x, q);

        self.ffn_norm.forward(x, h);
        let [wg, wu, wd] = [&self.gate, &self.up, &self.down].map(CpuWeight::packed);
        together(h, t, &mut [(wg, sized(gate, t * wg.n)), (wu, sized(up, t * wu.n))]);
        swiglu(gate, up);
        together(gate, t, &mut [(wd, sized(q, t * wd.n))]);
        add(x, q);
    }
}

/// Products of the same inputs; weights of other bits than the first one's are done apart, because their inputs are ordered otherwise.
fn together(x: &[f32], t: usize, work: &mut [(Packed<'_>, &mut [f32])]) {
    let mut rest = work;
    while let Some(bits) = rest.first().map(|w| w.0.bits) {
        let same = rest.iter().take_while(|w| w.0.bits == bits).count();
        let (now, later) = rest.split_at_mut(same);
        products(&Inputs::new(x, t, now[0].0.k, bits), now);
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::quant::Blocks;
    use crate::weights::{Stored, TensorMap, Vars};
    use burn::tensor::Device;
    use std::sync::Arc;

    /// A small language model with blocks as shipped ones have, adapters that do something, and blocks kept packed or expanded.
    fn small(cfg: &ModelConfig, packed: bool) -> Lm {
        let wave = |len: usize, at: f32| (0..len).map(|i| (i as f32 * at).sin() * 0.2).collect::<Vec<f32>>();
        let (dim, kv, rank) = (cfg.lm_dim, cfg.lm_kv_heads * cfg.lm_head_dim(), cfg.lm_lora_rank);
        let mut map = TensorMap::default();
        for i in 0..cfg.lm_layers {
            let narrow = [("q", dim, dim), ("k", dim, kv), ("v", dim, kv), ("o", dim, dim)];
            let wide = [("gate", dim, cfg.lm_ffn), ("up", dim, cfg.lm_ffn), ("down", cfg.lm_ffn, dim)];
            for (j, (name, k, n)) in narrow.into_iter().chain(wide).enumerate() {
                let w = wave(k * n, 0.37 + 0.013 * (i * 7 + j) as f32);
                // One matrix of 8 bits beside others of 4.
                let blocks = if name == "v" { Blocks::quantise8(&w, k, n) } else { Blocks::quantise4(&w, k, n) };
                map.0.insert(format!("layers.{i}.{name}.weight"), Stored::Blocks(blocks.unwrap()));
            }
            for (name, n) in [("q_lora", dim), ("v_lora", kv)] {
                map.0.insert(format!("layers.{i}.{name}.b"), Stored::float([rank, n], wave(rank * n, 0.9)));
            }
        }
        let head = Blocks::quantise8(&wave(dim * cfg.lm_vocab, 0.71), dim, cfg.lm_vocab).unwrap();
        map.0.insert("embed.weight".into(), Stored::Blocks(head));
        Lm::build(cfg, &Vars::for_training(Arc::new(map), 1, &Device::flex()).with_packed(packed)).unwrap()
    }

    fn host<const D: usize>(t: Tensor<D>) -> Vec<f32> {
        t.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn layers_on_slices_are_the_layers_of_tensors() {
        for heads in [[4, 2], [4, 4], [4, 1]] {
            let cfg = ModelConfig { lm_vocab: 96, lm_context: 40, lm_heads: heads[0], lm_kv_heads: heads[1], ..ModelConfig::tiny() };
            let (packed, plain) = (small(&cfg, true), small(&cfg, false));
            assert!(applies(&packed) && !applies(&plain));
            let ids: Vec<u32> = (0..23).map(|i| i * 37 % 104).collect();
            let mut caches = [KvCache::new(&cfg, 1, &Device::flex()), KvCache::new(&cfg, 1, &Device::flex())];
            let mut one_by_one = KvCache::new(&cfg, 1, &Device::flex());
            let mut alone = Vec::new();
            for id in &ids {
                alone.extend(host(packed.forward(packed.embed(&[*id]).unwrap(), &mut one_by_one).unwrap()));
            }
            // A prompt, single tokens, a few at once; then again behind a shared beginning.
            for cuts in [vec![0, 9, 10, 11, 16, 23], vec![9, 23]] {
                caches.iter_mut().for_each(|c| c.truncate(cuts[0]));
                for pair in cuts.windows(2) {
                    let ids = &ids[pair[0]..pair[1]];
                    let got = host(packed.forward(packed.embed(ids).unwrap(), &mut caches[0]).unwrap());
                    let want = host(plain.forward(plain.embed(ids).unwrap(), &mut caches[1]).unwrap());
                    let gap = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    // Activations of 16 bits (a step of 3e-5 of the largest in a block of 32) through fourteen products; values are about 1.
                    assert!(gap < 1e-3, "{heads:?} {pair:?}: {gap:e}");
                    assert!(got == alone[pair[0] * cfg.lm_dim..pair[1] * cfg.lm_dim], "{pair:?}: depends on what is beside it");
                }
                assert_eq!(caches[0].len(), 23);
            }
        }
    }

    #[test]
    fn a_cache_of_another_model_is_refused() {
        let cfg = ModelConfig { lm_vocab: 96, lm_context: 40, ..ModelConfig::tiny() };
        let lm = small(&cfg, true);
        let x = || lm.embed(&[1]).unwrap();
        for other in [ModelConfig { lm_kv_heads: 4, ..cfg.clone() }, ModelConfig { lm_layers: 1, ..cfg.clone() }] {
            let mut cache = KvCache::new(&other, 1, &Device::flex());
            assert_eq!(lm.forward(x(), &mut cache).unwrap_err().code(), "model.failed");
        }
        // What the other path wrote is read as such: the layout is one.
        let mut cache = KvCache::new(&cfg, 1, &Device::flex());
        let plain = small(&cfg, false);
        plain.forward(plain.embed(&[1, 2, 3]).unwrap(), &mut cache).unwrap();
        let got = host(lm.forward(x(), &mut cache).unwrap());
        cache.truncate(3);
        let want = host(plain.forward(x(), &mut cache).unwrap());
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 3e-4));
    }
}
