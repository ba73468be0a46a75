//! The product of plain matrices by multiply-adds, of which SIMD128 has none: attention, where half of the instructions were additions.
//!
//! Compiled twice, as [`super::kernel`].

use super::kernel::Bytes;

/// Rows of a tile.
pub const ROWS: usize = 4;
/// Registers of a row of a tile: eight sums hide how long one multiply-add takes.
pub const REGISTERS: usize = 2;

/// `c [m, n] = a [m, k] · b [k, n]`, rows of `a` being `stride` apart; `m` a multiple of [`ROWS`], `n` of [`REGISTERS`] registers.
#[derive(Clone, Copy)]
pub struct Matrices {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: *const f32,
    pub stride: usize,
    pub b: *const f32,
    pub c: *mut f32,
}

/// Overwrites `c`.
///
/// # Safety
/// All of [`Matrices`] must be as it says.
#[inline(always)]
pub unsafe fn product<S: Bytes>(p: Matrices) {
    unsafe {
        let mut col = 0;
        while col < p.n {
            let mut row = 0;
            while row < p.m {
                tile::<S>(&p, row, col);
                row += ROWS;
            }
            col += REGISTERS * S::LANES;
        }
    }
}

#[inline(always)]
unsafe fn tile<S: Bytes>(p: &Matrices, row: usize, col: usize) {
    unsafe {
        let mut acc = [[S::nothing(); REGISTERS]; ROWS];
        let a = p.a.add(row * p.stride);
        let mut j = 0;
        while j < p.k {
            let b = p.b.add(j * p.n + col);
            for v in 0..REGISTERS {
                let b = S::load_f(b.add(v * S::LANES));
                for i in 0..ROWS {
                    acc[i][v] = S::mul_add(S::splat_f(a.add(i * p.stride + j)), b, acc[i][v]);
                }
            }
            j += 1;
        }
        for i in 0..ROWS {
            for v in 0..REGISTERS {
                S::store(p.c.add((row + i) * p.n + col + v * S::LANES), acc[i][v]);
            }
        }
    }
}
