//! Convolution with a faster derivative on the CPU, for training.
//!
//! burn derives a convolution by two more: the weight's gradient is a convolution whose kernel has the size of the output, the
//! input's a transposed one; both gather as much as a patch matrix and multiply it a few columns at a time. Here a few rows of
//! the patch matrix are laid out at a time ("im2col", Chellapilla et al. 2006), and each gradient is a matrix product of them:
//! dW += G·Pᵀ, dP = Wᵀ·G, whose values are added back to where the patches came from. Forward is burn's own, and so is all of
//! it on other devices, for groups and for dilation.

use burn::backend::ops::{ConvOptions, FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};
#[cfg(feature = "gpu")]
use burn_cubecl::CubeBackend;
use burn_flex::FlexTensor;

/// Columns of the patch matrix at a time: it stays in the second cache.
const COLUMNS: usize = 1536;

/// Convolution without bias, `[b, c, h, w] → [b, c', h', w']`, weight `[c', c, k, k]`. Differentiable.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, options: ConvOptions<2>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvGradOps>::conv_forward(x.into_dispatch(), weight.into_dispatch(), options))
}

/// A convolution and its two derivatives.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"), Autodiff: cfg(feature = "native"))]
pub trait ConvGradOps: Backend {
    /// The convolution.
    fn conv_forward(x: FloatTensor<Self>, weight: FloatTensor<Self>, options: ConvOptions<2>) -> FloatTensor<Self>;
    /// Gradient of the input, from the output's gradient `g`.
    fn conv_input_grad(x: FloatTensor<Self>, weight: FloatTensor<Self>, g: FloatTensor<Self>, options: ConvOptions<2>)
    -> FloatTensor<Self>;
    /// Gradient of the weight.
    fn conv_weight_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        g: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self>;
}

#[cfg(feature = "gpu")]
impl ConvGradOps for CubeBackend {
    fn conv_forward(x: FloatTensor<Self>, weight: FloatTensor<Self>, options: ConvOptions<2>) -> FloatTensor<Self> {
        Self::conv2d(x, weight, None, options)
    }

    fn conv_input_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        g: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(x, weight, g, options)
    }

    fn conv_weight_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        g: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d_weight_backward(x, weight, g, options)
    }
}

impl ConvGradOps for Flex {
    fn conv_forward(x: FlexTensor, weight: FlexTensor, options: ConvOptions<2>) -> FlexTensor {
        Self::conv2d(x, weight, None, options)
    }

    fn conv_input_grad(x: FlexTensor, weight: FlexTensor, g: FlexTensor, options: ConvOptions<2>) -> FlexTensor {
        let Some(shape) = Shape::of(&x, &weight, &g, &options) else { return Self::conv2d_x_backward(x, weight, g, options) };
        let (g, weight) = (g.to_contiguous(), weight.to_contiguous());
        let transposed = Self::float_transpose(plain(weight.storage::<f32>().to_vec(), [shape.out[0], shape.depth()]));
        let (own, from) = (shape.size[0] * shape.size[1] * shape.size[2], shape.out[0] * shape.cells());
        let mut dx = vec![0.0; shape.batch * own];
        for (dx, g) in dx.chunks_mut(own).zip(g.storage::<f32>().chunks(from)) {
            for rows in shape.strips() {
                let part = shape.strip(g, rows.clone());
                let patches = Self::float_matmul(transposed.clone(), part);
                shape.scatter(patches.to_contiguous().storage(), rows, dx);
            }
        }
        plain(dx, [shape.batch, shape.size[0], shape.size[1], shape.size[2]])
    }

    fn conv_weight_grad(x: FlexTensor, weight: FlexTensor, g: FlexTensor, options: ConvOptions<2>) -> FlexTensor {
        let Some(shape) = Shape::of(&x, &weight, &g, &options) else { return Self::conv2d_weight_backward(x, weight, g, options) };
        let (x, g) = (x.to_contiguous(), g.to_contiguous());
        let (own, from) = (shape.size[0] * shape.size[1] * shape.size[2], shape.out[0] * shape.cells());
        let mut dw = vec![0.0; shape.out[0] * shape.depth()];
        for (x, g) in x.storage::<f32>().chunks(own).zip(g.storage::<f32>().chunks(from)) {
            for rows in shape.strips() {
                let part = shape.strip(g, rows.clone());
                let columns = rows.len() * shape.out[2];
                let patches = plain(shape.gather(x, rows), [shape.depth(), columns]);
                let product = Self::float_matmul(part, Self::float_transpose(patches)).to_contiguous();
                dw.iter_mut().zip(product.storage::<f32>()).for_each(|(sum, v)| *sum += v);
            }
        }
        plain(dw, [shape.out[0], shape.size[0], shape.kernel, shape.kernel])
    }
}

fn plain<const D: usize>(values: Vec<f32>, dims: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims))
}

/// Sizes of a convolution of one group without dilation.
struct Shape {
    batch: usize,
    /// Of an input: channels, rows, columns.
    size: [usize; 3],
    /// Of an output.
    out: [usize; 3],
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Shape {
    /// `None` for what is left to burn.
    fn of(x: &FlexTensor, weight: &FlexTensor, g: &FlexTensor, options: &ConvOptions<2>) -> Option<Self> {
        let dims = |t: &FlexTensor| <[usize; 4]>::try_from(&t.layout().shape()[..]).ok();
        let ([batch, c, h, w], [_, _, kernel, across], [_, o, rows, columns]) = (dims(x)?, dims(weight)?, dims(g)?);
        let p = options.padding[0].0;
        let plain = options.groups == 1 && options.dilation == [1, 1] && options.stride[0] == options.stride[1];
        let even = kernel == across && options.padding.iter().all(|(a, b)| *a == p && *b == p);
        let floats = [x, weight, g].iter().all(|t| t.dtype() == DType::F32);
        (plain && even && floats).then_some(Self {
            batch,
            size: [c, h, w],
            out: [o, rows, columns],
            kernel,
            stride: options.stride[0],
            padding: p,
        })
    }

    /// Rows of the patch matrix.
    fn depth(&self) -> usize {
        self.size[0] * self.kernel * self.kernel
    }

    fn cells(&self) -> usize {
        self.out[1] * self.out[2]
    }

    /// Output rows, a few at a time.
    fn strips(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (rows, step) = (self.out[1], (COLUMNS / self.out[2].max(1)).max(1));
        (0..rows).step_by(step).map(move |from| from..(from + step).min(rows))
    }

    /// Output rows of one image's gradient `[c', h', w']` as a matrix `[c', columns]`.
    fn strip(&self, g: &[f32], rows: std::ops::Range<usize>) -> FlexTensor {
        let (width, cells) = (self.out[2], self.cells());
        let mut part = Vec::with_capacity(self.out[0] * rows.len() * width);
        g.chunks(cells).for_each(|plane| part.extend_from_slice(&plane[rows.start * width..rows.end * width]));
        plain(part, [self.out[0], rows.len() * width])
    }

    /// Calls with every piece of a row that the patch matrix holds: row of the matrix's start, input row's start, input column
    /// of the first cell, and the output columns for which it lies inside.
    fn pieces(&self, rows: std::ops::Range<usize>, mut piece: impl FnMut(usize, usize, usize, std::ops::Range<usize>)) {
        let ([c, h, w], k, s, p, width) = (self.size, self.kernel, self.stride, self.padding, self.out[2]);
        let columns = rows.len() * width;
        for row in 0..c * k * k {
            let (channel, ky, kx) = (row / (k * k), row / k % k, row % k);
            // 0 <= o·s + kx − p < w.
            let first = p.saturating_sub(kx).div_ceil(s);
            let end = if w + p > kx { ((w + p - kx - 1) / s + 1).min(width) } else { 0 };
            for (i, o) in rows.clone().enumerate() {
                let y = o * s + ky;
                if y >= p && y - p < h && first < end {
                    let from = (channel * h + y - p) * w;
                    piece(row * columns + i * width, from, first * s + kx - p, first..end);
                }
            }
        }
    }

    /// The patches `[depth, columns]` of output rows.
    fn gather(&self, x: &[f32], rows: std::ops::Range<usize>) -> Vec<f32> {
        let mut out = vec![0.0; self.depth() * rows.len() * self.out[2]];
        self.pieces(rows, |to, from, column, range| {
            let line = &mut out[to + range.start..to + range.end];
            let source = &x[from + column..];
            if self.stride == 1 {
                line.copy_from_slice(&source[..line.len()]);
            } else {
                line.iter_mut().zip(source.iter().step_by(self.stride)).for_each(|(v, s)| *v = *s);
            }
        });
        out
    }

    /// Adds patches back to where they came from.
    fn scatter(&self, patches: &[f32], rows: std::ops::Range<usize>, dx: &mut [f32]) {
        self.pieces(rows, |to, from, column, range| {
            let line = &patches[to + range.start..to + range.end];
            let target = &mut dx[from + column..];
            target.iter_mut().step_by(self.stride).zip(line).for_each(|(v, g)| *v += g);
        });
    }
}

/// The operation on the autodiff wrapper of any device.
#[cfg(feature = "native")]
mod differentiable {
    use super::ConvGradOps;
    use burn::backend::Backend;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::autodiff::{Autodiff, NodeId};
    use burn::backend::ops::{ConvOptions, ModuleOps};
    use burn::backend::tensor::FloatTensor;

    #[derive(Debug)]
    struct Conv;

    impl<B: Backend + ConvGradOps> Backward<B, 2> for Conv {
        type State = (NodeId, NodeId, ConvOptions<2>);

        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
            let [x_node, weight_node] = ops.parents;
            let g = grads.consume::<B>(&ops.node);
            let (x, weight, options) = ops.state;
            let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(x);
            let weight = checkpointer.retrieve_node_output::<FloatTensor<B>>(weight);
            if let Some(node) = x_node {
                grads.register::<B>(node.id, B::conv_input_grad(x.clone(), weight.clone(), g.clone(), options.clone()));
            }
            if let Some(node) = weight_node {
                grads.register::<B>(node.id, B::conv_weight_grad(x, weight, g, options));
            }
        }
    }

    impl<B: Backend + ConvGradOps, C: CheckpointStrategy> ConvGradOps for Autodiff<B, C> {
        fn conv_forward(x: FloatTensor<Self>, weight: FloatTensor<Self>, options: ConvOptions<2>) -> FloatTensor<Self> {
            match Conv.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
                OpsKind::Tracked(mut prep) => {
                    let state = (prep.checkpoint(&x), prep.checkpoint(&weight), options.clone());
                    prep.finish(state, B::conv_forward(x.primitive().clone(), weight.primitive().clone(), options))
                }
                OpsKind::UnTracked(prep) => prep.finish(B::conv_forward(x.primitive().clone(), weight.primitive().clone(), options)),
            }
        }

        // A derivative of a derivative goes burn's own way.
        fn conv_input_grad(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            g: FloatTensor<Self>,
            options: ConvOptions<2>,
        ) -> FloatTensor<Self> {
            Self::conv2d_x_backward(x, weight, g, options)
        }

        fn conv_weight_grad(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            g: FloatTensor<Self>,
            options: ConvOptions<2>,
        ) -> FloatTensor<Self> {
            Self::conv2d_weight_backward(x, weight, g, options)
        }
    }
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, module};

    #[test]
    fn gradients_are_burns() {
        let device = Device::flex().autodiff();
        for (b, c, o, h, w, k, s, p) in [
            (2, 3, 5, 9, 11, 3, 1, 1),
            (1, 4, 2, 10, 8, 3, 2, 1),
            (2, 6, 4, 7, 7, 1, 1, 0),
            (1, 2, 3, 5, 6, 5, 2, 2),
            (1, 1, 1, 3, 60, 3, 1, 0),
        ] {
            let x = Tensor::<4>::random([b, c, h, w], Distribution::Normal(0.0, 1.0), &device).require_grad();
            let weight = Tensor::<4>::random([o, c, k, k], Distribution::Normal(0.0, 1.0), &device).require_grad();
            let options = ConvOptions::new([s, s], [p, p], [1, 1], 1);
            let grads = |y: Tensor<4>| {
                // An uneven loss, so that no two cells have the same gradient.
                let shade = Tensor::<1, burn::tensor::Int>::arange(0..y.shape().num_elements() as i64, &device).float().sin();
                let loss = (y.clone() * shade.reshape(y.dims())).sum();
                let all = loss.backward();
                let values = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().unwrap();
                (values(y.inner()), values(x.grad(&all).unwrap()), values(weight.grad(&all).unwrap()))
            };
            let ours = grads(conv2d(x.clone(), weight.clone(), options.clone()));
            let theirs = grads(module::conv2d(x.clone(), weight.clone(), None, options));
            for (name, a, b) in [("y", &ours.0, &theirs.0), ("dx", &ours.1, &theirs.1), ("dw", &ours.2, &theirs.2)] {
                let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
                assert!(a.len() == b.len() && worst < 2e-4, "{name} of kernel {k}, stride {s}: {worst}");
            }
        }
    }
}
