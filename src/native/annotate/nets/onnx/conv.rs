//! Convolution by rows: every kernel tap adds a scaled row of the input to a row of the output, four output channels at a time, so
//! that the inner loop is a plain vector loop over pixels. Input is padded once; strided rows are gathered.

use super::{Array, Node};

/// Output channels that share one reading of the input.
const BLOCK: usize = 4;

/// `Conv` with strides, pads and groups; dilation 1.
pub fn run(node: &Node, x: &Array, weight: &Array, bias: Option<&Array>) -> Option<Array> {
    let ([n, channels, h, w], [outs, ins, kh, kw]) = (x.map()?, weight.map()?);
    let one = |name: &str, default: [usize; 2]| -> Option<[usize; 2]> {
        node.ints(name).map_or(Some(default), |v| Some([usize::try_from(*v.first()?).ok()?, usize::try_from(*v.get(1)?).ok()?]))
    };
    let ([sy, sx], [1, 1]) = (one("strides", [1, 1])?, one("dilations", [1, 1])?) else { return None };
    let pads: Vec<usize> = node.ints("pads").unwrap_or(&[0, 0, 0, 0]).iter().map(|&p| usize::try_from(p).ok()).collect::<Option<_>>()?;
    let [top, left, bottom, right] = pads[..] else { return None };
    let groups = usize::try_from(node.int("group", 1)).ok()?;
    if n != 1 || groups == 0 || sy == 0 || sx == 0 || channels != ins * groups || outs % groups != 0 {
        return None;
    }
    let (ph, pw) = (h + top + bottom, w + left + right);
    let (oh, ow) = (ph.checked_sub(kh)? / sy + 1, pw.checked_sub(kw)? / sx + 1);
    let mut padded = vec![0.0f32; channels * ph * pw];
    for c in 0..channels {
        for y in 0..h {
            let to = (c * ph + y + top) * pw + left;
            padded[to..to + w].copy_from_slice(&x.data[(c * h + y) * w..][..w]);
        }
    }
    let mut out = vec![0.0f32; outs * oh * ow];
    if let Some(b) = bias {
        out.chunks_exact_mut(oh * ow).zip(&b.data).for_each(|(map, b)| map.fill(*b));
    }
    let per_group = outs / groups;
    let mut row = vec![0.0f32; ow];
    let mut block = vec![0.0f32; BLOCK * ow];
    for group in 0..groups {
        for first in (group * per_group..(group + 1) * per_group).step_by(BLOCK) {
            let count = BLOCK.min((group + 1) * per_group - first);
            for y in 0..oh {
                for k in 0..count {
                    block[k * ow..][..ow].copy_from_slice(&out[((first + k) * oh + y) * ow..][..ow]);
                }
                for c in 0..ins {
                    for ky in 0..kh {
                        let source = &padded[((group * ins + c) * ph + y * sy + ky) * pw..][..pw];
                        for kx in 0..kw {
                            let taps = std::array::from_fn::<f32, BLOCK, _>(|k| {
                                if k < count { weight.data[(((first + k) * ins + c) * kh + ky) * kw + kx] } else { 0.0 }
                            });
                            let pixels = if sx == 1 {
                                &source[kx..kx + ow]
                            } else {
                                row.iter_mut().zip(source[kx..].iter().step_by(sx)).for_each(|(r, v)| *r = *v);
                                &row[..]
                            };
                            add_scaled(&mut block, pixels, taps, count);
                        }
                    }
                }
                for k in 0..count {
                    out[((first + k) * oh + y) * ow..][..ow].copy_from_slice(&block[k * ow..][..ow]);
                }
            }
        }
    }
    Array::new(vec![1, outs, oh, ow], out)
}

/// Adds `pixels` times a tap to each row of the block.
fn add_scaled(block: &mut [f32], pixels: &[f32], taps: [f32; BLOCK], count: usize) {
    let n = pixels.len();
    if count < BLOCK {
        for (rows, t) in block.chunks_exact_mut(n).zip(taps).take(count) {
            rows.iter_mut().zip(pixels).for_each(|(o, v)| *o += t * v);
        }
        return;
    }
    let (a, rest) = block.split_at_mut(n);
    let (b, rest) = rest.split_at_mut(n);
    let (c, d) = rest.split_at_mut(n);
    for ((((a, b), c), d), v) in a.iter_mut().zip(b).zip(c).zip(d).zip(pixels) {
        *a += taps[0] * v;
        *b += taps[1] * v;
        *c += taps[2] * v;
        *d += taps[3] * v;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Attribute;
    use super::*;

    fn node(strides: i64, pad: i64, group: i64) -> Node {
        let ints = |name: &str, v: i64, n: usize| (name.to_string(), Attribute::Ints(vec![v; n]));
        let attributes = vec![ints("strides", strides, 2), ints("pads", pad, 4), ("group".to_string(), Attribute::Int(group))];
        Node { op: "Conv".into(), attributes, ..Node::default() }
    }

    /// The definition, one output at a time.
    fn slow(x: &Array, weight: &Array, s: usize, pad: usize, groups: usize) -> Vec<f32> {
        let ([_, channels, h, w], [outs, ins, kh, kw]) = (x.map().unwrap(), weight.map().unwrap());
        let (oh, ow) = ((h + 2 * pad - kh) / s + 1, (w + 2 * pad - kw) / s + 1);
        assert_eq!(channels, ins * groups);
        let mut out = Vec::new();
        for o in 0..outs {
            for y in 0..oh {
                for xx in 0..ow {
                    let mut sum = 0.0;
                    for c in 0..ins {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let (iy, ix) = ((y * s + ky) as isize - pad as isize, (xx * s + kx) as isize - pad as isize);
                                if iy >= 0 && ix >= 0 && iy < h as isize && ix < w as isize {
                                    let channel = o / (outs / groups) * ins + c;
                                    sum += weight.data[((o * ins + c) * kh + ky) * kw + kx]
                                        * x.data[(channel * h + iy as usize) * w + ix as usize];
                                }
                            }
                        }
                    }
                    out.push(sum);
                }
            }
        }
        out
    }

    #[test]
    fn rows_give_what_the_definition_gives() {
        let mut seed = 3u32;
        let mut value = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 20) as f32 / 2048.0 - 1.0
        };
        for (channels, outs, groups, k, s, pad) in
            [(3, 7, 1, 3, 1, 1), (4, 4, 4, 3, 2, 1), (6, 8, 2, 1, 1, 0), (2, 5, 1, 5, 2, 2), (8, 8, 8, 4, 1, 0)]
        {
            let x = Array::new(vec![1, channels, 9, 11], (0..channels * 99).map(|_| value()).collect()).unwrap();
            let ins = channels / groups;
            let weight = Array::new(vec![outs, ins, k, k], (0..outs * ins * k * k).map(|_| value()).collect()).unwrap();
            let out = run(&node(s as i64, pad as i64, groups as i64), &x, &weight, None).unwrap();
            let want = slow(&x, &weight, s, pad, groups);
            assert_eq!(out.data.len(), want.len());
            assert!(out.data.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4));
        }
        let x = Array::new(vec![1, 3, 4, 4], vec![0.0; 48]).unwrap();
        let wrong = Array::new(vec![2, 2, 1, 1], vec![0.0; 4]).unwrap();
        assert!(run(&node(1, 0, 1), &x, &wrong, None).is_none());
    }
}
