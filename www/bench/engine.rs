//! facext's side of the side-by-side benchmark, as a wasm of its own: the product's language model with the sizes of the synthetic
//! decoder, and a plain ViT on the same layers. Nothing of it is in the product's wasm.
//!
//! Weights are the safetensors files that `models.py` writes. Methods take and give plain arrays; they are asynchronous because a
//! GPU is read back asynchronously.

use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Device, Tensor, TensorData};
use facext::config::ModelConfig;
use facext::model::dense::{Act, attention, conv2d, linear, norm};
use facext::model::gelu::gelu;
use facext::model::lm::Lm;
use facext::model::lm_cache::KvCache;
use facext::quant::{BlockLinear, Blocks};
use facext::weights::{Conv, Init, Stored, TensorMap, Vars};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasm_bindgen::prelude::*;

/// Sizes of `models.py`.
const DIM: usize = 384;
const EPSILON: f64 = 1e-6;
const HEADS: usize = 6;
const MLP: usize = 1536;
const ENCODER_LAYERS: usize = 12;
const SIDE: usize = 256;
const PATCH: usize = 16;
const VOCAB: usize = 8192;

fn fail(e: impl std::fmt::Display) -> JsValue {
    JsValue::from_str(&e.to_string())
}

/// `cpu` or `gpu`.
async fn device_of(name: &str) -> Result<Device, JsValue> {
    match name {
        "cpu" => {
            if !facext::quant::cpu::relaxed::is_installed() {
                facext::web::kernels::take();
            }
            Ok(Device::flex())
        }
        _ => Device::wgpu_options().init_async().await.map_err(|e| fail(format!("{e:?}"))),
    }
}

/// Float tensors, and block-quantised matrices from their parts `name.words`, `name.scale`, `name.min`.
fn read(bytes: &[u8]) -> Result<Arc<TensorMap>, JsValue> {
    let file = SafeTensors::deserialize(bytes).map_err(fail)?;
    let floats = |data: &[u8]| data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<f32>>();
    let mut map = BTreeMap::new();
    for (name, view) in file.iter() {
        if let Some(stem) = name.strip_suffix(".words") {
            let part = |suffix: &str| file.tensor(&format!("{stem}.{suffix}")).ok();
            let scales = part("scale").ok_or_else(|| fail(format!("{stem} has no scales")))?;
            let mins = part("min").map(|m| floats(m.data()));
            let bits = if mins.is_some() { 4 } else { 8 };
            let [rows, n] = view.shape() else { return Err(fail(format!("{name} is no matrix"))) };
            let words = view.data().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
            let blocks = Blocks { bits, k: rows * 32 / bits as usize, n: *n, words, scales: floats(scales.data()), mins };
            blocks.check().map_err(fail)?;
            map.insert(stem.to_owned(), Stored::Blocks(blocks));
        } else if !name.ends_with(".scale") && !name.ends_with(".min") {
            map.insert(name.to_owned(), Stored::float(view.shape(), floats(view.data())));
        }
    }
    Ok(Arc::new(TensorMap(map)))
}

async fn host<const D: usize>(t: Tensor<D>) -> Result<Vec<f32>, JsValue> {
    t.into_data_async().await.map_err(|e| fail(format!("{e:?}")))?.try_to_vec::<f32>().map_err(|e| fail(format!("{e:?}")))
}

/// The synthetic decoder with a cache.
#[wasm_bindgen]
pub struct Decoder {
    lm: Lm,
    cache: KvCache,
}

#[wasm_bindgen]
impl Decoder {
    /// From a file of `models.py`, on `cpu` or `gpu`.
    pub async fn create(bytes: Vec<u8>, device: String) -> Result<Decoder, JsValue> {
        let device = device_of(&device).await?;
        let cfg = ModelConfig {
            lm_dim: DIM,
            lm_layers: 6,
            lm_heads: HEADS,
            lm_kv_heads: HEADS,
            lm_ffn: 1024,
            lm_vocab: VOCAB,
            lm_added: 8,
            lm_rope_theta: 10_000.0,
            lm_context: 272,
            lm_lora_rank: 0,
            ..ModelConfig::base()
        };
        let lm = Lm::build(&cfg, &Vars::stored(read(&bytes)?, &device)).map_err(fail)?;
        let cache = KvCache::new(&cfg, 1, &device);
        Ok(Self { lm, cache })
    }

    /// Runs `ids` behind the first `past` positions, gives the logits `[vocab]` of the last one. Positions from `past` on are forgotten.
    pub async fn run(&mut self, ids: Vec<u32>, past: usize) -> Result<Vec<f32>, JsValue> {
        self.cache.truncate(past);
        let t = ids.len();
        let x = self.lm.embed(&ids).map_err(fail)?;
        let hidden = self.lm.forward(x, &mut self.cache).map_err(fail)?;
        let mut logits = host(self.lm.logits(hidden.narrow(1, t - 1, 1))).await?;
        // The eight added tokens, which the peer's model lacks.
        logits.truncate(VOCAB);
        Ok(logits)
    }
}

/// One block of the ViT.
struct Layer {
    norm1: LayerNorm,
    q: Dense,
    k: Dense,
    v: Dense,
    o: Dense,
    norm2: LayerNorm,
    fc1: Dense,
    fc2: Dense,
}

/// A linear layer with a bias, as the product has it for words (packed) and for pictures (float).
enum Dense {
    Packed(BlockLinear, Tensor<1>),
    Float(Linear),
}

impl Dense {
    fn build(v: &Vars, name: &str, k: usize, n: usize) -> facext::Result<Self> {
        let packed = v.block_linear(name, k, n)?;
        if packed.is_packed() {
            Ok(Self::Packed(packed, v.pp(name).param("bias", [n], Init::Const(0.0))?.val()))
        } else {
            Ok(Self::Float(v.linear(name, k, n, true)?))
        }
    }

    /// `act(x · W + bias + add)`.
    fn forward(&self, x: Tensor<3>, add: Option<Tensor<3>>, act: Act) -> Tensor<3> {
        match self {
            Self::Float(layer) => linear(layer, x, add, act),
            Self::Packed(layer, bias) => {
                let y = layer.forward(x) + bias.clone().unsqueeze();
                let y = match add {
                    Some(add) => y + add,
                    None => y,
                };
                if act == Act::Gelu { gelu(y) } else { y }
            }
        }
    }
}

/// ViT-S/16.
#[wasm_bindgen]
pub struct Encoder {
    patch: Conv2d,
    position: Tensor<2>,
    layers: Vec<Layer>,
    norm: LayerNorm,
    device: Device,
}

#[wasm_bindgen]
impl Encoder {
    /// From a file of `models.py`, on `cpu` or `gpu`.
    pub async fn create(bytes: Vec<u8>, device: String) -> Result<Encoder, JsValue> {
        let device = device_of(&device).await?;
        Self::build(&Vars::stored(read(&bytes)?, &device)).map_err(fail)
    }

    fn build(v: &Vars) -> facext::Result<Self> {
        let norm = |v: &Vars, name: &str| v.layer_norm(name, DIM, EPSILON);
        let layer = |i: usize| {
            let v = v.pp("layers").pp(i);
            Ok(Layer {
                norm1: norm(&v, "norm1")?,
                q: Dense::build(&v, "q", DIM, DIM)?,
                k: Dense::build(&v, "k", DIM, DIM)?,
                v: Dense::build(&v, "v", DIM, DIM)?,
                o: Dense::build(&v, "o", DIM, DIM)?,
                norm2: norm(&v, "norm2")?,
                fc1: Dense::build(&v, "fc1", DIM, MLP)?,
                fc2: Dense::build(&v, "fc2", MLP, DIM)?,
            })
        };
        let tokens = (SIDE / PATCH) * (SIDE / PATCH);
        Ok(Self {
            patch: v.conv2d("patch", [3, DIM], Conv { kernel: PATCH, stride: PATCH, padding: 0, groups: 1 }, true)?,
            position: v.param("position", [tokens, DIM], Init::Const(0.0))?.val(),
            layers: (0..ENCODER_LAYERS).map(layer).collect::<facext::Result<_>>()?,
            norm: norm(v, "norm")?,
            device: v.device().clone(),
        })
    }

    /// `[3 · 256 · 256]` → `[256 · 384]`.
    pub async fn run(&self, image: Vec<f32>) -> Result<Vec<f32>, JsValue> {
        let image = Tensor::<4>::from_data(TensorData::new(image, [1, 3, SIDE, SIDE]), &self.device);
        let patches = conv2d(&self.patch, image, None, Act::None).flatten::<3>(2, 3).swap_dims(1, 2);
        let mut x = patches + self.position.clone().unsqueeze();
        for layer in &self.layers {
            let y = norm(&layer.norm1, EPSILON, x.clone());
            let [q, k, v] = [&layer.q, &layer.k, &layer.v].map(|l| l.forward(y.clone(), None, Act::None));
            x = layer.o.forward(attention(q, k, v, HEADS), Some(x), Act::None);
            let y = layer.fc1.forward(norm(&layer.norm2, EPSILON, x.clone()), None, Act::Gelu);
            x = layer.fc2.forward(y, Some(x), Act::None);
        }
        host(norm(&self.norm, EPSILON, x)).await
    }
}
