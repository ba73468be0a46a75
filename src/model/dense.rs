//! Layers that the vision half is made of, with a fast way on the CPU: linear layers, convolutions, norms, attention.
//!
//! Each function is the layer of burn, unless the tensors are in the CPU's memory and no derivative is asked for: then it is a kernel of
//! [`crate::quant::cpu`], on channels-last memory (a tensor `[b, c, h, w]` comes out as a permuted view of `[b, h, w, c]`, so that the
//! next layer finds it in order), with bias, residual and activation in the same pass. The tests below hold both ways together.

use super::conv_grad;
use super::gelu::{gelu, gelu_f32};
use super::rounded::rounded;
use crate::quant::cpu::attend::{Room, attend};
use crate::quant::cpu::conv::{self, Shape, depthwise};
use crate::quant::cpu::fixed::{Order, Weight, product};
use crate::quant::cpu::norm::layer_norm;
use crate::quant::cpu::share::{self, Shared};
use burn::backend::Flex;
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, Linear, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::ops::{AttentionModuleOptions, ConvOptions};
use burn::tensor::{DType, Tensor, TensorData, module};
use burn_flex::FlexTensor;

/// Fewer rows than this are not worth rounding the weight.
const LEAST_ROWS: usize = 40;

/// Where ReLU6 ends.
pub const RELU6: f32 = 6.0;

/// What follows a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    None,
    /// x·Φ(x).
    Gelu,
    /// max(x, 0).
    Relu,
    /// x held to 0..[`RELU6`].
    Relu6,
}

impl Act {
    fn tensor<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::None => x,
            Self::Gelu => gelu(x),
            Self::Relu => relu(x),
            Self::Relu6 => x.clamp(0.0, RELU6),
        }
    }

    fn row(self, row: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Gelu => row.iter_mut().for_each(|v| *v = gelu_f32(*v)),
            // A comparison that is false for NaN, so that NaN stays.
            Self::Relu => row.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v }),
            Self::Relu6 => row.iter_mut().for_each(|v| *v = v.clamp(0.0, RELU6)),
        }
    }
}

/// A float tensor's values in order in the CPU's memory; `None` if they are elsewhere, or are tracked for derivatives.
pub(super) fn values<const D: usize>(t: &Tensor<D>) -> Option<FlexTensor> {
    if t.is_autodiff() || t.dtype() != DType::F32 {
        return None;
    }
    let t = t.clone().try_into_primitive::<Flex>().ok()?;
    let len = t.layout().num_elements();
    let whole = t.is_contiguous() && t.layout().start_offset() == 0 && t.storage::<f32>().len() == len;
    Some(if whole { t } else { FlexTensor::from_data(t.into_data()) })
}

/// Whether derivatives are asked for and values are in the CPU's memory.
#[cfg(feature = "native")]
pub(super) fn is_tracked_cpu<const D: usize>(t: &Tensor<D>) -> bool {
    t.is_autodiff() && t.clone().inner().try_into_primitive::<Flex>().is_ok()
}

fn tensor<const D: usize>(values: Vec<f32>, dims: [usize; D]) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(values, dims)))
}

/// `act(x · W + bias + add)`, `[.., in] → [.., out]`.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>, add: Option<Tensor<D>>, act: Act) -> Tensor<D> {
    linear_on_cpu(layer, &x, add.as_ref(), act).unwrap_or_else(|| {
        let y = layer.forward(x);
        act.tensor(match add {
            Some(add) => y + add,
            None => y,
        })
    })
}

fn linear_on_cpu<const D: usize>(layer: &Linear, x: &Tensor<D>, add: Option<&Tensor<D>>, act: Act) -> Option<Tensor<D>> {
    let mut dims = x.dims();
    let [k, n] = layer.weight.dims();
    let m = dims[..D - 1].iter().product();
    if m < LEAST_ROWS || dims[D - 1] != k {
        return None;
    }
    let (weight, x) = (values(&layer.weight.val())?, values(x)?);
    let (bias, add) = (some(layer.bias.as_ref().map(|b| b.val()).as_ref())?, some(add)?);
    let (x, add) = (x.storage::<f32>(), add.as_ref().map(|a| a.storage::<f32>()));
    let weight = rounded(&weight, |w| Weight::new(w, k, n, Order::InOut));
    let mut y = vec![0.0; m * n];
    let finish = |i: usize, row: &mut [f32]| {
        if let Some(add) = add {
            row.iter_mut().zip(&add[i * n..][..n]).for_each(|(y, a)| *y += a);
        }
        act.row(row);
    };
    product(m, &weight, bias.as_ref().map(|b| b.storage()), |i, to| to.push(&x[i * k..][..k]), finish, &mut y);
    dims[D - 1] = n;
    Some(tensor(y, dims))
}

/// Layer normalisation over the last axis, `[.., c]`; `epsilon` is the layer's, which keeps its own to itself.
pub fn norm<const D: usize>(layer: &LayerNorm, epsilon: f64, x: Tensor<D>) -> Tensor<D> {
    let beta = layer.beta.as_ref().map(|b| b.val());
    beta.and_then(|beta| norm_on_cpu([&layer.gamma.val(), &beta], epsilon, &x)).unwrap_or_else(|| layer.forward(x))
}

/// The same of a gain and a shift, both `[c]`; `None` where the fast way is closed.
pub(super) fn norm_on_cpu<const D: usize>([gamma, beta]: [&Tensor<1>; 2], epsilon: f64, x: &Tensor<D>) -> Option<Tensor<D>> {
    let (gamma, beta, values) = (values(gamma)?, values(beta)?, values(x)?);
    let y = layer_norm(values.storage(), [gamma.storage(), beta.storage()], epsilon as f32);
    Some(tensor(y, x.dims()))
}

/// `Some(None)` for what is not there, `None` for what is there but not in the CPU's memory.
fn some<const D: usize>(t: Option<&Tensor<D>>) -> Option<Option<FlexTensor>> {
    t.map_or(Some(None), |t| values(t).map(Some))
}

/// `act(conv(x) + add)`, `[b, c, h, w] → [b, c', h', w']`.
pub fn conv2d(layer: &Conv2d, x: Tensor<4>, add: Option<Tensor<4>>, act: Act) -> Tensor<4> {
    conv_on_cpu(layer, &x, add.as_ref(), act).unwrap_or_else(|| {
        let y = if x.is_autodiff() { tracked(layer, x) } else { layer.forward(x) };
        act.tensor(match add {
            Some(add) => y + add,
            None => y,
        })
    })
}

/// The layer with the derivative of [`conv_grad`].
fn tracked(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let PaddingConfig2d::Explicit(top, left, bottom, right) = layer.padding else { return layer.forward(x) };
    let padding = [(top, bottom), (left, right)];
    let options = ConvOptions { stride: layer.stride, padding, dilation: layer.dilation, groups: layer.groups };
    let y = conv_grad::conv2d(x, layer.weight.val(), options);
    match &layer.bias {
        Some(bias) => y + bias.val().reshape([1, -1, 1, 1]),
        None => y,
    }
}

fn conv_on_cpu(layer: &Conv2d, x: &Tensor<4>, add: Option<&Tensor<4>>, act: Act) -> Option<Tensor<4>> {
    let ([b, c_in, h, w], [c_out, per_group, kernel, across]) = (x.dims(), layer.weight.dims());
    let PaddingConfig2d::Explicit(padding, left, bottom, right) = layer.padding else { return None };
    let alike = padding == left && padding == bottom && padding == right && kernel == across;
    let plain = layer.dilation == [1, 1] && layer.stride[0] == layer.stride[1];
    let deep = layer.groups == c_in && c_out == c_in && per_group == 1;
    if !alike || !plain || (layer.groups != 1 && !deep) || h + 2 * padding < kernel || w + 2 * padding < kernel {
        return None;
    }
    let shape = Shape { b, size: [h, w], c_in, c_out, kernel, stride: layer.stride[0], padding };
    let last = |t: &Tensor<4>| t.clone().permute([0, 2, 3, 1]);
    let (weight, x) = (values(&layer.weight.val())?, values(&last(x))?);
    let (bias, add) = (some(layer.bias.as_ref().map(|b| b.val()).as_ref())?, some(add.map(last).as_ref())?);
    let bias = bias.as_ref().map(|b| b.storage());
    let [rows, columns] = shape.out();
    let y = if deep && layer.groups != 1 {
        if add.is_some() {
            return None;
        }
        depthwise(shape, x.storage(), weight.storage(), bias, |line| act.row(line))
    } else {
        let add = add.as_ref().map(|a| a.storage::<f32>());
        let weight = rounded(&weight, |w| conv::rounded(shape, w));
        conv::conv(shape, x.storage(), &weight, bias, |i, row| {
            if let Some(add) = add {
                row.iter_mut().zip(&add[i * c_out..][..c_out]).for_each(|(y, a)| *y += a);
            }
            act.row(row);
        })
    };
    Some(tensor(y, [b, rows, columns, c_out]).permute([0, 3, 1, 2]))
}

/// `softmax(q · kᵀ / √d) · v` of `heads` heads side by side: queries `[b, m, c]`, keys and values `[b, n, c]` → `[b, m, c]`.
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    if let Some(y) = attention_on_cpu([&q, &k, &v], heads) {
        return y;
    }
    let split = |x: Tensor<3>| {
        let [b, n, c] = x.dims();
        x.reshape([b, n, heads, c / heads]).swap_dims(1, 2)
    };
    let y = module::attention(split(q), split(k), split(v), None, None, AttentionModuleOptions::default());
    let [b, h, n, d] = y.dims();
    y.swap_dims(1, 2).reshape([b, n, h * d])
}

fn attention_on_cpu(parts: [&Tensor<3>; 3], heads: usize) -> Option<Tensor<3>> {
    let ([b, m, c], n, d) = (parts[0].dims(), parts[1].dims()[1], parts[0].dims()[2] / heads);
    let [q, k, v] = [values(parts[0])?, values(parts[1])?, values(parts[2])?];
    let parts = [q.storage::<f32>(), k.storage(), v.storage()];
    let mut y = vec![0.0; b * m * c];
    let out = Shared::new(&mut y);
    let mut rooms = share::rooms(2 * b * heads * m * n * d, || Room::new(n, d));
    share::each(b * heads, &mut rooms, |room, job| {
        let (image, at) = (job / heads, job % heads * d);
        let of = |part: usize, i: usize| {
            let rows = if part == 0 { m } else { n };
            &parts[part][(image * rows + i) * c + at..][..d]
        };
        // SAFETY: each job has an image and a head of its own, so rows of different jobs do not overlap.
        attend([m, n, d], of, None, |_| n, room, |i, row| unsafe { out.some((image * m + i) * c + at, d) }.copy_from_slice(row));
    });
    Some(tensor(y, [b, m, c]))
}

/// Attention inside of square windows of `side` cells, on the CPU; `None` elsewhere.
///
/// # Arguments
/// - `qkv`: `[b, h, w, 3c]`, `side` dividing h and w; outputs in the order head, then q | k | v.
/// - `bias`: `[heads, side², side²]`, query × key.
///
/// # Returns
/// `[b, h, w, c]`
pub fn window_attention(qkv: &Tensor<4>, bias: &Tensor<3>, side: usize) -> Option<Tensor<4>> {
    let ([b, h, w, wide], [heads, cells, _]) = (qkv.dims(), bias.dims());
    let (c, d) = (wide / 3, wide / 3 / heads);
    let (qkv, bias) = (values(qkv)?, values(bias)?);
    let (qkv, bias) = (qkv.storage::<f32>(), bias.storage::<f32>());
    // One row of windows.
    let line = |room: &mut Room, i: usize, out: &mut [f32]| {
        for column in 0..w / side {
            // Cells before cell `j` of this window, in its row of windows.
            let cell = |j: usize| j / side * w + column * side + j % side;
            for head in 0..heads {
                let of = |part: usize, j: usize| &qkv[(i * side * w + cell(j)) * wide + (head * 3 + part) * d..][..d];
                let bias = &bias[head * cells * cells..][..cells * cells];
                attend(
                    [cells, cells, d],
                    of,
                    Some(bias),
                    |_| cells,
                    room,
                    |j, row| {
                        out[cell(j) * c + head * d..][..d].copy_from_slice(row);
                    },
                );
            }
        }
    };
    let mut y = vec![0.0; b * h * w * c];
    let mut rooms = share::rooms(2 * y.len() * cells, || Room::new(cells, d));
    share::pieces(&mut y, side * w * c, &mut rooms, line);
    Some(tensor(y, [b, h, w, c]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{Conv, Vars};
    use burn::tensor::{Device, Distribution};

    /// Largest error over the largest value.
    fn error<const D: usize>(got: Tensor<D>, want: Tensor<D>) -> f32 {
        assert_eq!(got.dims(), want.dims());
        let top = want.clone().abs().max().into_scalar::<f32>();
        (got - want).abs().max().into_scalar::<f32>() / top
    }

    fn noise<const D: usize>(dims: [usize; D]) -> Tensor<D> {
        Tensor::random(dims, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    /// Rounding to 14 and 13 bits, some 2e-4 of the largest output; see [`crate::quant::cpu::fixed`].
    const FIXED: f32 = 1e-3;

    #[test]
    fn linear_layers_agree_with_burn_on_views_too() {
        let v = Vars::random(3, &Device::flex());
        let layer = v.linear("l", 40, 33, true).unwrap();
        for act in [Act::None, Act::Gelu, Act::Relu] {
            for x in [noise([3, 17, 40]), noise([17, 3, 40]).swap_dims(0, 1), noise([40, 3, 17]).permute([1, 2, 0])] {
                let add = noise([3, 33, 17]).swap_dims(1, 2);
                assert!(linear_on_cpu(&layer, &x, Some(&add), act).is_some());
                let want = act.tensor(layer.forward(x.clone()) + add.clone());
                let e = error(linear(&layer, x, Some(add), act), want);
                assert!(e < FIXED, "{act:?}: {e:e}");
            }
        }
        // Few rows are left to burn.
        assert!(linear_on_cpu(&layer, &noise([3, 40]), None, Act::None).is_none());
    }

    #[test]
    fn convolutions_agree_with_burn_and_come_out_channels_last() {
        let v = Vars::random(3, &Device::flex());
        for (channels, c) in [
            ([3, 8], Conv::same(3).stride(2)),
            ([20, 33], Conv::same(1)),
            ([16, 16], Conv::same(3)),
            ([24, 24], Conv::same(3).groups(24)),
            ([24, 24], Conv::same(3).stride(2).groups(24)),
        ] {
            let layer = v.conv2d("c", channels, c, true).unwrap();
            for x in [noise([2, channels[0], 9, 11]), noise([2, 9, 11, channels[0]]).permute([0, 3, 1, 2])] {
                let want = layer.forward(x.clone());
                let got = conv2d(&layer, x.clone(), None, Act::None);
                let last = got.clone().permute([0, 2, 3, 1]).try_into_primitive::<Flex>().unwrap();
                assert!(last.is_contiguous());
                assert!(error(got, want.clone()) < FIXED, "{channels:?} {c:?}");
                let add = noise(want.dims());
                let want = gelu(want + add.clone());
                assert!(error(conv2d(&layer, x, Some(add), Act::Gelu), want) < FIXED, "{channels:?} {c:?}");
            }
        }
    }

    #[test]
    fn norms_agree_with_burn_on_views_and_large_means() {
        let v = Vars::random(3, &Device::flex());
        for c in [1, 7, 16, 64, 257] {
            let mut layer = v.layer_norm("n", c, 1e-6).unwrap();
            layer.beta = Some(burn::module::Param::from_tensor(noise([c])));
            for x in [noise([3, 40, c]) * 2.0 + 100.0, noise([40, 3, c]).swap_dims(0, 1), noise([1, 0, c])] {
                let want = layer.forward(x.clone());
                assert!(norm_on_cpu([&layer.gamma.val(), &layer.beta.as_ref().unwrap().val()], 1e-6, &x).is_some());
                let got = norm(&layer, 1e-6, x);
                // Of a single value only rounding is left to be normalised.
                assert!(got.dims()[1] == 0 || c == 1 || error(got, want) < 1e-4, "{c}");
            }
        }
    }

    #[test]
    fn attention_agrees_with_burn() {
        let (q, k, v) = (noise([2, 5, 24]), noise([2, 9, 24]), noise([2, 9, 24]));
        let split = |x: Tensor<3>| {
            let [b, n, c] = x.dims();
            x.reshape([b, n, 3, c / 3]).swap_dims(1, 2)
        };
        let want = module::attention(split(q.clone()), split(k.clone()), split(v.clone()), None, None, AttentionModuleOptions::default());
        let want = want.swap_dims(1, 2).reshape([2, 5, 24]);
        assert!(error(attention(q, k, v, 3), want) < 1e-5);
    }

    #[cfg(feature = "native")]
    #[test]
    fn derivatives_take_the_way_of_burn() {
        let device = Device::flex().autodiff();
        let v = Vars::random(3, &device);
        let (layer, filter) = (v.linear("l", 8, 8, true).unwrap(), v.conv2d("c", [8, 8], Conv::same(3), true).unwrap());
        let x = Tensor::<4>::random([1, 8, 6, 6], Distribution::Default, &device);
        let y = conv2d(&filter, x.clone(), Some(x), Act::Gelu).permute([0, 2, 3, 1]);
        let y = linear(&layer, y, None, Act::Relu);
        let grads = y.sum().backward();
        for g in [layer.weight.val().grad(&grads).unwrap().abs().sum(), filter.weight.val().grad(&grads).unwrap().abs().sum()] {
            assert!(g.into_scalar::<f32>() > 0.0);
        }
    }
}
