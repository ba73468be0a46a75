//! The self-test of an adapter: every kernel once on small shapes, against the same sums on the host in f64.
//!
//! A browser reports a broken shader in its log and goes on with whatever is in the buffer, and drivers differ; so an adapter
//! is believed only after it has shown its numbers. The native tests run the same checks and state the errors.

use super::attention::{Heads, attend};
use super::matvec::{Adapter, matvec, qkv, swiglu};
use super::norm::{Down, norm};
use super::scores::scores;
use super::weight::GpuWeight;
use super::{floats, ints, matmat, tensor};
use crate::error::{DeviceFault, Error, Result};
use crate::quant::Blocks;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_cubecl::tensor::CubeTensor;

/// Sizes of the probe: inputs, query heads, key heads, width of a head, feed-forward, rank, positions.
const DIM: usize = 64;
const HEADS: usize = 4;
const KV: usize = 2;
const HEAD: usize = 16;
const FFN: usize = 96;
const RANK: usize = 4;
const CAPACITY: usize = 8;

/// Largest error of each kernel over its largest value, by name.
///
/// # Errors
/// `device.unavailable` if `device` is no GPU, `device.lost` if nothing comes back.
pub async fn self_test(device: &Device) -> Result<Vec<(&'static str, f32)>> {
    let mut found = Vec::new();
    for bits in [4, 8] {
        let probe = Probe::new(bits, device)?;
        let name = |four: &'static str, eight: &'static str| if bits == 4 { four } else { eight };
        found.push((name("product of a row, 4 bits", "product of a row, 8 bits"), probe.row().await?));
        found.push((name("product of rows, 4 bits", "product of rows, 8 bits"), probe.rows().await?));
        found.push((name("columns, 4 bits", "columns, 8 bits"), probe.columns().await?));
        found.push((name("SwiGLU, 4 bits", "SwiGLU, 8 bits"), probe.swiglu().await?));
        found.push((name("scores, 4 bits", "scores, 8 bits"), probe.scores().await?));
        found.push((name("norm and projections, 4 bits", "norm and projections, 8 bits"), probe.projections().await?));
        if bits == 4 {
            found.push(("attention", probe.attention().await?));
        }
    }
    Ok(found)
}

/// Deterministic values of order one.
fn wave(len: usize, step: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * step + step).sin()).collect()
}

/// A weight on the device and in f64.
struct Weight {
    there: GpuWeight,
    here: Vec<f64>,
    n: usize,
}

impl Weight {
    fn new(k: usize, n: usize, bits: u32, step: f32, device: &Device) -> Result<Self> {
        let values = wave(k * n, step);
        let blocks = if bits == 4 { Blocks::quantise4(&values, k, n) } else { Blocks::quantise8(&values, k, n) }?;
        Ok(Self { there: GpuWeight::new(&blocks, device), here: blocks.dequantise().into_iter().map(f64::from).collect(), n })
    }

    /// `x [k] → [n]`.
    fn product(&self, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.n];
        for (x, row) in x.iter().zip(self.here.chunks_exact(self.n)) {
            y.iter_mut().zip(row).for_each(|(y, w)| *y += x * w);
        }
        y
    }
}

/// `x [k] · w [k, n]`, plain.
fn plain(x: &[f64], w: &[f32], n: usize) -> Vec<f64> {
    (0..n).map(|j| x.iter().enumerate().map(|(i, x)| x * f64::from(w[i * n + j])).sum()).collect()
}

struct Probe {
    device: Device,
    q: Weight,
    k: Weight,
    v: Weight,
    gate: Weight,
    up: Weight,
    x: Vec<f32>,
}

impl Probe {
    fn new(bits: u32, device: &Device) -> Result<Self> {
        if !super::runs_on(device) {
            return Err(Error::device(DeviceFault::Unavailable, "no GPU"));
        }
        let weight = |n: usize, step: f32| Weight::new(DIM, n, bits, step, device);
        Ok(Self {
            device: device.clone(),
            q: weight(HEADS * HEAD, 0.11)?,
            k: weight(KV * HEAD, 0.23)?,
            v: weight(KV * HEAD, 0.31)?,
            gate: weight(FFN + 1, 0.17)?,
            up: weight(FFN + 1, 0.29)?,
            x: wave(DIM, 0.37),
        })
    }

    fn put<const D: usize>(&self, values: &[f32], shape: [usize; D]) -> Result<CubeTensor> {
        floats(Tensor::<D>::from_data(TensorData::new(values.to_vec(), shape), &self.device)).ok_or_else(no_gpu)
    }

    fn number(&self, value: usize) -> Result<CubeTensor> {
        let value = TensorData::new(vec![value as i32], [1]);
        ints(Tensor::<1, Int>::from_data(value, (&self.device, DType::I32))).ok_or_else(no_gpu)
    }

    fn wide(&self) -> Vec<f64> {
        self.x.iter().map(|v| f64::from(*v)).collect()
    }

    async fn row(&self) -> Result<f32> {
        let residual = wave(FFN + 1, 0.41);
        let y = matvec(self.put(&self.x, [1, DIM])?, &self.gate.there.view(), Some(self.put(&residual, [1, FFN + 1])?));
        let want = self.gate.product(&self.wide()).into_iter().zip(&residual).map(|(y, r)| y + f64::from(*r));
        error(y, want.collect()).await
    }

    async fn rows(&self) -> Result<f32> {
        let m = 9;
        let x = wave(m * DIM, 0.19);
        let y = matmat::matmat(self.put(&x, [m, DIM])?, m, &self.gate.there.view());
        let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        error(y, wide.chunks_exact(DIM).flat_map(|x| self.gate.product(x)).collect()).await
    }

    async fn columns(&self) -> Result<f32> {
        let ids = [3usize, 0, FFN, 3];
        let data = TensorData::new(ids.map(|i| i as i32).to_vec(), [ids.len()]);
        let y = self.gate.there.columns(Tensor::from_data(data, (&self.device, DType::I32)));
        let n = self.gate.n;
        let want = ids.iter().flat_map(|i| (0..DIM).map(move |r| self.gate.here[r * n + i])).collect();
        error(floats(y).ok_or_else(no_gpu)?, want).await
    }

    async fn swiglu(&self) -> Result<f32> {
        let y = swiglu(self.put(&self.x, [1, DIM])?, &self.gate.there.view(), &self.up.there.view());
        let (g, u) = (self.gate.product(&self.wide()), self.up.product(&self.wide()));
        error(y, g.into_iter().zip(u).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect()).await
    }

    async fn scores(&self) -> Result<f32> {
        let added = wave(3 * DIM, 0.43);
        let y = scores(self.put(&self.x, [1, DIM])?, &self.gate.there.view(), self.put(&added, [3, DIM])?, 3);
        let x = self.wide();
        let mut want = self.gate.product(&x);
        want.extend(added.chunks_exact(DIM).map(|row| x.iter().zip(row).map(|(x, w)| x * f64::from(*w)).sum::<f64>()));
        error(y, want).await
    }

    async fn projections(&self) -> Result<f32> {
        let (epsilon, scale) = (1e-5f32, 0.5f32);
        let gain = wave(DIM, 0.53);
        let halves: Vec<(Vec<f32>, Vec<f32>)> =
            [(self.q.n, 0.07), (self.v.n, 0.13)].map(|(n, step)| (wave(DIM * RANK, step), wave(RANK * n, step * 1.7))).into();
        let (mut downs, mut ups) = (Vec::new(), Vec::new());
        for ((a, b), n) in halves.iter().zip([self.q.n, self.v.n]) {
            downs.push(Down { a: self.put(a, [DIM, RANK])?, rank: RANK });
            ups.push(Adapter { b: self.put(b, [RANK, n])?, rank: RANK });
        }
        let (mut downs, mut ups) = (downs.into_iter(), ups.into_iter());
        let normed = norm(self.put(&self.x, [1, DIM])?, self.put(&gain, [DIM])?, epsilon, [downs.next(), downs.next()], scale);
        let weights = [&self.q, &self.k, &self.v].map(|w| w.there.view());
        let y = qkv(normed, [&weights[0], &weights[1], &weights[2]], [ups.next(), ups.next()]);

        let x = self.wide();
        let rms = (x.iter().map(|v| v * v).sum::<f64>() / DIM as f64 + f64::from(epsilon)).sqrt();
        let h: Vec<f64> = x.iter().zip(&gain).map(|(x, g)| x / rms * f64::from(*g)).collect();
        let beside = |i: usize, n: usize| {
            let (a, b) = &halves[i];
            let low: Vec<f64> = plain(&h, a, RANK).into_iter().map(|v| v * f64::from(scale)).collect();
            plain(&low, b, n)
        };
        let sum = |a: Vec<f64>, b: Vec<f64>| a.into_iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();
        let want = [sum(self.q.product(&h), beside(0, self.q.n)), self.k.product(&h), sum(self.v.product(&h), beside(1, self.v.n))];
        error(y, want.concat()).await
    }

    async fn attention(&self) -> Result<f32> {
        let h = Heads { query: HEADS, kv: KV, dim: HEAD, capacity: CAPACITY };
        let half = HEAD / 2;
        let angle = |p: usize, i: usize| p as f64 * 100f64.powf(-(i as f64) / half as f64);
        let table: Vec<f32> = (0..CAPACITY)
            .flat_map(|p| (0..HEAD).map(move |i| if i < half { angle(p, i).cos() } else { angle(p, i - half).sin() } as f32))
            .collect();
        let table = self.put(&table, [CAPACITY, HEAD])?;
        let zeros = vec![0.0; KV * CAPACITY * HEAD];
        let (keys, values) = (self.put(&zeros, [KV, CAPACITY, HEAD])?, self.put(&zeros, [KV, CAPACITY, HEAD])?);
        let rotate = |x: &[f64], p: usize| -> Vec<f64> {
            let at = |i: usize| angle(p, i).sin_cos();
            let low = (0..half).map(|i| x[i] * at(i).1 - x[half + i] * at(i).0);
            low.chain((0..half).map(|i| x[half + i] * at(i).1 + x[i] * at(i).0)).collect()
        };
        let (mut past, mut worst): (Vec<[Vec<Vec<f64>>; 2]>, f32) = (Vec::new(), 0.0);
        for p in 0..CAPACITY {
            let new = wave((HEADS + 2 * KV) * HEAD, 0.07 + 0.05 * p as f32);
            let y = attend(self.put(&new, [1, new.len()])?, table.clone(), self.number(p)?, keys.clone(), values.clone(), h);
            let parts: Vec<Vec<f64>> = new.chunks_exact(HEAD).map(|c| c.iter().map(|v| f64::from(*v)).collect()).collect();
            let (q, kv) = parts.split_at(HEADS);
            past.push([kv[..KV].iter().map(|k| rotate(k, p)).collect(), kv[KV..].to_vec()]);
            let want = q.iter().enumerate().flat_map(|(i, q)| {
                let (q, of) = (rotate(q, p), i * KV / HEADS);
                let dot = |k: &Vec<f64>| q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() / (HEAD as f64).sqrt();
                let e: Vec<f64> = past.iter().map(|[k, _]| dot(&k[of]).exp()).collect();
                let total: f64 = e.iter().sum();
                (0..HEAD).map(|d| past.iter().zip(&e).map(|([_, v], e)| v[of][d] * e / total).sum()).collect::<Vec<f64>>()
            });
            worst = worst.max(error(y, want.collect()).await?);
        }
        Ok(worst)
    }
}

fn no_gpu() -> Error {
    Error::device(DeviceFault::Unavailable, "the probe does not lie on a GPU")
}

/// Largest difference over the largest value; infinite when something is missing or no number.
async fn error(got: CubeTensor, want: Vec<f64>) -> Result<f32> {
    let data = tensor::<2>(got).into_data_async().await.map_err(|e| Error::device(DeviceFault::Lost, format!("{e:?}")))?;
    let got = data.try_to_vec::<f32>().map_err(|e| Error::device(DeviceFault::Lost, format!("{e:?}")))?;
    if got.len() != want.len() || got.iter().any(|v| !v.is_finite()) {
        return Ok(f32::INFINITY);
    }
    let top = want.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    Ok((got.iter().zip(&want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max) / top) as f32)
}
