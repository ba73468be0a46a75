//! Which device computes: WebGPU when its adapter is real and its numbers agree with the CPU's, the CPU otherwise.
//!
//! A software adapter is correct but many times slower than one wasm thread, so it is used only when asked for by name.

use crate::error::{DeviceFault, Error, Result};
use crate::quant::cpu::share;
use burn::tensor::Device;
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
    #[cfg(feature = "gpu")]
    match super::gpu::start(adapter.fallback).await {
        Ok(device) => Ok(Chosen { device, kind: "gpu", name: adapter.name, reason: if demanded { "chosen" } else { "self_test_passed" } }),
        Err(Error::Device { fault: DeviceFault::SelfTest, detail }) => give_up(DeviceFault::SelfTest, "self_test", &detail),
        Err(e) => give_up(DeviceFault::Unavailable, "no_device", &e.to_string()),
    }
    // The page fetches the engine without kernels for a GPU where there is no adapter; one that came since is not used.
    #[cfg(not(feature = "gpu"))]
    give_up(DeviceFault::Unavailable, "no_device", &format!("{}: this engine computes on the processor", adapter.name))
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
