//! The generation loop: prompt in, grounded text and `[SEG]` hidden states out.
//!
//! Greedy, under the grounded grammar: tokens that the grammar forbids cannot be chosen, tokens that it forces cost no
//! read-back. `[SEG]` takes the hidden state at the position that predicts it, as LISA's and GLaMM's code does.

use crate::analyze::request::{Event, Listener, Stage};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::fifa::Language;
use crate::model::lm::KvCache;
use crate::text::grammar::{Allowed, Grounded, GroundedEvent};
use crate::text::tokenizer::Tokenizer;
use burn::tensor::Tensor;

/// What the loop made.
pub struct Generated {
    /// Token ids of the answer, without the end token.
    pub ids: Vec<u32>,
    /// One hidden state a mask, `[n, lm_dim]`; `None` when the answer has no mask.
    pub seg: Option<Tensor<2>>,
    /// The answer ended by itself within its limit.
    pub complete: bool,
}

/// Runs the language model on a spliced prompt `[1, t, lm_dim]`.
///
/// # Errors
/// [`Error::Cancelled`] from the listener; [`Error::Device`] when a read-back fails.
pub async fn generate<L: Listener>(
    cfg: &ModelConfig,
    language: &Language,
    tokenizer: &Tokenizer,
    prompt: Tensor<3>,
    (mut grammar, limit, face): (Grounded, usize, usize),
    listener: &mut L,
) -> Result<Generated> {
    let device = prompt.device();
    let [_, length, dim] = prompt.dims();
    if length + limit > cfg.lm_context {
        return Err(Error::Request(format!("the question is too long: {length} tokens where {} fit", cfg.lm_context - limit)));
    }
    let mut cache = KvCache::new(cfg, &device);
    listener.event(Event::Stage { stage: Stage::Prefill, face });
    let hidden = language.lm.forward(prompt, &mut cache);
    let mut last: Tensor<3> = hidden.narrow(1, length - 1, 1);
    let mut decoder = tokenizer.stream();
    let (mut ids, mut seg, mut complete) = (Vec::new(), Vec::new(), false);
    for turn in 0..limit {
        listener.breathe().await?;
        let id = match grammar.allowed() {
            Allowed::Only(id) => id,
            allowed => pick(&read(language.lm.logits(last.clone())).await?, &allowed)?,
        };
        if turn == 0 {
            listener.event(Event::Stage { stage: Stage::Generate, face });
        }
        match grammar.push(id) {
            GroundedEvent::Text => {
                if let Some(text) = decoder.push(id)? {
                    listener.event(match grammar.phrase() {
                        Some(id) => Event::Phrase { face, id, text },
                        None => Event::Text { face, text },
                    });
                }
            }
            GroundedEvent::Seg(_) => seg.push(last.clone().reshape([1, dim])),
            GroundedEvent::PhraseStart | GroundedEvent::PhraseEnd => {}
            GroundedEvent::End => {
                complete = true;
                break;
            }
        }
        ids.push(id);
        last = language.lm.forward(language.lm.embed(&[id]), &mut cache);
    }
    Ok(Generated { ids, seg: (!seg.is_empty()).then(|| Tensor::cat(seg, 0)), complete })
}

/// Logits to the host, without blocking.
async fn read(logits: Tensor<3>) -> Result<Vec<f32>> {
    super::read_back(logits).await
}

/// The likeliest token that the grammar allows; the lowest id among equals.
fn pick(logits: &[f32], allowed: &Allowed) -> Result<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (id, v) in logits.iter().enumerate() {
        let id = id as u32;
        if best.is_none_or(|(_, top)| *v > top) && allowed.contains(id) {
            best = Some((id, *v));
        }
    }
    best.map(|(id, _)| id).ok_or_else(|| Error::Model("the model's output is not a number".into()))
}
