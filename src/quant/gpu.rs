//! The GPU kernel: `x · W` with packed words read in place. Plain WGSL features only: no subgroups, no f16, 5 bindings,
//! 256 invocations, 4 KiB of workgroup memory, so that it runs in every browser that has WebGPU.
//!
//! One source, two forms. [`GpuForm::Split`]: 32 outputs × 8 parts of K per workgroup, partial sums meet in workgroup
//! memory; reads are coalesced along the outputs and a small matrix still fills a GPU. [`GpuForm::Threads`]: one thread an
//! output, no barrier, for software adapters, where barriers are dear. On llvmpipe it takes 2/3 of the CPU time of the
//! other form (8 bits, 576 × 49152, one row: 44 ms against 67 ms); on SwiftShader and on a real GPU neither is measured.

use super::format::BLOCK;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::features::Plane;
use cubecl::prelude::*;
use std::sync::atomic::{AtomicU8, Ordering};

/// Which form of the kernel runs on a GPU device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuForm {
    /// [`Self::Split`] where the adapter is a GPU with subgroups, else [`Self::Threads`]. Trap: a GPU whose browser
    /// offers no subgroups (Firefox) counts as software here; whoever knows better calls [`set_gpu_form`].
    Auto,
    /// One thread an output, no barriers.
    Threads,
    /// K in 8 parts, joined in workgroup memory.
    Split,
}

static FORM: AtomicU8 = AtomicU8::new(0);

/// Chooses the form for the whole process (the page knows whether its adapter is a fallback; a kernel does not).
pub fn set_gpu_form(form: GpuForm) {
    FORM.store(form as u8, Ordering::Relaxed);
}

/// Outputs of a workgroup × parts of K, by form.
const THREADS: (u32, u32) = (64, 1);
const SPLIT: (u32, u32) = (32, 8);
/// Rows of `x` that share one unpacking.
const ROWS: usize = 4;

/// Runs the kernel; `dims = [m, k, n]`, shapes already checked.
pub(super) fn launch(x: CubeTensor, words: CubeTensor, scales: CubeTensor, mins: CubeTensor, dims: [usize; 3], bits: usize) -> CubeTensor {
    let [m, k, n] = dims;
    let [x, words, scales, mins] = [x, words, scales, mins].map(into_contiguous);
    let client = x.client.clone();
    let out = empty_device_contiguous_dtype(client.clone(), x.device.clone(), [m, n].into(), x.dtype);
    if m == 0 || n == 0 {
        return out;
    }
    let split = match FORM.load(Ordering::Relaxed) {
        1 => false,
        2 => true,
        _ => client.properties().features.plane.contains(Plane::Ops),
    };
    let (width, parts) = if split { SPLIT } else { THREADS };
    let rows = if m == 1 { 1 } else { ROWS };
    let count = CubeCount::Static((n as u32).div_ceil(width), m.div_ceil(rows) as u32, 1);
    // SAFETY: every index is inside of its buffer: columns are guarded by `n`, rows are clamped to `m`, the shapes of all
    // buffers were checked against m, k, n and bits by the caller, and all are contiguous.
    unsafe {
        block_mm_kernel::launch_unchecked(
            &client,
            count,
            CubeDim::new_2d(width, parts),
            x.into_tensor_arg(),
            words.into_tensor_arg(),
            scales.into_tensor_arg(),
            mins.into_tensor_arg(),
            out.clone().into_tensor_arg(),
            m,
            k,
            n,
            bits,
            rows,
            width as usize,
            parts as usize,
        );
    }
    out
}

/// `out[row, col] = Σ_blocks scale · Σ x·q + min · Σ x`; `rows` rows a thread, blocks dealt out over `parts`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn block_mm_kernel(
    x: &Tensor<f32>,
    words: &Tensor<i32>,
    scales: &Tensor<f32>,
    mins: &Tensor<f32>,
    out: &mut Tensor<f32>,
    m: usize,
    k: usize,
    n: usize,
    #[comptime] bits: usize,
    #[comptime] rows: usize,
    #[comptime] width: usize,
    #[comptime] parts: usize,
) {
    let lane = UNIT_POS_X as usize;
    let part = UNIT_POS_Y as usize;
    let col = CUBE_POS_X as usize * width + lane;
    let row = CUBE_POS_Y as usize * rows;
    let per_word = comptime!(32 / bits);

    let mut acc = Array::<f32>::new(rows);
    let mut start = Array::<usize>::new(rows);
    #[unroll]
    for i in 0..rows {
        acc[i] = 0.0;
        // Rows beyond the last repeat it; they are not written.
        start[i] = clamp_max(row + i, m - 1) * k;
    }

    if col < n {
        let blocks = k / BLOCK;
        let mut block = part;
        while block < blocks {
            let mut dot = Array::<f32>::new(rows);
            let mut sum = Array::<f32>::new(rows);
            #[unroll]
            for i in 0..rows {
                dot[i] = 0.0;
                sum[i] = 0.0;
            }
            #[unroll]
            for r in 0..bits {
                let word = words[(block * bits + r) * n + col];
                #[unroll]
                for j in 0..per_word {
                    let value = if comptime!(bits == 4) {
                        (word >> comptime!(4 * j as i32)) & 15
                    } else {
                        (word << comptime!(24 - 8 * j as i32)) >> 24
                    };
                    let q = f32::cast_from(value);
                    #[unroll]
                    for i in 0..rows {
                        let v = x[start[i] + block * BLOCK + r * per_word + j];
                        dot[i] += v * q;
                        if comptime!(bits == 4) {
                            sum[i] += v;
                        }
                    }
                }
            }
            let scale = scales[block * n + col];
            #[unroll]
            for i in 0..rows {
                acc[i] += dot[i] * scale;
            }
            if comptime!(bits == 4) {
                let min = mins[block * n + col];
                #[unroll]
                for i in 0..rows {
                    acc[i] += sum[i] * min;
                }
            }
            block += parts;
        }
    }

    if comptime!(parts == 1) {
        #[unroll]
        for i in 0..rows {
            if col < n && row + i < m {
                out[(row + i) * n + col] = acc[i];
            }
        }
    } else {
        let mut shared = Shared::<[f32]>::new_slice(comptime!(parts * width * rows));
        #[unroll]
        for i in 0..rows {
            shared[(part * rows + i) * width + lane] = acc[i];
        }
        sync_cube();
        // One part of the workgroup a row (rows <= parts).
        if part < rows && col < n && row + part < m {
            let mut total = 0.0f32;
            #[unroll]
            for p in 0..parts {
                total += shared[(p * rows + part) * width + lane];
            }
            out[(row + part) * n + col] = total;
        }
    }
}
