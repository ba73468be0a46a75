//! The whole face rendered anew, as face-swap and reenactment networks do it.
//!
//! Such a network sees the face as a small aligned square, paints it again, and the result is enlarged, turned back and blended into the
//! photo (the road of the tools that Rössler et al. 2019, "FaceForensics++", collect). Whatever network it was, the face has
//! passed a coarser, turned grid: its detail and grain end where those of hair and background do not, often sharpened afterwards.
//! Here that road is taken without a network, by the face itself: moved a little ([`rerender`]) or by one gesture ([`driven`]),
//! resampled through the grid, tinted, blended. Borrowing the face itself instead of a stranger's is the idea of Shiohara & Yamasaki
//! (CVPR 2022): nothing gives it away but the traces.

use rand::Rng;
use rand::rngs::SmallRng;

use super::bend::{Push, axes, bent};
use super::pixels::{Img, Rect, between, chance, normal};
use super::recipe::{Face, Forged, Recipe, Shape, graded};
use super::reenact::{feature_warp, width};
use super::swap::{fit, mean_over};
use crate::fict;

/// What a network paints: name for the record, and the concepts that it covers.
type Area = (&'static str, &'static [&'static str]);

const AREAS: [Area; 4] = [
    ("face_and_forehead", &["face"]),
    ("face", &["inner_face", "jaw"]),
    ("inner_face", &["inner_face"]),
    ("mouth_and_jaw", &["mouth", "jaw", "right_nasolabial", "left_nasolabial"]),
];

/// Mesh points at whose features the face's shape is changed: eyes, brows, nose, mouth, jaw, with the reach in parts of the face's width.
const FEATURES: [(usize, f32); 10] =
    [(159, 0.2), (386, 0.2), (52, 0.18), (282, 0.18), (1, 0.2), (61, 0.2), (291, 0.2), (17, 0.2), (172, 0.26), (397, 0.26)];

/// The face as a swap network would give it back: its features moved a little, all of it through a coarser grid.
pub fn rerender(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let size = width(face.mesh)?;
    let reach = graded(rng, difficulty, 0.02, 0.007) * size;
    let along = axes(face.mesh);
    let pushes: Vec<Push> = FEATURES
        .iter()
        .map(|&(point, radius)| {
            let shift = along(between(rng, -reach, reach), between(rng, -reach, reach));
            Push { centre: [face.mesh[point][0], face.mesh[point][1]], radius: radius * size, shift, zoom: 0.0 }
        })
        .collect();
    let (image, _, mesh, strongest) = bent(face, &pushes);
    let area = AREAS[[0, 0, 1, 1, 1, 2, 2][rng.random_range(0..7)]];
    painted(face, (&image, mesh), area, ("strongest_px", strongest), difficulty, rng)
}

/// The face as a reenactment network would give it back: one gesture made, all of it through a coarser grid.
pub fn driven(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let gesture = [Recipe::MouthWarp, Recipe::MouthWarp, Recipe::EyeWarp, Recipe::BrowWarp][rng.random_range(0..4)];
    let moved = feature_warp(face, gesture, difficulty, rng)?;
    // A mouth that is made to speak is painted with the jaw alone by some.
    let area = if gesture == Recipe::MouthWarp && chance(rng, 0.35) { AREAS[3] } else { AREAS[rng.random_range(0..2)] };
    let strongest = moved.params.iter().find(|p| p.0 == "strongest_px").map_or(0.0, |p| p.1);
    let mut forged = painted(face, (&moved.image, moved.mesh), area, ("strongest_px", strongest), difficulty, rng)?;
    forged.parts.extend(moved.parts);
    Some(forged)
}

/// `source` (a moved picture of the face, with its mesh) through the grid, tinted and blended over `area`.
fn painted(
    face: &Face,
    (source, mesh): (&Img, Vec<[f32; 3]>),
    area: Area,
    moved: (&'static str, f32),
    difficulty: f32,
    rng: &mut SmallRng,
) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let set = area.1.iter().filter_map(|id| fict::part_set(id)).fold(0, |s, l| s | l);
    let feather = graded(rng, difficulty, 2.5, 16.0);
    let grow = between(rng, -7.0, 3.0);
    let mut shape = Shape::of(face, set, grow, between(rng, 0.1, 0.9), feather, rng)?;
    let rect = shape.rect.grown(4, w, h);
    // How much coarser than the photo's own pixels the grid is. A face that fills few of them loses nothing on it, so it
    // is never finer than the photo.
    let factor = graded(rng, difficulty, 3.0, 1.25) * between(rng, 0.85, 1.2);
    let step = factor.max(1.15) * face.texel;
    let mut over = through_grid(source, rect, step, between(rng, -0.35, 0.35), between(rng, 0.35, 0.6), rng);
    // Enhanced, as swap tools do with their small output, or with a grain of its own; or neither.
    let sharpened = if chance(rng, 0.45) { between(rng, 0.3, 1.6) } else { 0.0 };
    if sharpened > 0.0 {
        let soft = over.blurred(0.6 * step, rect);
        for i in rect.indices(w) {
            over.px[i] = [0, 1, 2].map(|c| over.px[i][c] + sharpened * (over.px[i][c] - soft.px[i][c]));
        }
    }
    let grain = if chance(rng, 0.2) { between(rng, 0.8, 3.0) } else { 0.0 };
    if grain > 0.0 {
        for i in rect.indices(w) {
            let n = grain * normal(rng);
            over.px[i] = over.px[i].map(|v| v + n);
        }
    }
    let tinted = if chance(rng, 0.8) { graded(rng, difficulty, 1.0, 0.3) } else { 0.0 };
    let contrast = 1.0 + tinted * between(rng, -0.14, 0.14);
    let shift = [0; 3].map(|_| tinted * between(rng, -9.0, 9.0));
    let mean = mean_over(&over, &shape, rect);
    for i in rect.indices(w) {
        over.px[i] = [0, 1, 2].map(|c| mean[c] + (over.px[i][c] - mean[c]) * contrast + shift[c]);
    }
    let poisson = chance(rng, 0.3);
    fit(face.image, &mut over, &mut shape, (rect, &vec![true; w * h]), (0.0, poisson));
    // Features move where the painted face shows.
    let at = |p: &[f32; 3]| shape.alpha[(p[1].clamp(0.0, h as f32 - 1.0)) as usize * w + (p[0].clamp(0.0, w as f32 - 1.0)) as usize];
    let mesh = face.mesh.iter().zip(&mesh).map(|(a, b)| {
        let k = at(a).max(at(b));
        [a[0] + k * (b[0] - a[0]), a[1] + k * (b[1] - a[1]), a[2]]
    });
    Some(Forged {
        image: shape.blend(face.image, &over, 1.0),
        mask: shape.mask(w, h),
        mesh: mesh.collect(),
        parts: vec![area.0],
        params: vec![
            moved,
            ("factor", step / face.texel),
            ("grow", grow),
            ("feather", feather),
            ("sharpened", sharpened),
            ("grain", grain),
            ("contrast", contrast),
            ("poisson", f32::from(u8::from(poisson))),
        ],
    })
}

/// `rect` of a picture read on a grid of `step` px turned by `angle`, and enlarged again between its points. `soft` is the blur before
/// reading, in steps: little leaves jagged lines, much leaves a veil.
fn through_grid(source: &Img, rect: Rect, step: f32, angle: f32, soft: f32, rng: &mut SmallRng) -> Img {
    let centre = [0.5 * (rect.x0 + rect.x1) as f32, 0.5 * (rect.y0 + rect.y1) as f32];
    let (sin, cos) = angle.sin_cos();
    let side = ((rect.width() as f32).hypot(rect.height() as f32) / step).ceil() as usize + 3;
    let off = [0; 2].map(|_| 0.5 * side as f32 + between(rng, -0.5, 0.5));
    // The grid reaches a little beyond.
    let blurred = source.blurred(soft * step, rect.grown((2.0 * step).ceil() as usize, source.width, source.height));
    let mut grid = Img::new(side, side);
    for (i, p) in grid.px.iter_mut().enumerate() {
        let (u, v) = (((i % side) as f32 + 0.5 - off[0]) * step, ((i / side) as f32 + 0.5 - off[1]) * step);
        *p = blurred.sample(centre[0] + cos * u - sin * v, centre[1] + sin * u + cos * v);
    }
    let mut out = source.clone();
    for i in rect.indices(source.width) {
        let (x, y) = ((i % source.width) as f32 + 0.5 - centre[0], (i / source.width) as f32 + 0.5 - centre[1]);
        out.px[i] = grid.sample((cos * x + sin * y) / step + off[0], (cos * y - sin * x) / step + off[1]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::drawn::drawn_sampler;
    use super::super::sampler::Order;
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_grid_keeps_what_is_smooth_and_loses_what_is_fine() {
        let (w, h) = (90, 80);
        let ramp = Img { width: w, height: h, px: (0..w * h).map(|i| [(i % w) as f32 + 0.5 * (i / w) as f32; 3]).collect() };
        let fine = Img { width: w, height: h, px: (0..w * h).map(|i| [if (i % w + i / w) % 2 == 0 { 90.0 } else { 110.0 }; 3]).collect() };
        let rect = Rect { x0: 20, y0: 15, x1: 70, y1: 60 };
        let mut rng = SmallRng::seed_from_u64(3);
        let out = through_grid(&ramp, rect, 3.0, 0.3, 0.5, &mut rng);
        // A linear ramp survives blur, reading and bilinear enlarging; turned out of place it would not.
        let worst = rect.indices(w).map(|i| (out.px[i][0] - ramp.px[i][0]).abs()).fold(0.0, f32::max);
        assert!(worst < 0.05, "{worst}");
        let out = through_grid(&fine, rect, 3.0, 0.3, 0.5, &mut rng);
        let worst = rect.indices(w).map(|i| (out.px[i][0] - 100.0).abs()).fold(0.0, f32::max);
        assert!(worst < 2.0, "{worst}");
        // Outside nothing changes.
        assert_eq!(out.px[0], fine.px[0]);
    }

    #[test]
    fn a_face_rendered_anew_is_coarser_inside_its_mask_and_the_same_outside() {
        let sampler = drawn_sampler(5);
        let order = |recipe| Order { recipe, difficulty: 0.0, augment: false, degrade: false };
        for recipe in [Recipe::Rerender, Recipe::Driven] {
            let (mut before, mut after) = (0.0, 0.0);
            for index in 0..6 {
                let (a, b) = (sampler.make(index, order(None)).unwrap(), sampler.make(index, order(Some(recipe))).unwrap());
                assert_eq!(b.family, recipe.family());
                let outside = (0..b.artifact.data.len()).filter(|&i| b.artifact.data[i] == 0);
                let moved = outside.map(|i| a.image.data[3 * i].abs_diff(b.image.data[3 * i])).filter(|&d| d > 60).count();
                assert_eq!(moved, 0, "{recipe:?}");
                let inside: Vec<usize> = (0..b.artifact.data.len() - 1).filter(|&i| b.artifact.data[i] == 1).collect();
                let rough =
                    |s: &crate::image::Rgb8| inside.iter().map(|&i| f32::from(s.data[3 * i].abs_diff(s.data[3 * i + 3]))).sum::<f32>();
                before += rough(&a.image);
                after += rough(&b.image);
            }
            assert!(after < 0.9 * before, "{recipe:?}: {after} of {before}");
        }
    }
}
