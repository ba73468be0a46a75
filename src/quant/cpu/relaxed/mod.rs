//! The products of [`super::blocks`] and [`super::attend`] by relaxed SIMD, for engines that have it (Chromium since 114, Firefox since 145).
//!
//! The kernels are a module of their own, a few kilobytes (`MODULE`); the browser's door instantiates it in the engine's memory and
//! puts its functions into the engine's table, where they are called like any function pointer. Where that fails, or where a
//! small product comes out differently, nothing is installed and SIMD128 stays.

pub mod floats;
pub mod kernel;

#[cfg(any(target_arch = "wasm32", test))]
use super::Packed;
use super::math::rounded;
use crate::quant::BLOCK;
use kernel::DIGITS;
#[cfg(any(target_arch = "wasm32", test))]
use kernel::Panel;

/// Largest rounded activation against 4-bit weights, `127 · 128`, and against 8-bit ones.
pub(super) const TOP_4: f32 = 16256.0;
pub(super) const TOP_8: f32 = 8191.0;

/// The module, WebAssembly with relaxed SIMD.
#[cfg(target_arch = "wasm32")]
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relaxed.wasm"));

/// The same for a memory that threads share, of at most 1 GiB.
#[cfg(target_arch = "wasm32")]
pub const SHARED_MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relaxed_shared.wasm"));

/// One block of activations as digits, in the order in which words hold their weights.
pub(super) fn digits(block: &[f32; BLOCK], inverse: f32, bits: usize) -> [i32; DIGITS] {
    // All values first, then all digits, then the order of bytes: each of these loops is vectorised.
    let values: [i32; BLOCK] = std::array::from_fn(|i| rounded(block[i], inverse));
    if bits == 4 {
        // Bytes of a word hold its inputs 2j in their low halves, 2j + 1 in their high ones. Digits are signed: the nearest multiple of
        // 128 and what is left.
        let high: [u8; BLOCK] = std::array::from_fn(|i| ((values[i] + 64) >> 7) as u8);
        let low: [u8; BLOCK] = std::array::from_fn(|i| (values[i] - (((values[i] + 64) >> 7) << 7)) as u8);
        std::array::from_fn(|d| {
            let from = d / 4 * 8 + d / 2 % 2;
            let of = if d % 2 == 0 { &high } else { &low };
            i32::from_le_bytes([of[from], of[from + 2], of[from + 4], of[from + 6]])
        })
    } else {
        let high: [u8; BLOCK] = std::array::from_fn(|i| ((values[i] + 8192) >> 7) as u8);
        let low: [u8; BLOCK] = std::array::from_fn(|i| (values[i] + 8192) as u8 & 127);
        std::array::from_fn(|d| {
            let of = if d % 2 == 0 { &high } else { &low };
            i32::from_le_bytes([0, 1, 2, 3].map(|j| of[d / 2 * 4 + j]))
        })
    }
}

/// Words of room that the kernel takes for each column.
pub(super) const ROOM: usize = 8;

/// Rows `[row, count]` and columns `[from, len]` of a product, as the kernel takes them; `room` of [`ROOM`] `· len` words, or none for a few
/// rows.
#[cfg(any(target_arch = "wasm32", test))]
pub(super) fn as_panel(
    w: &Packed<'_>,
    (digits, steps, sums): (&[i32], &[f32], &[f32]),
    [row, count, from, len]: [usize; 4],
    out: &mut [f32],
    room: &mut [i32],
) -> Panel {
    let blocks = w.k / BLOCK;
    assert!(from + len <= w.n && out.len() == count * len && digits.len() >= (row + count) * blocks * DIGITS);
    assert!(steps.len() >= (row + count) * blocks && sums.len() == steps.len());
    assert!(count < kernel::MANY || room.len() >= ROOM * len);
    Panel {
        words: w.words.as_ptr(),
        scales: w.scales.as_ptr(),
        mins: w.mins.as_ptr(),
        k: w.k,
        n: w.n,
        from,
        len,
        digits: digits[row * blocks * DIGITS..].as_ptr(),
        steps: steps[row * blocks..].as_ptr(),
        sums: sums[row * blocks..].as_ptr(),
        count,
        out: out.as_mut_ptr(),
        room: room.as_mut_ptr(),
    }
}

#[cfg(target_arch = "wasm32")]
mod installed {
    use super::floats::Matrices;
    use super::{Packed, Panel};
    use crate::quant::cpu::{Inputs, Isa, attend, products};
    use std::sync::OnceLock;

    /// The kernels' names, in the order in which they stand in the table.
    pub const NAMES: [&str; 3] = ["q4", "q8", "product"];

    /// A kernel's address, with [`Panel`] field by field.
    type Door = unsafe extern "C" fn(
        *const i32,
        *const f32,
        *const f32,
        usize,
        usize,
        usize,
        usize,
        *const i32,
        *const f32,
        *const f32,
        usize,
        *mut f32,
        *mut i32,
    );

    /// That of the plain product, with [`Matrices`] field by field.
    type PlainDoor = unsafe extern "C" fn(usize, usize, usize, *const f32, usize, *const f32, *mut f32);

    static DOORS: OnceLock<([Door; 2], PlainDoor)> = OnceLock::new();

    /// Whether the kernels may be used.
    pub fn is_installed() -> bool {
        DOORS.get().is_some()
    }

    pub(in crate::quant::cpu) fn call(bits: usize, p: Panel) {
        if let Some((doors, _)) = DOORS.get() {
            // SAFETY: the door was put into the table by `install`, the panel was checked when it was made.
            unsafe { through(doors[usize::from(bits == 8)], p) }
        }
    }

    /// # Safety
    /// As [`super::floats::product`].
    pub(in crate::quant::cpu) unsafe fn product(p: Matrices) {
        if let Some((_, door)) = DOORS.get() {
            // SAFETY: the door was put into the table by `install`; the caller vouches for the rest.
            unsafe { plainly(*door, p) }
        }
    }

    unsafe fn plainly(door: PlainDoor, p: Matrices) {
        unsafe { door(p.m, p.k, p.n, p.a, p.stride, p.b, p.c) }
    }

    unsafe fn through(door: Door, p: Panel) {
        unsafe { door(p.words, p.scales, p.mins, p.k, p.n, p.from, p.len, p.digits, p.steps, p.sums, p.count, p.out, p.room) }
    }

    /// Takes the kernels at `first` and behind it in the module's function table into use, if they calculate what SIMD128 does. A kernel
    /// that needed a stack would trap here, its module having none.
    ///
    /// # Safety
    /// At `first` there must be the functions of [`super::MODULE`] of these [`NAMES`], instantiated in this module's memory.
    pub unsafe fn install(first: usize) -> bool {
        // SAFETY: on wasm a function pointer is its place in the table; the caller vouches for the type.
        let doors = [first, first + 1].map(|at| unsafe { std::mem::transmute::<usize, Door>(at) });
        // SAFETY: as above.
        let plain = unsafe { std::mem::transmute::<usize, PlainDoor>(first + 2) };
        let right = [4, 8].into_iter().all(|bits| {
            // So many rows that weights are prepared, columns that fill no register.
            let (m, k, n) = (7, 64, 23);
            let of = |i: usize| ((i * 2_654_435_761) >> 7) as u32 as i32;
            let words: Vec<i32> = (0..k * bits / 32 * n).map(of).collect();
            let few = |count: usize, by: usize| (0..count).map(|i| (of(i + by) % 1000) as f32 / 1000.0).collect::<Vec<f32>>();
            let (x, scales, mins) = (few(m * k, 7), few(k / 32 * n, 11), few(k / 32 * n, 13));
            let w = Packed { bits, k, n, words: &words, scales: &scales, mins: &mins };
            let mut want = vec![0.0; m * n];
            products(&Inputs::with(Isa::Base, &x, m, k, bits), &mut [(w, &mut want)]);
            let mut got = vec![0.0; m * n];
            let digits = Inputs::with(Isa::Relaxed, &x, m, k, bits);
            let mut room = vec![0; super::ROOM * n];
            // SAFETY: as above.
            unsafe { through(doors[usize::from(bits == 8)], digits.as_panel(&w, [0, m, 0, n], &mut got, &mut room)) };
            let top = want.iter().fold(0.0f32, |t, v| t.max(v.abs()));
            want.iter().zip(&got).all(|(a, b)| (a - b).abs() < 1e-3 * top)
        });
        let [m, k, n] = [8, 5, 24];
        let few = |count: usize| (0..count).map(|i| ((i * 2_654_435_761) >> 7) as u32 as f32 / 4e9).collect::<Vec<f32>>();
        let (a, b, mut want, mut got) = (few(m * k), few(k * n), vec![0.0; m * n], vec![0.0; m * n]);
        attend::product(Isa::Base, [m, k, n], (&a, k), &b, &mut want);
        // SAFETY: as above.
        unsafe { plainly(plain, Matrices { m, k, n, a: a.as_ptr(), stride: k, b: b.as_ptr(), c: got.as_mut_ptr() }) };
        let right = right && want.iter().zip(&got).all(|(a, b)| (a - b).abs() < 1e-5);
        right && DOORS.set((doors, plain)).is_ok()
    }
}

#[cfg(target_arch = "wasm32")]
pub use installed::{NAMES, install, is_installed};
#[cfg(target_arch = "wasm32")]
pub(super) use installed::{call, product};

#[cfg(test)]
mod tests {
    use super::kernel::{Plain, panel};
    use super::*;
    use crate::quant::cpu::math::largest;
    use crate::quant::cpu::matmul;
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    /// The kernel on plain arrays.
    fn by_digits(x: &[f32], m: usize, w: Packed<'_>) -> Vec<f32> {
        let (mut all, mut steps, mut sums) = (vec![], vec![], vec![]);
        let top = if w.bits == 4 { TOP_4 } else { TOP_8 };
        for block in x.as_chunks::<BLOCK>().0 {
            let largest = largest(block);
            all.extend(digits(block, top / largest, w.bits));
            steps.push(largest / top);
            sums.push(block.iter().sum::<f32>());
        }
        let mut y = vec![0.0; m * w.n];
        let mut room = vec![0; ROOM * w.n];
        let p = as_panel(&w, (&all, &steps, &sums), [0, m, 0, w.n], &mut y, &mut room);
        // SAFETY: `as_panel` checked it.
        unsafe {
            if w.bits == 4 {
                panel::<Plain, 4>(p);
            } else {
                panel::<Plain, 8>(p);
            }
        }
        y
    }

    #[test]
    fn digits_multiply_like_pairs() {
        let mut rng = SmallRng::seed_from_u64(8);
        for (bits, m, k, n, bound) in [(4, 1, 64, 9, 2e-4), (4, 5, 96, 4, 2e-4), (8, 1, 64, 7, 4e-4), (8, 4, 32, 8, 4e-4)] {
            let words: Vec<i32> = (0..k * bits / 32 * n).map(|_| rng.random()).collect();
            let mut few = |count: usize| (0..count).map(|_| rng.random_range(-1.0..1.0f32)).collect::<Vec<_>>();
            let (x, scales, mins) = (few(m * k), few(k / 32 * n), few(k / 32 * n));
            let w = Packed { bits, k, n, words: &words, scales: &scales, mins: &mins };
            let (got, want) = (by_digits(&x, m, w), matmul(&x, m, w));
            let top = want.iter().fold(0.0f32, |t, v| t.max(v.abs()));
            let worst = want.iter().zip(&got).map(|(a, b)| (a - b).abs() / top).fold(0.0, f32::max);
            // 1 in 32512 of a block's largest a term at 4 bits, 1 in 16382 at 8.
            assert!(worst < bound, "{bits} bits {m}x{k}x{n}: {worst}");
        }
    }

    #[test]
    fn plain_products_are_those_of_the_other_instruction_sets() {
        let (m, k, n, stride) = (8, 13, 32, 17);
        let mut rng = SmallRng::seed_from_u64(9);
        let mut few = |count: usize| (0..count).map(|_| rng.random_range(-1.0..1.0f32)).collect::<Vec<_>>();
        let (a, b) = (few(m * stride), few(k * n));
        let (mut want, mut got) = (vec![0.0; m * n], vec![0.0; m * n]);
        crate::quant::cpu::attend::product(crate::quant::cpu::Isa::Base, [m, k, n], (&a, stride), &b, &mut want);
        let p = floats::Matrices { m, k, n, a: a.as_ptr(), stride, b: b.as_ptr(), c: got.as_mut_ptr() };
        // SAFETY: the slices are as long as it says.
        unsafe { floats::product::<Plain>(p) };
        assert!(want.iter().zip(&got).all(|(a, b)| (a - b).abs() < 1e-5), "{want:?} {got:?}");
    }

    #[test]
    fn digits_stay_in_their_bytes() {
        for a in [TOP_4, -TOP_4, 63.0, 64.0, -64.0, -65.0, 0.0] {
            let d = digits(&[a; BLOCK], 1.0, 4);
            let [h, l] = [d[0] as i8, d[1] as i8].map(i32::from);
            assert_eq!(128 * h + l, a as i32, "{a}");
        }
        for a in [TOP_8, -TOP_8, 127.0, 128.0, -1.0, 0.0] {
            let d = digits(&[a; BLOCK], 1.0, 8);
            let [h, l] = [d[0], d[1]].map(|v| v & 0xFF);
            assert!(h < 128 && l < 128 && 128 * h + l - 8192 == a as i32, "{a}");
        }
    }
}
