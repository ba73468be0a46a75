//! How every block of the model is built: by asking for its weights by name.
//!
//! One constructor path serves random initialisation, float weights and quantised weights (the "variable builder" of
//! candle and tch). Names are the module's field paths (`lm.layers.0.q.weight`), so that a visitor of the built module
//! can export what this loaded. Random values depend on seed and name only, never on the order of construction, and are
//! the same on every platform.

use super::store::{Arrived, Stored, TensorMap};
use crate::error::{Error, Result, WeightsFault};
use crate::quant::BlockLinear;
use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use sha2::{Digest, Sha256};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a weight starts when no file gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// One value everywhere.
    Const(f32),
    /// Uniform in `±bound`.
    Uniform(f32),
    /// Normal with that standard deviation.
    Normal(f32),
}

/// Stored weights: kept for others, or handed over one by one.
#[derive(Clone)]
enum Source {
    Kept(Arc<TensorMap>),
    Once(Arc<Mutex<Arrived>>),
}

impl Source {
    fn once(weights: &Mutex<Arrived>) -> MutexGuard<'_, Arrived> {
        // Nothing is left half done in there.
        weights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Kept(w) => w.0.contains_key(name),
            Self::Once(w) => Self::once(w).has(name),
        }
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        match self {
            Self::Kept(w) => Ok(w.expect(name, shape)?.to_f32()),
            Self::Once(w) => Ok(Self::once(w).take(name, shape)?.into_f32()),
        }
    }

    /// The matrix of that name as a packed layer, if it is stored in blocks.
    fn blocks(&self, name: &str, shape: [usize; 2], device: &Device) -> Result<Option<BlockLinear>> {
        match self {
            Self::Kept(w) => match w.0.get(name) {
                Some(Stored::Blocks(b)) => {
                    w.expect(name, &shape)?;
                    Ok(Some(BlockLinear::packed(b.clone(), device)))
                }
                _ => Ok(None),
            },
            Self::Once(w) => Self::once(w).take_blocks(name, shape, device),
        }
    }
}

/// A place in the tree of names, and where its weights come from.
#[derive(Clone)]
pub struct Vars {
    weights: Option<Source>,
    /// Seed of weights that no file gives; `None` = a missing weight is an error.
    seed: Option<u64>,
    prefix: String,
    device: Device,
    packed: bool,
    /// How the weights of layers start, if not as is usual for their size.
    start: Option<Init>,
}

impl Vars {
    /// Random weights, the same for the same seed everywhere.
    pub fn random(seed: u64, device: &Device) -> Self {
        Self { weights: None, seed: Some(seed), prefix: String::new(), device: device.clone(), packed: false, start: None }
    }

    /// Weights from files; a missing one is an error. Block-quantised matrices stay packed.
    pub fn stored(weights: Arc<TensorMap>, device: &Device) -> Self {
        Self { weights: Some(Source::Kept(weights)), seed: None, prefix: String::new(), device: device.clone(), packed: true, start: None }
    }

    /// The same of weights that are handed over: each is gone from there when it was used, so none is held twice.
    pub fn arrived(weights: Arrived, device: &Device) -> Self {
        let weights = Some(Source::Once(Arc::new(Mutex::new(weights))));
        Self { weights, seed: None, prefix: String::new(), device: device.clone(), packed: true, start: None }
    }

    /// The same weights for another device.
    pub fn on(&self, device: &Device) -> Self {
        Self { device: device.clone(), ..self.clone() }
    }

    /// Weights from files where they exist, random elsewhere, everything in float: the start of a training run.
    pub fn for_training(weights: Arc<TensorMap>, seed: u64, device: &Device) -> Self {
        Self {
            weights: Some(Source::Kept(weights)),
            seed: Some(seed),
            prefix: String::new(),
            device: device.clone(),
            packed: false,
            start: None,
        }
    }

    /// The same weights, with block-quantised matrices packed (`true`) or expanded to float (`false`).
    pub fn with_packed(mut self, packed: bool) -> Self {
        self.packed = packed;
        self
    }

    /// The same weights, but the weight (not the bias) of a layer that no file gives starts so.
    pub fn starting(&self, start: Init) -> Self {
        Self { start: Some(start), ..self.clone() }
    }

    /// One step down the tree of names.
    pub fn pp(&self, name: impl Display) -> Self {
        let prefix = if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) };
        Self { prefix, ..self.clone() }
    }

    /// Where tensors are put.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Full name of a weight here.
    pub fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.into() } else { format!("{}.{name}", self.prefix) }
    }

    /// Whether a file gives this weight.
    pub fn has(&self, name: &str) -> bool {
        self.weights.as_ref().is_some_and(|w| w.has(&self.path(name)))
    }

    /// Values of a weight, row-major, from the file or drawn.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn values(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        let path = self.path(name);
        match (&self.weights, self.seed) {
            (Some(w), seed) if seed.is_none() || w.has(&path) => w.values(&path, shape),
            (_, Some(seed)) => Ok(draw(seed, &path, shape.iter().product(), init)),
            _ => Err(Error::weights(WeightsFault::MissingTensor, path)),
        }
    }

    /// A parameter of any rank.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn param<const D: usize>(&self, name: &str, shape: [usize; D], init: Init) -> Result<Param<Tensor<D>>> {
        let data = TensorData::new(self.values(name, &shape, init)?, shape);
        Ok(Param::from_tensor(Tensor::from_data(data, &self.device)))
    }

    /// A linear layer, weight `[d_in, d_out]`, always float.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn linear(&self, name: &str, d_in: usize, d_out: usize, bias: bool) -> Result<Linear> {
        let v = self.pp(name);
        let bound = 1.0 / (d_in as f32).sqrt();
        let weight = v.param("weight", [d_in, d_out], v.start.unwrap_or(Init::Uniform(bound)))?;
        let bias = if bias { Some(v.param("bias", [d_out], Init::Const(0.0))?) } else { None };
        Ok(Linear { weight, bias })
    }

    /// A bias-free linear layer that keeps block-quantised weights packed.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn block_linear(&self, name: &str, d_in: usize, d_out: usize) -> Result<BlockLinear> {
        let v = self.pp(name);
        if let (true, Some(w)) = (self.packed, &self.weights)
            && let Some(layer) = w.blocks(&v.path("weight"), [d_in, d_out], &self.device)?
        {
            return Ok(layer);
        }
        let bound = 1.0 / (d_in as f32).sqrt();
        Ok(BlockLinear::float(v.values("weight", &[d_in, d_out], Init::Uniform(bound))?, d_in, d_out, &self.device))
    }

    /// A 2-D convolution with square kernel and symmetric padding, weight `[out, in / groups, k, k]`.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn conv2d(&self, name: &str, channels: [usize; 2], c: Conv, bias: bool) -> Result<Conv2d> {
        let v = self.pp(name);
        let fan_in = channels[0] / c.groups * c.kernel * c.kernel;
        let bound = (3.0f32 / fan_in as f32).sqrt();
        let mut conv = Conv2dConfig::new(channels, [c.kernel, c.kernel])
            .with_stride([c.stride, c.stride])
            .with_groups(c.groups)
            .with_padding(PaddingConfig2d::Explicit(c.padding, c.padding, c.padding, c.padding))
            .with_bias(false)
            .init(&self.device);
        let start = v.start.unwrap_or(Init::Uniform(bound));
        conv.weight = v.param("weight", [channels[1], channels[0] / c.groups, c.kernel, c.kernel], start)?;
        conv.bias = if bias { Some(v.param("bias", [channels[1]], Init::Const(0.0))?) } else { None };
        Ok(conv)
    }

    /// A transposed 2-D convolution with kernel = stride (no overlap), weight `[in, out, k, k]`.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn upconv2d(&self, name: &str, channels: [usize; 2], kernel: usize) -> Result<ConvTranspose2d> {
        let v = self.pp(name);
        let bound = (3.0f32 / channels[0] as f32).sqrt();
        let mut conv = ConvTranspose2dConfig::new(channels, [kernel, kernel]).with_stride([kernel, kernel]).init(&self.device);
        conv.weight = v.param("weight", [channels[0], channels[1], kernel, kernel], Init::Uniform(bound))?;
        conv.bias = Some(v.param("bias", [channels[1]], Init::Const(0.0))?);
        Ok(conv)
    }

    /// Layer normalisation over the last axis.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn layer_norm(&self, name: &str, dim: usize, epsilon: f64) -> Result<LayerNorm> {
        let v = self.pp(name);
        let mut norm = LayerNormConfig::new(dim).with_epsilon(epsilon).init(&self.device);
        norm.gamma = v.param("gamma", [dim], Init::Const(1.0))?;
        norm.beta = Some(v.param("beta", [dim], Init::Const(0.0))?);
        Ok(norm)
    }
}

/// Geometry of a square convolution.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride on both axes.
    pub stride: usize,
    /// Zeros added on every side.
    pub padding: usize,
    /// Channel groups.
    pub groups: usize,
}

impl Conv {
    /// Kernel `k`, stride 1, padding that keeps the size (odd `k`).
    pub fn same(kernel: usize) -> Self {
        Self { kernel, stride: 1, padding: kernel / 2, groups: 1 }
    }

    /// With that stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// With that many groups.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }
}

/// Values that depend on seed and name only.
fn draw(seed: u64, name: &str, len: usize, init: Init) -> Vec<f32> {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize();
    let mut key = [0u8; 8];
    key.copy_from_slice(&digest[..8]);
    let mut rng = SmallRng::seed_from_u64(u64::from_le_bytes(key));
    // Sums of uniforms instead of logarithms and cosines: bit-equal on every platform.
    let mut unit = move || rng.random::<f32>() - 0.5;
    (0..len)
        .map(|_| match init {
            Init::Const(c) => c,
            Init::Uniform(bound) => 2.0 * bound * unit(),
            Init::Normal(std) => std * (0..12).map(|_| unit()).sum::<f32>(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_weights_depend_on_name_and_seed_only() {
        let device = Device::flex();
        let a = Vars::random(7, &device).pp("a").values("w", &[64], Init::Normal(1.0)).unwrap();
        let b = Vars::random(7, &device).pp("a").values("w", &[64], Init::Normal(1.0)).unwrap();
        let c = Vars::random(7, &device).pp("b").values("w", &[64], Init::Normal(1.0)).unwrap();
        assert_eq!(a, b);
        assert_ne!(a, c);
    }

    #[test]
    fn a_missing_weight_is_an_error_without_a_seed() {
        let v = Vars::stored(Arc::new(TensorMap::default()), &Device::flex());
        assert_eq!(v.linear("q", 4, 4, true).unwrap_err().code(), "weights.missing_tensor");
    }
}
