//! What may be said of a face: the sentences that its measurements carry.
//!
//! The model chooses what to name, and how to word it; pixels decide what may be said. Of a part whose changed pixels stand out
//! against untouched photos the answer may say that, and by what; of one where nothing does, that nothing does. Traits are called
//! usual only where they were measured to be. Whether the whole face's answer may speak of signs is the calibrated score's to
//! say, and so is the family that it may name. The sentences are the annotator's ([`crate::text::wording`], [`words`]), which the
//! model was trained on.

use crate::analyze::region::Asked;
use crate::analyze::report::Band;
use crate::analyze::request::Request;
use crate::error::Result;
use crate::fict::{self, Concept, FACE, PARTS, Set};
use crate::image::Mask;
use crate::measure::{Finding, Gauge, Measure, words};
use crate::text::ask::THIS_REGION;
use crate::text::speech::{Name, Place, Speech};
use crate::text::tokenizer::Tokenizer;
use crate::text::wording::{
    CHECKED, FOUND, LOOKED, NOT_FOUND, OUTSIDE_ANSWER, QUIET, family_hint, family_sentence, is_plural, listed, usual as said_usual,
};
use crate::text::{Family, Task};

/// Parts that an answer may name: the likeliest. Each is measured, which takes a millisecond or two.
const SUBJECTS: usize = 8;
/// Sentences about parts in one answer.
const SENTENCES: usize = 3;
/// Measurements that a sentence may speak of, farthest from their norm first.
const TRAITS: usize = 3;
/// Least presence that counts.
const FLOOR: f32 = 1e-4;

/// What an answer about a face may rest on.
pub struct Matter<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// The part of the face that it is about.
    pub asked: Option<&'a Asked>,
    /// Whether the answer must speak of signs, or must not; `None` leaves it to the model.
    pub claims: Option<bool>,
    /// The family that it may name.
    pub family: Family,
    /// Measures the crop.
    pub gauge: &'a Gauge<'a>,
    /// Part of every crop pixel, row-major `[side, side]`.
    pub labels: &'a [u8],
    /// Presence of every part, 0..1, `[PARTS]`.
    pub presence: &'a [f32],
    /// Where the decoder sees the artifact, in the crop's frame.
    pub artifact: &'a Mask,
}

/// Whether an answer about the whole face must speak of signs (`true`), must not, or may: a face that is rather untouched than
/// forged is not accused, one in the bands of signs is not cleared.
pub fn claims(band: Band, score: f32) -> Option<bool> {
    if band >= Band::Signs {
        Some(true)
    } else if score < 0.5 {
        Some(false)
    } else {
        None
    }
}

/// Logits at stride 4 as a mask of the crop of `side` pixels.
pub fn artifact_mask(logits: &[f32], side: usize) -> Mask {
    let (m, mut mask) = (side / 4, Mask::new(side, side));
    if logits.len() == m * m {
        for (i, v) in mask.data.iter_mut().enumerate() {
            *v = u8::from(logits[i / side / 4 * m + i % side / 4] > 0.0);
        }
    }
    mask
}

/// A part that may be named, and what may be said of it.
struct Subject {
    concept: &'static Concept,
    parts: Set,
    weight: f32,
    /// Forms of each measurement that stands out.
    predicates: Vec<Vec<&'static str>>,
}

impl Matter<'_> {
    /// All answers that may be given.
    ///
    /// # Errors
    /// `text.failed` if a sentence cannot be tokenized.
    pub fn speech(&self, tokenizer: &Tokenizer) -> Result<Speech> {
        let mut s = Laid { t: tokenizer, s: Speech::new(tokenizer.ids()), marked: self.request.task.has_masks() };
        if self.claims != Some(false) {
            self.found(&mut s)?;
        }
        if self.claims != Some(true) {
            self.not_found(&mut s)?;
        }
        if self.request.question.is_some() && self.asked.is_none() {
            for answer in OUTSIDE_ANSWER {
                let end = s.say(Speech::START, answer)?;
                s.s.end(end);
            }
        }
        s.s.begin();
        Ok(s.s)
    }

    /// Answers that speak of signs.
    fn found(&self, s: &mut Laid<'_>) -> Result<()> {
        let openings = FOUND.iter().map(|o| s.say(Speech::START, o)).collect::<Result<Vec<_>>>()?;
        let (behind, end) = (s.s.place(), s.s.place());
        s.s.end(end);
        match self.request.task {
            Task::Det => s.join_all(&openings, ".", end),
            Task::Cls => {
                s.join_all(&openings, ".", behind)?;
                match family_sentence(self.family) {
                    "" => s.s.end(behind),
                    sentence => s.join(behind, &format!(" {sentence}"), end)?,
                }
                Ok(())
            }
            Task::Loc => {
                s.join_all(&openings, ": the", behind)?;
                let subjects = self.subjects(false);
                let names: Vec<&Subject> = subjects.iter().collect();
                let [one, several, more] = s.list(behind, &names)?;
                s.join_all(&[one, several, more], ".", end)
            }
            Task::Age | Task::Toe => {
                s.join_all(&openings, ".", behind)?;
                let subjects = self.subjects(true);
                let mut at = behind;
                for _ in 0..SENTENCES {
                    let next = s.s.place();
                    s.sentences(at, &subjects, next)?;
                    match family_hint(self.family) {
                        "" => s.s.end(next),
                        _ if self.asked.is_some() => s.s.end(next),
                        hint => s.join(next, &format!(" {hint}"), end)?,
                    }
                    at = next;
                }
                Ok(())
            }
        }
    }

    /// Answers that deny.
    fn not_found(&self, s: &mut Laid<'_>) -> Result<()> {
        let openings = NOT_FOUND.iter().map(|o| s.say(Speech::START, o)).collect::<Result<Vec<_>>>()?;
        let (behind, end) = (s.s.place(), s.s.place());
        s.s.end(end);
        match self.request.task {
            Task::Det => return s.join_all(&openings, ".", end),
            Task::Cls => return s.join_all(&openings, ", so no technique is named.", end),
            Task::Age | Task::Loc | Task::Toe => {}
        }
        for place in self.looked_at() {
            s.join_all(&openings, &format!(" {place}."), behind)?;
        }
        let usual = if self.request.task == Task::Loc { vec![] } else { self.usual() };
        if usual.is_empty() {
            s.s.end(behind);
        }
        for sentence in usual {
            s.join(behind, &format!(" {sentence}"), end)?;
        }
        Ok(())
    }

    /// "in the nose" and the like.
    fn looked_at(&self) -> Vec<String> {
        match self.asked {
            None => CHECKED.iter().map(|c| (*c).into()).collect(),
            Some(a) if a.name == THIS_REGION => vec![match self.shown_most() {
                Some(c) => format!("in the marked box on the {}", c.en),
                None => "in the marked box".into(),
            }],
            Some(a) => vec![format!("in the {}", a.name)],
        }
    }

    /// The part that an asked region shows most of.
    fn shown_most(&self) -> Option<&'static Concept> {
        let fine = &self.asked?.mask.fine;
        let (m, side) = (fine.len().isqrt(), self.labels.len().isqrt());
        let mut area = [0.0f32; PARTS];
        if m * m == fine.len() && m * 4 == side {
            for (i, share) in fine.iter().enumerate() {
                if let Some(a) = area.get_mut(usize::from(self.labels[(i / m * 4 + 2) * side + i % m * 4 + 2])) {
                    *a += share;
                }
            }
        }
        let most = (0..PARTS).max_by(|a, b| area[*a].total_cmp(&area[*b]))?;
        (area[most] > 0.0).then(|| fict::part_id(most as u8)).flatten().and_then(fict::concept)
    }

    /// The likeliest parts, with what may be said of them if that is wanted.
    fn subjects(&self, measured: bool) -> Vec<Subject> {
        let seen = |l: usize| {
            let covered = self.asked.map_or(1.0, |a| a.shares.get(l).copied().unwrap_or(0.0));
            (self.presence.get(l).copied().unwrap_or(0.0) * covered).clamp(FLOOR, 1.0)
        };
        let mut all: Vec<Subject> = fict::concepts()
            .filter(|c| c.id != FACE)
            .map(|concept| {
                let parts = fict::part_set(concept.id).unwrap_or(0);
                let members: Vec<f32> = (0..PARTS).filter(|l| parts >> l & 1 == 1).map(seen).collect();
                // The geometric mean: a parent is as present as its children are together.
                let weight = (members.iter().map(|p| p.ln()).sum::<f32>() / members.len().max(1) as f32).exp();
                Subject { concept, parts, weight, predicates: vec![] }
            })
            .collect();
        all.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        all.truncate(SUBJECTS);
        if measured {
            let there = self.gauge.on(self.artifact);
            all.iter_mut().for_each(|s| s.predicates = predicates(&there, s));
        }
        all
    }

    /// That traits of what was looked at are usual, as far as they are.
    fn usual(&self) -> Vec<String> {
        let looked: Vec<&Concept> = match self.asked {
            None => LOOKED.iter().filter_map(|id| fict::concept(id)).collect(),
            Some(a) if a.name == THIS_REGION => self.shown_most().into_iter().collect(),
            Some(a) => fict::named(&a.name).into_iter().collect(),
        };
        let traits: Vec<Vec<&str>> = looked.iter().map(|c| usual_traits(self.gauge, c.id)).collect();
        let mut all = Vec::new();
        let mut tell = |ids: &[usize]| {
            let mut shared: Vec<&str> = traits[ids[0]].iter().copied().filter(|t| ids.iter().all(|i| traits[*i].contains(t))).collect();
            shared.truncate(TRAITS);
            if !shared.is_empty() {
                let names: Vec<String> = ids.iter().map(|i| format!("the {}", looked[*i].en)).collect();
                let subject = listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
                let plural = ids.len() > 1 || is_plural(looked[ids[0]].id);
                all.extend((0..3).map(|form| said_usual(form, &shared, &subject, plural)));
            }
        };
        match (self.asked, looked.len()) {
            (Some(_), 1) => tell(&[0]),
            (Some(_), _) => {}
            (None, n) => (0..n).for_each(|a| (0..n).filter(|b| *b != a).for_each(|b| tell(&[a, b]))),
        }
        all
    }
}

/// What stands out of a part where it changed; where the artifact does not touch it, of all of it.
fn predicates(gauge: &Gauge, subject: &Subject) -> Vec<Vec<&'static str>> {
    let mut found = gauge.findings(subject.concept.id, true);
    if found.is_empty() {
        found = gauge.findings(subject.concept.id, false);
    }
    found.retain(Finding::stands_out);
    found.sort_by(|a, b| b.z().abs().total_cmp(&a.z().abs()));
    let plural = is_plural(subject.concept.id);
    let mut said: Vec<&str> = vec![];
    let mut all = vec![];
    for f in found {
        let forms = words::finding(f.measure, f.z() > 0.0);
        // Two measurements of one trait (against the surroundings and against the mirror part) are one thing to a reader.
        if !forms.is_empty() && !said.contains(&f.measure.word()) && all.len() < TRAITS {
            said.push(f.measure.word());
            all.push(forms.iter().map(|form| if plural { form.1 } else { form.0 }).collect());
        }
    }
    all
}

/// Traits of which every measurement is usual.
fn usual_traits(gauge: &Gauge, concept: &'static str) -> Vec<&'static str> {
    let found = gauge.findings(concept, false);
    let mut traits: Vec<&str> = vec![];
    for word in Measure::ALL.iter().map(|m| m.word()) {
        let mut own = found.iter().filter(|f| f.measure.word() == word).peekable();
        if own.peek().is_some() && own.all(Finding::is_usual) && !traits.contains(&word) {
            traits.push(word);
        }
    }
    traits
}

/// A graph being laid.
struct Laid<'a> {
    t: &'a Tokenizer,
    s: Speech,
    /// Names are phrases with masks.
    marked: bool,
}

impl Laid<'_> {
    fn say(&mut self, from: Place, text: &str) -> Result<Place> {
        self.s.say(self.t, from, text)
    }

    fn join(&mut self, from: Place, text: &str, to: Place) -> Result<()> {
        self.s.join(self.t, from, text, to)
    }

    fn join_all(&mut self, from: &[Place], text: &str, to: Place) -> Result<()> {
        from.iter().try_for_each(|f| self.join(*f, text, to))
    }

    fn name(&mut self, from: Place, subject: &Subject, to: Place) -> Result<()> {
        let name = Name { text: subject.concept.en, parts: subject.parts, weight: subject.weight, marked: self.marked };
        self.s.name(self.t, from, name, to)
    }

    /// Up to three names; the places behind one in the singular, one in the plural, several.
    fn list(&mut self, from: Place, subjects: &[&Subject]) -> Result<[Place; 3]> {
        let behind = [self.s.place(), self.s.place(), self.s.place()];
        for s in subjects {
            self.name(from, s, behind[usize::from(is_plural(s.concept.id))])?;
        }
        if subjects.len() > 1 {
            let (second, last, third) = (self.s.place(), self.s.place(), self.s.place());
            self.join_all(&behind[..2], " and the", last)?;
            if subjects.len() > 2 {
                self.join_all(&behind[..2], ", the", second)?;
                for s in subjects {
                    self.name(second, s, third)?;
                }
                self.join(third, " and the", last)?;
            }
            for s in subjects {
                self.name(last, s, behind[2])?;
            }
        }
        Ok(behind)
    }

    /// One sentence about parts.
    fn sentences(&mut self, from: Place, subjects: &[Subject], next: Place) -> Result<()> {
        for s in subjects.iter().filter(|s| !s.predicates.is_empty()) {
            let (the, behind) = (self.say(from, " The")?, self.s.place());
            self.name(the, s, behind)?;
            for (i, forms) in s.predicates.iter().enumerate() {
                let said = self.s.place();
                for form in forms {
                    self.join(behind, &format!(" {form}"), said)?;
                }
                self.join(said, ".", next)?;
                for more in s.predicates.iter().skip(i + 1).flatten() {
                    let both = self.say(said, &format!(" and {more}"))?;
                    self.join(both, ".", next)?;
                }
            }
        }
        let quiet: Vec<&Subject> = subjects.iter().filter(|s| s.predicates.is_empty()).collect();
        for form in QUIET.iter().filter(|_| !quiet.is_empty()) {
            let Some((before, after)) = form.split_once("{x}") else { continue };
            let the = self.say(from, if before.is_empty() { " The".into() } else { format!(" {before}the") }.as_str())?;
            let [one, plural, several] = self.list(the, &quiet)?;
            self.join(one, &after.replace("{was}", "was"), next)?;
            self.join_all(&[plural, several], &after.replace("{was}", "were"), next)?;
        }
        Ok(())
    }
}
