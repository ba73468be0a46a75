//! Calibration: does a score of 0.8 mean that four in five are forged?
//!
//! Expected calibration error of Guo et al. (arXiv 1706.04599) for a two-class score: scores are cut into equal bins, and the
//! difference between a bin's mean score and its share of forgeries is averaged by the number of images in it. It holds
//! for the share of forgeries in the data at hand and for no other.

use serde::Serialize;

/// Bins of the table; the number of Guo et al.
pub const BINS: usize = 15;

/// One row of the reliability table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Scores from here (included) …
    pub from: f64,
    /// … to here (excluded; the last bin holds 1).
    pub to: f64,
    /// Images.
    pub n: usize,
    /// Mean score; `None` without images.
    pub mean_score: Option<f64>,
    /// Share of forgeries; `None` without images.
    pub share_forged: Option<f64>,
}

/// The reliability table of scores in 0..1 (`true` = forged). Scores that are not numbers are left out.
pub fn table(scores: &[(f32, bool)], bins: usize) -> Vec<Bin> {
    let mut sums = vec![(0usize, 0.0f64, 0usize); bins];
    for (score, forged) in scores.iter().filter(|s| !s.0.is_nan()) {
        let score = f64::from(*score).clamp(0.0, 1.0);
        let at = ((score * bins as f64) as usize).min(bins.saturating_sub(1));
        if let Some(s) = sums.get_mut(at) {
            *s = (s.0 + 1, s.1 + score, s.2 + usize::from(*forged));
        }
    }
    let edge = |i: usize| i as f64 / bins as f64;
    let row = |(i, (n, sum, forged)): (usize, (usize, f64, usize))| Bin {
        from: edge(i),
        to: edge(i + 1),
        n,
        mean_score: (n > 0).then(|| sum / n as f64),
        share_forged: (n > 0).then(|| forged as f64 / n as f64),
    };
    sums.into_iter().enumerate().map(row).collect()
}

/// Expected calibration error of a table; `None` without images.
pub fn ece(table: &[Bin]) -> Option<f64> {
    let n: usize = table.iter().map(|b| b.n).sum();
    let gap = |b: &Bin| Some(b.n as f64 * (b.mean_score? - b.share_forged?).abs());
    (n > 0).then(|| table.iter().filter_map(gap).sum::<f64>() / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ece_by_hand() {
        // Two bins of ten: three scores of .95 (two forged), one of .05 (clean): (3·|.95 − ⅔| + .05) / 4.
        let s = [(0.95, true), (0.95, true), (0.95, false), (0.05, false)];
        let t = table(&s, 10);
        assert_eq!((t.len(), t[9].n, t[0].n, t[5].n), (10, 3, 1, 0));
        assert_eq!((t[5].mean_score, t[9].share_forged), (None, Some(2.0 / 3.0)));
        let expected = (3.0 * (0.95 - 2.0 / 3.0) + 0.05) / 4.0;
        assert!((ece(&t).unwrap() - expected).abs() < 1e-6);
        assert_eq!(ece(&table(&[], 10)), None);
    }

    #[test]
    fn edges_and_hostile_scores_have_a_place() {
        let t = table(&[(1.0, true), (0.0, false), (7.0, true), (f32::NAN, true), (-1.0, false)], 4);
        assert_eq!([t[0].n, t[1].n, t[2].n, t[3].n], [2, 0, 0, 2]);
        assert!(table(&[(0.5, true)], 0).is_empty());
    }
}
