//! Masks against masks: the table of IoUs of one image, and what is read from it.
//!
//! [`Overlap::miou`] is the grounded-caption mIoU of the baseline's evaluation code (GLaMM): the best pairs are taken greedily
//! and only they count, so a missed mask costs nothing. [`Overlap::miou_sym`] divides by the larger of the two counts
//! instead, so that misses and false masks cost; both are reported. [`Overlap::recalled`] is GLaMM's mask recall.
//!
//! The table is kept instead of the masks, because a thousand images of masks do not fit into memory.

use crate::image::Mask;

/// IoUs of the predicted masks (rows) against the true ones (columns) of one image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overlap {
    predicted: usize,
    truth: usize,
    iou: Vec<f64>,
}

impl Overlap {
    /// The table of two lists of masks. Masks of another size overlap nothing.
    pub fn of(predicted: &[Mask], truth: &[Mask]) -> Self {
        let iou = predicted.iter().flat_map(|p| truth.iter().map(move |t| mask_iou(p, t))).collect();
        Self { predicted: predicted.len(), truth: truth.len(), iou }
    }

    /// Number of predicted masks.
    pub fn predicted(&self) -> usize {
        self.predicted
    }

    /// Number of true masks.
    pub fn truth(&self) -> usize {
        self.truth
    }

    /// IoU of predicted mask `p` and true mask `t`; 0 outside of the table.
    pub fn at(&self, p: usize, t: usize) -> f64 {
        if t < self.truth { self.iou.get(p * self.truth + t).copied().unwrap_or(0.0) } else { 0.0 }
    }

    /// The greedy pairing, `(predicted, true, IoU)`: the largest entry first (the first in the table among equals), its row and
    /// column struck, until nothing above 0 is left.
    pub fn pairs(&self) -> Vec<(usize, usize, f64)> {
        let mut table: Vec<(usize, usize, f64)> =
            (0..self.predicted).flat_map(|p| (0..self.truth).map(move |t| (p, t))).map(|(p, t)| (p, t, self.at(p, t))).collect();
        table.sort_by(|a, b| b.2.total_cmp(&a.2));
        let (mut used_p, mut used_t) = (vec![false; self.predicted], vec![false; self.truth]);
        let mut pairs = Vec::new();
        for (p, t, iou) in table {
            if iou > 0.0 && !used_p[p] && !used_t[t] {
                (used_p[p], used_t[t]) = (true, true);
                pairs.push((p, t, iou));
            }
        }
        pairs
    }

    /// Mean IoU of the greedy pairs; 0 when nothing pairs.
    pub fn miou(&self) -> f64 {
        super::mean(self.pairs().iter().map(|p| p.2)).unwrap_or(0.0)
    }

    /// Sum of the greedy pairs' IoU over the larger of the two counts; 1 when nothing is there and nothing is predicted.
    pub fn miou_sym(&self) -> f64 {
        let n = self.predicted.max(self.truth);
        if n == 0 { 1.0 } else { self.pairs().iter().map(|p| p.2).sum::<f64>() / n as f64 }
    }

    /// How many true masks are recalled: greedy pairs in order of IoU, as long as IoU and `similarity(predicted, true)` of
    /// their phrases are both at least ½. The first pair that fails either ends the count: GLaMM's code does not try further.
    pub fn recalled(&self, similarity: impl Fn(usize, usize) -> f64) -> usize {
        self.pairs().iter().take_while(|(p, t, iou)| *iou >= 0.5 && similarity(*p, *t) >= 0.5).count()
    }
}

/// Intersection over union of two masks; an empty mask, and one of another size, overlaps nothing (0, as in pycocotools).
pub fn mask_iou(a: &Mask, b: &Mask) -> f64 {
    if (a.width, a.height) != (b.width, b.height) {
        return 0.0;
    }
    let (mut both, mut any) = (0u64, 0u64);
    for (&x, &y) in a.data.iter().zip(&b.data) {
        both += u64::from(x & y & 1);
        any += u64::from((x | y) & 1);
    }
    if both == 0 { 0.0 } else { both as f64 / any as f64 }
}

/// [`Overlap::miou`] of two lists of masks.
pub fn greedy_miou(predicted: &[Mask], truth: &[Mask]) -> f64 {
    Overlap::of(predicted, truth).miou()
}

/// [`Overlap::miou_sym`] of two lists of masks.
pub fn symmetric_miou(predicted: &[Mask], truth: &[Mask]) -> f64 {
    Overlap::of(predicted, truth).miou_sym()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(bits: &[u8]) -> Mask {
        Mask { width: bits.len(), height: 1, data: bits.to_vec() }
    }

    #[test]
    fn iou_by_hand() {
        assert_eq!(mask_iou(&row(&[1, 1, 0, 0]), &row(&[0, 1, 1, 0])), 1.0 / 3.0);
        assert_eq!(mask_iou(&row(&[0, 0]), &row(&[0, 0])), 0.0);
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
        assert_eq!(Overlap::of(&[p0, p1], &[t0, t1]).pairs(), [(0, 0, 2.0 / 3.0)]);
    }

    #[test]
    fn recall_stops_at_the_first_pair_that_fails() {
        let masks: Vec<Mask> = (0..3).map(|i| row(&[0, 1, 2].map(|k| u8::from(k == i)))).collect();
        let o = Overlap::of(&masks, &masks);
        assert_eq!(o.recalled(|_, _| 1.0), 3);
        // The second pair's phrases differ: the third is not tried, though it would pass.
        assert_eq!(o.recalled(|p, _| if p == 1 { 0.0 } else { 1.0 }), 1);
        let weak = Overlap::of(&[row(&[1, 1, 1])], &masks);
        assert_eq!(weak.recalled(|_, _| 1.0), 0);
    }
}
