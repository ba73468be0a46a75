//! Which names a grounded phrase may have, and how the multi-task decoder helps to choose.
//!
//! Inside `<p> … </p>` stands a name of the concept tree and nothing else, so a phrase always means something that has
//! pixels. Among the names the language model's own score is joined by the evidence: the presence of the concept as the
//! decoder sees it (a pointer in the sense of See et al., arXiv 1704.04368), so that words and masks come from the same place.
//! Where only one token can follow, no score is read.

use crate::error::Result;
use crate::fict::{self, FACE, PARTS};
use crate::text::tokenizer::Tokenizer;

/// Weight of the evidence against the language model, in nats per nat. Between names the model's scores differ by a few nats,
/// presences of 0.9 and 0.3 by one.
const EVIDENCE: f32 = 4.0;
/// Least weight of a name; nothing is impossible.
const FLOOR: f32 = 1e-4;

/// The names and where we are in one.
#[derive(Debug, Clone)]
pub struct Names {
    names: Vec<Name>,
    /// Tokens of the phrase so far; `None` outside of one.
    at: Option<usize>,
    close: u32,
    /// Parts of every phrase that was said.
    said: Vec<fict::Set>,
}

#[derive(Debug, Clone)]
struct Name {
    parts: fict::Set,
    tokens: Vec<u32>,
    weight: f32,
    /// Fits the phrase so far.
    alive: bool,
    /// Overlaps a name that was already used in this answer.
    used: bool,
}

impl Names {
    /// All concepts that the model knows below the face, weighted by the evidence.
    ///
    /// # Arguments
    /// - `presence`: of every part, 0..1, `[PARTS]`.
    /// - `inside`: the share of every part that an asked region covers, 0..1; `None` for the whole face.
    ///
    /// # Errors
    /// [`crate::Error::Text`] if a name cannot be tokenized.
    pub fn new(tokenizer: &Tokenizer, presence: &[f32], inside: Option<&[f32]>) -> Result<Self> {
        let seen = |l: usize| {
            let covered = inside.map_or(1.0, |s| s.get(l).copied().unwrap_or(0.0));
            (presence.get(l).copied().unwrap_or(0.0) * covered).clamp(FLOOR, 1.0)
        };
        let names = fict::concepts()
            .filter(|c| c.id != FACE)
            .map(|c| {
                let parts = fict::part_set(c.id).unwrap_or(0);
                let members: Vec<f32> = (0..PARTS).filter(|l| parts >> l & 1 == 1).map(seen).collect();
                // The geometric mean: a parent is as present as its children are together.
                let weight = (members.iter().map(|p| p.ln()).sum::<f32>() / members.len().max(1) as f32).exp();
                Ok(Name { parts, tokens: tokenizer.encode(&format!(" {}", c.en))?, weight, alive: false, used: false })
            })
            .collect::<Result<_>>()?;
        Ok(Self { names, at: None, close: tokenizer.ids().close, said: vec![] })
    }

    /// Tokens of the longest name.
    pub fn longest(&self) -> usize {
        self.names.iter().map(|n| n.tokens.len()).max().unwrap_or(1)
    }

    /// `<p>` was said.
    pub fn begin(&mut self) {
        self.at = Some(0);
        // An answer that has named everything may repeat itself rather than end without a name.
        let left = self.names.iter().any(|n| !n.used);
        self.names.iter_mut().for_each(|n| n.alive = !(left && n.used));
    }

    /// The parts that each phrase so far has named, in order.
    pub fn said(&self) -> &[fict::Set] {
        &self.said
    }

    /// Whether a phrase is open.
    pub fn open(&self) -> bool {
        self.at.is_some()
    }

    /// Tokens that may follow, each with the summed weight of the names that go on with it.
    fn options(&self) -> Vec<(u32, f32)> {
        let Some(at) = self.at else { return vec![] };
        let mut options: Vec<(u32, f32)> = Vec::new();
        for name in self.names.iter().filter(|n| n.alive) {
            let next = name.tokens.get(at).copied().unwrap_or(self.close);
            match options.iter_mut().find(|o| o.0 == next) {
                Some(o) => o.1 = o.1.max(name.weight),
                None => options.push((next, name.weight)),
            }
        }
        options
    }

    /// The token that must follow, if there is no choice.
    pub fn only(&self) -> Option<u32> {
        match self.options().as_slice() {
            [(id, _)] => Some(*id),
            _ => None,
        }
    }

    /// The best next token given the language model's `scores[id]`; the first among equals. `None` outside of a phrase, or if
    /// no score is a number.
    pub fn best(&self, scores: &[f32]) -> Option<u32> {
        let mut best: Option<(u32, f32)> = None;
        for (id, weight) in self.options() {
            let score = scores.get(id as usize)? + EVIDENCE * weight.ln();
            if !score.is_nan() && best.is_none_or(|(_, top)| score > top) {
                best = Some((id, score));
            }
        }
        best.map(|(id, _)| id)
    }

    /// A token of the phrase, or `</p>`, was said.
    pub fn push(&mut self, id: u32) {
        let Some(at) = self.at else { return };
        if id == self.close {
            let said = self.names.iter().find(|n| n.alive && n.tokens.len() == at).map_or(0, |n| n.parts);
            self.names.iter_mut().for_each(|n| n.used |= n.parts & said != 0);
            self.said.push(said);
            self.at = None;
            return;
        }
        self.names.iter_mut().for_each(|n| n.alive &= n.tokens.get(at) == Some(&id));
        self.at = Some(at + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tokenizer::tests::bytes_only;

    /// Says one phrase, the language model being indifferent, and gives the text.
    fn say(names: &mut Names, t: &Tokenizer) -> String {
        let flat = vec![0.0; t.ids().close as usize + 8];
        names.begin();
        let mut ids = vec![];
        while names.open() {
            let id = names.only().or_else(|| names.best(&flat)).unwrap();
            names.push(id);
            if names.open() {
                ids.push(id);
            }
        }
        t.decode(&ids)
    }

    #[test]
    fn the_strongest_concept_is_named_and_not_twice() {
        let t = bytes_only();
        let mut presence = vec![0.05; PARTS];
        let label = |id: &str| fict::parts().position(|c| c.id == id).unwrap();
        presence[label("chin")] = 0.9;
        presence[label("left_eye")] = 0.6;
        let mut names = Names::new(&t, &presence, None).unwrap();
        assert_eq!(say(&mut names, &t), " chin");
        assert_eq!(say(&mut names, &t), " left eye");
    }

    #[test]
    fn a_parent_is_named_when_all_its_children_are_present() {
        let t = bytes_only();
        let presence: Vec<f32> = fict::parts().map(|c| if fict::is_within(c.id, "eyebrows") { 0.9 } else { 0.05 }).collect();
        let mut names = Names::new(&t, &presence, None).unwrap();
        let said = say(&mut names, &t);
        assert!(said.contains("eyebrow"), "{said}");
        // Both sides and their parent are said now.
        assert!(!said.contains("eyebrows") || !say(&mut names, &t).contains("eyebrow"));
    }

    #[test]
    fn an_asked_region_keeps_names_inside() {
        let t = bytes_only();
        let label = fict::parts().position(|c| c.id == "left_cheek").unwrap();
        let presence: Vec<f32> = (0..PARTS).map(|l| if l == label { 0.2 } else { 0.5 }).collect();
        let inside: Vec<f32> = (0..PARTS).map(|l| f32::from(u8::from(l == label))).collect();
        assert_eq!(say(&mut Names::new(&t, &presence, Some(&inside)).unwrap(), &t), " left cheek");
    }

    #[test]
    fn scores_that_are_no_numbers_choose_nothing() {
        let t = bytes_only();
        let mut names = Names::new(&t, &[0.5; PARTS], None).unwrap();
        names.begin();
        names.push(t.encode(" left").unwrap()[0]);
        if names.only().is_none() {
            assert_eq!(names.best(&vec![f32::NAN; t.ids().close as usize + 8]), None);
        }
    }
}
