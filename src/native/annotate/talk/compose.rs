//! Turns: question, answer in sentences with their basis, masks.

use std::collections::HashMap;

use rand::Rng;
use rand::rngs::SmallRng;

use super::forms;
use crate::image::Mask;
use crate::measure::{Finding, Gauge, Measure, words};
use crate::native::annotate::pixels::chance;
use crate::native::annotate::sampler::Sample;
use crate::native::annotate::text::{self, Scope, Task};
use crate::native::annotate::wording;
use crate::text::wording::{LOOKED, OUTSIDE_ANSWER, QUIET, usual as said_usual};

/// A measurement that a sentence rests on.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Claim {
    pub concept: String,
    pub measure: Measure,
    pub value: f32,
    pub unit: String,
    /// What untouched photos measure.
    pub median: f32,
    pub spread: f32,
    /// Whether the changed pixels of the concept were measured, or all of it.
    pub changed: bool,
    /// Whether it stands out (else: is usual).
    pub stands_out: bool,
    /// The same measurement of the untouched picture under the same degradation, where that is known; it does not stand out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub untouched: Option<f32>,
}

impl Claim {
    fn of(f: &Finding, changed: bool, stands_out: bool) -> Self {
        Self {
            concept: f.concept.into(),
            measure: f.measure,
            value: f.value,
            unit: f.measure.unit().into(),
            median: f.median,
            spread: f.spread,
            changed,
            stands_out,
            untouched: None,
        }
    }
}

/// What a sentence rests on.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Whether pixels in scope were changed.
    Label,
    /// The family of the recipe.
    Family,
    /// The masks named in it.
    Masks,
    /// These measurements.
    Measured(Vec<Claim>),
    /// That no measurement of these concepts, where they changed, stands out (or it stands out in the untouched twin, too).
    Quiet(Vec<String>),
    /// Nothing: the question lies outside of what pixels show.
    Outside,
}

/// One sentence of an answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Sentence {
    pub text: String,
    pub basis: Basis,
}

/// One question with its answer.
#[derive(Debug, Clone)]
pub struct Turn {
    /// `None` for a question outside of the eleven tasks.
    pub task: Option<Task>,
    pub scope: Scope,
    pub question: String,
    pub sentences: Vec<Sentence>,
    /// One for each `[SEG]`, in order, with its concept.
    pub masks: Vec<(&'static str, Mask)>,
    pub found: bool,
}

impl Turn {
    /// The sentences as one text.
    pub fn answer(&self) -> String {
        self.sentences.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// Measurements of a sample's concepts, taken when first asked for.
pub(super) struct Notes<'a> {
    gauge: &'a Gauge<'a>,
    /// The gauge of the untouched twin.
    twin: Option<&'a Gauge<'a>>,
    taken: HashMap<(&'static str, bool), Vec<Finding>>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(gauge: &'a Gauge<'a>, twin: Option<&'a Gauge<'a>>) -> Self {
        Self { gauge, twin, taken: HashMap::new() }
    }

    fn of(&mut self, concept: &'static str, changed: bool) -> &[Finding] {
        self.taken.entry((concept, changed)).or_insert_with(|| self.gauge.findings(concept, changed))
    }
}

/// All turns of a sample: Det, Cls, {AGE, Loc, TOE} × {image, region, box}, and one free question. A region or box that cannot
/// be drawn (a face out of the frame) leaves its three out. `twin` measures the untouched twin.
pub fn turns(sample: &Sample, gauge: &Gauge, twin: Option<&Gauge>, rng: &mut SmallRng) -> Vec<Turn> {
    let mut notes = Notes::new(gauge, twin);
    let mut out = Vec::with_capacity(12);
    for task in [Task::Det, Task::Cls] {
        out.push(turn(sample, &mut notes, task, Scope::Image, rng));
    }
    let scopes = [Some(Scope::Image), text::draw_region(sample, rng).map(Scope::Region), text::draw_box(sample, rng).map(Scope::Box)];
    for scope in scopes.into_iter().flatten().filter(|s| is_clear(sample, *s)) {
        for task in [Task::Age, Task::Loc, Task::Toe] {
            out.push(turn(sample, &mut notes, task, scope, rng));
        }
    }
    out.push(outside(rng));
    out
}

/// A scope with a little of the change, too little to be named, is not clear: neither answer would be right.
pub fn is_clear(sample: &Sample, scope: Scope) -> bool {
    text::is_free(sample, scope) || !text::targets(sample, scope).is_empty()
}

/// A question that pixels cannot answer.
pub(super) fn outside(rng: &mut SmallRng) -> Turn {
    Turn {
        task: None,
        scope: Scope::Image,
        question: text::pick(rng, forms::OUTSIDE).into(),
        sentences: vec![Sentence { text: text::pick(rng, OUTSIDE_ANSWER).into(), basis: Basis::Outside }],
        masks: Vec::new(),
        found: false,
    }
}

fn question(task: Task, scope: Scope, rng: &mut SmallRng) -> String {
    let more = match (task, scope) {
        (Task::Age | Task::Toe, Scope::Image) => forms::IMAGE,
        (Task::Age | Task::Toe, Scope::Region(_)) => forms::REGION,
        (Task::Age | Task::Toe, Scope::Box(_)) => forms::BOX,
        _ => &[],
    };
    // Free wordings do not say whether masks are wanted; an answer with masks is the fuller one.
    if task == Task::Age && !more.is_empty() && chance(rng, 0.4) {
        let form = text::pick(rng, more);
        return match scope {
            Scope::Region(id) => form.replace("{r}", &format!("the {}", text::name(id))),
            _ => form.to_string(),
        };
    }
    text::question(task, scope, rng)
}

pub(super) fn turn(sample: &Sample, notes: &mut Notes, task: Task, scope: Scope, rng: &mut SmallRng) -> Turn {
    let question = question(task, scope, rng);
    let targets = text::targets(sample, scope);
    let found = !targets.is_empty();
    let opening = text::pick(rng, if found { wording::FOUND } else { wording::NOT_FOUND });
    let label = |text: String| Sentence { text, basis: Basis::Label };
    let family = |text: &str| Sentence { text: text.into(), basis: Basis::Family };
    let names: Vec<&'static str> = targets.iter().map(|t| t.0).collect();
    let grounded = matches!(task, Task::Age | Task::Loc);
    let sentences = match task {
        Task::Det => vec![label(format!("{opening}."))],
        Task::Cls if found => vec![label(format!("{opening}.")), family(wording::family_sentence(sample.family))],
        Task::Cls => vec![label(format!("{opening}, so no technique is named."))],
        Task::Loc if found => {
            vec![Sentence { text: format!("{opening}: {}.", text::list(&names, true)), basis: Basis::Masks }]
        }
        Task::Loc => vec![label(format!("{opening} {}.", text::checked(sample, scope, rng)))],
        _ if found => {
            let mut s = vec![label(format!("{opening}."))];
            s.extend(explained(&names, grounded, notes, rng));
            if scope == Scope::Image {
                s.push(family(wording::family_hint(sample.family)));
            }
            s
        }
        _ => {
            let mut s = vec![label(format!("{opening} {}.", text::checked(sample, scope, rng)))];
            s.extend(usual(sample, scope, notes, rng));
            s
        }
    };
    let masks = if grounded { targets } else { Vec::new() };
    Turn { task: Some(task), scope, question, sentences, masks, found }
}

/// A sentence a concept that has something to show; the others together.
fn explained(names: &[&'static str], grounded: bool, notes: &mut Notes, rng: &mut SmallRng) -> Vec<Sentence> {
    let (mut out, mut quiet) = (Vec::new(), Vec::new());
    for &id in names {
        let mut strong: Vec<Finding> = notes.of(id, true).iter().copied().filter(Finding::stands_out).collect();
        strong.sort_by(|a, b| b.z().abs().total_cmp(&a.z().abs()));
        // What the untouched picture shows in the same place is no sign of the change.
        let before = if strong.is_empty() { Vec::new() } else { notes.twin.map_or_else(Vec::new, |t| t.findings(id, true)) };
        let untouched = |f: &Finding| before.iter().find(|b| b.measure == f.measure);
        strong.retain(|f| !untouched(f).is_some_and(Finding::stands_out));
        // Two measurements of one trait (against ring and mirror) are one thing to a reader.
        strong.dedup_by(|b, a| a.measure.word() == b.measure.word());
        let wanted = if names.len() == 1 && chance(rng, 0.5) { 2 } else { 1 };
        let said: Vec<(Finding, &str)> = strong
            .into_iter()
            .filter_map(|f| {
                let forms = words::finding(f.measure, f.z() > 0.0);
                let form = forms.get(rng.random_range(0..forms.len().max(1)))?;
                Some((f, if wording::is_plural(id) { form.1 } else { form.0 }))
            })
            .take(wanted)
            .collect();
        if said.is_empty() {
            quiet.push(id);
            continue;
        }
        let subject = text::capital(&text::list(&[id], grounded));
        let predicates: Vec<&str> = said.iter().map(|s| s.1).collect();
        out.push(Sentence {
            text: format!("{subject} {}.", predicates.join(" and ")),
            basis: Basis::Measured(
                said.iter().map(|s| Claim { untouched: untouched(&s.0).map(|b| b.value), ..Claim::of(&s.0, true, true) }).collect(),
            ),
        });
    }
    if !quiet.is_empty() {
        let subject = text::list(&quiet, grounded);
        let form = QUIET[rng.random_range(0..QUIET.len())].replace("{x}", &subject).replace("{was}", verb(&quiet));
        let text = text::capital(&form);
        out.push(Sentence { text, basis: Basis::Quiet(quiet.iter().map(|q| q.to_string()).collect()) });
    }
    out
}

fn verb(ids: &[&'static str]) -> &'static str {
    if ids.len() > 1 || wording::is_plural(ids[0]) { "were" } else { "was" }
}

/// What was measured and is as in untouched photos, where nothing was found. `None` when no trait is usual throughout.
fn usual(sample: &Sample, scope: Scope, notes: &mut Notes, rng: &mut SmallRng) -> Option<Sentence> {
    let ids: Vec<&'static str> = match scope {
        Scope::Image => {
            let first = rng.random_range(0..LOOKED.len());
            vec![LOOKED[first], LOOKED[(first + rng.random_range(1..LOOKED.len())) % LOOKED.len()]]
        }
        Scope::Region(id) => vec![id],
        Scope::Box(_) => text::in_box(sample, scope).into_iter().collect(),
    };
    let mut claims: Vec<Claim> = Vec::new();
    let mut odd: Vec<&str> = Vec::new();
    for &id in &ids {
        for f in notes.of(id, false) {
            if f.is_usual() { claims.push(Claim::of(f, false, false)) } else { odd.push(f.measure.word()) }
        }
    }
    // A trait is called usual only if every measurement of it is, in every part named.
    claims.retain(|c| !odd.contains(&c.measure.word()));
    let mut traits: Vec<&str> = Vec::new();
    for c in &claims {
        let w = c.measure.word();
        if !traits.contains(&w) && ids.iter().all(|id| claims.iter().any(|k| k.concept == *id && k.measure.word() == w)) {
            traits.push(w);
        }
    }
    while traits.len() > 3 {
        traits.remove(rng.random_range(0..traits.len()));
    }
    claims.retain(|c| traits.contains(&c.measure.word()));
    if traits.is_empty() {
        return None;
    }
    let of = text::list(&ids, false);
    let text = said_usual(rng.random_range(0..3), &traits, &of, ids.len() > 1 || wording::is_plural(ids[0]));
    Some(Sentence { text, basis: Basis::Measured(claims) })
}
