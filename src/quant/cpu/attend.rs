//! Attention of many queries over as many keys: windows of an image, all tokens of a sequence at once, or the tokens of a prompt.
//!
//! Keys are laid out transposed, so that both products run over neighbours in registers without sums across them; queries are taken in
//! groups whose scores stay in the first-level cache.

use super::Isa;
use super::decoder::soft_max;
#[cfg(target_arch = "wasm32")]
use super::relaxed::{self, floats::Matrices};
use super::simd::{Base, Simd};

/// Queries whose scores are held at once.
const GROUP: usize = 32;
/// Rows of a tile.
const ROWS: usize = 4;

/// Memory for one call after another.
#[derive(Default)]
pub struct Room {
    q: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
}

impl Room {
    /// Room for keys of `d` values, `n` of them, so that [`attend`] allocates nothing.
    pub fn new(n: usize, d: usize) -> Self {
        let step = 2 * Isa::detect().lanes();
        let (wide, deep) = (n.next_multiple_of(step), d.next_multiple_of(step));
        let [q, keys, values, scores, mixed] = [GROUP * d, d * wide, n * deep, GROUP * wide, GROUP * deep].map(Vec::with_capacity);
        Self { q, keys, values, scores, mixed }
    }
}

/// One head: `softmax(q · kᵀ / √d + bias) · v` of `m` queries over `n` keys, of which each sees the first few or all.
///
/// # Arguments
/// - `of(part, i)`: query (0), key (1) or value (2) number `i`, `[d]`.
/// - `bias`: `[m, n]`.
/// - `reach(i)`: how many keys query `i` sees, 1..=n.
/// - `out(i, row)`: takes the result of query `i`, `[d]`.
pub fn attend<'a>(
    [m, n, d]: [usize; 3],
    of: impl Fn(usize, usize) -> &'a [f32],
    bias: Option<&[f32]>,
    reach: impl Fn(usize) -> usize,
    room: &mut Room,
    mut out: impl FnMut(usize, &[f32]),
) {
    assert!(bias.is_none_or(|b| b.len() == m * n));
    let isa = Isa::detect();
    let step = 2 * isa.lanes();
    let (wide, deep) = (n.next_multiple_of(step), d.next_multiple_of(step));
    let Room { q, keys, values, scores, mixed } = room;
    for (v, len) in [(&mut *keys, d * wide), (&mut *values, n * deep), (&mut *q, GROUP * d), (&mut *scores, GROUP * wide)] {
        v.clear();
        v.resize(len, 0.0);
    }
    mixed.clear();
    mixed.resize(GROUP * deep, 0.0);
    for j in 0..n {
        of(1, j).iter().enumerate().for_each(|(i, v)| keys[i * wide + j] = *v);
        values[j * deep..][..d].copy_from_slice(of(2, j));
    }
    let scale = 1.0 / (d as f32).sqrt();
    for first in (0..m).step_by(GROUP) {
        let count = GROUP.min(m - first);
        for r in 0..count {
            q[r * d..][..d].iter_mut().zip(of(0, first + r)).for_each(|(to, v)| *to = v * scale);
        }
        // Whole tiles: what lies behind the last query is not read again.
        let rows = count.next_multiple_of(ROWS);
        product(isa, [rows, d, wide], (q, d), keys, scores);
        let mut scales = [0.0f32; GROUP];
        for r in 0..count {
            let row = &mut scores[r * wide..][..n];
            if let Some(bias) = bias {
                row.iter_mut().zip(&bias[(first + r) * n..][..n]).for_each(|(s, b)| *s += b);
            }
            let (seen, hidden) = row.split_at_mut(reach(first + r));
            scales[r] = 1.0 / soft_max(seen);
            hidden.fill(0.0);
        }
        product(isa, [rows, n, deep], (scores, wide), values, mixed);
        for r in 0..count {
            let row = &mut mixed[r * deep..][..d];
            row.iter_mut().for_each(|v| *v *= scales[r]);
            out(first + r, row);
        }
    }
}

/// `c [m, n] = a [m, k] · b [k, n]`, rows of `a` being `stride` apart; `m` a multiple of [`ROWS`], `n` of two registers.
pub(super) fn product(isa: Isa, [m, k, n]: [usize; 3], (a, stride): (&[f32], usize), b: &[f32], c: &mut [f32]) {
    assert!(m.is_multiple_of(ROWS) && n.is_multiple_of(2 * isa.lanes()) && stride >= k);
    assert!(a.len() >= m * stride && b.len() >= k * n && c.len() >= m * n);
    // SAFETY: sizes were checked, `isa` was detected.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => product_512([m, k, n], (a, stride), b, c),
            #[cfg(target_arch = "wasm32")]
            Isa::Relaxed => relaxed::product(Matrices { m, k, n, a: a.as_ptr(), stride, b: b.as_ptr(), c: c.as_mut_ptr() }),
            _ => tiles::<Base>([m, k, n], (a, stride), b, c),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn product_512(sizes: [usize; 3], a: (&[f32], usize), b: &[f32], c: &mut [f32]) {
    unsafe { tiles::<super::simd::x86::Avx512>(sizes, a, b, c) }
}

#[inline(always)]
unsafe fn tiles<S: Simd>([m, k, n]: [usize; 3], (a, stride): (&[f32], usize), b: &[f32], c: &mut [f32]) {
    for col in (0..n).step_by(2 * S::LANES) {
        for row in (0..m).step_by(ROWS) {
            unsafe {
                let mut acc = [[S::splat(0.0); 2]; ROWS];
                let a = a.as_ptr().add(row * stride);
                for j in 0..k {
                    let b = b.as_ptr().add(j * n + col);
                    let b = [S::load(b), S::load(b.add(S::LANES))];
                    for i in 0..ROWS {
                        let v = S::splat(*a.add(i * stride + j));
                        acc[i][0] = S::mul_add(b[0], v, acc[i][0]);
                        acc[i][1] = S::mul_add(b[1], v, acc[i][1]);
                    }
                }
                for i in 0..ROWS {
                    let c = c.as_mut_ptr().add((row + i) * n + col);
                    S::store(c, acc[i][0]);
                    S::store(c.add(S::LANES), acc[i][1]);
                }
            }
        }
    }
}
