//! Residual stage: the residual branch beside the frozen trunk, from evidence map, detection and family.
//!
//! Without the decoder a sample is cheap, so the branch, which starts from nothing, sees the most.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::encoder::TinyVit;
use crate::model::residual::ResidualBranch;
use crate::model::vision::crops_to_tensor;
use crate::native::annotate::{Sample, Sampler};
use crate::native::metrics;
use crate::native::train::Args;
use crate::native::train::batch::{TrunkData, shrink};
use crate::native::train::ema::Ema;
use crate::native::train::losses::{bce, cross_entropy, evidence};
use crate::native::train::schedule::{Journal, cosine};
use crate::native::train::summed;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

/// Trains until `args.steps`; resumes from the run's checkpoint.
///
/// # Errors
/// [`Error::Io`], and those of the sampler.
pub fn train(
    cfg: &ModelConfig,
    (trunk, mut model): (TinyVit, ResidualBranch),
    sampler: Arc<Sampler>,
    val: &Sampler,
    args: &Args,
    device: &Device,
) -> Result<ResidualBranch> {
    let mut optimiser =
        AdamWConfig::new().with_weight_decay(0.02).with_epsilon(1e-8).with_grad_clipping(Some(GradientClippingConfig::Norm(1.0))).init();
    let mut journal = Journal::open(&args.out, "residual")?;
    let mut ema = Ema::new(args.ema);
    let mut step = 0;
    if let Some(at) = journal.resume() {
        model = model.try_load_file(journal.model_path()).map_err(|e| Error::Io(format!("checkpoint: {e:?}")))?;
        optimiser = optimiser.load(journal.optimiser_path()).map_err(|e| Error::Io(format!("optimiser: {e:?}")))?;
        ema.load(&model, &journal.average_path(), at)?;
        step = at;
    }
    let (send, samples) = sync_channel(16);
    let next = Arc::new(AtomicU64::new((step * args.batch * args.accumulate as usize) as u64));
    let trunk = super::inner(&trunk);
    for _ in 0..args.loaders.max(1) {
        let (sampler, send, next, trunk, side) = (sampler.clone(), send.clone(), next.clone(), trunk.clone(), cfg.enc_image);
        let repeat = if args.repeat == 0 { u64::MAX } else { args.repeat };
        std::thread::spawn(move || {
            loop {
                let drawn = sampler.paired(next.fetch_add(1, Ordering::Relaxed) % repeat);
                let ready = drawn.map(|s| (TrunkData::of(&trunk, &s.image.data, side), s));
                if send.send(ready).is_err() {
                    break;
                }
            }
        });
    }
    drop(send);
    let (started, first) = (Instant::now(), step);
    while step < args.steps {
        let lr = args.lr * cosine(step, 50, args.steps);
        let draw = || samples.recv().map_err(|_| Error::Model("the sample threads ended".into())).and_then(|drawn| drawn);
        let batches =
            (0..args.accumulate).map(|_| (0..args.batch).map(|_| draw()).collect()).collect::<Result<Vec<Vec<(TrunkData, Sample)>>>>()?;
        let (value, parts, grads) = summed::step(&model, &batches, device, |model, batch| loss(cfg, model, batch, device));
        if let Some(grads) = grads {
            model = optimiser.step(lr, model, grads);
            ema.update(&model);
        }
        step += 1;
        journal.log(step, lr, value, &parts, started.elapsed().as_secs_f64() / (step - first) as f64)?;
        if step % args.save_every == 0 || step == args.steps {
            model.clone().save_file(journal.model_path()).map_err(|e| Error::Io(format!("checkpoint: {e:?}")))?;
            optimiser.save(journal.optimiser_path()).map_err(|e| Error::Io(format!("optimiser: {e:?}")))?;
            ema.save(&model, &journal.average_path())?;
            journal.saved(step)?;
            let report = validate(cfg, (&trunk, &super::inner(&ema.averaged(&model))), val, args.validate)?;
            journal.note(step, &report)?;
        }
    }
    Ok(ema.averaged(&model))
}

fn loss(
    cfg: &ModelConfig,
    model: &ResidualBranch,
    batch: &[(TrunkData, Sample)],
    device: &Device,
) -> (Tensor<1>, Vec<(&'static str, f32)>) {
    let (b, m) = (batch.len(), cfg.enc_image / 4);
    let crops: Vec<&[u8]> = batch.iter().map(|(_, s)| s.image.data.as_slice()).collect();
    let out = model.forward(crops_to_tensor(&crops, cfg.enc_image, device), &TrunkData::join(batch.iter().map(|(t, _)| t), device));
    let artifact: Vec<f32> = batch.iter().flat_map(|(_, s)| shrink(&s.artifact.data, cfg.enc_image)).collect();
    let artifact = Tensor::<4>::from_data(TensorData::new(artifact, [b, 1, m, m]), device);
    let forged: Vec<f32> = batch.iter().map(|(_, s)| f32::from(u8::from(s.is_fake()))).collect();
    let classes: Vec<i32> = batch.iter().map(|(_, s)| s.family.index() as i32).collect();
    let map = evidence(out.artifact, artifact);
    let det = bce(out.det, Tensor::<2>::from_data(TensorData::new(forged, [b, 1]), device)).mean();
    let cls = cross_entropy(out.cls, Tensor::<1, Int>::from_data(TensorData::new(classes, [b]), device));
    let parts = [("map", &map), ("det", &det), ("cls", &cls)].map(|(n, t)| (n, t.clone().detach().into_scalar::<f32>()));
    (map * 2.0 + det + cls * 0.5, parts.to_vec())
}

/// Figures on `n` samples of a split.
fn validate(cfg: &ModelConfig, (trunk, model): (&TinyVit, &ResidualBranch), split: &Sampler, n: u64) -> Result<String> {
    let device = Device::flex();
    let (mut scores, mut peaks, mut iou) = (vec![], vec![], vec![]);
    for index in 0..n {
        let s = split.sample(index)?;
        let image = crops_to_tensor(&[&s.image.data], cfg.enc_image, &device);
        let out = model.forward(image.clone(), &trunk.forward(image));
        scores.push((sigmoid(out.det).into_scalar::<f32>(), s.is_fake()));
        let map = out.artifact.into_data().try_to_vec::<f32>().map_err(|e| Error::Model(format!("{e:?}")))?;
        peaks.push((map.iter().copied().fold(f32::MIN, f32::max), s.is_fake()));
        if s.is_fake() {
            let truth = shrink(&s.artifact.data, cfg.enc_image);
            let count = |f: &dyn Fn(bool, bool) -> bool| map.iter().zip(&truth).filter(|(x, y)| f(**x > 0.0, **y > 0.5)).count() as f32;
            iou.push(count(&|a, b| a && b) / count(&|a, b| a || b).max(1.0));
        }
    }
    Ok(format!(
        "auc {:.4} auc of the map's peak {:.4} map_iou {:.4} n {n}",
        metrics::roc_auc(&scores).unwrap_or(f64::NAN),
        metrics::roc_auc(&peaks).unwrap_or(f64::NAN),
        iou.iter().sum::<f32>() / iou.len().max(1) as f32
    ))
}
