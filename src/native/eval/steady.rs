//! How steady a score and a band are: the image once more as a JPEG, and the bands that the product shows after its own savings
//! ([`crate::analyze::spread`]) of the image and of that JPEG.

use crate::analyze::Analyzer;
use crate::analyze::report::{Band, Trial};
use crate::analyze::spread::Resave;
use crate::error::Result;
use crate::image::Rgb8;

/// An image and its copy as a JPEG of quality 75.
#[derive(Debug, Clone, PartialEq)]
pub struct Steady {
    /// Score and band of the copy, before any saving by the product.
    pub score: f32,
    pub band: Band,
    /// Bands as shown, of the image and of the copy.
    pub shown: [Band; 2],
    /// Scores after each of the product's savings, in their order, of the image and of the copy.
    pub tried: [Vec<f32>; 2],
}

impl Steady {
    /// `pixels`: the image in the model's frame; `labels`: part of every pixel of it; `score`: of the image.
    ///
    /// # Errors
    /// As [`Analyzer::score_again`].
    pub async fn of(analyzer: &Analyzer, pixels: &Rgb8, labels: &[u8], score: f32) -> Result<Self> {
        let calibration = &analyzer.settings.calibration;
        let copy = Resave::Jpeg75.apply(pixels)?;
        let first = analyzer.shown(pixels, labels, score).await?;
        // The copy is one of the product's own savings.
        let again = first.1.iter().find(|t| t.how == Resave::Jpeg75).map_or(score, |t| t.score);
        let second = analyzer.shown(&copy, labels, again).await?;
        let scores = |trials: Vec<Trial>| trials.iter().map(|t| t.score).collect();
        Ok(Self { score: again, band: calibration.band(again), shown: [first.0, second.0], tried: [scores(first.1), scores(second.1)] })
    }
}
