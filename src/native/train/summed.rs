//! Gradients of several batches as one step's: their mean, and the mean of the losses.
//!
//! Batches are worked on side by side, each on a copy of the model with a graph of its own (burn locks a graph while it is
//! derived), and added in their order: the sum does not depend on which was ready first.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

/// Named parts of a loss.
pub type Parts = Vec<(&'static str, f32)>;

/// One batch's loss, its parts, and its share of the gradients (none if the loss was no number).
type One = (f32, Parts, Option<GradientsParams>);

/// Loss, parts and gradients of a step over `batches`; no gradients if a loss was no number.
pub fn step<M, B>(
    model: &M,
    batches: &[B],
    device: &Device,
    loss: impl Fn(&M, &B) -> (Tensor<1>, Parts) + Sync,
) -> (f32, Parts, Option<GradientsParams>)
where
    M: Module + Send,
    B: Sync,
{
    let share = 1.0 / batches.len().max(1) as f32;
    let one = |model: &M, batch: &B| -> One {
        let (loss, parts) = loss(model, batch);
        let value = loss.clone().into_scalar::<f32>();
        let grads = value.is_finite().then(|| GradientsParams::from_grads((loss * share).backward(), model));
        (value, parts, grads)
    };
    let side_by_side = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut value, mut parts, mut grads, mut finite) = (0.0, Parts::new(), GradientsAccumulator::new(), true);
    for some in batches.chunks(side_by_side) {
        let done: Vec<One> = if let [batch] = some {
            vec![one(model, batch)]
        } else {
            std::thread::scope(|scope| {
                let copies: Vec<_> = some.iter().map(|batch| (model.clone().fork(device), batch)).collect();
                let running: Vec<_> = copies.into_iter().map(|(model, batch)| scope.spawn(|| one(&{ model }, batch))).collect();
                running.into_iter().map(|r| r.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
            })
        };
        for (v, p, g) in done {
            value += v * share;
            if parts.is_empty() {
                parts = p.iter().map(|(name, _)| (*name, 0.0)).collect();
            }
            parts.iter_mut().zip(&p).for_each(|(sum, (_, v))| sum.1 += v * share);
            finite &= g.is_some();
            g.into_iter().for_each(|g| grads.accumulate(model, g));
        }
    }
    (value, parts, finite.then(|| grads.grads()))
}

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
    use burn::module::{ModuleMapper, Param};
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::SgdConfig;
    use burn::tensor::Device;

    #[test]
    fn two_halves_step_like_the_whole() {
        struct Ones;
        impl ModuleMapper for Ones {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|t| (t * 0.0 + 1.0).detach().require_grad())
            }
        }
        let device = Device::flex().autodiff();
        let model: Linear = LinearConfig::new(2, 1).init(&device).map(&mut Ones);
        let x = |rows: &[[f32; 2]]| Tensor::<2>::from_data(burn::tensor::TensorData::new(rows.concat(), [rows.len(), 2]), &device);
        let stepped = |batches: &[Vec<[f32; 2]>]| {
            let (value, _, grads) = step(&model, batches, &device, |m: &Linear, rows| (m.forward(x(rows)).square().mean(), vec![]));
            let model = SgdConfig::new().init().step(0.1, model.clone(), grads.unwrap());
            (value, model.weight.val().into_data().try_to_vec::<f32>().unwrap())
        };
        let a = stepped(&[vec![[1.0, 2.0], [3.0, -1.0]]]);
        let b = stepped(&[vec![[1.0, 2.0]], vec![[3.0, -1.0]]]);
        assert!((a.0 - b.0).abs() < 1e-5 && a.1.iter().zip(&b.1).all(|(x, y)| (x - y).abs() < 1e-5), "{a:?} {b:?}");
        let parts = |v: &[f32]| step(&model, v, &device, |m: &Linear, v| (m.forward(x(&[[*v, 0.0]])).mean(), vec![("a", *v)])).1;
        assert_eq!(parts(&[0.5, 1.5, 4.0]), [("a", 2.0)]);
        let bad = step(&model, &[f32::NAN, 1.0], &device, |m: &Linear, v| (m.forward(x(&[[*v, 0.0]])).mean(), vec![]));
        assert!(bad.2.is_none());
    }

    #[test]
    fn gradients_are_clipped_together_and_split_by_parameter() {
        let device = Device::flex().autodiff();
        let model: Linear = LinearConfig::new(2, 1).init(&device);
        let x = Tensor::<2>::from_data([[1.0, 2.0]], &device);
        let (_, _, grads) = step(&model, &[x], &device, |m: &Linear, x| (m.forward(x.clone()).mean(), vec![]));
        let (mut rest, weight, bias) = (grads.unwrap(), model.weight.id, model.bias.as_ref().unwrap().id);
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
