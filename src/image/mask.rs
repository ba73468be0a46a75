//! Binary masks in pixels of the upright photo, and their measures.

use super::{BBox, Rgb8};
use crate::error::{Error, Result};

/// A binary mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `width * height` values, row-major, each 0 or 1.
    pub data: Vec<u8>,
}

impl Mask {
    /// An empty mask.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0; width * height] }
    }

    /// A mask from its values; anything but 0 counts as 1. Fails where their number is not `width * height`.
    pub fn from_data(width: usize, height: usize, mut data: Vec<u8>) -> Result<Self> {
        if width.checked_mul(height) != Some(data.len()) {
            return Err(Error::Request(format!("{} values for a mask of {width}×{height}", data.len())));
        }
        data.iter_mut().for_each(|v| *v = u8::from(*v != 0));
        Ok(Self { width, height, data })
    }

    /// A mask drawn as a picture: 1 where the luma (BT.601) is 128 or more.
    pub fn from_rgb(rgb: &Rgb8) -> Self {
        let luma = |p: &[u8; 3]| (299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]) + 500) / 1000;
        let data = rgb.data.as_chunks::<3>().0.iter().map(|p| u8::from(luma(p) >= 128)).collect();
        Self { width: rgb.width, height: rgb.height, data }
    }

    /// 1 inside of the box (pixels whose centre is in it), 0 elsewhere.
    pub fn from_bbox(width: usize, height: usize, b: &BBox) -> Self {
        let mut mask = Self::new(width, height);
        // `as usize` sends what is negative or not a number to 0.
        let edge = |v: f32, n: usize| ((v - 0.5).ceil() as usize).min(n);
        let (x0, x1) = (edge(b.x, width), edge(b.x + b.w, width));
        for y in edge(b.y, height)..edge(b.y + b.h, height) {
            if x0 < x1 {
                mask.data[y * width + x0..y * width + x1].fill(1);
            }
        }
        mask
    }

    /// The value at (`x`, `y`); false outside.
    pub fn get(&self, x: usize, y: usize) -> bool {
        x < self.width && y < self.height && self.data.get(y * self.width + x).is_some_and(|&v| v != 0)
    }

    /// Number of pixels that are 1.
    pub fn area(&self) -> usize {
        self.data.iter().filter(|&&v| v != 0).count()
    }

    /// The smallest box around all pixels that are 1; `None` for an empty mask.
    pub fn bbox(&self) -> Option<BBox> {
        let (mut x0, mut x1, mut y0, mut y1) = (usize::MAX, 0, usize::MAX, 0);
        for (y, row) in self.data.chunks_exact(self.width.max(1)).enumerate() {
            if let (Some(a), Some(b)) = (row.iter().position(|&v| v != 0), row.iter().rposition(|&v| v != 0)) {
                (x0, x1, y0, y1) = (x0.min(a), x1.max(b + 1), y0.min(y), y + 1);
            }
        }
        (x0 < x1).then(|| BBox { x: x0 as f32, y: y0 as f32, w: (x1 - x0) as f32, h: (y1 - y0) as f32 })
    }

    /// Intersection over union, 0–1. Two empty masks are the same mask: 1 (pycocotools says 0 there). Fails where the
    /// sizes differ.
    pub fn iou(&self, other: &Self) -> Result<f32> {
        self.same_size(other)?;
        let (mut i, mut u) = (0u64, 0u64);
        for (&a, &b) in self.data.iter().zip(&other.data) {
            i += u64::from(a & b);
            u += u64::from(a | b);
        }
        Ok(if u == 0 { 1.0 } else { (i as f64 / u as f64) as f32 })
    }

    /// 1 where either is 1. Fails where the sizes differ.
    pub fn union(&self, other: &Self) -> Result<Self> {
        self.zip(other, |a, b| a | b)
    }

    /// 1 where both are 1. Fails where the sizes differ.
    pub fn intersection(&self, other: &Self) -> Result<Self> {
        self.zip(other, |a, b| a & b)
    }

    fn zip(&self, other: &Self, f: impl Fn(u8, u8) -> u8) -> Result<Self> {
        self.same_size(other)?;
        let data = self.data.iter().zip(&other.data).map(|(&a, &b)| f(a, b)).collect();
        Ok(Self { width: self.width, height: self.height, data })
    }

    fn same_size(&self, other: &Self) -> Result<()> {
        if (self.width, self.height, self.data.len()) == (other.width, other.height, other.data.len()) {
            return Ok(());
        }
        Err(Error::Request(format!("masks of {}×{} and {}×{}", self.width, self.height, other.width, other.height)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: [&str; 3]) -> Mask {
        let data = rows.concat().bytes().map(|b| b - b'0').collect();
        Mask::from_data(4, 3, data).unwrap()
    }

    #[test]
    fn measures() {
        let a = mask(["0110", "0110", "0000"]);
        let b = mask(["0011", "0011", "0000"]);
        assert_eq!(a.area(), 4);
        assert_eq!(a.bbox(), Some(BBox { x: 1.0, y: 0.0, w: 2.0, h: 2.0 }));
        assert!((a.iou(&b).unwrap() - 2.0 / 6.0).abs() < 1e-6);
        assert_eq!(a.union(&b).unwrap(), mask(["0111", "0111", "0000"]));
        assert_eq!(a.intersection(&b).unwrap(), mask(["0010", "0010", "0000"]));
        let empty = Mask::new(4, 3);
        assert_eq!((empty.bbox(), empty.iou(&empty).unwrap(), empty.iou(&a).unwrap()), (None, 1.0, 0.0));
        assert_eq!(a.iou(&Mask::new(3, 4)).unwrap_err().code(), "request.bad");
        assert!(Mask::from_data(2, 2, vec![0; 3]).is_err());
        assert_eq!(Mask::new(0, 0).bbox(), None);
    }

    #[test]
    fn from_drawings_and_boxes() {
        let rgb = Rgb8::new(4, 3, mask(["0110", "0000", "1000"]).data.iter().flat_map(|&v| [v * 255; 3]).collect()).unwrap();
        assert_eq!(Mask::from_rgb(&rgb), mask(["0110", "0000", "1000"]));
        let b = BBox { x: 0.6, y: 1.0, w: 2.0, h: 9.0 };
        assert_eq!(Mask::from_bbox(4, 3, &b), mask(["0000", "0110", "0110"]));
        assert_eq!(Mask::from_bbox(4, 3, &BBox { x: -5.0, y: f32::NAN, w: 3.0, h: 1.0 }).area(), 0);
        assert_eq!(Mask::from_bbox(4, 3, &BBox { x: 3.0, w: -2.0, y: 0.0, h: 3.0 }).area(), 0);
        assert!(mask(["0110", "0000", "1000"]).get(0, 2));
        assert!(!mask(["0110", "0000", "1000"]).get(4, 0));
    }
}
