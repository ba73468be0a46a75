//! Gradients of several batches as one step's: their mean, and the mean of the losses.
//!
//! Batches are worked on side by side, each on a copy of the model with a graph of its own (burn locks a graph while it is
//! derived), and added in their order: the sum does not depend on which was ready first. Each keeps to one thread: where all of them
//! share rayon's, a small product of one waits for a large one of another.

use burn::module::Module;
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
                let running: Vec<_> = copies.into_iter().map(|(model, batch)| scope.spawn(|| alone(|| one(&{ model }, batch)))).collect();
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

/// Runs `work` as the only thread of a pool, so that what it calls divides nothing.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
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
}
