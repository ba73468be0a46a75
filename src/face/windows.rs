//! Where to look: the whole photo first, then overlapping tiles of half the side, and so on.
//!
//! The short-range detector misses faces that fill less than about 15 % of its input. A tile level halves the side, so
//! that a face too small for one level is between 15 % and 30 % of the next; tiles overlap by a third of their side, so
//! that such a face is whole in at least one tile. The number of tiles is bounded by the caller's budget.

use super::sample::Roi;

/// Smallest share of the detector's input that a face may fill.
pub const REACH: f32 = 0.15;
/// Overlap of neighbouring tiles, share of their side: at least twice [`REACH`].
const OVERLAP: f32 = 1.0 / 3.0;

/// The square around the whole photo.
pub fn whole(width: usize, height: usize) -> Roi {
    Roi::upright([width as f32 / 2.0, height as f32 / 2.0], width.max(height) as f32)
}

/// Side of the tiles of a level; level 0 is the whole photo.
pub fn side(width: usize, height: usize, level: u32) -> f32 {
    width.max(height) as f32 / 2f32.powi(level as i32)
}

/// Tiles of a level ≥ 1, rows first. Empty for an empty photo.
pub fn tiles(width: usize, height: usize, level: u32) -> Vec<Roi> {
    let side = side(width, height, level);
    let (xs, ys) = (centres(width as f32, side), centres(height as f32, side));
    ys.iter().flat_map(|y| xs.iter().map(move |x| Roi::upright([*x, *y], side))).collect()
}

/// Centres of equally spaced intervals of that side which cover `0..length`.
fn centres(length: f32, side: f32) -> Vec<f32> {
    if length <= side {
        return vec![length / 2.0];
    }
    let gaps = ((length - side) / (side * (1.0 - OVERLAP)) - 1e-3).ceil().max(1.0);
    let step = (length - side) / gaps;
    (0..=gaps as usize).map(|i| side / 2.0 + i as f32 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_photo_and_overlap() {
        for (w, h) in [(1000, 1000), (1600, 900), (300, 2000), (128, 128)] {
            for level in 1..4 {
                let xs = centres(w as f32, side(w, h, level));
                let s = side(w, h, level);
                assert!(xs[0] - s / 2.0 <= 0.01 && xs[xs.len() - 1] + s / 2.0 >= w as f32 - 0.01);
                for pair in xs.windows(2) {
                    assert!(pair[1] - pair[0] <= s * 0.67, "{xs:?}");
                }
            }
        }
    }

    #[test]
    fn the_count_is_as_planned() {
        let counts: Vec<usize> = (1..4).map(|l| tiles(1000, 1000, l).len()).collect();
        assert_eq!(counts, [9, 36, 144]);
        assert_eq!(tiles(1000, 400, 1).len(), 3);
    }
}
