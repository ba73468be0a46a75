//! Training samples of the vision stage, prepared on other threads: forged crop, frozen trunk features, targets.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::fict;
use crate::image::Mask;
use crate::model::encoder::TinyVit;
use crate::model::region::RegionMask;
use crate::model::vision::crops_to_tensor;
use crate::native::annotate::{Sample, Sampler};
use burn::tensor::{Device, TensorData};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

/// Concept prompts asked of each image in training.
pub const SEG_ASKED: usize = 2;

/// One prepared sample. `K` = concepts, `m` = side of masks (stride 4).
pub struct Prepared {
    /// Crop, interleaved RGB.
    pub crop: Vec<u8>,
    /// The frozen trunk's map of the crop, `[1, enc_out, g, g]`.
    pub trunk: TensorData,
    /// 1 = forged.
    pub det: f32,
    /// Family index.
    pub cls: usize,
    /// Manipulated concepts, `[K]`.
    pub presence: Vec<f32>,
    /// Artifact, `[m, m]`, 0..1.
    pub artifact: Vec<f32>,
    /// Leaf of each mask cell, `[m, m]`; 255 = none.
    pub labels: Vec<u8>,
    /// An asked region.
    pub region: RegionMask,
    /// 1 = the region holds an artifact.
    pub region_hit: f32,
    /// Artifact inside the region, `[m, m]`.
    pub region_mask: Vec<f32>,
    /// Mixture of concept prompts, `[SEG_ASKED, K]`.
    pub seg_mix: Vec<f32>,
    /// Artifact under those concepts, `[SEG_ASKED, m, m]`.
    pub seg_masks: Vec<f32>,
}

/// Prepares samples `from..` of the sampler on `threads` threads. The order of arrival is not the order of indices.
pub fn stream(cfg: &ModelConfig, sampler: Arc<Sampler>, trunk: &TinyVit, from: u64, threads: usize) -> Receiver<Result<Prepared>> {
    let (send, receive) = sync_channel(6);
    let next = Arc::new(AtomicU64::new(from));
    for _ in 0..threads.max(1) {
        let (cfg, sampler, trunk, send, next) = (cfg.clone(), sampler.clone(), trunk.clone(), send.clone(), next.clone());
        std::thread::spawn(move || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if send.send(prepare(&cfg, &sampler, &trunk, index)).is_err() {
                    break;
                }
            }
        });
    }
    receive
}

/// Sample `index` with everything the losses need.
///
/// # Errors
/// Those of the sampler.
pub fn prepare(cfg: &ModelConfig, sampler: &Sampler, trunk: &TinyVit, index: u64) -> Result<Prepared> {
    let sample = sampler.paired(index)?;
    let trunk = trunk.forward(crops_to_tensor(&[&sample.image.data], cfg.enc_image, &Device::flex())).into_data();
    let mut rng = SmallRng::seed_from_u64(index ^ 0x005e_ed0f_7a5c);
    Ok(targets(cfg, sample, trunk, &mut rng))
}

fn targets(cfg: &ModelConfig, sample: Sample, trunk: TensorData, rng: &mut SmallRng) -> Prepared {
    let (side, m, k) = (cfg.enc_image, cfg.enc_image / 4, cfg.dec_concepts);
    let full = sample.labels.clone();
    let labels: Vec<u8> = (0..m * m).map(|i| full[(i / m * 4 + 2) * side + i % m * 4 + 2]).collect();
    let named = sample.concepts.iter().filter_map(|id| fict::part_set(id)).fold(0, |all, set| all | set);
    let presence: Vec<f32> = (0..k).map(|l| f32::from(u8::from(named >> l & 1 == 1))).collect();
    let artifact = shrink(&sample.artifact.data, side);

    let region = region(&sample, &full, side, rng);
    let (mut both, mut area) = (0usize, 0usize);
    let mut inside = Mask { width: side, height: side, data: vec![0; side * side] };
    for (i, (r, a)) in region.iter().zip(&sample.artifact.data).enumerate() {
        area += usize::from(*r);
        both += usize::from(*r & *a);
        inside.data[i] = *r & *a;
    }
    let whole = sample.artifact.data.iter().filter(|v| **v != 0).count();
    let hit = both > 0 && (both as f32 >= 0.1 * area as f32 || both as f32 >= 0.3 * whole as f32);

    // Half of the concept prompts ask for something that is there, where there is something.
    let fired: Vec<usize> = (0..k).filter(|c| presence[*c] > 0.5).collect();
    let mut seg_mix = vec![0.0; SEG_ASKED * k];
    let mut seg_masks = Vec::with_capacity(SEG_ASKED * m * m);
    for s in 0..SEG_ASKED {
        let chosen = if !fired.is_empty() && (s == 0 || rng.random_bool(0.5)) {
            // Sometimes all fired leaves at once, as when a parent is named.
            if rng.random_bool(0.4) { fired.clone() } else { vec![fired[rng.random_range(0..fired.len())]] }
        } else {
            vec![rng.random_range(0..k)]
        };
        for c in &chosen {
            seg_mix[s * k + c] = 1.0 / chosen.len() as f32;
        }
        let mask: Vec<u8> = full.iter().zip(&sample.artifact.data).map(|(l, a)| a & u8::from(chosen.contains(&(*l as usize)))).collect();
        seg_masks.extend(shrink(&mask, side));
    }
    Prepared {
        crop: sample.image.data,
        trunk,
        det: f32::from(u8::from(sample.family.index() != 0)),
        cls: sample.family.index(),
        presence,
        artifact,
        labels,
        region: RegionMask::from_crop_mask(&region, side),
        region_hit: f32::from(u8::from(hit)),
        region_mask: shrink(&inside.data, side),
        seg_mix,
        seg_masks,
    }
}

/// A region that a person might ask about: a concept, a box around the artifact, or any box.
fn region(sample: &Sample, labels: &[u8], side: usize, rng: &mut SmallRng) -> Vec<u8> {
    let roll: f32 = rng.random();
    if roll < 0.5 {
        let l = rng.random_range(0..fict::PARTS) as u8;
        let mask: Vec<u8> = labels.iter().map(|v| u8::from(*v == l)).collect();
        if mask.iter().any(|v| *v != 0) {
            return mask;
        }
    }
    let s = side as f32;
    let (mut x0, mut y0, mut x1, mut y1) = (s, s, 0.0f32, 0.0f32);
    for (i, v) in sample.artifact.data.iter().enumerate() {
        if *v != 0 {
            let (x, y) = ((i % side) as f32, (i / side) as f32);
            (x0, y0, x1, y1) = (x0.min(x), y0.min(y), x1.max(x), y1.max(y));
        }
    }
    if roll < 0.75 && x1 > x0 {
        let mut jitter = |v: f32, size: f32| v + size * rng.random_range(-0.2..0.2);
        let (w, h) = (x1 - x0, y1 - y0);
        (x0, y0, x1, y1) = (jitter(x0, w), jitter(y0, h), jitter(x1, w), jitter(y1, h));
    } else {
        let (w, h) = (s * rng.random_range(0.1..0.45), s * rng.random_range(0.1..0.45));
        (x0, y0) = (rng.random_range(0.0..s - w), rng.random_range(0.0..s - h));
        (x1, y1) = (x0 + w, y0 + h);
    }
    (0..side * side)
        .map(|i| {
            let (x, y) = ((i % side) as f32, (i / side) as f32);
            u8::from(x >= x0 && x < x1 && y >= y0 && y < y1)
        })
        .collect()
}

/// Share of each 4×4 cell that is set.
pub(crate) fn shrink(mask: &[u8], side: usize) -> Vec<f32> {
    let m = side / 4;
    let mut out = vec![0.0; m * m];
    for (y, row) in mask.chunks_exact(side).enumerate() {
        for (x, v) in row.iter().enumerate() {
            out[y / 4 * m + x / 4] += f32::from(*v) / 16.0;
        }
    }
    out
}
