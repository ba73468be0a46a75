//! Packed products against an f64 product with the dequantised weight, on every device that exists here.
//!
//! Tolerance: the largest error over the largest output stays under 1e-5 on a GPU; f32 sums of up to 1536 terms in another order
//! differ by some 1e-6. On the CPU activations are rounded to 16 bits, 1.5e-5 of their block's largest each, so it stays under 1e-4
//! (measured: 3e-5, the most where there is only one output to compare with). The GPU half runs on whatever Vulkan adapter there is
//! (llvmpipe without a GPU) and says "skipped: no adapter" if there is none.

mod noise;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use facext::quant::{BlockLinear, Blocks, GpuForm, set_gpu_form};
use noise::noise;

fn blocks(bits: u32, k: usize, n: usize) -> Blocks {
    let w = noise(k * n, (k + 31 * n) as u32);
    if bits == 4 { Blocks::quantise4(&w, k, n).unwrap() } else { Blocks::quantise8(&w, k, n).unwrap() }
}

/// Largest error of the layer on that device over the largest output.
fn error(b: &Blocks, m: usize, device: &Device) -> f64 {
    let (k, n) = (b.k, b.n);
    let x = noise(m * k, 5);
    let w = b.dequantise();
    let layer = BlockLinear::packed(b.clone(), device);
    assert!(layer.is_packed());
    assert_eq!(layer.dims(), [k, n]);
    let y = layer.forward(Tensor::<3>::from_data(TensorData::new(x.clone(), [1, m, k]), device));
    assert_eq!(y.dims(), [1, m, n]);
    let y: Vec<f32> = y.into_data().try_to_vec().unwrap();
    let (mut worst, mut top) = (0.0f64, 0.0f64);
    for i in 0..m {
        let mut want = vec![0.0f64; n];
        for (xv, row) in x[i * k..][..k].iter().zip(w.chunks_exact(n)) {
            want.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*xv) * f64::from(*v));
        }
        for (a, b) in y[i * n..][..n].iter().zip(&want) {
            worst = worst.max((f64::from(*a) - b).abs());
            top = top.max(b.abs());
        }
    }
    worst / top
}

/// `m`, `k`, `n`: shapes of SmolLM2-135M, and sizes beside every tile (1, 4, 8, 16, 32, 64, 256, 2048).
const SHAPES: &[(usize, usize, usize)] = &[
    (1, 576, 576),
    (1, 576, 192),
    (1, 576, 1536),
    (1, 1536, 576),
    (1, 576, 49152),
    (7, 1536, 576),
    (1, 32, 1),
    (1, 64, 7),
    (2, 96, 33),
    (3, 32, 71),
    (4, 64, 255),
    (5, 64, 300),
    (9, 320, 129),
    (1, 32, 2049),
    (6, 576, 1537),
];

const CPU: f64 = 1e-4;
const GPU: f64 = 1e-5;

fn check(device: &Device, shapes: &[(usize, usize, usize)], tolerance: f64) {
    for bits in [4, 8] {
        for &(m, k, n) in shapes {
            let e = error(&blocks(bits, k, n), m, device);
            assert!(e < tolerance, "{bits} bits {m}x{k}x{n}: {e:e}");
        }
    }
}

fn check_columns(device: &Device) {
    let ids = [3i32, 0, 40, 3];
    for bits in [4, 8] {
        let b = blocks(bits, 64, 41);
        let (w, k) = (b.dequantise(), b.k);
        let want: Vec<f32> = ids.iter().flat_map(|c| (0..k).map(|r| w[r * 41 + *c as usize]).collect::<Vec<_>>()).collect();
        for layer in [BlockLinear::packed(b.clone(), device), BlockLinear::float(w.clone(), k, 41, device)] {
            let t = layer.columns(Tensor::<1, Int>::from_data(ids, device));
            assert_eq!(t.dims(), [4, 64]);
            let got: Vec<f32> = t.into_data().try_to_vec().unwrap();
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Multiply and add may be fused on a GPU: one rounding less.
            assert!(worst <= 2e-7, "{bits} bits: {worst:e}");
        }
    }
}

#[test]
fn packed_products_agree_on_the_cpu() {
    check(&Device::flex(), SHAPES, CPU);
}

#[test]
fn columns_agree_on_the_cpu() {
    check_columns(&Device::flex());
}

#[test]
fn an_empty_batch_gives_an_empty_product() {
    let layer = BlockLinear::packed(blocks(4, 32, 5), &Device::flex());
    let y = layer.forward(Tensor::<2>::from_data(TensorData::new(Vec::<f32>::new(), [0, 32]), &Device::flex()));
    assert_eq!(y.dims(), [0, 5]);
}

#[test]
fn a_view_of_x_is_read_as_a_view() {
    // A transposed input is not contiguous; the kernel must not read its storage as it lies.
    let device = Device::flex();
    let layer = BlockLinear::packed(blocks(8, 32, 6), &device);
    let x = Tensor::<2>::from_data(TensorData::new(noise(32 * 3, 1), [32, 3]), &device);
    let a = layer.forward(x.clone().transpose());
    let b = layer.forward(Tensor::<2>::from_data(x.transpose().into_data(), &device));
    a.into_data().assert_eq(&b.into_data(), true);
}

#[cfg(feature = "native")]
#[test]
fn gradients_flow_through_a_packed_layer_to_x_only() {
    let device = Device::flex().autodiff();
    for bits in [4, 8] {
        let b = blocks(bits, 32, 3);
        let layer = BlockLinear::packed(b.clone(), &device);
        let x = Tensor::<2>::from_data(TensorData::new(noise(64, 9), [2, 32]), &device).require_grad();
        let y = layer.forward(x.clone());
        let plain = BlockLinear::packed(b.clone(), &Device::flex()).forward(x.clone().inner());
        y.clone().inner().into_data().assert_approx_eq::<f32>(&plain.into_data(), burn::tensor::Tolerance::absolute(1e-4));
        let grads = y.sum().backward();
        let got: Vec<f32> = x.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
        let w = b.dequantise();
        for (i, g) in got.iter().enumerate() {
            let want: f32 = w[i % 32 * 3..][..3].iter().sum();
            assert!((g - want).abs() < 1e-5, "{g} {want}");
        }
        let BlockLinear::Packed(p) = &layer else { panic!("packed") };
        assert!(p.scales.val().grad(&grads).is_none());
        // What a visitor exports is the dequantised weight.
        let (float, dims) = layer.to_float();
        assert_eq!(dims, [32, 3]);
        assert!(float.iter().zip(&w).all(|(a, b)| (a - b).abs() <= 2e-7));
    }
}

#[test]
fn packed_products_agree_on_the_gpu() {
    // One test for all that needs an adapter: the form is a process-wide setting.
    let Ok(device) = std::panic::catch_unwind(|| {
        let device = Device::wgpu(Default::default());
        let _ = Tensor::<1>::from_floats([1.0], &device).into_data();
        device
    }) else {
        println!("skipped: no adapter");
        return;
    };
    for form in [GpuForm::Auto, GpuForm::Threads, GpuForm::Split] {
        set_gpu_form(form);
        check(&device, &SHAPES[..SHAPES.len() - 1], GPU);
    }
    set_gpu_form(GpuForm::Auto);
    check_columns(&device);
    moved_off_autodiff(&device);
}

/// A layer that was made for training on a GPU and then used there without gradients.
fn moved_off_autodiff(device: &Device) {
    for (bits, n) in [(4, 33), (8, 40)] {
        let b = blocks(bits, 96, n);
        let layer = BlockLinear::packed(b.clone(), &device.clone().autodiff()).valid();
        let x = Tensor::<2>::from_data(TensorData::new(noise(5 * 96, 3), [5, 96]), device);
        let want = BlockLinear::packed(b, device).forward(x.clone());
        layer.forward(x).into_data().assert_approx_eq::<f32>(&want.into_data(), burn::tensor::Tolerance::absolute(1e-5));
    }
}

/// `cargo test --release --test quant_kernels -- --ignored --nocapture speed`
#[test]
#[ignore = "a measurement, not a check"]
fn speed() {
    use std::time::Instant;
    const LAYER: [(usize, usize); 7] = [(576, 576), (576, 192), (576, 192), (576, 576), (576, 1536), (576, 1536), (1536, 576)];
    let gpu = std::env::var("FACEXT_DEVICE").is_ok_and(|d| d == "gpu");
    let device = if gpu { Device::wgpu(Default::default()) } else { Device::flex() };
    let layers: Vec<Vec<BlockLinear>> = (0..30).map(|_| LAYER.map(|(k, n)| BlockLinear::packed(blocks(4, k, n), &device)).into()).collect();
    let head = BlockLinear::packed(blocks(8, 576, 49152), &device);
    let run = |layer: &BlockLinear, m: usize| layer.forward(Tensor::<2>::ones([m, layer.dims()[0]], &device));
    // On a GPU `into_data` may return before the work is done; only looking at the values waits for it.
    let wait = |t: Tensor<2>| assert!(t.into_data().try_to_vec::<f32>().unwrap()[0].is_finite());
    for form in if gpu { vec![GpuForm::Threads, GpuForm::Split] } else { vec![GpuForm::Auto] } {
        set_gpu_form(form);
        // A software adapter takes minutes for 128 rows.
        for m in if gpu { vec![1, 16] } else { vec![1, 16, 128] } {
            let (mut best, mut best_head) = (f64::MAX, f64::MAX);
            for _ in 0..if m == 1 { 10 } else { 3 } {
                let start = Instant::now();
                let mut last = None;
                layers.iter().flatten().for_each(|l| last = Some(run(l, m)));
                last.map(wait);
                best = best.min(start.elapsed().as_secs_f64() * 1e3);
                let start = Instant::now();
                wait(run(&head, 1));
                best_head = best_head.min(start.elapsed().as_secs_f64() * 1e3);
            }
            println!("{form:?} m = {m}: 30 layers {best:.2} ms, head (one row) {best_head:.2} ms");
        }
    }
}
