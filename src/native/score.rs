//! `facext score`: the field's figures for any grounded answers, this program's or another's, from two files.
//!
//! Both files hold `[{image_id, phrases[], masks[], caption}]`: masks are COCO compressed run lengths, one a phrase, in the order
//! of the answer. A reference may have several captions. A prediction may carry the `band` of its report, which is then
//! held against its words; `--concepts` gives the pixels of each concept, against which each phrase and mask are held.
//! What was not given is `null` in the result. Definitions: `docs/evaluation.md`.

use crate::analyze::report::Band;
use crate::error::{Error, Result};
use crate::image::{Mask, Rle};
use crate::native::metrics::{self, Overlap, answer, coco, text};
use crate::native::say::say;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most masks of one answer, pixels of all of them together, bytes of one caption.
const MOST_MASKS: usize = 1000;
const MOST_PIXELS: u64 = 400_000_000;
const MOST_TEXT: usize = 4096;

/// Arguments of `score`.
#[derive(clap::Args)]
pub struct Args {
    /// Answers: [{image_id, phrases[], masks[], caption, band?}].
    #[arg(long)]
    pub predictions: PathBuf,
    /// True answers: [{image_id, phrases[], masks[], caption}]; caption may be a list.
    #[arg(long)]
    pub references: PathBuf,
    /// Pixels of each concept: [{image_id, concepts: {name: mask}}]; without it there is no consistency.
    #[arg(long)]
    pub concepts: Option<PathBuf>,
    /// Similarities of phrases for the mask recall: [{image_id, similarity: [predicted][true]}]; without it word stems decide.
    #[arg(long)]
    pub similarities: Option<PathBuf>,
    /// Print JSON on one line (otherwise indented).
    #[arg(long)]
    pub json: bool,
}

/// An image: a number or a name. Numbers come first, as in pycocotools' order of images.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged)]
pub enum ImageId {
    Number(i64),
    Name(String),
}

impl std::fmt::Display for ImageId {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Name(n) => write!(f, "{n:?}"),
        }
    }
}

/// One caption or several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Captions {
    One(String),
    Several(Vec<String>),
}

impl Captions {
    fn all(&self) -> &[String] {
        match self {
            Self::One(c) => std::slice::from_ref(c),
            Self::Several(all) => all,
        }
    }
}

/// A grounded answer about an image.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Grounded {
    pub image_id: ImageId,
    #[serde(default)]
    pub phrases: Vec<String>,
    #[serde(default)]
    pub masks: Vec<Rle>,
    pub caption: Captions,
    /// Band of the report; predictions only.
    #[serde(default)]
    pub band: Option<Band>,
}

/// Concepts of an image, by name.
#[derive(Debug, Clone, Deserialize)]
pub struct Concepts {
    pub image_id: ImageId,
    pub concepts: BTreeMap<String, Rle>,
}

/// Similarities of the phrases of an image, `[predicted][true]`, 0..1.
#[derive(Debug, Clone, Deserialize)]
pub struct Similarities {
    pub image_id: ImageId,
    pub similarity: Vec<Vec<f64>>,
}

/// The result. Rates are fractions; `None` is what could not be computed from what was given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    pub n_images: usize,
    /// References without a prediction: they count as empty answers.
    pub missing_predictions: usize,
    pub n_predicted_masks: usize,
    pub n_reference_masks: usize,
    pub ap50: Option<f64>,
    pub miou: Option<f64>,
    pub miou_sym: Option<f64>,
    pub recall: Option<f64>,
    /// How phrases were compared for `recall`: `stems` or `given`.
    pub recall_similarity: &'static str,
    #[serde(flatten)]
    pub text: Option<text::Figures>,
    /// Share of phrases whose concept holds at least half of their mask.
    pub consistency: Option<f64>,
    /// Phrases that are no concept of their image; they are not consistent.
    pub unknown_phrases: Option<usize>,
    /// Share of answers with a band whose words or masks contradict it.
    pub contradiction: Option<f64>,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Io`] for files that cannot be read; those of [`score`].
pub fn run(args: &Args) -> Result<()> {
    let concepts = args.concepts.as_deref().map(read::<Concepts>).transpose()?;
    let similarities = args.similarities.as_deref().map(read::<Similarities>).transpose()?;
    let scores = score(&read(&args.predictions)?, &read(&args.references)?, concepts.as_deref(), similarities.as_deref())?;
    let json = if args.json { serde_json::to_string(&scores) } else { serde_json::to_string_pretty(&scores) };
    say!("{}", json.map_err(|e| Error::Io(e.to_string()))?)?;
    Ok(())
}

/// A JSON list from a file.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let bytes = std::fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::Request(format!("{}: {e}", path.display())))
}

/// By image, refusing an image that occurs twice.
fn by_image<'a, T>(items: &'a [T], id: impl Fn(&T) -> &ImageId, what: &str) -> Result<BTreeMap<ImageId, &'a T>> {
    let mut map = BTreeMap::new();
    for item in items {
        if map.insert(id(item).clone(), item).is_some() {
            return Err(Error::Request(format!("image {} occurs twice among the {what}", id(item))));
        }
    }
    Ok(map)
}

/// Scores predictions against references, image by image in the order of their ids.
///
/// # Errors
/// [`Error::Request`] for an image that occurs twice, a prediction without reference, a number of masks that is not that of
/// the phrases, a mask that is not one, masks of different sizes, more masks, pixels or text than the limits, a reference without caption, a table of similarities of the wrong size.
pub fn score(
    predictions: &[Grounded],
    references: &[Grounded],
    concepts: Option<&[Concepts]>,
    similarities: Option<&[Similarities]>,
) -> Result<Scores> {
    let predicted = by_image(predictions, |p| &p.image_id, "predictions")?;
    let truth = by_image(references, |r| &r.image_id, "references")?;
    let concepts = concepts.map(|c| by_image(c, |c| &c.image_id, "concepts")).transpose()?;
    let similarities = similarities.map(|s| by_image(s, |s| &s.image_id, "similarities")).transpose()?;
    if let Some(id) = predicted.keys().find(|id| !truth.contains_key(*id)) {
        return Err(Error::Request(format!("image {id} has a prediction and no reference")));
    }
    let (mut overlaps, mut pairs, mut bands) = (Vec::new(), Vec::new(), Vec::new());
    let (mut recalled, mut unknown, mut consistent) = (0, 0, Vec::new());
    for (id, reference) in &truth {
        let empty = Grounded { image_id: id.clone(), phrases: vec![], masks: vec![], caption: Captions::One(String::new()), band: None };
        let prediction = predicted.get(id).copied().unwrap_or(&empty);
        let (said, wanted) = (masks(prediction)?, masks(reference)?);
        if let (Some(s), Some(w)) = (said.first(), wanted.first())
            && (s.width, s.height) != (w.width, w.height)
        {
            return Err(Error::Request(format!("image {id}: predicted and true masks differ in size")));
        }
        let overlap = Overlap::of(&said, &wanted);
        recalled += match similarities.as_ref().and_then(|s| s.get(id)) {
            Some(given) => {
                if given.similarity.len() != said.len() || given.similarity.iter().any(|row| row.len() != wanted.len()) {
                    return Err(Error::Request(format!(
                        "image {id}: similarities for {} × {} phrases are needed",
                        said.len(),
                        wanted.len()
                    )));
                }
                overlap.recalled(|p, t| given.similarity[p][t])
            }
            None => overlap.recalled(|p, t| text::phrase_similarity(&prediction.phrases[p], &reference.phrases[t])),
        };
        overlaps.push(overlap);
        if let Some(concepts) = &concepts {
            for (phrase, mask) in prediction.phrases.iter().zip(&said) {
                let concept = concepts.get(id).and_then(|c| named(&c.concepts, phrase)).map(Rle::decode).transpose()?;
                unknown += usize::from(concept.is_none());
                consistent.push(concept.is_some_and(|c| answer::consistent(mask, &c)));
            }
        }
        let caption = prediction.caption.all().first().map_or("", String::as_str);
        if reference.caption.all().is_empty() {
            return Err(Error::Request(format!("image {id}: the reference has no caption")));
        }
        pairs.push(text::Pair::new(caption, reference.caption.all()));
        bands.extend(prediction.band.map(|band| answer::contradicts(band, caption, said.len())));
    }
    let wanted: usize = overlaps.iter().map(Overlap::truth).sum();
    Ok(Scores {
        n_images: truth.len(),
        missing_predictions: truth.len() - predicted.len(),
        n_predicted_masks: overlaps.iter().map(Overlap::predicted).sum(),
        n_reference_masks: wanted,
        ap50: coco::ap50(&overlaps),
        miou: metrics::mean(overlaps.iter().map(Overlap::miou)),
        miou_sym: metrics::mean(overlaps.iter().map(Overlap::miou_sym)),
        recall: (wanted > 0).then(|| recalled as f64 / wanted as f64),
        recall_similarity: if similarities.is_some() { "given" } else { "stems" },
        text: text::figures(&pairs),
        consistency: metrics::rate(&consistent, |c| *c),
        unknown_phrases: concepts.is_some().then_some(unknown),
        contradiction: metrics::rate(&bands, |b| *b),
    })
}

/// The concept of that name; case and a leading "the" do not matter.
fn named<'a>(concepts: &'a BTreeMap<String, Rle>, phrase: &str) -> Option<&'a Rle> {
    let plain = |name: &str| {
        let name = name.trim().to_lowercase();
        name.strip_prefix("the ").map_or(name.clone(), Into::into)
    };
    let wanted = plain(phrase);
    concepts.iter().find(|(name, _)| plain(name) == wanted).map(|c| c.1)
}

/// Masks of an answer. Run lengths are short and may stand for huge masks, so an answer has a budget of pixels.
fn masks(answer: &Grounded) -> Result<Vec<Mask>> {
    let (phrases, count) = (answer.phrases.len(), answer.masks.len());
    let refused = |what: String| Err(Error::Request(format!("image {}: {what}", answer.image_id)));
    if phrases != count {
        return refused(format!("{phrases} phrases and {count} masks"));
    }
    if answer.masks.windows(2).any(|m| m[0].size != m[1].size) {
        return refused("masks of different sizes".into());
    }
    let pixels = answer.masks.iter().map(|m| (m.size[0] as u64).saturating_mul(m.size[1] as u64)).fold(0u64, u64::saturating_add);
    if count > MOST_MASKS || pixels > MOST_PIXELS {
        return refused(format!("{count} masks with {pixels} pixels: {MOST_MASKS} and {MOST_PIXELS} are the limits"));
    }
    if let Some(long) = answer.caption.all().iter().map(String::len).find(|n| *n > MOST_TEXT) {
        return refused(format!("a caption of {long} bytes: {MOST_TEXT} is the limit"));
    }
    answer.masks.iter().map(Rle::decode).collect()
}
