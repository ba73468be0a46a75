//! AP50 as COCO's evaluation computes it (pycocotools `COCOeval`, one category, `iouType` segm, all areas), in the form in which
//! GLaMM's evaluation calls it: every predicted mask has the score 1, so the ranking is the order of images and masks.
//!
//! With one score for all, precision is read along an arbitrary order: the figure is comparable with the field's, and says less
//! than the two mean IoUs.

use super::Overlap;

/// Most predicted masks of one image; further ones are not looked at.
const MAX_DETECTIONS: usize = 100;

/// Average precision at IoU ½, over images in order; `None` when no image has a true mask.
pub fn ap50<'a>(images: impl IntoIterator<Item = &'a Overlap>) -> Option<f64> {
    let mut truth = 0;
    let mut hits: Vec<bool> = Vec::new();
    for image in images {
        truth += image.truth();
        let mut taken = vec![false; image.truth()];
        for p in 0..image.predicted().min(MAX_DETECTIONS) {
            // The best true mask that is free; among equals the last, as the reference does.
            let mut best: (Option<usize>, f64) = (None, 0.5);
            for t in (0..image.truth()).filter(|t| !taken[*t]) {
                if image.at(p, t) >= best.1 {
                    best = (Some(t), image.at(p, t));
                }
            }
            if let Some(t) = best.0 {
                taken[t] = true;
            }
            hits.push(best.0.is_some());
        }
    }
    (truth > 0).then(|| average_precision(&hits, truth))
}

/// Interpolated precision averaged over 101 recalls (0, 0.01 … 1), for detections in order.
fn average_precision(hits: &[bool], truth: usize) -> f64 {
    let mut found = 0usize;
    let mut curve: Vec<(f64, f64)> = hits
        .iter()
        .enumerate()
        .map(|(i, hit)| {
            found += usize::from(*hit);
            (found as f64 / truth as f64, found as f64 / ((i + 1) as f64 + f64::EPSILON))
        })
        .collect();
    for i in (1..curve.len()).rev() {
        curve[i - 1].1 = curve[i - 1].1.max(curve[i].1);
    }
    let precision = |recall: f64| curve.get(curve.partition_point(|c| c.0 < recall)).map_or(0.0, |c| c.1);
    (0..=100).map(|r| precision(f64::from(r) * 0.01)).sum::<f64>() / 101.0
}

#[cfg(test)]
mod tests {
    use super::super::overlap::tests::row;
    use super::*;

    #[test]
    fn by_hand() {
        let (a, b) = (row(&[1, 1, 0, 0]), row(&[0, 0, 1, 1]));
        let (both, none) = ([a.clone(), b.clone()], []);
        let perfect = Overlap::of(&both, &both);
        assert!((ap50([&perfect]).unwrap() - 1.0).abs() < 1e-12);
        // One of two found, nothing false: precision 1 up to recall ½, which is 51 of 101 points.
        assert!((ap50([&Overlap::of(&both[..1], &both)]).unwrap() - 51.0 / 101.0).abs() < 1e-12);
        // A false mask on the first image halves the precision of what follows.
        let false_first = ap50([&Overlap::of(&both[..1], &none), &Overlap::of(&both[..1], &both[..1])]).unwrap();
        assert!((false_first - 0.5).abs() < 1e-12);
        // The same mask twice: the second is false, but comes after full recall.
        assert!((ap50([&Overlap::of(&[a.clone(), a], &both[..1])]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(ap50([&Overlap::of(&both, &none)]), None);
        assert_eq!(ap50([&Overlap::of(&none, &both)]), Some(0.0));
    }
}
