//! Gradients of several batches as one step's: their mean, and the mean of the losses.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

/// Losses and gradients of a step so far.
pub struct Summed<M> {
    batches: u32,
    value: f32,
    parts: Vec<(&'static str, f32)>,
    grads: GradientsAccumulator<M>,
    finite: bool,
}

impl<M: Module> Summed<M> {
    /// `batches` will be added.
    pub fn new(batches: u32) -> Self {
        Self { batches: batches.max(1), value: 0.0, parts: vec![], grads: GradientsAccumulator::new(), finite: true }
    }

    /// Adds a batch: its loss, with its parts by name.
    pub fn add(&mut self, model: &M, loss: Tensor<1>, parts: &[(&'static str, f32)]) {
        let share = 1.0 / self.batches as f32;
        let value = loss.clone().into_scalar::<f32>();
        self.value += value * share;
        if self.parts.is_empty() {
            self.parts = parts.iter().map(|(name, _)| (*name, 0.0)).collect();
        }
        self.parts.iter_mut().zip(parts).for_each(|(sum, (_, v))| sum.1 += v * share);
        self.finite &= value.is_finite();
        if self.finite {
            let scaled = if self.batches > 1 { loss * share } else { loss };
            self.grads.accumulate(model, GradientsParams::from_grads(scaled.backward(), model));
        }
    }

    /// Loss, parts, gradients; no gradients if a loss was no number.
    pub fn take(mut self) -> (f32, Vec<(&'static str, f32)>, Option<GradientsParams>) {
        let grads = self.finite.then(|| self.grads.grads());
        (self.value, self.parts, grads)
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
        let loss = |rows: &[[f32; 2]]| model.forward(x(rows)).square().mean();
        let stepped = |s: Summed<Linear>| {
            let (value, _, grads) = s.take();
            let model = SgdConfig::new().init().step(0.1, model.clone(), grads.unwrap());
            (value, model.weight.val().into_data().try_to_vec::<f32>().unwrap())
        };
        let (mut whole, mut halves) = (Summed::new(1), Summed::new(2));
        whole.add(&model, loss(&[[1.0, 2.0], [3.0, -1.0]]), &[("a", 1.0)]);
        halves.add(&model, loss(&[[1.0, 2.0]]), &[("a", 0.5)]);
        halves.add(&model, loss(&[[3.0, -1.0]]), &[("a", 1.5)]);
        let (a, b) = (stepped(whole), stepped(halves));
        assert!((a.0 - b.0).abs() < 1e-5 && a.1.iter().zip(&b.1).all(|(x, y)| (x - y).abs() < 1e-5), "{a:?} {b:?}");
        let mut bad = Summed::new(1);
        bad.add(&model, loss(&[[f32::NAN, 0.0]]), &[]);
        assert!(bad.take().2.is_none());
    }
}
