//! Takes the relaxed SIMD kernels into use where the browser has the instructions (see [`crate::quant::cpu::relaxed`]).

use crate::quant::cpu::relaxed::{MODULE, install};
use js_sys::WebAssembly::{Instance, Module, Table};
use js_sys::{Function, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

/// Instantiates the kernels in this module's memory and puts them into its table; says whether they are in use. A browser without
/// relaxed SIMD refuses the module, which is no error.
pub fn take() -> bool {
    placed().is_ok_and(|[q4, q8]| {
        // SAFETY: these are the functions of `MODULE`, in this module's memory.
        unsafe { install(q4, q8) }
    })
}

fn placed() -> Result<[usize; 2], JsValue> {
    let module = Module::new(&Uint8Array::from(MODULE))?;
    let (imports, env) = (Object::new(), Object::new());
    Reflect::set(&env, &"memory".into(), &wasm_bindgen::memory())?;
    Reflect::set(&imports, &"env".into(), &env)?;
    let exports = Instance::new(&module, &imports)?.exports();
    let table: Table = wasm_bindgen::function_table().dyn_into()?;
    let first = table.grow(2)?;
    let mut places = [0; 2];
    for (i, name) in ["q4", "q8"].into_iter().enumerate() {
        let kernel: Function = Reflect::get(&exports, &name.into())?.dyn_into()?;
        table.set(first + i as u32, &kernel)?;
        places[i] = (first + i as u32) as usize;
    }
    Ok(places)
}
