//! Attention of one new position over a preallocated cache, in one launch: rotary embedding of query and key, the new key and
//! value written into the cache, softmax over all positions so far, mixture of the values.
//!
//! Keys lie in the cache rotated, `[kv_heads, capacity, head]`. The row that is written is read by nobody in the launch: each
//! thread or workgroup takes the new key and value from the projections, so no order between them is needed. Rotary embedding
//! by halves (Su et al. 2021, in the layout of HuggingFace's Llama); softmax with a running maximum (Milakov and Gimelshein
//! 2018) where one thread does a head, over scores in workgroup memory where a workgroup does.

use super::{Quad, groups, room, split, sum_of_all, sum4};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Threads of a workgroup without barriers, one a query head.
const THREADS: usize = 4;
/// Threads of the workgroup that does one query head.
const SPLIT: usize = 128;
/// Longest cache whose scores fit into workgroup memory beside the rest (16 KiB in every browser).
pub(crate) const LONGEST: usize = 3072;

/// Sizes of an attention layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; they divide the query heads.
    pub kv: usize,
    /// Width of a head, a multiple of 8.
    pub dim: usize,
    /// Positions that the cache has room for, at most [`LONGEST`].
    pub capacity: usize,
}

/// What one position attends to: `[1, query · dim]`.
///
/// # Arguments
/// - `qkv`: projections of the position, `[(query + 2 · kv) · dim]`.
/// - `table`: cosines and sines, `[capacity, dim]`, cosines in the first half.
/// - `at`: the position, `[1]`, below the capacity.
/// - `keys`, `values`: the cache, `[kv, capacity, dim]`, written in place.
pub(crate) fn attend(qkv: CubeTensor, table: CubeTensor, at: CubeTensor, keys: CubeTensor, values: CubeTensor, h: Heads) -> CubeTensor {
    let out = room(&qkv, [1, h.query * h.dim]);
    let client = qkv.client.clone();
    let scale = 1.0 / (h.dim as f32).sqrt();
    let (quads, repeat) = (h.dim / 4, h.query / h.kv);
    let (qkv, table, at) = (qkv.into_buffer_arg(), table.into_buffer_arg(), at.into_buffer_arg());
    let (keys, values) = (keys.into_buffer_arg(), values.into_buffer_arg());
    // SAFETY: heads are guarded by their number, the position is below the capacity (the cache checks it), and all shapes are
    // checked by `lm_gpu` when it is set up.
    unsafe {
        if split(&out) {
            let (count, dims) = (CubeCount::Static(h.query as u32, 1, 1), CubeDim::new_1d(SPLIT as u32));
            let to = out.clone().into_buffer_arg();
            shared_kernel::launch_unchecked(
                &client, count, dims, qkv, table, at, keys, values, to, h.capacity, h.query, h.kv, scale, repeat, quads, SPLIT, h.capacity,
            );
        } else {
            let (count, dims) = (CubeCount::Static(groups(h.query, THREADS), 1, 1), CubeDim::new_1d(THREADS as u32));
            let to = out.clone().into_buffer_arg();
            threads_kernel::launch_unchecked(
                &client, count, dims, qkv, table, at, keys, values, to, h.capacity, h.query, h.kv, scale, repeat, quads,
            );
        }
    }
    out
}

/// The first half of a pair `(a, b)` turned by an angle; the second half is that of `(b, -a)`.
#[cube]
fn turned(a: Quad, b: Quad, cosine: Quad, sine: Quad) -> Quad {
    a * cosine - b * sine
}

/// One thread a query head.
#[cube(launch_unchecked)]
fn threads_kernel(
    qkv: &[Quad],
    table: &[Quad],
    at: &[i32],
    keys: &mut [Quad],
    values: &mut [Quad],
    out: &mut [Quad],
    capacity: usize,
    heads: usize,
    kv_heads: usize,
    scale: f32,
    #[comptime] repeat: usize,
    #[comptime] quads: usize,
) {
    let head = ABSOLUTE_POS_X as usize;
    if head < heads {
        let half = comptime!(quads / 2);
        let pos = at[0] as usize;
        let kv = head / repeat;
        let new_key = (heads + kv) * quads;
        let new_value = (heads + kv_heads + kv) * quads;
        let first = kv * capacity * quads;
        let row = first + pos * quads;
        let writes = head % repeat == 0;

        let mut q = Array::<Quad>::new(quads);
        let mut mixed = Array::<Quad>::new(quads);
        let mut score = Quad::new(0.0);
        #[unroll]
        for i in 0..half {
            let c = table[pos * quads + i];
            let s = table[pos * quads + half + i];
            let a = qkv[head * quads + i];
            let b = qkv[head * quads + half + i];
            q[i] = turned(a, b, c, s) * Quad::new(scale);
            q[half + i] = turned(b, -a, c, s) * Quad::new(scale);
            let a = qkv[new_key + i];
            let b = qkv[new_key + half + i];
            let low = turned(a, b, c, s);
            let high = turned(b, -a, c, s);
            score += q[i] * low + q[half + i] * high;
            if writes {
                keys[row + i] = low;
                keys[row + half + i] = high;
            }
        }
        #[unroll]
        for i in 0..quads {
            let v = qkv[new_value + i];
            mixed[i] = v;
            if writes {
                values[row + i] = v;
            }
        }
        let mut top = sum4(score);
        let mut weight = 1.0f32;
        let mut p = first;
        while p < row {
            let mut s = Quad::new(0.0);
            #[unroll]
            for i in 0..quads {
                s += q[i] * keys[p + i];
            }
            let s = sum4(s);
            let higher = max(top, s);
            let keep = (top - higher).exp();
            let new = (s - higher).exp();
            weight = weight * keep + new;
            top = higher;
            #[unroll]
            for i in 0..quads {
                mixed[i] = mixed[i] * Quad::new(keep) + values[p + i] * Quad::new(new);
            }
            p += quads;
        }
        #[unroll]
        for i in 0..quads {
            out[head * quads + i] = mixed[i] / Quad::new(weight);
        }
    }
}

/// One workgroup a query head: scores by positions, mixture by quads of the head times parts of the positions.
#[cube(launch_unchecked)]
fn shared_kernel(
    qkv: &[Quad],
    table: &[Quad],
    at: &[i32],
    keys: &mut [Quad],
    values: &mut [Quad],
    out: &mut [Quad],
    capacity: usize,
    heads: usize,
    kv_heads: usize,
    scale: f32,
    #[comptime] repeat: usize,
    #[comptime] quads: usize,
    #[comptime] width: usize,
    #[comptime] longest: usize,
) {
    let me = UNIT_POS_X as usize;
    let head = CUBE_POS_X as usize;
    let half = comptime!(quads / 2);
    let pos = at[0] as usize;
    let kv = head / repeat;
    let new_key = (heads + kv) * quads;
    let new_value = (heads + kv_heads + kv) * quads;
    let first = kv * capacity * quads;
    let row = first + pos * quads;
    let mut scores = Shared::<[f32]>::new_slice(comptime!(longest));
    let mut partial = Shared::<[f32]>::new_slice(comptime!(width));
    let mut q = Shared::<[Quad]>::new_slice(comptime!(quads));
    let mut mixed = Shared::<[Quad]>::new_slice(comptime!(width));

    // The new query and key are rotated, the new score is summed from its quads.
    if me < half {
        let c = table[pos * quads + me];
        let s = table[pos * quads + half + me];
        let a = qkv[head * quads + me];
        let b = qkv[head * quads + half + me];
        let q_low = turned(a, b, c, s) * Quad::new(scale);
        let q_high = turned(b, -a, c, s) * Quad::new(scale);
        q[me] = q_low;
        q[half + me] = q_high;
        let a = qkv[new_key + me];
        let b = qkv[new_key + half + me];
        let low = turned(a, b, c, s);
        let high = turned(b, -a, c, s);
        partial[me] = sum4(q_low * low + q_high * high);
        if head % repeat == 0 {
            keys[row + me] = low;
            keys[row + half + me] = high;
        }
    }
    if me < quads {
        if head % repeat == 0 {
            values[row + me] = qkv[new_value + me];
        }
    }
    sync_cube();
    let mut p = me;
    while p < pos {
        let mut s = Quad::new(0.0);
        #[unroll]
        for i in 0..quads {
            s += q[i] * keys[first + p * quads + i];
        }
        scores[p] = sum4(s);
        p += width;
    }
    if me == 0 {
        let mut s = 0.0f32;
        #[unroll]
        for i in 0..half {
            s += partial[i];
        }
        scores[pos] = s;
    }
    sync_cube();

    // Maximum, then exponentials and their sum, each over the workgroup.
    let mut top = scores[pos];
    let mut p = me;
    while p < pos {
        top = max(top, scores[p]);
        p += width;
    }
    partial[me] = top;
    sync_cube();
    let mut left = comptime!(width / 2).runtime();
    while left > 0 {
        if me < left {
            let other = partial[me + left];
            partial[me] = max(partial[me], other);
        }
        sync_cube();
        left /= 2;
    }
    let top = partial[0];
    sync_cube();
    let mut weight = 0.0f32;
    let mut p = me;
    while p <= pos {
        let e = (scores[p] - top).exp();
        scores[p] = e;
        weight += e;
        p += width;
    }
    partial[me] = weight;
    sync_cube();
    sum_of_all(&mut partial, me, width);

    let quad = me % quads;
    let part = me / quads;
    let parts = comptime!(width / quads);
    let mut sum = Quad::new(0.0);
    if part < parts {
        let mut p = part;
        while p < pos {
            sum += values[first + p * quads + quad] * Quad::new(scores[p]);
            p += parts;
        }
        if part == 0 {
            sum += qkv[new_value + quad] * Quad::new(scores[pos]);
        }
    }
    mixed[me] = sum;
    sync_cube();
    if me < quads {
        let mut total = Quad::new(0.0);
        #[unroll]
        for p in 0..parts {
            total += mixed[p * quads + me];
        }
        out[head * quads + me] = total / Quad::new(partial[0]);
    }
}
