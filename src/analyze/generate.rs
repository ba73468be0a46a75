//! The generation loop: prompt in, grounded text and `[SEG]` hidden states out.
//!
//! Greedy, under the grounded grammar: tokens that the grammar forbids cannot be chosen, tokens that it forces cost no
//! read-back, and where it changes nothing no step of their own ([`Ahead`]). Phrases are names of the concept tree ([`Names`]). `[SEG]`
//! takes the hidden state at the position that predicts it, as LISA's and GLaMM's code does.

use crate::analyze::answer::claims_signs;
use crate::analyze::naming::Names;
use crate::analyze::request::{Event, Listener, Stage};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::fict;
use crate::model::fifa::Language;
use crate::model::lm::Lm;
use crate::model::lm_cache::KvCache;
use crate::text::grammar::{self, Grounded, Limits};
use crate::text::tokenizer::{TextStream, Tokenizer};
use burn::tensor::Tensor;

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
    /// What phrases may say.
    pub names: Names,
    /// An answer that claims signs may not end before it has named and marked one: a claim without a place cannot be checked.
    pub claims_are_grounded: bool,
    /// Which face of the photo, for events.
    pub face: usize,
}

/// The model's place in the answer. Tokens that are known (the grammar's, the rest of a name) wait until a score or a state is needed
/// and are run together: the weights, which are what a step costs, are read once for all of them.
///
/// Only where the result is the same bit for bit ([`Lm::is_exact_in_batches`]). Elsewhere a token is run when it is known: a GPU would also
/// have to compile its kernels for every number of tokens.
struct Ahead<'a> {
    lm: &'a Lm,
    cache: KvCache,
    waits: bool,
    /// Tokens that have not been run.
    pending: Vec<u32>,
    /// Hidden state of the last position that was run, `[1, 1, dim]`.
    last: Tensor<3>,
    /// Hidden states that were asked for, `[1, dim]`, and the number of pending tokens behind which others are to be found.
    kept: Vec<Tensor<2>>,
    wanted: Vec<usize>,
}

impl<'a> Ahead<'a> {
    /// Behind a prompt whose last hidden state is `last`.
    fn new(lm: &'a Lm, cache: KvCache, last: Tensor<3>) -> Self {
        Self { lm, cache, waits: lm.is_exact_in_batches(), pending: vec![], last, kept: vec![], wanted: vec![] }
    }

    fn push(&mut self, id: u32) -> Result<()> {
        self.pending.push(id);
        if self.waits { Ok(()) } else { self.catch_up() }
    }

    /// Keeps the hidden state behind all tokens so far.
    fn keep(&mut self) {
        self.wanted.push(self.pending.len());
    }

    /// Runs what waits.
    fn catch_up(&mut self) -> Result<()> {
        let t = self.pending.len();
        let hidden = if t > 0 { Some(self.lm.forward(self.lm.embed(&self.pending)?, &mut self.cache)?) } else { None };
        let at = |i: usize| match (&hidden, i) {
            (Some(hidden), 1..) => hidden.clone().narrow(1, i - 1, 1),
            _ => self.last.clone(),
        };
        let dim = self.last.dims()[2];
        self.kept.extend(self.wanted.drain(..).map(|i| at(i).reshape([1, dim])));
        self.last = at(t);
        self.pending.clear();
        Ok(())
    }

    /// Hidden state behind all tokens so far, `[1, 1, dim]`.
    fn last(&mut self) -> Result<Tensor<3>> {
        self.catch_up()?;
        Ok(self.last.clone())
    }

    /// The states that were to be kept, `[n, dim]`; `None` if none was.
    fn into_kept(mut self) -> Result<Option<Tensor<2>>> {
        // What was said behind the last of them is not needed.
        self.pending.truncate(self.wanted.last().copied().unwrap_or(0));
        self.catch_up()?;
        Ok((!self.kept.is_empty()).then(|| Tensor::cat(self.kept, 0)))
    }
}

/// Runs the language model on a spliced prompt `[1, t, lm_dim]`, for one answer.
///
/// # Errors
/// [`Error::Request`] when prompt and longest answer do not fit the cache; [`Error::Cancelled`] from the listener;
/// [`Error::Device`] when a read-back fails; [`Error::Model`] when the scores are not numbers.
pub async fn generate<L: Listener>(
    cfg: &ModelConfig,
    language: &Language,
    tokenizer: &Tokenizer,
    prompt: Tensor<3>,
    Plan { limits, mut names, claims_are_grounded, face }: Plan,
    listener: &mut L,
) -> Result<Generated> {
    let device = prompt.device();
    let [_, length, _] = prompt.dims();
    if length + limits.tokens > cfg.lm_context {
        return Err(Error::Request(format!("the question is too long: {length} tokens where {} fit", cfg.lm_context - limits.tokens)));
    }
    let mut cache = KvCache::new(cfg, 1, &device);
    let mut grammar = Grounded::new(tokenizer.ids(), limits);
    listener.event(Event::Stage { stage: Stage::Prefill, face });
    let hidden = language.lm.forward(prompt, &mut cache)?;
    let mut ahead = Ahead::new(&language.lm, cache, hidden.narrow(1, length - 1, 1));
    let mut stream = TextStream::default();
    let (mut ids, mut masks, mut phrase) = (Vec::new(), 0, false);
    let (mut first, mut said) = (true, String::new());
    while !grammar.is_done() {
        listener.breathe().await?;
        let mut allowed = grammar.allowed();
        if claims_are_grounded && allowed.open && grammar.segs() == 0 && claims_signs(&said) {
            allowed.end = false;
            allowed.text = grammar.room() != Some(0);
        }
        let forced = if names.open() { names.only() } else { allowed.only() };
        let id = match forced {
            Some(id) => id,
            None => {
                let scores = super::read_back(language.lm.logits(ahead.last()?)).await?;
                let best = if names.open() { names.best(&scores) } else { allowed.best(&scores) };
                best.ok_or_else(|| Error::Model("the model's output is not a number".into()))?
            }
        };
        names.push(id);
        if std::mem::take(&mut first) {
            listener.event(Event::Stage { stage: Stage::Generate, face });
        }
        match grammar.push(id)? {
            grammar::Event::Text => {
                let text = stream.push(tokenizer, id);
                said.push_str(&text);
                if !text.is_empty() {
                    listener.event(if phrase { Event::Phrase { face, id: masks, text } } else { Event::Text { face, text } });
                }
            }
            grammar::Event::PhraseStart => {
                phrase = true;
                names.begin();
            }
            grammar::Event::PhraseEnd => phrase = false,
            grammar::Event::Seg(_) => {
                ahead.keep();
                masks += 1;
            }
            grammar::Event::End => break,
        }
        ids.push(id);
        if ids.len() >= limits.tokens {
            break;
        }
        ahead.push(id)?;
    }
    let complete = grammar.is_done() && ids.len() + 1 < limits.tokens;
    let named = names.said().to_vec();
    Ok(Generated { ids, named, seg: ahead.into_kept()?, complete })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lm_cpu::tests::small;
    use burn::tensor::Device;

    fn bits<const D: usize>(t: Tensor<D>) -> Vec<u32> {
        t.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn tokens_that_wait_give_the_same_states_as_tokens_that_do_not() {
        let cfg = ModelConfig { lm_vocab: 96, lm_context: 40, ..ModelConfig::tiny() };
        let lm = small(&cfg, true);
        assert!(lm.is_exact_in_batches());
        let start = |waits: bool| {
            let mut cache = KvCache::new(&cfg, 1, &Device::flex());
            let hidden = lm.forward(lm.embed(&[1, 99, 5, 7, 2]).unwrap(), &mut cache).unwrap();
            Ahead { waits, ..Ahead::new(&lm, cache, hidden.narrow(1, 4, 1)) }
        };
        // A state at once, one among tokens, two in a row, a score, a state behind the last token, and tokens that nobody asks about.
        let run = |waits: bool| {
            let (mut a, mut seen) = (start(waits), vec![]);
            a.keep();
            for id in [3, 98, 11] {
                a.push(id).unwrap();
            }
            a.keep();
            a.push(4).unwrap();
            a.keep();
            a.keep();
            seen.push(bits(lm.logits(a.last().unwrap())));
            a.push(6).unwrap();
            seen.push(bits(lm.logits(a.last().unwrap())));
            for id in [9, 9, 10] {
                a.push(id).unwrap();
            }
            a.keep();
            a.push(12).unwrap();
            let kept = a.into_kept().unwrap().unwrap();
            assert_eq!(kept.dims(), [5, cfg.lm_dim]);
            seen.push(bits(kept));
            seen
        };
        assert!(run(true) == run(false));
        assert!(start(true).into_kept().unwrap().is_none());
    }
}
