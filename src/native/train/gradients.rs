//! What is done to the gradients of a step before the optimiser takes them.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales the gradients of `model` together so that their common norm is at most `most`.
///
/// Not tensor by tensor, as burn's own clipping does: that changes the direction of the step, and where single tensors are well over
/// the bound (here a few always are) detection was not learned at all, from gradients that teach it well otherwise.
pub fn clip<M: Module>(model: &M, grads: &mut GradientsParams, most: f32) {
    struct Squares<'a>(&'a GradientsParams, f32);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1 += self.0.get::<D>(param.id).map_or(0.0, |g| g.square().sum().into_scalar::<f32>());
        }
    }
    struct Scale<'a>(&'a mut GradientsParams, f32);
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(g) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, g * self.1);
            }
        }
    }
    let mut squares = Squares(grads, 0.0);
    model.visit(&mut squares);
    let norm = squares.1.sqrt();
    if norm > most {
        model.visit(&mut Scale(grads, most / norm));
    }
}

/// Takes the gradients of the parameters `ids` of `model` out of `all`.
pub fn split<M: Module>(model: &M, all: &mut GradientsParams, ids: &[ParamId]) -> GradientsParams {
    struct Mover<'a>(&'a mut GradientsParams, &'a [ParamId], GradientsParams);
    impl ModuleVisitor for Mover<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let grad = self.1.contains(&param.id).then(|| self.0.remove::<D>(param.id)).flatten();
            grad.into_iter().for_each(|g| self.2.register(param.id, g));
        }
    }
    let mut mover = Mover(all, ids, GradientsParams::new());
    model.visit(&mut mover);
    mover.2
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[test]
    fn gradients_are_clipped_together_and_split_by_parameter() {
        let device = Device::flex().autodiff();
        let model: Linear = LinearConfig::new(2, 1).init(&device);
        let x = Tensor::<2>::from_data([[1.0, 2.0]], &device);
        let mut rest = GradientsParams::from_grads(model.forward(x).mean().backward(), &model);
        let (weight, bias) = (model.weight.id, model.bias.as_ref().unwrap().id);
        clip(&model, &mut rest, 2.0);
        let norm = |w: &[f32]| w.iter().map(|v| v * v).sum::<f32>().sqrt();
        let w = rest.get::<2>(weight).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let b = rest.get::<1>(bias).unwrap().into_data().try_to_vec::<f32>().unwrap();
        // Of mean(xw + b) they are [1, 2] and 1: norm √6, scaled together.
        assert!((norm(&[w[0], w[1], b[0]]) - 2.0).abs() < 1e-5 && (w[0] - b[0]).abs() < 1e-6 && (w[1] - 2.0 * b[0]).abs() < 1e-6);
        clip(&model, &mut rest, 9.0);
        assert_eq!(rest.get::<1>(bias).unwrap().into_data().try_to_vec::<f32>().unwrap(), b);
        let moved = split(&model, &mut rest, &[weight]);
        assert!(moved.get::<2>(weight).is_some() && moved.get::<1>(bias).is_none());
        assert!(rest.get::<2>(weight).is_none() && rest.get::<1>(bias).is_some());
    }
}
