//! Vision stage: traces branch, region encoder and multi-task decoder on exact-mask forgeries; the trunk stays
//! MobileSAM's, so its features are computed without a graph on other threads.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::states::Readout;
use crate::model::vision::{Vision, crops_to_tensor};
use crate::native::annotate::Sampler;
use crate::native::metrics;
use crate::native::train::Args;
use crate::native::train::batch::{Prepared, SEG_ASKED, prepare, stream};
use crate::native::train::course::{Course, next};
use crate::native::train::losses::{bce, evidence as evidence_loss, masks, parsing, weighted_cross_entropy};
use burn::module::{Module, list_param_ids};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::sync::Arc;

/// Weight of each family in its loss, in the order of [`crate::text::Family`]. Untouched crops are half of all, and whether there is
/// anything at all is the score's to say; reenactment has little more than half as many recipes' draws as a swap or an edit, and was
/// seldom guessed while all counted alike.
const FAMILIES: [f32; 5] = [0.4, 1.0, 1.8, 1.0, 1.0];

/// Targets of one batch on the device.
struct Targets {
    det: Tensor<2>,
    cls: Tensor<1, Int>,
    cls_weight: Tensor<1>,
    presence: Tensor<2>,
    artifact: Tensor<4>,
    labels: Tensor<3, Int>,
    region: Tensor<2>,
    region_mask: Tensor<4>,
    seg_mix: Tensor<3>,
    seg_masks: Tensor<4>,
}

/// Trains until `args.steps`; resumes from the checkpoint in `args.out` if there is one.
///
/// # Errors
/// [`Error::Io`] for files, and those of the sampler.
pub fn train(cfg: &ModelConfig, mut model: Vision, sampler: Arc<Sampler>, val: &Sampler, args: &Args, device: &Device) -> Result<Vision> {
    model.trunk = model.trunk.no_grad();
    model.dec.prompt = model.dec.prompt.no_grad();
    let frozen = model.trunk.clone().valid();
    let mut course = Course::begin("vision", model, args)?;
    course.trained = |model| list_param_ids(&model.traces.lite);
    let samples = stream(cfg, sampler, &frozen, (course.step * args.batch * args.accumulate as usize) as u64, args.loaders);
    let batch = || (0..args.batch).map(|_| next(&samples)).collect::<Result<Vec<Prepared>>>();
    let loss = |model: &Vision, batch: &Vec<Prepared>| loss(cfg, model, batch, &args.without, device);
    course.run((args, 60, device), batch, loss, |model| validate(cfg, model, val, args.validate))
}

/// Whole loss of a batch `without` some, and its parts by name.
fn loss(
    cfg: &ModelConfig,
    model: &Vision,
    batch: &[Prepared],
    without: &[String],
    device: &Device,
) -> (Tensor<1>, Vec<(&'static str, f32)>) {
    let b = batch.len();
    let crops: Vec<&[u8]> = batch.iter().map(|s| s.crop.as_slice()).collect();
    let image = crops_to_tensor(&crops, cfg.enc_image, device);
    let trunk = Tensor::cat(batch.iter().map(|s| Tensor::from_data(s.trunk.clone(), device)).collect(), 0);
    let evidence = model.join(image, trunk);
    let regions: Vec<_> = batch.iter().map(|s| s.region.clone()).collect();
    let out = model.tasks(&evidence, Some(&regions));
    let t = gather(cfg, batch, device);
    let prompts = model.dec.seg_prompts();
    let k = cfg.dec_concepts;
    let seg_in = t.seg_mix.clone().reshape([b * SEG_ASKED, k]).matmul(prompts).reshape([b, SEG_ASKED, cfg.dec_dim]);
    let seg = model.segment(&evidence, seg_in);

    let forged = t.det.clone();
    // Masks of forged crops count fully, empty masks of untouched ones less: silence there is easily learned.
    let weight = forged.clone() * 0.8 + 0.2;
    let det = bce(out.det, t.det).mean();
    let cls = weighted_cross_entropy(out.cls, t.cls, t.cls_weight);
    // About two of the concepts fire in a forged crop: raise the positives, or the answer is always "none".
    let presence = (bce(out.presence, t.presence.clone()) * (t.presence * 4.0 + 1.0)).mean();
    let map = evidence_loss(evidence.artifact.clone(), t.artifact.clone());
    let artifact = masks(out.artifact, t.artifact, weight.clone());
    let concepts = parsing(out.concepts, t.labels);
    let (region, region_mask) = match (out.region, out.region_mask) {
        (Some(r), Some(m)) => (bce(r, t.region.clone()).mean(), masks(m, t.region_mask, t.region * 0.8 + 0.2)),
        _ => (Tensor::zeros([1], device), Tensor::zeros([1], device)),
    };
    let iou = soft_iou(seg.masks.clone(), t.seg_masks.clone());
    let quality = (sigmoid(seg.quality) - iou).square().mean();
    let seg_loss = masks(seg.masks, t.seg_masks, weight.repeat_dim(1, SEG_ASKED));
    let parts = [
        ("det", det.clone(), 1.0),
        ("cls", cls, 0.5),
        ("presence", presence, 1.0),
        ("map", map, 1.0),
        ("artifact", artifact, 1.0),
        ("concepts", concepts, 0.5),
        ("region", region, 0.5),
        ("region_mask", region_mask, 0.5),
        ("seg", seg_loss, 1.0),
        ("quality", quality, 0.3),
    ];
    let mut total = Tensor::zeros([1], device);
    let mut named = Vec::with_capacity(parts.len());
    for (name, part, weight) in parts {
        named.push((name, part.clone().detach().into_scalar::<f32>()));
        let of = if name == "presence" { "concepts" } else { name };
        if !without.iter().any(|w| w == of) {
            total = total + part * weight;
        }
    }
    (total, named)
}

/// IoU of thresholded masks with their targets, `[b, n]`, without gradient; 1 where both are empty.
fn soft_iou(x: Tensor<4>, y: Tensor<4>) -> Tensor<2> {
    let [b, n, h, w] = x.dims();
    let p: Tensor<3> = x.detach().greater_elem(0.0).float().reshape([b, n, h * w]);
    let y: Tensor<3> = y.greater_elem(0.5).float().reshape([b, n, h * w]);
    let both = (p.clone() * y.clone()).sum_dim(2);
    let any = p.sum_dim(2) + y.sum_dim(2) - both.clone();
    ((both + 1e-3) / (any + 1e-3)).reshape([b, n])
}

fn gather(cfg: &ModelConfig, batch: &[Prepared], device: &Device) -> Targets {
    let (b, k, m) = (batch.len(), cfg.dec_concepts, cfg.enc_image / 4);
    let floats = |of: &dyn Fn(&Prepared) -> Vec<f32>| batch.iter().flat_map(of).collect::<Vec<f32>>();
    let four = |v: Vec<f32>, n: usize| Tensor::<4>::from_data(TensorData::new(v, [b, n, m, m]), device);
    let two = |v: Vec<f32>, n: usize| Tensor::<2>::from_data(TensorData::new(v, [b, n]), device);
    // "None of them" is class k.
    let labels: Vec<i32> = batch.iter().flat_map(|s| s.labels.iter().map(|l| i32::from(*l).min(k as i32))).collect();
    let classes: Vec<i32> = batch.iter().map(|s| s.cls as i32).collect();
    let cls_weights: Vec<f32> = batch.iter().map(|s| FAMILIES.get(s.cls).copied().unwrap_or(1.0)).collect();
    Targets {
        det: two(floats(&|s| vec![s.det]), 1),
        cls: Tensor::from_data(TensorData::new(classes, [b]), device),
        cls_weight: Tensor::from_data(TensorData::new(cls_weights, [b]), device),
        presence: two(floats(&|s| s.presence.clone()), k),
        artifact: four(floats(&|s| s.artifact.clone()), 1),
        labels: Tensor::from_data(TensorData::new(labels, [b, m, m]), device),
        region: two(floats(&|s| vec![s.region_hit]), 1),
        region_mask: four(floats(&|s| s.region_mask.clone()), 1),
        seg_mix: Tensor::from_data(TensorData::new(floats(&|s| s.seg_mix.clone()), [b, SEG_ASKED, k]), device),
        seg_masks: four(floats(&|s| s.seg_masks.clone()), SEG_ASKED),
    }
}

/// Figures of the vision half alone on `n` samples of a split.
///
/// # Errors
/// Those of the sampler.
pub fn validate(cfg: &ModelConfig, model: &Vision, split: &Sampler, n: u64) -> Result<String> {
    let device = Device::flex();
    let (mut scores, mut iou, mut hit, mut asked) = (vec![], vec![], 0usize, 0usize);
    let mut classes = 0usize;
    for index in 0..n {
        let s = prepare(cfg, split, &model.trunk, index)?;
        let image = crops_to_tensor(&[&s.crop], cfg.enc_image, &device);
        let evidence = model.join(image, Tensor::from_data(s.trunk.clone(), &device));
        let out = model.tasks(&evidence, Some(std::slice::from_ref(&s.region)));
        let read = Readout::of(&out);
        scores.push((read.det.into_scalar::<f32>(), s.det > 0.5));
        if let Some(r) = read.region {
            hit += usize::from((r.into_scalar::<f32>() > 0.5) == (s.region_hit > 0.5));
            asked += 1;
        }
        let cls = read.cls.argmax(1).into_scalar::<i32>() as usize;
        classes += usize::from(cls == s.cls);
        if s.det > 0.5 {
            let p = out.artifact.into_data().try_to_vec::<f32>().map_err(|e| Error::Model(format!("{e:?}")))?;
            let (mut both, mut any) = (0usize, 0usize);
            for (x, y) in p.iter().zip(&s.artifact) {
                let (a, b) = (*x > 0.0, *y > 0.5);
                both += usize::from(a && b);
                any += usize::from(a || b);
            }
            iou.push(both as f32 / any.max(1) as f32);
        }
    }
    Ok(format!(
        "auc {:.4} artifact_iou {:.4} class_accuracy {:.3} region_accuracy {:.3} n {n}",
        metrics::roc_auc(&scores).unwrap_or(f64::NAN),
        iou.iter().sum::<f32>() / iou.len().max(1) as f32,
        classes as f32 / n as f32,
        hit as f32 / asked.max(1) as f32,
    ))
}
