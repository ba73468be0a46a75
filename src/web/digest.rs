//! SHA-256 by the browser: with the processor's own instructions and on another thread, several times as fast as code in wasm.

use super::threads::is_memory_shared;
use crate::weights::manifest::hex;
use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Hash of these bytes, hex; `None` where the browser offers none (a page that is served without encryption, not on localhost).
pub async fn sha256(bytes: &[u8]) -> Option<String> {
    let get = |object: &JsValue, key: &str| Reflect::get(object, &JsValue::from_str(key)).ok().filter(JsValue::is_truthy);
    let subtle = get(&get(&js_sys::global(), "crypto")?, "subtle")?;
    let digest: Function = get(&subtle, "digest")?.dyn_into().ok()?;
    let algorithm = JsValue::from_str("SHA-256");
    let promise = if is_memory_shared() {
        // Shared memory is refused.
        digest.call2(&subtle, &algorithm, &Uint8Array::from(bytes))
    } else {
        // SAFETY: `digest` copies the bytes before it returns, and nothing is allocated in wasm between view and call, which could
        // move the memory below the view.
        unsafe { digest.call2(&subtle, &algorithm, &Uint8Array::view(bytes)) }
    };
    let promise = promise.ok()?.dyn_into::<Promise>().ok()?;
    let hash = JsFuture::from(promise).await.ok()?;
    Some(hex(&Uint8Array::new(&hash).to_vec()))
}
