//! One row times packed weights: what decoding spends its time on. Weights are read in place and once; what follows the
//! product is done before the result is written: a residual is added, gate and up are joined by SwiGLU, query, key and value
//! with their low-rank adapters are one launch.
//!
//! A value is masked where it stands in its word and converted, which gives `q · 2^shift` exactly; the input is multiplied by
//! `2^-shift` instead (also exact). Sums of a block are taken before its scale is applied, as in the CPU kernel.

use super::super::format::BLOCK;
use super::weight::{View, rows};
use super::{Quad, groups, room, split, sum4};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Outputs of a thread, threads side by side, parts of K, by form. Without barriers four outputs share what is read of `x`; a
/// GPU wants many threads, each with little to do, and neighbours that read neighbouring words.
const THREADS: (usize, usize, usize) = (4, 16, 1);
const SPLIT: (usize, usize, usize) = (1, 32, 8);

/// These three for the device that `x` is on.
pub(super) fn form(x: &CubeTensor) -> (usize, usize, usize) {
    if split(x) { SPLIT } else { THREADS }
}

/// `x [1, k] · w [k, n] (+ residual [1, n]) → [1, n]`.
pub(crate) fn matvec(x: CubeTensor, w: &View, residual: Option<CubeTensor>) -> CubeTensor {
    let out = room(&x, [1, w.n]);
    let (vector, width, parts) = form(&x);
    let client = x.client.clone();
    let add = residual.is_some();
    let residual = residual.unwrap_or_else(|| x.clone());
    // SAFETY: lanes are guarded by their number, columns by `n`; the weight's buffer has k / 32 · rows · lanes · vector words.
    unsafe {
        matvec_kernel::launch_unchecked(
            &client,
            CubeCount::Static(groups(w.lanes(vector), width), 1, 1),
            CubeDim::new_2d(width as u32, parts as u32),
            vector,
            x.into_buffer_arg(),
            w.blocks.clone().into_buffer_arg(),
            residual.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            w.k / BLOCK,
            w.lanes(vector),
            w.n,
            w.bits,
            add,
            width,
            parts,
        );
    }
    out
}

/// `silu(x · gate) · (x · up)`: `x [1, k] → [1, n]`; both weights `[k, n]` of the same bits.
pub(crate) fn swiglu(x: CubeTensor, gate: &View, up: &View) -> CubeTensor {
    let out = room(&x, [1, gate.n]);
    let (vector, width, parts) = form(&x);
    let client = x.client.clone();
    // SAFETY: as in `matvec`; both weights have the same shape, which `lm_gpu` checks when it is set up.
    unsafe {
        swiglu_kernel::launch_unchecked(
            &client,
            CubeCount::Static(groups(gate.lanes(vector), width), 1, 1),
            CubeDim::new_2d(width as u32, parts as u32),
            vector,
            x.into_buffer_arg(),
            gate.blocks.clone().into_buffer_arg(),
            up.blocks.clone().into_buffer_arg(),
            out.clone().into_buffer_arg(),
            gate.k / BLOCK,
            gate.lanes(vector),
            gate.n,
            gate.bits,
            width,
            parts,
        );
    }
    out
}

/// What the second half of an adapter adds: `b [rank, n]`; its input lies behind the normed input, at `at`.
pub(crate) struct Adapter {
    pub b: CubeTensor,
    pub rank: usize,
}

/// Query, key and value of one position: `[1, nq + 2 · nkv]`.
///
/// `x` holds the normed input `[k]` and behind it the inputs of the adapters' second halves, first the query's
/// ([`super::norm`]). Outputs and ranks are multiples of 4, all weights have the same bits.
pub(crate) fn qkv(x: CubeTensor, weights: [&View; 3], adapters: [Option<Adapter>; 2]) -> CubeTensor {
    let [q, k, v] = weights;
    let out = room(&x, [1, q.n + k.n + v.n]);
    let (vector, width, parts) = form(&x);
    let client = x.client.clone();
    // An absent adapter binds what is there anyway.
    let [(bq, rank_q), (bv, rank_v)] = adapters.map(|a| a.map_or_else(|| (x.clone(), 0), |a| (a.b, a.rank)));
    let lanes = [q, k, v].map(|w| w.n / vector);
    // SAFETY: lanes are guarded by their number; shapes are checked by `lm_gpu` when it is set up.
    unsafe {
        qkv_kernel::launch_unchecked(
            &client,
            CubeCount::Static(groups(lanes.iter().sum(), width), 1, 1),
            CubeDim::new_2d(width as u32, parts as u32),
            vector,
            x.into_buffer_arg(),
            q.blocks.clone().into_buffer_arg(),
            k.blocks.clone().into_buffer_arg(),
            v.blocks.clone().into_buffer_arg(),
            bq.into_buffer_arg(),
            bv.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            q.k / BLOCK,
            lanes[0],
            lanes[1],
            q.bits,
            rank_q / 4,
            rank_v / 4,
            width,
            parts,
        );
    }
    out
}

/// `Σ x · w` of the outputs of one lane, over blocks `from, from + step, …`.
#[cube]
pub(super) fn dot<N: Size>(
    x: &[Quad],
    w: &[Vector<i32, N>],
    lane: usize,
    lanes: usize,
    from: usize,
    step: usize,
    blocks: usize,
    #[comptime] bits: usize,
) -> Vector<f32, N> {
    let mut acc = Vector::<f32, N>::new(0.0);
    let mut block = from;
    while block < blocks {
        let base = block * comptime!(rows(bits)) * lanes + lane;
        let mut sum = Vector::<f32, N>::new(0.0);
        let mut ones = Quad::new(0.0);
        #[unroll]
        for r in 0..bits {
            let word = w[base + r * lanes];
            if comptime!(bits == 4) {
                let low = x[block * 8 + 2 * r];
                let high = x[block * 8 + 2 * r + 1];
                ones += low + high;
                #[unroll]
                for j in 0..4usize {
                    let scaled = low.extract(j) * comptime!(1.0f32 / (1u32 << (4 * j)) as f32);
                    let q = Vector::<f32, N>::cast_from(word & Vector::<i32, N>::new(comptime!(15i32 << (4 * j))));
                    sum += q * Vector::<f32, N>::new(scaled);
                }
                #[unroll]
                for j in 4..7usize {
                    let scaled = high.extract(comptime!(j - 4)) * comptime!(1.0f32 / (1u32 << (4 * j)) as f32);
                    let q = Vector::<f32, N>::cast_from(word & Vector::<i32, N>::new(comptime!(15i32 << (4 * j))));
                    sum += q * Vector::<f32, N>::new(scaled);
                }
                // The top value would come out negative: it alone is shifted down.
                let q = Vector::<f32, N>::cast_from((word >> Vector::<i32, N>::new(28)) & Vector::<i32, N>::new(15));
                sum += q * Vector::<f32, N>::new(high.extract(3usize));
            } else {
                let four = x[block * 8 + r] * Quad::new(comptime!(1.0f32 / (1u32 << 24) as f32));
                #[unroll]
                for j in 0..4usize {
                    // Signed bytes go to the top of the word, where the sign bit is.
                    let top = (word << Vector::<i32, N>::new(comptime!(24 - 8 * j as i32))) & Vector::<i32, N>::new(-16_777_216);
                    sum += Vector::<f32, N>::cast_from(top) * Vector::<f32, N>::new(four.extract(j));
                }
            }
        }
        acc += sum * Vector::<f32, N>::reinterpret(w[base + bits * lanes]);
        if comptime!(bits == 4) {
            let total = sum4(ones);
            acc += Vector::<f32, N>::reinterpret(w[base + 5 * lanes]) * Vector::<f32, N>::new(total);
        }
        block += step;
    }
    acc
}

/// The sum over all parts of a workgroup, valid in part 0.
#[cube]
pub(super) fn join<N: Size>(mine: Vector<f32, N>, #[comptime] width: usize, #[comptime] parts: usize) -> Vector<f32, N> {
    let mut total = mine;
    if comptime!(parts > 1) {
        let at = UNIT_POS_X as usize;
        let part = UNIT_POS_Y as usize;
        let mut shared = Shared::<[Vector<f32, N>]>::new_slice(comptime!(parts * width));
        shared[part * width + at] = mine;
        sync_cube();
        if part == 0 {
            #[unroll]
            for p in 1..parts {
                total += shared[p * width + at];
            }
        }
    }
    total
}

#[cube(launch_unchecked)]
fn matvec_kernel<N: Size>(
    x: &[Quad],
    w: &[Vector<i32, N>],
    residual: &[f32],
    out: &mut [f32],
    blocks: usize,
    lanes: usize,
    n: usize,
    #[comptime] bits: usize,
    #[comptime] add: bool,
    #[comptime] width: usize,
    #[comptime] parts: usize,
) {
    let lane = CUBE_POS_X as usize * width + UNIT_POS_X as usize;
    let part = UNIT_POS_Y as usize;
    let mut sum = Vector::<f32, N>::new(0.0);
    if lane < lanes {
        sum = dot::<N>(x, w, lane, lanes, part, parts, blocks, bits);
    }
    let total = join::<N>(sum, width, parts);
    if part == 0 && lane < lanes {
        #[unroll]
        for i in 0..N::value() {
            let col = lane * N::value() + i;
            if col < n {
                if comptime!(add) {
                    out[col] = residual[col] + total.extract(i);
                } else {
                    out[col] = total.extract(i);
                }
            }
        }
    }
}

#[cube(launch_unchecked)]
fn swiglu_kernel<N: Size>(
    x: &[Quad],
    gate: &[Vector<i32, N>],
    up: &[Vector<i32, N>],
    out: &mut [f32],
    blocks: usize,
    lanes: usize,
    n: usize,
    #[comptime] bits: usize,
    #[comptime] width: usize,
    #[comptime] parts: usize,
) {
    let lane = CUBE_POS_X as usize * width + UNIT_POS_X as usize;
    let part = UNIT_POS_Y as usize;
    let mut g = Vector::<f32, N>::new(0.0);
    let mut u = Vector::<f32, N>::new(0.0);
    if lane < lanes {
        g = dot::<N>(x, gate, lane, lanes, part, parts, blocks, bits);
        u = dot::<N>(x, up, lane, lanes, part, parts, blocks, bits);
    }
    let g = join::<N>(g, width, parts);
    let u = join::<N>(u, width, parts);
    if part == 0 && lane < lanes {
        #[unroll]
        for i in 0..N::value() {
            let col = lane * N::value() + i;
            if col < n {
                let v = g.extract(i);
                out[col] = v / (1.0f32 + (-v).exp()) * u.extract(i);
            }
        }
    }
}

/// Adds `u · b` of an adapter: `u` are quads of `x` from `at` on, `b [rank, lanes]`.
#[cube]
fn low_rank<N: Size>(x: &[Quad], b: &[Vector<f32, N>], at: usize, lane: usize, lanes: usize, #[comptime] quads: usize) -> Vector<f32, N> {
    let mut sum = Vector::<f32, N>::new(0.0);
    #[unroll]
    for r in 0..quads {
        let u = x[at + r];
        #[unroll]
        for j in 0..4usize {
            sum += b[(4 * r + j) * lanes + lane] * Vector::<f32, N>::new(u.extract(j));
        }
    }
    sum
}

#[cube(launch_unchecked)]
fn qkv_kernel<N: Size>(
    x: &[Quad],
    q: &[Vector<i32, N>],
    k: &[Vector<i32, N>],
    v: &[Vector<i32, N>],
    bq: &[Vector<f32, N>],
    bv: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    blocks: usize,
    lanes_q: usize,
    lanes_kv: usize,
    #[comptime] bits: usize,
    #[comptime] quads_q: usize,
    #[comptime] quads_v: usize,
    #[comptime] width: usize,
    #[comptime] parts: usize,
) {
    let lane = CUBE_POS_X as usize * width + UNIT_POS_X as usize;
    let part = UNIT_POS_Y as usize;
    let first_v = lanes_q + lanes_kv;
    let end = first_v + lanes_kv;
    let mut sum = Vector::<f32, N>::new(0.0);
    if lane < lanes_q {
        sum = dot::<N>(x, q, lane, lanes_q, part, parts, blocks, bits);
    } else if lane < first_v {
        sum = dot::<N>(x, k, lane - lanes_q, lanes_kv, part, parts, blocks, bits);
    } else if lane < end {
        sum = dot::<N>(x, v, lane - first_v, lanes_kv, part, parts, blocks, bits);
    }
    let mut total = join::<N>(sum, width, parts);
    if part == 0 && lane < end {
        if comptime!(quads_q > 0) {
            if lane < lanes_q {
                total += low_rank::<N>(x, bq, blocks * 8, lane, lanes_q, quads_q);
            }
        }
        if comptime!(quads_v > 0) {
            if lane >= first_v {
                total += low_rank::<N>(x, bv, blocks * 8 + comptime!(quads_q), lane - first_v, lanes_kv, quads_v);
            }
        }
        out[lane] = total;
    }
}
