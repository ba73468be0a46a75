//! Attribute-edit recipes: a part blurred, smoothed, or filled from its surroundings.

use rand::rngs::SmallRng;

use super::pixels::{Img, between, chance, fill_smooth, guided, normal};
use super::recipe::{Face, Forged, Part, Shape, graded};
use crate::fict::{self, Set};

/// Concepts whose texture may be borrowed.
pub(super) const SKIN: [&str; 4] = ["cheeks", "jaw", "forehead", "philtrum"];

/// The leaves of several parts.
pub(super) fn leaves(parts: &[&'static Part]) -> Set {
    parts.iter().fold(0, |s, p| s | p.leaves())
}

/// `over` laid on the face through a shape, with the record of it.
pub(super) fn forged(face: &Face, shape: &Shape, over: &Img, parts: &[&'static Part], params: Vec<(&'static str, f32)>) -> Forged {
    let (w, h) = (face.image.width, face.image.height);
    Forged {
        image: shape.blend(face.image, over, 1.0),
        mask: shape.mask(w, h),
        mesh: face.mesh.to_vec(),
        parts: parts.iter().map(|p| p.id).collect(),
        params,
    }
}

/// Gaussian blur of the parts: fine detail is gone.
pub fn part_blur(face: &Face, parts: &[&'static Part], difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let sigma = graded(rng, difficulty, 4.5, 1.4) * face.texel.sqrt();
    let grow = between(rng, -1.0, 3.0);
    let feather = graded(rng, difficulty, 3.0, 8.0);
    let shape = Shape::of(face, leaves(parts), grow, 0.4, feather, rng)?;
    let over = face.image.blurred(sigma, shape.rect);
    Some(forged(face, &shape, &over, parts, vec![("sigma", sigma), ("grow", grow), ("feather", feather)]))
}

/// Edge-preserving smoothing of the parts, as beauty filters do: pores and wrinkles go, edges stay.
pub fn part_smooth(face: &Face, parts: &[&'static Part], difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let radius = graded(rng, difficulty, 11.0, 5.0).round();
    let eps = graded(rng, difficulty, 34.0, 14.0);
    let grow = between(rng, -1.0, 3.0);
    let feather = graded(rng, difficulty, 5.0, 12.0);
    let shape = Shape::of(face, leaves(parts), grow, 0.4, feather, rng)?;
    let (w, h) = (face.image.width, face.image.height);
    let pad = shape.rect.grown(2 * radius as usize + 1, w, h);
    let smooth = guided(&face.image.cut(pad), radius as usize, eps);
    let mut over = face.image.clone();
    for (i, p) in pad.indices(w).zip(&smooth.px) {
        over.px[i] = *p;
    }
    Some(forged(face, &shape, &over, parts, vec![("radius", radius), ("eps", eps), ("grow", grow), ("feather", feather)]))
}

/// The parts filled from around them: a smooth fill, and on top of it nothing, noise, or texture borrowed from beside.
pub fn part_inpaint(face: &Face, parts: &[&'static Part], difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let grow = graded(rng, difficulty, 5.0, 1.0);
    let feather = graded(rng, difficulty, 2.5, 7.0);
    let shape = Shape::of(face, leaves(parts), grow, 0.3, feather, rng)?;
    let rect = shape.rect.grown(8, w, h);
    let ids: Vec<usize> = rect.indices(w).collect();
    let known: Vec<bool> = ids.iter().map(|&i| shape.alpha[i] < 0.02).collect();
    if !known.iter().any(|&k| k) {
        return None;
    }
    // The border is read from a slightly blurred copy: single dark pixels would be drawn into long streaks.
    let soft = face.image.blurred(1.5, rect);
    let mut fill: Vec<[f32; 3]> = ids.iter().map(|&i| soft.px[i]).collect();
    fill_smooth(&mut fill, &known, rect.width(), rect.height(), 20);
    // Texture: what a blur takes away, read at an offset that leads out of the part, from skin only (edges of lips, hair or
    // clothes would be drawn into the fill). Where one side is no skin the opposite side is tried.
    let textured = chance(rng, 0.35 + 0.45 * difficulty);
    let gain = if textured { graded(rng, difficulty, 0.5, 1.0) } else { 0.0 };
    let noise = if chance(rng, 0.5) { graded(rng, difficulty, 4.0, 1.5) } else { 0.0 };
    let angle = between(rng, 0.0, std::f32::consts::TAU);
    let reach = 0.5 * shape.rect.width().max(shape.rect.height()) as f32 + between(rng, 4.0, 24.0);
    let (dx, dy) = ((reach * angle.cos()) as isize, (reach * angle.sin()) as isize);
    let low = if textured { face.image.blurred(3.0, rect.grown(reach as usize + 1, w, h)) } else { Img::new(0, 0) };
    let skin = SKIN.iter().filter_map(|id| fict::part_set(id)).fold(0, |s, l| s | l);
    let source = |x: usize, y: usize| {
        [1, -1].into_iter().find_map(|k| {
            let (sx, sy) = (x as isize + k * dx, y as isize + k * dy);
            let i = (sx >= 0 && sy >= 0 && sx < w as isize && sy < h as isize).then(|| sy as usize * w + sx as usize)?;
            let label = face.labels[i];
            (label < 128 && skin >> label & 1 == 1 && shape.alpha[i] < 0.3).then_some(i)
        })
    };
    let mut over = face.image.clone();
    let grain = (face.texel.round() as usize).clamp(1, 3);
    let field: Vec<f32> = (0..(w / grain + 1) * (h / grain + 1)).map(|_| if noise > 0.0 { normal(rng) } else { 0.0 }).collect();
    for (&i, f) in ids.iter().zip(&fill) {
        let (x, y) = (i % w, i / w);
        let n = noise * field[(y / grain) * (w / grain + 1) + x / grain];
        let from = if textured { source(x, y) } else { None };
        over.px[i] = [0, 1, 2].map(|c| {
            let detail = from.map_or(0.0, |j| gain * (face.image.px[j][c] - low.px[j][c]).clamp(-14.0, 14.0));
            f[c] + detail + n
        });
    }
    Some(forged(
        face,
        &shape,
        &over,
        parts,
        vec![("grow", grow), ("feather", feather), ("texture", gain), ("noise", noise), ("dx", dx as f32), ("dy", dy as f32)],
    ))
}
