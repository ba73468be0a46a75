//! Brows as people see them: an outline finer than the model's part, for the leaves.
//!
//! The mesh puts a brow on its upper ridge and hardly follows how thick or how low it is, and the part that the model was
//! trained on inherits that. So the leaves use an outline of their own: eight points set off from points of the mesh, of which
//! the lower ones follow **one number measured on the photo**, the height where the hair of the brow ends below. It is read
//! from the mean luma of the brow's middle third on lines along the brow, from above to below: the darkest line is the brow,
//! and its lower edge is where two fifths of its darkness are left over what lies above and below it.
//!
//! Offsets and slopes were fitted on eight faces with outlines drawn by hand, none of which is among the ten of
//! `tests/fict_organs.rs`. Without a photo, or where no dark line is found, the mean of those faces stands in.

use super::mesh::MIRROR;
use crate::image::Rgb8;

/// Lower edges of the subject's right and left brow, above (+) or below (−) the middle between the mesh's upper and lower
/// line of it, in distances from chin to top of the mesh.
pub type LowerEdges = [f32; 2];

/// The mean of the eight faces.
pub const ORDINARY: LowerEdges = [-0.0258; 2];

/// The subject's right brow, clockwise from its outer end: a mesh point, its offset along the eye (in eye widths, towards the
/// nose) and upwards (in distances from chin to top), and how much the lower edge's departure from the ordinary moves it.
const OUTLINE: [(u16, f32, f32, f32); 8] = [
    (70, -0.037, -0.037, 0.96),
    (63, -0.067, -0.007, 0.0),
    (105, -0.005, 0.004, 0.0),
    (66, -0.014, 0.005, 0.0),
    (107, -0.026, -0.006, 0.0),
    (55, -0.025, -0.012, 0.19),
    (65, -0.064, -0.021, 0.44),
    (53, 0.135, -0.012, 0.70),
];

/// Outer and inner corner of the right eye; chin and top of the mesh.
const EYE: [u16; 2] = [33, 133];
const AXIS: [u16; 2] = [152, 10];
/// Upper and lower points of the mesh's brow between which its middle third lies, outer ones first.
const MIDDLE: [[u16; 2]; 2] = [[105, 52], [66, 65]];

/// Lines across which the brow is looked for: from `TOP` down in steps, distances from chin to top.
const TOP: f32 = 0.08;
const STEP: f32 = 0.0025;
const LINES: usize = 61;
/// Samples a line.
const SAMPLES: usize = 16;
/// The darkest line lies this near to the middle.
const REACH: f32 = 0.04;
/// Part of the darkness at which the hair ends.
const ENDS: f32 = 0.4;
/// Least darkness of a brow that can be measured, levels.
const FAINT: f32 = 8.0;
/// Measured edges lie in this range; what lies outside was something else.
const RANGE: [f32; 2] = [-0.055, 0.005];

/// Outline of the right (`side` 0) or left (1) brow in the mesh's pixels, closed. `None` where the mesh lacks a point.
pub fn outline(mesh: &[[f32; 3]], side: usize, edges: &LowerEdges) -> Option<Vec<[f32; 2]>> {
    let frame = Frame::of(mesh, side)?;
    let low = edges.get(side)? - ORDINARY[0];
    OUTLINE
        .iter()
        .map(|&(point, along, up, slope)| {
            let [x, y] = frame.point(point)?;
            let up = up + slope * low;
            Some([x + along * frame.along[0] + up * frame.up[0], y + along * frame.along[1] + up * frame.up[1]])
        })
        .collect()
}

/// Measures the lower edges on a picture. `mesh` is in its pixels.
pub fn lower_edges(mesh: &[[f32; 3]], picture: &Rgb8) -> LowerEdges {
    [0, 1].map(|side| measured(mesh, side, picture).unwrap_or(ORDINARY[side]))
}

struct Frame<'a> {
    mesh: &'a [[f32; 3]],
    side: usize,
    /// Outer to inner corner of the eye.
    along: [f32; 2],
    /// Chin to top.
    up: [f32; 2],
}

impl<'a> Frame<'a> {
    fn of(mesh: &'a [[f32; 3]], side: usize) -> Option<Self> {
        let mut frame = Self { mesh, side, along: [0.0; 2], up: [0.0; 2] };
        let between = |[a, b]: [u16; 2]| Some((frame.point(a)?, frame.point(b)?)).map(|(a, b)| [b[0] - a[0], b[1] - a[1]]);
        (frame.along, frame.up) = (between(EYE)?, between(AXIS)?);
        Some(frame)
    }

    fn point(&self, i: u16) -> Option<[f32; 2]> {
        let i = if self.side == 0 { i } else { *MIRROR.get(usize::from(i))? };
        self.mesh.get(usize::from(i)).map(|p| [p[0], p[1]])
    }

    fn middle(&self, [a, b]: [u16; 2]) -> Option<[f32; 2]> {
        let (a, b) = (self.point(a)?, self.point(b)?);
        Some([(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0])
    }
}

fn measured(mesh: &[[f32; 3]], side: usize, picture: &Rgb8) -> Option<f32> {
    let frame = Frame::of(mesh, side)?;
    let (outer, inner) = (frame.middle(MIDDLE[0])?, frame.middle(MIDDLE[1])?);
    let height = |line: usize| TOP - line as f32 * STEP;
    let mut luma = [0.0f32; LINES];
    for (line, mean) in luma.iter_mut().enumerate() {
        for k in 0..SAMPLES {
            // From before the outer point to beyond the inner one: the middle third of the brow.
            let t = -0.4 + 1.2 * k as f32 / (SAMPLES - 1) as f32;
            let at = |c: usize| outer[c] + t * (inner[c] - outer[c]) + height(line) * frame.up[c];
            *mean += luma_at(picture, at(0), at(1))? / SAMPLES as f32;
        }
    }
    let smooth: Vec<f32> =
        (0..LINES).map(|i| 0.25 * luma[i.saturating_sub(1)] + 0.5 * luma[i] + 0.25 * luma[(i + 1).min(LINES - 1)]).collect();
    let darkest = (0..LINES).filter(|&i| height(i).abs() <= REACH).min_by(|&a, &b| smooth[a].total_cmp(&smooth[b]))?;
    let brightest = |mut range: std::ops::RangeInclusive<usize>| {
        let first = range.next()?;
        Some(range.fold(first, |best, i| if smooth[i] > smooth[best] { i } else { best }))
    };
    let (above, below) = (brightest(0..=darkest)?, brightest(darkest..=LINES - 1)?);
    let skin = |i: usize| smooth[above] + (smooth[below] - smooth[above]) * (i - above) as f32 / (below - above).max(1) as f32;
    let dark: Vec<f32> = (above..=below).map(|i| skin(i) - smooth[i]).collect();
    let most = dark.iter().copied().fold(0.0, f32::max);
    let last = above + dark.iter().rposition(|&d| d > ENDS * most)?;
    (most >= FAINT).then(|| height(last).clamp(RANGE[0], RANGE[1]))
}

/// Bilinear luma, levels; `None` outside of the picture.
fn luma_at(picture: &Rgb8, x: f32, y: f32) -> Option<f32> {
    let (w, h) = (picture.width, picture.height);
    if !(x >= 0.0 && y >= 0.0 && x < w as f32 && y < h as f32) {
        return None;
    }
    let (x, y) = ((x - 0.5).max(0.0), (y - 0.5).max(0.0));
    let (x0, y0) = (x as usize, y as usize);
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let luma = |x: usize, y: usize| {
        let i = 3 * (y.min(h - 1) * w + x.min(w - 1));
        let [r, g, b] = *picture.data.get(i..i + 3)?.first_chunk()?;
        Some(0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b))
    };
    let row = |y: usize| Some(luma(x0, y)? * (1.0 - fx) + luma(x0 + 1, y)? * fx);
    Some(row(y0)? * (1.0 - fy) + row(y0 + 1)? * fy)
}

#[cfg(test)]
mod tests {
    use super::super::tests::mean_mesh;
    use super::*;

    /// A grey picture with a dark band along the brows, from the middle line down to `edge`.
    fn picture(mesh: &[[f32; 3]], edge: f32, side: usize) -> Rgb8 {
        let mut out = Rgb8::filled(side, side, [180; 3]);
        for (y, row) in out.data.chunks_exact_mut(3 * side).enumerate() {
            for (x, p) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let right = (x as f32) < mesh[10][0];
                let frame = Frame::of(mesh, usize::from(!right)).unwrap();
                let (a, b) = (frame.middle(MIDDLE[0]).unwrap(), frame.middle(MIDDLE[1]).unwrap());
                let t = (x as f32 + 0.5 - a[0]) / (b[0] - a[0]);
                let height = (a[1] + t * (b[1] - a[1]) - y as f32 - 0.5) / (mesh[152][1] - mesh[10][1]);
                if height < 0.012 && height > edge {
                    *p = [60; 3];
                }
            }
        }
        out
    }

    #[test]
    fn the_lower_edge_of_a_drawn_brow_is_found() {
        let mesh = mean_mesh(448.0);
        for edge in [-0.045, -0.03, -0.015] {
            for found in lower_edges(&mesh, &picture(&mesh, edge, 448)) {
                assert!((found - edge).abs() < 0.004, "{found} for {edge}");
            }
        }
    }

    #[test]
    fn where_there_is_nothing_to_measure_the_ordinary_brow_stands_in() {
        let mesh = mean_mesh(448.0);
        assert_eq!(lower_edges(&mesh, &Rgb8::filled(448, 448, [90; 3])), ORDINARY);
        assert_eq!(lower_edges(&mesh, &Rgb8::filled(5, 5, [90; 3])), ORDINARY);
        assert_eq!(lower_edges(&mesh[..50], &Rgb8::filled(448, 448, [90; 3])), ORDINARY);
        assert_eq!(lower_edges(&vec![[f32::NAN; 3]; 478], &Rgb8::filled(448, 448, [90; 3])), ORDINARY);
        assert!(outline(&mesh[..50], 0, &ORDINARY).is_none());
    }

    #[test]
    fn a_lower_edge_moves_the_lower_points_only_and_both_sides_alike() {
        let mesh = mean_mesh(448.0);
        let (thin, thick) = (outline(&mesh, 0, &ORDINARY).unwrap(), outline(&mesh, 0, &[-0.05; 2]).unwrap());
        for i in [1, 2, 3, 4] {
            assert_eq!(thin[i], thick[i]);
        }
        for i in [0, 5, 6, 7] {
            assert!(thick[i][1] > thin[i][1] + 1.0, "{i}");
        }
        let left = outline(&mesh, 1, &ORDINARY).unwrap();
        assert!(left.iter().all(|p| p[0] > mesh[10][0]) && thin.iter().all(|p| p[0] < mesh[10][0]));
    }
}
