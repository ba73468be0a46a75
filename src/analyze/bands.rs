//! From a logit to a calibrated score and a band.
//!
//! Temperature scaling (Guo et al., arXiv 1706.04599) and the thresholds are fitted by `facext train calibrate` on validation
//! persons: `signs` starts where few untouched photos reach, `no_sign` ends where few forgeries fall below.

use crate::analyze::report::Band;
use serde::{Deserialize, Serialize};

/// Fitted numbers. `facext train calibrate` writes them to the run's `calibration.json`, `facext convert --calibration`
/// puts them into the `config.json` of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Added to the logit before it is divided by the temperature.
    pub bias: f32,
    /// The shifted logit is divided by this; values under 0.001 count as 0.001.
    pub temperature: f32,
    /// Scores below are `no_sign`.
    pub inconclusive_from: f32,
    /// Scores from here are `signs`.
    pub signs_from: f32,
    /// Scores from here are `strong_signs`.
    pub strong_from: f32,
    /// Of an asked part, by its own score.
    #[serde(default)]
    pub part: PartLimits,
}

/// What may be said of an asked part by its own score, 0..1: the plain sigmoid of the decoder's logit, which is not calibrated. These limits
/// are fitted to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PartLimits {
    /// Scores below find no sign; from here no *clear* sign.
    pub unclear_from: f32,
    /// Scores from here find possible signs.
    pub possible_from: f32,
    /// Scores from here find signs.
    pub signs_from: f32,
}

impl Default for PartLimits {
    /// Unfitted.
    fn default() -> Self {
        Self { unclear_from: 0.3, possible_from: 0.5, signs_from: 0.6 }
    }
}

impl Default for Calibration {
    /// Uncalibrated: the raw sigmoid, wide inconclusive band.
    fn default() -> Self {
        Self { bias: 0.0, temperature: 1.0, inconclusive_from: 0.35, signs_from: 0.75, strong_from: 0.95, part: PartLimits::default() }
    }
}

impl Calibration {
    /// Logit → score, 0..1.
    pub fn score(&self, logit: f32) -> f32 {
        1.0 / (1.0 + (-(logit + self.bias) / self.temperature.max(1e-3)).exp())
    }

    /// Score → band. A score that is no number is inconclusive.
    pub fn band(&self, score: f32) -> Band {
        if score >= self.strong_from {
            Band::StrongSigns
        } else if score >= self.signs_from {
            Band::Signs
        } else if score < self.inconclusive_from {
            Band::NoSign
        } else {
            Band::Inconclusive
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_follow_the_score() {
        let c = Calibration::default();
        let bands = [-9.0, 0.0, 2.0, 9.0].map(|l| c.band(c.score(l)));
        assert_eq!(bands, [Band::NoSign, Band::Inconclusive, Band::Signs, Band::StrongSigns]);
    }

    #[test]
    fn limits_of_parts_may_be_missing() {
        let older = r#"{"bias":0.0,"temperature":1.0,"inconclusive_from":0.35,"signs_from":0.75,"strong_from":0.95}"#;
        assert_eq!(serde_json::from_str::<Calibration>(older).unwrap(), Calibration::default());
    }

    #[test]
    fn a_score_that_is_no_number_is_inconclusive() {
        assert_eq!(Calibration::default().band(f32::NAN), Band::Inconclusive);
    }
}
