//! Reenactment recipe: features moved by smooth local displacements, as expression and shape editors do.
//!
//! The displacement is a sum of bumps `(1 − t²)²` with compact support, each anchored at a mesh point; the steepest slope of
//! a bump is 1.54·|v|/r, so |v| ≤ 0.45 r keeps the map free of folds. Pixels are read at `x − u(x)` (backward warp).

use rand::Rng;
use rand::rngs::SmallRng;

use super::pixels::{Img, Rect, between, chance};
use super::recipe::{Face, Forged, graded};
use crate::fict::{mesh::TRIANGLES, raster::fill_polygon};
use crate::image::Mask;

/// Least displacement in crop pixels that counts as changed …
pub const LEAST_SHIFT: f32 = 1.5;
/// … and least part of the push's strongest displacement: the tail of a bump moves plain skin by what nobody can see.
pub const LEAST_PART: f32 = 0.3;

/// `t (1 − t²)²` peaks at t = 1/√5 ≈ 0.447 with this value: the strongest displacement of a zoom is this × r × zoom.
const ZOOM_PEAK: f32 = 0.286;

/// One anchored push: centre, radius, and either a shift or a radial scaling of the surroundings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Push {
    pub centre: [f32; 2],
    pub radius: f32,
    pub shift: [f32; 2],
    /// Radial: the offset from the centre is multiplied by 1 + `zoom`.
    pub zoom: f32,
}

impl Push {
    /// Strongest displacement, px.
    fn peak(&self) -> f32 {
        self.shift[0].hypot(self.shift[1]).max(ZOOM_PEAK * self.radius * self.zoom.abs())
    }

    fn at(&self, x: f32, y: f32) -> [f32; 2] {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let t2 = (dx * dx + dy * dy) / (self.radius * self.radius);
        if t2 >= 1.0 {
            return [0.0; 2];
        }
        let k = (1.0 - t2) * (1.0 - t2);
        [k * (self.shift[0] + self.zoom * dx), k * (self.shift[1] + self.zoom * dy)]
    }
}

/// What is moved. Points are those of the subject's right; `both` adds the mirror images.
const KINDS: [&str; 9] =
    ["mouth_corners", "mouth_corner", "mouth_open", "eye_size", "eyes_size", "brow_raise", "brows_raise", "face_outline", "nose_width"];

/// Moves one to three features. `None` when the face is too small to bend.
pub fn local_warp(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let m = face.mesh;
    let p = |i: usize| [m[i][0], m[i][1]];
    let size = (m[454][0] - m[234][0]).hypot(m[454][1] - m[234][1]);
    if size < 20.0 {
        return None;
    }
    let along = axes(m);
    let amount = graded(rng, difficulty, 1.0, 0.42);
    let wanted = if chance(rng, 0.25) { rng.random_range(2..=3) } else { 1 };
    let (mut pushes, mut kinds): (Vec<Push>, Vec<&'static str>) = (Vec::new(), Vec::new());
    for _ in 0..wanted {
        let kind = KINDS[rng.random_range(0..KINDS.len())];
        // The first five letters are the feature: one feature is not moved twice.
        if kinds.iter().any(|k| k[..4] == kind[..4]) {
            continue;
        }
        kinds.push(kind);
        let sign = if chance(rng, 0.5) { 1.0 } else { -1.0 };
        let right_side = chance(rng, 0.5);
        let a = amount * between(rng, 0.8, 1.2);
        let mut shift = |c: usize, r: f32, x: f32, y: f32| {
            pushes.push(Push { centre: p(c), radius: r * size, shift: along(x * size, y * size), zoom: 0.0 });
        };
        match kind {
            "mouth_corners" => {
                let (x, y) = (sign * 0.035 * a, -sign * 0.05 * a);
                shift(61, 0.19, -x, y);
                shift(291, 0.19, x, y);
            }
            "mouth_corner" => {
                let (x, y) = (sign * 0.045 * a, -sign * 0.055 * a);
                if right_side { shift(61, 0.19, -x, y) } else { shift(291, 0.19, x, y) }
            }
            "mouth_open" => {
                shift(17, 0.2, 0.0, 0.06 * a * if sign < 0.0 { -0.6 } else { 1.0 });
                shift(0, 0.14, 0.0, -0.03 * a * sign);
            }
            "eye_size" | "eyes_size" => {
                for (outer, inner, right) in [(33, 133, true), (263, 362, false)] {
                    if kind == "eyes_size" || right == right_side {
                        let c = [(m[outer][0] + m[inner][0]) / 2.0, (m[outer][1] + m[inner][1]) / 2.0];
                        pushes.push(Push { centre: c, radius: 0.2 * size, shift: [0.0; 2], zoom: sign * 0.3 * a });
                    }
                }
            }
            "brow_raise" | "brows_raise" => {
                let tilt = between(rng, -0.015, 0.015) * a;
                for (ids, right) in [([53, 52, 65], true), ([283, 282, 295], false)] {
                    if kind == "brows_raise" || right == right_side {
                        shift(ids[0], 0.14, 0.0, -0.022 * a * sign);
                        shift(ids[1], 0.14, 0.0, -0.026 * a * sign);
                        shift(ids[2], 0.14, 0.0, -0.022 * a * sign + tilt);
                    }
                }
            }
            "face_outline" => {
                for (ids, side) in [([132, 172], 1.0), ([361, 397], -1.0)] {
                    for c in ids {
                        shift(c, 0.26, side * sign * 0.038 * a, 0.0);
                    }
                }
            }
            _ => {
                shift(129, 0.13, -sign * 0.032 * a, 0.0);
                shift(358, 0.13, sign * 0.032 * a, 0.0);
            }
        }
    }
    let (image, mask, mesh, strongest) = bent(face, &pushes);
    Some(Forged { image, mask, mesh, parts: kinds, params: vec![("amount", amount), ("strongest_px", strongest)] })
}

/// The head's own axes ("up" must follow a tilted head): maps (towards the subject's left, downwards) to pixels.
pub(super) fn axes(m: &[[f32; 3]]) -> impl Fn(f32, f32) -> [f32; 2] + use<> {
    let d = [m[152][0] - m[10][0], m[152][1] - m[10][1]];
    let n = d[0].hypot(d[1]).max(1.0);
    let down = [d[0] / n, d[1] / n];
    let left = [down[1], -down[0]]; // +x on an upright photo
    move |a: f32, b: f32| [a * left[0] + b * down[0], a * left[1] + b * down[1]]
}

/// The face moved by `pushes`: picture, pixels that moved visibly, mesh, strongest displacement in px.
pub(super) fn bent(face: &Face, pushes: &[Push]) -> (Img, Mask, Vec<[f32; 3]>, f32) {
    let (w, h) = (face.image.width, face.image.height);
    let m = face.mesh;
    let p = |i: usize| [m[i][0], m[i][1]];
    let bend = |x: f32, y: f32| {
        pushes.iter().fold([0.0f32; 2], |u, q| {
            let v = q.at(x, y);
            [u[0] + v[0], u[1] + v[1]]
        })
    };
    // Face area, slightly grown: an outline moved outwards bends the background beside it, too.
    let mut face_area = vec![false; w * h];
    let centre = p(4);
    for t in &TRIANGLES {
        let q = t.map(|i| p(i as usize)).map(|v| [0, 1].map(|k| centre[k] + (v[k] - centre[k]) * 1.03));
        fill_polygon(&q, w, h, |y, a, b| face_area[y * w + a..y * w + b].fill(true));
    }
    let strongest = pushes.iter().map(Push::peak).fold(0.0, f32::max);
    let mut image = face.image.clone();
    let mut mask = Mask { width: w, height: h, data: vec![0; w * h] };
    for q in pushes {
        let lo = |k: usize| (q.centre[k] - q.radius).max(0.0) as usize;
        let hi = |k: usize, n: usize| ((q.centre[k] + q.radius).max(0.0) as usize + 1).min(n);
        let rect = Rect { x0: lo(0).min(w), y0: lo(1).min(h), x1: hi(0, w).max(lo(0).min(w)), y1: hi(1, h).max(lo(1).min(h)) };
        let least = LEAST_SHIFT.max(LEAST_PART * q.peak());
        for i in rect.indices(w) {
            let (x, y) = ((i % w) as f32 + 0.5, (i / w) as f32 + 0.5);
            let away = (x - q.centre[0]).hypot(y - q.centre[1]);
            if away >= q.radius {
                continue;
            }
            let u = bend(x, y);
            let n = u[0].hypot(u[1]);
            // Below a tenth of a pixel the original stays, so that untouched pixels are untouched bytes.
            if n > 0.1 {
                image.px[i] = face.image.sample(x - u[0], y - u[1]);
            }
            // The centre of a zoom stands still, but the feature around it is another size: it belongs to the mask.
            let hub = q.zoom != 0.0 && q.peak() > least && away < 0.447 * q.radius;
            if (n > least || hub) && face_area[i] {
                mask.data[i] = 1;
            }
        }
    }
    // A feature at q is seen where p − u(p) = q; a few fixed-point steps solve it.
    let mut mesh = m.to_vec();
    for v in &mut mesh {
        let q = [v[0], v[1]];
        let mut at = q;
        for _ in 0..4 {
            let u = bend(at[0], at[1]);
            at = [q[0] + u[0], q[1] + u[1]];
        }
        (v[0], v[1]) = (at[0], at[1]);
    }
    (image, mask, mesh, strongest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_local_and_does_not_fold() {
        let q = Push { centre: [50.0, 50.0], radius: 20.0, shift: [9.0, 0.0], zoom: 0.0 };
        assert_eq!(q.at(50.0, 50.0), [9.0, 0.0]);
        assert_eq!(q.at(71.0, 50.0), [0.0, 0.0]);
        let mut last = f32::MIN;
        for i in 0..400 {
            let x = 20.0 + 0.15 * i as f32;
            let source = x - q.at(x, 50.0)[0];
            assert!(source > last, "folds at {x}");
            last = source;
        }
    }
}
