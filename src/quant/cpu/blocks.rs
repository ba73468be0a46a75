//! The product with a packed weight, read in place: `y = Σ_blocks sx · (scale · Σ q·w) + min · Σ x`.
//!
//! Activations are rounded to 16 bits a block of 32 (`sx = max|x| / 32767`), so sums of products with 4- or 8-bit weights
//! stay below 2^28 and are exact; the error against an f32 product is that rounding, at most 1.5e-5 of the block's largest
//! activation in each term ([`super::relaxed`] takes them as two digits of 15 or 14 bits instead). Words of neighbouring outputs lie side by side (see [`crate::quant::format`]): a register
//! holds the same inputs of its outputs, its 16-bit halves are the two inputs that one `Simd::dot` takes, and no sum is ever
//! taken across a register.
//!
//! One order of sums for any number of rows: a row's result does not depend on the rows beside it. Tokens that are
//! computed together are therefore bit for bit those that are computed one by one (`tests/quant_cpu.rs`).

use super::math::{LEAST, largest, pair, round16};
use super::share::{self, Shared};
use super::simd::{Base, Simd, plain::Plain};
use super::{Isa, Packed, relaxed};
use crate::quant::BLOCK;

/// Pairs of one block.
const PAIRS: usize = BLOCK / 2;
/// Rows that pass over a panel of outputs together.
const ROWS: usize = 64;
/// Widths of panels are multiples of this: whole registers and cache lines.
const STEP: usize = 64;

/// Rows of activations, rounded, in the order in which words hold their weights.
pub struct Inputs {
    isa: Isa,
    m: usize,
    k: usize,
    bits: usize,
    /// `[m, k / 2]`, two 16-bit values each; or four digits ([`super::relaxed`]).
    pairs: Vec<i32>,
    /// `[m, k / 32]`.
    scales: Vec<f32>,
    /// Sums of the unrounded values, `[m, k / 32]`.
    sums: Vec<f32>,
}

impl Inputs {
    /// `x [m, k]` against weights of `bits` 4 or 8; `k` a multiple of [`BLOCK`]. A block that holds no number gives none.
    pub fn new(x: &[f32], m: usize, k: usize, bits: usize) -> Self {
        Self::with(Isa::detect(), x, m, k, bits)
    }

    /// As the kernels of one instruction set want them.
    pub(super) fn with(isa: Isa, x: &[f32], m: usize, k: usize, bits: usize) -> Self {
        assert!(k.is_multiple_of(BLOCK) && x.len() == m * k && (bits == 4 || bits == 8));
        let count = m * k / BLOCK;
        let mut all = Self { isa, m, k, bits, pairs: vec![0; count * PAIRS], scales: vec![0.0; count], sums: vec![0.0; count] };
        let limit = match (isa.takes_digits(), bits) {
            (false, _) => 32767.0,
            (true, 4) => relaxed::TOP_4,
            (true, _) => relaxed::TOP_8,
        };
        let round = |block: &[f32; BLOCK], pairs: &mut [i32; PAIRS]| {
            let top = largest(block);
            let inverse = if top > LEAST && top.is_finite() { limit / top } else { 0.0 };
            if isa.takes_digits() {
                *pairs = relaxed::digits(block, inverse, bits);
            } else {
                let q: [u32; BLOCK] = std::array::from_fn(|i| round16(block[i], inverse));
                *pairs = if bits == 4 {
                    // A word's 16-bit halves begin with its inputs 0 and 4.
                    std::array::from_fn(|i| pair(q[i / 4 * 8 + i % 4], q[i / 4 * 8 + i % 4 + 4]))
                } else {
                    std::array::from_fn(|i| pair(q[i / 2 * 4 + i % 2], q[i / 2 * 4 + i % 2 + 2]))
                };
            }
            (if top.is_finite() { top / limit } else { f32::NAN }, sum(block))
        };
        let work = share::EASY * x.len();
        let each = count.div_ceil(4 * share::threads_for(work)).max(1);
        let (scales, sums) = (Shared::new(&mut all.scales), Shared::new(&mut all.sums));
        share::pieces(&mut all.pairs, each * PAIRS, &mut share::rooms(work, || ()), |(), i, pairs| {
            let (from, pairs) = (i * each, pairs.as_chunks_mut::<PAIRS>().0);
            // SAFETY: the blocks of a piece are its own.
            let (scales, sums) = unsafe { (scales.some(from, pairs.len()), sums.some(from, pairs.len())) };
            let blocks = &x.as_chunks::<BLOCK>().0[from..][..pairs.len()];
            for (((block, pairs), scale), sum) in blocks.iter().zip(pairs).zip(scales).zip(sums) {
                (*scale, *sum) = round(block, pairs);
            }
        });
        all
    }

    /// Rows and columns `at = [row, count, from, len]` of a product, for the kernel on digits.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn as_panel(&self, w: &Packed<'_>, at: [usize; 4], out: &mut [f32], room: &mut [i32]) -> relaxed::kernel::Panel {
        relaxed::as_panel(w, (&self.pairs, &self.scales, &self.sums), at, out, room)
    }
}

/// In four sums, which the compiler keeps in one register.
fn sum(block: &[f32; BLOCK]) -> f32 {
    let mut acc = [0.0f32; 4];
    for four in block.as_chunks::<4>().0 {
        for i in 0..4 {
            acc[i] += four[i];
        }
    }
    (acc[0] + acc[2]) + (acc[1] + acc[3])
}

/// `y [m, n] = x · W` for several weights of the same inputs; `y` is overwritten.
pub fn products(x: &Inputs, work: &mut [(Packed<'_>, &mut [f32])]) {
    for (w, y) in work.iter() {
        w.check();
        assert_eq!((w.bits, w.k, w.n * x.m), (x.bits, x.k, y.len()));
    }
    if x.m == 0 {
        return;
    }
    let outputs: usize = work.iter().map(|(w, _)| w.n).sum();
    let work_in_all = x.m * x.k * outputs;
    // At least one panel a thread.
    let width = panel_width(x.m).min(outputs.div_ceil(share::threads_for(work_in_all)).next_multiple_of(STEP));
    let work: Vec<(Packed<'_>, Shared<'_, f32>)> = work.iter_mut().map(|(w, y)| (*w, Shared::new(y))).collect();
    let panels: Vec<(usize, usize)> =
        work.iter().enumerate().flat_map(|(id, (w, _))| (0..w.n).step_by(width).map(move |from| (id, from))).collect();
    let room = if x.m == 1 { 0 } else { x.m.min(ROWS) * width };
    let prepared = if x.isa.takes_digits() && x.m > 1 { relaxed::ROOM * width } else { 0 };
    let mut rooms = share::rooms(work_in_all, || (vec![0.0f32; room], vec![0i32; prepared]));
    share::each(panels.len(), &mut rooms, |(part, prepared): &mut (Vec<f32>, Vec<i32>), at| {
        let (id, from) = panels[at];
        let (w, y) = &work[id];
        let len = width.min(w.n - from);
        if x.m == 1 {
            // SAFETY: panels do not overlap.
            let y = unsafe { y.some(from, len) };
            y.fill(0.0);
            return panel(x.isa, x, w, [0, 1, from, len], y, prepared);
        }
        for row in (0..x.m).step_by(ROWS) {
            let count = ROWS.min(x.m - row);
            let part = &mut part[..count * len];
            part.fill(0.0);
            panel(x.isa, x, w, [row, count, from, len], part, prepared);
            for (i, values) in part.chunks_exact(len).enumerate() {
                // SAFETY: as above.
                unsafe { y.some((row + i) * w.n + from, len) }.copy_from_slice(values);
            }
        }
    });
}

/// Outputs of a panel: the sums of all its rows stay in the nearer caches, the streams of words stay long. Whole registers, so that
/// an output is summed by the same instructions however panels are cut.
fn panel_width(m: usize) -> usize {
    (16384 / m.min(ROWS)).clamp(256, 2048) / STEP * STEP
}

/// Adds outputs `from .. from + len` of rows `row .. row + count` to `out [count, len]`; `at = [row, count, from, len]`. `room`: for the
/// kernel on digits.
#[cfg_attr(not(target_arch = "wasm32"), expect(unused_variables, reason = "only wasm has the kernel on digits"))]
fn panel(isa: Isa, x: &Inputs, w: &Packed<'_>, at: [usize; 4], out: &mut [f32], room: &mut [i32]) {
    let [row, count, from, len] = at;
    assert!(row + count <= x.m && from + len <= w.n && out.len() == count * len);
    #[cfg(target_arch = "wasm32")]
    if isa == Isa::Relaxed {
        return relaxed::call(w.bits, x.as_panel(w, at, out, room));
    }
    // SAFETY: `isa` says what was detected; rows and columns were checked here, `w` and `x` by `products`.
    unsafe {
        match (isa, w.bits) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, 4) => blocks_512::<4>(x, w, at, out),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, _) => blocks_512::<8>(x, w, at, out),
            (_, 4) => blocks::<Base, 4, 4, 2>(x, w, at, out),
            _ => blocks::<Base, 8, 4, 2>(x, w, at, out),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn blocks_512<const B: usize>(x: &Inputs, w: &Packed<'_>, at: [usize; 4], out: &mut [f32]) {
    // 32 registers: tiles of 8 rows.
    unsafe { blocks::<super::simd::x86::Avx512, B, 8, 2>(x, w, at, out) }
}

/// Block by block; tiles of `M` rows × `N` registers, then of fewer rows, then of single outputs.
#[inline(always)]
unsafe fn blocks<S: Simd, const B: usize, const M: usize, const N: usize>(
    x: &Inputs,
    w: &Packed<'_>,
    [first, count, from, len]: [usize; 4],
    out: &mut [f32],
) {
    for block in 0..w.k / BLOCK {
        let b = Block {
            words: unsafe { w.words.as_ptr().add(block * B * w.n + from) },
            scales: unsafe { w.scales.as_ptr().add(block * w.n + from) },
            mins: unsafe { if B == 4 { w.mins.as_ptr().add(block * w.n + from) } else { std::ptr::null() } },
            n: w.n,
            len,
        };
        let mut row = 0;
        while row + M <= count {
            unsafe { strip::<S, B, M, N>(x, first + row, block, &b, out.as_mut_ptr().add(row * len)) };
            row += M;
        }
        if M > 2 {
            while row + 2 <= count {
                unsafe { strip::<S, B, 2, 2>(x, first + row, block, &b, out.as_mut_ptr().add(row * len)) };
                row += 2;
            }
        }
        while row < count {
            unsafe { strip::<S, B, 1, 4>(x, first + row, block, &b, out.as_mut_ptr().add(row * len)) };
            row += 1;
        }
    }
}

/// 32 inputs of a panel.
struct Block {
    /// `B` rows of words, `n` apart.
    words: *const i32,
    scales: *const f32,
    mins: *const f32,
    n: usize,
    len: usize,
}

#[inline(always)]
unsafe fn strip<S: Simd, const B: usize, const M: usize, const N: usize>(x: &Inputs, row: usize, block: usize, b: &Block, out: *mut f32) {
    let blocks = x.k / BLOCK;
    let at = |i: usize| (row + i) * blocks + block;
    let pairs: [*const i32; M] = std::array::from_fn(|i| x.pairs[at(i) * PAIRS..].as_ptr());
    let scales: [f32; M] = std::array::from_fn(|i| x.scales[at(i)]);
    let sums: [f32; M] = std::array::from_fn(|i| x.sums[at(i)]);
    let mut col = 0;
    while col + N * S::LANES <= b.len {
        unsafe { tile::<S, B, M, N>(pairs, scales, sums, b, col, out) };
        col += N * S::LANES;
    }
    while col + S::LANES <= b.len {
        unsafe { tile::<S, B, M, 1>(pairs, scales, sums, b, col, out) };
        col += S::LANES;
    }
    while col < b.len {
        unsafe { tile::<Plain<1>, B, M, 1>(pairs, scales, sums, b, col, out) };
        col += 1;
    }
}

/// `M` rows × `N` registers of outputs from `col` on.
#[inline(always)]
unsafe fn tile<S: Simd, const B: usize, const M: usize, const N: usize>(
    pairs: [*const i32; M],
    scales: [f32; M],
    sums: [f32; M],
    b: &Block,
    col: usize,
    out: *mut f32,
) {
    unsafe {
        let mut acc = [[S::splat_i(0); N]; M];
        for r in 0..B {
            let words: [S::I; N] = std::array::from_fn(|v| S::load_i(b.words.add(r * b.n + col + v * S::LANES)));
            // Pairs of a word: 4 at 4 bits, 2 at 8.
            for j in 0..16 / B {
                for v in 0..N {
                    let q = value::<S, B>(words[v], j);
                    for i in 0..M {
                        acc[i][v] = S::dot(acc[i][v], q, S::splat_i(*pairs[i].add(r * (16 / B) + j)));
                    }
                }
            }
        }
        for v in 0..N {
            let scale = S::load(b.scales.add(col + v * S::LANES));
            for i in 0..M {
                let to = out.add(i * b.len + col + v * S::LANES);
                let mut y = S::mul_add(S::mul(S::to_f(acc[i][v]), S::splat(scales[i])), scale, S::load(to));
                if B == 4 {
                    y = S::mul_add(S::load(b.mins.add(col + v * S::LANES)), S::splat(sums[i]), y);
                }
                S::store(to, y);
            }
        }
    }
}

/// Two weights of each word as 16-bit halves.
#[inline(always)]
unsafe fn value<S: Simd, const B: usize>(word: S::I, j: usize) -> S::I {
    unsafe {
        match (B, j) {
            (4, 0) => S::nibble::<0>(word),
            (4, 1) => S::nibble::<1>(word),
            (4, 2) => S::nibble::<2>(word),
            (4, _) => S::nibble::<3>(word),
            (_, 0) => S::byte::<0>(word),
            _ => S::byte::<1>(word),
        }
    }
}
