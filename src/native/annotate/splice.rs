//! Splices: the whole face from another person, and a part that went through another JPEG on its way (a JPEG ghost).
//!
//! `whole_swap` brings a donor's face onto the target's mesh, triangle by triangle, moves its colours, and blends it by alpha
//! or in the gradient domain. `ghost_splice` (after the idea of Farid, "Exposing digital forgeries from JPEG ghosts", 2009)
//! pastes a part of a copy whose 8 × 8 grid was shifted and whose quality was lower.

use rand::Rng;
use rand::rngs::SmallRng;

use super::degrade::jpeg;
use super::edit::{forged, leaves};
use super::pixels::{Img, between, chance};
use super::recipe::{Face, Forged, Shape, draw_named, graded};
use super::swap::{fit, warp_by_mesh};
use crate::fict;

/// Replaces the face from brows to chin, sometimes with the forehead, by a donor's.
pub fn whole_swap(face: &Face, donor: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let forehead = chance(rng, 0.5);
    let ids: &[&str] = if forehead { &["face"] } else { &["inner_face", "jaw"] };
    let set = ids.iter().filter_map(|id| fict::part_set(id)).fold(0, |s, l| s | l);
    let grow = graded(rng, difficulty, -1.0, -7.0);
    let feather = graded(rng, difficulty, 2.0, 16.0);
    let transfer = graded(rng, difficulty, 0.3, 1.0);
    let poisson = chance(rng, 0.15 + 0.5 * difficulty);
    let mut shape = Shape::of(face, set, grow, 0.3, feather, rng)?;
    let rect = shape.rect.grown(4, w, h);
    let mut over = face.image.clone();
    let mut filled = vec![false; w * h];
    warp_by_mesh(face, donor, rect, &mut over, &mut filled);
    let transferred = if poisson { 0.6 * transfer } else { transfer };
    fit(face.image, &mut over, &mut shape, (rect, &filled), (transferred, poisson));
    Some(Forged {
        image: shape.blend(face.image, &over, 1.0),
        mask: shape.mask(w, h),
        mesh: face.mesh.to_vec(),
        parts: vec![if forehead { "face_and_forehead" } else { "face" }],
        params: vec![
            ("grow", grow),
            ("feather", feather),
            ("colour_transfer", transfer),
            ("poisson", f32::from(u8::from(poisson))),
            ("forehead", f32::from(u8::from(forehead))),
        ],
    })
}

/// Pastes parts of a copy that was stored as a coarser JPEG with a shifted grid.
pub fn ghost_splice(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let ids = ["nose", "mouth", "inner_face", "face", "right_cheek", "left_cheek", "eyes", "forehead", "chin"];
    let parts = draw_named(&ids, 2, rng);
    let (w, h) = (face.image.width, face.image.height);
    let quality = graded(rng, difficulty, 18.0, 62.0).round();
    let shift = [rng.random_range(1..8usize), rng.random_range(1..8usize)];
    let shape = Shape::of(face, leaves(&parts), between(rng, 0.0, 4.0), 0.4, graded(rng, difficulty, 1.0, 6.0), rng)?;
    // The copy begins `shift` px before the part's block, so its grid lies off the picture's.
    let mut rect = shape.rect.grown(8, w, h);
    rect.x0 = (rect.x0 / 8 * 8 + shift[0]).min(rect.x1.saturating_sub(9));
    rect.y0 = (rect.y0 / 8 * 8 + shift[1]).min(rect.y1.saturating_sub(9));
    let copy = Img::from_rgb(&jpeg(&face.image.cut(rect).to_rgb(), quality as u8)?);
    let mut over = face.image.clone();
    for (i, p) in rect.indices(w).zip(&copy.px) {
        over.px[i] = *p;
    }
    let params = vec![("quality", quality), ("shift_x", shift[0] as f32), ("shift_y", shift[1] as f32)];
    Some(forged(face, &shape, &over, &parts, params))
}
