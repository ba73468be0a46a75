//! Fits temperature, bias and bands on validation persons.
//!
//! Temperature scaling with a bias (Platt 1999; Guo et al., arXiv 1706.04599) by gradient descent on the log loss; then
//! thresholds at quantiles of the scores: `signs` above all but 1.5 % of untouched photos, `strong_signs` above all but 0.5 %,
//! `no_sign` below all but 10 % of the forgeries. Aimed at are 3 % at most; a validation split of a few dozen people cannot fix
//! such a tail (the rate on others came out twice as high), so half of it is allowed.

use crate::analyze::bands::Calibration;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::vision::{Vision, crops_to_tensor};
use crate::native::annotate::Sampler;
use crate::native::train::Args;
use burn::tensor::Device;
use std::fs;

/// Name of the result in the run's folder.
pub const CALIBRATION_FILE: &str = "calibration.json";

/// Share of untouched validation pictures that reach `signs`.
const UNTOUCHED_AT_SIGNS: f64 = 0.015;

/// Fits on `args.steps` samples and writes `calibration.json`.
///
/// # Errors
/// Those of the sampler; [`Error::Io`].
pub fn run(cfg: &ModelConfig, vision: &Vision, val: &Sampler, args: &Args) -> Result<()> {
    let device = Device::flex();
    let mut logits = Vec::with_capacity(args.steps);
    for index in 0..args.steps as u64 {
        let sample = val.sample(index)?;
        let evidence = vision.encode(crops_to_tensor(&[&sample.image.data], cfg.enc_image, &device));
        logits.push((vision.tasks(&evidence, None).det.into_scalar::<f32>(), sample.is_fake()));
    }
    let fitted = fit(&logits);
    eprintln!("{fitted:?} from {} samples", logits.len());
    let json = serde_json::to_string_pretty(&fitted).map_err(|e| Error::Io(e.to_string()))?;
    fs::write(args.out.join(CALIBRATION_FILE), json)?;
    Ok(())
}

/// Temperature and bias by gradient descent, thresholds by quantiles.
pub fn fit(logits: &[(f32, bool)]) -> Calibration {
    let (mut slope, mut offset) = (1.0f64, 0.0f64);
    let n = logits.len().max(1) as f64;
    for _ in 0..2000 {
        let (mut ds, mut d0) = (0.0, 0.0);
        for (x, y) in logits {
            let x = f64::from(*x);
            let e = 1.0 / (1.0 + (-(slope * x + offset)).exp()) - f64::from(u8::from(*y));
            ds += e * x;
            d0 += e;
        }
        slope = (slope - 0.2 * ds / n).max(0.05);
        offset -= 0.2 * d0 / n;
    }
    let base = Calibration { bias: (offset / slope) as f32, temperature: (1.0 / slope) as f32, ..Calibration::default() };
    let scores = |forged: bool| {
        let mut s: Vec<f32> = logits.iter().filter(|l| l.1 == forged).map(|l| base.score(l.0)).collect();
        s.sort_by(f32::total_cmp);
        s
    };
    let (clean, forged) = (scores(false), scores(true));
    let quantile = |s: &[f32], q: f64, or: f32| if s.is_empty() { or } else { s[((s.len() - 1) as f64 * q).ceil() as usize] };
    let signs = quantile(&clean, 1.0 - UNTOUCHED_AT_SIGNS, base.signs_from).max(0.5);
    let strong = quantile(&clean, 0.995, base.strong_from).max(signs + 0.02).min(0.995);
    let inconclusive = quantile(&forged, 0.10, base.inconclusive_from).min(signs * 0.9);
    Calibration { signs_from: signs, strong_from: strong, inconclusive_from: inconclusive, ..base }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfident_logits_are_cooled_and_bands_are_ordered() {
        // True odds are exp(x / 4): logits are four times too large.
        let mut logits = vec![];
        for i in 0..400 {
            let x = (i % 40) as f32 / 2.0 - 10.0;
            let p = 1.0 / (1.0 + (-x / 4.0).exp());
            logits.push((x, (i as f32 * 0.618_034).fract() < p));
        }
        let c = fit(&logits);
        assert!((2.5..6.0).contains(&c.temperature), "{c:?}");
        assert!(c.inconclusive_from < c.signs_from && c.signs_from < c.strong_from, "{c:?}");
    }
}
