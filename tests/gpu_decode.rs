//! Decoding on a GPU: the fused kernels against the plain operations on the CPU, and what a token costs in launches, pipelines
//! and buffers, counted.
//!
//! Runs on whatever Vulkan adapter there is (llvmpipe without a GPU) and says "skipped: no adapter" if there is none. Counts
//! come from wgpu's own log: every command it is given is a message there. Pipelines and buffers must not grow while a
//! model decodes; a browser would stall on each.

use burn::tensor::{Device, Tensor};
use facext::config::ModelConfig;
use facext::model::lm::Lm;
use facext::model::lm_cache::KvCache;
use facext::quant::{Blocks, GpuForm, self_test, set_gpu_form};
use facext::weights::{Stored, TensorMap, Vars};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts what wgpu is asked to do.
struct Counter;

static LAUNCHES: AtomicUsize = AtomicUsize::new(0);
static PIPELINES: AtomicUsize = AtomicUsize::new(0);
static BUFFERS: AtomicUsize = AtomicUsize::new(0);
static SUBMITS: AtomicUsize = AtomicUsize::new(0);

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        for (start, count) in [
            ("ComputePass::dispatch", &LAUNCHES),
            ("Device::create_compute_pipeline", &PIPELINES),
            ("Device::create_buffer", &BUFFERS),
            ("Queue::submit", &SUBMITS),
        ] {
            if text.starts_with(start) && !text.contains("returned") {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn flush(&self) {}
}

/// Launches, pipelines, buffers, submissions so far.
fn counts() -> [usize; 4] {
    [&LAUNCHES, &PIPELINES, &BUFFERS, &SUBMITS].map(|c| c.load(Ordering::Relaxed))
}

/// What `work` cost.
fn cost(work: impl FnOnce()) -> [usize; 4] {
    let before = counts();
    work();
    let after = counts();
    std::array::from_fn(|i| after[i] - before[i])
}

/// The adapter, for one test at a time: counts and the kernels' form belong to the process.
fn gpu() -> Option<(Device, MutexGuard<'static, ()>)> {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let _ = log::set_logger(&Counter);
    log::set_max_level(log::LevelFilter::Trace);
    let device = std::panic::catch_unwind(|| {
        let device = Device::wgpu(Default::default());
        let _ = Tensor::<1>::from_floats([1.0], &device).into_data();
        device
    });
    match device {
        Ok(device) => Some((device, guard)),
        Err(_) => {
            println!("skipped: no adapter");
            None
        }
    }
}

fn noise(len: usize, seed: usize, size: f32) -> Vec<f32> {
    let mut s = (seed as u32).wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            s ^= s << 13;
            s ^= s >> 17;
            s ^= s << 5;
            ((s >> 8) as f32 / (1 << 23) as f32 - 1.0) * size
        })
        .collect()
}

/// Random weights in the shipped format: 4-bit projections, 8-bit table; adapters if `lora`.
fn weights(cfg: &ModelConfig, bits: u32, lora: bool) -> Arc<TensorMap> {
    let mut map = BTreeMap::new();
    let (dim, kv, ffn, rank) = (cfg.lm_dim, cfg.lm_kv_heads * cfg.lm_head_dim(), cfg.lm_ffn, cfg.lm_lora_rank);
    let packed = |k: usize, n: usize, bits: u32, seed: usize| {
        let w = noise(k * n, seed, (3.0 / k as f32).sqrt());
        Stored::Blocks(if bits == 4 { Blocks::quantise4(&w, k, n) } else { Blocks::quantise8(&w, k, n) }.unwrap())
    };
    map.insert("embed.weight".to_owned(), packed(dim, cfg.lm_vocab, 8, 1));
    map.insert("added.weight".to_owned(), Stored::float([cfg.lm_added, dim], noise(cfg.lm_added * dim, 2, 0.1)));
    let gain = |seed| Stored::float([dim], noise(dim, seed, 0.3).into_iter().map(|v| 1.0 + v).collect());
    map.insert("norm.weight".to_owned(), gain(3));
    for i in 0..cfg.lm_layers {
        let at = |name: &str| format!("layers.{i}.{name}");
        let shapes =
            [("q", dim, dim), ("k", dim, kv), ("v", dim, kv), ("o", dim, dim), ("gate", dim, ffn), ("up", dim, ffn), ("down", ffn, dim)];
        for (j, (name, k, n)) in shapes.into_iter().enumerate() {
            map.insert(at(&format!("{name}.weight")), packed(k, n, bits, 10 + i * 20 + j));
        }
        map.insert(at("attn_norm.weight"), gain(20 + i * 20));
        map.insert(at("ffn_norm.weight"), gain(21 + i * 20));
        if lora {
            for (name, out, seed) in [("q_lora", dim, 22), ("v_lora", kv, 24)] {
                map.insert(at(&format!("{name}.a")), Stored::float([dim, rank], noise(dim * rank, seed + i * 20, 0.1)));
                map.insert(at(&format!("{name}.b")), Stored::float([rank, out], noise(rank * out, seed + 1 + i * 20, 0.1)));
            }
        }
    }
    Arc::new(TensorMap(map))
}

fn small() -> ModelConfig {
    ModelConfig { lm_vocab: 301, lm_context: 64, ..ModelConfig::tiny() }
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_to_vec::<f32>().unwrap()
}

/// Largest difference over the largest value.
fn apart(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let top = want.iter().fold(0.0f32, |a, v| a.max(v.abs()));
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / top
}

/// Hidden states and scores of a prompt and of each token after it.
fn run(lm: &Lm, prompt: &[u32], then: &[u32], device: &Device) -> Vec<Vec<f32>> {
    let mut cache = KvCache::new(lm.config(), 1, device);
    let mut out = vec![values(lm.forward(lm.embed(prompt).unwrap(), &mut cache).unwrap())];
    for id in then {
        let hidden = lm.forward(lm.embed(&[*id]).unwrap(), &mut cache).unwrap();
        out.push(values(lm.logits(hidden.clone())));
        out.push(values(hidden));
    }
    out
}

/// f32 sums of up to 128 terms in another order, over two layers: 2e-6 was measured; ten times that is allowed. A wrong
/// rotation, mask or scale shows from 1e-2 on.
const TOLERANCE: f32 = 2e-5;

#[test]
fn decoding_agrees_with_plain_operations() {
    let Some((device, _guard)) = gpu() else { return };
    let cfg = small();
    let prompt = [3, 250, 305, 7, 7, 120, 4];
    let then: Vec<u32> = (0..20).map(|i| i * 53 % 309).collect();
    for (bits, lora) in [(4, true), (4, false), (8, true)] {
        let map = weights(&cfg, bits, lora);
        // Expanded, because the CPU's packed products round activations.
        let plain = Lm::build(&cfg, &Vars::stored(map.clone(), &Device::flex()).with_packed(false)).unwrap();
        let fused = Lm::build(&cfg, &Vars::stored(map, &device)).unwrap();
        let want = run(&plain, &prompt, &then, &Device::flex());
        for form in [GpuForm::Threads, GpuForm::Split] {
            set_gpu_form(form);
            let got = run(&fused, &prompt, &then, &device);
            let worst = got.iter().zip(&want).map(|(g, w)| apart(g, w)).fold(0.0, f32::max);
            println!("{bits} bits, adapters {lora}, {form:?}: largest error {worst:.1e} of the largest value");
            assert!(worst < TOLERANCE, "{worst:e}");
        }
    }
    set_gpu_form(GpuForm::Auto);
}

/// f32 sums against f64: 8e-6 of the largest value at most when this was written (the probe's waves nearly cancel in a product of rows).
const KERNEL: f32 = 4e-5;

#[test]
fn every_kernel_agrees_with_the_host() {
    let Some((device, _guard)) = gpu() else { return };
    for form in [GpuForm::Threads, GpuForm::Split] {
        set_gpu_form(form);
        let found = pollster::block_on(self_test(&device)).unwrap();
        assert_eq!(found.len(), 13);
        for (name, error) in found {
            println!("{form:?}: {name}: {error:.1e}");
            assert!(error < KERNEL, "{name}: {error:e}");
        }
    }
    set_gpu_form(GpuForm::Auto);
    assert_eq!(pollster::block_on(self_test(&Device::flex())).unwrap_err().code(), "device.unavailable");
}

/// Launches that a token may take beside its layers: embedding, final norm, scores.
const BESIDE: usize = 6;
/// Launches that a layer may take.
const LAYER: usize = 10;

#[test]
fn a_token_compiles_nothing_and_allocates_nothing() {
    let Some((device, _guard)) = gpu() else { return };
    for form in [GpuForm::Threads, GpuForm::Split] {
        set_gpu_form(form);
        let mut each = Vec::new();
        for layers in [2, 3] {
            let cfg = ModelConfig { lm_layers: layers, ..small() };
            let lm = Lm::build(&cfg, &Vars::stored(weights(&cfg, 4, true), &device)).unwrap();
            let mut cache = KvCache::new(&cfg, 1, &device);
            lm.forward(lm.embed(&[5; 9]).unwrap(), &mut cache).unwrap();
            let mut token = |id: u32| {
                let hidden = lm.forward(lm.embed(&[id]).unwrap(), &mut cache).unwrap();
                assert!(values(lm.logits(hidden)).iter().all(|v| v.is_finite()));
            };
            // An ordinary and an added token warm everything up.
            (0..3).for_each(|_| [7, 302].into_iter().for_each(&mut token));
            // Beyond two steps of the padded length.
            for id in 0..40 {
                let [launches, pipelines, buffers, _] = cost(|| token(id % 303));
                assert_eq!((pipelines, buffers), (0, 0), "token {id}");
                assert!(launches > layers && launches <= LAYER * layers + BESIDE, "{launches} launches for {layers} layers");
                if id == 0 {
                    each.push(launches);
                }
            }
        }
        let layer = each[1] - each[0];
        println!("{form:?}: {layer} launches a layer, {} beside", each[0] - 2 * layer);
        assert!((1..=LAYER).contains(&layer));
    }
    set_gpu_form(GpuForm::Auto);
}

/// Sizes of the peer's synthetic decoder, 16.9 million parameters.
fn peer() -> ModelConfig {
    ModelConfig {
        lm_dim: 384,
        lm_layers: 6,
        lm_heads: 6,
        lm_kv_heads: 6,
        lm_ffn: 1024,
        lm_vocab: 8192,
        lm_added: 8,
        lm_context: 512,
        lm_lora_rank: 0,
        ..ModelConfig::base()
    }
}

/// Milliseconds and launches of a token at context 256: `cargo test --release --test gpu_decode -- --ignored --nocapture speed`
#[test]
#[ignore = "a measurement, not a check"]
fn speed() {
    let Some((device, _guard)) = gpu() else { return };
    let base = ModelConfig { lm_context: 320, ..ModelConfig::base() };
    let wanted = std::env::var("FACEXT_MODEL").unwrap_or_else(|_| "peer".into());
    let cfg = if wanted == "base" { base } else { peer() };
    let lm = Lm::build(&cfg, &Vars::stored(weights(&cfg, 4, cfg.lm_lora_rank > 0), &device)).unwrap();
    for form in [GpuForm::Threads, GpuForm::Split] {
        set_gpu_form(form);
        let mut cache = KvCache::new(&cfg, 1, &device);
        let started = std::time::Instant::now();
        let filled = if wanted == "base" { 128 } else { 256 };
        let ids: Vec<u32> = (0..filled).map(|i| i * 31 % 8000).collect();
        let prefill = cost(|| assert!(values(lm.forward(lm.embed(&ids).unwrap(), &mut cache).unwrap())[0].is_finite()));
        println!("{form:?}: prefill of {filled}: {:.0} ms, {} launches", started.elapsed().as_secs_f64() * 1e3, prefill[0]);
        let mut each = Vec::new();
        let mut last = [0; 4];
        for i in 0..12 {
            cache.truncate(filled as usize);
            let started = std::time::Instant::now();
            last = cost(|| {
                let hidden = lm.forward(lm.embed(&[i]).unwrap(), &mut cache).unwrap();
                assert!(values(lm.logits(hidden))[0].is_finite());
            });
            each.push(started.elapsed().as_secs_f64() * 1e3);
        }
        each.sort_by(f64::total_cmp);
        let [launches, pipelines, buffers, submits] = last;
        println!(
            "{form:?}: a token: best {:.1}, median {:.1} ms; {launches} launches, {pipelines} pipelines, {buffers} buffers, {submits} submissions",
            each[0], each[6]
        );
    }
    set_gpu_form(GpuForm::Auto);
}
