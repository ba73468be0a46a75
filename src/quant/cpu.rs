//! The CPU kernel: `x · W` with `W` read in its packed form.
//!
//! Words of neighbouring outputs lie side by side (see [`super::format`]), so one vector register holds the same input of
//! 8 outputs (4 in wasm and NEON) and no horizontal sum is ever needed. One block of 32 inputs is summed in registers as
//! `Σ x·q`, then `y += scale · Σ x·q + min · Σ x`; everything is f32, the result differs from a product with the
//! dequantised weight only by the order of the sum.
//!
//! A value is not shifted down to bit 0: it is masked where it stands and converted, which gives `q · 2^shift` exactly,
//! and `x` is multiplied by `2^-shift` beforehand (also exact). That saves one instruction in four.
//!
//! Decoding (`m = 1`) is bound by reading the weights, so rows of words are walked as long parallel streams; prefill
//! unpacks each word once for `ROWS` inputs at a time and keeps a panel of the weight in the first-level cache.

use super::format::BLOCK;
#[cfg(target_feature = "avx2")]
use wide::{f32x8 as F, i32x8 as I};
// SIMD128 in wasm, NEON, SSE2.
#[cfg(not(target_feature = "avx2"))]
use wide::{f32x4 as F, i32x4 as I};

/// Outputs in one register.
const LANES: usize = size_of::<F>() / 4;
/// Registers side by side in a tile of one row: enough independent sums to hide the latency of the multiply-add.
const WIDE: usize = 4;
/// Registers side by side in a tile of several rows.
const NARROW: usize = 2;
/// Rows of `x` that share one unpacking.
const ROWS: usize = 4;
/// Outputs of one panel when decoding: the sums stay in the first-level cache, the streams stay long.
const PANEL_ONE: usize = 2048;
/// Outputs of one panel in prefill: one block of the panel (words, scales, minima) takes at most 12 KiB.
const PANEL_MANY: usize = 256;
/// Multiply-adds below which a second thread costs more than it brings (some 30 µs of work).
#[cfg(feature = "native")]
const PARALLEL_FROM: usize = 1 << 19;

/// A packed weight `[k, n]` by reference; the layout is that of [`super::Blocks`].
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    /// 4 or 8.
    pub bits: usize,
    /// Inputs, a multiple of [`BLOCK`].
    pub k: usize,
    /// Outputs.
    pub n: usize,
    /// `[k · bits / 32, n]`, bit patterns.
    pub words: &'a [i32],
    /// `[k / 32, n]`.
    pub scales: &'a [f32],
    /// `[k / 32, n]`; read for 4 bits only.
    pub mins: &'a [f32],
}

/// `x [m, k] · w [k, n] → [m, n]`, all row-major.
///
/// # Panics
/// If a length disagrees with the shape; callers check what comes from outside.
pub fn matmul(x: &[f32], m: usize, w: Packed<'_>) -> Vec<f32> {
    assert!(w.bits == 4 || w.bits == 8, "blocks hold 4 or 8 bits");
    assert!(w.k.is_multiple_of(BLOCK), "inputs come in blocks of {BLOCK}");
    assert_eq!(x.len(), m * w.k);
    assert_eq!(w.words.len(), w.k * w.bits / 32 * w.n);
    assert_eq!(w.scales.len(), w.k / BLOCK * w.n);
    if m == 0 || w.k == 0 || w.n == 0 {
        return vec![0.0; m * w.n];
    }
    if w.bits == 4 {
        assert_eq!(w.mins.len(), w.scales.len());
        run::<4>(&Inputs::new::<4>(x, m), w)
    } else {
        run::<8>(&Inputs::new::<8>(x, m), w)
    }
}

/// Rows of `x`, scaled against the place of their weight in its word, with the sums that minima need.
struct Inputs {
    m: usize,
    /// `[m, k]`.
    x: Vec<f32>,
    /// `[m, k / 32]`.
    sums: Vec<f32>,
}

impl Inputs {
    fn new<const B: usize>(x: &[f32], m: usize) -> Self {
        let scaled = x.iter().enumerate().map(|(i, v)| v * PLACE[B / 8][i % (32 / B)]).collect();
        let sums = if B == 4 { x.chunks_exact(BLOCK).map(|b| b.iter().sum()).collect() } else { Vec::new() };
        Self { m, x: scaled, sums }
    }
}

/// What `x` is multiplied by, per place in a word: the inverse of what [`unpack`] leaves on the weight.
const PLACE: [[f32; 8]; 2] = {
    let mut t = [[1.0; 8]; 2];
    let mut j = 0;
    while j < 7 {
        t[0][j] = 1.0 / (1u32 << (4 * j)) as f32;
        j += 1;
    }
    j = 0;
    while j < 8 {
        t[1][j] = 1.0 / (1u32 << 24) as f32;
        j += 1;
    }
    t
};

/// Value `j` of each word, times a power of two that only depends on `j`.
#[inline(always)]
fn unpack<const B: usize>(word: I, j: usize) -> F {
    let q = if B == 4 {
        // The top nibble would come out negative: it alone is shifted down.
        if j == 7 { (word >> 28) & I::splat(15) } else { word & I::splat(15 << (4 * j)) }
    } else {
        // Signed bytes go to the top of the word, where the sign bit is.
        (word << (24 - 8 * j as i32)) & I::splat(0xFF << 24)
    };
    convert(q)
}

#[cfg(target_feature = "avx2")]
#[inline(always)]
fn convert(q: I) -> F {
    F::from_i32x8(q)
}
#[cfg(not(target_feature = "avx2"))]
#[inline(always)]
fn convert(q: I) -> F {
    F::from_i32x4(q)
}

fn run<const B: usize>(x: &Inputs, w: Packed<'_>) -> Vec<f32> {
    let n = w.n;
    let mut out = vec![0.0f32; x.m * n];
    let largest = if x.m == 1 { PANEL_ONE } else { PANEL_MANY };
    #[cfg(feature = "native")]
    if x.m * w.k * n >= PARALLEL_FROM && rayon::current_num_threads() > 1 {
        use rayon::prelude::*;
        // At least one panel a thread, in whole cache lines of outputs.
        let width = n.div_ceil(rayon::current_num_threads()).next_multiple_of(64).min(largest);
        if x.m == 1 {
            out.par_chunks_mut(width).enumerate().for_each(|(i, out)| panel::<B>(x, w, i * width, out.len(), out));
            return out;
        }
        let panels: Vec<(usize, Vec<f32>)> = (0..n.div_ceil(width))
            .into_par_iter()
            .map(|i| {
                let (from, len) = (i * width, width.min(n - i * width));
                let mut part = vec![0.0f32; x.m * len];
                panel::<B>(x, w, from, len, &mut part);
                (from, part)
            })
            .collect();
        for (from, part) in panels {
            scatter(&part, from, &mut out, n);
        }
        return out;
    }
    if x.m == 1 {
        for (i, out) in out.chunks_mut(largest).enumerate() {
            panel::<B>(x, w, i * largest, out.len(), out);
        }
        return out;
    }
    let mut part = Vec::new();
    for from in (0..n).step_by(largest) {
        let len = largest.min(n - from);
        part.clear();
        part.resize(x.m * len, 0.0);
        panel::<B>(x, w, from, len, &mut part);
        scatter(&part, from, &mut out, n);
    }
    out
}

/// Columns `from..` of `out [m, n]` from a panel `[m, len]`.
fn scatter(part: &[f32], from: usize, out: &mut [f32], n: usize) {
    let len = part.len() * n / out.len();
    for (part, out) in part.chunks_exact(len).zip(out.chunks_exact_mut(n)) {
        out[from..from + len].copy_from_slice(part);
    }
}

/// Adds outputs `from .. from + len` of every row to `out [m, len]`.
fn panel<const B: usize>(x: &Inputs, w: Packed<'_>, from: usize, len: usize, out: &mut [f32]) {
    for block in 0..w.k / BLOCK {
        let b = Block::<B>::new(&w, block, from, len);
        let mut row = 0;
        while row + ROWS <= x.m {
            strip::<B, ROWS, NARROW>(x, &b, block, row, &mut out[row * len..][..ROWS * len]);
            row += ROWS;
        }
        while row < x.m {
            strip::<B, 1, WIDE>(x, &b, block, row, &mut out[row * len..][..len]);
            row += 1;
        }
    }
}

/// One block of 32 inputs of a panel: `B` rows of words, one of scales, one of minima, each `len` long.
struct Block<'a, const B: usize> {
    words: [&'a [i32]; B],
    scales: &'a [f32],
    mins: &'a [f32],
}

impl<'a, const B: usize> Block<'a, B> {
    fn new(w: &Packed<'a>, block: usize, from: usize, len: usize) -> Self {
        let words = std::array::from_fn(|r| &w.words[(block * B + r) * w.n + from..][..len]);
        let scales = &w.scales[block * w.n + from..][..len];
        let mins = if B == 4 { &w.mins[block * w.n + from..][..len] } else { scales };
        Self { words, scales, mins }
    }
}

/// `M` rows from `row` on against one block: tiles of `N` registers, then of one, then single outputs.
#[inline(always)]
fn strip<const B: usize, const M: usize, const N: usize>(x: &Inputs, b: &Block<'_, B>, block: usize, row: usize, out: &mut [f32]) {
    let (len, blocks) = (b.scales.len(), x.x.len() / x.m / BLOCK);
    let xs: [&[f32; BLOCK]; M] = std::array::from_fn(|i| x.x[((row + i) * blocks + block) * BLOCK..].first_chunk().expect("whole block"));
    let sums: [f32; M] = std::array::from_fn(|i| if B == 4 { x.sums[(row + i) * blocks + block] } else { 0.0 });
    let mut col = 0;
    while col + N * LANES <= len {
        tile::<B, M, N>(xs, sums, b, col, out);
        col += N * LANES;
    }
    while col + LANES <= len {
        tile::<B, M, 1>(xs, sums, b, col, out);
        col += LANES;
    }
    for col in col..len {
        for i in 0..M {
            let mut sum = 0.0;
            for (r, words) in b.words.iter().enumerate() {
                let word = I::splat(words[col]);
                for j in 0..32 / B {
                    sum += xs[i][r * (32 / B) + j] * unpack::<B>(word, j).to_array()[0];
                }
            }
            out[i * len + col] += sum * b.scales[col] + if B == 4 { sums[i] * b.mins[col] } else { 0.0 };
        }
    }
}

/// `M` rows × `N` registers of outputs from `col` on.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "register tiles are indexed alike on both axes")]
fn tile<const B: usize, const M: usize, const N: usize>(
    xs: [&[f32; BLOCK]; M],
    sums: [f32; M],
    b: &Block<'_, B>,
    col: usize,
    out: &mut [f32],
) {
    let len = b.scales.len();
    let mut acc = [[F::ZERO; N]; M];
    for r in 0..B {
        let words: [I; N] = std::array::from_fn(|v| load_i(b.words[r], col + v * LANES));
        for j in 0..32 / B {
            for v in 0..N {
                let q = unpack::<B>(words[v], j);
                for i in 0..M {
                    acc[i][v] = q.mul_add(F::splat(xs[i][r * (32 / B) + j]), acc[i][v]);
                }
            }
        }
    }
    for v in 0..N {
        let at = col + v * LANES;
        let scale = load(b.scales, at);
        for i in 0..M {
            let mut y = acc[i][v].mul_add(scale, load(out, i * len + at));
            if B == 4 {
                y = load(b.mins, at).mul_add(F::splat(sums[i]), y);
            }
            out[i * len + at..][..LANES].copy_from_slice(&y.to_array());
        }
    }
}

#[inline(always)]
fn load(from: &[f32], at: usize) -> F {
    F::new(*from[at..].first_chunk().expect("tile inside of the panel"))
}

#[inline(always)]
fn load_i(from: &[i32], at: usize) -> I {
    I::new(*from[at..].first_chunk().expect("tile inside of the panel"))
}
