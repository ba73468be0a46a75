//! Figures of merit: ROC AUC and equal error rate for scores, IoU and two kinds of mean IoU for masks.
//!
//! [`greedy_miou`] is the grounded-caption mIoU of the baseline's evaluation code (GLaMM): the best pairs are taken greedily and
//! only they count, so a missed mask costs nothing. [`symmetric_miou`] divides by the larger of the two counts instead, so
//! that misses and false masks cost; both are reported.

use crate::image::Mask;

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

/// Intersection over union of two masks; two empty masks agree (1), masks of different size do not (0).
pub fn mask_iou(a: &Mask, b: &Mask) -> f32 {
    if (a.width, a.height) != (b.width, b.height) {
        return 0.0;
    }
    let (mut both, mut any) = (0u32, 0u32);
    for (&x, &y) in a.data.iter().zip(&b.data) {
        both += u32::from(x & y & 1);
        any += u32::from((x | y) & 1);
    }
    if any == 0 { 1.0 } else { both as f32 / any as f32 }
}

/// IoUs of the greedy pairing: the largest entry first, its row and column struck, until nothing above 0 is left.
pub fn greedy_pairs(predicted: &[Mask], truth: &[Mask]) -> Vec<f32> {
    let mut table: Vec<(f32, usize, usize)> =
        predicted.iter().enumerate().flat_map(|(i, p)| truth.iter().enumerate().map(move |(j, t)| (mask_iou(p, t), i, j))).collect();
    table.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut used_p, mut used_t) = (vec![false; predicted.len()], vec![false; truth.len()]);
    let mut pairs = Vec::new();
    for (iou, i, j) in table {
        if iou > 0.0 && !used_p[i] && !used_t[j] {
            (used_p[i], used_t[j]) = (true, true);
            pairs.push(iou);
        }
    }
    pairs
}

/// Mean IoU of the greedy pairs of one image; 0 when nothing pairs.
pub fn greedy_miou(predicted: &[Mask], truth: &[Mask]) -> f32 {
    let pairs = greedy_pairs(predicted, truth);
    if pairs.is_empty() { 0.0 } else { pairs.iter().sum::<f32>() / pairs.len() as f32 }
}

/// Sum of the greedy pairs' IoU over the larger of the two counts; 1 when nothing is there and nothing is predicted.
pub fn symmetric_miou(predicted: &[Mask], truth: &[Mask]) -> f32 {
    let n = predicted.len().max(truth.len());
    if n == 0 { 1.0 } else { greedy_pairs(predicted, truth).iter().sum::<f32>() / n as f32 }
}

/// Part of the items for which `ok` holds, e.g. answers that parse and have one mask per `[SEG]`; `None` for no items.
pub fn rate<T>(items: &[T], ok: impl Fn(&T) -> bool) -> Option<f64> {
    (!items.is_empty()).then(|| items.iter().filter(|i| ok(i)).count() as f64 / items.len() as f64)
}

/// Whether an answer is well formed: every `<p> … </p>` is closed, not nested and followed by one `[SEG]`, no other `[SEG]`
/// stands anywhere, and there are `masks` of them.
pub fn answer_parses(answer: &str, masks: usize) -> bool {
    let (mut rest, mut found) = (answer, 0);
    while let Some(open) = rest.find("<p>") {
        let Some((before, after)) = rest.split_at_checked(open) else { return false };
        if before.contains("[SEG]") || before.contains("</p>") {
            return false;
        }
        let Some((phrase, tail)) = after["<p>".len()..].split_once("</p>") else { return false };
        let Some(tail) = tail.trim_start().strip_prefix("[SEG]") else { return false };
        if phrase.trim().is_empty() || phrase.contains("<p>") || phrase.contains("[SEG]") {
            return false;
        }
        found += 1;
        rest = tail;
    }
    found == masks && !answer.trim().is_empty() && !rest.contains("[SEG]") && !rest.contains("</p>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bits: &[u8]) -> Mask {
        Mask { width: bits.len(), height: 1, data: bits.to_vec() }
    }

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
    fn iou_by_hand() {
        assert_eq!(mask_iou(&row(&[1, 1, 0, 0]), &row(&[0, 1, 1, 0])), 1.0 / 3.0);
        assert_eq!(mask_iou(&row(&[0, 0]), &row(&[0, 0])), 1.0);
        assert_eq!(mask_iou(&row(&[1, 1]), &row(&[1, 1, 1])), 0.0);
    }

    #[test]
    fn mious_by_hand() {
        let (a, b, c) = (row(&[1, 1, 0, 0, 0, 0]), row(&[0, 0, 1, 1, 0, 0]), row(&[0, 0, 0, 0, 1, 1]));
        let half = row(&[0, 0, 1, 0, 0, 0]);
        // Pairs: a-a 1, half-b ½; c is missed.
        let (pred, truth) = ([a.clone(), half], [a, b, c]);
        assert_eq!(greedy_miou(&pred, &truth), 0.75);
        assert_eq!(symmetric_miou(&pred, &truth), 0.5);
        assert_eq!((greedy_miou(&[], &truth), symmetric_miou(&[], &truth)), (0.0, 0.0));
        assert_eq!(symmetric_miou(&[], &[]), 1.0);
    }

    #[test]
    fn greedy_takes_the_global_best_first() {
        // p0 overlaps t0 by 2/3 and t1 by 1/4; p1 overlaps t0 by 1/2: greedy gives p0-t0, and p1 is left with nothing.
        let (t0, t1) = (row(&[1, 1, 0, 0, 0]), row(&[0, 0, 1, 1, 0]));
        let (p0, p1) = (row(&[1, 1, 1, 0, 0]), row(&[1, 0, 0, 0, 0]));
        assert_eq!(greedy_pairs(&[p0, p1], &[t0, t1]), [2.0 / 3.0]);
    }

    #[test]
    fn parse_rate() {
        assert!(answer_parses("No sign of forgery was found.", 0));
        assert!(answer_parses("The <p> nose </p> [SEG] and the <p> chin </p> [SEG] differ.", 2));
        assert!(!answer_parses("The <p> nose </p> [SEG] and the <p> chin </p> [SEG] differ.", 1));
        assert!(!answer_parses("The <p> nose [SEG]", 1));
        assert!(!answer_parses("The <p> nose </p> differs.", 0));
        assert!(!answer_parses("[SEG]", 1));
        assert!(!answer_parses("The <p> nose </p> [SEG] [SEG]", 1));
        assert!(!answer_parses(" ", 0));
        assert_eq!(rate(&[1, 2, 3, 4], |v| *v > 1), Some(0.75));
    }
}
