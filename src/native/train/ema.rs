//! Moving average of the trained weights (Polyak and Juditsky 1992): what is validated and kept can be the mean over the last
//! steps, which is less noisy than the last step of small batches.

use crate::error::{Error, Result};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use std::collections::HashMap;
use std::path::Path;

/// The average, on the host, by parameter.
pub struct Ema {
    decay: f32,
    seen: usize,
    means: HashMap<ParamId, Vec<f32>>,
}

impl Ema {
    /// `decay` 0..1; 0 = none: [`Ema::averaged`] is then the model itself.
    pub fn new(decay: f32) -> Self {
        Self { decay, seen: 0, means: HashMap::new() }
    }

    /// Takes the model's weights in. The first steps weigh more, so that the start is forgotten.
    pub fn update<M: Module>(&mut self, model: &M) {
        if self.decay > 0.0 {
            let keep = self.decay.min((1.0 + self.seen as f32) / (10.0 + self.seen as f32));
            self.seen += 1;
            model.visit(&mut Take { keep, means: &mut self.means });
        }
    }

    /// The model with averaged weights.
    pub fn averaged<M: Module>(&self, model: &M) -> M {
        if self.means.is_empty() { model.clone() } else { model.clone().map(&mut Put { means: &self.means }) }
    }

    /// Saves the average beside a checkpoint.
    ///
    /// # Errors
    /// `io.failed`
    pub fn save<M: Module>(&self, model: &M, path: &Path) -> Result<()> {
        if self.decay > 0.0 {
            self.averaged(model).save_file(path).map_err(|e| Error::Io(format!("average: {e:?}")))?;
        }
        Ok(())
    }

    /// Goes on from a saved average after `seen` steps.
    ///
    /// # Errors
    /// `io.failed`
    pub fn load<M: Module>(&mut self, model: &M, path: &Path, seen: usize) -> Result<()> {
        if self.decay > 0.0 {
            let saved = model.clone().try_load_file(path).map_err(|e| Error::Io(format!("average: {e:?}")))?;
            saved.visit(&mut Take { keep: 0.0, means: &mut self.means });
            self.seen = seen;
        }
        Ok(())
    }
}

struct Take<'a> {
    keep: f32,
    means: &'a mut HashMap<ParamId, Vec<f32>>,
}

impl ModuleVisitor for Take<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Frozen weights do not move.
        if !param.is_require_grad() {
            return;
        }
        let Ok(now) = param.val().into_data().try_to_vec::<f32>() else { return };
        match self.means.get_mut(&param.id) {
            Some(mean) => mean.iter_mut().zip(now).for_each(|(m, v)| *m = self.keep * *m + (1.0 - self.keep) * v),
            None => drop(self.means.insert(param.id, now)),
        }
    }
}

struct Put<'a> {
    means: &'a HashMap<ParamId, Vec<f32>>,
}

impl ModuleMapper for Put<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.means.get(&param.id) {
            Some(mean) => param.map(|t| {
                let data = TensorData::new(mean.clone(), t.dims());
                Tensor::from_data(data, &t.device()).require_grad()
            }),
            None => param,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn filled(model: Linear, value: f32) -> Linear {
        struct Fill(f32);
        impl ModuleMapper for Fill {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|t| (t * 0.0 + self.0).detach().require_grad())
            }
        }
        model.map(&mut Fill(value))
    }

    fn first(model: &Linear) -> f32 {
        model.weight.val().into_data().try_to_vec::<f32>().unwrap()[0]
    }

    #[test]
    fn the_average_follows_slowly_and_survives_a_restart() {
        let device = Device::flex().autodiff();
        let one = filled(LinearConfig::new(2, 2).init(&device), 1.0);
        let three = filled(one.clone(), 3.0);
        let mut ema = Ema::new(0.5);
        ema.update(&one);
        assert!((first(&ema.averaged(&three)) - 1.0).abs() < 1e-6);
        (0..3).for_each(|_| ema.update(&three));
        let mean = first(&ema.averaged(&three));
        assert!(mean > 2.9 && mean < 3.0, "{mean}");
        let path = std::env::temp_dir().join(format!("facext-ema-{}", std::process::id()));
        ema.save(&three, &path).unwrap();
        let mut again = Ema::new(0.5);
        again.load(&three, &path, 4).unwrap();
        again.update(&three);
        ema.update(&three);
        assert_eq!(first(&again.averaged(&three)), first(&ema.averaged(&three)));
        let off = Ema::new(0.0);
        assert_eq!(first(&off.averaged(&one)), 1.0);
    }
}
