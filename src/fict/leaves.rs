//! The rasteriser of the whole tree: every pixel of a frame gets the label of one leaf.
//!
//! First the parts are painted as ever ([`super::part_labels`]), only the brows with their finer outline ([`super::brow`]). Then
//! each part's pixels are shared out among its leaves, and all other pixels among the leaves of the body and of what lies behind
//! it. So the leaves of a part are its mask, pixel for pixel, but for the brows and what borders on them; leaves never overlap;
//! and nothing is left over. What is body and what lies behind says a matte where there is one,
//! else the outline of an ordinary person in the head's frame.
//!
//! "The first row takes it" is done by painting the rows in reverse order, each over the later ones.

use super::head::Head;
use super::raster::fill_polygon;
use super::tree::{Depth, is_within, row};
use super::{BACKGROUND, Concept, Cut, PARTS, Shape, TREE, brow, mesh::MIRROR, paint_parts};
use crate::image::Mask;
use std::sync::OnceLock;

/// Number of leaves; labels are `0..LEAVES`, in table order.
pub const LEAVES: usize = 112;

// Sets of leaves are bits of a u128.
const _: () = assert!(LEAVES <= 128);

/// Corners of the polygon that stands for a disc.
const DISC: usize = 32;

/// Where a leaf may paint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    Part(u8),
    Body,
    Behind,
}

/// What a leaf paints, mirroring done.
#[derive(Debug)]
enum Drawn {
    All,
    Polygon(Vec<u16>),
    Zone(Vec<[f32; 2]>),
    Disc { centre: u16, rim: [u16; 4], scale: f32 },
    Side([u16; 2], u16),
}

/// One leaf's turn.
#[derive(Debug)]
struct Step {
    label: u8,
    ground: Ground,
    drawn: Drawn,
}

/// The leaves in the order of painting: the table's, reversed. The last row on a ground takes whatever the others leave, also
/// what a polygon misses by a rounding.
fn steps() -> &'static [Step] {
    static STEPS: OnceLock<Vec<Step>> = OnceLock::new();
    STEPS.get_or_init(|| {
        let mut begun: Vec<Ground> = Vec::new();
        let rows: Vec<&Concept> = Depth::Leaves.ends().collect();
        let step = |(label, leaf): (usize, &&'static Concept)| {
            let (ground, mut drawn) = resolve(leaf);
            if !begun.contains(&ground) {
                begun.push(ground);
                drawn = Drawn::All;
            }
            Step { label: label as u8, ground, drawn }
        };
        rows.iter().enumerate().rev().map(step).collect()
    })
}

/// Where a leaf paints, and what.
fn resolve(leaf: &Concept) -> (Ground, Drawn) {
    let (shape, mirrored) = match leaf.shape {
        Shape::Twin(of) => (row(of).map_or(leaf.shape, |i| TREE[i].shape), true),
        shape => (shape, false),
    };
    let p = |i: u16| if mirrored { MIRROR[usize::from(i)] } else { i };
    let zone = |z: &[[f32; 2]]| Drawn::Zone(z.iter().map(|&[s, t]| if mirrored { [-s, t] } else { [s, t] }).collect());
    let part = || Ground::Part(Depth::Parts.ends().position(|part| is_within(leaf.id, part.id)).map_or(BACKGROUND, |l| l as u8));
    match shape {
        Shape::Body(z) => (Ground::Body, zone(z)),
        Shape::Behind(z) => (Ground::Behind, zone(z)),
        Shape::Cut(Cut::Side(line, toward)) => (part(), Drawn::Side(line.map(p), p(toward))),
        Shape::Cut(Cut::Disc { centre, rim, scale }) => (part(), Drawn::Disc { centre: p(centre), rim: rim.map(p), scale }),
        Shape::Cut(Cut::Area(points)) => (part(), Drawn::Polygon(points.iter().map(|&i| p(i)).collect())),
        // The rest of a part; and a part that is not divided is its own leaf.
        _ => (part(), Drawn::All),
    }
}

/// What was seen of a person beside the mesh. All of it may be absent: then ordinary people stand in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    /// 1 where the person is, of the frame's size, such as a matte at one half. One of another size is not believed.
    pub person: Option<&'a Mask>,
    /// Where the brows end below ([`brow::lower_edges`]).
    pub brows: Option<brow::LowerEdges>,
}

/// Label map of the leaves, row-major, `width` × `height`.
///
/// `mesh` is `[x, y, z]` of the 478 points in pixels of the frame (z unused). A mesh without a head's frame ([`Head::of`]) gives
/// [`BACKGROUND`] everywhere: no face, no leaf.
pub fn leaf_labels(mesh: &[[f32; 3]], seen: &Seen, width: usize, height: usize) -> Vec<u8> {
    let mut map = vec![BACKGROUND; width * height];
    let Some(head) = Head::of(mesh) else { return map };
    let parts = grounds(mesh, &seen.brows.unwrap_or(brow::ORDINARY), width, height);
    let body = match seen.person {
        Some(m) if (m.width, m.height, m.data.len()) == (width, height, map.len()) => m.data.clone(),
        _ => {
            let mut body = vec![0; map.len()];
            fill_polygon(&head.person(), width, height, |y, a, b| body[y * width + a..y * width + b].fill(1));
            body
        }
    };
    let boxes = boxes(&parts, width);
    let point = |i: u16| mesh.get(usize::from(i)).map(|p| [p[0], p[1]]);
    for Step { label, ground, drawn } in steps() {
        let mine = |i: usize| match *ground {
            Ground::Part(part) => parts[i] == part,
            Ground::Body => parts[i] == BACKGROUND && body[i] != 0,
            Ground::Behind => parts[i] == BACKGROUND && body[i] == 0,
        };
        let paint = |y: usize, a: usize, b: usize| {
            let from = y * width + a;
            for (i, leaf) in (from..).zip(&mut map[from..y * width + b]) {
                if mine(i) {
                    *leaf = *label;
                }
            }
        };
        match drawn {
            Drawn::All | Drawn::Side(..) => {
                let [x0, y0, x1, y1] = match *ground {
                    Ground::Part(part) => boxes.get(usize::from(part)).copied().unwrap_or_default(),
                    _ => [0, 0, width, height],
                };
                let half = half_plane(drawn, &point);
                let mut paint = paint;
                for y in y0..y1 {
                    for x in (x0..x1).filter(|&x| half(x as f32 + 0.5, y as f32 + 0.5)) {
                        paint(y, x, x + 1);
                    }
                }
            }
            Drawn::Polygon(points) => {
                let points: Option<Vec<[f32; 2]>> = points.iter().map(|&i| point(i)).collect();
                fill_polygon(&points.unwrap_or_default(), width, height, paint);
            }
            Drawn::Zone(points) => {
                let points: Vec<[f32; 2]> = points.iter().map(|&p| head.place(p)).collect();
                fill_polygon(&points, width, height, paint);
            }
            Drawn::Disc { centre, rim, scale } => fill_polygon(&disc(point(*centre), rim.map(point), *scale), width, height, paint),
        }
    }
    map
}

/// The parts with the brows' finer outlines. What the model's brow covers beyond its finer outline goes to the skin beside it:
/// to the glabella at the inner end, to the temple at the outer.
fn grounds(mesh: &[[f32; 3]], edges: &brow::LowerEdges, width: usize, height: usize) -> Vec<u8> {
    // Halves of the model's right brow, with what they fall to on the right and on the left.
    const BESIDE: [([u16; 6], [&str; 2]); 2] =
        [([105, 66, 107, 55, 65, 52], ["glabella"; 2]), ([70, 63, 105, 52, 53, 46], ["right_temple", "left_temple"])];
    let mut map = vec![BACKGROUND; width * height];
    for (points, ids) in BESIDE {
        for (side, id) in ids.iter().enumerate() {
            let Some(label) = Depth::Parts.ends().position(|p| p.id == *id) else { continue };
            let at = |i: &u16| mesh.get(usize::from(if side == 0 { *i } else { MIRROR[usize::from(*i)] })).map(|p| [p[0], p[1]]);
            let points: Vec<[f32; 2]> = points.iter().filter_map(at).collect();
            fill_polygon(&points, width, height, |y, a, b| map[y * width + a..y * width + b].fill(label as u8));
        }
    }
    paint_parts(&mut map, mesh, width, |id| match id {
        "right_eyebrow" => brow::outline(mesh, 0, edges),
        "left_eyebrow" => brow::outline(mesh, 1, edges),
        _ => None,
    });
    map
}

/// The smallest box `[x0, y0, x1, y1]` around every part, in label order.
fn boxes(parts: &[u8], width: usize) -> [[usize; 4]; PARTS] {
    let mut boxes = [[usize::MAX, usize::MAX, 0, 0]; PARTS];
    for (i, &part) in parts.iter().enumerate() {
        if let Some(b) = boxes.get_mut(usize::from(part)) {
            let (x, y) = (i % width, i / width);
            *b = [b[0].min(x), b[1].min(y), b[2].max(x + 1), b[3].max(y + 1)];
        }
    }
    boxes
}

/// The test "on the wanted side of the line"; everything passes where there is no line, nothing where its points are missing or one.
fn half_plane(drawn: &Drawn, point: &impl Fn(u16) -> Option<[f32; 2]>) -> impl Fn(f32, f32) -> bool {
    let side = |a: [f32; 2], b: [f32; 2], x: f32, y: f32| (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]);
    let (everything, line) = match *drawn {
        Drawn::Side([a, b], toward) => (false, point(a).zip(point(b)).zip(point(toward))),
        _ => (true, None),
    };
    move |x, y| everything || line.is_some_and(|((a, b), c)| side(a, b, x, y) * side(a, b, c[0], c[1]) > 0.0)
}

fn disc(centre: Option<[f32; 2]>, rim: [Option<[f32; 2]>; 4], scale: f32) -> Vec<[f32; 2]> {
    let (Some(c), [Some(a), Some(b), Some(d), Some(e)]) = (centre, rim) else { return Vec::new() };
    let radius = scale * [a, b, d, e].iter().map(|p| (p[0] - c[0]).hypot(p[1] - c[1])).sum::<f32>() / 4.0;
    (0..DISC)
        .map(|i| {
            let turn = i as f32 * std::f32::consts::TAU / DISC as f32;
            [c[0] + radius * turn.cos(), c[1] + radius * turn.sin()]
        })
        .collect()
}
