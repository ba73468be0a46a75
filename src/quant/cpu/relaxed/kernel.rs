//! The product with a packed weight on bytes: four multiply-adds a lane and instruction, where pairs of 16 bits give two.
//!
//! `i32x4.relaxed_dot_i8x16_i7x16_add_s` multiplies signed bytes with bytes of 7 bits, which is exact on every machine. Each activation
//! is two such digits: against 4-bit weights (the 7-bit side) `a = 128·h + l`, `h` and `l` signed; against 8-bit weights (the signed side)
//! `a = 128·h + l − 8192`, `h` and `l` of 7 bits, and the sum of the weights takes the offset off again. So sums of products are exact
//! here, too, of activations rounded to 15 and 14 bits of their block's largest.
//!
//! This file is compiled twice: into the crate, where tests run it on plain arrays, and by `build.rs` into a module of its own, because
//! engines that do not know the instruction refuse a module that holds it. There it has no stack, no data and no library: nothing but
//! pointers into the memory of the module that calls it.

/// Inputs that share a scale.
const BLOCK: usize = 32;
/// Words of digits of one row and block.
pub const DIGITS: usize = 16;

/// Where weights, inputs and outputs lie; plain numbers, so that it crosses between modules.
#[derive(Clone, Copy)]
pub struct Panel {
    /// Words `[k · bits / 32, n]`, scales and minima `[k / 32, n]`.
    pub words: *const i32,
    pub scales: *const f32,
    pub mins: *const f32,
    pub k: usize,
    pub n: usize,
    /// Outputs `from .. from + len`.
    pub from: usize,
    pub len: usize,
    /// Digits `[rows, k / 32, 16]`, scales and sums of the inputs `[rows, k / 32]`.
    pub digits: *const i32,
    pub steps: *const f32,
    pub sums: *const f32,
    /// Rows.
    pub count: usize,
    /// `[count, len]`, added to.
    pub out: *mut f32,
    /// Room for `8 · len` words, used where there are [`MANY`] rows: eight halves of four bytes at 4 bits, the sum of the weights at 8.
    pub room: *mut i32,
}

/// Rows from which on a block's weights are prepared once for all of them.
pub const MANY: usize = 4;

/// One register of bytes in 32-bit lanes.
#[allow(clippy::missing_safety_doc, reason = "pointers to LANES values, as Panel says")]
pub trait Bytes {
    const LANES: usize;
    type I: Copy;
    type F: Copy;
    unsafe fn load(from: *const i32) -> Self::I;
    unsafe fn splat(from: *const i32) -> Self::I;
    fn constant(v: i32) -> Self::I;
    /// The low and the high half of every byte.
    fn low(v: Self::I) -> Self::I;
    fn high(v: Self::I) -> Self::I;
    /// `sum + Σ of 4 signed · seven`, in every lane.
    fn dot(sum: Self::I, signed: Self::I, seven: Self::I) -> Self::I;
    /// `128 · h + l − 8192 · offset`, as floats.
    fn join(h: Self::I, l: Self::I, offset: Self::I) -> Self::F;
    /// Zeros.
    fn nothing() -> Self::F;
    unsafe fn load_f(from: *const f32) -> Self::F;
    unsafe fn splat_f(from: *const f32) -> Self::F;
    unsafe fn store(to: *mut f32, v: Self::F);
    unsafe fn store_i(to: *mut i32, v: Self::I);
    /// `a · b + c`, rounded once or twice.
    fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    fn mul(a: Self::F, b: Self::F) -> Self::F;
}

/// Adds a panel of outputs to `out`, for weights of `B` bits.
///
/// # Safety
/// All of [`Panel`] must be as it says.
#[inline(always)]
pub unsafe fn panel<S: Bytes, const B: usize>(p: Panel) {
    unsafe {
        let blocks = p.k / BLOCK;
        let mut block = 0;
        while block < blocks {
            if p.count < MANY {
                let mut row = 0;
                while row + 2 <= p.count {
                    strip::<S, B, 2, 2, false>(&p, row, block);
                    row += 2;
                }
                if row < p.count {
                    strip::<S, B, 1, 4, false>(&p, row, block);
                }
            } else {
                prepare::<S, B>(&p, block);
                let mut row = 0;
                while row < p.count {
                    // As many rows as leave their sums in the machine's 16 registers. Of four that are left two and two, because one
                    // alone takes almost as long as two.
                    row += match p.count - row {
                        1 => {
                            strip::<S, B, 1, 4, true>(&p, row, block);
                            1
                        }
                        2 | 4 => {
                            strip::<S, B, 2, 2, true>(&p, row, block);
                            2
                        }
                        _ => {
                            strip::<S, B, 3, 2, true>(&p, row, block);
                            3
                        }
                    };
                }
            }
            block += 1;
        }
    }
}

/// What the rows of a panel share of a block: its 4-bit weights unpacked, or the sums of its 8-bit weights. Whole registers only.
#[inline(always)]
unsafe fn prepare<S: Bytes, const B: usize>(p: &Panel, block: usize) {
    unsafe {
        let mut col = 0;
        while col + S::LANES <= p.len {
            let words = p.words.add(block * B * p.n + p.from + col);
            let mut total = S::constant(0);
            for r in 0..B {
                let word = S::load(words.add(r * p.n));
                if B == 4 {
                    S::store_i(p.room.add(2 * r * p.len + col), S::low(word));
                    S::store_i(p.room.add((2 * r + 1) * p.len + col), S::high(word));
                } else {
                    total = S::dot(total, word, S::constant(0x0101_0101));
                }
            }
            if B == 8 {
                S::store_i(p.room.add(col), total);
            }
            col += S::LANES;
        }
    }
}

/// One block of `M` rows, all columns: `N` registers at a time, then one, then single outputs.
#[inline(always)]
unsafe fn strip<S: Bytes, const B: usize, const M: usize, const N: usize, const READY: bool>(p: &Panel, row: usize, block: usize) {
    unsafe {
        let mut col = 0;
        while col + N * S::LANES <= p.len {
            tile::<S, B, M, N, READY>(p, row, block, col);
            col += N * S::LANES;
        }
        while col + S::LANES <= p.len {
            tile::<S, B, M, 1, READY>(p, row, block, col);
            col += S::LANES;
        }
        while col < p.len {
            tile::<Plain, B, M, 1, false>(p, row, block, col);
            col += 1;
        }
    }
}

/// `M` rows × `N` registers of outputs from `col` on; `READY`: [`prepare`] has seen the block.
#[inline(always)]
unsafe fn tile<S: Bytes, const B: usize, const M: usize, const N: usize, const READY: bool>(
    p: &Panel,
    row: usize,
    block: usize,
    col: usize,
) {
    unsafe {
        let blocks = p.k / BLOCK;
        let zero = S::constant(0);
        let (mut high, mut low, mut total) = ([[zero; N]; M], [[zero; N]; M], [zero; N]);
        let words = p.words.add(block * B * p.n + p.from + col);
        let digits = p.digits.add((row * blocks + block) * DIGITS);
        for r in 0..B {
            for v in 0..N {
                let at = r * p.n + v * S::LANES;
                if B == 4 {
                    let halves = if READY {
                        [0, 1].map(|j| S::load(p.room.add((2 * r + j) * p.len + col + v * S::LANES)))
                    } else {
                        let word = S::load(words.add(at));
                        [S::low(word), S::high(word)]
                    };
                    for i in 0..M {
                        let d = digits.add(i * blocks * DIGITS + r * 4);
                        for j in 0..2 {
                            high[i][v] = S::dot(high[i][v], S::splat(d.add(2 * j)), halves[j]);
                            low[i][v] = S::dot(low[i][v], S::splat(d.add(2 * j + 1)), halves[j]);
                        }
                    }
                } else {
                    let word = S::load(words.add(at));
                    if !READY {
                        total[v] = S::dot(total[v], word, S::constant(0x0101_0101));
                    }
                    for i in 0..M {
                        let d = digits.add(i * blocks * DIGITS + r * 2);
                        high[i][v] = S::dot(high[i][v], word, S::splat(d));
                        low[i][v] = S::dot(low[i][v], word, S::splat(d.add(1)));
                    }
                }
            }
        }
        let at = block * p.n + p.from + col;
        for v in 0..N {
            if B == 8 && READY {
                total[v] = S::load(p.room.add(col + v * S::LANES));
            }
            let scale = S::load_f(p.scales.add(at + v * S::LANES));
            for i in 0..M {
                let to = p.out.add((row + i) * p.len + col + v * S::LANES);
                let of = (row + i) * blocks + block;
                let sum = S::mul(S::join(high[i][v], low[i][v], total[v]), S::splat_f(p.steps.add(of)));
                let mut y = S::mul_add(sum, scale, S::load_f(to));
                if B == 4 {
                    y = S::mul_add(S::load_f(p.mins.add(at + v * S::LANES)), S::splat_f(p.sums.add(of)), y);
                }
                S::store(to, y);
            }
        }
    }
}

/// One output, for any machine.
pub struct Plain;

impl Bytes for Plain {
    const LANES: usize = 1;
    type I = i32;
    type F = f32;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> i32 {
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn splat(from: *const i32) -> i32 {
        unsafe { *from }
    }
    #[inline(always)]
    fn constant(v: i32) -> i32 {
        v
    }
    #[inline(always)]
    fn low(v: i32) -> i32 {
        v & 0x0F0F_0F0F
    }
    #[inline(always)]
    fn high(v: i32) -> i32 {
        v >> 4 & 0x0F0F_0F0F
    }
    #[inline(always)]
    fn dot(sum: i32, signed: i32, seven: i32) -> i32 {
        let mut all = sum;
        let mut at = 0;
        while at < 32 {
            all += i32::from((signed >> at) as i8) * (seven >> at & 0x7F);
            at += 8;
        }
        all
    }
    #[inline(always)]
    fn join(h: i32, l: i32, offset: i32) -> f32 {
        (128 * h + l - 8192 * offset) as f32
    }
    #[inline(always)]
    fn nothing() -> f32 {
        0.0
    }
    #[inline(always)]
    unsafe fn load_f(from: *const f32) -> f32 {
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn splat_f(from: *const f32) -> f32 {
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: f32) {
        unsafe { *to = v }
    }
    #[inline(always)]
    unsafe fn store_i(to: *mut i32, v: i32) {
        unsafe { *to = v }
    }
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
    #[inline(always)]
    fn mul(a: f32, b: f32) -> f32 {
        a * b
    }
}
