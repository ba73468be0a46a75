//! Traces stage: the branch that looks for traces, alone, from evidence map, detection and family.
//!
//! Without the decoder a sample is cheap, and a square of one ([`super::cut`]) cheaper still, so the branch sees the most.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::traces::Traces;
use crate::model::vision::crops_to_tensor;
use crate::native::annotate::Sampler;
use crate::native::metrics;
use crate::native::train::Args;
use crate::native::train::batch::shrink;
use crate::native::train::course::{Course, next as next_of};
use crate::native::train::cut::{Cut, Cuts};
use crate::native::train::losses::{bce, cross_entropy, evidence};
use burn::module::list_param_ids;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

/// Trains until `args.steps`; resumes from the run's checkpoint.
///
/// # Errors
/// [`Error::Io`], and those of the sampler.
pub fn train(cfg: &ModelConfig, model: Traces, sampler: Arc<Sampler>, val: &Sampler, args: &Args, device: &Device) -> Result<Traces> {
    let side = if args.side == 0 { cfg.enc_image } else { args.side };
    if !side.is_multiple_of(32) || side > cfg.enc_image || !args.batch.is_multiple_of(2) {
        return Err(Error::Request(format!("--side must be a multiple of 32 up to {}, --batch even", cfg.enc_image)));
    }
    let mut course = Course::begin("traces", model, args)?;
    // A network that has learned from other pictures.
    course.trained = |model| list_param_ids(&model.lite);
    let (send, samples) = sync_channel(16);
    let next = Arc::new(AtomicU64::new((course.step * args.batch * args.accumulate as usize / 2) as u64));
    let repeat = if args.repeat == 0 { u64::MAX } else { args.repeat.div_ceil(2) };
    let cuts = Arc::new(Cuts::new(sampler, side, repeat));
    for _ in 0..args.loaders.max(1) {
        let (cuts, send, next) = (cuts.clone(), send.clone(), next.clone());
        std::thread::spawn(move || while send.send(cuts.at(next.fetch_add(1, Ordering::Relaxed))).is_ok() {});
    }
    drop(send);
    let batch =
        || (0..args.batch / 2).map(|_| next_of(&samples)).collect::<Result<Vec<[Cut; 2]>>>().map(|b| b.into_iter().flatten().collect());
    let loss = |model: &Traces, batch: &Vec<Cut>| loss(model, batch, side, device);
    course.run((args, 50, device), batch, loss, |model| validate(cfg, model, val, args.validate))
}

fn loss(model: &Traces, batch: &[Cut], side: usize, device: &Device) -> (Tensor<1>, Vec<(&'static str, f32)>) {
    let (b, m) = (batch.len(), side / 4);
    let images: Vec<&[u8]> = batch.iter().map(|c| c.image.as_slice()).collect();
    let out = model.forward(crops_to_tensor(&images, side, device));
    let artifact: Vec<f32> = batch.iter().flat_map(|c| c.artifact.iter().copied()).collect();
    let artifact = Tensor::<4>::from_data(TensorData::new(artifact, [b, 1, m, m]), device);
    let forged: Vec<f32> = batch.iter().map(|c| f32::from(u8::from(c.forged))).collect();
    let classes: Vec<i32> = batch.iter().map(|c| c.class as i32).collect();
    let map = evidence(out.artifact, artifact);
    let det = bce(out.det, Tensor::<2>::from_data(TensorData::new(forged, [b, 1]), device)).mean();
    let cls = cross_entropy(out.cls, Tensor::<1, Int>::from_data(TensorData::new(classes, [b]), device));
    let parts = [("map", &map), ("det", &det), ("cls", &cls)].map(|(n, t)| (n, t.clone().detach().into_scalar::<f32>()));
    (map + det + cls * 0.1, parts.to_vec())
}

/// Figures on `n` samples of a split.
fn validate(cfg: &ModelConfig, model: &Traces, split: &Sampler, n: u64) -> Result<String> {
    let device = Device::flex();
    let (mut scores, mut peaks, mut iou) = (vec![], vec![], vec![]);
    for index in 0..n {
        let s = split.sample(index)?;
        let out = model.forward(crops_to_tensor(&[&s.image.data], cfg.enc_image, &device));
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
