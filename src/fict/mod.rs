//! FICT, the facial image concept tree: named regions of a face and their pixels.
//!
//! A concept is a leaf (an outline on the 478-point mesh) or a parent (the union of its leaves). [`labels`] paints all
//! leaves into one label map, so leaves never overlap; every other mask is read from such a map. The table is data
//! ([`table`]); the rule that says which concepts a forgery touched is in [`lift`]. The idea is the paper's (Fake-in-Facext,
//! arXiv 2510.20531); names and outlines are ours, because the paper's are not public.

pub mod lift;
pub mod mesh;
pub mod raster;
pub mod table;

use crate::image::Mask;
pub use table::{CONCEPTS, Concept, Recipe};

/// Label of a pixel that belongs to no leaf.
pub const BACKGROUND: u8 = 255;

/// Number of leaves of the table; leaf labels are `0..LEAVES`, in table order.
pub const LEAVES: usize = count_leaves();

const fn count_leaves() -> usize {
    let (mut n, mut i) = (0, 0);
    while i < CONCEPTS.len() {
        n += !matches!(CONCEPTS[i].recipe, Recipe::Union) as usize;
        i += 1;
    }
    n
}

// Leaf sets are bits of a u128.
const _: () = assert!(LEAVES <= 128);
// The decoder has one query a leaf.
const _: () = assert!(LEAVES == crate::config::CONCEPTS);

/// A set of leaves: bit `l` is the leaf of label `l`.
pub type LeafSet = u128;

/// One selectable region, as the page and the command line list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Region {
    pub id: &'static str,
    pub en: &'static str,
    pub zh: &'static str,
    pub parent: Option<&'static str>,
}

/// All concepts in table order, parents before their children.
pub fn regions() -> Vec<Region> {
    CONCEPTS.iter().map(|c| Region { id: c.id, en: c.en, zh: c.zh, parent: c.parent }).collect()
}

/// The row of a concept, by id.
pub fn concept(id: &str) -> Option<&'static Concept> {
    CONCEPTS.iter().find(|c| c.id == id)
}

/// The concept that a person names: its id, its English or its Chinese name; case and spaces at the ends do not matter.
pub fn named(name: &str) -> Option<&'static Concept> {
    let name = name.trim().to_lowercase();
    CONCEPTS.iter().find(|c| c.id == name || c.en == name || c.zh == name)
}

/// The leaves in label order.
pub fn leaves() -> impl Iterator<Item = &'static Concept> {
    CONCEPTS.iter().filter(|c| !matches!(c.recipe, Recipe::Union))
}

/// Id of the leaf of this label.
pub fn leaf_id(label: u8) -> Option<&'static str> {
    leaves().nth(label as usize).map(|c| c.id)
}

/// Direct children of a concept, in table order.
pub fn children(id: &str) -> impl Iterator<Item = &'static Concept> {
    CONCEPTS.iter().filter(move |c| c.parent == Some(id))
}

/// The leaves under a concept (itself, if it is one); `None` for an unknown id.
pub fn leaf_set(id: &str) -> Option<LeafSet> {
    concept(id)?;
    Some(leaves().enumerate().filter(|(_, leaf)| is_within(leaf.id, id)).fold(0, |set, (l, _)| set | 1 << l))
}

/// Whether concept `id` is `ancestor` or lies below it.
pub fn is_within(id: &str, ancestor: &str) -> bool {
    let mut at = concept(id);
    while let Some(c) = at {
        if c.id == ancestor {
            return true;
        }
        at = c.parent.and_then(concept);
    }
    false
}

/// Label map of the leaves, row-major, `width` × `height`, [`BACKGROUND`] elsewhere.
///
/// `mesh` is the 478-point mesh `[x, y, z]` in pixels of the wanted frame (z unused). A mesh with too few points gives an
/// empty map: no face, no region.
pub fn labels(mesh: &[[f32; 3]], width: usize, height: usize) -> Vec<u8> {
    let mut map = vec![BACKGROUND; width * height];
    if mesh.len() < mesh::POINTS - 10 {
        return map;
    }
    let mut outlines: Vec<(u8, u8, Vec<[f32; 2]>)> = leaves()
        .enumerate()
        .map(|(label, leaf)| {
            let (rank, points) = outline(leaf);
            (rank, label as u8, points.iter().map(|&i| [mesh[i as usize][0], mesh[i as usize][1]]).collect())
        })
        .collect();
    outlines.sort_by_key(|o| (o.0, o.1));
    for (_, label, points) in &outlines {
        raster::fill_polygon(points, width, height, |y, x0, x1| map[y * width + x0..y * width + x1].fill(*label));
    }
    map
}

/// Rank and mesh points of a leaf's outline; mirrored leaves are resolved here.
fn outline(leaf: &Concept) -> (u8, Vec<u16>) {
    match leaf.recipe {
        Recipe::Outline { rank, points } => (rank, points.to_vec()),
        Recipe::MirrorOf(of) => match concept(of).map(|c| c.recipe) {
            Some(Recipe::Outline { rank, points }) => (rank, points.iter().map(|&i| mesh::MIRROR[i as usize]).collect()),
            _ => (0, Vec::new()), // the table test forbids it
        },
        Recipe::Union => (0, Vec::new()),
    }
}

/// Mask of a leaf set on a label map of [`labels`].
pub fn mask_of(labels: &[u8], set: LeafSet, width: usize, height: usize) -> Mask {
    let data = labels.iter().map(|&l| u8::from(l != BACKGROUND && l < 128 && set >> l & 1 == 1)).collect();
    Mask { width, height, data }
}

/// Mask of a concept by id; `None` for an unknown id. Use [`labels`] and [`mask_of`] for many masks of one face.
pub fn mask(id: &str, mesh: &[[f32; 3]], width: usize, height: usize) -> Option<Mask> {
    let set = leaf_set(id)?;
    Some(mask_of(&labels(mesh, width, height), set, width, height))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The average face of `tests/fixtures/mean_mesh.txt` in a `side` px frame, with the model's crop factor of 1.6.
    pub(crate) fn mean_mesh(side: f32) -> Vec<[f32; 3]> {
        let scale = side / 1.6;
        include_str!("../../tests/fixtures/mean_mesh.txt")
            .lines()
            .map(|l| {
                let v: Vec<f32> = l.split_whitespace().map(|v| v.parse().unwrap()).collect();
                [side / 2.0 + (v[0] - 0.43) * scale, side / 2.0 + (v[1] - 0.5) * scale, v[2] * scale]
            })
            .collect()
    }

    #[test]
    fn the_table_is_a_tree() {
        for (i, c) in CONCEPTS.iter().enumerate() {
            assert_eq!(CONCEPTS.iter().filter(|o| o.id == c.id).count(), 1, "{} twice", c.id);
            match c.parent {
                None => assert_eq!(i, 0),
                Some(p) => assert!(CONCEPTS[..i].iter().any(|o| o.id == p), "{} before its parent", c.id),
            }
            match c.recipe {
                Recipe::Union => assert!(children(c.id).count() >= 2, "{} needs children", c.id),
                Recipe::MirrorOf(of) => {
                    assert!(matches!(concept(of).unwrap().recipe, Recipe::Outline { .. }));
                    assert_eq!(c.id.replace("left", "right"), of);
                }
                Recipe::Outline { points, .. } => assert!(points.iter().all(|&p| p < 468)),
            }
        }
        assert_eq!(leaf_set("face").unwrap().count_ones() as usize, LEAVES);
    }

    #[test]
    fn leaves_cover_the_face_and_every_leaf_is_seen() {
        let mesh = mean_mesh(448.0);
        let map = labels(&mesh, 448, 448);
        // The outline of the mesh's triangles, rasterised apart from the leaves.
        let mut hull = vec![false; 448 * 448];
        for t in mesh::TRIANGLES {
            let p = t.map(|i| [mesh[i as usize][0], mesh[i as usize][1]]);
            raster::fill_polygon(&p, 448, 448, |y, a, b| hull[y * 448 + a..y * 448 + b].fill(true));
        }
        let total = hull.iter().filter(|&&h| h).count();
        let bare = hull.iter().zip(&map).filter(|&(&h, &l)| h && l == BACKGROUND).count();
        assert!(bare * 200 < total, "{bare} of {total} face pixels have no leaf");
        for l in 0..LEAVES as u8 {
            let n = map.iter().filter(|&&m| m == l).count();
            assert!(n > 20, "{} has {n} pixels", leaf_id(l).unwrap());
        }
    }

    #[test]
    fn left_is_the_subjects_left() {
        let mesh = mean_mesh(448.0);
        let x = |id| {
            let m = mask(id, &mesh, 448, 448).unwrap();
            let (mut s, mut n) = (0, 0);
            for (i, &v) in m.data.iter().enumerate() {
                if v == 1 {
                    s += i % 448;
                    n += 1;
                }
            }
            s / n
        };
        assert!(x("left_eye") > 224 && x("right_eye") < 224);
        assert!(x("left_jaw") > 224 && x("right_jaw") < 224);
    }

    #[test]
    fn names_find_concepts_and_unknown_ones_do_not() {
        assert_eq!(named(" Left Eyebrow ").unwrap().id, "left_eyebrow");
        assert_eq!(named("鼻尖").unwrap().id, "nose_tip");
        assert!(named("tail").is_none() && mask("tail", &mean_mesh(64.0), 64, 64).is_none());
        assert!(labels(&[[0.0; 3]; 5], 8, 8).iter().all(|&l| l == BACKGROUND));
    }
}
