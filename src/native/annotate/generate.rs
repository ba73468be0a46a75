//! Recipes that borrow a network ([`super::nets`]): parts painted anew by a generator or an up-sampler,
//! and hair in another colour.
//!
//! All are kept from training, so they test what a model makes of tools that it never saw.

use rand::Rng;
use rand::rngs::SmallRng;

use super::edit::{forged, leaves};
use super::nets::matte::{self, Square};
use super::nets::{Inpainter, Matting, Upscaler, inpaint};
use super::pixels::{Img, Rect, between, gaussian, mask_of_alpha};
use super::recipe::{Face, Forged, Shape, draw_named, graded};
use super::retouch::{Tint, tint};
use crate::fict::head::Head;
use crate::fict::raster::fill_polygon;
use crate::fict::{self, BACKGROUND, Depth, Seen};
use crate::image::Mask;

/// A part painted anew by the inpainter, pasted back under a feathered border. Crude ones open holes over eyes, nose and mouth,
/// subtle ones over skin and brows.
pub fn gan_inpaint(face: &Face, net: &Inpainter, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    const CRUDE: [&str; 6] = ["mouth", "nose", "right_eye_and_brow", "left_eye_and_brow", "eyes", "lips"];
    const SUBTLE: [&str; 11] = [
        "right_cheek",
        "left_cheek",
        "chin",
        "forehead",
        "glabella",
        "right_under_eye",
        "left_under_eye",
        "right_nasolabial",
        "left_nasolabial",
        "right_eyebrow",
        "left_eyebrow",
    ];
    let (w, h) = (face.image.width, face.image.height);
    let skin = graded(rng, difficulty, 0.0, 1.0) > 0.5;
    let parts = draw_named(if skin { &SUBTLE[..] } else { &CRUDE[..] }, if skin { 2 } else { 1 }, rng);
    let feather = graded(rng, difficulty, 2.0, 9.0);
    let shape = Shape::of(face, leaves(&parts), graded(rng, difficulty, 4.0, 0.0), 0.4, feather, rng)?;
    // The generator sees the whole crop; the hole is all that the blend will touch.
    let hole: Vec<[f32; 3]> = shape.alpha.iter().map(|&a| [f32::from(u8::from(a > 0.01)); 3]).collect();
    let hole = resized(&Img { width: w, height: h, px: hole }, inpaint::SIDE, inpaint::SIDE);
    let known: Vec<bool> = hole.px.iter().map(|p| p[0] <= 0.0).collect();
    let square = resized(face.image, inpaint::SIDE, inpaint::SIDE);
    let filled = net.fill(&square.px, &known).ok()?;
    let over = resized(&Img { width: inpaint::SIDE, height: inpaint::SIDE, px: filled }, w, h);
    Some(forged(face, &shape, &over, &parts, vec![("feather", feather), ("hole", shape.rect.width() as f32)]))
}

fn resized(image: &Img, width: usize, height: usize) -> Img {
    if (image.width, image.height) == (width, height) { image.clone() } else { super::degrade::resized(image, width, height) }
}

/// A part made anew by the up-sampler from a copy of a half or a quarter of its size: sharp edges, invented or lost texture.
pub fn esrgan_resample(face: &Face, net: &Upscaler, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    const PARTS: [&str; 12] = [
        "inner_face",
        "eyes",
        "right_eye",
        "left_eye",
        "mouth",
        "nose",
        "lips",
        "right_cheek",
        "left_cheek",
        "forehead",
        "chin",
        "eyebrows",
    ];
    let (w, h) = (face.image.width, face.image.height);
    let parts = draw_named(&PARTS, if difficulty < 0.5 { 2 } else { 1 }, rng);
    let feather = graded(rng, difficulty, 2.0, 8.0);
    let shape = Shape::of(face, leaves(&parts), between(rng, -1.0, 3.0), 0.4, feather, rng)?;
    // Detail finer than a photo pixel is not there to lose.
    let twice = graded(rng, difficulty, 1.0, 0.0) > 0.5 || face.texel > 1.6;
    let rect = shape.rect.grown(8, w, h);
    let factor = if twice { 4 } else { 2 };
    let (sw, sh) = ((rect.width() / factor).max(4), (rect.height() / factor).max(4));
    let small = super::degrade::resized(&face.image.cut(rect), sw, sh);
    let mut large = net.double(&small);
    if twice {
        large = net.double(&large);
    }
    let patch = resized(&large, rect.width(), rect.height());
    let mut over = face.image.clone();
    for (i, p) in rect.indices(w).zip(&patch.px) {
        over.px[i] = *p;
    }
    Some(forged(face, &shape, &over, &parts, vec![("factor", factor as f32), ("feather", feather)]))
}

/// Hair in another colour, where [`hair`] found some.
pub fn hair_recolour(face: &Face, alpha: &[f32], difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let mask = mask_of_alpha(alpha, w, h, super::recipe::LEAST_ALPHA);
    let rect = Rect::of(w, h, |i| alpha[i] > 0.004)?;
    let amount = graded(rng, difficulty, 1.0, 0.45);
    // Crude edits take any hue; subtle ones stay among browns, reds and blonds (red lies at about 2.0 in the Cb-Cr plane).
    let angle = 2.2 + between(rng, -1.0, 1.0) * graded(rng, difficulty, std::f32::consts::PI, 0.4);
    let strength = graded(rng, difficulty, 42.0, 17.0);
    let light = if rng.random::<bool>() { between(rng, 0.6, 0.85) } else { between(rng, 1.15, 1.5) };
    let mut image = face.image.clone();
    tint(&mut image, alpha, rect, Tint::of(angle, strength, light), amount);
    let params = vec![("amount", amount), ("hue", angle), ("strength", strength), ("light", light)];
    Some(Forged { image, mask, mesh: face.mesh.to_vec(), parts: vec!["hair"], params })
}

/// Y, Cb, Cr.
fn opponent([r, g, b]: [f32; 3]) -> [f32; 3] {
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [y, 0.564 * (b - y), 0.713 * (r - y)]
}

/// A colour with its spread, by medians.
struct Tone {
    middle: [f32; 3],
    spread: [f32; 3],
}

impl Tone {
    fn of(face: &Face, ids: &[usize]) -> Option<Self> {
        if ids.len() < 150 {
            return None;
        }
        let median = |mut v: Vec<f32>| {
            let n = v.len() / 2;
            *v.select_nth_unstable_by(n, f32::total_cmp).1
        };
        let channel = |c: usize| ids.iter().map(|&i| opponent(face.image.px[i])[c]).collect::<Vec<f32>>();
        let middle = [0, 1, 2].map(|c| median(channel(c)));
        let spread = [0, 1, 2].map(|c| 1.4826 * median(channel(c).iter().map(|v| (v - middle[c]).abs()).collect()) + [8.0, 3.0, 3.0][c]);
        Some(Self { middle, spread })
    }

    /// Distance of a colour in spreads.
    fn distance(&self, p: [f32; 3]) -> f32 {
        let p = opponent(p);
        (0..3).map(|c| ((p[c] - self.middle[c]) / self.spread[c]).powi(2)).sum::<f32>().sqrt()
    }
}

/// Opacity of the hair: what the matte holds, the tree calls hair (or forehead, temples and ears, over which strands fall), is of the
/// colour of the hair rather than the skin's, and hangs together with the crown. `None` where the matte fails, or hair cannot be
/// told from skin by colour (bald heads, hair of the skin's tone), or hardly shows.
pub fn hair(face: &Face, net: &Matting) -> Option<Vec<f32>> {
    const STRANDS: [&str; 9] = [
        "hair",
        "ears",
        "right_earring",
        "left_earring",
        "right_forehead",
        "left_forehead",
        "center_forehead",
        "right_temple",
        "left_temple",
    ];
    let (w, h) = (face.image.width, face.image.height);
    let person = net.alpha(&face.image.to_rgb(), Square { x: 0.0, y: 0.0, size: w as f32 }, w).ok()?;
    let body = Mask { width: w, height: h, data: person.iter().map(|&a| u8::from(a >= 0.5)).collect() };
    if !matte::holds_the_face(&body.data, face.labels) {
        return None;
    }
    let leaves = fict::leaf_labels(face.mesh, &Seen { person: Some(&body), brows: None }, w, h);
    let set = |ids: &[&str]| ids.iter().filter_map(|id| Depth::Leaves.set(id)).fold(0, |a, b| a | b);
    let within = |set: fict::Set, i: usize| leaves[i] != BACKGROUND && set >> leaves[i] & 1 == 1;
    let (crown, skin) = (set(&["hair_crown", "hairline_middle"]), set(&["cheeks", "center_forehead_lower"]));
    // Soft ends of hair lie where the matte is below a half, which the leaves call background.
    let strands = set(&STRANDS) | set(&["background"]);
    let all: Vec<usize> = (0..w * h).collect();
    let seeds: Vec<usize> = all.iter().copied().filter(|&i| within(crown, i) && person[i] > 0.95).collect();
    let bare: Vec<usize> = all.iter().copied().filter(|&i| within(skin, i)).collect();
    let (own, other) = (Tone::of(face, &seeds)?, Tone::of(face, &bare)?);
    // Seen from the skin the hair must be another colour.
    let apart = (0..3).map(|c| ((own.middle[c] - other.middle[c]) / other.spread[c]).powi(2)).sum::<f32>().sqrt();
    if apart < 3.5 {
        return None;
    }
    let near = around_the_head(face, &body)?;
    let mut alpha = vec![0.0f32; w * h];
    for i in all.iter().copied().filter(|&i| near[i] && person[i] > 0.05 && within(strands, i)) {
        let (a, b) = (own.distance(face.image.px[i]), other.distance(face.image.px[i]));
        alpha[i] = person[i] * ((b - a) / (a + b).max(1e-3) * 2.0 + 0.5).clamp(0.0, 1.0);
    }
    gaussian(&mut alpha, w, h, 1.5);
    // What does not hang together with the crown is something else of that colour.
    let mut kept = vec![false; w * h];
    let mut open: Vec<usize> = seeds.into_iter().filter(|&i| alpha[i] > 0.4).collect();
    open.iter().for_each(|&i| kept[i] = true);
    while let Some(i) = open.pop() {
        let (x, y) = (i % w, i / w);
        let next = [(x > 0).then(|| i - 1), (x + 1 < w).then(|| i + 1), (y > 0).then(|| i - w), (y + 1 < h).then(|| i + w)];
        for j in next.into_iter().flatten() {
            if !kept[j] && alpha[j] > 0.25 {
                kept[j] = true;
                open.push(j);
            }
        }
    }
    let mut keep: Vec<f32> = kept.iter().map(|&k| f32::from(u8::from(k))).collect();
    gaussian(&mut keep, w, h, 1.5);
    alpha.iter_mut().zip(&keep).for_each(|(a, k)| *a *= k);
    let area = alpha.iter().filter(|&&a| a > 0.5).count();
    (area * 40 > w * h).then_some(alpha)
}

/// Where hair can be: around the head, wide enough for curls. `None` where the matte takes much beyond it, above the chin, for the
/// person: then it holds something else.
fn around_the_head(face: &Face, body: &Mask) -> Option<Vec<bool>> {
    /// Half of the outline in the head's frame, the subject's left, from the top.
    const HALF: [[f32; 2]; 7] = [[0.0, 1.65], [0.6, 1.6], [1.1, 1.45], [1.5, 1.1], [1.65, 0.6], [1.6, 0.1], [1.4, -0.4]];
    /// Most part of the person above the chin that lies elsewhere.
    const BEYOND: f32 = 0.06;
    let head = Head::of(face.mesh)?;
    let right = HALF.iter().rev().map(|&[s, t]| [-s, t]);
    let outline: Vec<[f32; 2]> = HALF.iter().copied().chain(right).map(|p| head.place(p)).collect();
    let mut near = vec![false; body.data.len()];
    fill_polygon(&outline, body.width, body.height, |y, a, b| near[y * body.width + a..y * body.width + b].fill(true));
    let (chin, top) = (head.place([0.0, 0.0]), head.place([0.0, 1.0]));
    let up = [top[0] - chin[0], top[1] - chin[1]];
    let above = |i: usize| {
        let (x, y) = ((i % body.width) as f32 - chin[0], (i / body.width) as f32 - chin[1]);
        x * up[0] + y * up[1] > 0.0
    };
    let person = (0..near.len()).filter(|&i| body.data[i] == 1 && above(i));
    let (all, beyond) = person.fold((0usize, 0usize), |(n, m), i| (n + 1, m + usize::from(!near[i])));
    (beyond as f32 <= BEYOND * all as f32).then_some(near)
}
