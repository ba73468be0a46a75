//! The output layer of one position: a packed table, and behind it the rows of a few added tokens in float, into one row of
//! scores.

use super::super::format::BLOCK;
use super::matvec::{dot, form, join};
use super::weight::View;
use super::{Quad, groups, room, sum4};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// `x [1, k]` → `[1, n + added]`: `x · table` and `x · added_rowsᵀ`; `added [count, k]`.
pub(crate) fn scores(x: CubeTensor, table: &View, added: CubeTensor, count: usize) -> CubeTensor {
    let out = room(&x, [1, table.n + count]);
    let (vector, width, parts) = form(&x);
    let client = x.client.clone();
    // SAFETY: lanes are guarded by their number and columns by `n`; `added` has `count` rows of `k`.
    unsafe {
        scores_kernel::launch_unchecked(
            &client,
            CubeCount::Static(groups(table.lanes(vector) + count, width), 1, 1),
            CubeDim::new_2d(width as u32, parts as u32),
            vector,
            x.into_buffer_arg(),
            table.blocks.clone().into_buffer_arg(),
            added.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            table.k / BLOCK,
            table.lanes(vector),
            table.n,
            count,
            table.bits,
            width,
            parts,
        );
    }
    out
}

#[cube(launch_unchecked)]
fn scores_kernel<N: Size>(
    x: &[Quad],
    table: &[Vector<i32, N>],
    added: &[Quad],
    out: &mut [f32],
    blocks: usize,
    lanes: usize,
    n: usize,
    count: usize,
    #[comptime] bits: usize,
    #[comptime] width: usize,
    #[comptime] parts: usize,
) {
    let lane = CUBE_POS_X as usize * width + UNIT_POS_X as usize;
    let part = UNIT_POS_Y as usize;
    let mut sum = Vector::<f32, N>::new(0.0);
    if lane < lanes {
        sum = dot::<N>(x, table, lane, lanes, part, parts, blocks, bits);
    } else if lane < lanes + count {
        let quads = blocks * 8;
        let mut four = Quad::new(0.0);
        let mut i = part;
        while i < quads {
            four += x[i] * added[(lane - lanes) * quads + i];
            i += parts;
        }
        sum = Vector::<f32, N>::new(sum4(four));
    }
    let total = join::<N>(sum, width, parts);
    if part == 0 {
        if lane < lanes {
            #[unroll]
            for i in 0..N::value() {
                let col = lane * N::value() + i;
                if col < n {
                    out[col] = total.extract(i);
                }
            }
        } else if lane < lanes + count {
            out[n + lane - lanes] = total.extract(0usize);
        }
    }
}
