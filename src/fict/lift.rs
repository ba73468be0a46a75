//! The rule that says which concepts a forgery mask touched, and when a parent is named instead of its children.
//!
//! 1. A leaf FIRES when the artifact covers at least [`COVERED`] of the leaf, or the leaf holds at least [`SHARE`] of the
//!    artifact. Leaves under [`MIN_AREA`] of the frame (a closed inner mouth) cannot fire and do not count as children.
//! 2. A parent fires when at least [`MOST`] of its countable children fire, and at least two do. This is applied from the
//!    leaves upwards; a parent that fires is named in place of everything below it.
//! 3. An artifact that fires nothing is named by the leaf that holds most of it.
//!
//! The paper states that such conditions exist but not what they are; these are ours.

use super::{BACKGROUND, CONCEPTS, LEAVES, LeafSet, Recipe, children, leaf_id, leaf_set, leaves};
use crate::image::Mask;

/// Least part of a leaf's area that the artifact must cover.
pub const COVERED: f32 = 0.35;
/// Or: least part of the artifact that the leaf must hold.
pub const SHARE: f32 = 0.35;
/// Least part of a parent's countable children that must fire.
pub const MOST: f32 = 0.75;
/// Least area of a leaf, as a part of the frame (20 px of 448²).
pub const MIN_AREA: f32 = 1e-4;

/// How much one leaf has to do with an artifact.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ConceptHit {
    /// Id of the leaf.
    pub leaf: &'static str,
    /// Label of the leaf.
    pub label: u8,
    /// Part of the leaf's area that the artifact covers, 0..1.
    pub covered: f32,
    /// Part of the artifact that lies in the leaf, 0..1.
    pub share: f32,
    /// Whether the leaf fires (rule 1).
    pub fires: bool,
}

/// All leaves that the artifact overlaps, in label order. `labels` and the mask have the same size; else nothing is hit.
pub fn hits(labels: &[u8], artifact: &Mask) -> Vec<ConceptHit> {
    if labels.len() != artifact.data.len() {
        return Vec::new();
    }
    let (mut area, mut both, mut total) = ([0u32; LEAVES], [0u32; LEAVES], 0u32);
    for (&l, &a) in labels.iter().zip(&artifact.data) {
        total += u32::from(a);
        if let Some(n) = area.get_mut(l as usize) {
            *n += 1;
            both[l as usize] += u32::from(a);
        }
    }
    let least = MIN_AREA * labels.len() as f32;
    (0..LEAVES)
        .filter(|&l| both[l] > 0)
        .filter_map(|l| {
            let covered = both[l] as f32 / area[l] as f32;
            let share = both[l] as f32 / total as f32;
            let fires = area[l] as f32 >= least && (covered >= COVERED || share >= SHARE);
            Some(ConceptHit { leaf: leaf_id(l as u8)?, label: l as u8, covered, share, fires })
        })
        .collect()
}

/// The concepts to name, most of the artifact first: fired leaves, lifted to parents (rules 2 and 3).
pub fn lifted(labels: &[u8], hits: &[ConceptHit]) -> Vec<&'static str> {
    let mut fired: LeafSet = hits.iter().filter(|h| h.fires).fold(0, |s, h| s | 1 << h.label);
    if fired == 0 {
        let Some(best) = hits.iter().max_by(|a, b| a.share.total_cmp(&b.share)) else { return Vec::new() };
        fired = 1 << best.label;
    }
    let countable = countable(labels);
    let mut named: Vec<(&'static str, LeafSet)> =
        leaves().enumerate().filter(|(l, _)| fired >> l & 1 == 1).map(|(l, c)| (c.id, 1 << l)).collect();
    // Children stand after their parents in the table, so its reverse order goes upwards.
    for parent in CONCEPTS.iter().rev().filter(|c| matches!(c.recipe, Recipe::Union)) {
        let (mut all, mut on) = (0, 0);
        for child in children(parent.id) {
            let set = leaf_set(child.id).unwrap_or(0);
            if set & countable == 0 {
                continue;
            }
            all += 1;
            on += usize::from(named.iter().any(|n| n.0 == child.id));
        }
        if on >= 2 && on as f32 >= MOST * all as f32 {
            let set = leaf_set(parent.id).unwrap_or(0);
            named.retain(|n| n.1 & !set != 0);
            named.push((parent.id, set));
        }
    }
    let share = |set: LeafSet| hits.iter().filter(|h| set >> h.label & 1 == 1).map(|h| h.share).sum::<f32>();
    named.sort_by(|a, b| share(b.1).total_cmp(&share(a.1)));
    named.into_iter().map(|n| n.0).collect()
}

/// The leaves that are large enough in this frame to count.
pub fn countable(labels: &[u8]) -> LeafSet {
    let mut area = [0u32; LEAVES];
    for &l in labels.iter().filter(|&&l| l != BACKGROUND) {
        if let Some(n) = area.get_mut(l as usize) {
            *n += 1;
        }
    }
    let least = MIN_AREA * labels.len() as f32;
    (0..LEAVES).filter(|&l| area[l] as f32 >= least).fold(0, |s, l| s | 1 << l)
}

#[cfg(test)]
mod tests {
    use super::super::{labels, mask_of, tests::mean_mesh};
    use super::*;

    fn named_for(ids: &[&str]) -> Vec<&'static str> {
        let map = labels(&mean_mesh(448.0), 448, 448);
        let set = ids.iter().fold(0, |s, id| s | leaf_set(id).unwrap());
        let hits = hits(&map, &mask_of(&map, set, 448, 448));
        lifted(&map, &hits)
    }

    #[test]
    fn a_leaf_stays_a_leaf() {
        assert_eq!(named_for(&["left_eyebrow"]), ["left_eyebrow"]);
    }

    #[test]
    fn most_children_name_the_parent() {
        assert_eq!(named_for(&["left_eyebrow", "right_eyebrow"]), ["eyebrows"]);
        assert_eq!(named_for(&["left_eye_region"]), ["left_eye_region"]);
        assert_eq!(named_for(&["left_jaw", "chin"]).len(), 2, "two of three is not most");
        assert_eq!(named_for(&["inner_face"]), ["inner_face"]);
        assert_eq!(named_for(&["face"]), ["face"]);
    }

    #[test]
    fn a_thin_artifact_is_named_by_the_leaf_that_holds_most_of_it() {
        let map = labels(&mean_mesh(448.0), 448, 448);
        let mut m = Mask { width: 448, height: 448, data: vec![0; 448 * 448] };
        // Every 4th pixel of three big leaves: covers 25 % of each, and none holds 35 %... unless it is the largest.
        let set = ["left_cheek", "right_cheek", "left_jaw", "right_jaw"].iter().fold(0, |s, id| s | leaf_set(id).unwrap());
        for (i, l) in map.iter().enumerate() {
            m.data[i] = u8::from(*l != BACKGROUND && set >> l & 1 == 1 && i % 4 == 0);
        }
        let hits = hits(&map, &m);
        assert!(hits.iter().all(|h| !h.fires), "{hits:?}");
        assert_eq!(lifted(&map, &hits).len(), 1);
    }
}
