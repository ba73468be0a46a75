//! Words against words: the caption figures of pycocoevalcap, on its tokens.
//!
//! All take a corpus, because CIDEr-D weighs n-grams by how rare they are in it and BLEU and METEOR pool their counts over it.

pub mod bleu;
pub mod cider;
pub mod function_words;
pub mod meteor;
pub mod meteor_align;
pub mod rouge;
pub mod tokens;

pub use tokens::{bare, tokens};

use serde::Serialize;
use std::collections::HashMap;

/// An answer and what it is compared with, as tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pair {
    /// Tokens of the answer.
    pub said: Vec<String>,
    /// Tokens of each reference; at least one.
    pub references: Vec<Vec<String>>,
}

impl Pair {
    /// Tokenises an answer and its references; marks of grounding are taken out.
    pub fn new(said: &str, references: &[impl AsRef<str>]) -> Self {
        Self { said: tokens(&bare(said)), references: references.iter().map(|r| tokens(&bare(r.as_ref()))).collect() }
    }
}

/// The caption figures of a corpus, as fractions (CIDEr-D up to 10).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    pub cider: f64,
    /// METEOR 1.5 with the modules exact and stem: a lower bound of the one with synonyms and paraphrases.
    pub meteor_exact_stem: f64,
    pub rouge_l: f64,
    pub bleu1: f64,
    pub bleu2: f64,
    pub bleu3: f64,
    pub bleu4: f64,
}

/// All figures; `None` for an empty corpus, or one with an answer that has no reference.
pub fn figures(corpus: &[Pair]) -> Option<Figures> {
    if corpus.is_empty() || corpus.iter().any(|p| p.references.is_empty()) {
        return None;
    }
    let [bleu1, bleu2, bleu3, bleu4] = bleu::corpus(corpus);
    let (cider, meteor_exact_stem, rouge_l) = (cider::corpus(corpus), meteor::corpus(corpus), rouge::corpus(corpus));
    Some(Figures { cider, meteor_exact_stem, rouge_l, bleu1, bleu2, bleu3, bleu4 })
}

/// How often each n-gram of length 1 to 4 occurs.
pub(crate) fn ngrams(words: &[String]) -> HashMap<&[String], f64> {
    let mut counts = HashMap::new();
    for n in 1..=4 {
        for gram in words.windows(n) {
            *counts.entry(gram).or_insert(0.0) += 1.0;
        }
    }
    counts
}

/// Cosine of two phrases as counts of word stems, 0..1; 0 when either has no word. It stands in for the BERT similarity of
/// GLaMM's mask recall.
pub fn phrase_similarity(a: &str, b: &str) -> f64 {
    let count = |phrase: &str| {
        let mut counts: HashMap<String, f64> = HashMap::new();
        for word in tokens(phrase) {
            *counts.entry(meteor::stem(&word)).or_default() += 1.0;
        }
        counts
    };
    let (a, b) = (count(a), count(b));
    let norm = |c: &HashMap<String, f64>| c.values().map(|v| v * v).sum::<f64>().sqrt();
    let both: f64 = a.iter().filter_map(|(word, n)| Some(n * b.get(word)?)).sum();
    let scale = norm(&a) * norm(&b);
    if scale > 0.0 { both / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_its_reference_is_perfect_and_another_is_not() {
        let texts =
            ["The left eye lacks fine detail.", "The chin does not match the skin around it.", "There is no sign of forgery in the nose."];
        let same: Vec<Pair> = texts.iter().map(|t| Pair::new(t, &[t])).collect();
        let f = figures(&same).unwrap();
        assert!((f.cider - 10.0).abs() < 1e-9 && (f.rouge_l - 1.0).abs() < 1e-9, "{f:?}");
        assert!((f.bleu4 - 1.0).abs() < 1e-6, "{f:?}");
        assert!((f.meteor_exact_stem - 1.0).abs() < 1e-9, "{f:?}");
        let other: Vec<Pair> = texts.iter().map(|t| Pair::new("zzz", &[t])).collect();
        let f = figures(&other).unwrap();
        assert!(f.cider == 0.0 && f.meteor_exact_stem == 0.0 && f.rouge_l == 0.0 && f.bleu4 < 1e-6, "{f:?}");
        assert_eq!(figures(&[]), None);
        assert_eq!(figures(&[Pair::new("a", &[] as &[&str])]), None);
    }

    #[test]
    fn phrases_are_alike_by_their_stems() {
        assert!((phrase_similarity("left eye", "Left eyes") - 1.0).abs() < 1e-12);
        assert!((phrase_similarity("left eye", "right eye") - 0.5).abs() < 1e-12);
        assert_eq!((phrase_similarity("chin", "nose"), phrase_similarity("", "nose")), (0.0, 0.0));
    }
}
