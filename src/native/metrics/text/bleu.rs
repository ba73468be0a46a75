//! BLEU 1–4 of a corpus (Papineni et al. 2002), as pycocoevalcap's `BleuScorer` computes it: counts are pooled over the corpus,
//! the reference length is the closest one, and precisions are smoothed by its two tiny constants.

use super::{Pair, ngrams};
use std::collections::HashMap;

/// Added to the number of n-grams, so that none is not divided by.
const SMALL: f64 = 1e-9;
/// Added to the number of hits.
const TINY: f64 = 1e-15;

/// BLEU-1 to BLEU-4.
pub fn corpus(pairs: &[Pair]) -> [f64; 4] {
    let (mut said, mut wanted) = (0.0, 0.0);
    let (mut guesses, mut hits) = ([0.0; 4], [0.0; 4]);
    for pair in pairs {
        let length = pair.said.len();
        said += length as f64;
        // Of two that are equally close, the shorter.
        let closest = pair.references.iter().map(Vec::len).min_by_key(|l| (l.abs_diff(length), *l));
        wanted += closest.unwrap_or(0) as f64;
        let mut most: HashMap<&[String], f64> = HashMap::new();
        for reference in &pair.references {
            for (gram, n) in ngrams(reference) {
                let seen = most.entry(gram).or_default();
                *seen = seen.max(n);
            }
        }
        for (gram, n) in ngrams(&pair.said) {
            guesses[gram.len() - 1] += n;
            hits[gram.len() - 1] += n.min(most.get(gram).copied().unwrap_or(0.0));
        }
    }
    let ratio = (said + TINY) / (wanted + SMALL);
    let brevity = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
    let mut product = 1.0;
    std::array::from_fn(|k| {
        product *= (hits[k] + TINY) / (guesses[k] + SMALL);
        product.powf(1.0 / (k + 1) as f64) * brevity
    })
}
