//! Helpers: workers that run jobs of the kernels ([`crate::quant::cpu::share`]) on this module's memory, where the page is isolated from
//! other sites and so may share memory.
//!
//! There is one wasm file. The worker that owns the engine declares its memory shared before it compiles it, and gives the same compiled
//! module to helpers, who instantiate it on that memory with a stack of their own (`www/src/shared-memory.ts`). The code knows neither locks nor
//! storage that belongs to a thread, so a helper runs jobs and nothing else; the allocator below stops one that tries.
//!
//! The protocol, on words of one block: `CLAIM` holds the number of the task (upper half) and of the next job (lower half); whoever
//! moves it on by one has that job. `DONE` counts finished jobs. The owner closes `CLAIM` before it writes a task and opens it
//! afterwards, so that a helper that wakes late can claim nothing of a task that it has not seen.

use super::kernels;
use crate::quant::cpu::share::{Task, help_with};
use js_sys::{Int32Array, Object, Reflect, SharedArrayBuffer};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, OnceCell, UnsafeCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

/// Words of the block; the same in `www/src/helper.ts`.
const CLAIM: u32 = 0;
const COUNT: u32 = 1;
const DONE: u32 = 2;
const FAILED: u32 = 3;
const WORDS: usize = 4;
/// Lower half of `CLAIM` while a task is written.
const CLOSED: i32 = 0xFFFF;
/// Bytes of a helper's stack; jobs hold a few tiles.
const STACK: usize = 256 * 1024;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Atomics)]
    fn add(words: &Int32Array, at: u32, value: i32) -> i32;
    #[wasm_bindgen(js_namespace = Atomics)]
    fn load(words: &Int32Array, at: u32) -> i32;
    #[wasm_bindgen(js_namespace = Atomics)]
    fn store(words: &Int32Array, at: u32, value: i32) -> i32;
    #[wasm_bindgen(js_namespace = Atomics)]
    fn notify(words: &Int32Array, at: u32) -> i32;
}

/// The task that runs. Written by the owner while `CLAIM` is closed, read by whoever has claimed a job.
struct Place(UnsafeCell<Option<Task>>);
// SAFETY: as said; `CLAIM` orders the accesses.
unsafe impl Sync for Place {}
static TASK: Place = Place(UnsafeCell::new(None));

thread_local! {
    /// The block, seen as it was when the helpers started: memory that grows stays the same memory.
    static BLOCK: OnceCell<Int32Array> = const { OnceCell::new() };
    static TASKS: Cell<i32> = const { Cell::new(0) };
}

/// Whether threads can share this module's memory.
pub fn is_memory_shared() -> bool {
    Reflect::get(&wasm_bindgen::memory(), &"buffer".into()).is_ok_and(|buffer| buffer.is_instance_of::<SharedArrayBuffer>())
}

/// Makes room for `count` helpers and shares work with them from now on: `{block, stacks, kernels, first}` for `www/src/helper.ts`.
/// Helpers that have not started yet only leave more to do here. Undefined where memory is not shared, and the second time.
#[wasm_bindgen]
pub fn helpers(count: u32) -> JsValue {
    if count == 0 || !is_memory_shared() || BLOCK.with(|b| b.get().is_some()) {
        return JsValue::UNDEFINED;
    }
    start(count as usize).unwrap_or(JsValue::UNDEFINED)
}

fn start(count: usize) -> Result<JsValue, JsValue> {
    let block = Box::leak(Box::new([0i32; WORDS])).as_ptr() as usize;
    // Whole pages of 16 bytes, as the stack's alignment wants.
    let stacks = Box::leak(vec![0u128; count * STACK / 16].into_boxed_slice()).as_ptr() as usize;
    let buffer = Reflect::get(&wasm_bindgen::memory(), &"buffer".into())?;
    let words = Int32Array::new_with_byte_offset_and_length(&buffer, block as u32, WORDS as u32);
    let tops: Vec<JsValue> = (1..=count).map(|i| JsValue::from((stacks + i * STACK) as u32)).collect();
    let out = Object::new();
    let set = |key: &str, value: &JsValue| Reflect::set(&out, &key.into(), value);
    set("block", &JsValue::from(block as u32))?;
    set("stacks", &tops.into_iter().collect::<js_sys::Array>())?;
    if let Some(placed) = kernels::placed() {
        set("kernels", &placed.module)?;
        set("first", &JsValue::from(placed.first))?;
    }
    store(&words, CLAIM, CLOSED);
    BLOCK.with(|b| _ = b.set(words));
    FORBIDDEN[0].store(stacks, Ordering::Relaxed);
    FORBIDDEN[1].store(stacks + count * STACK, Ordering::Relaxed);
    help_with(count + 1, run);
    Ok(out.into())
}

/// Job `i` of the task that runs, by helper `slot`. Called by `www/src/helper.ts` on an instance of its own.
#[unsafe(no_mangle)]
extern "C" fn facext_job(slot: u32, i: u32) {
    // SAFETY: the caller has claimed the job, so the task is there and waits for it.
    unsafe {
        if let Some(task) = *TASK.0.get() {
            task.run(slot as usize, i as usize);
        }
    }
}

/// See [`crate::quant::cpu::share::Runner`]. The owner is thread 0.
fn run(count: usize, task: Task) {
    let limit = (CLOSED - 1) as usize;
    if count > limit {
        // SAFETY: nobody else runs it.
        return (0..count).for_each(|i| unsafe { task.run(0, i) });
    }
    BLOCK.with(|b| {
        let Some(words) = b.get() else { return };
        let number = TASKS.with(|t| t.replace(t.get().wrapping_add(1))) << 16;
        store(words, CLAIM, number | CLOSED);
        // SAFETY: all jobs of the task before are done, and none can be claimed.
        unsafe { *TASK.0.get() = Some(task) };
        store(words, DONE, 0);
        store(words, COUNT, count as i32);
        store(words, CLAIM, number);
        notify(words, CLAIM);
        let mut mine = 0;
        loop {
            let i = add(words, CLAIM, 1) & 0xFFFF;
            if i as usize >= count {
                break;
            }
            // SAFETY: claimed.
            unsafe { task.run(0, i as usize) };
            mine += 1;
        }
        // The task lives on this stack: nothing may end before the last job of others.
        while mine + load(words, DONE) < count as i32 {
            assert!(load(words, FAILED) == 0, "a helper has failed");
            std::hint::spin_loop();
        }
    });
}

/// From and to: the helpers' stacks.
static FORBIDDEN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// The standard allocator, which has no lock here: a helper that allocates is stopped before it does harm.
struct Owners;

impl Owners {
    #[inline(always)]
    fn check() {
        let here = 0u8;
        let here = std::ptr::from_ref(std::hint::black_box(&here)) as usize;
        if here < FORBIDDEN[1].load(Ordering::Relaxed) && here >= FORBIDDEN[0].load(Ordering::Relaxed) {
            core::arch::wasm32::unreachable();
        }
    }
}

// SAFETY: all is left to `System`.
unsafe impl GlobalAlloc for Owners {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::check();
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::check();
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        Self::check();
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::check();
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Owners = Owners;
