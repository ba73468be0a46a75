//! Layers of [`super::lite`] with their derivatives on the CPU, for training: convolution, bias and activation in one operation, on
//! channels-last memory.
//!
//! An inverted bottleneck widens by six before it looks around, so its time goes into memory: burn's own way makes a tensor for the
//! product, one for the bias, one for each comparison of the activation, and as many again on the way back. Here each layer
//! makes one tensor, and one more for its gradient. Two kinds only: 1×1, which is a matrix product, and one filter a channel.

use super::dense::RELU6;
use super::depthwise_grad;
use crate::quant::cpu::conv::{Shape, depthwise};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;

/// A layer's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Filter's side; 0 for 1×1 over all channels, otherwise one filter a channel.
    pub depthwise: usize,
    /// Step of the filters.
    pub stride: usize,
    /// Whether values are held to 0..[`RELU6`] afterwards.
    pub act: bool,
}

/// `[b, h, w, c] → [b, h', w', c']`, weight `[c', c, 1, 1]` or `[c, 1, k, k]`, bias `[c']`. Differentiable.
pub fn layer(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, kind: Kind) -> Tensor<4> {
    let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    Tensor::from_dispatch(<Dispatch as LiteOps>::lite_forward(x, weight, bias, kind))
}

/// A layer, and what its derivative needs.
#[backend_extension(Flex, Autodiff)]
pub trait LiteOps: Backend {
    /// The layer.
    fn lite_forward(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>, kind: Kind) -> FloatTensor<Self>;
    /// The gradient `g` of the layer's output `y`, as that of the sums before the activation.
    fn lite_masked(y: FloatTensor<Self>, g: FloatTensor<Self>, kind: Kind) -> FloatTensor<Self>;
    /// Gradient of the input, from that of the sums.
    fn lite_input_grad(x: FloatTensor<Self>, weight: FloatTensor<Self>, g: FloatTensor<Self>, kind: Kind) -> FloatTensor<Self>;
    /// Gradient of the weight.
    fn lite_weight_grad(x: FloatTensor<Self>, weight: FloatTensor<Self>, g: FloatTensor<Self>, kind: Kind) -> FloatTensor<Self>;
    /// Gradient of the bias.
    fn lite_bias_grad(g: FloatTensor<Self>) -> FloatTensor<Self>;
}

fn plain<const D: usize>(values: Vec<f32>, dims: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims))
}

fn dims(t: &FlexTensor) -> [usize; 4] {
    let shape = t.layout().shape();
    std::array::from_fn(|i| shape[i])
}

/// Values in order.
fn ordered(t: FlexTensor) -> FlexTensor {
    if t.is_contiguous() && t.layout().start_offset() == 0 { t } else { t.to_contiguous() }
}

/// The same values as a matrix.
fn matrix(t: FlexTensor, rows: usize, columns: usize) -> FlexTensor {
    Flex::float_reshape(t, [rows, columns].into())
}

fn shape(x: [usize; 4], kind: Kind) -> Shape {
    let [b, h, w, c] = x;
    Shape { b, size: [h, w], c_in: c, c_out: c, kernel: kind.depthwise, stride: kind.stride, padding: kind.depthwise / 2 }
}

impl LiteOps for Flex {
    fn lite_forward(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, kind: Kind) -> FlexTensor {
        let (x, weight, bias) = (ordered(x), ordered(weight), ordered(bias));
        let [b, h, w, c] = dims(&x);
        let hold = |row: &mut [f32]| {
            if kind.act {
                row.iter_mut().for_each(|v| *v = v.clamp(0.0, RELU6));
            }
        };
        if kind.depthwise > 0 {
            let s = shape([b, h, w, c], kind);
            let y = depthwise(s, x.storage(), weight.storage(), Some(bias.storage()), hold);
            let [rows, columns] = s.out();
            return plain(y, [b, rows, columns, c]);
        }
        let n = dims(&weight)[0];
        let y = Self::float_matmul(matrix(x, b * h * w, c), Self::float_transpose(matrix(weight, n, c)));
        let mut y = ordered(y).into_data().try_into_vec::<f32>().expect("a product of floats");
        for row in y.chunks_exact_mut(n) {
            row.iter_mut().zip(bias.storage::<f32>()).for_each(|(v, b)| *v += b);
            hold(row);
        }
        plain(y, [b, h, w, n])
    }

    fn lite_masked(y: FlexTensor, g: FlexTensor, kind: Kind) -> FlexTensor {
        let g = ordered(g);
        if !kind.act {
            return g;
        }
        let (y, of) = (ordered(y), dims(&g));
        let inside = |(g, y): (&f32, &f32)| if *y > 0.0 && *y < RELU6 { *g } else { 0.0 };
        plain(g.storage::<f32>().iter().zip(y.storage::<f32>()).map(inside).collect(), of)
    }

    fn lite_input_grad(x: FlexTensor, weight: FlexTensor, g: FlexTensor, kind: Kind) -> FlexTensor {
        let (from, [b, rows, columns, n]) = (dims(&x), dims(&g));
        let weight = ordered(weight);
        if kind.depthwise == 0 {
            let dx = Self::float_matmul(matrix(g, b * rows * columns, n), matrix(weight, n, from[3]));
            return Self::float_reshape(dx, from.into());
        }
        let dx = depthwise_grad::input_grad(shape(from, kind), &taps(weight.storage(), n), ordered(g).storage());
        plain(dx, from)
    }

    fn lite_weight_grad(x: FlexTensor, weight: FlexTensor, g: FlexTensor, kind: Kind) -> FlexTensor {
        let (from, [b, rows, columns, n]) = (dims(&x), dims(&g));
        let x = ordered(x);
        if kind.depthwise == 0 {
            let cells = b * rows * columns;
            let dw = Self::float_matmul(Self::float_transpose(matrix(g, cells, n)), matrix(x, cells, from[3]));
            return Self::float_reshape(dw, dims(&weight).into());
        }
        let cells = kind.depthwise * kind.depthwise;
        let sums = depthwise_grad::weight_grad(shape(from, kind), x.storage(), ordered(g).storage());
        let dw = (0..n * cells).map(|i| sums[i % cells * n + i / cells]).collect();
        plain(dw, [n, 1, kind.depthwise, kind.depthwise])
    }

    fn lite_bias_grad(g: FlexTensor) -> FlexTensor {
        let n = dims(&g)[3];
        let mut sums = vec![0.0; n];
        for row in g.storage::<f32>().chunks_exact(n) {
            sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
        }
        plain(sums, [n])
    }
}

/// `[c, 1, k, k]` as `[k·k, c]`.
fn taps(weight: &[f32], c: usize) -> Vec<f32> {
    let cells = weight.len() / c.max(1);
    (0..weight.len()).map(|i| weight[i % c * cells + i / c]).collect()
}

/// The operation on the autodiff wrapper of the CPU.
mod differentiable {
    use super::{Kind, LiteOps};
    use burn::backend::Backend;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::autodiff::{Autodiff, NodeId};
    use burn::backend::tensor::FloatTensor;

    #[derive(Debug)]
    struct Layer;

    impl<B: Backend + LiteOps> Backward<B, 3> for Layer {
        type State = (NodeId, NodeId, FloatTensor<B>, Kind);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
            let [x_node, weight_node, bias_node] = ops.parents;
            let g = grads.consume::<B>(&ops.node);
            let (x, weight, y, kind) = ops.state;
            let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
            let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
            let g = B::lite_masked(y, g, kind);
            if let Some(node) = x_node {
                grads.register::<B>(node.id, B::lite_input_grad(x.clone(), weight.clone(), g.clone(), kind));
            }
            if let Some(node) = weight_node {
                grads.register::<B>(node.id, B::lite_weight_grad(x, weight, g.clone(), kind));
            }
            if let Some(node) = bias_node {
                grads.register::<B>(node.id, B::lite_bias_grad(g));
            }
        }
    }

    impl<B: Backend + LiteOps, C: CheckpointStrategy> LiteOps for Autodiff<B, C> {
        fn lite_forward(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>, kind: Kind) -> FloatTensor<Self> {
            let y = B::lite_forward(x.primitive().clone(), weight.primitive().clone(), bias.primitive().clone(), kind);
            match Layer.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful() {
                OpsKind::Tracked(mut prep) => {
                    let state = (prep.checkpoint(&x), prep.checkpoint(&weight), y.clone(), kind);
                    prep.finish(state, y)
                }
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        // Nobody derives a derivative here; these keep the trait whole.
        fn lite_masked(y: FloatTensor<Self>, g: FloatTensor<Self>, kind: Kind) -> FloatTensor<Self> {
            constant::<B, C>(B::lite_masked(y.primitive().clone(), g.primitive().clone(), kind))
        }

        fn lite_input_grad(x: FloatTensor<Self>, weight: FloatTensor<Self>, g: FloatTensor<Self>, kind: Kind) -> FloatTensor<Self> {
            constant::<B, C>(B::lite_input_grad(x.primitive().clone(), weight.primitive().clone(), g.primitive().clone(), kind))
        }

        fn lite_weight_grad(x: FloatTensor<Self>, weight: FloatTensor<Self>, g: FloatTensor<Self>, kind: Kind) -> FloatTensor<Self> {
            constant::<B, C>(B::lite_weight_grad(x.primitive().clone(), weight.primitive().clone(), g.primitive().clone(), kind))
        }

        fn lite_bias_grad(g: FloatTensor<Self>) -> FloatTensor<Self> {
            constant::<B, C>(B::lite_bias_grad(g.primitive().clone()))
        }
    }

    fn constant<B: Backend, C: CheckpointStrategy>(value: FloatTensor<B>) -> FloatTensor<Autodiff<B, C>> {
        <Autodiff<B, C> as burn::backend::AutodiffBackend>::from_inner(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, module};

    #[test]
    fn layers_and_gradients_are_burns() {
        let device = Device::flex().autodiff();
        for (depthwise, stride, act, [c, n]) in [
            (0, 1, true, [5, 7]),
            (0, 1, false, [6, 3]),
            (3, 1, true, [5, 5]),
            (3, 2, true, [4, 4]),
            (5, 2, true, [3, 3]),
            (5, 1, false, [8, 8]),
            // Whole groups of channels, and some beside them.
            (3, 2, true, [37, 37]),
            (5, 1, true, [16, 16]),
            (5, 2, false, [33, 33]),
        ] {
            let kind = Kind { depthwise, stride, act };
            let side = depthwise.max(1);
            let (per, groups) = if depthwise > 0 { (1, c) } else { (c, 1) };
            let noise = |d: [usize; 4]| Tensor::<4>::random(d, Distribution::Normal(0.5, 1.5), &device).require_grad();
            let (x, weight) = (noise([2, 9, 8, c]), noise([n, per, side, side]));
            let bias = Tensor::<1>::random([n], Distribution::Normal(0.5, 1.0), &device).require_grad();
            let grads = |y: Tensor<4>| {
                let shade = Tensor::<1, burn::tensor::Int>::arange(0..y.shape().num_elements() as i64, &device).float().sin();
                let all = (y.clone() * shade.reshape(y.dims())).sum().backward();
                let values = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().unwrap();
                let b = bias.grad(&all).unwrap().into_data().try_to_vec::<f32>().unwrap();
                [values(y.inner()), values(x.grad(&all).unwrap()), values(weight.grad(&all).unwrap()), b]
            };
            let ours = grads(layer(x.clone(), weight.clone(), bias.clone(), kind));
            let options = ConvOptions::new([stride; 2], [depthwise / 2; 2], [1, 1], groups);
            let y = module::conv2d(x.clone().permute([0, 3, 1, 2]), weight.clone(), Some(bias.clone()), options).permute([0, 2, 3, 1]);
            let theirs = grads(if act { y.clamp(0.0, f64::from(RELU6)) } else { y });
            for (name, (a, b)) in ["y", "dx", "dw", "db"].iter().zip(ours.iter().zip(&theirs)) {
                let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
                assert!(a.len() == b.len() && worst < 1e-3, "{name} of {kind:?}: {worst}");
            }
        }
    }
}
