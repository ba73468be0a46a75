//! The seeing half of FiFa-MLLM: face encoder (trunk, and a branch that looks for traces), region encoder, multi-task decoder.
//!
//! It can be trained and run without the language model; [`crate::model::fifa`] joins the two.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::model::encoder::TinyVit;
use crate::model::region::{RegionEncoder, RegionMask};
use crate::model::tasks::{Evidence, SegOutput, TaskDecoder, TaskOutput};
use crate::model::traces::{Traced, Traces};
use crate::weights::Vars;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

/// Mean of the crop's channels, red green blue, 0..255 (Segment Anything, `modeling/sam.py`).
pub const PIXEL_MEAN: [f32; 3] = [123.675, 116.28, 103.53];
/// Their standard deviation.
pub const PIXEL_STD: [f32; 3] = [58.395, 57.12, 57.375];

/// Encoder, region encoder and multi-task decoder.
#[derive(Module, Debug)]
pub struct Vision {
    /// TinyViT trunk.
    pub trunk: TinyVit,
    /// What looks for traces.
    pub traces: Traces,
    /// Region encoder.
    pub region: RegionEncoder,
    /// Multi-task decoder.
    pub dec: TaskDecoder,
}

impl Vision {
    /// Names `trunk`, `traces`, `region`, `dec`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(cfg: &ModelConfig, v: &Vars) -> Result<Self> {
        Ok(Self {
            trunk: TinyVit::build(cfg, &v.pp("trunk"))?,
            traces: Traces::build(cfg, &v.pp("traces"))?,
            region: RegionEncoder::build(cfg, &v.pp("region"))?,
            dec: TaskDecoder::build(cfg, &v.pp("dec"))?,
        })
    }

    /// Normalised crops `[b, 3, s, s]` → the evidence that every task looks at.
    ///
    /// What looks for traces looks twice, the second time at the mirrored crop: a face and its mirror image are equally forged, and the mean
    /// of two looks errs less than one.
    pub fn encode(&self, image: Tensor<4>) -> Evidence {
        let trunk = self.trunk.forward(image.clone());
        let seen = self.traces.forward(image.clone());
        let mirrored = self.traces.forward(image.flip([3]));
        let seen = Traced {
            artifact: (seen.artifact + mirrored.artifact.flip([3])) * 0.5,
            det: (seen.det + mirrored.det) * 0.5,
            cls: (seen.cls + mirrored.cls) * 0.5,
            ..seen
        };
        joined(trunk, seen)
    }

    /// As [`Vision::encode`], with one look, and with the trunk's map given (it may be computed apart while the trunk is frozen).
    pub fn join(&self, image: Tensor<4>, trunk: Tensor<4>) -> Evidence {
        joined(trunk, self.traces.forward(image))
    }

    /// The task tokens' answers, with an asked region or without.
    pub fn tasks(&self, evidence: &Evidence, region: Option<&[RegionMask]>) -> TaskOutput {
        let token = region.map(|masks| self.region_token(evidence, masks));
        self.dec.tasks(evidence, token)
    }

    /// Masks of `[SEG]` states `[b, n, dec_dim]`.
    pub fn segment(&self, evidence: &Evidence, seg: Tensor<3>) -> SegOutput {
        self.dec.segment(evidence, seg)
    }

    /// Token `[b, 1, dec_dim]` and stride-4 mask `[b, 1, 4g, 4g]` of one region a crop.
    fn region_token(&self, evidence: &Evidence, masks: &[RegionMask]) -> (Tensor<3>, Tensor<4>) {
        let (b, g, device) = (masks.len(), evidence.map.dims()[2], evidence.map.device());
        let gather = |side: usize, of: fn(&RegionMask) -> &[f32]| {
            let values: Vec<f32> = masks.iter().flat_map(|m| of(m).iter().copied()).collect();
            Tensor::<4>::from_data(TensorData::new(values, [b, 1, side, side]), &device)
        };
        let places: Vec<f32> = masks.iter().flat_map(|m| m.place).collect();
        let fine = gather(4 * g, |m| &m.fine);
        let places = Tensor::from_data(TensorData::new(places, [b, 5]), &device);
        let coarse = gather(g, |m| &m.coarse);
        (self.region.forward(evidence.map.clone(), evidence.fine.clone(), coarse, fine.clone(), places), fine)
    }
}

fn joined(trunk: Tensor<4>, seen: Traced) -> Evidence {
    Evidence { map: trunk + seen.map, fine: seen.fine, artifact: seen.artifact, det: seen.det, cls: seen.cls }
}

/// Interleaved 8-bit crops (row-major RGB, `side`×`side` each) → normalised `[b, 3, side, side]`.
pub fn crops_to_tensor(crops: &[&[u8]], side: usize, device: &Device) -> Tensor<4> {
    let plane = side * side;
    let mut values = vec![0.0f32; crops.len() * 3 * plane];
    for (crop, out) in crops.iter().zip(values.chunks_exact_mut(3 * plane)) {
        for (i, pixel) in crop.chunks_exact(3).take(plane).enumerate() {
            for c in 0..3 {
                out[c * plane + i] = (f32::from(pixel[c]) - PIXEL_MEAN[c]) / PIXEL_STD[c];
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [crops.len(), 3, side, side]), device)
}
