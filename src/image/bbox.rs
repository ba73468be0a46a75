//! An axis-aligned box in pixels of the upright photo. In JSON it is the COCO array `[x, y, w, h]`.

use serde::{Deserialize, Serialize};

/// A box: its top left corner and its size, in pixels. A pixel (i, j) covers [i, i+1) × [j, j+1), so the box of a single
/// pixel has size 1×1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "[f32; 4]", into = "[f32; 4]")]
pub struct BBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, not negative.
    pub w: f32,
    /// Height, not negative.
    pub h: f32,
}

impl From<[f32; 4]> for BBox {
    fn from([x, y, w, h]: [f32; 4]) -> Self {
        Self { x, y, w, h }
    }
}

impl From<BBox> for [f32; 4] {
    fn from(b: BBox) -> Self {
        [b.x, b.y, b.w, b.h]
    }
}

impl BBox {
    /// Area in square pixels; 0 for a box turned inside out.
    pub fn area(&self) -> f32 {
        self.w.max(0.0) * self.h.max(0.0)
    }

    /// The centre.
    pub fn centre(&self) -> [f32; 2] {
        [self.x + self.w / 2.0, self.y + self.h / 2.0]
    }

    /// The smallest box around all points; `None` for no points or one that is not finite.
    pub fn around(points: impl IntoIterator<Item = [f32; 2]>) -> Option<Self> {
        let (mut lo, mut hi) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for p in points {
            for i in 0..2 {
                if !p[i].is_finite() {
                    return None;
                }
                lo[i] = lo[i].min(p[i]);
                hi[i] = hi[i].max(p[i]);
            }
        }
        (lo[0] <= hi[0]).then(|| Self { x: lo[0], y: lo[1], w: hi[0] - lo[0], h: hi[1] - lo[1] })
    }

    /// The part inside `width` × `height` pixels; `None` where nothing of it is inside, or a value is not finite.
    pub fn clipped(&self, width: usize, height: usize) -> Option<Self> {
        self.intersection(&Self { x: 0.0, y: 0.0, w: width as f32, h: height as f32 })
    }

    /// The common part; `None` where there is none.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let w = (self.x + self.w).min(other.x + other.w) - x;
        let h = (self.y + self.h).min(other.y + other.h) - y;
        (w > 0.0 && h > 0.0 && w.is_finite() && h.is_finite()).then_some(Self { x, y, w, h })
    }

    /// Intersection over union, 0–1.
    pub fn iou(&self, other: &Self) -> f32 {
        let i = self.intersection(other).map_or(0.0, |b| b.area());
        let u = self.area() + other.area() - i;
        if u > 0.0 { i / u } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_an_array_in_json() {
        let b = BBox { x: 1.0, y: 2.5, w: 3.0, h: 4.0 };
        assert_eq!(serde_json::to_string(&b).unwrap(), "[1.0,2.5,3.0,4.0]");
        assert_eq!(serde_json::from_str::<BBox>("[1,2.5,3,4]").unwrap(), b);
        assert!(serde_json::from_str::<BBox>("[1,2,3]").is_err());
    }

    #[test]
    fn geometry() {
        let a = BBox { x: 0.0, y: 0.0, w: 2.0, h: 2.0 };
        let b = BBox { x: 1.0, y: 0.0, w: 2.0, h: 2.0 };
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.iou(&BBox { x: 2.0, ..a }), 0.0);
        assert_eq!(BBox { x: -1.0, y: 1.0, w: 9.0, h: 9.0 }.clipped(4, 3), Some(BBox { x: 0.0, y: 1.0, w: 4.0, h: 2.0 }));
        assert_eq!(BBox { x: f32::NAN, ..a }.clipped(0, 0), None);
        assert_eq!(BBox::around([[1.0, 5.0], [3.0, 2.0]]), Some(BBox { x: 1.0, y: 2.0, w: 2.0, h: 3.0 }));
        assert_eq!(BBox::around([]), None);
        assert_eq!(BBox::around([[f32::NAN, 0.0]]), None);
        assert_eq!(b.centre(), [2.0, 1.0]);
    }
}
