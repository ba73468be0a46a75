//! How steady a score is: the same face saved again in lower quality, and scored again.
//!
//! A photo that reaches somebody has been saved many times. A score that one more saving moves across the limit of a band says more
//! about the file than about the face; the middle of four scores depends less on one saving. So the band becomes that of
//! the middle, though never a stronger claim of signs than the words were written for; words about the whole face are then opened anew,
//! so that they say what the band says.
//!
//! What is saved again is the crop that the model sees, not the file: the face alone, at the size at which it is judged. Trap: to save a
//! JPEG once more, in its quality and on its grid, changes next to nothing. A band that followed the saving at quality 75 alone would seem
//! never to move under such a copy in an evaluation, whose copies lie on the crop's grid; a photo's own grid is another.

use crate::analyze::answer::claims_signs;
use crate::analyze::bands::Calibration;
use crate::analyze::report::{Band, FaceReport, Report, Spread, Trial};
use crate::analyze::request::{Event, Listener, Stage};
use crate::analyze::sayable::Claims;
use crate::analyze::{Analyzer, Photo, ms, read_back};
use crate::error::{Error, Result};
use crate::face::Faces;
use crate::image::{self, Rgb8};
use crate::model::vision::crops_to_tensor;
use crate::text::Family;
use crate::text::wording::{FOUND, NOT_CLEAR, NOT_FOUND, PERHAPS, POSSIBLE, family_hint, family_sentence};
use serde::{Deserialize, Serialize};
use web_time::Instant;

/// The band of a face changed because its score crosses a limit when the face is saved again.
pub const CROSSES: &str = "spread_crosses_bands";

/// One way to save a face again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resave {
    /// JPEG at quality 75: a common default of programs and sites.
    #[serde(rename = "jpeg_75")]
    Jpeg75,
    /// JPEG at quality 50: a poor copy.
    #[serde(rename = "jpeg_50")]
    Jpeg50,
    /// Half the width and height, and back: a thumbnail that somebody enlarged.
    HalfSize,
}

impl Resave {
    /// All ways, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Jpeg75, Self::Jpeg50, Self::HalfSize];

    /// The picture after it was saved in this way, of the same size.
    ///
    /// # Errors
    /// [`Error::Io`] if the encoder refuses; `image.*` if what it wrote cannot be read.
    pub fn apply(self, rgb: &Rgb8) -> Result<Rgb8> {
        match self {
            Self::Jpeg75 => jpeg(rgb, 75),
            Self::Jpeg50 => jpeg(rgb, 50),
            Self::HalfSize => {
                let small = image::resample::resize(rgb, (rgb.width / 2).max(1), (rgb.height / 2).max(1));
                Ok(image::resample::resize(&small, rgb.width, rgb.height))
            }
        }
    }
}

fn jpeg(rgb: &Rgb8, quality: u8) -> Result<Rgb8> {
    let mut bytes = Vec::new();
    ::image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&rgb.data, rgb.width as u32, rgb.height as u32, ::image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Io(format!("JPEG: {e}")))?;
    Ok(image::decode(&bytes)?.rgb)
}

impl Analyzer {
    /// Scores a face's crop after it was saved in one way.
    ///
    /// # Arguments
    /// - `pixels`: the crop, `side × side` for the model's `enc_image`.
    /// - `labels`: part of every pixel of it; they do not touch the score.
    ///
    /// # Errors
    /// As [`Resave::apply`]; [`Error::Model`], `device.*`.
    pub async fn score_again(&self, pixels: &Rgb8, labels: &[u8], how: Resave) -> Result<Trial> {
        let side = self.settings.model.enc_image;
        let again = how.apply(pixels)?;
        let evidence = self.fifa.vision.encode(crops_to_tensor(&[&again.data], side, &self.device));
        read_back(evidence.map.clone().narrow(1, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1)).await?;
        let (_, verdict) = self.verdict(&evidence, labels, None).await?;
        let score = self.settings.calibration.score(verdict.logit);
        Ok(Trial { how, score, band: self.settings.calibration.band(score) })
    }

    /// Adds the spread to every face of a report about this photo, and moves bands to where its middle lies. Scores of
    /// a face are kept, so a later report, or one after a stop, costs only what is missing.
    ///
    /// # Errors
    /// [`Error::Request`] if the report is about another photo; [`Error::Cancelled`]; as [`Analyzer::score_again`].
    pub async fn spread<L: Listener>(&self, photo: &mut Photo, report: &mut Report, listener: &mut L) -> Result<()> {
        if report.file.sha256 != photo.picture.sha256 {
            return Err(Error::Request("the report is about another photo".into()));
        }
        let clock = Instant::now();
        let Faces::Found(found) = &photo.faces else { return Ok(()) };
        // A report leaves out faces that the question is not about; a face is known by its box.
        let places: Vec<Option<usize>> = report.faces.iter().map(|f| found.iter().position(|known| known.bbox == f.bbox)).collect();
        let mut crosses = false;
        // About an asked part the words follow that part's own score, which the band says nothing of.
        let of_whole_face = report.request.as_ref().is_some_and(|asked| !asked.has_region());
        for (told, place) in report.faces.iter_mut().zip(places) {
            let face = place.ok_or_else(|| Error::Request("the report has a face that the photo has not".into()))?;
            if told.spread.is_some() {
                continue;
            }
            listener.event(Event::Stage { stage: Stage::Spread, face });
            let crop = self.crop(photo, face)?;
            let labels = self.crop_labels(photo, face, &crop);
            let mut trials = photo.trials.get(face).cloned().unwrap_or_default();
            for how in Resave::ALL.into_iter().skip(trials.len()) {
                listener.breathe().await?;
                let trial = self.score_again(&crop.pixels, &labels, how).await?;
                trials.push(trial);
                listener.event(Event::Trial { face, how, score: trial.score, band: trial.band });
                if let Some(kept) = photo.trials.get_mut(face) {
                    kept.clone_from(&trials);
                }
            }
            let moved = widen(told, trials, &self.settings.calibration);
            if moved && of_whole_face {
                reopen(told);
            }
            crosses |= moved;
        }
        if crosses {
            report.warnings.push(CROSSES.into());
            report.warnings.sort();
            report.warnings.dedup();
        }
        let spent = ms(clock);
        *report.timings_ms.entry(Stage::Spread.name().into()).or_default() += spent;
        *report.timings_ms.entry("total".into()).or_default() += spent;
        Ok(())
    }
}

/// The median of a few numbers, which are sorted for it: of an even number the mean of the two in the middle; 0 of none.
pub fn median(numbers: &mut [f32]) -> f32 {
    numbers.sort_by(f32::total_cmp);
    let half = numbers.len() / 2;
    match (numbers.get(half), numbers.len().is_multiple_of(2)) {
        (Some(v), false) => *v,
        (Some(v), true) => f32::midpoint(numbers[half - 1], *v),
        (None, _) => 0.0,
    }
}

/// The band after trials, and the least and greatest score.
///
/// It is that of the median score, except where it would say other than words that no new opening mends; it is inconclusive then: signs
/// that the face's own score did not have; signs that only it has; a face of which the words say where to look; and a band that was
/// inconclusive for another reason than the score.
pub fn held_band(band: Band, score: f32, tried: &[Trial], calibration: &Calibration) -> (Band, f32, f32) {
    let mut scores: Vec<f32> = tried.iter().map(|t| t.score).chain([score]).collect();
    let of_median = calibration.band(median(&mut scores));
    let doubted = Claims::of(band, score) == Claims::Doubt;
    let held = if band != calibration.band(score) || doubted && of_median == Band::NoSign {
        Band::Inconclusive
    } else {
        match (band >= Band::Signs, of_median >= Band::Signs) {
            (true, true) => band.min(of_median),
            (false, false) => of_median,
            _ => Band::Inconclusive,
        }
    };
    (held, scores[0], scores[scores.len() - 1])
}

/// Gives a face its spread; true if its band moved.
fn widen(face: &mut FaceReport, tried: Vec<Trial>, calibration: &Calibration) -> bool {
    let (mut band, low, high) = held_band(face.band, face.score, &tried, calibration);
    if band == Band::NoSign && (!face.masks.is_empty() || claims_signs(&face.answer)) {
        // An answer about a part may find signs there, whatever the score of the whole face is.
        band = Band::Inconclusive;
    }
    let moved = band != face.band;
    face.band = band;
    if band < Band::Signs {
        face.family = Family::Real;
    }
    face.spread = Some(Spread { low, high, tried });
    moved
}

/// Opens the words of a face whose band moved with the form of their opening that says what the band says; signs that are only possible
/// name no family and no change for certain. Words that open in another way, as to a question of one's own, stay.
fn reopen(face: &mut FaceReport) {
    let Some(first) = face.spans.first_mut() else { return };
    let forms: Vec<(&str, &str)> = match face.band {
        Band::NoSign => NOT_CLEAR.iter().zip(NOT_FOUND).map(|(from, to)| (*from, *to)).collect(),
        Band::Inconclusive => NOT_FOUND.iter().zip(NOT_CLEAR).chain(FOUND.iter().zip(POSSIBLE)).map(|(from, to)| (*from, *to)).collect(),
        Band::Signs | Band::StrongSigns => return,
    };
    let Some((from, to)) = forms.into_iter().find(|(from, _)| first.text.starts_with(from)) else { return };
    first.text.replace_range(..from.len(), to);
    if POSSIBLE.contains(&to) {
        for span in face.spans.iter_mut().filter(|s| s.mask.is_none()) {
            for (certain, perhaps) in PERHAPS {
                span.text = span.text.replace(certain, perhaps);
            }
        }
        let Some(last) = face.spans.last_mut() else { return };
        for words in Family::ALL.into_iter().flat_map(|f| [family_sentence(f), family_hint(f)]).filter(|w| !w.is_empty()) {
            if let Some(kept) = last.text.strip_suffix(words) {
                last.text.truncate(kept.trim_end().len());
            }
        }
    }
    face.answer = face.spans.iter().map(|s| s.text.as_str()).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::report::{MaskReport, Span};
    use crate::image::{BBox, Mask, Rle};

    fn face(score: f32, band: Band) -> FaceReport {
        FaceReport {
            bbox: BBox { x: 0.0, y: 0.0, w: 9.0, h: 9.0 },
            score,
            band,
            family: if band >= Band::Signs { Family::FaceSwap } else { Family::Real },
            answer: String::new(),
            spans: vec![],
            masks: vec![],
            spread: None,
        }
    }

    /// Limits 0.35, 0.75, 0.95.
    fn after(score: f32, band: Band, tried: &[f32]) -> FaceReport {
        let calibration = Calibration::default();
        let trial = |(how, score): (Resave, &f32)| Trial { how, score: *score, band: calibration.band(*score) };
        let mut face = face(score, band);
        let before = face.band;
        let moved = widen(&mut face, Resave::ALL.into_iter().zip(tried).map(trial).collect(), &calibration);
        assert_eq!(moved, face.band != before);
        face
    }

    #[test]
    fn a_band_follows_the_middle_and_never_claims_more_than_the_words() {
        use Band::{Inconclusive, NoSign, Signs, StrongSigns};
        for (score, band, tried, want) in [
            (0.97, StrongSigns, [0.96, 0.99].as_slice(), StrongSigns),
            (0.97, StrongSigns, &[0.80, 0.90], Signs),
            (0.80, Signs, &[0.99, 0.76], Signs),
            (0.97, StrongSigns, &[0.60, 0.10], Inconclusive),
            (0.80, Signs, &[0.74, 0.70], Inconclusive),
            (0.10, NoSign, &[0.20, 0.05], NoSign),
            (0.10, NoSign, &[0.40, 0.05], NoSign),
            (0.50, Inconclusive, &[0.60, 0.40], Inconclusive),
            // One poor copy, or one odd score among four, moves nothing.
            (0.97, StrongSigns, &[0.10, 0.97, 0.96], StrongSigns),
            (0.97, StrongSigns, &[0.60, 0.80, 0.96], Signs),
            (0.97, StrongSigns, &[0.60, 0.60, 0.96], Signs),
            (0.97, StrongSigns, &[0.50, 0.50, 0.96], Inconclusive),
            (0.10, NoSign, &[0.20, 0.90, 0.05], NoSign),
            (0.10, NoSign, &[0.50, 0.70, 0.05], NoSign),
            (0.30, NoSign, &[0.60, 0.50, 0.05], Inconclusive),
            // The face's own score is the one that differs.
            (0.80, Signs, &[0.50, 0.50, 0.55], Inconclusive),
            (0.97, StrongSigns, &[0.80, 0.80, 0.80], Signs),
            (0.40, Inconclusive, &[0.20, 0.10, 0.30], NoSign),
            // From one half on its words say where to look.
            (0.60, Inconclusive, &[0.10, 0.10, 0.10], Inconclusive),
            // A stronger claim of signs than the words were written for.
            (0.80, Signs, &[0.97, 0.97, 0.97], Signs),
            (0.70, Inconclusive, &[0.80, 0.80, 0.80], Inconclusive),
            (0.10, NoSign, &[0.80, 0.80, 0.80], Inconclusive),
            // Signs that nothing else bears.
            (0.80, Signs, &[0.10, 0.10, 0.10], Inconclusive),
            // Already inconclusive because the words contradict the score.
            (0.97, Inconclusive, &[0.80, 0.96], Inconclusive),
            (0.10, Inconclusive, &[0.10, 0.10], Inconclusive),
        ] {
            let face = after(score, band, tried);
            assert_eq!(face.band, want, "{score} {tried:?}");
            assert_eq!(face.family == Family::Real, want < Signs);
            let spread = face.spread.unwrap();
            assert!(spread.low <= score && score <= spread.high && tried.iter().all(|t| spread.low <= *t && *t <= spread.high));
        }
    }

    #[test]
    fn a_face_with_marks_is_not_called_free_of_signs() {
        let calibration = Calibration::default();
        let tried = [0.1, 0.1, 0.1].map(|score| Trial { how: Resave::Jpeg75, score, band: calibration.band(score) });
        let rle = Rle::encode(&Mask::new(3, 3));
        let mask = MaskReport { concept: None, bbox: face(0.0, Band::NoSign).bbox, rle, quality: 0.5, measured: vec![] };
        let marked = FaceReport { masks: vec![mask], ..face(0.4, Band::Inconclusive) };
        let told = FaceReport { answer: "There may be signs of forgery. The nose looks blurred.".into(), ..face(0.4, Band::Inconclusive) };
        for mut about_a_part in [marked, told] {
            assert!(!widen(&mut about_a_part, tried.to_vec(), &calibration));
            assert_eq!(about_a_part.band, Band::Inconclusive);
        }
        let mut denied = FaceReport { answer: "There is no clear sign of forgery.".into(), ..face(0.4, Band::Inconclusive) };
        assert!(widen(&mut denied, tried.to_vec(), &calibration) && denied.band == Band::NoSign);
    }

    /// Spans by alternating between text and phrase.
    fn said(pieces: &[&str]) -> FaceReport {
        let spans = pieces.iter().enumerate().map(|(i, t)| Span { text: (*t).into(), mask: (i % 2 == 1).then_some(i / 2) });
        FaceReport { spans: spans.collect(), answer: pieces.concat(), ..face(0.8, Band::Signs) }
    }

    #[test]
    fn words_say_what_a_band_says_that_moved() {
        use Band::{Inconclusive, NoSign, Signs};
        for (band, before, after) in [
            (Inconclusive, &["No sign of forgery was found in the eyes."][..], "No clear sign of forgery was found in the eyes."),
            (Inconclusive, &["There is no sign of forgery."], "There is no clear sign of forgery."),
            (NoSign, &["There is no clear sign of forgery."], "There is no sign of forgery."),
            (
                Inconclusive,
                &["There are signs of forgery. The", " nose", " is unusually smooth. This fits a face swap."],
                "There may be signs of forgery. The nose is unusually smooth.",
            ),
            (Inconclusive, &["Signs of forgery were found: the", " nose", "."], "Possible signs of forgery were found: the nose."),
            (
                Signs,
                &["There are signs of forgery. The", " nose", " has a red cast. This fits a face swap."],
                "There are signs of forgery. The nose has a red cast. This fits a face swap.",
            ),
            (
                Inconclusive,
                &["There are signs of forgery. The change of the", " nose", " leaves nothing that can be measured."],
                "There may be signs of forgery. Any change of the nose leaves nothing that can be measured.",
            ),
            (
                Inconclusive,
                &["Signs of forgery were found. The", " eyes", " were changed, but nothing measured there stands out."],
                "Possible signs of forgery were found. The eyes were perhaps changed, but nothing measured there stands out.",
            ),
            (Inconclusive, &["That cannot be told from the face."], "That cannot be told from the face."),
        ] {
            let mut face = FaceReport { band, ..said(before) };
            let places: Vec<_> = face.spans.iter().map(|s| s.mask).collect();
            reopen(&mut face);
            assert_eq!(face.answer, after);
            assert_eq!(face.spans.iter().map(|s| s.text.as_str()).collect::<String>(), after);
            assert_eq!(face.spans.iter().map(|s| s.mask).collect::<Vec<_>>(), places);
        }
        assert_eq!((NOT_FOUND.len(), FOUND.len()), (NOT_CLEAR.len(), POSSIBLE.len()), "each opening has a weaker form");
    }

    #[test]
    fn saving_again_keeps_the_size_and_costs_detail() {
        let side = 64;
        let data = (0..side * side * 3).map(|i| ((i / 3 % side * 37) ^ (i / 3 / side * 91) ^ (i % 3 * 50)) as u8).collect();
        let picture = Rgb8::new(side, side, data).unwrap();
        let error = |how: Resave| {
            let after = how.apply(&picture).unwrap();
            assert_eq!((after.width, after.height), (side, side));
            picture.data.iter().zip(&after.data).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>()
        };
        let [fair, poor, half] = Resave::ALL.map(error);
        assert!(fair > 0.0 && half > 0.0 && poor > fair, "{fair} {poor} {half}");
    }
}
