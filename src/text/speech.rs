//! What may be said next, token by token: a graph of words that an answer walks through.
//!
//! [`super::grammar`] knows the form of an answer (phrases, masks, an end); this knows its words. A language model of this size
//! joins half-sentences that were never joined ("is blurred and blurred compared to its border"), and nothing in it knows what
//! was measured. So whoever asks lays down the sentences that may be said of this face, and the model chooses among them: where
//! only one token can follow, it is not asked. Between names its scores are joined by the evidence for each (a pointer in the
//! sense of See et al., arXiv 1704.04368), so that words and masks come from the same place.

use super::tokenizer::{Ids, Tokenizer};
use crate::error::Result;
use crate::fict;

/// Weight of the evidence against the language model, in nats per nat. Between names the model's scores differ by a few nats,
/// presences of 0.9 and 0.3 by one.
const EVIDENCE: f32 = 4.0;
/// Least weight of a name; nothing is impossible.
const FLOOR: f32 = 1e-4;

/// A place between two pieces of an answer.
pub type Place = usize;

/// A name of the concept tree as a piece of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    /// English name.
    pub text: &'a str,
    /// Its parts; no part is named twice in an answer.
    pub parts: fict::Set,
    /// Evidence that it is what the answer is about, 0..1.
    pub weight: f32,
    /// As a phrase with a mask, or as plain words.
    pub marked: bool,
}

/// The graph, and where in it the answer is.
#[derive(Debug, Clone)]
pub struct Speech {
    ids: Ids,
    /// Pieces that may follow each place.
    places: Vec<Vec<Piece>>,
    /// Pieces that the answer may be within: place, piece, tokens of it that were said.
    live: Vec<(Place, usize, usize)>,
    /// Parts of every name that was said.
    used: fict::Set,
    /// The same, one set a phrase with a mask.
    marked: Vec<fict::Set>,
}

#[derive(Debug, Clone)]
struct Piece {
    tokens: Vec<u32>,
    weight: f32,
    /// The parts it names, and whether it asks for a mask.
    name: Option<(fict::Set, bool)>,
    to: Place,
}

impl Speech {
    /// The place where every answer begins.
    pub const START: Place = 0;

    /// Nothing can be said yet.
    pub fn new(ids: Ids) -> Self {
        Self { ids, places: vec![vec![]], live: vec![], used: 0, marked: vec![] }
    }

    /// Lets `text` follow a place; gives the place behind it. A text that can already follow is not laid twice.
    ///
    /// # Errors
    /// `text.failed` if it cannot be tokenized.
    pub fn say(&mut self, tokenizer: &Tokenizer, from: Place, text: &str) -> Result<Place> {
        let tokens = tokenizer.encode(text)?;
        if let Some(known) = self.places[from].iter().find(|p| p.name.is_none() && p.tokens == tokens) {
            return Ok(known.to);
        }
        let to = self.place();
        self.places[from].push(Piece { tokens, weight: 1.0, name: None, to });
        Ok(to)
    }

    /// Lets `text` lead from one place to another.
    ///
    /// # Errors
    /// As [`Speech::say`].
    pub fn join(&mut self, tokenizer: &Tokenizer, from: Place, text: &str, to: Place) -> Result<()> {
        let tokens = tokenizer.encode(text)?;
        self.places[from].push(Piece { tokens, weight: 1.0, name: None, to });
        Ok(())
    }

    /// Lets a name, with a blank before it, lead from one place to another.
    ///
    /// # Errors
    /// As [`Speech::say`].
    pub fn name(&mut self, tokenizer: &Tokenizer, from: Place, name: Name<'_>, to: Place) -> Result<()> {
        let mut tokens = tokenizer.encode(&format!(" {}", name.text))?;
        if name.marked {
            tokens.insert(0, self.ids.open);
            tokens.extend([self.ids.close, self.ids.seg]);
        }
        self.places[from].push(Piece { tokens, weight: name.weight.clamp(FLOOR, 1.0), name: Some((name.parts, name.marked)), to });
        Ok(())
    }

    /// Lets the answer end at a place.
    pub fn end(&mut self, at: Place) {
        let to = self.place();
        self.places[at].push(Piece { tokens: vec![self.ids.turn_end], weight: 1.0, name: None, to });
    }

    /// A new place, to be joined.
    pub fn place(&mut self) -> Place {
        self.places.push(vec![]);
        self.places.len() - 1
    }

    /// Goes to the beginning; what was laid is kept.
    pub fn begin(&mut self) {
        (self.used, self.marked) = (0, vec![]);
        self.live = self.enter(Self::START);
    }

    /// Parts of every phrase with a mask so far, in order.
    pub fn marked(&self) -> &[fict::Set] {
        &self.marked
    }

    /// Tokens of the longest name.
    pub fn longest(&self) -> usize {
        self.places.iter().flatten().filter(|p| p.name.is_some()).map(|p| p.tokens.len()).max().unwrap_or(1)
    }

    /// The token that must follow among those that `permits`, if there is no choice.
    pub fn only(&self, permits: impl Fn(u32) -> bool) -> Option<u32> {
        match self.options(permits).as_slice() {
            [(id, _)] => Some(*id),
            _ => None,
        }
    }

    /// Whether anything that `permits` may follow.
    pub fn can(&self, permits: impl Fn(u32) -> bool) -> bool {
        !self.options(permits).is_empty()
    }

    /// The best next token given the language model's `scores[id]`; the first among equals. `None` if nothing may follow, or if no
    /// score is a number.
    pub fn best(&self, permits: impl Fn(u32) -> bool, scores: &[f32]) -> Option<u32> {
        let mut best: Option<(u32, f32)> = None;
        for (id, weight) in self.options(permits) {
            let score = scores.get(id as usize)? + EVIDENCE * weight.ln();
            if !score.is_nan() && best.is_none_or(|(_, top)| score > top) {
                best = Some((id, score));
            }
        }
        best.map(|(id, _)| id)
    }

    /// A token was said; one that could not follow leaves nothing to be said.
    pub fn push(&mut self, id: u32) {
        let mut live = Vec::with_capacity(self.live.len());
        let mut entered = Vec::new();
        let mut named = None;
        for (place, piece, at) in std::mem::take(&mut self.live) {
            let p = &self.places[place][piece];
            if p.tokens.get(at) != Some(&id) {
                continue;
            }
            if at + 1 < p.tokens.len() {
                live.push((place, piece, at + 1));
            } else {
                named = named.or(p.name);
                entered.push(p.to);
            }
        }
        if let Some((parts, marked)) = named {
            self.used |= parts;
            if marked {
                self.marked.push(parts);
            }
        }
        for place in entered {
            live.extend(self.enter(place));
        }
        self.live = live;
    }

    /// The beginnings of all pieces that may follow a place. A name that overlaps an earlier one may not, unless nothing else can.
    fn enter(&self, place: Place) -> Vec<(Place, usize, usize)> {
        let all = || self.places[place].iter().enumerate();
        let fresh = |p: &Piece| p.name.is_none_or(|(parts, _)| parts & self.used == 0);
        let any = all().any(|(_, p)| fresh(p));
        all().filter(|(_, p)| !any || fresh(p)).map(|(i, _)| (place, i, 0)).collect()
    }

    /// Tokens that may follow, each with the largest weight of the pieces that go on with it. The mark that opens a phrase is
    /// not weighed: behind it the names differ.
    fn options(&self, permits: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let mut options: Vec<(u32, f32)> = Vec::new();
        for (place, piece, at) in &self.live {
            let p = &self.places[*place][*piece];
            let Some(&id) = p.tokens.get(*at).filter(|id| permits(**id)) else { continue };
            let weight = if id == self.ids.open { 1.0 } else { p.weight };
            match options.iter_mut().find(|o| o.0 == id) {
                Some(o) => o.1 = o.1.max(weight),
                None => options.push((id, weight)),
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tokenizer::tests::bytes_only;

    fn part(id: &str) -> (&'static str, fict::Set) {
        let c = fict::concept(id).unwrap();
        (c.en, fict::part_set(id).unwrap())
    }

    /// Two sentences about parts, as phrases.
    fn about(weights: &[(&str, f32)]) -> (Tokenizer, Speech) {
        let t = bytes_only();
        let mut s = Speech::new(t.ids());
        let mut at = Speech::START;
        for sentence in 0..2 {
            let the = s.say(&t, at, if sentence == 0 { "The" } else { " The" }).unwrap();
            let next = s.place();
            for (id, weight) in weights {
                let (text, parts) = part(id);
                let behind = s.place();
                s.name(&t, the, Name { text, parts, weight: *weight, marked: true }, behind).unwrap();
                s.join(&t, behind, " is soft.", next).unwrap();
            }
            s.end(next);
            at = next;
        }
        s.begin();
        (t, s)
    }

    /// What is said when the model is indifferent but does not want to end.
    fn spoken(t: &Tokenizer, s: &mut Speech) -> String {
        let mut flat = vec![0.0; t.ids().end as usize];
        flat[t.ids().turn_end as usize] = -1.0;
        let mut said = vec![];
        while let Some(id) = s.only(|_| true).or_else(|| s.best(|_| true, &flat)) {
            s.push(id);
            said.push(id);
        }
        t.decode(&said)
    }

    #[test]
    fn the_strongest_is_named_and_not_twice() {
        let (t, mut s) = about(&[("chin", 0.9), ("left_eye", 0.6), ("nose", 0.05)]);
        assert_eq!(spoken(&t, &mut s), "The chin is soft. The left eye is soft.");
        assert_eq!(s.marked(), [part("chin").1, part("left_eye").1]);
        s.begin();
        assert!(s.marked().is_empty());
    }

    #[test]
    fn a_part_of_what_was_named_is_not_named_again() {
        let (t, mut s) = about(&[("eyebrows", 0.9), ("left_eyebrow", 0.8), ("nose", 0.1)]);
        let said = spoken(&t, &mut s);
        assert_eq!(said.matches("eyebrow").count(), 1, "{said}");
        let (t, mut s) = about(&[("nose", 0.5)]);
        assert_eq!(spoken(&t, &mut s), "The nose is soft. The nose is soft.", "it may repeat itself rather than stop within a sentence");
    }

    #[test]
    fn where_one_thing_can_follow_the_model_is_not_asked() {
        let (t, mut s) = about(&[("nose", 0.5), ("chin", 0.5)]);
        let mut asked = 0;
        while s.can(|_| true) {
            let id = s.only(|_| true).unwrap_or_else(|| {
                asked += 1;
                s.best(|_| true, &vec![0.0; t.ids().end as usize]).unwrap()
            });
            s.push(id);
        }
        assert!((1..=3).contains(&asked), "two names and an end, and not the letters between: {asked}");
    }

    #[test]
    fn nothing_follows_what_could_not() {
        let (t, mut s) = about(&[("nose", 0.5)]);
        assert!(!s.can(|id| id == t.ids().seg) && s.best(|_| true, &[f32::NAN; 300]).is_none());
        s.push(t.ids().seg);
        assert!(!s.can(|_| true));
    }

    #[test]
    fn a_text_is_laid_once() {
        let t = bytes_only();
        let mut s = Speech::new(t.ids());
        let a = s.say(&t, Speech::START, "The").unwrap();
        assert_eq!(s.say(&t, Speech::START, "The").unwrap(), a);
    }
}
