//! Fits temperature, bias and bands on validation persons.
//!
//! Temperature scaling with a bias (Platt 1999; Guo et al., arXiv 1706.04599) by gradient descent on the log loss; then
//! thresholds at quantiles of what decides the band that is shown, the middle of the scores after the product's own savings
//! ([`crate::analyze::spread`]): `signs` above all but 1.5 % of untouched photos, `strong_signs` above all but 0.5 %, `no_sign` below
//! all but 15 % of the forgeries. Aimed at are 3 % at most; a validation split of a few dozen people cannot fix
//! such a tail (the rate on others came out twice as high), so half of it is allowed.
//!
//! The same for what may be said of an asked part, by its own score: the annotator's regions and boxes on the same pictures, as an
//! evaluation asks them.

use crate::analyze::bands::{Calibration, PartLimits};
use crate::analyze::spread::{Resave, median};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::region::RegionMask;
use crate::model::tasks::Evidence;
use crate::model::vision::{Vision, crops_to_tensor};
use crate::native::annotate::talk::draw::is_clear;
use crate::native::annotate::text::{self, Scope};
use crate::native::annotate::{Sample, Sampler};
use crate::native::train::Args;
use burn::tensor::Device;
use burn::tensor::activation::sigmoid;
use rand::{SeedableRng, rngs::SmallRng};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::fs;

/// Name of the result in the run's folder.
pub const CALIBRATION_FILE: &str = "calibration.json";

/// Share of untouched validation pictures that reach `signs`.
const UNTOUCHED_AT_SIGNS: f64 = 0.015;
/// Share of them that reach `strong_signs`.
const UNTOUCHED_AT_STRONG: f64 = 0.005;
/// Share of forged ones that lie below `inconclusive`. With a tenth the border lay where untouched pictures are densest, so that more of
/// them were left in doubt and one more saving took more of them over it (`facext eval --flip-every 1 --scores FILE` gives what to choose
/// it from); the price is forgeries that are called free of signs.
const FORGED_AT_NO_SIGN: f64 = 0.15;
/// Share of asked parts with nothing in them of which signs are spoken.
const FREE_AT_SIGNS: f64 = 0.025;
/// Share of them of which signs or possible signs are spoken. Aimed at is a tenth; a little less, as for faces.
const FREE_AT_POSSIBLE: f64 = 0.085;
/// Share of changed parts that are said to show no sign.
const CHANGED_AT_NO_SIGN: f64 = 0.15;

/// What one picture gave.
pub struct Judged {
    /// Detection logits: of the picture, then after each saving.
    pub logits: Vec<f32>,
    /// Truth.
    pub forged: bool,
    /// Scores of asked parts, 0..1, and whether something was changed there.
    pub parts: Vec<(f32, bool)>,
}

/// Fits on `args.steps` samples and writes `calibration.json`.
///
/// # Errors
/// Those of the sampler and of saving; [`Error::Io`].
pub fn run(cfg: &ModelConfig, vision: &Vision, val: &Sampler, args: &Args) -> Result<()> {
    let of = |index: u64| -> Result<Judged> {
        let sample = val.sample(index)?;
        let look = |pixels: &[u8]| vision.encode(crops_to_tensor(&[pixels], cfg.enc_image, &Device::flex()));
        let logit = |evidence: &Evidence| vision.tasks(evidence, None).det.into_scalar::<f32>();
        let own = look(&sample.image.data);
        let mut logits = vec![logit(&own)];
        for how in Resave::ALL {
            logits.push(logit(&look(&how.apply(&sample.image)?.data)));
        }
        let part = |(region, changed)| {
            let score = vision.tasks(&own, Some(std::slice::from_ref(&region))).region.map(|r| sigmoid(r).into_scalar::<f32>());
            score.map(|s| (s, changed))
        };
        let parts = asked(&sample, cfg.enc_image, index).into_iter().filter_map(part).collect();
        Ok(Judged { logits, forged: sample.is_fake(), parts })
    };
    let judged = (0..args.steps as u64).into_par_iter().map(of).collect::<Result<Vec<Judged>>>()?;
    let fitted = fit(&judged);
    eprintln!("{fitted:?} from {} samples", judged.len());
    let json = serde_json::to_string_pretty(&fitted).map_err(|e| Error::Io(e.to_string()))?;
    fs::write(args.out.join(CALIBRATION_FILE), json)?;
    Ok(())
}

/// Two draws of a part by name and two of a box, as far as they can be answered, and whether something was changed there. A part may come twice.
fn asked(sample: &Sample, side: usize, index: u64) -> Vec<(RegionMask, bool)> {
    let mut rng = SmallRng::seed_from_u64(index);
    let draws =
        (0..2).flat_map(|_| [text::draw_region(sample, &mut rng).map(Scope::Region), text::draw_box(sample, &mut rng).map(Scope::Box)]);
    let scopes: Vec<Scope> = draws.flatten().filter(|scope| is_clear(sample, *scope)).collect();
    let changed = |scope: Scope| !text::targets(sample, scope).is_empty();
    scopes.into_iter().filter_map(|scope| Some((RegionMask::from_crop_mask(&scope.mask(sample)?.data, side), changed(scope)))).collect()
}

/// Temperature and bias by gradient descent, thresholds by quantiles.
pub fn fit(judged: &[Judged]) -> Calibration {
    let (mut slope, mut offset) = (1.0f64, 0.0f64);
    let n = judged.len().max(1) as f64;
    for _ in 0..2000 {
        let (mut ds, mut d0) = (0.0, 0.0);
        for j in judged {
            let x = j.logits.first().copied().map_or(0.0, f64::from);
            let e = 1.0 / (1.0 + (-(slope * x + offset)).exp()) - f64::from(u8::from(j.forged));
            ds += e * x;
            d0 += e;
        }
        slope = (slope - 0.2 * ds / n).max(0.05);
        offset -= 0.2 * d0 / n;
    }
    let base = Calibration { bias: (offset / slope) as f32, temperature: (1.0 / slope) as f32, ..Calibration::default() };
    let scores = |forged: bool| {
        let shown = |j: &Judged| median(&mut j.logits.iter().map(|l| base.score(*l)).collect::<Vec<_>>());
        let mut s: Vec<f32> = judged.iter().filter(|j| j.forged == forged).map(shown).collect();
        s.sort_by(f32::total_cmp);
        s
    };
    let (clean, forged) = (scores(false), scores(true));
    let signs = quantile(&clean, 1.0 - UNTOUCHED_AT_SIGNS, base.signs_from).max(0.5);
    let strong = quantile(&clean, 1.0 - UNTOUCHED_AT_STRONG, base.strong_from).max(signs + 0.02).min(0.995);
    let inconclusive = quantile(&forged, FORGED_AT_NO_SIGN, base.inconclusive_from).min(signs * 0.9);
    Calibration { signs_from: signs, strong_from: strong, inconclusive_from: inconclusive, part: part_limits(judged), ..base }
}

/// Limits of what is said of parts.
fn part_limits(judged: &[Judged]) -> PartLimits {
    let scores = |changed: bool| {
        let mut s: Vec<f32> = judged.iter().flat_map(|j| &j.parts).filter(|p| p.1 == changed).map(|p| p.0).collect();
        s.sort_by(f32::total_cmp);
        s
    };
    let (free, changed, base) = (scores(false), scores(true), PartLimits::default());
    // A small or easy run must not put the limits where nothing speaks for signs.
    let signs_from = quantile(&free, 1.0 - FREE_AT_SIGNS, base.signs_from).max(0.5);
    let possible_from = quantile(&free, 1.0 - FREE_AT_POSSIBLE, base.possible_from).clamp(0.2, signs_from);
    PartLimits { unclear_from: quantile(&changed, CHANGED_AT_NO_SIGN, base.unclear_from).min(possible_from), possible_from, signs_from }
}

/// The score that this share of sorted scores does not exceed; `or` of none.
fn quantile(sorted: &[f32], share: f64, or: f32) -> f32 {
    if sorted.is_empty() { or } else { sorted[((sorted.len() - 1) as f64 * share).ceil() as usize] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfident_logits_are_cooled_and_bands_are_ordered() {
        // True odds are exp(x / 4): logits are four times too large.
        let mut judged = vec![];
        for i in 0..400 {
            let x = (i % 40) as f32 / 2.0 - 10.0;
            let p = 1.0 / (1.0 + (-x / 4.0).exp());
            judged.push(Judged { logits: vec![x, x / 2.0, x / 2.0], forged: (i as f32 * 0.618_034).fract() < p, parts: vec![] });
        }
        let c = fit(&judged);
        assert!((2.5..6.0).contains(&c.temperature), "{c:?}");
        assert!(c.inconclusive_from < c.signs_from && c.signs_from < c.strong_from, "{c:?}");
        assert_eq!(c.part, PartLimits::default());
        // Bands lie where the middles do, which reach half as far here.
        assert!(c.strong_from <= c.score(5.0) + 0.02, "{c:?}");
    }

    #[test]
    fn limits_of_parts_lie_where_few_free_ones_reach() {
        // Free parts score evenly up to 0.8, changed ones between 0.2 and 1.
        let part = |i: usize| if i.is_multiple_of(2) { (i as f32 / 1250.0, false) } else { (0.2 + i as f32 / 1250.0, true) };
        let parts = (0..1000).map(part).collect();
        let c = part_limits(&[Judged { logits: vec![], forged: false, parts }]);
        let near = |a: f32, b: f32| (a - b).abs() < 5e-3;
        assert!(near(c.signs_from, 0.78) && near(c.possible_from, 0.732) && near(c.unclear_from, 0.32), "{c:?}");
        let easy = (0..100).map(|i| (f32::from(u8::from(i % 2 == 1)), i % 2 == 1)).collect();
        let c = part_limits(&[Judged { logits: vec![], forged: false, parts: easy }]);
        assert_eq!((c.unclear_from, c.possible_from, c.signs_from), (0.2, 0.2, 0.5));
    }
}
