//! The rule that says which concepts a forgery mask touched, and when a parent is named instead of its children.
//!
//! The rule is the same at both depths of the tree; an *end* is a part at the depth of parts, a leaf at that of leaves.
//!
//! 1. An end FIRES when the artifact covers at least [`COVERED`] of it, or it holds at least [`SHARE`] of the artifact. Ends
//!    under [`MIN_AREA`] of the frame (a closed inner mouth) cannot fire and do not count as children.
//! 2. A parent fires when at least [`MOST`] of its countable children fire, and at least two do. This is applied from the
//!    ends upwards; a parent that fires is named in place of everything below it.
//! 3. An artifact that fires nothing is named by the end that holds most of it.
//!
//! The paper states that such conditions exist but not what they are; these are ours.

use super::{BACKGROUND, Concept, Depth, Set};
use crate::image::Mask;

/// Least part of an end's area that the artifact must cover.
pub const COVERED: f32 = 0.35;
/// Or: least part of the artifact that the end must hold.
pub const SHARE: f32 = 0.35;
/// Least part of a parent's countable children that must fire.
pub const MOST: f32 = 0.75;
/// Least area of an end, as a part of the frame (20 px of 448²).
pub const MIN_AREA: f32 = 1e-4;

/// How much one end of the tree has to do with an artifact.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ConceptHit {
    /// Id of the part or leaf.
    pub leaf: &'static str,
    /// Its label at the depth of the label map.
    pub label: u8,
    /// Part of its area that the artifact covers, 0..1.
    pub covered: f32,
    /// Part of the artifact that lies in it, 0..1.
    pub share: f32,
    /// Whether it fires (rule 1).
    pub fires: bool,
}

/// [`hits_at`] the depth of the model's parts.
pub fn hits(labels: &[u8], artifact: &Mask) -> Vec<ConceptHit> {
    hits_at(Depth::Parts, labels, artifact)
}

/// [`lifted_at`] the depth of the model's parts.
pub fn lifted(labels: &[u8], hits: &[ConceptHit]) -> Vec<&'static str> {
    lifted_at(Depth::Parts, labels, hits)
}

/// [`countable_at`] the depth of the model's parts.
pub fn countable(labels: &[u8]) -> Set {
    countable_at(Depth::Parts, labels)
}

/// All ends that the artifact overlaps, in label order. `labels` is a label map of this depth, of the mask's size; with another
/// size nothing is hit.
pub fn hits_at(depth: Depth, labels: &[u8], artifact: &Mask) -> Vec<ConceptHit> {
    if labels.len() != artifact.data.len() {
        return Vec::new();
    }
    let (mut area, mut both, mut total) = ([0u32; 256], [0u32; 256], 0u32);
    for (&l, &a) in labels.iter().zip(&artifact.data) {
        total += u32::from(a);
        area[usize::from(l)] += 1;
        both[usize::from(l)] += u32::from(a);
    }
    let least = MIN_AREA * labels.len() as f32;
    depth
        .ends()
        .enumerate()
        .filter(|(l, _)| both[*l] > 0)
        .map(|(l, end)| {
            let covered = both[l] as f32 / area[l] as f32;
            let share = both[l] as f32 / total as f32;
            let fires = area[l] as f32 >= least && (covered >= COVERED || share >= SHARE);
            ConceptHit { leaf: end.id, label: l as u8, covered, share, fires }
        })
        .collect()
}

/// The concepts to name, most of the artifact first: fired ends, lifted to parents (rules 2 and 3).
pub fn lifted_at(depth: Depth, labels: &[u8], hits: &[ConceptHit]) -> Vec<&'static str> {
    let mut fired: Set = hits.iter().filter(|h| h.fires).fold(0, |s, h| s | 1 << h.label);
    if fired == 0 {
        let Some(best) = hits.iter().max_by(|a, b| a.share.total_cmp(&b.share)) else { return Vec::new() };
        fired = 1 << best.label;
    }
    let countable = countable_at(depth, labels);
    let mut named: Vec<(&'static str, Set)> =
        depth.ends().enumerate().filter(|(l, _)| fired >> l & 1 == 1).map(|(l, c)| (c.id, 1 << l)).collect();
    // Children stand after their parents in the table, so its reverse order goes upwards.
    let rows: Vec<&Concept> = depth.rows().collect();
    for parent in rows.iter().rev() {
        let (mut all, mut on) = (0, 0);
        for child in rows.iter().filter(|c| c.parent == Some(parent.id)) {
            let set = depth.set(child.id).unwrap_or(0);
            if set & countable == 0 {
                continue;
            }
            all += 1;
            on += usize::from(named.iter().any(|n| n.0 == child.id));
        }
        if on >= 2 && on as f32 >= MOST * all as f32 {
            let set = depth.set(parent.id).unwrap_or(0);
            named.retain(|n| n.1 & !set != 0);
            named.push((parent.id, set));
        }
    }
    let share = |set: Set| hits.iter().filter(|h| set >> h.label & 1 == 1).map(|h| h.share).sum::<f32>();
    named.sort_by(|a, b| share(b.1).total_cmp(&share(a.1)));
    named.into_iter().map(|n| n.0).collect()
}

/// The ends that are large enough in this frame to count.
pub fn countable_at(depth: Depth, labels: &[u8]) -> Set {
    let mut area = [0u32; 256];
    for &l in labels.iter().filter(|&&l| l != BACKGROUND) {
        area[usize::from(l)] += 1;
    }
    let least = MIN_AREA * labels.len() as f32;
    (0..depth.count()).filter(|&l| area[l] as f32 >= least).fold(0, |s, l| s | 1 << l)
}

#[cfg(test)]
mod tests {
    use super::super::{Seen, leaf_labels, mask_of, part_labels, part_set, tests::mean_mesh};
    use super::*;

    fn named_for(ids: &[&str]) -> Vec<&'static str> {
        let map = part_labels(&mean_mesh(448.0), 448, 448);
        let set = ids.iter().fold(0, |s, id| s | part_set(id).unwrap());
        let hits = hits(&map, &mask_of(&map, set, 448, 448));
        lifted(&map, &hits)
    }

    #[test]
    fn a_part_stays_a_part() {
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
    fn a_thin_artifact_is_named_by_the_part_that_holds_most_of_it() {
        let map = part_labels(&mean_mesh(448.0), 448, 448);
        let mut m = Mask { width: 448, height: 448, data: vec![0; 448 * 448] };
        // Every 4th pixel of three big parts: covers 25 % of each, and none holds 35 %... unless it is the largest.
        let set = ["left_cheek", "right_cheek", "left_jaw", "right_jaw"].iter().fold(0, |s, id| s | part_set(id).unwrap());
        for (i, l) in map.iter().enumerate() {
            m.data[i] = u8::from(*l != BACKGROUND && set >> l & 1 == 1 && i % 4 == 0);
        }
        let hits = hits(&map, &m);
        assert!(hits.iter().all(|h| !h.fires), "{hits:?}");
        assert_eq!(lifted(&map, &hits).len(), 1);
    }

    /// What is named at the depth of leaves for an artifact that is exactly these concepts.
    fn leaves_named_for(ids: &[&str]) -> Vec<&'static str> {
        let map = leaf_labels(&mean_mesh(448.0), &Seen::default(), 448, 448);
        let set = ids.iter().fold(0, |s, id| s | Depth::Leaves.set(id).unwrap());
        let hits = hits_at(Depth::Leaves, &map, &mask_of(&map, set, 448, 448));
        lifted_at(Depth::Leaves, &map, &hits)
    }

    #[test]
    fn every_concept_that_is_touched_whole_is_named_by_its_own_name() {
        for c in Depth::Leaves.rows() {
            assert_eq!(leaves_named_for(&[c.id]), [c.id]);
        }
    }

    #[test]
    fn pieces_are_lifted_part_by_part() {
        assert_eq!(leaves_named_for(&["right_eyebrow_head", "right_eyebrow_body", "right_eyebrow_tail", "left_eyebrow"]), ["eyebrows"]);
        let two = leaves_named_for(&["right_eyebrow_head", "right_eyebrow_body"]);
        assert_eq!(two.len(), 2, "two of three is not most: {two:?}");
        let most = leaves_named_for(&["right_cheek_outer", "right_cheekbone", "right_cheek_lower"]);
        assert_eq!(most, ["right_cheek"], "three of four are most");
        // Far apart: nothing in common but the picture.
        assert_eq!(leaves_named_for(&["left_iris", "throat", "background_upper_left"]).len(), 3);
    }

    #[test]
    fn the_thresholds_are_where_they_are_said_to_be() {
        let map = leaf_labels(&mean_mesh(448.0), &Seen::default(), 448, 448);
        let label = |id: &str| Depth::Leaves.ends().position(|l| l.id == id).unwrap() as u8;
        let pixels = |id: &str| {
            let wanted = label(id);
            map.iter().enumerate().filter(|(_, l)| **l == wanted).map(|(i, _)| i).collect::<Vec<_>>()
        };
        // Much of the background keeps every share small, so only the covered part decides about the jaw.
        let artifact = |share: f32| {
            let mut m = Mask::new(448, 448);
            ["background_upper_left", "background_upper_right"]
                .iter()
                .for_each(|id| pixels(id).iter().step_by(3).for_each(|&i| m.data[i] = 1));
            let jaw = pixels("right_jaw_body");
            jaw.iter().take((jaw.len() as f32 * share).round() as usize).for_each(|&i| m.data[i] = 1);
            m
        };
        let fires = |share: f32| {
            let hit = hits_at(Depth::Leaves, &map, &artifact(share)).into_iter().find(|h| h.leaf == "right_jaw_body").unwrap();
            assert!(hit.share < SHARE);
            hit.fires
        };
        assert!(!fires(COVERED - 0.02) && fires(COVERED + 0.02));
        // A leaf of fewer than 20 of 448² pixels cannot fire, however it is covered.
        let mut small = map.clone();
        let pupil = pixels("left_pupil");
        pupil.iter().skip(19).for_each(|&i| small[i] = label("left_iris"));
        let whole = mask_of(&small, 1 << label("left_pupil"), 448, 448);
        assert_eq!(whole.area(), 19);
        assert!(
            !hits_at(Depth::Leaves, &small, &whole)[0].fires
                && hits_at(Depth::Leaves, &map, &mask_of(&map, 1 << label("left_pupil"), 448, 448))[0].fires
        );
        assert_eq!(countable_at(Depth::Leaves, &small) >> label("left_pupil") & 1, 0);
    }
}
