//! Colour retouching: make-up, recoloured lips and brows, recoloured irises.
//!
//! Colours are mixed in Y'CbCr: chroma moves towards the wanted colour, luma by a factor, so that the skin's own texture stays
//! (which is how such filters work, and why only colour gives them away).

use rand::Rng;
use rand::rngs::SmallRng;

use super::pixels::{Img, Rect, between, chance, gaussian, mask_of_alpha};
use super::recipe::{Face, Forged, Part, Shape, draw_named, graded, named_part};
use crate::image::Mask;

/// A tint: wanted Cb and Cr (offsets from grey, levels), and a factor on luma.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tint {
    cb: f32,
    cr: f32,
    light: f32,
}

impl Tint {
    /// A colour of chroma `strength` at `angle` (radians in the Cb-Cr plane; red lies at about 2.0).
    pub(super) fn of(angle: f32, strength: f32, light: f32) -> Self {
        Self { cb: strength * angle.cos(), cr: strength * angle.sin(), light }
    }
}

/// Moves the pixels of `image` under `alpha` × `amount` towards a tint.
pub(super) fn tint(image: &mut Img, alpha: &[f32], rect: Rect, t: Tint, amount: f32) {
    for i in rect.indices(image.width) {
        let k = alpha[i] * amount;
        if k < 0.004 {
            continue;
        }
        let [r, g, b] = image.px[i];
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        let (cb, cr) = (0.564 * (b - y), 0.713 * (r - y));
        let (y, cb, cr) = (y * (1.0 + k * (t.light - 1.0)), cb + k * (t.cb - cb), cr + k * (t.cr - cr));
        image.px[i] = [y + 1.403 * cr, y - 0.344 * cb - 0.714 * cr, y + 1.773 * cb];
    }
}

/// A mask that holds whatever any of the shapes changes.
fn joined(shapes: &[Shape], w: usize, h: usize) -> Mask {
    let mut alpha = vec![0.0f32; w * h];
    for s in shapes {
        alpha.iter_mut().zip(&s.alpha).for_each(|(a, b)| *a = a.max(*b));
    }
    mask_of_alpha(&alpha, w, h, super::recipe::LEAST_ALPHA)
}

/// Lipstick, eye shadow, blush, darker brows: one to three of them.
pub fn make_up(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let amount = graded(rng, difficulty, 0.85, 0.3);
    let first = rng.random_range(0..4);
    let count = rng.random_range(1..=3);
    let mut image = face.image.clone();
    let (mut shapes, mut parts) = (Vec::new(), Vec::new());
    for k in 0..count {
        let (id, ids, grow, feather, t, share): (&str, &[&str], f32, f32, Tint, f32) = match (first + k) % 4 {
            0 => ("lipstick", &["upper_lip", "lower_lip"], 0.0, 3.0, Tint::of(between(rng, 1.75, 2.3), 46.0, 0.8), 1.0),
            1 => ("eye_shadow", &["right_upper_eyelid", "left_upper_eyelid"], 1.0, 5.0, Tint::of(between(rng, -3.1, 3.1), 26.0, 0.62), 0.9),
            2 => ("blush", &["right_cheek", "left_cheek"], -10.0, 26.0, Tint::of(between(rng, 1.85, 2.2), 42.0, 0.96), 0.75),
            _ => ("brow_pencil", &["right_eyebrow", "left_eyebrow"], -1.0, 4.0, Tint::of(2.2, 6.0, 0.45), 0.8),
        };
        let set = ids.iter().filter_map(|c| crate::fict::part_set(c)).fold(0, |s, l| s | l);
        let Some(shape) = Shape::of(face, set, grow, 0.3, feather, rng) else { continue };
        tint(&mut image, &shape.alpha, shape.rect, t, amount * share);
        shapes.push(shape);
        parts.push(id);
    }
    if shapes.is_empty() {
        return None;
    }
    let mask = joined(&shapes, w, h);
    Some(Forged { image, mask, mesh: face.mesh.to_vec(), parts, params: vec![("amount", amount), ("count", count as f32)] })
}

/// Lips or brows in another colour.
pub fn recolour(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let parts: Vec<&'static Part> = draw_named(&["lips", "eyebrows", "right_eyebrow", "left_eyebrow"], 1, rng);
    let (w, h) = (face.image.width, face.image.height);
    let amount = graded(rng, difficulty, 1.0, 0.35);
    // Crude edits take any hue, subtle ones stay near that of lips and brown hair.
    let angle = 2.0 + between(rng, -1.0, 1.0) * graded(rng, difficulty, std::f32::consts::PI, 0.35);
    let light = if chance(rng, 0.5) { between(rng, 0.75, 0.95) } else { between(rng, 1.05, 1.3) };
    let set = parts.iter().fold(0, |s, p| s | p.leaves());
    let shape = Shape::of(face, set, between(rng, -1.0, 2.0), 0.3, graded(rng, difficulty, 1.5, 5.0), rng)?;
    let mut image = face.image.clone();
    tint(&mut image, &shape.alpha, shape.rect, Tint::of(angle, 40.0, light), amount);
    let params = vec![("amount", amount), ("hue", angle), ("light", light)];
    Some(Forged { image, mask: shape.mask(w, h), mesh: face.mesh.to_vec(), parts: parts.iter().map(|p| p.id).collect(), params })
}

/// One or both irises in another colour. `None` when the mesh has no irises, or they are under 2 px.
pub fn iris_recolour(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let amount = graded(rng, difficulty, 1.0, 0.3);
    let angle = between(rng, 0.0, std::f32::consts::TAU);
    let light = between(rng, 1.1, 1.7);
    let eyes = |id: &str| named_part(id).map_or(0, Part::leaves);
    let open = eyes("eyes");
    let mut alpha = vec![0.0f32; w * h];
    let mut radius = 0.0;
    for centre in [468usize, 473] {
        let c = face.mesh.get(centre)?;
        let ring = face.mesh.get(centre + 1..centre + 5)?;
        let r = ring.iter().map(|p| (p[0] - c[0]).hypot(p[1] - c[1])).sum::<f32>() / 4.0;
        if r < 2.0 {
            return None;
        }
        radius = r;
        for y in (c[1] - r).max(0.0) as usize..((c[1] + r).max(0.0) as usize + 1).min(h) {
            for x in (c[0] - r).max(0.0) as usize..((c[0] + r).max(0.0) as usize + 1).min(w) {
                let away = (x as f32 + 0.5 - c[0]).hypot(y as f32 + 0.5 - c[1]) / r;
                let label = face.labels[y * w + x];
                // The pupil stays dark, the lids stay skin.
                if away < 1.0 && label < 128 && open >> label & 1 == 1 {
                    alpha[y * w + x] = 1.0;
                }
            }
        }
    }
    gaussian(&mut alpha, w, h, graded(rng, difficulty, 0.6, 1.2));
    let rect = Rect::of(w, h, |i| alpha[i] > 0.004)?;
    let mut image = face.image.clone();
    tint(&mut image, &alpha, rect, Tint::of(angle, 48.0, light), amount);
    Some(Forged {
        image,
        mask: mask_of_alpha(&alpha, w, h, super::recipe::LEAST_ALPHA),
        mesh: face.mesh.to_vec(),
        parts: vec!["irises"],
        params: vec![("amount", amount), ("hue", angle), ("light", light), ("radius", radius)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tint_moves_chroma_and_keeps_texture() {
        let mut img = Img { width: 2, height: 1, px: vec![[120.0, 110.0, 100.0], [140.0, 130.0, 120.0]] };
        tint(&mut img, &[1.0, 1.0], Rect { x0: 0, y0: 0, x1: 2, y1: 1 }, Tint { cb: -20.0, cr: 30.0, light: 1.0 }, 1.0);
        let y = |p: [f32; 3]| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        assert!((y(img.px[1]) - y(img.px[0]) - 20.0).abs() < 0.2);
        assert!((0.713 * (img.px[0][0] - y(img.px[0])) - 30.0).abs() < 0.2);
    }
}
