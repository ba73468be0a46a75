//! Score, band and family of a face without words: what an evaluation of many photos asks for.

use crate::analyze::report::{Band, Trial};
use crate::analyze::request::Silent;
use crate::analyze::spread::{Resave, held_band};
use crate::analyze::{Analyzer, Photo};
use crate::error::Result;
use crate::image::Rgb8;
use crate::text::Family;
use std::collections::BTreeMap;

/// What a report says of a face before and beside its words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// 0..1.
    pub score: f32,
    /// Band of the score.
    pub band: Band,
    /// Likeliest family among the forged ones, whatever the band is.
    pub family: Family,
    /// Band as shown, after the face was saved again.
    pub shown: Band,
}

impl Analyzer {
    /// Scores one face of a photo, and how steady the score is.
    ///
    /// # Errors
    /// [`crate::error::Error::Request`] if there is no such face; as [`Analyzer::score_again`].
    pub async fn score(&self, photo: &mut Photo, face: usize) -> Result<Scored> {
        let crop = self.crop(photo, face)?;
        let labels = self.crop_labels(photo, face, &crop);
        let evidence = self.evidence(photo, face, &crop, &mut BTreeMap::new(), &mut Silent).await?;
        let (_, verdict) = self.verdict(&evidence, &labels, None).await?;
        let score = self.settings.calibration.score(verdict.logit);
        let band = self.settings.calibration.band(score);
        let (shown, _) = self.shown(&crop.pixels, &labels, score).await?;
        Ok(Scored { score, band, family: verdict.family, shown })
    }

    /// The band that a report shows of a crop with this score, after the crop was saved again in all ways, and what each of them gave.
    ///
    /// # Errors
    /// As [`Analyzer::score_again`].
    pub async fn shown(&self, pixels: &Rgb8, labels: &[u8], score: f32) -> Result<(Band, Vec<Trial>)> {
        let mut tried = Vec::with_capacity(Resave::ALL.len());
        for how in Resave::ALL {
            tried.push(self.score_again(pixels, labels, how).await?);
        }
        let band = held_band(self.settings.calibration.band(score), score, &tried, &self.settings.calibration).0;
        Ok((band, tried))
    }
}
