//! ROUGE-L (Lin 2004) as pycocoevalcap computes it: the longest common subsequence of words, the best precision and the best
//! recall over the references joined with β = 1.2, averaged over images.

use super::Pair;

const BETA2: f64 = 1.2 * 1.2;

/// Mean over the corpus.
pub fn corpus(pairs: &[Pair]) -> f64 {
    super::super::mean(pairs.iter().map(one)).unwrap_or(0.0)
}

fn one(pair: &Pair) -> f64 {
    let (mut precision, mut recall) = (0.0f64, 0.0f64);
    for reference in &pair.references {
        // The reference splits text at spaces: no word at all counts as one empty word.
        let common = match (pair.said.is_empty(), reference.is_empty()) {
            (true, true) => 1,
            _ => common(&pair.said, reference),
        };
        precision = precision.max(common as f64 / pair.said.len().max(1) as f64);
        recall = recall.max(common as f64 / reference.len().max(1) as f64);
    }
    if precision == 0.0 || recall == 0.0 { 0.0 } else { (1.0 + BETA2) * precision * recall / (recall + BETA2 * precision) }
}

/// Length of the longest common subsequence.
fn common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}
