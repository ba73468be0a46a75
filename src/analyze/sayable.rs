//! What may be said of a face: the sentences that its measurements carry.
//!
//! What is named follows from what the decoder marks ([`super::named`]); the language model chooses the order, the traits and the
//! words, and pixels decide what may be said. Of a part whose changed pixels stand out against untouched photos the answer may say
//! that, and by what; of one where nothing does, that nothing does. Traits are called usual only where they were measured to be.
//! Whether the whole face's answer may speak of signs is the calibrated score's to say, and so is the family that it may name. The
//! sentences are the annotator's ([`crate::text::wording`], [`words`]), which the model was trained on.

use crate::analyze::bands::PartLimits;
use crate::analyze::named::named;
use crate::analyze::region::Asked;
use crate::analyze::report::Band;
use crate::analyze::request::Request;
use crate::error::Result;
use crate::fict::{self, Concept, PARTS};
use crate::image::Mask;
use crate::measure::{Finding, Gauge, Measure, words};
use crate::text::ask::THIS_REGION;
use crate::text::own::is_outside;
use crate::text::speech::{Name, Place, Speech};
use crate::text::tokenizer::Tokenizer;
use crate::text::wording::{
    CHECKED, DOUBT, FOUND, LOOKED, NOT_CLEAR, NOT_FOUND, OUTSIDE_ANSWER, PERHAPS, POSSIBLE, QUIET, family_hint, family_sentence, is_plural,
    listed, usual as said_usual,
};
use crate::text::{Family, Task};

/// Measurements that a sentence may speak of, farthest from their norm first.
const TRAITS: usize = 3;
/// What an answer about the technique says where it names none.
const NO_TECHNIQUE: &str = ", so no technique is named.";

/// What an answer about a face may rest on.
pub struct Matter<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// The part of the face that it is about.
    pub asked: Option<&'a Asked>,
    /// What it may claim.
    pub claims: Claims,
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

/// What an answer may claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claims {
    /// That there are no signs.
    NoSign,
    /// That there is no clear sign.
    NoClearSign,
    /// The same, and where to look all the same: the score leans to forged.
    Doubt,
    /// That there may be signs.
    Possible,
    /// That there are signs.
    Signs,
}

impl Claims {
    /// Of a part of the face, by its own score, 0..1: the decoder knows better than the words do. A score that is no number claims nothing.
    pub fn of_part(score: f32, limits: &PartLimits) -> Self {
        if score >= limits.signs_from {
            Self::Signs
        } else if score >= limits.possible_from {
            Self::Possible
        } else if score < limits.unclear_from {
            Self::NoSign
        } else {
            Self::NoClearSign
        }
    }

    /// Of the whole face: one that is rather untouched than forged is not accused, one in the bands of signs is not cleared, and where the
    /// score is inconclusive so are the words.
    pub fn of(band: Band, score: f32) -> Self {
        match band {
            Band::NoSign => Self::NoSign,
            Band::Inconclusive if score < 0.5 => Self::NoClearSign,
            Band::Inconclusive => Self::Doubt,
            Band::Signs | Band::StrongSigns => Self::Signs,
        }
    }

    /// Openings of answers that name places; none where none may be named.
    fn openings(self) -> &'static [&'static str] {
        match self {
            Self::NoSign | Self::NoClearSign => &[],
            Self::Doubt => NOT_CLEAR,
            Self::Possible => POSSIBLE,
            Self::Signs => FOUND,
        }
    }

    /// Openings of answers that deny and name none; none where an answer must not.
    fn denials(self) -> &'static [&'static str] {
        match self {
            Self::NoSign => NOT_FOUND,
            Self::NoClearSign => NOT_CLEAR,
            Self::Doubt | Self::Possible | Self::Signs => &[],
        }
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

/// A part that is named, and what may be said of it.
struct Subject {
    concept: &'static Concept,
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
        let own = if self.asked.is_none() { self.request.question.as_deref() } else { None };
        let outside = own.is_some_and(is_outside);
        if !self.claims.openings().is_empty() && !outside {
            self.found(&mut s)?;
        }
        if !self.claims.denials().is_empty() && !outside {
            self.not_found(&mut s)?;
        }
        if own.is_some() {
            for answer in OUTSIDE_ANSWER {
                let end = s.say(Speech::START, answer)?;
                s.s.end(end);
            }
        }
        s.s.begin();
        Ok(s.s)
    }

    /// Answers that name places: those that show signs, or where to look first.
    fn found(&self, s: &mut Laid<'_>) -> Result<()> {
        let openings = self.claims.openings().iter().map(|o| s.say(Speech::START, o)).collect::<Result<Vec<_>>>()?;
        let (behind, end) = (s.s.place(), s.s.place());
        s.s.end(end);
        // What the score does not carry gets no name either.
        let doubt = self.claims == Claims::Doubt;
        let family = if self.claims == Claims::Signs { self.family } else { Family::Real };
        match self.request.task {
            Task::Det => s.join_all(&openings, ".", end),
            Task::Cls if doubt => s.join_all(&openings, NO_TECHNIQUE, end),
            Task::Cls => {
                s.join_all(&openings, ".", behind)?;
                match family_sentence(family) {
                    "" => s.s.end(behind),
                    sentence => s.join(behind, &format!(" {sentence}"), end)?,
                }
                Ok(())
            }
            Task::Loc if doubt => {
                s.join_all(&openings, ".", behind)?;
                let subjects = self.subjects(false);
                let all: Vec<usize> = (0..subjects.len()).collect();
                s.lists(behind, &DOUBT, (&subjects, &all), all.len(), |_| end)
            }
            Task::Loc => {
                s.join_all(&openings, ": the", behind)?;
                let subjects = self.subjects(false);
                let all: Vec<usize> = (0..subjects.len()).collect();
                s.names(behind, (&subjects, &all), all.len(), &mut |s, list| s.join(list.behind, ".", end))
            }
            Task::Age | Task::Toe => {
                s.join_all(&openings, ".", behind)?;
                self.explained(s, behind, (doubt, family), end)
            }
        }
    }

    /// Sentences about every part that is named, in any order: first or last what stands out of a part, each in a sentence, and in one or
    /// several those where nothing does.
    fn explained(&self, s: &mut Laid<'_>, from: Place, (doubt, family): (bool, Family), end: Place) -> Result<()> {
        let subjects = self.subjects(true);
        let whole = (1usize << subjects.len()) - 1;
        // What is only possible is not called changed.
        let certain = |form: &str| PERHAPS.iter().any(|(certain, _)| form.contains(certain));
        let unmeasured: Vec<&str> = QUIET.into_iter().filter(|form| self.claims != Claims::Possible || !certain(form)).collect();
        // Places by what was named on the way.
        let at: Vec<Place> = std::iter::once(from).chain((0..whole).map(|_| s.s.place())).collect();
        for said in 0..whole {
            let left = || (0..subjects.len()).filter(|i| said >> i & 1 == 0);
            let (quiet, loud): (Vec<usize>, Vec<usize>) = left().partition(|i| subjects[*i].predicates.is_empty());
            for i in &loud {
                s.measured(at[said], &subjects[*i], at[said | 1 << i])?;
            }
            if !doubt {
                for count in 1..=quiet.len() {
                    s.lists(at[said], &unmeasured, (&subjects, &quiet), count, |named| at[said | named])?;
                }
            } else if loud.is_empty() {
                s.lists(at[said], &DOUBT, (&subjects, &quiet), quiet.len(), |_| end)?;
            }
        }
        match family_hint(family) {
            hint if hint.is_empty() || self.asked.is_some() => s.s.end(at[whole]),
            hint => s.join(at[whole], &format!(" {hint}"), end)?,
        }
        Ok(())
    }

    /// Answers that deny.
    fn not_found(&self, s: &mut Laid<'_>) -> Result<()> {
        let openings = self.claims.denials().iter().map(|o| s.say(Speech::START, o)).collect::<Result<Vec<_>>>()?;
        let (behind, end) = (s.s.place(), s.s.place());
        s.s.end(end);
        match self.request.task {
            Task::Det => return s.join_all(&openings, ".", end),
            Task::Cls => return s.join_all(&openings, NO_TECHNIQUE, end),
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

    /// The parts to name, with what may be said of them if that is wanted.
    fn subjects(&self, measured: bool) -> Vec<Subject> {
        let there = measured.then(|| self.gauge.on(self.artifact));
        let about = |concept: &'static Concept| there.as_ref().map_or_else(Vec::new, |gauge| predicates(gauge, concept.id));
        let names = named(self.labels, self.artifact, self.presence, self.asked);
        names.into_iter().map(|(concept, weight)| Subject { concept, weight, predicates: about(concept) }).collect()
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
fn predicates(gauge: &Gauge, concept: &'static str) -> Vec<Vec<&'static str>> {
    let mut found = gauge.findings(concept, true);
    if found.is_empty() {
        found = gauge.findings(concept, false);
    }
    found.retain(Finding::stands_out);
    found.sort_by(|a, b| b.z().abs().total_cmp(&a.z().abs()));
    let plural = is_plural(concept);
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

/// Where a list of names ends, and which of the subjects are in it, a bit each.
struct List {
    behind: Place,
    plural: bool,
    named: usize,
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

    /// A name, and the place behind it.
    fn name(&mut self, from: Place, concept: &Concept, weight: f32) -> Result<Place> {
        let to = self.s.place();
        let parts = fict::part_set(concept.id).unwrap_or(0);
        self.s.name(self.t, from, Name { text: concept.en, parts, weight, marked: self.marked }, to)?;
        Ok(to)
    }

    /// `count` names (1 to 3) of `subjects[some]`, in any order; `then` is called for each order.
    fn names(
        &mut self,
        from: Place,
        (subjects, some): (&[Subject], &[usize]),
        count: usize,
        then: &mut impl FnMut(&mut Self, List) -> Result<()>,
    ) -> Result<()> {
        // What leads to the second and the third name.
        let links: &[&str] = if count == 3 { &[", the", " and the"] } else { &[" and the"] };
        let mut open = vec![(from, 0usize)];
        for nth in 0..count {
            let mut next = vec![];
            for (place, named) in open {
                let place = if nth == 0 { place } else { self.say(place, links[nth - 1])? };
                for i in some.iter().filter(|i| named >> **i & 1 == 0) {
                    next.push((self.name(place, subjects[*i].concept, subjects[*i].weight)?, named | 1 << i));
                }
            }
            open = next;
        }
        for (behind, named) in open {
            let plural = count > 1 || subjects.iter().enumerate().any(|(i, s)| named >> i & 1 == 1 && is_plural(s.concept.id));
            then(self, List { behind, plural, named })?;
        }
        Ok(())
    }

    /// One sentence about a part and what stands out there.
    fn measured(&mut self, from: Place, subject: &Subject, next: Place) -> Result<()> {
        let the = self.say(from, " The")?;
        let behind = self.name(the, subject.concept, subject.weight)?;
        for (i, forms) in subject.predicates.iter().enumerate() {
            let said = self.s.place();
            for form in forms {
                self.join(behind, &format!(" {form}"), said)?;
            }
            self.join(said, ".", next)?;
            for more in subject.predicates.iter().skip(i + 1).flatten() {
                let both = self.say(said, &format!(" and {more}"))?;
                self.join(both, ".", next)?;
            }
        }
        Ok(())
    }

    /// One of `forms` about `count` of `subjects[some]`; it ends at `next`, which is told whom it named.
    fn lists(
        &mut self,
        from: Place,
        forms: &[&str],
        (subjects, some): (&[Subject], &[usize]),
        count: usize,
        next: impl Fn(usize) -> Place,
    ) -> Result<()> {
        for form in forms {
            let Some((before, after)) = form.split_once("{x}") else { continue };
            let the = self.say(from, if before.is_empty() { " The".into() } else { format!(" {before}the") }.as_str())?;
            self.names(the, (subjects, some), count, &mut |s, list| {
                s.join(list.behind, &after.replace("{was}", if list.plural { "were" } else { "was" }), next(list.named))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::answer::claims_signs;
    use crate::analyze::named::NAMES;
    use crate::fict::tests::mean_mesh;
    use crate::image::Rgb8;
    use crate::text::grammar::{Grounded, Limits, parse};
    use crate::text::tokenizer::tests::bytes_only;
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    /// Answers of a model that chooses at random, about a face whose left cheek was made smooth.
    fn answers(task: Task, claims: Claims, seed: u64) -> Vec<(String, usize)> {
        answers_about(true, task, claims, seed)
    }

    /// The same; if not `smooth`, the left cheek is marked and nothing there stands out.
    fn answers_about(smooth: bool, task: Task, claims: Claims, seed: u64) -> Vec<(String, usize)> {
        let (t, side) = (bytes_only(), 448);
        let mesh = mean_mesh(side as f32);
        let labels = fict::part_labels(&mesh, side, side);
        let artifact = fict::mask_of(&labels, fict::part_set("left_cheek").unwrap(), side, side);
        let mut rng = SmallRng::seed_from_u64(seed);
        let grain = |i: usize, rng: &mut SmallRng| [if smooth && artifact.data[i] == 1 { 120 } else { 106 + rng.random_range(0..28u8) }; 3];
        let image = Rgb8 { width: side, height: side, data: (0..side * side).flat_map(|i| grain(i, &mut rng)).collect() };
        let gauge = Gauge::new(&image, &labels, &mesh, None);
        let presence: Vec<f32> = fict::parts().map(|c| if c.id == "left_cheek" { 0.9 } else { 0.2 }).collect();
        let request = Request::of(task);
        let matter = Matter {
            request: &request,
            asked: None,
            claims,
            family: Family::AttributeEdit,
            gauge: &gauge,
            labels: &labels,
            presence: &presence,
            artifact: &artifact,
        };
        let all = matter.speech(&t).unwrap();
        let one = |_| {
            let (mut speech, mut ids) = (all.clone(), vec![]);
            let mut grammar = Grounded::new(t.ids(), Limits { phrases: 8, phrase_tokens: speech.longest(), tokens: 4000 });
            while !grammar.is_done() {
                let allowed = grammar.allowed();
                let scores: Vec<f32> = (0..t.ids().end).map(|_| 8.0 * rng.random::<f32>()).collect();
                let id = speech.best(|id| allowed.permits(id), &scores).expect("an answer must not stop within a sentence");
                speech.push(id);
                grammar.push(id).unwrap();
                ids.push(id);
            }
            let spans = parse(&t, &ids).unwrap();
            assert_eq!(spans.iter().filter(|s| s.mask.is_some()).count(), speech.marked().len());
            (spans.into_iter().map(|s| s.text).collect(), speech.marked().len())
        };
        (0..40).map(one).collect()
    }

    #[test]
    fn every_answer_is_whole_and_names_three_parts_at_most() {
        for task in Task::ALL {
            for (answer, marks) in [Claims::NoSign, Claims::Possible, Claims::Signs].into_iter().flat_map(|c| answers(task, c, 3)) {
                assert!(answer.ends_with('.') && !answer.contains("  ") && marks <= NAMES, "{answer}");
                assert!(marks == 0 || task.has_masks(), "{answer}");
            }
        }
    }

    #[test]
    fn claims_follow_the_score() {
        for task in Task::ALL {
            let said = |band, score, seed| answers(task, Claims::of(band, score), seed).into_iter();
            assert!(said(Band::NoSign, 0.1, 5).all(|(a, marks)| a.contains("o sign of forgery") && marks == 0));
            assert!(said(Band::Inconclusive, 0.4, 5).all(|(a, marks)| a.contains("o clear sign of forgery") && marks == 0));
            // Leaning to forged, it says where to look, and accuses nobody.
            let doubts = |(a, marks): (String, usize)| a.contains("o clear sign of forgery") && (marks > 0) == task.has_masks();
            assert!(said(Band::Inconclusive, 0.6, 5).all(doubts));
            assert!(said(Band::Inconclusive, 0.6, 5).all(|(a, _)| !claims_signs(&a) && !a.contains("his fits") && !a.contains("hange")));
            assert!(said(Band::Signs, 0.9, 5).all(|(a, marks)| claims_signs(&a) && (marks > 0) == task.has_masks()));
        }
    }

    #[test]
    fn what_is_said_of_a_part_follows_its_own_score() {
        let limits = PartLimits { unclear_from: 0.2, possible_from: 0.4, signs_from: 0.6 };
        for task in Task::ALL {
            let said = |p| answers(task, Claims::of_part(p, &limits), 5);
            let all = |p, how: &dyn Fn(&str) -> bool| {
                said(p).iter().all(|(a, marks)| how(a) && (*marks > 0) == (claims_signs(a) && task.has_masks()))
            };
            assert!(all(0.7, &|a| claims_signs(a) && !a.contains("ossible") && !a.contains("may be")), "{task:?}");
            // What is only possible names no technique.
            assert!(
                all(0.5, &|a| claims_signs(a)
                    && (a.contains("Possible signs") || a.contains("may be signs"))
                    && !a.contains("fits")
                    && !a.contains("hange")),
                "{task:?}"
            );
            assert!(all(0.3, &|a| a.contains("o clear sign")) && all(0.1, &|a| a.contains("o sign")), "{task:?}");
            assert!(all(f32::NAN, &|a| a.contains("o clear sign")), "{task:?}");
        }
    }

    #[test]
    fn what_is_only_possible_is_not_called_changed() {
        let said = |claims| answers_about(false, Task::Age, claims, 9);
        assert!(said(Claims::Possible).iter().all(|(a, _)| a.contains("no single measurement") && !a.contains("hange")));
        assert!(said(Claims::Signs).iter().any(|(a, _)| a.contains("hange")));
    }

    #[test]
    fn a_part_is_said_to_be_what_was_measured() {
        let smooth = ["carries less grain", "unusually smooth", "less grain than the same part", "smoother than its counterpart"];
        let soft = ["softer", "lacks fine detail", "looks blurred", "less detail"];
        let said: Vec<String> =
            answers(Task::Toe, Claims::of(Band::Signs, 0.9), 7).into_iter().map(|a| a.0).filter(|a| a.contains("he left cheek")).collect();
        assert!(said.len() > 5);
        let sentences: Vec<&str> = said.iter().filter_map(|a| a.split(". ").find(|s| s.contains("left cheek"))).collect();
        let any = |forms: &[&str], s: &&&str| forms.iter().any(|f| s.contains(f));
        assert!(sentences.iter().any(|s| any(&smooth, &s) || any(&soft, &s)), "{sentences:?}");
        let opposite = ["rough", "more grain", "sharper", "more detail", "more fine", "no single", "nothing"];
        assert_eq!(sentences.iter().find(|s| any(&opposite, s)), None);
    }

    #[test]
    fn logits_of_another_size_are_no_artifact() {
        assert_eq!(artifact_mask(&[1.0; 5], 16).area(), 0);
        assert_eq!(artifact_mask(&[1.0, -1.0, -1.0, 0.0], 8).area(), 16);
    }
}
