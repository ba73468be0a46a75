//! Reenactment of one feature at a time: mouth, eyes, brows, outline of the face. And the enlarged eyes of beauty filters.
//!
//! Each is a list of pushes of [`super::bend`], anchored at mesh points of the subject's right and mirrored where the movement
//! has two sides. Shifts are in parts of the face's width, along the head's own axes.

use rand::Rng;
use rand::rngs::SmallRng;

use super::bend::{Push, axes, bent};
use super::pixels::{between, chance};
use super::recipe::{Face, Forged, Recipe, graded};
use crate::fict::mesh::MIRROR;

/// Which sides of the face a movement takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sides {
    Middle,
    Both,
    One,
}

/// (mesh point, radius, towards the subject's right, down), in parts of the face's width.
type Moves = &'static [(usize, f32, f32, f32)];

/// A movement at its crudest; `swings` says whether the opposite direction makes sense, too.
struct Gesture {
    id: &'static str,
    sides: Sides,
    swings: bool,
    moves: Moves,
}

const fn gesture(id: &'static str, sides: Sides, swings: bool, moves: Moves) -> Gesture {
    Gesture { id, sides, swings, moves }
}

const MOUTH: [Gesture; 5] = [
    gesture("mouth_smile", Sides::Both, false, &[(61, 0.18, 0.042, -0.05)]),
    gesture("mouth_frown", Sides::Both, false, &[(61, 0.17, -0.01, 0.055)]),
    gesture("mouth_open", Sides::Middle, false, &[(17, 0.2, 0.0, 0.075), (0, 0.12, 0.0, -0.02)]),
    gesture("mouth_pucker", Sides::Both, false, &[(61, 0.19, -0.06, 0.0)]),
    gesture("mouth_pull", Sides::One, true, &[(61, 0.2, 0.05, -0.05)]),
];
const EYES: [Gesture; 4] = [
    gesture("eyes_narrow", Sides::Both, false, &[(159, 0.09, 0.0, 0.034), (145, 0.08, 0.0, -0.018)]),
    gesture("eyes_wide", Sides::Both, false, &[(159, 0.1, 0.0, -0.032), (145, 0.08, 0.0, 0.016)]),
    gesture("eye_narrow", Sides::One, false, &[(159, 0.09, 0.0, 0.034), (145, 0.08, 0.0, -0.018)]),
    gesture("gaze", Sides::Both, true, &[(468, 0.08, 0.03, 0.0)]),
];
const BROWS: [Gesture; 4] = [
    gesture("brows_raise", Sides::Both, true, &[(53, 0.14, 0.0, -0.03), (52, 0.14, 0.0, -0.034), (65, 0.14, 0.0, -0.03)]),
    gesture("brows_knit", Sides::Both, false, &[(55, 0.13, -0.035, 0.022), (65, 0.12, -0.015, 0.015)]),
    gesture("brow_raise", Sides::One, false, &[(53, 0.14, 0.0, -0.032), (52, 0.14, 0.0, -0.038), (65, 0.14, 0.0, -0.03)]),
    gesture("brows_worry", Sides::Both, false, &[(55, 0.13, 0.0, -0.035), (46, 0.12, 0.0, 0.025)]),
];
const OUTLINE: [Gesture; 3] = [
    gesture("jaw_width", Sides::Both, true, &[(132, 0.26, -0.04, 0.0), (172, 0.26, -0.044, 0.0)]),
    gesture("chin_length", Sides::Middle, true, &[(152, 0.26, 0.0, 0.065), (17, 0.14, 0.0, 0.012)]),
    gesture("cheek_width", Sides::Both, true, &[(93, 0.26, -0.046, 0.0), (234, 0.24, -0.03, 0.0)]),
];

/// Moves one feature. `None` when the face is too small, or the recipe is none of these four.
pub fn feature_warp(face: &Face, recipe: Recipe, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let gestures: &'static [Gesture] = match recipe {
        Recipe::MouthWarp => &MOUTH,
        Recipe::EyeWarp => &EYES,
        Recipe::BrowWarp => &BROWS,
        Recipe::OutlineWarp => &OUTLINE,
        _ => return None,
    };
    let m = face.mesh;
    let size = width(m)?;
    let g = &gestures[rng.random_range(0..gestures.len())];
    let amount = graded(rng, difficulty, 1.15, 0.42) * between(rng, 0.9, 1.1);
    let sign = if g.swings && chance(rng, 0.5) { -1.0 } else { 1.0 };
    let right = chance(rng, 0.5);
    let along = axes(m);
    let mut pushes = Vec::new();
    for &(point, radius, x, y) in g.moves {
        let mut push = |point: usize, x: f32| {
            let [cx, cy, _] = m[point];
            let shift = along(-x * size * amount * sign, y * size * amount * sign);
            pushes.push(Push { centre: [cx, cy], radius: radius * size, shift, zoom: 0.0 });
        };
        let other = *MIRROR.get(point)? as usize;
        match g.sides {
            Sides::Middle => push(point, x),
            // The gaze goes one way with both eyes.
            Sides::Both => {
                push(point, x);
                push(other, if g.id == "gaze" { x } else { -x });
            }
            Sides::One if right => push(point, x),
            Sides::One => push(other, -x),
        }
    }
    let (image, mask, mesh, strongest) = bent(face, &pushes);
    Some(Forged { image, mask, mesh, parts: vec![g.id], params: vec![("amount", amount * sign), ("strongest_px", strongest)] })
}

/// Both eyes enlarged, as beauty filters do.
pub fn eye_enlarge(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let m = face.mesh;
    let size = width(m)?;
    let zoom = graded(rng, difficulty, 0.42, 0.14);
    let radius = between(rng, 0.17, 0.21) * size;
    let pushes: Vec<Push> = [(33, 133), (263, 362)]
        .iter()
        .map(|&(outer, inner)| {
            let centre = [(m[outer][0] + m[inner][0]) / 2.0, (m[outer][1] + m[inner][1]) / 2.0];
            Push { centre, radius, shift: [0.0; 2], zoom }
        })
        .collect();
    let (image, mask, mesh, strongest) = bent(face, &pushes);
    Some(Forged { image, mask, mesh, parts: vec!["eyes"], params: vec![("zoom", zoom), ("strongest_px", strongest)] })
}

/// Width of the face, px; `None` under 20 px.
pub(super) fn width(m: &[[f32; 3]]) -> Option<f32> {
    let size = (m[454][0] - m[234][0]).hypot(m[454][1] - m[234][1]);
    (size >= 20.0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_gesture_folds_the_picture() {
        for g in MOUTH.iter().chain(&EYES).chain(&BROWS).chain(&OUTLINE) {
            for &(point, radius, x, y) in g.moves {
                assert!(x.hypot(y) * 1.15 * 1.1 <= 0.5 * radius, "{} at {point}", g.id);
                assert!(point < 478 && (MIRROR[point] as usize) < 478);
            }
        }
    }
}
