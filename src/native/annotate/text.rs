//! Questions and answers about a sample: Det, Cls, and {AGE, Loc, TOE} × {image, named region, drawn box}.
//!
//! Answers are grounded text: `the <p> left eyebrow </p> [SEG]`, with one target mask for each `[SEG]`, in order. A target
//! is artifact ∩ concept (∩ box), so text and mask cannot disagree. A region is asked about only when the rule of
//! [`crate::fict::lift`] calls it touched (artifact covers ≥ 35 % of it or it holds ≥ 35 % of the artifact) or it is as
//! good as free of the artifact (< 5 % both ways); in between nobody could say.

use rand::Rng;
use rand::rngs::SmallRng;

use super::pixels::{Rect, between, chance, weighted};
use super::sampler::Sample;
use super::wording as words;
use crate::fict::{self, FACE, Set, lift};
use crate::image::{BBox, Mask};

/// Most phrases (and masks) of one answer.
pub const MAX_PHRASES: usize = 3;
/// Least area of a target mask, px of 448²; less in smaller pictures.
const LEAST_TARGET: usize = 24;

/// [`LEAST_TARGET`] for the sample's side.
fn least_target(sample: &Sample) -> f32 {
    LEAST_TARGET as f32 * (sample.image.width as f32 / super::sampler::SIDE as f32).powi(2)
}
/// A concept outside of the model's vocabulary that a forgery may change: all that belongs to no part.
pub const HAIR: &str = "hair";
/// Its set: a bit beyond the parts'.
const BESIDE: Set = 1 << 127;

/// The labels of a concept: its parts, or for hair what belongs to no part.
pub fn set_of(id: &str) -> Option<Set> {
    fict::part_set(id).or((id == HAIR).then_some(BESIDE))
}
/// At most this part of a region or of the artifact may overlap for "no sign".
const FREE: f32 = 0.05;

/// The five kinds of task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Det,
    Cls,
    Age,
    Loc,
    Toe,
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Image,
    /// A concept id.
    Region(&'static str),
    /// `[x, y, w, h]` in pixels of the crop; the question holds `<bbox>` once.
    Box([f32; 4]),
}

impl Scope {
    /// The pixels of the crop that a question looks at; `None` for the whole of it.
    pub fn mask(self, sample: &Sample) -> Option<Mask> {
        let side = sample.image.width;
        match self {
            Self::Image => None,
            Self::Region(id) => Some(fict::mask_of(&sample.labels, fict::part_set(id).unwrap_or(0), side, side)),
            Self::Box([x, y, w, h]) => Some(Mask::from_bbox(side, side, &BBox { x, y, w, h })),
        }
    }
}

/// Grounded text with its targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub text: String,
    /// One 448² mask for each `[SEG]`, in order.
    pub masks: Vec<Mask>,
    /// The concept of each `[SEG]`.
    pub concepts: Vec<&'static str>,
}

/// One question with its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Qa {
    pub task: Task,
    pub scope: Scope,
    pub question: String,
    pub answer: Answer,
    /// Whether the answer says that signs were found.
    pub found: bool,
}

/// Draws a task and a scope and composes.
pub fn draw(sample: &Sample, rng: &mut SmallRng) -> Qa {
    let (task, scope) = draw_ask(sample, rng);
    compose(sample, task, scope, rng)
}

/// A task and what it is asked of; explanation and localisation come more often than the two head tasks.
pub fn draw_ask(sample: &Sample, rng: &mut SmallRng) -> (Task, Scope) {
    let task = weighted(rng, &[(Task::Det, 1.0), (Task::Cls, 1.0), (Task::Age, 4.0), (Task::Loc, 2.0), (Task::Toe, 2.0)], |t| t.1).0;
    if matches!(task, Task::Det | Task::Cls) {
        return (task, Scope::Image);
    }
    let scope = match weighted(rng, &[(0, 2.0), (1, 1.0), (2, 1.0)], |k| k.1).0 {
        1 => draw_region(sample, rng).map(Scope::Region),
        2 => draw_box(sample, rng).map(Scope::Box),
        _ => None,
    };
    (task, scope.unwrap_or(Scope::Image))
}

/// A concept that can be asked about, three in five of them touched when the sample is forged; `None` when there is none.
pub fn draw_region(sample: &Sample, rng: &mut SmallRng) -> Option<&'static str> {
    let visible = lift::countable(&sample.labels);
    let total = area(&sample.artifact) as f32;
    let (mut touched, mut free) = (Vec::new(), Vec::new());
    // Counted by label once: a concept is a set of labels.
    let mut counts = [[0u32; 2]; 256];
    for (&l, &a) in sample.labels.iter().zip(&sample.artifact.data) {
        counts[usize::from(l)][usize::from(a & 1)] += 1;
    }
    for c in fict::concepts().filter(|c| c.id != FACE) {
        let set = fict::part_set(c.id)?;
        if set & visible == 0 {
            continue;
        }
        let (mut both, mut own) = (0u32, 0u32);
        for (label, [untouched, changed]) in (0u8..=255).zip(counts) {
            if holds(set, label) {
                own += untouched + changed;
                both += changed;
            }
        }
        let (covered, share) = (both as f32 / own.max(1) as f32, both as f32 / total.max(1.0));
        if both as f32 >= least_target(sample) && (covered >= lift::COVERED || share >= lift::SHARE) {
            touched.push(c.id);
        } else if covered < FREE && share < FREE {
            free.push(c.id);
        }
    }
    let list = if !touched.is_empty() && (free.is_empty() || chance(rng, 0.6)) { touched } else { free };
    (!list.is_empty()).then(|| list[rng.random_range(0..list.len())])
}

/// A box `[x, y, w, h]`: on forged samples three in five are around an artifact; the others touch nothing.
pub fn draw_box(sample: &Sample, rng: &mut SmallRng) -> Option<[f32; 4]> {
    let side = sample.image.width as f32;
    if sample.is_fake() && chance(rng, 0.6) {
        let concept = sample.concepts[rng.random_range(0..sample.concepts.len().min(MAX_PHRASES))];
        let target = overlap(sample, set_of(concept)?, None);
        let r = Rect::of(target.width, target.height, |i| target.data[i] == 1)?;
        let (w, h) = (r.width() as f32 * between(rng, 0.85, 1.5), r.height() as f32 * between(rng, 0.85, 1.5));
        let (w, h) = (w.max(16.0), h.max(16.0));
        let cx = (r.x0 + r.x1) as f32 / 2.0 + between(rng, -0.15, 0.15) * w;
        let cy = (r.y0 + r.y1) as f32 / 2.0 + between(rng, -0.15, 0.15) * h;
        return Some(clip_box([cx - w / 2.0, cy - h / 2.0, w, h], side));
    }
    let total = area(&sample.artifact) as f32;
    for _ in 0..40 {
        let (w, h) = (between(rng, 30.0, 150.0), between(rng, 30.0, 150.0));
        let p = sample.mesh[rng.random_range(0..468)];
        let b = clip_box([p[0] - w / 2.0, p[1] - h / 2.0, w, h], side);
        let both = overlap(sample, Set::MAX, Some(b));
        let both = area(&both) as f32;
        if b[2] >= 16.0 && b[3] >= 16.0 && both <= 0.01 * b[2] * b[3] && both <= 0.03 * total {
            return Some(b);
        }
    }
    None
}

fn clip_box(b: [f32; 4], side: f32) -> [f32; 4] {
    let (x0, y0) = (b[0].clamp(0.0, side), b[1].clamp(0.0, side));
    let (x1, y1) = ((b[0] + b[2]).clamp(0.0, side), (b[1] + b[3]).clamp(0.0, side));
    [x0.round(), y0.round(), (x1 - x0).round(), (y1 - y0).round()]
}

/// Composes question and answer for a given task and scope.
///
/// For a region or box between "touched" and "free" the answer follows whether any target mask is left; draw scopes with
/// [`draw_region`] and [`draw_box`] to avoid that.
pub fn compose(sample: &Sample, task: Task, scope: Scope, rng: &mut SmallRng) -> Qa {
    let scope = if matches!(task, Task::Det | Task::Cls) { Scope::Image } else { scope };
    let question = question(task, scope, rng);
    let targets = targets(sample, scope);
    let found = !targets.is_empty();
    let opening = pick(rng, if found { words::FOUND } else { words::NOT_FOUND });
    let grounded = matches!(task, Task::Age | Task::Loc);
    let names: Vec<&'static str> = targets.iter().map(|t| t.0).collect();
    let text = match task {
        Task::Det => format!("{opening}."),
        Task::Cls if found => format!("{opening}. {}", words::family_sentence(sample.family)),
        Task::Cls => format!("{opening}, so no technique is named."),
        Task::Loc if found => format!("{opening}: {}.", list(&names, true)),
        Task::Loc => format!("{opening} {}.", checked(sample, scope, rng)),
        _ if found => {
            let subject = list(&names, grounded);
            let several = names.len() > 1 || words::is_plural(names[0]);
            let finding = sample.recipe.map_or("", |r| {
                let forms = words::finding(r);
                let form = forms[rng.random_range(0..forms.len())];
                if several { form.1 } else { form.0 }
            });
            let hint = if scope == Scope::Image { format!(" {}", words::family_hint(sample.family)) } else { String::new() };
            format!("{opening}. {} {finding}.{hint}", capital(&subject))
        }
        _ => format!("{opening} {}.", checked(sample, scope, rng)),
    };
    let (masks, concepts) = if grounded { (targets.into_iter().map(|t| t.1).collect(), names) } else { (Vec::new(), Vec::new()) };
    Qa { task, scope, question, answer: Answer { text, masks, concepts }, found }
}

pub(super) fn question(task: Task, scope: Scope, rng: &mut SmallRng) -> String {
    let forms = match (task, scope) {
        (Task::Det, _) => words::DET,
        (Task::Cls, _) => words::CLS,
        (Task::Age, Scope::Image) => words::AGE_IMAGE,
        (Task::Age, Scope::Region(_)) => words::AGE_REGION,
        (Task::Age, Scope::Box(_)) => words::AGE_BOX,
        (Task::Loc, Scope::Image) => words::LOC_IMAGE,
        (Task::Loc, Scope::Region(_)) => words::LOC_REGION,
        (Task::Loc, Scope::Box(_)) => words::LOC_BOX,
        (Task::Toe, Scope::Image) => words::TOE_IMAGE,
        (Task::Toe, Scope::Region(_)) => words::TOE_REGION,
        (Task::Toe, Scope::Box(_)) => words::TOE_BOX,
    };
    let form = pick(rng, forms);
    match scope {
        Scope::Region(id) => form.replace("{r}", &format!("the {}", name(id))),
        _ => form.to_string(),
    }
}

/// Concepts to name with their target masks, most of the artifact first; empty when nothing was found in scope.
pub fn targets(sample: &Sample, scope: Scope) -> Vec<(&'static str, Mask)> {
    if !sample.is_fake() {
        return Vec::new();
    }
    let part = |ids: &[&'static str], bounds: Option<[f32; 4]>, least: f32| -> Vec<(&'static str, Mask)> {
        let mut all: Vec<(&'static str, Mask, usize)> = ids
            .iter()
            .filter_map(|id| {
                let mask = overlap(sample, set_of(id)?, bounds);
                let n = area(&mask);
                Some((*id, mask, n))
            })
            .filter(|t| t.2 as f32 >= least)
            .collect();
        all.sort_by_key(|t| std::cmp::Reverse(t.2));
        all.into_iter().take(MAX_PHRASES).map(|t| (t.0, t.1)).collect()
    };
    let least = least_target(sample);
    match scope {
        Scope::Image => {
            let found = part(&sample.concepts, None, least);
            if found.is_empty() { part(&sample.concepts, None, 1.0) } else { found }
        }
        Scope::Region(region) => {
            let inside: Vec<_> = sample.concepts.iter().copied().filter(|c| fict::is_within(c, region)).collect();
            if inside.is_empty() { part(&[region], None, least) } else { part(&inside, None, least) }
        }
        Scope::Box(b) => {
            let n = area(&overlap(sample, Set::MAX, Some(b))) as f32;
            // A name must stand for a fair part of what the box shows.
            let named = part(&sample.concepts, Some(b), least.max(0.15 * n));
            if named.is_empty() {
                let leaves: Vec<_> = fict::parts().map(|c| c.id).collect();
                part(&leaves, Some(b), least).into_iter().take(1).collect()
            } else {
                named
            }
        }
    }
}

/// "in the left cheek", "in the marked box on the left cheek", or what an image-wide look covers.
pub(super) fn checked(sample: &Sample, scope: Scope, rng: &mut SmallRng) -> String {
    match scope {
        Scope::Image => pick(rng, words::CHECKED).to_string(),
        Scope::Region(id) => format!("in the {}", name(id)),
        Scope::Box(b) => match in_box(sample, Scope::Box(b)) {
            Some(id) => format!("in the marked box on the {}", name(id)),
            None => "in the marked box".to_string(),
        },
    }
}

/// The leaf that a box shows most of; `None` for other scopes and for boxes beside the face.
pub(super) fn in_box(sample: &Sample, scope: Scope) -> Option<&'static str> {
    let Scope::Box(b) = scope else { return None };
    let side = sample.image.width;
    let mut count = [0u32; 256];
    for y in b[1] as usize..((b[1] + b[3]) as usize).min(side) {
        for x in b[0] as usize..((b[0] + b[2]) as usize).min(side) {
            count[sample.labels[y * side + x] as usize] += 1;
        }
    }
    let best = (0..fict::PARTS).max_by_key(|&l| count[l]).filter(|&l| count[l] > 0);
    best.and_then(|l| fict::part_id(l as u8))
}

/// Whether a region or box is as good as free of the artifact (at most 5 % of it and of the artifact), so that "nothing found"
/// can be said of it. The whole picture is free if nothing was changed.
pub(super) fn is_free(sample: &Sample, scope: Scope) -> bool {
    let side = sample.image.width;
    let total = area(&sample.artifact);
    let inside: Box<dyn Fn(usize) -> bool> = match scope {
        Scope::Image => return total == 0,
        Scope::Region(id) => {
            let set = fict::part_set(id).unwrap_or(0);
            Box::new(move |i| holds(set, sample.labels[i]))
        }
        Scope::Box([x, y, w, h]) => Box::new(move |i| {
            let (px, py) = ((i % side) as f32, (i / side) as f32);
            px >= x && py >= y && px < x + w && py < y + h
        }),
    };
    let (mut own, mut both) = (0usize, 0usize);
    for (_, &a) in sample.artifact.data.iter().enumerate().filter(|(i, _)| inside(*i)) {
        own += 1;
        both += usize::from(a == 1);
    }
    both as f32 <= FREE * own as f32 && both as f32 <= FREE * total as f32
}

/// Artifact ∩ leaves ∩ box. With all leaves ([`Set::MAX`]) pixels of no leaf count, too.
pub(super) fn overlap(sample: &Sample, set: Set, bounds: Option<[f32; 4]>) -> Mask {
    let side = sample.image.width;
    let [x0, y0, w, h] = bounds.unwrap_or([0.0, 0.0, side as f32, side as f32]);
    let (xs, ys) = (x0 as usize..(x0 + w) as usize, y0 as usize..(y0 + h) as usize);
    let mut mask = Mask { width: side, height: side, data: vec![0; side * side] };
    for y in ys.start..ys.end.min(side) {
        for x in xs.start..xs.end.min(side) {
            let i = y * side + x;
            if sample.artifact.data[i] == 1 && (set == Set::MAX || holds(set, sample.labels[i])) {
                mask.data[i] = 1;
            }
        }
    }
    mask
}

pub(super) fn holds(set: Set, label: u8) -> bool {
    (label < 127 && set >> label & 1 == 1) || (label == fict::BACKGROUND && set == BESIDE)
}

pub(super) fn area(mask: &Mask) -> usize {
    mask.data.iter().filter(|&&m| m == 1).count()
}

pub(super) fn name(id: &str) -> &'static str {
    fict::concept(id).map_or("face", |c| c.en)
}

pub(super) fn pick(rng: &mut SmallRng, forms: &[&'static str]) -> &'static str {
    forms[rng.random_range(0..forms.len())]
}

pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

/// "the a, the b and the c", each grounded or plain.
pub(super) fn list(ids: &[&'static str], grounded: bool) -> String {
    let mut out = String::new();
    for (i, id) in ids.iter().enumerate() {
        out += match i {
            0 => "",
            _ if i + 1 == ids.len() => " and ",
            _ => ", ",
        };
        out += &if grounded { format!("the <p> {} </p> [SEG]", name(id)) } else { format!("the {}", name(id)) };
    }
    out
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::drawn::drawn_sampler;
    use super::*;
    use crate::native::metrics::answer_parses;

    #[test]
    fn answers_parse_are_short_and_agree_with_their_masks() {
        let sampler = drawn_sampler(11);
        let mut rng = SmallRng::seed_from_u64(4);
        let (mut boxes, mut regions, mut found_in, mut free) = (0, 0, 0, 0);
        for i in 0..40 {
            let s = sampler.sample(i).unwrap();
            for _ in 0..20 {
                let qa = draw(&s, &mut rng);
                let text = &qa.answer.text;
                assert!(answer_parses(text, qa.answer.masks.len()), "{text}");
                assert!(text.split_whitespace().count() <= if qa.found { 60 } else { 40 }, "{text}");
                assert!(qa.answer.masks.len() <= MAX_PHRASES && qa.answer.masks.len() == qa.answer.concepts.len());
                assert!(!text.contains("real") && !qa.question.contains('{'), "{text}");
                assert_eq!(qa.question.matches("<bbox>").count(), usize::from(matches!(qa.scope, Scope::Box(_))));
                let opening = if qa.found { words::FOUND } else { words::NOT_FOUND };
                assert!(opening.iter().any(|o| text.starts_with(o)), "{text}");
                assert!(s.is_fake() || !qa.found);
                assert_eq!(matches!(qa.task, Task::Age | Task::Loc) && qa.found, !qa.answer.masks.is_empty());
                for (m, c) in qa.answer.masks.iter().zip(&qa.answer.concepts) {
                    assert!(area(m) > 0 && text.contains(name(c)));
                    for (p, i) in m.data.iter().zip(0..) {
                        assert!(*p == 0 || (s.artifact.data[i] == 1 && holds(fict::part_set(c).unwrap(), s.labels[i])));
                    }
                }
                if s.is_fake() {
                    boxes += usize::from(matches!(qa.scope, Scope::Box(_)));
                    regions += usize::from(matches!(qa.scope, Scope::Region(_)));
                    if qa.scope != Scope::Image {
                        if qa.found { found_in += 1 } else { free += 1 }
                    } else {
                        assert!(qa.found);
                    }
                }
            }
        }
        assert!(boxes > 20 && regions > 20 && found_in > 20 && free > 20, "{boxes} {regions} {found_in} {free}");
    }

    #[test]
    fn there_are_many_question_forms() {
        let all = [
            words::DET,
            words::CLS,
            words::AGE_IMAGE,
            words::LOC_IMAGE,
            words::TOE_IMAGE,
            words::AGE_REGION,
            words::LOC_REGION,
            words::TOE_REGION,
            words::AGE_BOX,
            words::LOC_BOX,
            words::TOE_BOX,
        ];
        let forms: std::collections::HashSet<_> = all.iter().flat_map(|f| f.iter()).collect();
        assert!(forms.len() >= 40, "{}", forms.len());
    }

    #[test]
    fn lists_read_as_english() {
        assert_eq!(list(&["nose", "chin", "eyes"], false), "the nose, the chin and the eyes");
        assert_eq!(list(&["nose"], true), "the <p> nose </p> [SEG]");
        assert_eq!(capital("the nose"), "The nose");
    }
}
