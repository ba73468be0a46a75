//! Products of float matrices in 16-bit fixed point: `y = x · W + bias`, for many rows.
//!
//! Rows of `x` are rounded to 14 bits (`±8191` of the row's largest), columns of `W` to 13 (`±4095` of the column's largest), when they
//! are used: no second copy of a weight is kept, and what is trained in f32 runs as it is. Sums of 64 products stay below 2^31 and are
//! exact, longer ones are collected in f32. Against f32 this has twice the multiply-adds per instruction; what is lost, 6e-5 of the row's
//! and 1.2e-4 of the column's largest in each term, averages out to some 2e-4 of the result's size.

use super::Isa;
use super::math::{LEAST, largest, pair, round16};
use super::share;
use super::simd::{Base, Simd};

/// Largest rounded activation and weight: 64 · 8191 · 4095 < 2^31.
const TOP_X: f32 = 8191.0;
const TOP_W: f32 = 4095.0;
/// Pairs of inputs whose products are summed in integers.
const CHUNK: usize = 32;
/// Rows of a tile; what is done together has a multiple of them.
const ROWS: usize = 4;
/// Values that are rounded together.
const GROUP: usize = 16;
/// Bytes of activations that pass over all panels while they are in the second-level cache.
const PASS: usize = 256 * 1024;

/// Where a weight `[k, n]` lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Inputs × outputs, row-major.
    InOut,
    /// Outputs × inputs, row-major (convolutions).
    OutIn,
}

/// A rounded weight: panels of `width` outputs, `[n / width][k / 2][width]` pairs of inputs.
pub struct Weight {
    isa: Isa,
    k: usize,
    n: usize,
    width: usize,
    pairs: Vec<i32>,
    /// `[n]`, filled up to whole panels.
    scales: Vec<f32>,
}

impl Weight {
    /// Inputs and outputs.
    pub fn dims(&self) -> [usize; 2] {
        [self.k, self.n]
    }

    /// Rounds `w [k, n]`.
    pub fn new(w: &[f32], k: usize, n: usize, order: Order) -> Self {
        assert_eq!(w.len(), k * n);
        let isa = Isa::detect();
        let width = 2 * isa.lanes();
        let (panels, half) = (n.div_ceil(width), k.div_ceil(2));
        let mut tops = vec![0.0f32; panels * width];
        match order {
            Order::InOut => {
                // As in `largest`: bit patterns without the sign are in the order of the values.
                let mut bits = vec![0u32; n];
                w.chunks_exact(n).for_each(|row| bits.iter_mut().zip(row).for_each(|(t, v)| *t = (*t).max(v.to_bits() & 0x7FFF_FFFF)));
                tops.iter_mut().zip(bits).for_each(|(t, b)| *t = f32::from_bits(b));
            }
            Order::OutIn => tops.iter_mut().zip(w.chunks_exact(k)).for_each(|(t, row)| *t = largest(row)),
        }
        let inverse: Vec<f32> = tops.iter().map(|t| if *t > LEAST && t.is_finite() { TOP_W / t } else { 0.0 }).collect();
        let mut pairs = vec![0i32; panels * half * width];
        match order {
            Order::InOut => {
                for (p, panel) in pairs.chunks_exact_mut(half * width).enumerate() {
                    let (from, len) = (p * width, width.min(n - p * width));
                    let inverse = &inverse[from..][..len];
                    for (i, to) in panel.chunks_exact_mut(width).enumerate() {
                        let low = &w[2 * i * n + from..][..len];
                        if 2 * i + 1 < k {
                            let high = &w[(2 * i + 1) * n + from..][..len];
                            for c in 0..len {
                                to[c] = pair(round16(low[c], inverse[c]), round16(high[c], inverse[c]));
                            }
                        } else {
                            for c in 0..len {
                                to[c] = pair(round16(low[c], inverse[c]), 0);
                            }
                        }
                    }
                }
            }
            Order::OutIn => {
                for (c, row) in w.chunks_exact(k).enumerate() {
                    let to = &mut pairs[c / width * half * width + c % width..];
                    for (i, v) in row.chunks(2).enumerate() {
                        let high = v.get(1).map_or(0, |v| round16(*v, inverse[c]));
                        to[i * width] = pair(round16(v[0], inverse[c]), high);
                    }
                }
            }
        }
        // A column that holds no number gives none.
        let scales = tops.into_iter().map(|t| if t.is_finite() { t / TOP_W } else { f32::NAN }).collect();
        Self { isa, k, n, width, pairs, scales }
    }
}

/// Rounded rows.
pub struct Rows {
    k: usize,
    /// `[m, k / 2]`, `m` filled up to a multiple of [`ROWS`].
    pairs: Vec<i32>,
    scales: Vec<f32>,
    patch: Vec<f32>,
}

impl Rows {
    /// Room for rows of `k` values.
    pub fn new(k: usize, m: usize) -> Self {
        let m = m.next_multiple_of(ROWS);
        Self { k, pairs: Vec::with_capacity(m * k.div_ceil(2)), scales: Vec::with_capacity(m), patch: vec![0.0; k] }
    }

    fn clear(&mut self) {
        self.pairs.clear();
        self.scales.clear();
    }

    /// Rounds one more row of `k` values.
    pub fn push(&mut self, row: &[f32]) {
        debug_assert_eq!(row.len(), self.k);
        let top = largest(row);
        let inverse = if top > LEAST && top.is_finite() { TOP_X / top } else { 0.0 };
        // First all values of a group, then all pairs: both loops are vectorised.
        let (groups, rest) = row.as_chunks::<GROUP>();
        for group in groups {
            let q: [u32; GROUP] = std::array::from_fn(|i| round16(group[i], inverse));
            self.pairs.extend_from_slice(&std::array::from_fn::<i32, { GROUP / 2 }, _>(|i| pair(q[2 * i], q[2 * i + 1])));
        }
        let (whole, rest) = rest.as_chunks::<2>();
        self.pairs.extend(whole.iter().map(|[low, high]| pair(round16(*low, inverse), round16(*high, inverse))));
        self.pairs.extend(rest.iter().map(|v| pair(round16(*v, inverse), 0)));
        self.scales.push(if top.is_finite() { top / TOP_X } else { f32::NAN });
    }

    /// Rounds one more row, which `write` puts together; it finds there what was written last.
    pub fn push_with(&mut self, write: impl FnOnce(&mut [f32])) {
        let mut patch = std::mem::take(&mut self.patch);
        write(&mut patch);
        self.push(&patch);
        self.patch = patch;
    }

    fn fill(&mut self) {
        let m = self.scales.len().next_multiple_of(ROWS);
        self.pairs.resize(m * self.k.div_ceil(2), 0);
        self.scales.resize(m, 0.0);
    }
}

/// Rows `[m, k]` times a weight, plus a bias `[n]`; every finished row (a mutable slice of `n` values) passes through `finish` with its
/// number.
///
/// # Arguments
/// - `fill`: rounds row `i` into the rows given ([`Rows::push`]).
/// - `out`: `[m, n]`, overwritten.
pub fn product(
    m: usize,
    w: &Weight,
    bias: Option<&[f32]>,
    fill: impl Fn(usize, &mut Rows) + Sync,
    finish: impl Fn(usize, &mut [f32]) + Sync,
    out: &mut [f32],
) {
    assert_eq!(out.len(), m * w.n);
    assert!(bias.is_none_or(|b| b.len() == w.n));
    if m == 0 || w.n == 0 {
        return;
    }
    let pass = (PASS / (2 * w.k.max(1))).clamp(ROWS, m.max(ROWS)).next_multiple_of(ROWS);
    let work = m * w.k * w.n;
    let pass = pass.min(m.div_ceil(share::threads_for(work)).next_multiple_of(ROWS));
    let mut rooms = share::rooms(work, || Rows::new(w.k, pass));
    share::pieces(out, pass * w.n, &mut rooms, |rows, i, out| {
        let (from, count) = (i * pass, out.len() / w.n);
        rows.clear();
        (from..from + count).for_each(|i| fill(i, rows));
        assert_eq!(rows.scales.len(), count, "one row each");
        rows.fill();
        tiles(rows, count, w, bias, out);
        out.chunks_exact_mut(w.n).enumerate().for_each(|(i, row)| finish(from + i, row));
    });
}

fn tiles(x: &Rows, m: usize, w: &Weight, bias: Option<&[f32]>, out: &mut [f32]) {
    // SAFETY: `isa` was detected when the weight was made, and gave its width; rows were filled up to whole tiles.
    unsafe {
        match w.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => tiles_512(x, m, w, bias, out),
            _ => all::<Base>(x, m, w, bias, out),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn tiles_512(x: &Rows, m: usize, w: &Weight, bias: Option<&[f32]>, out: &mut [f32]) {
    unsafe { all::<super::simd::x86::Avx512>(x, m, w, bias, out) }
}

/// Panel by panel, tiles of [`ROWS`] rows × 2 registers.
#[inline(always)]
unsafe fn all<S: Simd>(x: &Rows, m: usize, w: &Weight, bias: Option<&[f32]>, out: &mut [f32]) {
    let half = w.k.div_ceil(2);
    let mut last = [0.0f32; 64];
    for (p, panel) in w.pairs.chunks_exact((half * w.width).max(1)).enumerate() {
        let (from, len) = (p * w.width, w.width.min(w.n - p * w.width));
        let shift: [f32; 64] = std::array::from_fn(|c| bias.and_then(|b| b[from..].get(c)).copied().unwrap_or(0.0));
        for row in (0..m).step_by(ROWS) {
            unsafe {
                let rows: [*const i32; ROWS] = std::array::from_fn(|i| x.pairs.as_ptr().add((row + i) * half));
                let mut sums = [[S::splat(0.0); 2]; ROWS];
                let mut at = 0;
                while at < half {
                    let end = half.min(at + CHUNK);
                    let mut acc = [[S::splat_i(0); 2]; ROWS];
                    for j in at..end {
                        let from = panel.as_ptr().add(j * w.width);
                        let q = [S::load_i(from), S::load_i(from.add(S::LANES))];
                        for i in 0..ROWS {
                            let v = S::splat_i(*rows[i].add(j));
                            acc[i][0] = S::dot(acc[i][0], q[0], v);
                            acc[i][1] = S::dot(acc[i][1], q[1], v);
                        }
                    }
                    for i in 0..ROWS {
                        for v in 0..2 {
                            sums[i][v] = S::add(sums[i][v], S::to_f(acc[i][v]));
                        }
                    }
                    at = end;
                }
                for i in 0..ROWS.min(m - row) {
                    let to = &mut out[(row + i) * w.n + from..][..len];
                    for v in 0..2 {
                        let scale = S::mul(S::load(w.scales.as_ptr().add(from + v * S::LANES)), S::splat(x.scales[row + i]));
                        let y = S::mul_add(sums[i][v], scale, S::load(shift.as_ptr().add(v * S::LANES)));
                        if len == w.width {
                            S::store(to.as_mut_ptr().add(v * S::LANES), y);
                        } else {
                            S::store(last.as_mut_ptr().add(v * S::LANES), y);
                        }
                    }
                    if len < w.width {
                        to.copy_from_slice(&last[..len]);
                    }
                }
            }
        }
    }
}
