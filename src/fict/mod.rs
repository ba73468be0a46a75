//! FICT, the facial image concept tree: named regions of a face picture and their pixels.
//!
//! The tree has 112 leaves and is read at two depths ([`tree::Depth`]). The 27 **parts** are what the model was trained on:
//! one query each, in table order; everything that the model says is a part or a union of parts. Below the parts and beside
//! the face lie the **leaves**: pieces of parts fine enough for evidence (an iris, a nostril, one end of a lip), and hair,
//! ears, neck, clothes and background, which the parts leave out. [`part_labels`] paints the parts into one label map,
//! [`leaf_labels`] the leaves; so regions of one depth never overlap, the leaves of a part are exactly its pixels but for
//! the brows, whose leaves have a finer outline ([`brow`]), and the leaves cover the whole frame.
//!
//! The table is data ([`table`]); the rule that says which concepts a forgery touched is in [`lift`]. The idea is the
//! paper's (Fake-in-Facext, arXiv 2510.20531); names and outlines are ours, because the paper's are not public.

pub mod brow;
pub mod head;
pub mod leaves;
pub mod lift;
pub mod mesh;
pub mod raster;
pub mod table;
pub mod tree;

use crate::image::Mask;
pub use leaves::{Seen, leaf_labels};
pub use table::{Concept, Cut, Shape, TREE};
pub use tree::{Depth, Set, is_within};

/// Label of a pixel that belongs to no part or leaf.
pub const BACKGROUND: u8 = 255;

/// Id of the concept above all parts.
pub const FACE: &str = "face";

/// Number of parts; part labels are `0..PARTS`, in table order.
pub const PARTS: usize = count_parts();

const fn count_parts() -> usize {
    let (mut n, mut i) = (0, 0);
    while i < TREE.len() {
        n += TREE[i].is_part() as usize;
        i += 1;
    }
    n
}

// The decoder has one query a part.
const _: () = assert!(PARTS == crate::config::CONCEPTS);

/// One selectable region, as the page and the command line list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Region {
    pub id: &'static str,
    pub en: &'static str,
    pub zh: &'static str,
    pub parent: Option<&'static str>,
}

/// One concept of the whole tree, as `facext fict --tree --json` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Node {
    pub id: &'static str,
    pub parent: Option<&'static str>,
    pub en: &'static str,
    pub zh: &'static str,
    /// Whether it has no children.
    pub leaf: bool,
}

/// The concepts that the model knows by name, parents before their children: [`FACE`], the parts and what unites them.
pub fn concepts() -> impl Iterator<Item = &'static Concept> {
    Depth::Parts.rows()
}

/// What a person can ask about: [`concepts`], the face having no parent.
pub fn regions() -> Vec<Region> {
    let parent = |c: &Concept| c.parent.filter(|_| c.id != FACE);
    concepts().map(|c| Region { id: c.id, en: c.en, zh: c.zh, parent: parent(c) }).collect()
}

/// The whole tree, parents before their children.
pub fn nodes() -> Vec<Node> {
    let leaf = |c: &Concept| Depth::Leaves.children(c.id).next().is_none();
    TREE.iter().map(|c| Node { id: c.id, parent: c.parent, en: c.en, zh: c.zh, leaf: leaf(c) }).collect()
}

/// The row of a concept, by id.
pub fn concept(id: &str) -> Option<&'static Concept> {
    tree::row(id).map(|i| &TREE[i])
}

/// The concept of the model's vocabulary that a person names: its id, its English or its Chinese name; case and spaces at the
/// ends do not matter.
pub fn named(name: &str) -> Option<&'static Concept> {
    let name = name.trim().to_lowercase();
    concepts().find(|c| c.id == name || c.en == name || c.zh == name)
}

/// The parts in label order.
pub fn parts() -> impl Iterator<Item = &'static Concept> {
    Depth::Parts.ends()
}

/// Id of the part of this label.
pub fn part_id(label: u8) -> Option<&'static str> {
    Depth::Parts.end(label).map(|c| c.id)
}

/// The parts under a concept (itself, if it is one); `None` for an id that the model does not know.
pub fn part_set(id: &str) -> Option<Set> {
    Depth::Parts.set(id)
}

/// The concept whose parts are just these; `None` where no one concept has them.
pub fn concept_of(parts: Set) -> Option<&'static str> {
    concepts().find(|c| part_set(c.id) == Some(parts)).map(|c| c.id)
}

/// Label map of the parts, row-major, `width` × `height`, [`BACKGROUND`] elsewhere.
///
/// `mesh` is the 478-point mesh `[x, y, z]` in pixels of the wanted frame (z unused). A mesh with too few points gives an
/// empty map: no face, no region.
pub fn part_labels(mesh: &[[f32; 3]], width: usize, height: usize) -> Vec<u8> {
    let mut map = vec![BACKGROUND; width * height];
    if mesh.len() >= mesh::POINTS - 10 {
        paint_parts(&mut map, mesh, width, |_| None);
    }
    map
}

/// Paints the parts by rising rank; `own` gives a part another outline than the table's. `mesh` is complete.
pub(crate) fn paint_parts(map: &mut [u8], mesh: &[[f32; 3]], width: usize, own: impl Fn(&str) -> Option<Vec<[f32; 2]>>) {
    let height = map.len().checked_div(width).unwrap_or(0);
    let mut outlines: Vec<(u8, u8, Vec<[f32; 2]>)> = parts()
        .enumerate()
        .map(|(label, part)| {
            let (rank, points) = outline(part);
            let points = own(part.id).unwrap_or_else(|| points.iter().map(|&i| [mesh[i as usize][0], mesh[i as usize][1]]).collect());
            (rank, label as u8, points)
        })
        .collect();
    outlines.sort_by_key(|o| (o.0, o.1));
    for (_, label, points) in &outlines {
        raster::fill_polygon(points, width, height, |y, x0, x1| map[y * width + x0..y * width + x1].fill(*label));
    }
}

/// Rank and mesh points of a part's outline; mirrored parts are resolved here.
pub(crate) fn outline(part: &Concept) -> (u8, Vec<u16>) {
    match part.shape {
        Shape::Outline { rank, points } => (rank, points.to_vec()),
        Shape::MirrorOf(of) => match concept(of).map(|c| c.shape) {
            Some(Shape::Outline { rank, points }) => (rank, points.iter().map(|&i| mesh::MIRROR[i as usize]).collect()),
            _ => (0, Vec::new()), // the table test forbids it
        },
        _ => (0, Vec::new()),
    }
}

/// Mask of a set of ends on a label map of the same depth.
pub fn mask_of(labels: &[u8], set: Set, width: usize, height: usize) -> Mask {
    let data = labels.iter().map(|&l| u8::from(l != BACKGROUND && l < 128 && set >> l & 1 == 1)).collect();
    Mask { width, height, data }
}

/// Mask of a concept of the model's vocabulary by id; `None` for another id. Use [`part_labels`] and [`mask_of`] for many masks
/// of one face.
pub fn mask(id: &str, mesh: &[[f32; 3]], width: usize, height: usize) -> Option<Mask> {
    let set = part_set(id)?;
    Some(mask_of(&part_labels(mesh, width, height), set, width, height))
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
    fn a_concept_is_known_by_its_parts() {
        for c in concepts() {
            let parts = part_set(c.id).unwrap();
            assert_eq!(concept_of(parts).and_then(part_set), Some(parts), "{}", c.id);
        }
        let two = part_set("nose_tip").unwrap() | part_set("chin").unwrap();
        assert_eq!([concept_of(0), concept_of(two)], [None; 2]);
    }

    #[test]
    fn parts_cover_the_face_and_every_part_is_seen() {
        let mesh = mean_mesh(448.0);
        let map = part_labels(&mesh, 448, 448);
        // The outline of the mesh's triangles, rasterised apart from the parts.
        let mut hull = vec![false; 448 * 448];
        for t in mesh::TRIANGLES {
            let p = t.map(|i| [mesh[i as usize][0], mesh[i as usize][1]]);
            raster::fill_polygon(&p, 448, 448, |y, a, b| hull[y * 448 + a..y * 448 + b].fill(true));
        }
        let total = hull.iter().filter(|&&h| h).count();
        let bare = hull.iter().zip(&map).filter(|&(&h, &l)| h && l == BACKGROUND).count();
        assert!(bare * 200 < total, "{bare} of {total} face pixels have no part");
        for l in 0..PARTS as u8 {
            let n = map.iter().filter(|&&m| m == l).count();
            assert!(n > 20, "{} has {n} pixels", part_id(l).unwrap());
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
        assert!(part_labels(&[[0.0; 3]; 5], 8, 8).iter().all(|&l| l == BACKGROUND));
    }
}
