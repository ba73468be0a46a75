//! The head's own frame, for what the mesh does not reach: hair, ears, neck, background.
//!
//! Coordinates `(s, t)`: `t` runs from the chin (0) to the top of the mesh (1, somewhat below the hairline), `s` across, 0 on
//! that axis, −1 and +1 where the mesh is widest on the subject's right and left. The two sides have units of their own, so
//! the frame follows a turned head: the far side shrinks, and what lies beyond the mesh comes into view on the near one. It is
//! flat but for that: ears and hair are where a head of ordinary shape has them, not where this person's are; a matte
//! ([`super::leaves`]) bounds them to the person.

use super::mesh::POINTS;

/// The mesh's outline, clockwise in an unmirrored photo from the top.
pub const OVAL: [u16; 36] = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132,
    93, 234, 127, 162, 21, 54, 103, 67, 109,
];
/// Chin and top of the mesh.
const AXIS: [usize; 2] = [152, 10];
/// A side is at least this wide, as a part of the axis: at a profile it would vanish.
const NARROWEST: f32 = 0.1;
/// How much what lies beyond the mesh (ear, back of the head) comes into view on the near side of a turned head, and out of
/// view on the far side: its distance from the mesh grows by this × the sides' difference over their sum. Set by eye on
/// photos of heads turned by about 40 degrees.
const TURN: f32 = 1.5;

/// Where head, neck and shoulders of an ordinary person are: half of the outline, the subject's left, from the top.
#[rustfmt::skip]
const PERSON: [[f32; 2]; 17] = [
    [0.0, 1.40], [0.45, 1.37], [0.85, 1.25], [1.10, 1.07], [1.24, 0.86], [1.28, 0.66], [1.26, 0.50], [1.18, 0.38], [1.06, 0.30], [0.96, 0.20],
    [0.90, 0.06], [0.86, -0.12], [1.05, -0.22], [1.60, -0.33], [2.30, -0.50], [2.60, -0.90], [2.60, -99.0],
];

/// The frame of one head in one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    chin: [f32; 2],
    /// Chin to top, pixels.
    up: [f32; 2],
    /// One unit of `s` on the subject's right (towards −s) and left, pixels.
    across: [[f32; 2]; 2],
    /// Stretch of what lies beyond the mesh on either side.
    beyond: [f32; 2],
}

impl Head {
    /// The frame of a mesh in pixels. `None` where the mesh has too few points, is not finite, or has chin and top in one place.
    pub fn of(mesh: &[[f32; 3]]) -> Option<Self> {
        if mesh.len() < POINTS - 10 {
            return None;
        }
        let at = |i: usize| [mesh[i][0], mesh[i][1]];
        let (chin, top) = (at(AXIS[0]), at(AXIS[1]));
        let up = [top[0] - chin[0], top[1] - chin[1]];
        let length = up[0].hypot(up[1]);
        // Across is up turned clockwise: in an unmirrored photo the subject's left.
        let side = [-up[1] / length, up[0] / length];
        let distances = OVAL.map(|i| {
            let p = at(usize::from(i));
            (p[0] - chin[0]) * side[0] + (p[1] - chin[1]) * side[1]
        });
        if length < 1e-3 || !length.is_finite() || distances.iter().any(|d| !d.is_finite()) {
            return None;
        }
        let unit = |width: f32| side.map(|v| v * width.max(NARROWEST * length));
        let right = distances.iter().fold(0.0, |m: f32, d| m.max(-d));
        let left = distances.iter().fold(0.0, |m: f32, d| m.max(*d));
        let turn = TURN * (right - left) / (right + left).max(NARROWEST * length);
        Some(Self { chin, up, across: [unit(right), unit(left)], beyond: [1.0 + turn, 1.0 - turn].map(|v| v.max(0.0)) })
    }

    /// `(s, t)` → pixels.
    pub fn place(&self, [s, t]: [f32; 2]) -> [f32; 2] {
        let side = usize::from(s > 0.0);
        let unit = self.across[side];
        // Corners far away stand for "everything on this side" and stay there.
        let s = if (1.0..10.0).contains(&s.abs()) { s.signum() * (1.0 + (s.abs() - 1.0) * self.beyond[side]) } else { s };
        [self.chin[0] + s * unit[0] + t * self.up[0], self.chin[1] + s * unit[1] + t * self.up[1]]
    }

    /// Outline of the ordinary person, pixels.
    pub fn person(&self) -> Vec<[f32; 2]> {
        let left = PERSON.iter().copied();
        let right = PERSON.iter().rev().map(|&[s, t]| [-s, t]);
        left.chain(right).map(|p| self.place(p)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mean_mesh;
    use super::*;

    #[test]
    fn chin_top_and_sides_are_where_they_belong() {
        let mesh = mean_mesh(448.0);
        let head = Head::of(&mesh).unwrap();
        let near = |a: [f32; 2], i: usize| assert!((a[0] - mesh[i][0]).hypot(a[1] - mesh[i][1]) < 0.5, "{a:?} and {:?}", mesh[i]);
        near(head.place([0.0, 0.0]), 152);
        near(head.place([0.0, 1.0]), 10);
        // The widest points of the mesh, at the height of the temples.
        near(head.place([-1.0, 0.627]), 127);
        near(head.place([1.0, 0.627]), 356);
    }

    #[test]
    fn a_turned_head_shows_one_ear() {
        // Turned to its right by shearing the mesh along its depth: the nose goes left in the picture, the far side is the right.
        let turned: Vec<[f32; 3]> = mean_mesh(448.0).iter().map(|&[x, y, z]| [x + 0.4 * z, y, z]).collect();
        let head = Head::of(&turned).unwrap();
        let beyond = |s: f32| (head.place([s, 0.6])[0] - head.place([s.signum(), 0.6])[0]).abs();
        assert!(beyond(1.2) > 2.0 * beyond(-1.2), "{} and {}", beyond(1.2), beyond(-1.2));
    }

    #[test]
    fn bad_meshes_have_no_frame() {
        let mesh = mean_mesh(448.0);
        assert!(Head::of(&mesh[..100]).is_none());
        assert!(Head::of(&vec![[3.0; 3]; 478]).is_none());
        let mut bad = mesh.clone();
        bad[127][0] = f32::NAN;
        assert!(Head::of(&bad).is_none());
        bad[127][0] = f32::INFINITY;
        assert!(Head::of(&bad).is_none());
    }
}
