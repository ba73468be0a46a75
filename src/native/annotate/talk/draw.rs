//! One question with its answer, for training and evaluation: the same turns as a data set's, drawn one at a time. The first
//! recipe set keeps its own templates.

use rand::rngs::SmallRng;

pub use super::compose::is_clear;
use super::compose::{Notes, Turn, outside, turn};
use crate::native::annotate::pixels::chance;
use crate::native::annotate::sampler::Sample;
use crate::native::annotate::set::RecipeSet;
use crate::native::annotate::text::{self, Answer, Qa, Scope, Task};

/// Share of questions that pixels cannot answer.
const OUTSIDE: f32 = 0.04;

/// Draws what is asked as [`text::draw_ask`] does, now and then a question that pixels cannot answer.
pub fn draw(set: RecipeSet, sample: &Sample, rng: &mut SmallRng) -> Qa {
    if set.is_first() {
        return text::draw(sample, rng);
    }
    if chance(rng, OUTSIDE) {
        return qa(outside(rng));
    }
    let (task, scope) = text::draw_ask(sample, rng);
    compose(set, sample, task, if is_clear(sample, scope) { scope } else { Scope::Image }, rng)
}

/// Composes question and answer; sentences about a part rest on what is measured there.
pub fn compose(set: RecipeSet, sample: &Sample, task: Task, scope: Scope, rng: &mut SmallRng) -> Qa {
    if set.is_first() {
        return text::compose(sample, task, scope, rng);
    }
    let (gauge, twin) = sample.gauges();
    qa(turn(sample, &mut Notes::new(&gauge, twin.as_ref()), task, scope, rng))
}

/// A question outside of the eleven tasks counts as one for an explanation in words.
fn qa(turn: Turn) -> Qa {
    let text = turn.answer();
    let (concepts, masks) = turn.masks.into_iter().unzip();
    Qa {
        task: turn.task.unwrap_or(Task::Toe),
        scope: turn.scope,
        question: turn.question,
        answer: Answer { text, masks, concepts },
        found: turn.found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::annotate::drawn::drawn_sampler;
    use crate::native::metrics::answer_parses;
    use rand::SeedableRng;

    #[test]
    fn turns_parse_and_claim_only_what_was_forged() {
        let sampler = drawn_sampler(5).with_set(RecipeSet::Seen);
        let mut rng = SmallRng::seed_from_u64(2);
        let (mut forged, mut measured) = (0, 0);
        for i in 0..30 {
            let s = sampler.paired(i).unwrap();
            for _ in 0..6 {
                let qa = draw(RecipeSet::Seen, &s, &mut rng);
                assert!(answer_parses(&qa.answer.text, qa.answer.masks.len()), "{}", qa.answer.text);
                assert!(s.is_fake() || !qa.found);
                assert!(!qa.answer.text.contains("was changed."), "{}", qa.answer.text);
                forged += usize::from(qa.found);
                measured += usize::from(qa.answer.text.contains("surroundings") || qa.answer.text.contains("measure"));
            }
        }
        assert!(forged > 20 && measured > 10, "{forged} {measured}");
    }
}
