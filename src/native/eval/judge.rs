//! One image through the model: its score, its answers against the annotator's, its band as a JPEG.

use super::Args;
use super::steady::Steady;
use crate::analyze::answer::{Look, Verdict, claims_signs};
use crate::analyze::head::Head;
use crate::analyze::region::{Asked, shares};
use crate::analyze::report::Band;
use crate::analyze::request::{Request, Silent};
use crate::analyze::{Analyzer, ground, measured, read_back};
use crate::error::Result;
use crate::fict;
use crate::image::{BBox, Mask, Rgb8, Rle};
use crate::measure::Gauge;
use crate::model::region::RegionMask;
use crate::model::states::Readout;
use crate::model::tasks::Evidence;
use crate::model::vision::crops_to_tensor;
use crate::native::annotate::talk::draw;
use crate::native::annotate::text::{self, Qa, Scope};
use crate::native::annotate::{RecipeSet, Sample, Sampler};
use crate::native::metrics::Overlap;
use crate::native::metrics::answer::{consistent, contradicts};
use crate::native::metrics::text::{Pair, bare, phrase_similarity};
use crate::text::Task;
use crate::text::ask::THIS_REGION;
use crate::text::grammar::parse;
use burn::tensor::Device;
use rand::{SeedableRng, rngs::SmallRng};

/// What one image gave.
pub struct Outcome {
    /// Of the sample.
    pub index: u64,
    pub score: f32,
    pub band: Band,
    pub forged: bool,
    /// Class index of the truth, and of what is guessed: none where the score leans to untouched, else the likeliest forged family.
    pub family: usize,
    pub guessed: usize,
    /// Id of the recipe, `none` for untouched.
    pub recipe: &'static str,
    /// Steps of the degradation that were taken.
    pub degraded: Vec<String>,
    pub answers: Vec<Answered>,
    /// The same image as a JPEG, and bands as shown.
    pub jpeg: Option<Steady>,
}

/// What a question was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Image,
    Region,
    Box,
}

/// One answer against its truth.
pub struct Answered {
    pub task: Task,
    pub place: Place,
    /// What was said.
    pub text: String,
    /// Whether there is something to be found there.
    pub found: bool,
    pub parses: bool,
    /// Predicted masks against true ones.
    pub overlap: Overlap,
    /// True masks that are recalled.
    pub recalled: usize,
    /// The answer's words claim signs of forgery.
    pub claims: bool,
    /// Words or masks against the band; only of questions about the whole image, which the score is about.
    pub contradicts: Option<bool>,
    /// Of each phrase: its mask lies in the concept it names.
    pub consistent: Vec<bool>,
    /// Of each mask: something measured on its pixels stands out.
    pub measured: Vec<bool>,
    /// The answer's words and the annotator's.
    pub words: Pair,
    /// The annotator's words in another draw, and those of the first.
    pub drawn_again: Pair,
    /// Predicted masks, if pictures are wanted.
    pub masks: Vec<Rle>,
}

/// The encoder's output and the task tokens' reading of it.
struct Seen<'a> {
    evidence: &'a Evidence,
    readout: &'a Readout,
    verdict: &'a Verdict,
    band: Band,
    /// Concept of every pixel in the model's frame.
    labels: &'a [u8],
    /// Measures the picture in the model's frame.
    gauge: &'a Gauge<'a>,
}

/// One image through the model.
///
/// # Errors
/// Those of the sampler and the model.
pub fn judge(analyzer: &Analyzer, sampler: &Sampler, index: u64, args: &Args) -> Result<Outcome> {
    let sample = sampler.sample(index)?;
    let side = analyzer.settings.model.enc_image;
    let pixels = resized(sample.image.data.as_chunks::<3>().0, sample.image.width, side);
    let pixels = Rgb8::new(side, side, pixels.into_flattened())?;
    let labels = resized(&sample.labels, sample.image.width, side);
    let evidence = analyzer.fifa.vision.encode(crops_to_tensor(&[&pixels.data], side, &Device::flex()));
    pollster::block_on(async {
        let (readout, verdict) = analyzer.verdict(&evidence, &labels, None).await?;
        let score = analyzer.settings.calibration.score(verdict.logit);
        let band = analyzer.settings.calibration.band(score);
        // As answers have it: the score says whether, the classifier what.
        let guessed = if score >= 0.5 { verdict.family.index() } else { 0 };
        let mut out = Outcome {
            index,
            score,
            band,
            forged: sample.is_fake(),
            family: sample.family.index(),
            guessed,
            recipe: sample.recipe.map_or("none", |r| r.id()),
            degraded: taken(
                &sample.wild.map_or_else(|| serde_json::to_value(sample.degradation), serde_json::to_value).unwrap_or_default(),
            ),
            answers: vec![],
            jpeg: None,
        };
        let scale = side as f32 / sample.image.width as f32;
        let mesh: Vec<[f32; 3]> = sample.mesh.iter().map(|[x, y, z]| [x * scale, y * scale, *z]).collect();
        let gauge = Gauge::new(&pixels, &labels, &mesh, None);
        let seen = Seen { evidence: &evidence, readout: &readout, verdict: &verdict, band, labels: &labels, gauge: &gauge };
        let mut head = Head::default();
        for (task, scope) in questions(&sample, sampler.set(), index, args) {
            out.answers.push(ask(analyzer, &sample, (&seen, &mut head), (task, scope), args, index).await?);
        }
        if args.takes(args.flip_every, index) {
            out.jpeg = Some(Steady::of(analyzer, &pixels, &labels, score).await?);
        }
        Ok(out)
    })
}

/// What is asked of an image, the cheap question first.
fn questions(sample: &Sample, set: RecipeSet, index: u64, args: &Args) -> Vec<(Task, Scope)> {
    if args.scores_only {
        return vec![];
    }
    let mut all = vec![(Task::Loc, Scope::Image)];
    if args.takes(args.explain_every.max(1), index) {
        all.push((Task::Age, Scope::Image));
    }
    if args.takes(args.toe_every, index) {
        all.push((Task::Toe, Scope::Image));
    }
    // Regions and boxes are the annotator's own draws: touched, or as good as free of the artifact.
    let mut rng = SmallRng::seed_from_u64(index ^ 0x5EED_u64.rotate_left(32));
    if args.takes(args.region_every, index)
        && let Some(region) = text::draw_region(sample, &mut rng)
    {
        all.extend([(Task::Loc, Scope::Region(region)), (Task::Age, Scope::Region(region))]);
    }
    if args.takes(args.box_every, index)
        && let Some(b) = text::draw_box(sample, &mut rng)
    {
        all.extend([(Task::Loc, Scope::Box(b)), (Task::Age, Scope::Box(b))]);
    }
    all.retain(|(_, scope)| set.is_first() || draw::is_clear(sample, *scope));
    all
}

/// Asks one question and holds the answer against the annotator's.
async fn ask(
    analyzer: &Analyzer,
    sample: &Sample,
    (seen, head): (&Seen<'_>, &mut Head),
    (task, scope): (Task, Scope),
    args: &Args,
    index: u64,
) -> Result<Answered> {
    let side = sample.image.width;
    let truth = compose(args.recipes, sample, task, scope, 1);
    let asked = asked(sample, scope, seen.labels, analyzer.settings.model.enc_image);
    let look = Look { gauge: seen.gauge, labels: seen.labels };
    let about = (&Request::of(task), asked.as_ref());
    let told = |readout: Readout| if args.without_states { readout.silent() } else { readout };
    let (made, artifact) = match &asked {
        None => {
            let readout = told(seen.readout.clone());
            let made = analyzer.speak(about, look, seen.evidence, (&readout, seen.verdict), (0, head), &mut Silent).await?.0;
            (made, seen.verdict.artifact.clone())
        }
        Some(region) => {
            let (readout, verdict) = analyzer.verdict(seen.evidence, seen.labels, Some(region)).await?;
            let readout = told(readout);
            let made = analyzer.speak(about, look, seen.evidence, (&readout, &verdict), (0, head), &mut Silent).await?.0;
            (made, verdict.artifact)
        }
    };
    let said = match made.seg.clone() {
        Some(hidden) => {
            let masks = analyzer.fifa.segment(seen.evidence, hidden).masks;
            let [_, n, m, _] = masks.dims();
            let mut logits = read_back(masks).await?;
            if args.without_mask_rule {
                enlarge(&logits, n, m, side)
            } else {
                ground::join(&mut logits, &artifact);
                let mut masks = enlarge(&logits, n, m, side);
                masks.iter_mut().zip(&made.named).for_each(|(mask, named)| ground::keep_to(mask, &sample.labels, *named));
                if let Some(bounds) = asked.as_ref().and_then(|a| a.bounds.as_ref()) {
                    masks.iter_mut().for_each(|mask| ground::keep_inside(mask, bounds));
                }
                masks
            }
        }
        None => vec![],
    };
    let spans = parse(&analyzer.tokenizer, &made.ids);
    let phrases: Vec<String> = spans.iter().flatten().filter(|s| s.mask.is_some()).map(|s| s.text.trim().to_string()).collect();
    let text: String = spans.iter().flatten().map(|s| s.text.as_str()).collect();
    let overlap = Overlap::of(&said, &truth.answer.masks);
    let named = |concept: &str| fict::concept(concept).map_or("", |c| c.en);
    let similar = |p: usize, t: usize| match (phrases.get(p), truth.answer.concepts.get(t)) {
        (Some(phrase), Some(concept)) => phrase_similarity(phrase, named(concept)),
        _ => 0.0,
    };
    let gauge = Gauge::new(&sample.image, &sample.labels, &sample.mesh, None);
    let stands_out = |m: &Mask, named: fict::Set| fict::concept_of(named).is_some_and(|c| !measured::standing_out(&gauge, m, c).is_empty());
    let measured = said.iter().zip(&made.named).map(|(m, named)| stands_out(m, *named)).collect();
    let fits = |(phrase, mask): (&String, &Mask)| {
        let leaves = fict::named(phrase).and_then(|c| fict::part_set(c.id));
        leaves.is_some_and(|set| consistent(mask, &fict::mask_of(&sample.labels, set, side, side)))
    };
    let wordings = references(sample, task, scope, index, args);
    let again = bare(&compose(args.recipes, sample, task, scope, !index).answer.text);
    Ok(Answered {
        task,
        place: match scope {
            Scope::Image => Place::Image,
            Scope::Region(_) => Place::Region,
            Scope::Box(_) => Place::Box,
        },
        found: truth.found,
        text: text.clone(),
        parses: spans.is_ok() && made.complete && phrases.len() == said.len(),
        recalled: overlap.recalled(similar),
        claims: claims_signs(&text),
        contradicts: (scope == Scope::Image).then(|| contradicts(seen.band, &text, said.len())),
        measured,
        consistent: phrases.iter().zip(&said).map(fits).collect(),
        words: Pair::new(&text, &wordings),
        drawn_again: Pair::new(&again, &wordings),
        masks: if args.worst.is_some() { said.iter().map(Rle::encode).collect() } else { vec![] },
        overlap,
    })
}

/// The annotator's question and answer; masks do not depend on the seed, wordings do.
fn compose(set: RecipeSet, sample: &Sample, task: Task, scope: Scope, seed: u64) -> Qa {
    let task = match task {
        Task::Age => text::Task::Age,
        Task::Loc => text::Task::Loc,
        Task::Toe => text::Task::Toe,
        Task::Det => text::Task::Det,
        Task::Cls => text::Task::Cls,
    };
    draw::compose(set, sample, task, scope, &mut SmallRng::seed_from_u64(seed))
}

/// The annotator's answer in up to so many different wordings.
fn references(sample: &Sample, task: Task, scope: Scope, index: u64, args: &Args) -> Vec<String> {
    let wording = |k| bare(&compose(args.recipes, sample, task, scope, index * 16 + k).answer.text);
    let mut all: Vec<String> = (0..args.wordings).map(wording).collect();
    all.sort();
    all.dedup();
    all
}

/// The region as the product would hand it over, in the model's frame of `side` px; its bounds in the sample's, as answered masks are.
fn asked(sample: &Sample, scope: Scope, labels: &[u8], side: usize) -> Option<Asked> {
    let own = sample.image.width;
    let (name, mask, bounds) = match scope {
        Scope::Image => return None,
        Scope::Region(id) => {
            (fict::concept(id).map_or(id, |c| c.en), fict::mask_of(labels, fict::part_set(id).unwrap_or(0), side, side), None)
        }
        Scope::Box([x, y, w, h]) => {
            let k = side as f32 / own as f32;
            let scaled = BBox { x: x * k, y: y * k, w: w * k, h: h * k };
            (THIS_REGION, Mask::from_bbox(side, side, &scaled), Some(Mask::from_bbox(own, own, &BBox { x, y, w, h })))
        }
    };
    let shares = shares(labels, &mask);
    Some(Asked { name: name.into(), mask: RegionMask::from_crop_mask(&mask.data, side), shares, bounds })
}

/// A square of values in another size, nearest value. Shipped models see the crop as it is; only the small ones of tests differ.
fn resized<T: Copy>(values: &[T], from: usize, to: usize) -> Vec<T> {
    if from == to {
        return values.to_vec();
    }
    let at = |c: usize| (2 * c + 1) * from / (2 * to.max(1));
    (0..to * to).filter_map(|i| values.get(at(i / to) * from + at(i % to)).copied()).collect()
}

/// Names of the steps of a recorded degradation that were taken.
fn taken(record: &serde_json::Value) -> Vec<String> {
    let was = |v: &serde_json::Value| !(v.is_null() || *v == false);
    record.as_object().map_or_else(Vec::new, |o| o.iter().filter(|(_, v)| was(v)).map(|(k, _)| k.clone()).collect())
}

/// Mask logits `[n, m, m]` to the crop's pixels, bilinear, cut at 0.
fn enlarge(logits: &[f32], n: usize, m: usize, side: usize) -> Vec<Mask> {
    let k = m as f32 / side as f32;
    (0..n)
        .map(|i| {
            let map = &logits[i * m * m..][..m * m];
            let mut mask = Mask::new(side, side);
            for (p, v) in mask.data.iter_mut().enumerate() {
                let at = |c: usize| ((c as f32 + 0.5) * k - 0.5).clamp(0.0, (m - 1) as f32);
                let (x, y) = (at(p % side), at(p / side));
                let (x0, y0) = (x as usize, y as usize);
                let (x1, y1) = ((x0 + 1).min(m - 1), (y0 + 1).min(m - 1));
                let (fx, fy) = (x - x0 as f32, y - y0 as f32);
                let top = map[y0 * m + x0] * (1.0 - fx) + map[y0 * m + x1] * fx;
                let bottom = map[y1 * m + x0] * (1.0 - fx) + map[y1 * m + x1] * fx;
                *v = u8::from(top * (1.0 - fy) + bottom * fy > 0.0);
            }
            mask
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_takes_the_middle_of_each_cell() {
        let values: Vec<u8> = (0..36).collect();
        assert_eq!(resized(&values, 6, 2), [7, 10, 25, 28]);
        assert_eq!(resized(&values, 6, 6), values);
        assert!(resized::<u8>(&[], 6, 2).is_empty());
    }

    #[test]
    fn logits_grow_to_masks() {
        let masks = enlarge(&[1.0, -1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0], 2, 2, 4);
        assert_eq!((masks.len(), masks[1].area()), (2, 0));
        assert_eq!(masks[0].data, [1, 1, 0, 0].repeat(4));
    }

    #[test]
    fn steps_are_those_that_were_taken() {
        let json = serde_json::json!({ "blur": null, "jpeg": 80, "flip": false, "noise": 0.5 });
        assert_eq!(taken(&json), ["jpeg", "noise"]);
        assert!(taken(&serde_json::Value::Null).is_empty());
    }
}
