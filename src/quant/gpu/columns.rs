//! Columns of a packed weight in float: the embedding look-up of a tied output layer, and the whole weight where it is needed
//! in float.

use super::super::format::BLOCK;
use super::weight::{LANE, View, rows};
use super::{groups, room};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Threads of a workgroup.
const WIDTH: usize = 32;

/// Columns `ids [t]` of `w [k, n]` as rows `[t, k]`. Ids beyond the last column give the last.
pub(super) fn columns(ids: CubeTensor, w: &View) -> CubeTensor {
    let t = ids.meta.num_elements();
    let out = room(&ids, [t, w.k]);
    if t == 0 {
        return out;
    }
    let client = ids.client.clone();
    let blocks = w.k / BLOCK;
    // Rows of workgroups are limited to 65 535: long lists are folded.
    let high = t.div_ceil(65_535);
    // SAFETY: ids are clamped to the columns, blocks and rows guarded by their number.
    unsafe {
        columns_kernel::launch_unchecked(
            &client,
            CubeCount::Static(groups(blocks, WIDTH), t.min(65_535) as u32, high as u32),
            CubeDim::new_1d(WIDTH as u32),
            ids.into_buffer_arg(),
            w.blocks.clone().into_buffer_arg(),
            out.clone().into_buffer_arg(),
            t,
            blocks,
            w.n,
            w.n.next_multiple_of(LANE),
            w.bits,
        );
    }
    out
}

/// One thread a block of 32 inputs.
#[cube(launch_unchecked)]
fn columns_kernel(ids: &[i32], w: &[i32], out: &mut [f32], t: usize, blocks: usize, n: usize, wide: usize, #[comptime] bits: usize) {
    let block = ABSOLUTE_POS_X as usize;
    let row = CUBE_POS_Z as usize * 65_535 + CUBE_POS_Y as usize;
    if block < blocks && row < t {
        let col = clamp_max(ids[row] as usize, n - 1);
        let base = block * comptime!(rows(bits)) * wide + col;
        let per_word = comptime!(32 / bits);
        let scale = f32::reinterpret(w[base + bits * wide]);
        let mut min = 0.0f32;
        if comptime!(bits == 4) {
            min = f32::reinterpret(w[base + 5 * wide]);
        }
        #[unroll]
        for r in 0..bits {
            let word = w[base + r * wide];
            #[unroll]
            for j in 0..per_word {
                let value = if comptime!(bits == 4) {
                    (word >> comptime!(4 * j as i32)) & 15
                } else {
                    (word << comptime!(24 - 8 * j as i32)) >> 24
                };
                out[(row * blocks + block) * BLOCK + r * per_word + j] = f32::cast_from(value) * scale + min;
            }
        }
    }
}
