//! The pixels that a measurement compares: the part, the ring around it, the mirror part.

use crate::fict::{self, BACKGROUND, Set};
use crate::image::Mask;
use crate::image::{blur::boxed, rect::Rect};

/// Fewer pixels than this say nothing.
pub const LEAST: usize = 80;

/// Pixel indices of the picture.
#[derive(Debug)]
pub struct Region {
    /// The part: the concept, or where a mask is given its changed pixels in the concept.
    pub part: Vec<usize>,
    /// Unchanged pixels of the face within about 12 px of the part.
    pub ring: Vec<usize>,
    /// Unchanged pixels of the mirrored concept; empty where there is none (nose, chin).
    pub mirror: Vec<usize>,
    /// The border of the change inside the concept (without a mask: of the concept), inner side.
    pub border: Vec<usize>,
    /// Bounding rectangle of the part.
    pub rect: Rect,
}

/// The id of the concept on the other side; `None` for concepts of the middle or of both sides.
pub fn mirror_id(id: &str) -> Option<&'static str> {
    let other = if id.contains("left") { id.replace("left", "right") } else { id.replace("right", "left") };
    (other != id).then(|| fict::concept(&other).map(|c| c.id)).flatten()
}

impl Region {
    /// `None` if the part has fewer than [`LEAST`] pixels. `labels`: label map of the picture; `changed`: of its size, or none.
    pub fn of(id: &str, labels: &[u8], width: usize, changed: Option<&Mask>) -> Option<Self> {
        let height = labels.len().checked_div(width)?;
        let set = fict::part_set(id)?;
        let touched = |i: usize| changed.is_some_and(|m| m.data.get(i) == Some(&1));
        let inside = |i: usize| holds(set, labels[i]) && (changed.is_none() || touched(i));
        let rect = Rect::of(width, height, inside)?;
        let part: Vec<usize> = rect.indices(width).filter(|&i| inside(i)).collect();
        if part.len() < LEAST {
            return None;
        }
        let reach = (width as f32 * 0.027).round().max(4.0) as usize;
        let around = rect.grown(reach + 3, width, height);
        let mut near: Vec<f32> = around.indices(width).map(|i| f32::from(u8::from(inside(i)))).collect();
        let own = near.clone();
        boxed(&mut near, around.width(), around.height(), reach);
        let ring = around
            .indices(width)
            .zip(near.iter().zip(&own))
            .filter(|&(i, (n, o))| *n > 1e-4 && *o == 0.0 && labels[i] != BACKGROUND && !touched(i))
            .map(|t| t.0)
            .collect();
        let other = mirror_id(id).and_then(fict::part_set).unwrap_or(0);
        let mirror = (0..labels.len()).filter(|&i| holds(other, labels[i]) && !touched(i)).collect();
        let edge = |i: usize| {
            let out = |j: usize| if changed.is_some() { !touched(j) } else { !inside(j) };
            let (x, y) = (i % width, i / width);
            x > 0 && y > 0 && x + 1 < width && y + 1 < height && (out(i - 1) || out(i + 1) || out(i - width) || out(i + width))
        };
        let border = part.iter().copied().filter(|&i| edge(i)).collect();
        Some(Self { part, ring, mirror, border, rect })
    }
}

fn holds(set: Set, label: u8) -> bool {
    label < 128 && set >> label & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fict::tests::mean_mesh;

    #[test]
    fn parts_rings_and_mirrors_are_apart() {
        let labels = fict::part_labels(&mean_mesh(448.0), 448, 448);
        let whole = Region::of("left_cheek", &labels, 448, None).unwrap();
        assert!(whole.ring.len() > 300 && whole.mirror.len() > LEAST && !whole.border.is_empty());
        let right = fict::part_set("right_cheek").unwrap();
        assert!(whole.mirror.iter().all(|&i| holds(right, labels[i])));
        assert!(whole.ring.iter().all(|i| whole.part.binary_search(i).is_err()));
        assert!(Region::of("nose", &labels, 448, None).unwrap().mirror.is_empty());
        // A change of the upper half: the part is that half, and neither ring nor mirror holds a changed pixel.
        let half = Mask { width: 448, height: 448, data: (0..448 * 448).map(|i| u8::from(i / 448 < 230)).collect() };
        let part = Region::of("left_cheek", &labels, 448, Some(&half)).unwrap();
        assert!(part.part.len() < whole.part.len() && part.ring.iter().chain(&part.mirror).all(|&i| half.data[i] == 0));
        assert!(Region::of("tail", &labels, 448, None).is_none());
        assert_eq!((mirror_id("left_eye"), mirror_id("nose")), (Some("right_eye"), None));
    }
}
