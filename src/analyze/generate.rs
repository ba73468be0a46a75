//! The generation loop: prompt in, grounded text and `[SEG]` hidden states out.
//!
//! Greedy, under the grounded grammar and among the sentences that may be said of this face ([`Speech`]): other tokens cannot be
//! chosen, and where one alone can follow it costs neither a read-back nor a step of its own: the model reads what it did not
//! choose together, when the next choice is its. `[SEG]` takes the hidden state at the position that predicts it, as LISA's and
//! GLaMM's code does.

use crate::analyze::request::{Event, Listener, Stage};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::fict;
use crate::model::fifa::Language;
use crate::model::lm_cache::KvCache;
use crate::text::grammar::{self, Grounded, Limits};
use crate::text::speech::Speech;
use crate::text::tokenizer::{TextStream, Tokenizer};
use burn::tensor::Tensor;

/// Tokens that a sentence about a part may take; with less than that left an answer ends where it can.
const SENTENCE: usize = 30;

/// What the loop made.
pub struct Generated {
    /// Token ids of the answer, without the end token.
    pub ids: Vec<u32>,
    /// One hidden state a mask, `[n, lm_dim]`; `None` when the answer has no mask.
    pub seg: Option<Tensor<2>>,
    /// The parts that each phrase names, one set a mask.
    pub named: Vec<fict::Set>,
    /// The answer ended by itself within its limit; otherwise the grammar closed it at its longest length.
    pub complete: bool,
}

/// What bounds one answer.
pub struct Plan {
    /// Length and number of phrases.
    pub limits: Limits,
    /// What may be said.
    pub speech: Speech,
    /// Which face of the photo, for events.
    pub face: usize,
}

/// The prompt in two parts, and the cache that the first part may be in already.
pub struct Prompted<'a> {
    /// Positions of the head, which all questions about a face share.
    pub head: usize,
    /// Embeddings of the head, `[1, head, lm_dim]`; `None` when the cache holds it.
    pub embedded: Option<Tensor<3>>,
    /// Embeddings of the rest, `[1, t, lm_dim]`.
    pub rest: Tensor<3>,
    /// Holds the head's keys and values, or is written from the start. What lies behind the head is overwritten.
    pub cache: &'a mut KvCache,
}

/// Runs the language model on a prompt, for one answer.
///
/// The head is always run by itself, also the first time: a later question, which finds it in the cache, then computes exactly the same.
///
/// # Errors
/// [`Error::Request`] when prompt and longest answer do not fit the cache; [`Error::Cancelled`] from the listener;
/// [`Error::Device`] when a read-back fails; [`Error::Model`] when the scores are not numbers.
pub async fn generate<L: Listener>(
    cfg: &ModelConfig,
    language: &Language,
    tokenizer: &Tokenizer,
    Prompted { head, embedded, rest, cache }: Prompted<'_>,
    Plan { limits, mut speech, face }: Plan,
    listener: &mut L,
) -> Result<Generated> {
    let length = rest.dims()[1];
    if head + length + limits.tokens > cfg.lm_context {
        let fit = cfg.lm_context.saturating_sub(limits.tokens);
        return Err(Error::Request(format!("the question is too long: {} tokens where {fit} fit", head + length)));
    }
    let mut grammar = Grounded::new(tokenizer.ids(), limits);
    listener.event(Event::Stage { stage: Stage::Prefill, face });
    match embedded {
        Some(embedded) => {
            cache.truncate(0);
            language.lm.forward(embedded, cache)?;
        }
        None => cache.truncate(head),
    }
    if cache.len() != head {
        return Err(Error::Model(format!("the cache holds {} positions of a prompt's head of {head}", cache.len())));
    }
    let hidden = language.lm.forward(rest, cache)?;
    let mut reader =
        Reader { language, cache, last: hidden.narrow(1, length - 1, 1), unread: Vec::new(), marked: Vec::new(), seg: Vec::new() };
    let mut stream = TextStream::default();
    let (mut ids, mut segs, mut phrase) = (Vec::new(), 0, false);
    let (end, mut first) = (tokenizer.ids().turn_end, true);
    while !grammar.is_done() {
        listener.breathe().await?;
        let allowed = grammar.allowed();
        let permits = |id| allowed.permits(id);
        if !speech.can(permits) {
            // The longest answer ends within a sentence.
            break;
        }
        let may_end = speech.can(|id| id == end && permits(id));
        let forced = if may_end && grammar.left() < SENTENCE { Some(end) } else { speech.only(permits) };
        let id = match forced {
            Some(id) => id,
            None => {
                let scores = super::read_back(language.lm.logits(reader.state()?)).await?;
                speech.best(permits, &scores).ok_or_else(|| Error::Model("the model's output is not a number".into()))?
            }
        };
        speech.push(id);
        if std::mem::take(&mut first) {
            listener.event(Event::Stage { stage: Stage::Generate, face });
        }
        match grammar.push(id)? {
            grammar::Event::Text => {
                let text = stream.push(tokenizer, id);
                if !text.is_empty() {
                    listener.event(if phrase { Event::Phrase { face, id: segs, text } } else { Event::Text { face, text } });
                }
            }
            grammar::Event::PhraseStart => phrase = true,
            grammar::Event::PhraseEnd => phrase = false,
            grammar::Event::Seg(_) => {
                segs += 1;
                reader.mark();
            }
            grammar::Event::End => break,
        }
        ids.push(id);
        if ids.len() >= limits.tokens {
            break;
        }
        reader.unread.push(id);
    }
    let seg = reader.finish()?;
    let complete = grammar.is_done() && ids.len() + 1 < limits.tokens;
    let named = speech.marked().to_vec();
    Ok(Generated { ids, named, seg: (!seg.is_empty()).then(|| Tensor::cat(seg, 0)), complete })
}

/// The model's place in the answer: what it has read, and what was said since.
struct Reader<'a> {
    language: &'a Language,
    cache: &'a mut KvCache,
    /// State behind all that was read, `[1, 1, lm_dim]`.
    last: Tensor<3>,
    /// Tokens that were said and not read yet.
    unread: Vec<u32>,
    /// For masks: how many of the unread tokens stand before each wanted state. Never 0.
    marked: Vec<usize>,
    /// States of masks, `[1, lm_dim]` each.
    seg: Vec<Tensor<2>>,
}

impl Reader<'_> {
    /// The state that predicts the next token, all of them read.
    fn state(&mut self) -> Result<Tensor<3>> {
        if !self.unread.is_empty() {
            let (lm, t) = (&self.language.lm, self.unread.len());
            let step = if lm.reads_together() { t } else { 1 };
            let read = self.unread.chunks(step).map(|ids| lm.forward(lm.embed(ids)?, self.cache));
            let hidden = Tensor::cat(read.collect::<Result<Vec<_>>>()?, 1);
            for at in self.marked.drain(..) {
                self.seg.push(row(hidden.clone().narrow(1, at - 1, 1)));
            }
            self.last = hidden.narrow(1, t - 1, 1);
            self.unread.clear();
        }
        Ok(self.last.clone())
    }

    /// The state that predicts the next token is wanted for a mask.
    fn mark(&mut self) {
        match self.unread.len() {
            0 => self.seg.push(row(self.last.clone())),
            n => self.marked.push(n),
        }
    }

    /// All states of masks; what is unread and not wanted stays so.
    fn finish(mut self) -> Result<Vec<Tensor<2>>> {
        if let Some(last) = self.marked.last() {
            self.unread.truncate(*last);
            self.state()?;
        }
        Ok(self.seg)
    }
}

/// `[1, 1, dim] → [1, dim]`.
fn row(state: Tensor<3>) -> Tensor<2> {
    state.flatten(0, 1)
}
