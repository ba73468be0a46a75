//! How well scores rank: ROC curve and its area, equal error rate. Scores: larger = more forged; `true` = forged.

/// Area under the ROC curve: the probability that a positive scores above a negative, ties counting half.
///
/// `None` when a class is missing or a score is not a number. Scores: larger = more forged; `true` = forged.
pub fn roc_auc(scores: &[(f32, bool)]) -> Option<f64> {
    let sorted = sorted(scores)?;
    let (pos, neg) = counts(&sorted);
    if pos == 0 || neg == 0 {
        return None;
    }
    // Mann-Whitney: for each block of equal scores, negatives below count 1, those within ½.
    let (mut wins, mut below) = (0.0f64, 0usize);
    for block in sorted.chunk_by(|a, b| a.0 == b.0) {
        let (p, n) = counts(block);
        wins += p as f64 * (below as f64 + 0.5 * n as f64);
        below += n;
    }
    Some(wins / (pos as f64 * neg as f64))
}

/// Equal error rate: where the false-positive and false-negative rates meet, on the straight lines between thresholds.
pub fn eer(scores: &[(f32, bool)]) -> Option<f64> {
    let sorted = sorted(scores)?;
    let (pos, neg) = counts(&sorted);
    if pos == 0 || neg == 0 {
        return None;
    }
    // Threshold rises from "all positive" (fpr 1, fnr 0) to "all negative" (fpr 0, fnr 1).
    let (mut last, mut missed, mut cleared) = ((1.0f64, 0.0f64), 0, 0);
    for block in sorted.chunk_by(|a, b| a.0 == b.0) {
        let (p, n) = counts(block);
        missed += p;
        cleared += n;
        let now = (1.0 - cleared as f64 / neg as f64, missed as f64 / pos as f64);
        if now.1 >= now.0 {
            let (before, after) = (last.0 - last.1, now.1 - now.0);
            let t = if before + after > 0.0 { before / (before + after) } else { 0.0 };
            return Some(last.0 + t * (now.0 - last.0));
        }
        last = now;
    }
    Some(last.1) // not reached: at the top threshold fnr = 1 ≥ fpr = 0
}

fn sorted(scores: &[(f32, bool)]) -> Option<Vec<(f32, bool)>> {
    if scores.iter().any(|s| s.0.is_nan()) {
        return None;
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    Some(sorted)
}

fn counts(scores: &[(f32, bool)]) -> (usize, usize) {
    let pos = scores.iter().filter(|s| s.1).count();
    (pos, scores.len() - pos)
}

/// The ROC curve as `(false-positive rate, true-positive rate)`, from (0, 0) to (1, 1), one point a threshold; equal scores are
/// one threshold. Empty when a class is missing or a score is not a number.
pub fn roc_points(scores: &[(f32, bool)]) -> Vec<(f64, f64)> {
    let Some(mut sorted) = sorted(scores) else { return vec![] };
    let (pos, neg) = counts(&sorted);
    if pos == 0 || neg == 0 {
        return vec![];
    }
    sorted.reverse();
    let (mut points, mut hit, mut passed) = (vec![(0.0, 0.0)], 0, 0);
    for block in sorted.chunk_by(|a, b| a.0 == b.0) {
        let (p, n) = counts(block);
        hit += p;
        passed += n;
        points.push((passed as f64 / neg as f64, hit as f64 / pos as f64));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_by_hand() {
        // Pairs (pos, neg): (.9,.8) 1, (.9,.2) 1, (.8,.8) ½, (.8,.2) 1 → 3.5 / 4.
        let s = [(0.9, true), (0.8, true), (0.8, false), (0.2, false)];
        assert_eq!(roc_auc(&s), Some(0.875));
        assert_eq!(roc_auc(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(roc_auc(&[(0.1, true), (0.7, false)]), Some(0.0));
        assert_eq!(roc_auc(&[(0.1, true)]), None);
        assert_eq!(roc_auc(&[(f32::NAN, true), (0.1, false)]), None);
    }

    #[test]
    fn eer_by_hand() {
        assert_eq!(eer(&[(0.9, true), (0.8, true), (0.3, false), (0.1, false)]), Some(0.0));
        assert_eq!(eer(&[(0.1, true), (0.9, false)]), Some(1.0));
        // Above .35: one of four negatives (.4) passes, one of four positives (.3) is missed → ¼.
        let s = [(0.9, true), (0.8, true), (0.7, true), (0.3, true), (0.4, false), (0.2, false), (0.1, false), (0.05, false)];
        assert_eq!(eer(&s), Some(0.25));
        // All scores equal: the line from (1, 0) to (0, 1) crosses at ½.
        assert_eq!(eer(&[(0.5, true), (0.5, false)]), Some(0.5));
    }

    #[test]
    fn the_area_under_the_curve_is_the_auc() {
        let s = [(0.9, true), (0.8, true), (0.8, false), (0.2, false), (0.6, false), (0.6, true), (0.1, true)];
        let roc = roc_points(&s);
        assert_eq!((roc.first(), roc.last()), (Some(&(0.0, 0.0)), Some(&(1.0, 1.0))));
        let area: f64 = roc.windows(2).map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0).sum();
        assert!((area - roc_auc(&s).unwrap()).abs() < 1e-12, "{area}");
        assert!(roc_points(&[(0.1, true)]).is_empty());
    }
}
