//! The operators. Each takes the node and its inputs; `None` where they do not fit or are not known here.

use std::rc::Rc;

use super::{Array, Node, conv};

type Inputs = [Option<Rc<Array>>];

/// Runs one node.
pub fn run(node: &Node, inputs: &Inputs) -> Option<Array> {
    let at = |i: usize| inputs.get(i).and_then(|v| v.as_deref());
    let x = at(0)?;
    match node.op.as_str() {
        "Conv" => conv::run(node, x, at(1)?, at(2)),
        "Relu" => Some(each(x, |v| v.max(0.0))),
        "LeakyRelu" => {
            let slope = node.float("alpha", 0.01);
            Some(each(x, |v| if v < 0.0 { slope * v } else { v }))
        }
        "Sigmoid" => Some(each(x, |v| 1.0 / (1.0 + (-v).exp()))),
        "Clip" => {
            let bound = |i: usize, without: f32| at(i).and_then(|b| b.data.first().copied()).unwrap_or(without);
            let (low, high) = (bound(1, f32::NEG_INFINITY), bound(2, f32::INFINITY));
            Some(each(x, |v| v.max(low).min(high)))
        }
        "Cast" | "Identity" => Some(x.clone()),
        "Add" => both(x, at(1)?, |a, b| a + b),
        "Mul" => both(x, at(1)?, |a, b| a * b),
        "MatMul" => matmul(x, at(1)?),
        "BatchNormalization" => batch_norm(node, x, [at(1)?, at(2)?, at(3)?, at(4)?]),
        "InstanceNormalization" => instance_norm(node, x, at(1)?, at(2)?),
        "GlobalAveragePool" => {
            let [n, c, h, w] = x.map()?;
            let mean = |m: &[f32]| (m.iter().map(|&v| f64::from(v)).sum::<f64>() / (h * w).max(1) as f64) as f32;
            Array::new(vec![n, c, 1, 1], x.data.chunks_exact((h * w).max(1)).map(mean).collect())
        }
        "Resize" => resize(node, x, at(2)?),
        "Shape" => Array::new(vec![x.shape.len()], x.shape.iter().map(|&v| v as f32).collect()),
        "Gather" if node.int("axis", 0) == 0 && x.shape.len() == 1 && at(1)?.data.len() == 1 => {
            let i = at(1)?.data[0] as usize;
            Array::new(Vec::new(), vec![*x.data.get(i)?])
        }
        "Unsqueeze" if x.data.len() == 1 => Array::new(vec![1], x.data.clone()),
        "Concat" => concat(node, inputs),
        "Reshape" => reshape(x, at(1)?),
        "Expand" => expand(x, at(1)?),
        "Slice" => slice(x, at(1)?, at(2)?, at(3), at(4)),
        "Transpose" if x.shape.len() == 2 && node.ints("perm") == Some(&[1, 0]) => {
            let [h, w] = [x.shape[0], x.shape[1]];
            Array::new(vec![w, h], (0..w).flat_map(|c| (0..h).map(move |r| r * w + c)).map(|i| x.data[i]).collect())
        }
        "ConstantOfShape" => {
            let shape: Vec<usize> = x.data.iter().map(|&v| v as usize).collect();
            let value = node.array("value").and_then(|v| v.data.first().copied()).unwrap_or(0.0);
            Array::new(shape.clone(), vec![value; shape.iter().product()])
        }
        "Pad" if node.text("mode").is_none_or(|m| m == "constant") => pad(x, at(1)?),
        _ => None,
    }
}

fn each(x: &Array, f: impl Fn(f32) -> f32) -> Array {
    Array { shape: x.shape.clone(), data: x.data.iter().map(|&v| f(v)).collect() }
}

/// Element by element, shapes broadcast from the right.
fn both(a: &Array, b: &Array, f: impl Fn(f32, f32) -> f32) -> Option<Array> {
    if a.shape == b.shape {
        return Array::new(a.shape.clone(), a.data.iter().zip(&b.data).map(|(a, b)| f(*a, *b)).collect());
    }
    if b.data.len() == 1 {
        return Some(each(a, |v| f(v, b.data[0])));
    }
    if a.data.len() == 1 {
        return Some(each(b, |v| f(a.data[0], v)));
    }
    // The usual case: the second repeats as a whole over the first's leading sides.
    let own = &b.shape[b.shape.iter().take_while(|&&side| side == 1).count()..];
    if a.shape.len() >= b.shape.len() && a.shape.ends_with(own) && !b.data.is_empty() {
        let rows = a.data.chunks_exact(b.data.len());
        return Array::new(a.shape.clone(), rows.flat_map(|row| row.iter().zip(&b.data)).map(|(a, b)| f(*a, *b)).collect());
    }
    let shape = broadcast(&a.shape, &b.shape)?;
    let (a, b) = (spread(a, &shape), spread(b, &shape));
    Array::new(shape, a.iter().zip(&b).map(|(a, b)| f(*a, *b)).collect())
}

fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let n = a.len().max(b.len());
    let side = |s: &[usize], i: usize| (i + s.len()).checked_sub(n).map_or(1, |k| s[k]);
    (0..n)
        .map(|i| match (side(a, i), side(b, i)) {
            (x, y) if x == y || y == 1 => Some(x),
            (1, y) => Some(y),
            _ => None,
        })
        .collect()
}

/// The values of an array repeated to a shape that it broadcasts to.
fn spread(x: &Array, shape: &[usize]) -> Vec<f32> {
    let missing = shape.len().saturating_sub(x.shape.len());
    let mut strides = vec![0usize; shape.len()];
    let mut stride = 1;
    for (i, &side) in x.shape.iter().enumerate().rev() {
        strides[i + missing] = if side == 1 { 0 } else { stride };
        stride *= side;
    }
    let mut index = vec![0usize; shape.len()];
    let mut out = Vec::with_capacity(shape.iter().product());
    for _ in 0..shape.iter().product::<usize>() {
        out.push(x.data[index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>()]);
        for k in (0..shape.len()).rev() {
            index[k] += 1;
            if index[k] < shape[k] {
                break;
            }
            index[k] = 0;
        }
    }
    out
}

fn matmul(a: &Array, b: &Array) -> Option<Array> {
    let (&[rows, inner], &[same, columns]) = (&a.shape[..], &b.shape[..]) else { return None };
    if inner != same {
        return None;
    }
    let mut out = vec![0.0f32; rows * columns];
    for (to, row) in out.chunks_exact_mut(columns.max(1)).zip(a.data.chunks_exact(inner.max(1))) {
        for (v, weights) in row.iter().zip(b.data.chunks_exact(columns.max(1))) {
            to.iter_mut().zip(weights).for_each(|(o, w)| *o += v * w);
        }
    }
    Array::new(vec![rows, columns], out)
}

/// Each channel times a factor plus an offset.
fn scaled(x: &Array, factor: impl Fn(usize) -> Option<(f32, f32)>) -> Option<Array> {
    let [n, c, h, w] = x.map()?;
    if n != 1 {
        return None;
    }
    let mut out = x.clone();
    for (k, map) in out.data.chunks_exact_mut((h * w).max(1)).enumerate().take(c) {
        let (a, b) = factor(k)?;
        map.iter_mut().for_each(|v| *v = *v * a + b);
    }
    Some(out)
}

fn batch_norm(node: &Node, x: &Array, [scale, offset, mean, variance]: [&Array; 4]) -> Option<Array> {
    let epsilon = node.float("epsilon", 1e-5);
    scaled(x, |c| {
        let a = scale.data.get(c)? / (variance.data.get(c)? + epsilon).sqrt();
        Some((a, offset.data.get(c)? - a * mean.data.get(c)?))
    })
}

fn instance_norm(node: &Node, x: &Array, scale: &Array, offset: &Array) -> Option<Array> {
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let [_, _, h, w] = x.map()?;
    let area = (h * w).max(1);
    scaled(x, |c| {
        let map = x.data.get(c * area..(c + 1) * area)?;
        let mean = map.iter().map(|&v| f64::from(v)).sum::<f64>() / area as f64;
        let variance = map.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / area as f64;
        let a = f64::from(*scale.data.get(c)?) / (variance + epsilon).sqrt();
        Some((a as f32, (f64::from(*offset.data.get(c)?) - a * mean) as f32))
    })
}

/// Height and width scaled: linear between pixel centres, or nearest for whole factors.
fn resize(node: &Node, x: &Array, scales: &Array) -> Option<Array> {
    let [1, c, h, w] = x.map()? else { return None };
    let &[1.0, 1.0, ky, kx] = &scales.data[..] else { return None };
    let (oh, ow) = ((h as f32 * ky) as usize, (w as f32 * kx) as usize);
    let nearest = match (node.text("mode")?, node.text("coordinate_transformation_mode")?) {
        ("nearest", "asymmetric") if node.text("nearest_mode") == Some("floor") => true,
        ("linear", "pytorch_half_pixel" | "half_pixel") if oh > 1 && ow > 1 => false,
        _ => return None,
    };
    // Source row and the share of the next one, for every output row; the same for columns.
    let places = |n: usize, side: usize, k: f32| -> Vec<(usize, usize, f32)> {
        let place = |i: usize| {
            if nearest {
                let s = ((i as f32 / k) as usize).min(side - 1);
                return (s, s, 0.0);
            }
            let v = ((i as f32 + 0.5) / k - 0.5).clamp(0.0, (side - 1) as f32);
            (v as usize, (v as usize + 1).min(side - 1), v.fract())
        };
        (0..n).map(place).collect()
    };
    if h == 0 || w == 0 {
        return None;
    }
    let (rows, columns) = (places(oh, h, ky), places(ow, w, kx));
    let mut out = Vec::with_capacity(c * oh * ow);
    for map in x.data.chunks_exact(h * w) {
        for &(y0, y1, fy) in &rows {
            let (a, b) = (&map[y0 * w..][..w], &map[y1 * w..][..w]);
            for &(x0, x1, fx) in &columns {
                let (top, low) = (a[x0] + (a[x1] - a[x0]) * fx, b[x0] + (b[x1] - b[x0]) * fx);
                out.push(top + (low - top) * fy);
            }
        }
    }
    Array::new(vec![1, c, oh, ow], out)
}

fn concat(node: &Node, inputs: &Inputs) -> Option<Array> {
    let parts: Vec<&Array> = inputs.iter().map(|v| v.as_deref()).collect::<Option<_>>()?;
    let axis = usize::try_from(node.int("axis", 0)).ok()?;
    let first = parts.first()?;
    let mut shape = first.shape.clone();
    *shape.get_mut(axis)? = parts.iter().map(|p| p.shape.get(axis).copied().unwrap_or(0)).sum();
    let outer: usize = first.shape[..axis].iter().product();
    let mut data = Vec::with_capacity(shape.iter().product());
    for o in 0..outer {
        for p in &parts {
            let run = p.data.len() / outer.max(1);
            data.extend_from_slice(p.data.get(o * run..(o + 1) * run)?);
        }
    }
    Array::new(shape, data)
}

/// −1 stands for what is left.
fn reshape(x: &Array, wanted: &Array) -> Option<Array> {
    let known: usize = wanted.data.iter().filter(|&&v| v >= 0.0).map(|&v| v as usize).product();
    let side = |&v: &f32| if v < 0.0 { x.data.len() / known.max(1) } else { v as usize };
    Array::new(wanted.data.iter().map(side).collect(), x.data.clone())
}

fn expand(x: &Array, wanted: &Array) -> Option<Array> {
    let wanted: Vec<usize> = wanted.data.iter().map(|&v| v as usize).collect();
    let shape = broadcast(&x.shape, &wanted)?;
    Array::new(shape.clone(), spread(x, &shape))
}

/// One axis at a time; a step of −1 turns it around.
fn slice(x: &Array, starts: &Array, ends: &Array, axes: Option<&Array>, steps: Option<&Array>) -> Option<Array> {
    let mut out = x.clone();
    for (k, (&start, &end)) in starts.data.iter().zip(&ends.data).enumerate() {
        let axis = axes.map_or(Some(k), |a| a.data.get(k).map(|&v| v as usize))?;
        let step = steps.map_or(Some(1.0), |s| s.data.get(k).copied())?;
        let side = *out.shape.get(axis)?;
        let kept: Vec<usize> = if step == 1.0 {
            let place = |v: f32| if v < 0.0 { (side as f32 + v).max(0.0) as usize } else { (v as usize).min(side) };
            (place(start)..place(end)).collect()
        } else if step == -1.0 && start == -1.0 && end < -(side as f32) {
            (0..side).rev().collect()
        } else {
            return None;
        };
        let (outer, inner) = (out.shape[..axis].iter().product::<usize>(), out.shape[axis + 1..].iter().product::<usize>());
        let mut data = Vec::with_capacity(outer * kept.len() * inner);
        for o in 0..outer {
            for &i in &kept {
                data.extend_from_slice(&out.data[(o * side + i) * inner..][..inner]);
            }
        }
        out.shape[axis] = kept.len();
        out.data = data;
    }
    Some(out)
}

/// Zeros around height and width.
fn pad(x: &Array, pads: &Array) -> Option<Array> {
    let [1, c, h, w] = x.map()? else { return None };
    let p: Vec<usize> = pads.data.iter().map(|&v| v as usize).collect();
    let &[0, 0, top, left, 0, 0, bottom, right] = &p[..] else { return None };
    let (oh, ow) = (h + top + bottom, w + left + right);
    let mut out = vec![0.0; c * oh * ow];
    for k in 0..c {
        for y in 0..h {
            out[(k * oh + y + top) * ow + left..][..w].copy_from_slice(&x.data[(k * h + y) * w..][..w]);
        }
    }
    Array::new(vec![1, c, oh, ow], out)
}

#[cfg(test)]
mod tests {
    use super::super::Attribute;
    use super::*;

    fn array(shape: &[usize], data: &[f32]) -> Array {
        Array::new(shape.to_vec(), data.to_vec()).unwrap()
    }

    fn of(op: &str, attributes: &[(&str, Attribute)], inputs: &[&Array]) -> Option<Array> {
        let attributes = attributes.iter().map(|(n, a)| (n.to_string(), a.clone())).collect();
        let inputs: Vec<Option<Rc<Array>>> = inputs.iter().map(|&a| Some(Rc::new(a.clone()))).collect();
        run(&Node { op: op.into(), attributes, ..Node::default() }, &inputs)
    }

    #[test]
    fn shapes_broadcast_from_the_right() {
        let x = array(&[1, 2, 1, 2], &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            of("Mul", &[], &[&x, &array(&[2, 1], &[10.0, 100.0])]).unwrap(),
            array(&[1, 2, 2, 2], &[10.0, 20.0, 100.0, 200.0, 30.0, 40.0, 300.0, 400.0])
        );
        assert_eq!(of("Add", &[], &[&x, &array(&[], &[1.0])]).unwrap().data, [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(of("Add", &[], &[&x, &array(&[1, 1, 1, 2], &[10.0, 20.0])]).unwrap().data, [11.0, 22.0, 13.0, 24.0]);
        assert!(of("Add", &[], &[&x, &array(&[3], &[0.0; 3])]).is_none());
        assert_eq!(
            of("Expand", &[], &[&array(&[1, 2, 1, 1], &[5.0, 6.0]), &array(&[4], &[1.0, 2.0, 1.0, 2.0])]).unwrap().data,
            [5.0, 5.0, 6.0, 6.0]
        );
    }

    #[test]
    fn norms_pools_and_products_are_their_definitions() {
        let x = array(&[1, 1, 1, 4], &[1.0, 2.0, 3.0, 6.0]);
        let out =
            of("InstanceNormalization", &[("epsilon", Attribute::Float(0.0))], &[&x, &array(&[1], &[2.0]), &array(&[1], &[1.0])]).unwrap();
        let sd = 3.5f32.sqrt();
        assert!(out.data.iter().zip([-2.0, -1.0, 0.0, 3.0]).all(|(a, d)| (a - (2.0 * d / sd + 1.0)).abs() < 1e-5), "{out:?}");
        let one = |v: f32| array(&[1], &[v]);
        let out =
            of("BatchNormalization", &[("epsilon", Attribute::Float(0.0))], &[&x, &one(3.0), &one(1.0), &one(2.0), &one(4.0)]).unwrap();
        assert_eq!(out.data, [-0.5, 1.0, 2.5, 7.0]);
        assert_eq!(of("GlobalAveragePool", &[], &[&x]).unwrap(), array(&[1, 1, 1, 1], &[3.0]));
        assert_eq!(of("MatMul", &[], &[&array(&[1, 2], &[1.0, 2.0]), &array(&[2, 2], &[3.0, 4.0, 5.0, 6.0])]).unwrap().data, [13.0, 16.0]);
        assert_eq!(of("Clip", &[], &[&x, &array(&[], &[2.0]), &array(&[], &[5.0])]).unwrap().data, [2.0, 2.0, 3.0, 5.0]);
        assert_eq!(of("LeakyRelu", &[("alpha", Attribute::Float(0.5))], &[&array(&[2], &[-2.0, 2.0])]).unwrap().data, [-1.0, 2.0]);
    }

    #[test]
    fn arrays_are_cut_joined_turned_and_padded() {
        let x = array(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let i = |v: f32| array(&[1], &[v]);
        assert_eq!(of("Slice", &[], &[&x, &i(1.0), &i(3.0), &i(0.0), &i(1.0)]).unwrap(), array(&[2, 2], &[3.0, 4.0, 5.0, 6.0]));
        assert_eq!(of("Slice", &[], &[&x, &i(-1.0), &i(-9.2e18), &i(0.0), &i(-1.0)]).unwrap().data, [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
        assert_eq!(
            of("Concat", &[("axis", Attribute::Int(1))], &[&x, &array(&[3, 1], &[7.0, 8.0, 9.0])]).unwrap().data,
            [1.0, 2.0, 7.0, 3.0, 4.0, 8.0, 5.0, 6.0, 9.0]
        );
        assert_eq!(
            of("Transpose", &[("perm", Attribute::Ints(vec![1, 0]))], &[&x]).unwrap(),
            array(&[2, 3], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0])
        );
        assert_eq!(of("Reshape", &[], &[&x, &array(&[2], &[-1.0, 3.0])]).unwrap().shape, [2, 3]);
        let map = array(&[1, 1, 1, 2], &[1.0, 3.0]);
        let padded = of("Pad", &[], &[&map, &array(&[8], &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0])]).unwrap();
        assert_eq!(padded, array(&[1, 1, 2, 3], &[0.0, 0.0, 0.0, 1.0, 3.0, 0.0]));
        assert!(of("Gru", &[], &[&x]).is_none() && of("Conv", &[], &[&x]).is_none());
    }

    #[test]
    fn resizing_is_linear_between_centres_or_nearest() {
        let text = |k, v: &str| (k, Attribute::Text(v.into()));
        let x = array(&[1, 1, 1, 2], &[0.0, 4.0]);
        let (roi, twice) = (array(&[0], &[]), array(&[4], &[1.0, 1.0, 2.0, 2.0]));
        let linear = [text("mode", "linear"), text("coordinate_transformation_mode", "pytorch_half_pixel")];
        let out = of("Resize", &linear, &[&x, &roi, &twice]).unwrap();
        assert_eq!(out, array(&[1, 1, 2, 4], &[0.0, 1.0, 3.0, 4.0, 0.0, 1.0, 3.0, 4.0]));
        let nearest = [text("mode", "nearest"), text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")];
        assert_eq!(of("Resize", &nearest, &[&x, &roi, &twice]).unwrap().data, [0.0, 0.0, 4.0, 4.0, 0.0, 0.0, 4.0, 4.0]);
    }
}
