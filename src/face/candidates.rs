//! From the detector's raw values to faces: anchors, decoding, suppression of doubles.
//!
//! Follows MediaPipe's `SsdAnchorsCalculator` (four layers of strides 8, 16, 16, 16, two anchors a cell each, fixed anchor
//! size), `TensorsToDetectionsCalculator` (sigmoid of a logit clipped to ±100) and `NonMaxSuppressionCalculator` in its
//! weighted form. Boxes here are photo pixels as soon as they leave a window.

use super::detector::{CANDIDATES, INPUT, VALUES};
use super::sample::Roi;

/// Key points of a detection, in upstream order; "right" is the subject's right, at the left of the picture.
pub const RIGHT_EYE: usize = 0;
/// See [`RIGHT_EYE`].
pub const LEFT_EYE: usize = 1;
/// Overlap (intersection over union) above which two boxes are one face. MediaPipe's face detector uses the same.
const SAME_FACE: f32 = 0.3;
/// Share of the smaller box inside of the larger one above which both are one face (a part of a face seen by a tile).
const INSIDE: f32 = 0.7;

/// A face as the detector sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Left, top, right, bottom.
    pub corners: [f32; 4],
    /// Right eye, left eye, nose tip, mouth centre, right ear, left ear.
    pub points: [[f32; 2]; 6],
    /// 0..1.
    pub score: f32,
}

impl Detection {
    /// Box width.
    pub fn width(&self) -> f32 {
        self.corners[2] - self.corners[0]
    }

    /// Box height.
    pub fn height(&self) -> f32 {
        self.corners[3] - self.corners[1]
    }

    /// The square that the mesh network wants: rotated so that the eyes are level, 1.5 × the long side
    /// (MediaPipe's `face_detector_graph`).
    pub fn roi(&self) -> Roi {
        let [right, left] = [self.points[RIGHT_EYE], self.points[LEFT_EYE]];
        let [x0, y0, x1, y1] = self.corners;
        Roi {
            centre: [(x0 + x1) / 2.0, (y0 + y1) / 2.0],
            size: 1.5 * self.width().max(self.height()),
            angle: (left[1] - right[1]).atan2(left[0] - right[0]),
        }
    }

    /// Moves from the unit square of an upright window to the photo.
    fn placed(mut self, window: &Roi) -> Self {
        let [x0, y0, x1, y1] = self.corners;
        let (a, b) = (window.to_photo([x0, y0]), window.to_photo([x1, y1]));
        self.corners = [a[0], a[1], b[0], b[1]];
        self.points = self.points.map(|p| window.to_photo(p));
        self
    }
}

/// Centre of anchor `i`, in the unit square.
fn anchor(i: usize) -> [f32; 2] {
    // The three layers of stride 16 share cells, so their 2 + 2 + 2 anchors are neighbours.
    const FIRST: usize = 16 * 16 * 2;
    let (cell, side) = if i < FIRST { (i / 2, 16) } else { ((i - FIRST) / 6, 8) };
    [((cell % side) as f32 + 0.5) / side as f32, ((cell / side) as f32 + 0.5) / side as f32]
}

/// Faces of one window: candidates at or above `threshold`, doubles merged. Photo pixels.
///
/// `scores` has 896 logits, `values` 896 rows of 16; shorter slices give fewer candidates.
pub fn faces_of(scores: &[f32], values: &[f32], window: &Roi, threshold: f32) -> Vec<Detection> {
    let mut found = Vec::new();
    for (i, (logit, row)) in scores.iter().zip(values.chunks_exact(VALUES)).take(CANDIDATES).enumerate() {
        let score = sigmoid(*logit);
        if score.is_nan() || score < threshold || row.iter().any(|v| !v.is_finite()) {
            continue;
        }
        let anchor = anchor(i);
        let at = |k: usize| [row[k] / INPUT as f32 + anchor[0], row[k + 1] / INPUT as f32 + anchor[1]];
        let (centre, w, h) = (at(0), row[2] / INPUT as f32, row[3] / INPUT as f32);
        if w <= 0.0 || h <= 0.0 {
            continue;
        }
        let corners = [centre[0] - w / 2.0, centre[1] - h / 2.0, centre[0] + w / 2.0, centre[1] + h / 2.0];
        found.push(Detection { corners, points: std::array::from_fn(|k| at(4 + 2 * k)), score });
    }
    merged(found).into_iter().map(|d| d.placed(window)).collect()
}

/// Weighted suppression: the best box takes the score-weighted mean of the boxes that overlap it.
fn merged(mut found: Vec<Detection>) -> Vec<Detection> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept = Vec::new();
    while let Some(best) = found.first().cloned() {
        let (same, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|d| overlap(&d.corners, &best.corners).0 > SAME_FACE);
        // A box of no area overlaps nothing, not even itself: drop it, or this would never end.
        if same.is_empty() {
            found = rest.into_iter().skip(1).collect();
            continue;
        }
        let total: f32 = same.iter().map(|d| d.score).sum();
        let mean = |of: &dyn Fn(&Detection) -> f32| same.iter().map(|d| d.score * of(d)).sum::<f32>() / total;
        kept.push(Detection {
            corners: std::array::from_fn(|k| mean(&|d| d.corners[k])),
            points: std::array::from_fn(|p| std::array::from_fn(|k| mean(&|d| d.points[p][k]))),
            score: best.score,
        });
        found = rest;
    }
    kept
}

/// Keeps the first of boxes that show the same face; order of preference is the order given.
pub fn distinct<T>(sorted: Vec<T>, corners: impl Fn(&T) -> [f32; 4]) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for item in sorted {
        let double = kept.iter().any(|k| {
            let (iou, inside) = overlap(&corners(k), &corners(&item));
            iou > SAME_FACE || inside > INSIDE
        });
        if !double {
            kept.push(item);
        }
    }
    kept
}

/// Intersection over union, and over the smaller of both.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> (f32, f32) {
    let area = |c: &[f32; 4]| (c[2] - c[0]).max(0.0) * (c[3] - c[1]).max(0.0);
    let both = area(&[a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    if both <= 0.0 {
        return (0.0, 0.0);
    }
    (both / (area(a) + area(b) - both), both / area(a).min(area(b)))
}

/// The logistic function, clipped as upstream does.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit.clamp(-100.0, 100.0)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Roi {
        Roi::upright([100.0, 50.0], 256.0)
    }

    #[test]
    fn anchors_walk_rows_first() {
        assert_eq!(anchor(0), anchor(1));
        assert_eq!(anchor(2), [1.5 / 16.0, 0.5 / 16.0]);
        assert_eq!(anchor(512), anchor(517));
        assert_eq!(anchor(CANDIDATES - 1), [7.5 / 8.0, 7.5 / 8.0]);
    }

    #[test]
    fn a_candidate_lands_on_its_place_in_the_photo() {
        let mut scores = vec![-50.0; CANDIDATES];
        let mut values = vec![0.0; CANDIDATES * VALUES];
        // Anchor 0 is at input pixel (4, 4); the box is moved by (28, 60) and is 16 wide, 32 high.
        scores[0] = 3.0;
        values[..4].copy_from_slice(&[28.0, 60.0, 16.0, 32.0]);
        values[4..8].copy_from_slice(&[24.0, 56.0, 32.0, 56.0]);
        let found = faces_of(&scores, &values, &window(), 0.5);
        assert_eq!(found.len(), 1);
        // Window: 2 photo pixels an input pixel, origin (-28, -78).
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near(&found[0].corners, &[20.0, 18.0, 52.0, 82.0]), "{:?}", found[0]);
        assert!(near(&found[0].points[RIGHT_EYE], &[28.0, 42.0]), "{:?}", found[0]);
        let roi = found[0].roi();
        assert!(near(&[roi.centre[0], roi.centre[1], roi.size, roi.angle], &[36.0, 50.0, 96.0, 0.0]), "{roi:?}");
        assert!((found[0].score - 0.952_574).abs() < 1e-5);
    }

    #[test]
    fn overlapping_candidates_are_averaged_by_score() {
        let face = |x: f32, score| Detection { corners: [x, 0.0, x + 10.0, 10.0], points: [[x, 0.0]; 6], score };
        let out = merged(vec![face(0.0, 0.9), face(1.0, 0.9), face(50.0, 0.6)]);
        assert_eq!(out.len(), 2);
        assert!((out[0].corners[0] - 0.5).abs() < 1e-5 && (out[0].points[3][0] - 0.5).abs() < 1e-5);
        let part = face(52.0, 0.5);
        let part = Detection { corners: [52.0, 2.0, 56.0, 6.0], ..part };
        assert_eq!(distinct(vec![face(50.0, 0.6), part], |d| d.corners).len(), 1);
    }

    #[test]
    fn nonsense_from_the_network_gives_no_face() {
        let scores = vec![f32::NAN; CANDIDATES];
        assert!(faces_of(&scores, &vec![1.0; CANDIDATES * VALUES], &window(), 0.5).is_empty());
        let scores = vec![9.0; CANDIDATES];
        assert!(faces_of(&scores, &vec![f32::INFINITY; CANDIDATES * VALUES], &window(), 0.5).is_empty());
        assert!(faces_of(&scores, &vec![0.0; CANDIDATES * VALUES], &window(), 0.5).is_empty());
    }
}
