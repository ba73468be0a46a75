//! The grammar of grounded answers, `text <p> phrase </p> [SEG] text … <|im_end|>`, checked token by token.
//!
//! While the model generates, [`Grounded`] says which tokens may follow, so that every answer parses and has one mask
//! per `[SEG]`, whatever the model prefers; it also bounds the length. Finished answers are cut into [`Span`]s. The form
//! is GLaMM's (Rasheed et al. 2024). Spaces belong to the text that follows them: `<p>` comes before the space.

use super::tokenizer::{Ids, Tokenizer};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A piece of an answer; the pieces joined are its plain text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The text, with its spaces.
    pub text: String,
    /// Which mask it is tied to: the n-th `[SEG]` of the answer, from 0.
    pub mask: Option<usize>,
}

/// Bounds of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Phrases with a mask; 0 = text only.
    pub phrases: usize,
    /// Text tokens within one phrase, at least 1.
    pub phrase_tokens: usize,
    /// Tokens of the whole answer, its end included, at least 2.
    pub tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { phrases: 8, phrase_tokens: 12, tokens: 160 }
    }
}

/// What a token meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A piece of text (within a phrase or not).
    Text,
    /// `<p>`
    PhraseStart,
    /// `</p>`
    PhraseEnd,
    /// The `[SEG]` of that index: the hidden state of this position asks for a mask.
    Seg(usize),
    /// The answer is complete.
    End,
}

/// Which kinds of token may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Ordinary text.
    pub text: bool,
    /// `<p>`
    pub open: bool,
    /// `</p>`
    pub close: bool,
    /// `[SEG]`
    pub seg: bool,
    /// `<|im_end|>`
    pub end: bool,
    ids: Ids,
}

impl Allowed {
    /// Whether this token may come next.
    pub fn permits(&self, id: u32) -> bool {
        let i = &self.ids;
        match id {
            _ if id == i.open => self.open,
            _ if id == i.close => self.close,
            _ if id == i.seg => self.seg,
            _ if id == i.turn_end => self.end,
            _ => self.text && (i.text..i.added).contains(&id),
        }
    }

    /// The permitted token of the highest score, `scores[id]`; NaN never wins. `None` if no permitted score is a number.
    pub fn best(&self, scores: &[f32]) -> Option<u32> {
        let i = &self.ids;
        let text = if self.text { i.text..i.added } else { 0..0 };
        let marks = [(self.open, i.open), (self.close, i.close), (self.seg, i.seg), (self.end, i.turn_end)];
        let marks = marks.into_iter().filter_map(|(ok, id)| ok.then_some(id));
        let mut best: Option<(u32, f32)> = None;
        for id in text.chain(marks) {
            if let Some(score) = scores.get(id as usize)
                && !score.is_nan()
                && best.is_none_or(|(_, top)| *score > top)
            {
                best = Some((id, *score));
            }
        }
        best.map(|(id, _)| id)
    }

    /// Sets the scores of all tokens that may not come next to minus infinity (for sampling).
    pub fn mask(&self, scores: &mut [f32]) {
        for (id, score) in scores.iter_mut().enumerate() {
            if !self.permits(id as u32) {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    /// Within a phrase of so many tokens.
    Phrase(usize),
    /// Behind `</p>`.
    Closed,
    Done,
}

/// The grammar's state while an answer grows.
#[derive(Debug, Clone)]
pub struct Grounded {
    ids: Ids,
    limits: Limits,
    place: Place,
    tokens: usize,
    segs: usize,
}

/// Tokens that a minimal phrase needs, with the end of the answer: `<p> text </p> [SEG] end`.
const WHOLE_PHRASE: usize = 5;

impl Grounded {
    /// The beginning of an answer.
    pub fn new(ids: Ids, limits: Limits) -> Self {
        let limits = Limits { phrase_tokens: limits.phrase_tokens.max(1), tokens: limits.tokens.max(2), ..limits };
        Self { ids, limits, place: Place::Outside, tokens: 0, segs: 0 }
    }

    /// What may come next. Something always may, until the answer is complete; an answer never exceeds its limits.
    pub fn allowed(&self) -> Allowed {
        let left = self.left();
        let mut a = Allowed { text: false, open: false, close: false, seg: false, end: false, ids: self.ids };
        match self.place {
            Place::Outside => {
                a.text = left >= 2;
                a.open = self.has_room();
                a.end = self.tokens > 0;
            }
            Place::Phrase(0) => a.text = true,
            Place::Phrase(n) => {
                // One more token must leave room for </p>, [SEG] and the end.
                a.text = n < self.limits.phrase_tokens && left >= WHOLE_PHRASE - 1;
                a.close = true;
            }
            Place::Closed => a.seg = true,
            Place::Done => {}
        }
        a
    }

    /// Tokens that may still come, the end included.
    pub fn left(&self) -> usize {
        self.limits.tokens.saturating_sub(self.tokens)
    }

    /// Whether a phrase of any length can still be said to its end.
    fn has_room(&self) -> bool {
        let whole = self.limits.phrase_tokens.saturating_add(WHOLE_PHRASE - 1);
        self.segs < self.limits.phrases && self.left() >= whole
    }

    /// Takes the next token.
    ///
    /// # Errors
    /// `text.failed` if the token is not allowed here; the state does not change.
    pub fn push(&mut self, id: u32) -> Result<Event> {
        if !self.allowed().permits(id) {
            return Err(Error::Text(format!("token {id} cannot stand at position {} of an answer", self.tokens)));
        }
        self.tokens += 1;
        let (place, event) = match self.place {
            Place::Outside if id == self.ids.open => (Place::Phrase(0), Event::PhraseStart),
            Place::Outside if id == self.ids.turn_end => (Place::Done, Event::End),
            Place::Phrase(_) if id == self.ids.close => (Place::Closed, Event::PhraseEnd),
            Place::Phrase(n) => (Place::Phrase(n + 1), Event::Text),
            Place::Closed => (Place::Outside, Event::Seg(self.segs)),
            Place::Outside | Place::Done => (self.place, Event::Text),
        };
        if let Event::Seg(_) = event {
            self.segs += 1;
        }
        self.place = place;
        Ok(event)
    }

    /// Whether the answer is complete.
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Number of `[SEG]` so far.
    pub fn segs(&self) -> usize {
        self.segs
    }

    /// Number of tokens so far.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

/// Cuts a finished answer (with or without its `<|im_end|>`) into spans.
///
/// # Errors
/// `text.failed` for an answer against the grammar: an unclosed or empty phrase, a phrase without `[SEG]`, a `[SEG]`
/// without phrase, anything behind the end, tokens that are no text.
pub fn parse(tokenizer: &Tokenizer, answer: &[u32]) -> Result<Vec<Span>> {
    let all = Limits { phrases: usize::MAX, phrase_tokens: usize::MAX / 2, tokens: usize::MAX };
    let mut grammar = Grounded::new(tokenizer.ids(), all);
    let mut spans = Vec::new();
    let mut text = Vec::new();
    for id in answer {
        match grammar.push(*id)? {
            Event::Text => text.push(*id),
            Event::PhraseStart | Event::End => push_span(&mut spans, tokenizer.decode(&std::mem::take(&mut text)), None),
            Event::PhraseEnd => {}
            Event::Seg(mask) => push_span(&mut spans, tokenizer.decode(&std::mem::take(&mut text)), Some(mask)),
        }
    }
    match grammar.place {
        Place::Outside | Place::Done => push_span(&mut spans, tokenizer.decode(&text), None),
        Place::Phrase(_) | Place::Closed => return Err(Error::Text("the answer ends within a phrase".into())),
    }
    Ok(spans)
}

fn push_span(spans: &mut Vec<Span>, text: String, mask: Option<usize>) {
    if !text.is_empty() || mask.is_some() {
        spans.push(Span { text, mask });
    }
}

/// Tokens of an answer given as spans (a training target), `<|im_end|>` included.
///
/// # Errors
/// `text.failed` if masks are not numbered 0, 1, … in order, or a tied span is empty.
pub fn encode(tokenizer: &Tokenizer, spans: &[Span]) -> Result<Vec<u32>> {
    let ids = tokenizer.ids();
    let mut out = Vec::new();
    let mut next = 0;
    for span in spans {
        let text = tokenizer.encode(&span.text)?;
        match span.mask {
            None => out.extend(text),
            Some(mask) if mask == next && !text.is_empty() => {
                next += 1;
                out.push(ids.open);
                out.extend(text);
                out.extend([ids.close, ids.seg]);
            }
            Some(mask) => return Err(Error::Text(format!("span {:?} is tied to mask {mask} where {next} is due", span.text))),
        }
    }
    out.push(ids.turn_end);
    Ok(out)
}

/// Spans of an answer written as `The <p> left eye </p> [SEG] is blurred.`: spaces around marks are put where
/// [`encode`] wants them (before the word that follows).
///
/// # Errors
/// `text.failed` for marks out of order or an empty phrase.
pub fn parse_marked(text: &str) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    let mut rest = text;
    let mut mask = 0;
    while let Some((before, from)) = rest.split_once("<p>") {
        plain(&mut spans, before.trim_end(), before)?;
        let spaced = before.ends_with(' ') || from.starts_with(' ') && !before.is_empty();
        let (phrase, after) = from.split_once("</p>").ok_or_else(|| Error::Text("a phrase is not closed".into()))?;
        let phrase = phrase.trim();
        let after = after.trim_start().strip_prefix("[SEG]").ok_or_else(|| Error::Text("a phrase has no [SEG]".into()))?;
        if phrase.is_empty() || phrase.contains("<p>") || phrase.contains("[SEG]") {
            return Err(Error::Text(format!("{phrase:?} is no phrase")));
        }
        let text = if spaced { format!(" {phrase}") } else { phrase.into() };
        spans.push(Span { text, mask: Some(mask) });
        mask += 1;
        rest = after;
    }
    plain(&mut spans, rest, rest)?;
    Ok(spans)
}

fn plain(spans: &mut Vec<Span>, text: &str, source: &str) -> Result<()> {
    if source.contains("</p>") || source.contains("[SEG]") {
        return Err(Error::Text(format!("a mark stands alone in {source:?}")));
    }
    push_span(spans, text.into(), None);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tokenizer::tests::bytes_only;
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    fn span(text: &str, mask: Option<usize>) -> Span {
        Span { text: text.into(), mask }
    }

    #[test]
    fn spans_survive_tokens_and_back() {
        let t = bytes_only();
        let spans = vec![span("The", None), span(" left eye", Some(0)), span(" is blurred; so is", None), span(" the lip", Some(1))];
        let tokens = encode(&t, &spans).unwrap();
        assert_eq!(parse(&t, &tokens).unwrap(), spans);
        assert_eq!(parse(&t, &tokens[..tokens.len() - 1]).unwrap(), spans);
    }

    #[test]
    fn marked_text_is_put_in_form() {
        let want = vec![span("The", None), span(" left eye", Some(0)), span(" is blurred.", None)];
        for text in
            ["The <p> left eye </p> [SEG] is blurred.", "The <p>left eye</p>[SEG] is blurred.", "The<p> left eye</p>[SEG] is blurred."]
        {
            assert_eq!(parse_marked(text).unwrap(), want, "{text}");
        }
        assert_eq!(parse_marked("<p> Nose </p> [SEG].").unwrap(), vec![span("Nose", Some(0)), span(".", None)]);
        for text in ["a <p> b", "a </p> b", "[SEG]", "<p> </p> [SEG]", "<p> a </p> b", "<p> a <p> b </p> [SEG]"] {
            assert_eq!(parse_marked(text).unwrap_err().code(), "text.failed", "{text}");
        }
    }

    #[test]
    fn answers_against_the_grammar_are_refused() {
        let t = bytes_only();
        let i = t.ids();
        let a = i.text + 97;
        let broken: [&[u32]; 8] = [
            &[i.open],
            &[a, i.close],
            &[i.seg],
            &[i.open, i.close, i.seg],
            &[i.open, a, i.close],
            &[i.open, a, i.close, a],
            &[a, i.turn_end, a],
            &[a, i.image],
        ];
        for answer in broken {
            assert_eq!(parse(&t, answer).unwrap_err().code(), "text.failed", "{answer:?}");
        }
        assert!(parse(&t, &[u32::MAX]).is_err());
        assert_eq!(parse(&t, &[]).unwrap(), []);
    }

    #[test]
    fn whatever_the_model_wants_answers_parse_and_end_in_time() {
        let t = bytes_only();
        let ids = t.ids();
        for seed in 0..500 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let limits = Limits { phrases: rng.random_range(0..4), phrase_tokens: rng.random_range(1..5), tokens: rng.random_range(1..30) };
            // A model that loves marks: their scores are drawn from a wider range.
            let mut g = Grounded::new(ids, limits);
            let mut answer = Vec::new();
            while !g.is_done() {
                let scores: Vec<f32> = (0..ids.end).map(|id| if id >= ids.added { 8.0 } else { 1.0 } * rng.random::<f32>()).collect();
                let id = g.allowed().best(&scores).unwrap();
                let mut masked = scores.clone();
                g.allowed().mask(&mut masked);
                assert!(masked.iter().all(|s| *s <= scores[id as usize]));
                g.push(id).unwrap();
                answer.push(id);
                assert!(answer.len() <= limits.tokens.max(2), "{limits:?}");
            }
            let spans = parse(&t, &answer).unwrap();
            assert_eq!(spans.iter().filter(|s| s.mask.is_some()).count(), g.segs());
            assert!(g.segs() <= limits.phrases);
        }
    }

    #[test]
    fn scores_without_a_number_choose_nothing() {
        let g = Grounded::new(bytes_only().ids(), Limits::default());
        assert_eq!(g.allowed().best(&[f32::NAN; 300]), None);
        assert_eq!(g.allowed().best(&[]), None);
    }
}
