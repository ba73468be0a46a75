//! What a decoder layer does between its products: RMSNorm, rotary positions, attention over the cache, SwiGLU. Plain slices of
//! f32; loops are written in groups of 8 sums so that the compiler vectorises them.
//!
//! Every function works row by row, so that a row's result does not depend on the rows beside it (see [`super::blocks`]).

use super::attend::{self, Room};
use super::math::{exp_negative, silu};
use super::share;
use super::simd::{Base, Simd};

/// Width of a group of sums.
const GROUP: usize = 8;

/// Root-mean-square norm of rows of `gain.len()` values: `x / √(mean(x²) + epsilon) · gain`.
pub fn rms_norm(x: &[f32], gain: &[f32], epsilon: f32, out: &mut Vec<f32>) {
    let k = gain.len();
    out.resize(x.len() / k * k, 0.0);
    rows(out, k, |i, out| {
        let row = &x[i * k..][..k];
        let scale = 1.0 / (dot(row, row) / k as f32 + epsilon).sqrt();
        out.iter_mut().zip(row).zip(gain).for_each(|((y, v), g)| *y = v * scale * g);
    });
}

/// Calls with every row of `k` values, on as many threads as easy work of that size is worth.
fn rows(all: &mut [f32], k: usize, row: impl Fn(usize, &mut [f32]) + Sync) {
    let work = share::EASY * all.len();
    let each = (all.len() / k.max(1)).div_ceil(4 * share::threads_for(work)).max(1);
    share::pieces(all, each * k, &mut share::rooms(work, || ()), |(), i, some| {
        some.chunks_exact_mut(k).enumerate().for_each(|(j, out)| row(i * each + j, out));
    });
}

/// `Σ a · b`.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut acc = [0.0f32; GROUP];
    let (a, a_rest) = a.as_chunks::<GROUP>();
    let (b, b_rest) = b.as_chunks::<GROUP>();
    for (a, b) in a.iter().zip(b) {
        for i in 0..GROUP {
            acc[i] += a[i] * b[i];
        }
    }
    sum(acc) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[inline(always)]
fn sum(v: [f32; GROUP]) -> f32 {
    ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
}

/// Sines and cosines of some positions, `[t, head / 2]` each.
pub struct Rotary {
    half: usize,
    sin: Vec<f32>,
    cos: Vec<f32>,
}

impl Rotary {
    /// Positions `start .. start + t` of heads of `head` values.
    pub fn new(start: usize, t: usize, head: usize, theta: f32) -> Self {
        let half = head / 2;
        let frequencies: Vec<f64> = (0..half).map(|i| f64::from(theta).powf(-2.0 * i as f64 / head as f64)).collect();
        let angles = (start..start + t).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
        let (sin, cos) = angles.map(|a| (a.sin() as f32, a.cos() as f32)).unzip();
        Self { half, sin, cos }
    }

    /// Rotates one head of position `p` (counted from `start`) by halves, times `scale`.
    pub fn rotate(&self, x: &[f32], p: usize, scale: f32, out: &mut [f32]) {
        let h = self.half;
        let (sin, cos) = (&self.sin[p * h..][..h], &self.cos[p * h..][..h]);
        let ((low, high), (out_low, out_high)) = (x.split_at(h), out.split_at_mut(h));
        for i in 0..h {
            out_low[i] = (low[i] * cos[i] - high[i] * sin[i]) * scale;
            out_high[i] = (high[i] * cos[i] + low[i] * sin[i]) * scale;
        }
    }
}

/// Attention of `R` query heads of one position over the first `length` keys and values of the key head they share.
///
/// # Arguments
/// - `q`: `[R, head]`, rotated, scaled by `1 / √head`; `keys`, `values`: `[≥ length, head]`, `head` a multiple of 16.
/// - `scores`: room for work.
/// - `out`: `[R, head]`, overwritten.
fn of_one<const R: usize>(q: &[f32], keys: &[f32], values: &[f32], length: usize, scores: &mut Vec<f32>, out: &mut [f32]) {
    const WIDE: usize = 2 * GROUP;
    let head = q.len() / R;
    assert!(head.is_multiple_of(Base::LANES) && keys.len() >= length * head);
    scores.clear();
    scores.resize(length * R, 0.0);
    // Four keys at a time, so that four sums across registers are taken together. Head after head, so that the soft-max runs over
    // neighbours.
    for j in (0..length).step_by(4) {
        // Behind the last key it is repeated.
        let four: [*const f32; 4] = std::array::from_fn(|i| keys[(j + i).min(length - 1) * head..][..head].as_ptr());
        // SAFETY: the keys and `q` hold `head` values each, whole registers of them.
        let sums = unsafe { dots::<Base, R>(q.as_ptr(), four, head) };
        for r in 0..R {
            let count = 4.min(length - j);
            scores[r * length + j..][..count].copy_from_slice(&sums[r][..count]);
        }
    }
    let mut scale = [0.0f32; R];
    for (row, scale) in scores.chunks_exact_mut(length).zip(&mut scale) {
        *scale = 1.0 / soft_max(row);
    }
    for at in (0..head).step_by(WIDE) {
        let mut acc = [[0.0f32; WIDE]; R];
        for (j, value) in values.chunks_exact(head).take(length).enumerate() {
            let value: &[f32; WIDE] = value[at..].first_chunk().expect("heads come in groups of 16");
            for r in 0..R {
                let p = scores[r * length + j];
                for i in 0..WIDE {
                    acc[r][i] += p * value[i];
                }
            }
        }
        for r in 0..R {
            for i in 0..WIDE {
                out[r * head + at + i] = acc[r][i] * scale[r];
            }
        }
    }
}

/// `q [R, head]` times four keys of `head` values.
#[inline(always)]
unsafe fn dots<S: Simd, const R: usize>(q: *const f32, keys: [*const f32; 4], head: usize) -> [[f32; 4]; R] {
    unsafe {
        let mut acc = [[S::splat(0.0); 4]; R];
        for c in (0..head).step_by(S::LANES) {
            let keys = keys.map(|k| S::load(k.add(c)));
            for r in 0..R {
                let q = S::load(q.add(r * head + c));
                for i in 0..4 {
                    acc[r][i] = S::mul_add(q, keys[i], acc[r][i]);
                }
            }
        }
        acc.map(|v| S::sums(v))
    }
}

/// `e^(x - max x)` in place; returns the sum.
pub(super) fn soft_max(row: &mut [f32]) -> f32 {
    let mut top = [f32::NEG_INFINITY; GROUP];
    let (groups, rest) = row.as_chunks::<GROUP>();
    for g in groups {
        for i in 0..GROUP {
            top[i] = if g[i] > top[i] { g[i] } else { top[i] };
        }
    }
    let top = top.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max);
    let mut acc = [0.0f32; GROUP];
    let (groups, rest) = row.as_chunks_mut::<GROUP>();
    for g in groups {
        for i in 0..GROUP {
            g[i] = exp_negative(g[i] - top);
            acc[i] += g[i];
        }
    }
    let mut total = sum(acc);
    for v in rest {
        *v = exp_negative(*v - top);
        total += *v;
    }
    total
}

/// Sizes of a layer's attention.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv: usize,
    /// Width of a head, a multiple of 16.
    pub head: usize,
    /// Positions that the cache has room for.
    pub capacity: usize,
}

/// Causal attention of `t` new positions that follow `start` known ones.
///
/// Keys are rotated and written with the values into the cache, `[kv, capacity, head]` each, at `start ..`; then each position attends to
/// itself and all before it.
///
/// # Arguments
/// `q [t, heads · head]`, `k` and `v` `[t, kv · head]`, not rotated.
///
/// # Returns
/// `[t, heads · head]`
pub fn attention([q, k, v]: [&[f32]; 3], at: &Rotary, start: usize, sizes: Heads, keys: &mut [f32], values: &mut [f32]) -> Vec<f32> {
    let Heads { heads, kv, head, capacity } = sizes;
    let (t, repeat) = (k.len() / (kv * head), heads / kv);
    assert!(start + t <= capacity && keys.len() == kv * capacity * head && values.len() == keys.len());
    assert!(q.len() == t * heads * head && v.len() == k.len() && head.is_multiple_of(2 * GROUP) && repeat * kv == heads);
    for p in 0..t {
        for h in 0..kv {
            let to = (h * capacity + start + p) * head;
            at.rotate(&k[(p * kv + h) * head..][..head], p, 1.0, &mut keys[to..][..head]);
            values[to..][..head].copy_from_slice(&v[(p * kv + h) * head..][..head]);
        }
    }
    let (keys, values) = (&*keys, &*values);
    if t >= MANY {
        return of_many(q, at, start, sizes, keys, values);
    }
    let scale = 1.0 / (head as f32).sqrt();
    let mut out = vec![0.0; q.len()];
    let work = 2 * q.len() * (start + t.div_ceil(2));
    let mut rooms = share::rooms(work, || (vec![0.0; repeat * head], Vec::with_capacity((start + t) * repeat)));
    // A position's heads that share keys, one after another: `[t, kv]` jobs.
    share::pieces(&mut out, repeat * head, &mut rooms, |(rotated, scores): &mut (Vec<f32>, Vec<f32>), i, out| {
        let (p, h) = (i / kv, i % kv);
        let q = &q[i * repeat * head..][..repeat * head];
        for (q, to) in q.chunks_exact(head).zip(rotated.chunks_exact_mut(head)) {
            at.rotate(q, p, scale, to);
        }
        let (keys, values) = (&keys[h * capacity * head..], &values[h * capacity * head..]);
        let length = start + p + 1;
        match repeat {
            2 => of_one::<2>(rotated, keys, values, length, scores, out),
            3 => of_one::<3>(rotated, keys, values, length, scores, out),
            4 => of_one::<4>(rotated, keys, values, length, scores, out),
            _ => {
                for (q, out) in rotated.chunks_exact(head).zip(out.chunks_exact_mut(head)) {
                    of_one::<1>(q, keys, values, length, scores, out);
                }
            }
        }
    });
    out
}

/// New positions from which on attention is a product of matrices; that many are one job.
const MANY: usize = 16;

/// [`attention`] of many new positions, whose keys and values are in the cache already.
fn of_many(q: &[f32], at: &Rotary, start: usize, sizes: Heads, keys: &[f32], values: &[f32]) -> Vec<f32> {
    let Heads { heads, kv, head, capacity } = sizes;
    let (width, repeat) = (heads * head, heads / kv);
    let t = q.len() / width;
    let mut out = vec![0.0; q.len()];
    let work = 2 * q.len() * (start + t.div_ceil(2));
    let mut rooms = share::rooms(work, || (Room::new(start + t, head), vec![0.0; MANY * width]));
    share::pieces(&mut out, MANY * width, &mut rooms, |(room, rotated): &mut (Room, Vec<f32>), i, out| {
        let (first, count) = (i * MANY, out.len() / width);
        let turned = rotated.chunks_exact_mut(head).take(count * heads);
        for (j, (q, to)) in q[first * width..].chunks_exact(head).zip(turned).enumerate() {
            at.rotate(q, first + j / heads, 1.0, to);
        }
        let rotated = &*rotated;
        for h in 0..kv {
            // Query `j` is a position's, with all heads that share the keys one after another.
            let place = |j: usize| (j / repeat * heads + h * repeat + j % repeat) * head;
            let of = |part: usize, j: usize| match part {
                0 => &rotated[place(j)..][..head],
                1 => &keys[(h * capacity + j) * head..][..head],
                _ => &values[(h * capacity + j) * head..][..head],
            };
            let before = start + first + 1;
            attend::attend(
                [count * repeat, start + first + count, head],
                of,
                None,
                |j| before + j / repeat,
                room,
                |j, row| {
                    out[place(j)..][..head].copy_from_slice(row);
                },
            );
        }
    });
    out
}

/// `silu(gate) · up`, into `gate`.
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    /// Values at a time.
    const SOME: usize = 512;
    let whole = gate.len() / SOME * SOME;
    let (some, rest) = gate.split_at_mut(whole);
    let join = |gate: &mut [f32], up: &[f32]| gate.iter_mut().zip(up).for_each(|(g, u)| *g = silu(*g) * u);
    rows(some, SOME, |i, gate| join(gate, &up[i * SOME..][..SOME]));
    join(rest, &up[whole..]);
}

/// `y [m, n] += scale · (x [m, k] · a [k, r]) · b [r, n]`: a low-rank adapter.
pub fn low_rank(x: &[f32], a: &[f32], b: &[f32], [k, r, n]: [usize; 3], scale: f32, y: &mut [f32]) {
    assert!(a.len() == k * r && b.len() == r * n && x.len() / k == y.len() / n);
    let work = 2 * x.len() * r + y.len() * r;
    let each = (y.len() / n).div_ceil(4 * share::threads_for(work)).max(1);
    share::pieces(y, each * n, &mut share::rooms(work, || vec![0.0; r]), |narrow, i, y| {
        for (x, y) in x[i * each * k..].chunks_exact(k).zip(y.chunks_exact_mut(n)) {
            narrow.fill(0.0);
            for (x, a) in x.iter().zip(a.chunks_exact(r)) {
                narrow.iter_mut().zip(a).for_each(|(s, a)| *s += x * a);
            }
            for (s, b) in narrow.iter().zip(b.chunks_exact(n)) {
                let s = s * scale;
                y.iter_mut().zip(b).for_each(|(y, b)| *y += s * b);
            }
        }
    });
}

/// `y += x`.
pub fn add(y: &mut [f32], x: &[f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
}
