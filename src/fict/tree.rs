//! The tree read at two depths, and what hangs together with what.
//!
//! At depth [`Depth::Parts`] it ends at the parts, which are the model's vocabulary; at depth [`Depth::Leaves`] it is the
//! whole table. At either depth the *ends* are numbered in table order; such a number is a label of a label map.

use super::{Concept, TREE};
use std::sync::OnceLock;

/// A set of ends of one depth: bit `l` is the end of label `l`.
pub type Set = u128;

/// How deep the tree is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The face down to its parts: what the model knows by name.
    Parts,
    /// The whole picture down to the leaves.
    Leaves,
}

/// Row numbers of parents, and for each depth the ends below every row.
struct Index {
    parent: Vec<Option<usize>>,
    parts: Vec<Set>,
    leaves: Vec<Set>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let parent: Vec<Option<usize>> = TREE.iter().map(|c| c.parent.and_then(row)).collect();
        let below = |depth: Depth| {
            let mut sets = vec![0; TREE.len()];
            for (label, at) in (0..TREE.len()).filter(|&i| is_end(depth, &parent, i)).enumerate() {
                let mut up = Some(at);
                while let Some(i) = up {
                    sets[i] |= 1 << label;
                    up = parent[i];
                }
            }
            sets
        };
        let (parts, leaves) = (below(Depth::Parts), below(Depth::Leaves));
        Index { parent, parts, leaves }
    })
}

fn is_end(depth: Depth, parent: &[Option<usize>], i: usize) -> bool {
    match depth {
        Depth::Parts => TREE[i].is_part(),
        Depth::Leaves => !parent.contains(&Some(i)),
    }
}

/// Row number of a concept.
pub(super) fn row(id: &str) -> Option<usize> {
    TREE.iter().position(|c| c.id == id)
}

impl Depth {
    /// All concepts of this depth, parents before their children.
    pub fn rows(self) -> impl Iterator<Item = &'static Concept> {
        TREE.iter().filter(move |c| self == Self::Leaves || c.is_known())
    }

    /// The ends, in label order.
    pub fn ends(self) -> impl Iterator<Item = &'static Concept> {
        let parent = &index().parent;
        TREE.iter().enumerate().filter(move |(i, _)| is_end(self, parent, *i)).map(|(_, c)| c)
    }

    /// Number of ends.
    pub fn count(self) -> usize {
        self.sets()[0].count_ones() as usize
    }

    /// The end of this label.
    pub fn end(self, label: u8) -> Option<&'static Concept> {
        self.ends().nth(usize::from(label))
    }

    /// The ends below a concept (itself, if it is one). `None` for an unknown id and for one below this depth.
    pub fn set(self, id: &str) -> Option<Set> {
        let at = row(id)?;
        (self == Self::Leaves || TREE[at].is_known() || TREE[at].parent.is_none()).then(|| self.sets()[at])
    }

    /// Direct children of a concept that belong to this depth, in table order.
    pub fn children(self, id: &str) -> impl Iterator<Item = &'static Concept> {
        self.rows().filter(move |c| c.parent == Some(id))
    }

    fn sets(self) -> &'static [Set] {
        match self {
            Self::Parts => &index().parts,
            Self::Leaves => &index().leaves,
        }
    }
}

/// Whether concept `id` is `ancestor` or lies below it.
pub fn is_within(id: &str, ancestor: &str) -> bool {
    let (mut at, top) = (row(id), row(ancestor));
    while at.is_some() && at != top {
        at = at.and_then(|i| index().parent[i]);
    }
    at.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::{PARTS, Shape, leaves::LEAVES};
    use super::*;

    #[test]
    fn the_table_is_a_tree_of_112_leaves_and_27_parts() {
        assert_eq!((Depth::Leaves.count(), LEAVES), (112, 112));
        assert_eq!((Depth::Parts.count(), PARTS), (27, 27));
        for (i, c) in TREE.iter().enumerate() {
            let same = |f: fn(&Concept) -> &str| TREE.iter().filter(|o| f(o) == f(c)).count();
            assert_eq!((same(|o| o.id), same(|o| o.en), same(|o| o.zh)), (1, 1, 1), "{}: a name twice", c.id);
            assert!(c.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && c.en.is_ascii() && !c.zh.is_ascii(), "{}", c.id);
            match c.parent {
                None => assert_eq!(i, 0),
                Some(p) => assert!(TREE[..i].iter().any(|o| o.id == p), "{} before its parent", c.id),
            }
            let children = Depth::Leaves.children(c.id).count();
            match c.shape {
                Shape::Union | Shape::Group => assert!(children >= 2, "{} needs children", c.id),
                Shape::Outline { points, .. } => assert!(children != 1 && points.iter().all(|&p| p < 468)),
                Shape::MirrorOf(of) | Shape::Twin(of) => {
                    let twin = &TREE[row(of).unwrap()];
                    assert!(!matches!(twin.shape, Shape::Twin(_) | Shape::MirrorOf(_)), "{} is a mirror image of one", c.id);
                    assert_eq!(c.is_part(), twin.is_part());
                    assert_eq!((c.id.replace("left", "right"), c.en.replace("left", "right")), (of.into(), twin.en.into()));
                    assert_eq!(c.zh.replace('左', "右"), twin.zh);
                    assert_eq!(children, Depth::Leaves.children(of).count(), "{}", c.id);
                }
                Shape::Cut(_) | Shape::Body(_) | Shape::Behind(_) => assert_eq!(children, 0, "{}", c.id),
            }
        }
    }

    #[test]
    fn the_two_depths_agree_on_what_lies_where() {
        assert!(is_within("left_iris", "left_eye") && is_within("left_eye", "left_eye") && is_within("left_eye", "picture"));
        assert!(!is_within("left_eye", "left_iris") && !is_within("tail", "face") && !is_within("face", "tail") && !is_within("a", "b"));
        for c in Depth::Leaves.rows() {
            let by_walk = Depth::Leaves.ends().enumerate().filter(|(_, l)| is_within(l.id, c.id)).fold(0, |s, (l, _)| s | 1 << l);
            assert_eq!(Depth::Leaves.set(c.id), Some(by_walk), "{}", c.id);
        }
        let face = Depth::Leaves.set("face").unwrap();
        let parts: Vec<Set> = Depth::Parts.ends().map(|p| Depth::Leaves.set(p.id).unwrap()).collect();
        assert_eq!(parts.iter().fold(0, |a, b| a | b), face, "a leaf of the face outside of its parts");
        assert_eq!(parts.iter().map(|s| s.count_ones()).sum::<u32>(), face.count_ones(), "a leaf of two parts");
        assert_eq!(Depth::Parts.set("left_iris"), None);
        assert_eq!(Depth::Parts.set("hair"), None);
        assert_eq!(Depth::Parts.set("face").unwrap().count_ones(), 27);
    }
}
