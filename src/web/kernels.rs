//! Takes the relaxed SIMD kernels into use where the browser has the instructions (see [`crate::quant::cpu::relaxed`]).

use super::threads;
use crate::quant::cpu::relaxed::{MODULE, NAMES, SHARED_MODULE, install};
use js_sys::WebAssembly::{Instance, Module, Table};
use js_sys::{Function, Object, Reflect, Uint8Array};
use std::cell::OnceCell;
use wasm_bindgen::{JsCast, JsValue};

/// The kernels as helpers need them: the module, and the place of its first function in the table.
#[derive(Clone)]
pub struct Placed {
    pub module: JsValue,
    pub first: u32,
}

thread_local! {
    static PLACED: OnceCell<Placed> = const { OnceCell::new() };
}

/// Instantiates the kernels in this module's memory and puts them into its table; says whether they are in use. A browser without
/// relaxed SIMD refuses the module, which is no error.
pub fn take() -> bool {
    let Ok(placed) = place() else { return false };
    // SAFETY: these are the functions of `MODULE`, in this module's memory.
    let taken = unsafe { install(placed.first as usize) };
    if taken {
        PLACED.with(|p| _ = p.set(placed));
    }
    taken
}

/// The kernels, if they are in use.
pub fn placed() -> Option<Placed> {
    PLACED.with(|p| p.get().cloned())
}

fn place() -> Result<Placed, JsValue> {
    let module = Module::new(&Uint8Array::from(if threads::is_memory_shared() { SHARED_MODULE } else { MODULE }))?;
    let (imports, env) = (Object::new(), Object::new());
    Reflect::set(&env, &"memory".into(), &wasm_bindgen::memory())?;
    Reflect::set(&imports, &"env".into(), &env)?;
    let exports = Instance::new(&module, &imports)?.exports();
    let table: Table = wasm_bindgen::function_table().dyn_into()?;
    let first = table.grow(NAMES.len() as u32)?;
    // `www/src/helper.ts` does the same in the table of a helper.
    for (i, name) in NAMES.into_iter().enumerate() {
        let kernel: Function = Reflect::get(&exports, &name.into())?.dyn_into()?;
        table.set(first + i as u32, &kernel)?;
    }
    Ok(Placed { module: module.into(), first })
}
