//! CIDEr-D (Vedantam et al. 2015) as pycocoevalcap computes it: n-grams of one to four words weighted by their rarity in the
//! references of the corpus, clipped cosine, a Gaussian penalty on the difference of lengths (σ = 6), times 10.
//!
//! No stemming. A corpus of one image scores 0, because every n-gram is then in all of it.

use super::{Pair, ngrams};
use std::collections::{HashMap, HashSet};

const SIGMA2: f64 = 6.0 * 6.0;

/// A caption as weighted n-grams.
struct Weighed<'a> {
    grams: HashMap<&'a [String], f64>,
    /// Norm by length of n-gram.
    norm: [f64; 4],
    /// Number of word pairs, which the reference takes as the length.
    length: f64,
}

/// Mean over the corpus.
pub fn corpus(pairs: &[Pair]) -> f64 {
    let mut seen: HashMap<&[String], f64> = HashMap::new();
    for pair in pairs {
        let grams: HashSet<&[String]> = pair.references.iter().flat_map(|r| ngrams(r).into_keys()).collect();
        grams.into_iter().for_each(|g| *seen.entry(g).or_default() += 1.0);
    }
    let all = (pairs.len() as f64).ln();
    let one = |pair: &Pair| {
        let said = weigh(&pair.said, &seen, all);
        let sum: f64 = pair.references.iter().map(|r| similarity(&said, &weigh(r, &seen, all))).sum();
        10.0 * sum / pair.references.len() as f64
    };
    super::super::mean(pairs.iter().map(one)).unwrap_or(0.0)
}

fn weigh<'a>(words: &'a [String], seen: &HashMap<&[String], f64>, all: f64) -> Weighed<'a> {
    let mut out = Weighed { grams: ngrams(words), norm: [0.0; 4], length: words.len().saturating_sub(1) as f64 };
    for (gram, weight) in &mut out.grams {
        *weight *= all - seen.get(gram).copied().unwrap_or(0.0).max(1.0).ln();
        out.norm[gram.len() - 1] += *weight * *weight;
    }
    out.norm = out.norm.map(f64::sqrt);
    out
}

/// Mean over the four lengths of n-gram.
fn similarity(said: &Weighed, reference: &Weighed) -> f64 {
    let mut sums = [0.0; 4];
    for (gram, weight) in &said.grams {
        let there = reference.grams.get(gram).copied().unwrap_or(0.0);
        sums[gram.len() - 1] += weight.min(there) * there;
    }
    let penalty = (-(said.length - reference.length).powi(2) / (2.0 * SIGMA2)).exp();
    let of = |n: usize| {
        let scale = said.norm[n] * reference.norm[n];
        penalty * if scale != 0.0 { sums[n] / scale } else { sums[n] }
    };
    (0..4).map(of).sum::<f64>() / 4.0
}
