//! Root of the module of relaxed SIMD kernels, which `build.rs` compiles by itself (see `kernel.rs`). It is no part of the crate's
//! modules.

#![no_std]

mod floats;
mod kernel;

use core::arch::wasm32::*;
use floats::Matrices;
use kernel::{Bytes, Panel, panel};

/// Four lanes of four bytes.
struct Relaxed;

impl Bytes for Relaxed {
    const LANES: usize = 4;
    type I = v128;
    type F = v128;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> v128 {
        unsafe { v128_load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const i32) -> v128 {
        unsafe { v128_load32_splat(from.cast()) }
    }
    #[inline(always)]
    fn constant(v: i32) -> v128 {
        i32x4_splat(v)
    }
    #[inline(always)]
    fn low(v: v128) -> v128 {
        v128_and(v, i8x16_splat(15))
    }
    #[inline(always)]
    fn high(v: v128) -> v128 {
        v128_and(u16x8_shr(v, 4), i8x16_splat(15))
    }
    #[inline(always)]
    fn dot(sum: v128, signed: v128, seven: v128) -> v128 {
        i32x4_relaxed_dot_i8x16_i7x16_add(signed, seven, sum)
    }
    #[inline(always)]
    fn join(h: v128, l: v128, offset: v128) -> v128 {
        f32x4_convert_i32x4(i32x4_sub(i32x4_add(i32x4_shl(h, 7), l), i32x4_shl(offset, 13)))
    }
    #[inline(always)]
    fn nothing() -> v128 {
        f32x4_splat(0.0)
    }
    #[inline(always)]
    unsafe fn load_f(from: *const f32) -> v128 {
        unsafe { v128_load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat_f(from: *const f32) -> v128 {
        unsafe { v128_load32_splat(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: v128) {
        unsafe { v128_store(to.cast(), v) }
    }
    #[inline(always)]
    unsafe fn store_i(to: *mut i32, v: v128) {
        unsafe { v128_store(to.cast(), v) }
    }
    #[inline(always)]
    fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        f32x4_relaxed_madd(a, b, c)
    }
    #[inline(always)]
    fn mul(a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
}

/// [`Panel`] field by field: what an `extern "C"` call between modules can carry in registers.
macro_rules! door {
    ($name:ident, $bits:literal) => {
        /// # Safety
        /// As [`panel`].
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            words: *const i32,
            scales: *const f32,
            mins: *const f32,
            k: usize,
            n: usize,
            from: usize,
            len: usize,
            digits: *const i32,
            steps: *const f32,
            sums: *const f32,
            count: usize,
            out: *mut f32,
            room: *mut i32,
        ) {
            unsafe { panel::<Relaxed, $bits>(Panel { words, scales, mins, k, n, from, len, digits, steps, sums, count, out, room }) }
        }
    };
}

door!(q4, 4);
door!(q8, 8);

/// # Safety
/// As [`floats::product`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product(m: usize, k: usize, n: usize, a: *const f32, stride: usize, b: *const f32, c: *mut f32) {
    unsafe { floats::product::<Relaxed>(Matrices { m, k, n, a, stride, b, c }) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unreachable()
}
