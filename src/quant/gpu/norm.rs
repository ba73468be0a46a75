//! RMSNorm of one row, and the first halves of the low-rank adapters that read it, in one launch.

use super::{Quad, groups, room, split, sum_of_all, sum4};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Threads of a workgroup without barriers.
const THREADS: usize = 16;
/// Threads of the one workgroup with barriers.
const SPLIT: usize = 256;

/// The first half of an adapter: `a [dim, rank]`.
pub(crate) struct Down {
    pub a: CubeTensor,
    pub rank: usize,
}

/// `x / rms(x) · gain`, and behind it what each adapter makes of that, times its scale: `[1, dim + ranks]`.
///
/// `x` and `gain` are `[dim]`, `dim` and ranks multiples of 4.
pub(crate) fn norm(x: CubeTensor, gain: CubeTensor, epsilon: f32, adapters: [Option<Down>; 2], scale: f32) -> CubeTensor {
    let dim = gain.meta.num_elements();
    let [(a0, rank0), (a1, rank1)] = adapters.map(|d| d.map_or_else(|| (gain.clone(), 0), |d| (d.a, d.rank)));
    let out = room(&x, [1, dim + rank0 + rank1]);
    let client = x.client.clone();
    let args = (x.into_buffer_arg(), gain.into_buffer_arg(), a0.into_buffer_arg(), a1.into_buffer_arg(), out.clone().into_buffer_arg());
    let shared = split(&out);
    // SAFETY: indices are guarded by dim and ranks; the shapes are checked by `lm_gpu` when it is set up.
    unsafe {
        if shared {
            let dims = CubeDim::new_1d(SPLIT as u32);
            let count = CubeCount::Static(1, 1, 1);
            shared_kernel::launch_unchecked(
                &client, count, dims, args.0, args.1, args.2, args.3, args.4, dim, epsilon, scale, rank0, rank1, SPLIT,
            );
        } else {
            let dims = CubeDim::new_1d(THREADS as u32);
            let count = CubeCount::Static(groups(dim / 4 + rank0 + rank1, THREADS), 1, 1);
            threads_kernel::launch_unchecked(
                &client, count, dims, args.0, args.1, args.2, args.3, args.4, dim, epsilon, scale, rank0, rank1,
            );
        }
    }
    out
}

/// Every thread takes the sum of squares for itself.
#[cube(launch_unchecked)]
fn threads_kernel(
    x: &[Quad],
    gain: &[Quad],
    a0: &[f32],
    a1: &[f32],
    out: &mut [f32],
    dim: usize,
    epsilon: f32,
    scale: f32,
    #[comptime] rank0: usize,
    #[comptime] rank1: usize,
) {
    let me = ABSOLUTE_POS_X as usize;
    let quads = dim / 4;
    if me < quads + comptime!(rank0 + rank1) {
        let mut squares = Quad::new(0.0);
        for i in 0..quads {
            squares += x[i] * x[i];
        }
        let total = sum4(squares);
        let rms = (total / f32::cast_from(dim) + epsilon).sqrt();
        if me < quads {
            let y = x[me] / Quad::new(rms) * gain[me];
            #[unroll]
            for j in 0..4usize {
                out[me * 4 + j] = y.extract(j);
            }
        } else if comptime!(rank0 + rank1 > 0) {
            let rank = me - quads;
            let mut sum = 0.0f32;
            for i in 0..quads {
                let y = x[i] * gain[i];
                #[unroll]
                for j in 0..4usize {
                    sum += y.extract(j) * down(a0, a1, i * 4 + j, rank, rank0, rank1);
                }
            }
            out[dim + rank] = sum / rms * scale;
        }
    }
}

/// Row `row`, output `rank` of the two first halves side by side.
#[cube]
fn down(a0: &[f32], a1: &[f32], row: usize, rank: usize, #[comptime] rank0: usize, #[comptime] rank1: usize) -> f32 {
    if rank < comptime!(rank0) { a0[row * comptime!(rank0) + rank] } else { a1[row * comptime!(rank1) + rank - comptime!(rank0)] }
}

/// One workgroup shares all sums.
#[cube(launch_unchecked)]
fn shared_kernel(
    x: &[Quad],
    gain: &[Quad],
    a0: &[f32],
    a1: &[f32],
    out: &mut [f32],
    dim: usize,
    epsilon: f32,
    scale: f32,
    #[comptime] rank0: usize,
    #[comptime] rank1: usize,
    #[comptime] width: usize,
) {
    let me = UNIT_POS_X as usize;
    let quads = dim / 4;
    let mut shared = Shared::<[f32]>::new_slice(comptime!(width));
    let mut squares = Quad::new(0.0);
    let mut i = me;
    while i < quads {
        squares += x[i] * x[i];
        i += width;
    }
    shared[me] = sum4(squares);
    sync_cube();
    sum_of_all(&mut shared, me, width);
    let rms = (shared[0] / f32::cast_from(dim) + epsilon).sqrt();
    let mut i = me;
    while i < quads {
        let y = x[i] / Quad::new(rms) * gain[i];
        #[unroll]
        for j in 0..4usize {
            out[i * 4 + j] = y.extract(j);
        }
        i += width;
    }
    if comptime!(rank0 + rank1 > 0) {
        // Threads are dealt out over the outputs; the parts of one output are summed at the end.
        let ranks = comptime!(rank0 + rank1).runtime();
        let parts = comptime!(width / (rank0 + rank1)).runtime();
        let rank = me % ranks;
        let part = me / ranks;
        let mut sum = 0.0f32;
        if part < parts {
            let mut i = part;
            while i < quads {
                let y = x[i] * gain[i];
                #[unroll]
                for j in 0..4usize {
                    sum += y.extract(j) * down(a0, a1, i * 4 + j, rank, rank0, rank1);
                }
                i += parts;
            }
        }
        sync_cube();
        shared[me] = sum;
        sync_cube();
        if me < ranks {
            let mut total = 0.0f32;
            for p in 0..parts {
                total += shared[p * ranks + me];
            }
            out[dim + me] = total / rms * scale;
        }
    }
}
