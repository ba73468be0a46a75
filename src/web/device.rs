//! Which device computes: WebGPU when its adapter is real and its numbers agree with the CPU's, the CPU otherwise.
//!
//! A software adapter is correct but many times slower than one wasm thread, so it is used only when asked for by name.

use crate::error::{DeviceFault, Error, Result};
use crate::quant::cpu::share;
use crate::quant::{GpuForm, self_test, set_gpu_form};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use js_sys::{Function, Promise, Reflect};
use serde::Serialize;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The device and why it was chosen.
pub struct Chosen {
    /// Where the model computes.
    pub device: Device,
    kind: &'static str,
    name: String,
    reason: &'static str,
}

/// What the page is told.
#[derive(Serialize)]
pub struct DeviceFacts<'a> {
    kind: &'a str,
    name: &'a str,
    reason: &'a str,
    threads: usize,
}

impl Chosen {
    fn cpu(reason: &'static str) -> Self {
        Self { device: Device::flex(), kind: "cpu", name: "wasm".into(), reason }
    }

    /// For the page.
    pub fn facts(&self) -> DeviceFacts<'_> {
        let threads = if self.kind == "cpu" { share::threads() } else { 1 };
        DeviceFacts { kind: self.kind, name: &self.name, reason: self.reason, threads }
    }

    /// For the report.
    pub fn label(&self) -> String {
        if self.kind == "cpu" { "cpu (wasm)".into() } else { format!("gpu ({})", self.name) }
    }
}

/// What `navigator.gpu` offers.
struct Adapter {
    name: String,
    fallback: bool,
}

/// Chooses by the page's wish: `auto`, `cpu`, `gpu`.
///
/// # Errors
/// `device.unavailable` or `device.self_test`, only when a GPU was demanded; [`Error::Request`] for another wish.
pub async fn choose(wish: &str) -> Result<Chosen> {
    match wish {
        "cpu" => return Ok(Chosen::cpu("chosen")),
        "auto" | "gpu" => {}
        other => return Err(Error::Request(format!("no device is called {other}: auto, cpu, gpu"))),
    }
    let demanded = wish == "gpu";
    let give_up = |fault: DeviceFault, reason: &'static str, detail: &str| {
        if demanded { Err(Error::device(fault, detail)) } else { Ok(Chosen::cpu(reason)) }
    };
    let Some(adapter) = probe().await else {
        return give_up(DeviceFault::Unavailable, "no_adapter", "WebGPU offers no adapter");
    };
    if adapter.fallback && !demanded {
        return Ok(Chosen::cpu("fallback_adapter"));
    }
    // The first touch of the GPU must be this asynchronous call: a tensor made earlier would start the device by blocking.
    let device = match Device::wgpu_options().init_async().await {
        Ok(device) => device,
        Err(e) => return give_up(DeviceFault::Unavailable, "no_device", &format!("{e:?}")),
    };
    match prove(&device, adapter.fallback).await {
        Ok(()) => Ok(Chosen { device, kind: "gpu", name: adapter.name, reason: if demanded { "chosen" } else { "self_test_passed" } }),
        Err(e) => give_up(DeviceFault::SelfTest, "self_test", &e.to_string()),
    }
}

/// Asks the browser for an adapter. Through reflection, because the bindings of WebGPU are not stable.
async fn probe() -> Option<Adapter> {
    let get =
        |object: &JsValue, key: &str| Reflect::get(object, &JsValue::from_str(key)).ok().filter(|v| !v.is_undefined() && !v.is_null());
    let gpu = get(&get(&js_sys::global(), "navigator")?, "gpu")?;
    let request: Function = get(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let promise: Promise = request.call0(&gpu).ok()?.dyn_into().ok()?;
    let adapter = JsFuture::from(promise).await.ok().filter(|a| !a.is_null() && !a.is_undefined())?;
    let info = get(&adapter, "info").unwrap_or(JsValue::NULL);
    let text = |key: &str| get(&info, key).and_then(|v| v.as_string()).unwrap_or_default();
    let flag = |object: &JsValue| get(object, "isFallbackAdapter").and_then(|v| v.as_bool()).unwrap_or(false);
    let name = [text("vendor"), text("architecture")].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
    Some(Adapter { fallback: flag(&info) || flag(&adapter), name: if name.is_empty() { "WebGPU".into() } else { name } })
}

/// Largest difference that the device may show on the probes, whose values are of order one.
const TOLERANCE: f32 = 1e-3;

/// Every own kernel, and a product and a softmax of burn's, against the host. A software adapter takes the kernels without
/// barriers; a GPU takes those that share a sum in a workgroup, and the others where it computes these wrongly.
async fn prove(device: &Device, software: bool) -> Result<()> {
    plain(device).await?;
    let forms = if software { [GpuForm::Threads].as_slice() } else { &[GpuForm::Split, GpuForm::Threads] };
    let mut last = Ok(());
    for form in forms {
        set_gpu_form(*form);
        match self_test(device).await?.into_iter().find(|(_, error)| error.is_nan() || *error > TOLERANCE) {
            None => return Ok(()),
            Some((name, error)) => last = Err(Error::device(DeviceFault::SelfTest, format!("{name} differs by {error} ({form:?})"))),
        }
        log::warn!("{last:?}");
    }
    last
}

/// The same plain computation on the device and on the CPU.
async fn plain(device: &Device) -> Result<()> {
    let values = |device: &Device| {
        let wave = |n: usize, f: f32| (0..n).map(|i| (i as f32 * f).sin()).collect::<Vec<f32>>();
        let x = Tensor::<2>::from_data(TensorData::new(wave(3 * 64, 0.37), [3, 64]), device);
        let w = Tensor::<2>::from_data(TensorData::new(wave(64 * 96, 0.11), [64, 96]), device);
        softmax(x.matmul(w), 1)
    };
    let gpu = crate::analyze::read_back(values(device)).await?;
    let cpu = crate::analyze::read_back(values(&Device::flex())).await?;
    let worst = gpu.iter().zip(&cpu).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if gpu.len() == cpu.len() && worst <= TOLERANCE && gpu.iter().all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err(Error::device(DeviceFault::SelfTest, format!("largest difference {worst} from the CPU")))
    }
}
