//! Several rows times a packed weight: the prompt, and layers of few rows. A thread unpacks a word once for eight rows and four
//! outputs; there is no barrier, so one form serves both kinds of adapter, only the number of outputs a thread differs.

use super::super::format::BLOCK;
use super::weight::{View, rows as words};
use super::{Quad, groups, room, split, sum4};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Rows that share one unpacking.
const ROWS: usize = 8;
/// Outputs of a thread, threads of a workgroup.
const THREADS: (usize, usize) = (4, 16);
const SPLIT: (usize, usize) = (1, 64);

/// `x [m, k] · w [k, n] → [m, n]`.
pub(crate) fn matmat(x: CubeTensor, m: usize, w: &View) -> CubeTensor {
    let out = room(&x, [m, w.n]);
    if m == 0 || w.n == 0 {
        return out;
    }
    let (vector, width) = if split(&x) { SPLIT } else { THREADS };
    let client = x.client.clone();
    // SAFETY: lanes are guarded by their number, columns by `n`, rows are clamped to `m` when read and guarded when written.
    unsafe {
        matmat_kernel::launch_unchecked(
            &client,
            CubeCount::Static(groups(w.lanes(vector), width), m.div_ceil(ROWS) as u32, 1),
            CubeDim::new_1d(width as u32),
            vector,
            x.into_buffer_arg(),
            w.blocks.clone().into_buffer_arg(),
            out.clone().into_buffer_arg(),
            m,
            w.k / BLOCK,
            w.lanes(vector),
            w.n,
            w.bits,
            ROWS,
            width,
        );
    }
    out
}

#[cube(launch_unchecked)]
fn matmat_kernel<N: Size>(
    x: &[Quad],
    w: &[Vector<i32, N>],
    out: &mut [f32],
    m: usize,
    blocks: usize,
    lanes: usize,
    n: usize,
    #[comptime] bits: usize,
    #[comptime] rows: usize,
    #[comptime] width: usize,
) {
    let lane = CUBE_POS_X as usize * width + UNIT_POS_X as usize;
    let row = CUBE_POS_Y as usize * rows;
    if lane < lanes {
        let mut acc = Array::<Vector<f32, N>>::new(rows);
        let mut start = Array::<usize>::new(rows);
        #[unroll]
        for i in 0..rows {
            acc[i] = Vector::<f32, N>::new(0.0);
            // Rows beyond the last repeat it; they are not written.
            start[i] = clamp_max(row + i, m - 1) * blocks * 8;
        }
        let mut block = 0usize;
        while block < blocks {
            let base = block * comptime!(words(bits)) * lanes + lane;
            let mut sum = Array::<Vector<f32, N>>::new(rows);
            let mut ones = Array::<Quad>::new(rows);
            #[unroll]
            for i in 0..rows {
                sum[i] = Vector::<f32, N>::new(0.0);
                ones[i] = Quad::new(0.0);
            }
            #[unroll]
            for r in 0..bits {
                let word = w[base + r * lanes];
                // Halves of a word, four values each; 8 bits have one.
                #[unroll]
                for half in 0..comptime!(if bits == 4 { 2usize } else { 1usize }) {
                    let mut q = Array::<Vector<f32, N>>::new(4usize);
                    #[unroll]
                    for j in 0..4usize {
                        if comptime!(bits == 4) {
                            let value = (word >> Vector::<i32, N>::new(comptime!(4 * (4 * half + j) as i32))) & Vector::<i32, N>::new(15);
                            q[j] = Vector::<f32, N>::cast_from(value);
                        } else {
                            let value = (word << Vector::<i32, N>::new(comptime!(24 - 8 * j as i32))) >> Vector::<i32, N>::new(24);
                            q[j] = Vector::<f32, N>::cast_from(value);
                        }
                    }
                    #[unroll]
                    for i in 0..rows {
                        let four = x[start[i] + block * 8 + comptime!(if bits == 4 { 2 * r + half } else { r })];
                        #[unroll]
                        for j in 0..4usize {
                            sum[i] += q[j] * Vector::<f32, N>::new(four.extract(j));
                        }
                        if comptime!(bits == 4) {
                            ones[i] += four;
                        }
                    }
                }
            }
            let scale = Vector::<f32, N>::reinterpret(w[base + bits * lanes]);
            #[unroll]
            for i in 0..rows {
                acc[i] += sum[i] * scale;
            }
            if comptime!(bits == 4) {
                let min = Vector::<f32, N>::reinterpret(w[base + 5 * lanes]);
                #[unroll]
                for i in 0..rows {
                    let o = ones[i];
                    let total = sum4(o);
                    acc[i] += min * Vector::<f32, N>::new(total);
                }
            }
            block += 1;
        }
        #[unroll]
        for i in 0..rows {
            if row + i < m {
                #[unroll]
                for c in 0..N::value() {
                    let col = lane * N::value() + c;
                    if col < n {
                        out[(row + i) * n + col] = acc[i].extract(c);
                    }
                }
            }
        }
    }
}
