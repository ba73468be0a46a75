//! The browser's door: the wasm-bindgen surface that the worker calls. No model logic here, and no wording: errors cross
//! as `{code, detail}`.

mod device;
mod digest;
#[cfg(feature = "gpu")]
mod gpu;
pub mod kernels;
pub mod threads;

use crate::analyze::report::Report;
use crate::analyze::request::{Event, Listener, Request};
use crate::analyze::{Analyzer, CONFIG_FILE, Photo, Settings, TOKENIZER_FILE};
use crate::error::{Error, Result, WeightsFault};
use crate::fict;
use crate::weights::Loader;
use crate::weights::manifest::{FileKind, Manifest};
use device::Chosen;
use js_sys::{Function, Promise};
use serde::Serialize;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::WorkerGlobalScope;

unsafe extern "C" {
    /// Runs the module's constructors (a dependency registers itself by some thousand of them). Trap: if nothing calls this, the linker
    /// takes the module for a command and wraps every export in a call of it, so that each call from JavaScript, each allocation for
    /// a string, runs them all again.
    safe fn __wasm_call_ctors();
}

/// Logs and panics go to the console; called when the module is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    __wasm_call_ctors();
    console_error_panic_hook::set_once();
    // cubecl reports shader failures through the log only.
    let _ = console_log::init_with_level(log::Level::Warn);
    kernels::take();
}

/// The instruction set of the CPU's products: `relaxed-simd` or `simd128`. For reports of errors and tests.
#[wasm_bindgen]
pub fn kernels() -> String {
    if crate::quant::cpu::relaxed::is_installed() { "relaxed-simd" } else { "simd128" }.into()
}

/// The engine: weights, device, the open photo.
#[wasm_bindgen]
pub struct Engine {
    manifest: Manifest,
    loader: Option<Loader>,
    settings: Option<Settings>,
    tokenizer: Option<Vec<u8>>,
    analyzer: Option<Analyzer>,
    photo: Option<Photo>,
    chosen: Chosen,
    stop: Rc<Cell<bool>>,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    detail: String,
}

fn fail(e: Error) -> JsValue {
    to_js(&Failure { code: e.code(), detail: e.to_string() }).unwrap_or(JsValue::NULL)
}

fn to_js<T: Serialize>(value: &T) -> Result<JsValue, JsValue> {
    // Maps as plain objects, so that the page can use and save what it gets as JSON.
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(JsValue::from)
}

fn not_built() -> JsValue {
    fail(Error::weights(WeightsFault::MissingShard, "the model is not loaded yet"))
}

#[derive(Serialize)]
struct Opened {
    status: &'static str,
    reason: Option<&'static str>,
    file: crate::analyze::report::FileFacts,
    faces: Vec<OpenedFace>,
    facts: Vec<crate::image::Fact>,
    warnings: Vec<&'static str>,
}

#[derive(Serialize)]
struct Parts<'a> {
    #[serde(rename = "box")]
    bbox: crate::image::BBox,
    side: usize,
    leaves: &'a [&'static str],
}

#[derive(Serialize)]
struct OpenedFace {
    #[serde(rename = "box")]
    bbox: crate::image::BBox,
}

#[wasm_bindgen]
impl Engine {
    /// Reads the manifest and chooses the device: `auto`, `cpu` or `gpu`.
    pub async fn create(manifest: String, device: String) -> Result<Engine, JsValue> {
        let parsed = Manifest::parse(&manifest).map_err(fail)?;
        let chosen = device::choose(&device).await.map_err(fail)?;
        let loader = Loader::new(&manifest).map_err(fail)?.onto(&chosen.device);
        Ok(Engine {
            manifest: parsed,
            loader: Some(loader),
            settings: None,
            tokenizer: None,
            analyzer: None,
            photo: None,
            chosen,
            stop: Rc::new(Cell::new(false)),
        })
    }

    /// `{kind, name, reason}`.
    pub fn device(&self) -> Result<JsValue, JsValue> {
        to_js(&self.chosen.facts())
    }

    /// Every file to fetch: `[{name, bytes, sha256}]`.
    pub fn files(&self) -> Result<JsValue, JsValue> {
        to_js(&self.manifest.files)
    }

    /// Verifies and takes one file; nothing of a bad one is kept. Packed matrices are on the device afterwards, and nowhere else.
    pub async fn add_file(&mut self, name: String, bytes: Vec<u8>) -> Result<(), JsValue> {
        let loader = self.loader.as_mut().ok_or_else(not_built)?;
        match digest::sha256(&bytes).await {
            Some(hash) => loader.add_hashed(&name, &bytes, &hash),
            None => loader.add(&name, &bytes),
        }
        .map_err(fail)?;
        match self.manifest.files.iter().find(|f| f.name == name).map(|f| f.kind) {
            Some(FileKind::Config) if name == CONFIG_FILE => self.settings = Some(Settings::parse(&bytes).map_err(fail)?),
            Some(FileKind::Tokenizer) if name == TOKENIZER_FILE => self.tokenizer = Some(bytes),
            _ => {}
        }
        Ok(())
    }

    /// Builds the model; all files must be in.
    pub async fn build(&mut self) -> Result<(), JsValue> {
        let (Some(loader), Some(settings), Some(tokenizer)) = (self.loader.take(), self.settings.take(), self.tokenizer.take()) else {
            return Err(not_built());
        };
        let hash = self.manifest.weights_sha256.clone();
        let weights = loader.arrive().map_err(fail)?;
        let analyzer = Analyzer::load(settings, weights, &tokenizer, hash, &self.chosen.device, &self.chosen.label()).map_err(fail)?;
        self.analyzer = Some(analyzer);
        Ok(())
    }

    /// Decodes a photo and finds its faces. The photo before it stays open if this fails.
    pub async fn open(&mut self, bytes: &[u8], name: &str) -> Result<JsValue, JsValue> {
        let analyzer = self.analyzer.as_ref().ok_or_else(not_built)?;
        self.stop.set(false);
        let mut listener = Page { on_event: None, stop: self.stop.clone() };
        let photo = analyzer.open(bytes, name, &mut listener).await.map_err(fail)?;
        let faces = match &photo.faces {
            crate::face::Faces::Found(f) => f.iter().map(|f| OpenedFace { bbox: f.bbox }).collect(),
            crate::face::Faces::NoneUsable { .. } => vec![],
        };
        let opened = Opened {
            status: if photo.reason().is_none() { "ok" } else { "no_usable_face" },
            reason: photo.reason(),
            file: photo.facts(),
            faces,
            facts: photo.picture.facts.clone(),
            warnings: photo.warnings(None),
        };
        self.photo = Some(photo);
        to_js(&opened)
    }

    /// Answers a request about the open photo; `on_event` hears of progress, text and masks.
    pub async fn analyze(&mut self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let request: Request = serde_wasm_bindgen::from_value(request).map_err(|e| fail(Error::Request(e.to_string())))?;
        let (Some(analyzer), Some(photo)) = (self.analyzer.as_ref(), self.photo.as_mut()) else { return Err(not_built()) };
        self.stop.set(false);
        let mut listener = Page { on_event: Some(on_event), stop: self.stop.clone() };
        to_js(&analyzer.analyze(photo, &request, &mut listener).await.map_err(fail)?)
    }

    /// A report about the open photo with the spread of its scores, and the bands that bear it; `on_event` hears of trials.
    pub async fn spread(&mut self, report: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let mut report: Report = serde_wasm_bindgen::from_value(report).map_err(|e| fail(Error::Request(e.to_string())))?;
        let (Some(analyzer), Some(photo)) = (self.analyzer.as_ref(), self.photo.as_mut()) else { return Err(not_built()) };
        self.stop.set(false);
        let mut listener = Page { on_event: Some(on_event), stop: self.stop.clone() };
        analyzer.spread(photo, &mut report, &mut listener).await.map_err(fail)?;
        to_js(&report)
    }

    /// Where the concepts lie on a face of the open photo: `{box, side, leaves, labels}`; `labels` is a `Uint8Array` of
    /// `side * side` indices into `leaves`, row-major over the square `box`, 255 where there is none.
    pub fn parts(&self, face: usize) -> Result<JsValue, JsValue> {
        let (Some(analyzer), Some(photo)) = (self.analyzer.as_ref(), self.photo.as_ref()) else { return Err(not_built()) };
        let map = analyzer.parts(photo, face).map_err(fail)?;
        let leaves: Vec<&'static str> = fict::parts().map(|c| c.id).collect();
        let parts = to_js(&Parts { bbox: map.bbox, side: map.side, leaves: &leaves })?;
        // As bytes: the serializer would make a list of numbers of them.
        js_sys::Reflect::set(&parts, &"labels".into(), &js_sys::Uint8Array::from(map.labels.as_slice()))?;
        Ok(parts)
    }

    /// A handle that stops a running analysis; taken before it begins, because the engine itself is borrowed while it runs.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// `[{id, en, zh, parent}]` of the concept tree.
    pub fn regions(&self) -> Result<JsValue, JsValue> {
        to_js(&fict::regions())
    }
}

/// Stops a running analysis.
#[wasm_bindgen]
pub struct Stopper(Rc<Cell<bool>>);

#[wasm_bindgen]
impl Stopper {
    /// The analysis rejects with `cancelled` at its next breath.
    pub fn stop(&self) {
        self.0.set(true);
    }
}

/// Tells the page, and lets the worker's event loop run between steps.
struct Page {
    on_event: Option<Function>,
    stop: Rc<Cell<bool>>,
}

impl Listener for Page {
    fn event(&mut self, event: Event) {
        if let (Some(f), Ok(value)) = (&self.on_event, to_js(&event)) {
            // A listener that throws must not end the analysis.
            let _ = f.call1(&JsValue::NULL, &value);
        }
    }

    async fn breathe(&mut self) -> Result<()> {
        // A timer, not a resolved promise: only a task lets the worker hear messages.
        let pause = Promise::new(&mut |resolve, _| {
            if let Ok(scope) = js_sys::global().dyn_into::<WorkerGlobalScope>() {
                // Without a timer there is nothing to wait for; the promise must not stay open for ever.
                if scope.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, 0).is_err() {
                    let _ = resolve.call0(&JsValue::NULL);
                }
            } else {
                let _ = resolve.call0(&JsValue::NULL);
            }
        });
        let _ = JsFuture::from(pause).await;
        if self.stop.get() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
