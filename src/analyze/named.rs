//! Which parts an answer names: the annotator's rule, applied to what the decoder marks.
//!
//! The annotator knows which pixels a forgery changed, and names the concepts that its rule finds touched, parents in place of their children
//! where enough of them are ([`lift`]). Answers shall name the same, so the same rule is applied to the pixels that the decoder takes for
//! changed; of a part that was asked about, what lies in it.

use crate::analyze::region::Asked;
use crate::fict::{self, Concept, PARTS, Set, lift};
use crate::image::Mask;
use crate::text::ask::THIS_REGION;

/// Parts named in one answer, as in the annotator's.
pub const NAMES: usize = 3;
/// Least part of what is marked in a box or drawing that a name must stand for, as in the annotator's.
const FAIR: f32 = 0.15;

/// The concepts to name, most of what is marked first, each with its size against the first (0..1]; at least one, at most [`NAMES`].
///
/// # Arguments
/// - `labels`: part of every crop pixel, row-major; `artifact`: what is marked, of the same size.
/// - `presence`: of every part, 0..1, `[PARTS]`: names the likeliest part where nothing is marked.
pub fn named(labels: &[u8], artifact: &Mask, presence: &[f32], asked: Option<&Asked>) -> Vec<(&'static Concept, f32)> {
    let touched = lift::lifted(labels, &lift::hits(labels, artifact));
    let areas = areas(labels, artifact, asked);
    let area = |id: &str| fict::part_set(id).map_or(0.0, |set| within(&areas, set));
    let chosen: Vec<&'static str> = match asked {
        None => touched,
        Some(a) if a.name == THIS_REGION => {
            let fair = FAIR * within(&areas, Set::MAX);
            let names: Vec<_> = touched.into_iter().filter(|id| area(id) > 0.0 && area(id) >= fair).collect();
            if names.is_empty() { largest(&areas).into_iter().collect() } else { names }
        }
        Some(a) => match fict::named(&a.name) {
            Some(region) => {
                let inside: Vec<_> = touched.into_iter().filter(|id| fict::is_within(id, region.id)).collect();
                if inside.is_empty() { vec![region.id] } else { inside }
            }
            None => vec![],
        },
    };
    let mut names: Vec<(&'static Concept, f32)> = chosen.iter().filter_map(|id| Some((fict::concept(id)?, area(id)))).collect();
    names.sort_by(|a, b| b.1.total_cmp(&a.1));
    names.truncate(NAMES);
    if names.is_empty() {
        names.extend(likeliest(presence, asked).and_then(fict::concept).map(|c| (c, 1.0)));
    }
    let most = names.first().map_or(1.0, |n| n.1.max(1.0));
    names.into_iter().map(|(concept, area)| (concept, (area / most).clamp(f32::MIN_POSITIVE, 1.0))).collect()
}

/// Marked pixels of every part, of those that are asked about.
fn areas(labels: &[u8], artifact: &Mask, asked: Option<&Asked>) -> [f32; PARTS] {
    let mut areas = [0.0; PARTS];
    let (side, cells) = (artifact.width, asked.map_or(0, |a| a.mask.fine.len().isqrt()));
    for (i, (l, _)) in labels.iter().zip(&artifact.data).enumerate().filter(|(_, (_, m))| **m != 0) {
        let cell = || (i / side * cells / side) * cells + i % side * cells / side;
        let is_asked = asked.is_none_or(|a| a.mask.fine.get(cell()).is_some_and(|share| *share > 0.5));
        if let Some(area) = areas.get_mut(usize::from(*l)).filter(|_| is_asked) {
            *area += 1.0;
        }
    }
    areas
}

fn within(areas: &[f32; PARTS], set: Set) -> f32 {
    (0..PARTS).filter(|l| set >> l & 1 == 1).map(|l| areas[l]).sum()
}

fn largest(areas: &[f32; PARTS]) -> Option<&'static str> {
    let most = (0..PARTS).max_by(|a, b| areas[*a].total_cmp(&areas[*b]))?;
    (areas[most] > 0.0).then(|| fict::part_id(most as u8)).flatten()
}

/// The part that is changed most probably, of those that are asked about.
fn likeliest(presence: &[f32], asked: Option<&Asked>) -> Option<&'static str> {
    let weight = |l: &usize| presence.get(*l).copied().unwrap_or(0.0) * asked.map_or(1.0, |a| a.shares.get(*l).copied().unwrap_or(0.0));
    (0..PARTS).max_by(|a, b| weight(a).total_cmp(&weight(b))).and_then(|l| fict::part_id(l as u8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fict::tests::mean_mesh;
    use crate::model::region::RegionMask;

    const SIDE: usize = 448;

    fn set_of(ids: &[&str]) -> Set {
        ids.iter().fold(0, |s, id| s | fict::part_set(id).unwrap())
    }

    fn asked(name: &str, labels: &[u8], ids: &[&str]) -> Asked {
        let mask = fict::mask_of(labels, set_of(ids), SIDE, SIDE);
        let shares = (0..PARTS).map(|l| (set_of(ids) >> l & 1) as f32).collect();
        Asked { name: name.into(), mask: RegionMask::from_crop_mask(&mask.data, SIDE), shares, bounds: None }
    }

    fn names(marked: &[&str], about: Option<(&str, &[&str])>) -> Vec<&'static str> {
        let labels = fict::part_labels(&mean_mesh(SIDE as f32), SIDE, SIDE);
        let artifact = fict::mask_of(&labels, set_of(marked), SIDE, SIDE);
        let presence: Vec<f32> = fict::parts().map(|c| if c.id == "chin" { 0.4 } else { 0.1 }).collect();
        let about = about.map(|(name, ids)| asked(name, &labels, ids));
        named(&labels, &artifact, &presence, about.as_ref()).iter().map(|n| n.0.id).collect()
    }

    #[test]
    fn a_face_changed_all_over_is_named_as_one_and_a_part_as_itself() {
        assert_eq!(names(&["face"], None), ["face"]);
        assert_eq!(names(&["inner_face", "left_jaw"], None), ["inner_face", "left_jaw"]);
        assert_eq!(names(&["left_eyebrow", "right_eyebrow", "chin"], None), ["chin", "eyebrows"], "most of what is marked first");
        assert_eq!(names(&["left_cheek"], None), ["left_cheek"]);
        assert_eq!(names(&[], None), ["chin"], "where nothing is marked, the likeliest");
        let four = ["left_eyebrow", "left_cheek", "nose_tip", "chin"];
        assert_eq!(names(&four, None).len(), NAMES);
    }

    #[test]
    fn of_a_part_that_was_asked_about_is_named_what_lies_in_it() {
        let nose: &[&str] = &["nose"];
        assert_eq!(names(&["nose_tip", "chin"], Some(("nose", nose))), ["nose_tip"]);
        assert_eq!(names(&["chin"], Some(("nose", nose))), ["nose"], "it is what the question is about");
        assert_eq!(names(&["nose_tip", "chin"], Some((THIS_REGION, nose))), ["nose_tip"]);
        assert_eq!(names(&[], Some((THIS_REGION, &["left_cheek"]))), ["left_cheek"]);
    }
}
