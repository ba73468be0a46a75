//! A half-open rectangle of pixels, so that work can be confined to where something is.

/// Half-open pixel rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    pub x0: usize,
    pub y0: usize,
    pub x1: usize,
    pub y1: usize,
}

impl Rect {
    pub fn width(&self) -> usize {
        self.x1 - self.x0
    }
    pub fn height(&self) -> usize {
        self.y1 - self.y0
    }
    /// All pixel indices of the rectangle in an image `width` wide.
    pub fn indices(self, width: usize) -> impl Iterator<Item = usize> {
        (self.y0..self.y1).flat_map(move |y| (self.x0..self.x1).map(move |x| y * width + x))
    }
    /// Grown by `by` pixels on all sides, clipped.
    pub fn grown(self, by: usize, width: usize, height: usize) -> Self {
        Self {
            x0: self.x0.saturating_sub(by),
            y0: self.y0.saturating_sub(by),
            x1: (self.x1 + by).min(width),
            y1: (self.y1 + by).min(height),
        }
    }
    /// Bounding rectangle of the pixels where `on`; `None` when there is none.
    pub fn of(width: usize, height: usize, on: impl Fn(usize) -> bool) -> Option<Self> {
        let (mut x0, mut y0, mut x1, mut y1) = (width, height, 0, 0);
        for y in 0..height {
            for x in 0..width {
                if on(y * width + x) {
                    x0 = x0.min(x);
                    x1 = x1.max(x + 1);
                    y0 = y0.min(y);
                    y1 = y1.max(y + 1);
                }
            }
        }
        (x0 < x1).then_some(Self { x0, y0, x1, y1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_of_what_is_on() {
        let on = [6, 7, 11];
        let r = Rect::of(5, 4, |i| on.contains(&i)).unwrap();
        assert_eq!(r, Rect { x0: 1, y0: 1, x1: 3, y1: 3 });
        assert_eq!(r.indices(5).collect::<Vec<_>>(), [6, 7, 11, 12]);
        assert_eq!(r.grown(2, 5, 4), Rect { x0: 0, y0: 0, x1: 5, y1: 4 });
        assert_eq!(Rect::of(5, 4, |_| false), None);
    }
}
