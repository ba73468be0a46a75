//! One face's answer: task tokens → score and band; language model → grounded text; `[SEG]` states → masks of the photo.

use crate::analyze::generate::{Generated, Plan, Prompted, generate};
use crate::analyze::head::Head;
use crate::analyze::named::NAMES;
use crate::analyze::region::{self, Asked};
use crate::analyze::report::{Band, FaceReport, MaskReport, Span};
use crate::analyze::request::{Event, Listener, Request, Stage};
use crate::analyze::sayable::{Claims, Matter, artifact_mask};
use crate::analyze::{Analyzer, Photo, ground, measured, ms, read_back};
use crate::error::{Error, Result};
use crate::face::{Crop, Faces};
use crate::fict;
use crate::image::{BBox, Mask, Rle};
use crate::measure::Gauge;
use crate::model::presence::presence;
use crate::model::states::Readout;
use crate::model::tasks::Evidence;
use crate::text::grammar::{Limits, Span as Piece, parse};
use crate::text::own;
use crate::text::template::{Layout, prompt};
use crate::text::{Family, Task};
use std::collections::BTreeMap;
use web_time::Instant;

/// The answer speaks of signs where the score is in the band `no_sign`, or of none where it is in `signs` or above; the
/// reported band is then `inconclusive`.
pub const CONTRADICTION: &str = "text_contradicts_score";
/// The answer was cut at its longest length.
pub const CUT: &str = "answer_cut";
/// The answer's words name another family of technique than the classifier, whose family the report states.
pub const OTHER_FAMILY: &str = "words_name_another_family";

/// What the task tokens say about a face, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Raw detection logit.
    pub logit: f32,
    /// Likeliest family among the forged ones, whatever the score says; reports hide it below the band `signs`.
    pub family: Family,
    /// Labels of all concept leaves by presence, strongest first.
    pub ranked: Vec<usize>,
    /// Logits of the artifact mask at stride 4, row-major `[side / 4, side / 4]`.
    pub artifact: Vec<f32>,
    /// Presence of every concept leaf, 0..1.
    pub presence: Vec<f32>,
    /// Whether the asked region holds an artifact, 0..1, if one was asked for.
    pub region: Option<f32>,
}

/// The crop as measurements see it.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    /// Measures it.
    pub gauge: &'a Gauge<'a>,
    /// Part of every pixel.
    pub labels: &'a [u8],
}

impl Analyzer {
    /// Task tokens of a face, with an asked region or without. A region is one more token among the others, so it may move
    /// the score a little.
    pub(crate) async fn verdict(&self, evidence: &Evidence, labels: &[u8], region: Option<&Asked>) -> Result<(Readout, Verdict)> {
        let masks = region.map(|r| vec![r.mask.clone()]);
        let out = self.fifa.vision.tasks(evidence, masks.as_deref());
        let logit = read_back(out.det.clone()).await?;
        let artifact = read_back(out.artifact.clone()).await?;
        let presence = presence(&artifact, labels, self.settings.model.enc_image);
        let readout = Readout::of(&out).with_presence(&presence);
        let cls = read_back(readout.cls.clone()).await?;
        let region = match &readout.region {
            Some(r) => read_back(r.clone()).await?.first().copied(),
            None => None,
        };
        let logit =
            logit.first().copied().filter(|v| v.is_finite()).ok_or_else(|| Error::Model("the detection score is not a number".into()))?;
        let best = (1..cls.len()).max_by(|a, b| cls[*a].total_cmp(&cls[*b])).unwrap_or(1);
        let mut ranked: Vec<usize> = (0..presence.len()).collect();
        ranked.sort_by(|a, b| presence[*b].total_cmp(&presence[*a]));
        let family = Family::ALL.get(best).copied().unwrap_or(Family::Real);
        Ok((readout, Verdict { logit, family, presence, ranked, artifact, region }))
    }

    /// The whole answer for one face.
    pub(crate) async fn answer<L: Listener>(
        &self,
        photo: &Photo,
        (face, crop, labels): (usize, &Crop, &[u8]),
        (evidence, head): (&Evidence, &mut Head),
        (request, asked): (&Request, Option<&Asked>),
        (timings, warnings): (&mut BTreeMap<String, f64>, &mut Vec<String>),
        listener: &mut L,
    ) -> Result<FaceReport> {
        let Faces::Found(faces) = &photo.faces else { return Err(Error::Request("the photo has no usable face".into())) };
        let found = faces.get(face).ok_or_else(|| Error::Request(format!("there is no face {face}")))?;

        listener.event(Event::Stage { stage: Stage::Evidence, face });
        listener.breathe().await?;
        let clock = Instant::now();
        let (readout, verdict) = self.verdict(evidence, labels, asked).await?;
        *timings.entry(Stage::Evidence.name().into()).or_default() += ms(clock);
        let score = self.settings.calibration.score(verdict.logit);
        let mut band = self.settings.calibration.band(score);
        let family_of = |band: Band| if band >= Band::Signs { verdict.family } else { Family::Real };
        listener.event(Event::Verdict { face, score, band, family: family_of(band) });

        let mesh = region::mesh(found, crop);
        let gauge = Gauge::new(&crop.pixels, labels, &mesh, None);
        let look = Look { gauge: &gauge, labels };
        let (generated, prefill) = self.speak((request, asked), look, evidence, (&readout, &verdict), (face, head), listener).await?;
        *timings.entry(Stage::Prefill.name().into()).or_default() += prefill.0;
        *timings.entry(Stage::Generate.name().into()).or_default() += prefill.1;
        *timings.entry("tokens".into()).or_default() += generated.ids.len() as f64;
        if !generated.complete {
            warnings.push(CUT.into());
        }

        listener.event(Event::Stage { stage: Stage::Masks, face });
        listener.breathe().await?;
        let clock = Instant::now();
        let bounds = asked.and_then(|a| a.bounds.as_ref());
        let masks = self.masks(photo, (face, crop), (evidence, &gauge), (&generated, &verdict.artifact, bounds), listener).await?;
        *timings.entry(Stage::Masks.name().into()).or_default() += ms(clock);

        let spans: Vec<Span> =
            parse(&self.tokenizer, &generated.ids)?.into_iter().map(|Piece { text, mask }| Span { text, mask }).collect();
        let answer: String = spans.iter().map(|s| s.text.as_str()).collect();
        // Words must not claim what the calibrated score does not carry, nor the reverse. Where they disagree the words and
        // the score stay as they are, the band becomes `inconclusive`, and a warning says why. Own questions and regions are
        // left out: there the words answer something else than the score.
        let claims = !masks.is_empty() || claims_signs(&answer);
        if !request.has_region() && request.question.is_none() && matches!(request.task, Task::Age | Task::Toe | Task::Det | Task::Loc) {
            let agrees = match band {
                Band::NoSign => !claims,
                Band::Inconclusive => true,
                Band::Signs | Band::StrongSigns => claims,
            };
            if !agrees {
                warnings.push(CONTRADICTION.into());
                band = Band::Inconclusive;
            }
        }
        if request.has_region() && band == Band::NoSign && claims {
            // A face of which a part may show signs is not free of them, whatever its own score is.
            band = Band::Inconclusive;
        }
        if band >= Band::Signs && named_family(&answer).is_some_and(|named| named != verdict.family) {
            warnings.push(OTHER_FAMILY.into());
        }
        Ok(FaceReport { bbox: found.bbox, score, band, family: family_of(band), answer, spans, masks, spread: None })
    }

    /// Prompt, prefill, generation. Also returns (prefill, generation) in milliseconds; prefill ends with the choice of the
    /// first token, and includes the projector and the splicing of the prompt. `head` holds the beginning of the prompt if an earlier
    /// question about this face computed it, and does so afterwards.
    pub(crate) async fn speak<L: Listener>(
        &self,
        (request, asked): (&Request, Option<&Asked>),
        look: Look<'_>,
        evidence: &Evidence,
        (readout, verdict): (&Readout, &Verdict),
        (face, head): (usize, &mut Head),
        listener: &mut L,
    ) -> Result<(Generated, (f64, f64))> {
        let cfg = &self.settings.model;
        let name = asked.map(|a| a.name.as_str());
        let question = match &request.question {
            Some(q) => own::wording(q, request.task, name),
            None => request.task.question(name),
        };
        let layout = Layout { visual: cfg.visual_tokens(), states: 2 + cfg.dec_states, region: usize::from(asked.is_some()) };
        let prompt = prompt(&self.tokenizer, layout, &question)?;
        let top: Vec<usize> = verdict.ranked.iter().copied().take(cfg.dec_states).collect();
        let clock = Instant::now();
        let language = &self.fifa.language;
        let (known, mut cache) = head.take(face, cfg, &self.device);
        let embedded = if known { None } else { Some(language.head(&prompt, evidence.map.clone())?) };
        let rest = language.rest(&prompt, readout, &top)?;
        let score = self.settings.calibration.score(verdict.logit);
        let matter = Matter {
            request,
            asked,
            claims: match asked {
                // What shows no part of the face has nothing that could be named.
                Some(a) if a.shares.iter().all(|s| *s <= 0.0) => Claims::NoClearSign,
                Some(_) => Claims::of_part(verdict.region.unwrap_or(f32::NAN), &self.settings.calibration.part),
                None => Claims::of(self.settings.calibration.band(score), score),
            },
            family: verdict.family,
            gauge: look.gauge,
            labels: look.labels,
            presence: &verdict.presence,
            artifact: &artifact_mask(&verdict.artifact, cfg.enc_image),
        };
        let speech = matter.speech(&self.tokenizer)?;
        let limits = Limits {
            phrases: if request.task.has_masks() { NAMES } else { 0 },
            phrase_tokens: speech.longest(),
            tokens: request.task.max_tokens().min(cfg.lm_answer),
        };
        let plan = Plan { limits, speech, face };
        let mut timed = Timed { inner: listener, started: clock, first: None };
        let prompted = Prompted { head: prompt.states_at, embedded, rest, cache: &mut cache };
        let made = generate(cfg, language, &self.tokenizer, prompted, plan, &mut timed).await?;
        head.keep(face, cache);
        let prefill = timed.first.unwrap_or_else(|| ms(clock));
        Ok((made, (prefill, ms(clock) - prefill)))
    }

    /// Masks of the answer in photo pixels ([`ground`]): probability above 0.5, at the crop's place, empty outside of it.
    async fn masks<L: Listener>(
        &self,
        photo: &Photo,
        (face, crop): (usize, &Crop),
        (evidence, gauge): (&Evidence, &Gauge<'_>),
        (generated, artifact, bounds): (&Generated, &[f32], Option<&Mask>),
        listener: &mut L,
    ) -> Result<Vec<MaskReport>> {
        let Some(hidden) = generated.seg.clone() else { return Ok(vec![]) };
        let out = self.fifa.segment(evidence, hidden);
        let [_, n, side, _] = out.masks.dims();
        let mut logits = read_back(out.masks).await?;
        ground::join(&mut logits, artifact);
        let quality = read_back(out.quality).await?;
        let labels = self.photo_labels(photo, face);
        let mut reports = Vec::with_capacity(n);
        for id in 0..n {
            let logits = &logits[id * side * side..][..side * side];
            let probabilities: Vec<f32> = logits.iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect();
            let mut mask = crop.mask_to_photo(&probabilities, side, 0.5, photo.picture.rgb.width, photo.picture.rgb.height)?;
            if let (Some(labels), Some(named)) = (&labels, generated.named.get(id)) {
                ground::keep_to(&mut mask, labels, *named);
            }
            if let Some(bounds) = bounds {
                ground::keep_inside(&mut mask, bounds);
            }
            let quality = quality.get(id).map_or(0.0, |q| 1.0 / (1.0 + (-q).exp()));
            let concept = generated.named.get(id).and_then(|named| fict::concept_of(*named));
            let measured =
                concept.map_or_else(Vec::new, |concept| measured::standing_out(gauge, &region::mask_to_crop(&mask, crop), concept));
            let report = MaskReport {
                concept: concept.or_else(|| dominant(labels.as_deref()?, &mask)).map(Into::into),
                bbox: mask.bbox().unwrap_or(BBox { x: 0.0, y: 0.0, w: 0.0, h: 0.0 }),
                rle: Rle::encode(&mask),
                quality,
                measured,
            };
            listener.event(Event::Mask { face, id, mask: report.clone() });
            reports.push(report);
        }
        Ok(reports)
    }

    /// Concept of every photo pixel for one face.
    fn photo_labels(&self, photo: &Photo, face: usize) -> Option<Vec<u8>> {
        let Faces::Found(faces) = &photo.faces else { return None };
        Some(fict::part_labels(&faces.get(face)?.mesh, photo.picture.rgb.width, photo.picture.rgb.height))
    }
}

/// What to call a mask whose phrase names no one concept: the leaf that holds most of it, if it holds at least a third of it.
fn dominant(labels: &[u8], mask: &Mask) -> Option<&'static str> {
    let mut counts = [0usize; 256];
    let mut area = 0usize;
    for (l, m) in labels.iter().zip(&mask.data) {
        if *m != 0 {
            counts[usize::from(*l)] += 1;
            area += 1;
        }
    }
    let best = (0..fict::PARTS).max_by_key(|l| counts[*l])?;
    (area > 0 && counts[best] * 3 >= area).then(|| fict::part_id(best as u8)).flatten()
}

/// Whether an answer claims signs of forgery. Answers begin with one of few openings, and those that deny all speak of "no sign" or
/// "no clear sign".
pub fn claims_signs(answer: &str) -> bool {
    let answer = answer.to_lowercase();
    !answer.trim().is_empty() && !answer.contains("no sign") && !answer.contains("no clear sign")
}

/// The family that an answer names; `None` if it names none, or several.
pub fn named_family(answer: &str) -> Option<Family> {
    let answer = answer.to_lowercase();
    let mut named = Family::ALL.into_iter().filter(|f| f.words().is_some_and(|w| answer.contains(w)));
    named.next().filter(|_| named.next().is_none())
}

/// Notes when the generation stage begins.
struct Timed<'a, L> {
    inner: &'a mut L,
    started: Instant,
    first: Option<f64>,
}

impl<L: Listener> Listener for Timed<'_, L> {
    fn event(&mut self, event: Event) {
        if matches!(event, Event::Stage { stage: Stage::Generate, .. }) {
            self.first = Some(ms(self.started));
        }
        self.inner.event(event);
    }

    async fn breathe(&mut self) -> Result<()> {
        self.inner.breathe().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_named_by_its_words_alone() {
        assert_eq!(named_family("There are signs of forgery. This fits a face swap."), Some(Family::FaceSwap));
        assert_eq!(named_family("This fits an Attribute edit: parts were retouched."), Some(Family::AttributeEdit));
        assert_eq!(named_family("The left eyebrow lacks fine detail."), None);
        assert_eq!(named_family("A face swap or a reenactment."), None);
    }
}
