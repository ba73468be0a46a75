//! The CPU's own kernels against plain loops in f64: convolutions, products in fixed point, attention, the decoder's parts. Products with
//! packed weights are in `quant_kernels.rs`.
//!
//! Tolerances. Fixed point rounds each activation to 1 in 16382 of its row's largest and each weight to 1 in 8190 of its column's; over k
//! terms of random sign the sum's error is √k times one term's, some 2e-4 of the largest output, and 1e-3 bounds it for these sizes.
//! Attention, norms and the depthwise convolution are f32 sums in another order: 1e-5.

mod noise;

use facext::quant::cpu::attend::{Room, attend};
use facext::quant::cpu::conv::{Shape, conv, depthwise, rounded};
use facext::quant::cpu::decoder::{Heads, Rotary, attention, low_rank, rms_norm, swiglu};
use facext::quant::cpu::fixed::{Order, Weight, product};
use facext::quant::cpu::{Packed, matmul};
use noise::noise;

/// Largest error over the largest value.
fn error(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let top = want.iter().fold(1e-30, |a: f64, v| a.max(v.abs()));
    got.iter().zip(want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / top
}

#[test]
fn fixed_point_products_agree_in_both_orders() {
    for (m, k, n) in [(1, 1, 1), (5, 27, 33), (9, 64, 40), (70, 129, 31), (33, 384, 96), (130, 576, 70)] {
        let (x, w, bias) = (noise(m * k, 5), noise(k * n, 9), noise(n, 11));
        for order in [Order::InOut, Order::OutIn] {
            let at = |i: usize, c: usize| f64::from(if order == Order::InOut { w[i * n + c] } else { w[c * k + i] });
            let want: Vec<f64> = (0..m * n)
                .map(|p| f64::from(bias[p % n]) + (0..k).map(|i| f64::from(x[p / n * k + i]) * at(i, p % n)).sum::<f64>())
                .collect();
            let mut y = vec![f32::NAN; m * n];
            let weight = Weight::new(&w, k, n, order);
            product(m, &weight, Some(&bias), |i, to| to.push(&x[i * k..][..k]), |_, _| (), &mut y);
            let e = error(&y, &want);
            assert!(e < 1e-3, "{m}x{k}x{n}: {e:e}");
            // What a row gives does not depend on the rows beside it, and `finish` sees every row once.
            let mut alone = vec![0.0; n];
            product(1, &weight, Some(&bias), |_, to| to.push(&x[(m - 1) * k..][..k]), |i, row| row[0] += 1.0 + i as f32, &mut alone);
            alone[0] -= 1.0;
            assert!((alone[0] - y[(m - 1) * n]).abs() < 1e-6 * (1.0 + y[(m - 1) * n].abs()));
            assert!(alone[1..] == y[(m - 1) * n + 1..]);
        }
    }
}

#[test]
fn what_is_not_a_number_does_not_become_one() {
    let (k, n) = (64, 40);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = noise(3 * k, 1);
        x[k + 7] = bad;
        let mut y = vec![0.0; 3 * n];
        product(3, &Weight::new(&noise(k * n, 2), k, n, Order::InOut), None, |i, to| to.push(&x[i * k..][..k]), |_, _| (), &mut y);
        assert!(y[n..2 * n].iter().all(|v| !v.is_finite()) && y[..n].iter().chain(&y[2 * n..]).all(|v| v.is_finite()));
        let (words, scales) = (vec![0x0101_0101; k / 4 * n], vec![0.5; k / 32 * n]);
        let w = Packed { bits: 8, k, n, words: &words, scales: &scales, mins: &scales };
        let y = matmul(&x, 3, w);
        assert!(y[n..2 * n].iter().all(|v| !v.is_finite()) && y[..n].iter().chain(&y[2 * n..]).all(|v| v.is_finite()));
        // A weight spoils its column.
        let mut w = noise(k * n, 2);
        w[5 * n + 3] = bad;
        let mut y = vec![0.0; n];
        product(1, &Weight::new(&w, k, n, Order::InOut), None, |_, to| to.push(&x[..k]), |_, _| (), &mut y);
        assert!(!y[3].is_finite() && y[..3].iter().chain(&y[4..]).all(|v| v.is_finite()));
    }
}

#[test]
fn a_row_of_a_packed_product_does_not_depend_on_the_rows_beside_it() {
    for (bits, k, n) in [(4, 96, 2100), (4, 64, 71), (8, 64, 300), (8, 576, 33)] {
        let words: Vec<i32> = noise(k * bits / 32 * n, 3).iter().map(|v| (v * 2e9) as i32).collect();
        let (scales, mins) = (noise(k / 32 * n, 4), noise(k / 32 * n, 6));
        let w = Packed { bits, k, n, words: &words, scales: &scales, mins: &mins };
        let x = noise(133 * k, 7);
        let all = matmul(&x, 133, w);
        for m in [1, 2, 3, 5, 9, 70] {
            assert!(matmul(&x[k..][..m * k], m, w) == all[n..][..m * n], "{bits} bits, {m} rows of {k}x{n}");
        }
    }
}

fn plain_conv(s: Shape, x: &[f32], weight: &[f32], bias: &[f32], deep: bool) -> Vec<f64> {
    let [h, w] = s.size;
    let ([rows, columns], kernel) = (s.out(), s.kernel);
    let mut out = Vec::new();
    for (b, y, x0) in (0..s.b).flat_map(|b| (0..rows).flat_map(move |y| (0..columns).map(move |x| (b, y, x)))) {
        for o in 0..s.c_out {
            let mut sum = f64::from(bias[o]);
            for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                let (iy, ix) = (y * s.stride + ky, x0 * s.stride + kx);
                if iy < s.padding || ix < s.padding || iy - s.padding >= h || ix - s.padding >= w {
                    continue;
                }
                let at = ((b * h + iy - s.padding) * w + ix - s.padding) * s.c_in;
                if deep {
                    sum += f64::from(x[at + o]) * f64::from(weight[(o * kernel + ky) * kernel + kx]);
                } else {
                    sum += (0..s.c_in)
                        .map(|c| f64::from(x[at + c]) * f64::from(weight[((o * s.c_in + c) * kernel + ky) * kernel + kx]))
                        .sum::<f64>();
                }
            }
            out.push(sum);
        }
    }
    out
}

#[test]
fn convolutions_agree_with_a_plain_loop() {
    let shape = |b, size, c_in, c_out, kernel, stride, padding| Shape { b, size, c_in, c_out, kernel, stride, padding };
    for s in [
        shape(1, [9, 7], 3, 8, 3, 2, 1),
        shape(2, [5, 6], 6, 5, 3, 1, 1),
        shape(1, [4, 4], 20, 33, 1, 1, 0),
        shape(1, [8, 8], 4, 4, 4, 4, 0),
        shape(1, [1, 2], 2, 3, 3, 1, 1),
        shape(1, [6, 6], 2, 3, 5, 1, 2),
        shape(1, [6, 5], 2, 3, 1, 2, 0),
    ] {
        let x = noise(s.b * s.size[0] * s.size[1] * s.c_in, 2);
        let (weight, bias) = (noise(s.c_out * s.c_in * s.kernel * s.kernel, 3), noise(s.c_out, 4));
        let got = conv(s, &x, &rounded(s, &weight), Some(&bias), |_, _| ());
        let e = error(&got, &plain_conv(s, &x, &weight, &bias, false));
        assert!(e < 1e-3, "{s:?}: {e:e}");
    }
    for s in [shape(2, [9, 7], 37, 37, 3, 2, 1), shape(1, [5, 6], 16, 16, 3, 1, 1), shape(1, [1, 1], 5, 5, 3, 1, 1)] {
        let x = noise(s.b * s.size[0] * s.size[1] * s.c_in, 2);
        let (weight, bias) = (noise(s.c_out * s.kernel * s.kernel, 3), noise(s.c_out, 4));
        let got = depthwise(s, &x, &weight, Some(&bias), |_| ());
        let e = error(&got, &plain_conv(s, &x, &weight, &bias, true));
        assert!(e < 1e-5, "{s:?}: {e:e}");
    }
}

/// `softmax(q · kᵀ · scale + bias) · v` for one query.
fn plain_attention(q: &[f32], keys: &[&[f32]], values: &[&[f32]], scale: f64, bias: impl Fn(usize) -> f64) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let weights: Vec<f64> = keys.iter().enumerate().map(|(j, k)| (dot(q, k) * scale + bias(j)).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..values[0].len()).map(|i| weights.iter().zip(values).map(|(w, v)| w / total * f64::from(v[i])).sum()).collect()
}

#[test]
fn attention_agrees_with_a_plain_loop() {
    let mut room = Room::default();
    for (m, n, d) in [(1, 1, 4), (5, 9, 32), (49, 49, 32), (70, 33, 24), (3, 200, 64)] {
        let parts = [noise(m * d, 1), noise(n * d, 2), noise(n * d, 3)];
        let bias = noise(m * n, 4);
        let mut got = vec![f32::NAN; m * d];
        // Every other query sees half of the keys.
        let reach = |i: usize| if i.is_multiple_of(2) { n } else { n.div_ceil(2) };
        let of = |part: usize, i: usize| &parts[part][i * d..][..d];
        attend([m, n, d], of, Some(&bias), reach, &mut room, |i, row| got[i * d..][..d].copy_from_slice(row));
        let [keys, values] = [1, 2].map(|p: usize| parts[p].chunks_exact(d).collect::<Vec<_>>());
        let want: Vec<f64> = (0..m)
            .flat_map(|i| {
                let bias = |j: usize| f64::from(bias[i * n + j]);
                let (keys, values) = (&keys[..reach(i)], &values[..reach(i)]);
                plain_attention(&parts[0][i * d..][..d], keys, values, 1.0 / (d as f64).sqrt(), bias)
            })
            .collect();
        assert!(error(&got, &want) < 1e-5, "{m} queries, {n} keys of {d}");
    }
}

#[test]
fn decoder_attention_writes_the_cache_and_is_causal() {
    // Few tokens go position by position, many as products of matrices.
    let heads_of = [(4, 4), (4, 2), (6, 2), (4, 1), (5, 1)];
    for ((heads, kv), (start, t)) in heads_of.into_iter().flat_map(|h| [(7, 6), (3, 37), (20, 16)].map(|of| (h, of))) {
        let (head, capacity, theta) = (16, start + t + 11, 10_000.0f32);
        let rotated = |x: &[f32], p: usize| -> Vec<f32> {
            let half = head / 2;
            let turn = |i: usize| (p as f64 * f64::from(theta).powf(-2.0 * (i % half) as f64 / head as f64)).sin_cos();
            (0..head)
                .map(|i| {
                    let (s, c) = turn(i);
                    let other = if i < half { -f64::from(x[i + half]) } else { f64::from(x[i - half]) };
                    (f64::from(x[i]) * c + other * s) as f32
                })
                .collect()
        };
        let total = start + t;
        let (q, k, v) = (noise(total * heads * head, 1), noise(total * kv * head, 2), noise(total * kv * head, 3));
        let (mut keys, mut values) = (vec![9.0; kv * capacity * head], vec![9.0; kv * capacity * head]);
        let sizes = Heads { heads, kv, head, capacity };
        let mut got = Vec::new();
        for (from, to) in [(0, start), (start, total)] {
            let at = Rotary::new(from, to - from, head, theta);
            let cut = |x: &[f32], n: usize| x[from * n * head..to * n * head].to_vec();
            let parts = [cut(&q, heads), cut(&k, kv), cut(&v, kv)];
            got.extend(attention([&parts[0], &parts[1], &parts[2]], &at, from, sizes, &mut keys, &mut values));
        }
        let mut want = Vec::new();
        for (p, h) in (0..total).flat_map(|p| (0..heads).map(move |h| (p, h))) {
            let shared = h / (heads / kv);
            let all: Vec<Vec<f32>> = (0..=p).map(|j| rotated(&k[(j * kv + shared) * head..][..head], j)).collect();
            let keys: Vec<&[f32]> = all.iter().map(Vec::as_slice).collect();
            let values: Vec<&[f32]> = (0..=p).map(|j| &v[(j * kv + shared) * head..][..head]).collect();
            want.extend(plain_attention(&rotated(&q[(p * heads + h) * head..][..head], p), &keys, &values, 0.25, |_| 0.0));
        }
        assert!(error(&got, &want) < 1e-5, "{heads} heads, {kv} of keys, {t} tokens");
        // Nothing is written behind the last position.
        assert!(
            keys.chunks(capacity * head)
                .all(|h| h[total * head..].iter().all(|v| *v == 9.0) && h[..total * head].iter().all(|v| *v != 9.0))
        );
    }
}

#[test]
fn norm_gate_and_adapter_agree() {
    let (x, gain) = (noise(3 * 70, 1), noise(70, 2));
    let mut got = Vec::new();
    rms_norm(&x, &gain, 1e-5, &mut got);
    let want: Vec<f64> = x
        .chunks(70)
        .flat_map(|row| {
            let mean = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 70.0;
            row.iter().zip(&gain).map(move |(v, g)| f64::from(*v) / (mean + 1e-5).sqrt() * f64::from(*g)).collect::<Vec<_>>()
        })
        .collect();
    assert!(error(&got, &want) < 1e-6);

    let (mut gate, up) = (x.iter().map(|v| v * 8.0).collect::<Vec<_>>(), noise(210, 5));
    let want: Vec<f64> = gate.iter().zip(&up).map(|(g, u)| f64::from(*g) / (1.0 + (-f64::from(*g)).exp()) * f64::from(*u)).collect();
    swiglu(&mut gate, &up);
    assert!(error(&gate, &want) < 1e-5);

    let (a, b, mut y) = (noise(70 * 4, 6), noise(4 * 9, 7), noise(27, 8));
    let narrow: Vec<f64> = (0..12).map(|p| (0..70).map(|i| f64::from(x[p / 4 * 70 + i]) * f64::from(a[i * 4 + p % 4])).sum()).collect();
    let want: Vec<f64> =
        (0..27).map(|p| f64::from(y[p]) + 2.0 * (0..4).map(|r| narrow[p / 9 * 4 + r] * f64::from(b[r * 9 + p % 9])).sum::<f64>()).collect();
    low_rank(&x, &a, &b, [70, 4, 9], 2.0, &mut y);
    assert!(error(&y, &want) < 1e-5);
}
