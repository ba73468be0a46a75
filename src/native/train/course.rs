//! The course of a stage that trains on batches: optimiser, moving average, journal, checkpoints; resumed exactly where it was left.

use crate::error::{Error, Result};
use crate::native::train::Args;
use crate::native::train::ema::Ema;
use crate::native::train::gradients;
use crate::native::train::schedule::{Journal, cosine};
use crate::native::train::summed::{self, Parts};
use burn::module::{Module, ParamId};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// Share of the learning rate for parameters that were trained before.
const TRAINED_RATE: f64 = 0.5;

/// Most that the norm of a step's gradients may be.
pub const MOST: f32 = 1.0;

/// A model on its way.
pub struct Course<M> {
    model: M,
    optimiser: ModuleOptimizer,
    ema: Ema,
    journal: Journal,
    /// Optimiser steps that are done.
    pub step: usize,
    /// Parameters that were trained before: they learn at half the rate, so that the new ones can catch up before they are disturbed.
    pub trained: fn(&M) -> Vec<ParamId>,
}

impl<M: Module + Send> Course<M> {
    /// Begins, or goes on from the last checkpoint of the stage `name` in the run's folder.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn begin(name: &'static str, model: M, args: &Args) -> Result<Self> {
        let optimiser = AdamWConfig::new().with_weight_decay(0.02).with_epsilon(1e-8).init();
        let mut all =
            Self { model, optimiser, ema: Ema::new(args.ema), journal: Journal::open(&args.out, name)?, step: 0, trained: |_| vec![] };
        if let Some(at) = all.journal.resume() {
            all.model = all.model.try_load_file(all.journal.model_path()).map_err(|e| Error::Io(format!("checkpoint: {e:?}")))?;
            all.optimiser = all.optimiser.load(all.journal.optimiser_path()).map_err(|e| Error::Io(format!("optimiser: {e:?}")))?;
            all.ema.load(&all.model, &all.journal.average_path(), at)?;
            all.step = at;
        }
        Ok(all)
    }

    /// Trains until `args.steps` and gives the averaged model.
    ///
    /// # Arguments
    /// - `batch`: the next one; a step takes `args.accumulate`.
    /// - `validate`: a line of figures of the averaged model; after each checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`], and those of `batch` and `validate`.
    pub fn run<B: Sync>(
        mut self,
        (args, warm_up, device): (&Args, usize, &Device),
        mut batch: impl FnMut() -> Result<B>,
        loss: impl Fn(&M, &B) -> (Tensor<1>, Parts) + Sync,
        validate: impl Fn(&M) -> Result<String>,
    ) -> Result<M> {
        let (started, first) = (Instant::now(), self.step);
        while self.step < args.steps {
            let lr = args.lr * cosine(self.step, warm_up, args.steps);
            let batches = (0..args.accumulate).map(|_| batch()).collect::<Result<Vec<B>>>()?;
            let (value, parts, grads) = summed::step(&self.model, &batches, device, &loss);
            if let Some(mut grads) = grads {
                gradients::clip(&self.model, &mut grads, MOST);
                let trained = gradients::split(&self.model, &mut grads, &(self.trained)(&self.model));
                self.model = self.optimiser.step(lr * TRAINED_RATE, self.model, trained);
                self.model = self.optimiser.step(lr, self.model, grads);
                self.ema.update(&self.model);
            }
            self.step += 1;
            self.journal.log(self.step, lr, value, &parts, started.elapsed().as_secs_f64() / (self.step - first) as f64)?;
            if self.step.is_multiple_of(args.save_every) || self.step == args.steps {
                self.save()?;
                let report = validate(&super::inner(&self.ema.averaged(&self.model)))?;
                self.journal.note(self.step, &report)?;
            }
        }
        Ok(self.ema.averaged(&self.model))
    }

    /// A checkpoint.
    fn save(&mut self) -> Result<()> {
        self.model.clone().save_file(self.journal.model_path()).map_err(|e| Error::Io(format!("checkpoint: {e:?}")))?;
        self.optimiser.save(self.journal.optimiser_path()).map_err(|e| Error::Io(format!("optimiser: {e:?}")))?;
        self.ema.save(&self.model, &self.journal.average_path())?;
        self.journal.saved(self.step)
    }
}

/// The next of the samples that other threads prepare.
pub fn next<T>(samples: &Receiver<Result<T>>) -> Result<T> {
    samples.recv().map_err(|_| Error::Model("the sample threads ended".into()))?
}
