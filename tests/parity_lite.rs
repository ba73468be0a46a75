//! EfficientNet-Lite0 against PyTorch, through both of its ways on the CPU: fixed point, and the layers that training derives.
//!
//! The picture is a formula repeated here and in `tests/reference/lite.py`, which made the answers in `tests/fixtures/vision/lite.safetensors`
//! from upstream's own tensors, batch normalisations and pixels. Weights come from the checkpoint `$FACEXT_CACHE/upstream/
//! efficientnet-lite0/efficientnet-lite0.pth` (`build.sh` fetches it); without it the test prints "skipped". So the reading of old PyTorch
//! files and the conversion are judged, too.
//!
//! Tolerances are shares of a level's largest value. With derivatives both sides compute in f32 or better; in fixed point sixteen layers of 14 ×
//! 13 bits, some 2e-4 each, add up.

use burn::tensor::{Device, Tensor, TensorData};
use facext::config::ModelConfig;
use facext::model::lite::Lite;
use facext::native::convert::lite::lite;
use facext::weights::Vars;
use safetensors::SafeTensors;
use std::path::PathBuf;
use std::sync::Arc;

const SIDE: usize = 64;

/// The high-pass band, whose weights are 0, and the picture of `lite.py`, normalised: `[1, 6, side, side]`.
fn picture(device: &Device) -> Tensor<4> {
    let (mean, std) = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
    let mut data = vec![1.0f32; 3 * SIDE * SIDE];
    for c in 0..3 {
        let k = c as f64;
        for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y as f64, x as f64))) {
            let value = 120.0 + 60.0 * (x * (0.21 + 0.05 * k) + y * 0.13).sin() + 45.0 * (y * 0.7 - x * 0.4 * (k + 1.0)).sin();
            data.push(((value - mean[c]) / std[c]) as f32);
        }
    }
    Tensor::from_data(TensorData::new(data, [1, 6, SIDE, SIDE]), device)
}

#[test]
fn efficientnet_lite_sees_what_pytorch_sees() {
    let cache = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let Some(cache) = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/facext"))) else { return };
    let path = cache.join("upstream/efficientnet-lite0/efficientnet-lite0.pth");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let weights = Arc::new(lite(&bytes).expect("a good checkpoint"));
    let dims = ModelConfig::base().res_lite;
    let wanted = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vision/lite.safetensors");
    let wanted = std::fs::read(wanted).unwrap();
    let wanted = SafeTensors::deserialize(&wanted).unwrap();
    for (device, limit) in [(Device::flex(), 6e-3), (Device::flex().autodiff(), 3e-5)] {
        let net = Lite::build(&dims, &Vars::stored(weights.clone(), &device)).unwrap();
        for (level, stride) in net.forward(picture(&device)).into_iter().zip([4, 8, 16, 32]) {
            let want = wanted.tensor(&format!("stride{stride}")).unwrap();
            assert_eq!(level.dims()[1..], *want.shape());
            let want: Vec<f32> = want.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let got = level.into_data().try_to_vec::<f32>().unwrap();
            let top = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max) / top;
            println!("stride {stride}: {worst:.1e} of {top:.1}");
            assert!(got.len() == want.len() && worst < limit, "stride {stride}: {worst:.1e}, limit {limit:.0e}");
        }
    }
}
