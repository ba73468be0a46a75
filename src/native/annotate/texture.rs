//! Texture recipes: aged skin, traces of re-synthesis by up-sampling, skin copied from elsewhere in the face.

use rand::Rng;
use rand::rngs::SmallRng;

use super::edit::{SKIN, forged, leaves};
use super::pixels::{Img, between, chance, fill_smooth, normal};
use super::recipe::{Face, Forged, Shape, draw_named, graded, smooth_noise};
use crate::fict;

/// Skin aged by coarser texture and drawn wrinkles: across the forehead, down from the nose, beside and under the eyes.
pub fn age_texture(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let ids = ["forehead", "right_under_eye", "left_under_eye", "right_nasolabial", "left_nasolabial", "right_cheek", "left_cheek", "face"];
    let parts = draw_named(&ids, 3, rng);
    let (w, h) = (face.image.width, face.image.height);
    let gain = graded(rng, difficulty, 1.6, 0.5);
    let depth = graded(rng, difficulty, 26.0, 7.0);
    let shape = Shape::of(face, leaves(&parts), between(rng, -2.0, 1.0), 0.3, graded(rng, difficulty, 6.0, 12.0), rng)?;
    let rect = shape.rect;
    let size = (face.mesh[454][0] - face.mesh[234][0]).hypot(face.mesh[454][1] - face.mesh[234][1]).max(20.0);
    let mut relief = vec![0.0f32; w * h];
    // Wrinkles follow the mesh: chains of its points, moved a little, drawn as a dark line with a lit lower edge.
    const CHAINS: [&[usize]; 10] = [
        &[54, 104, 69, 108, 151, 337, 299, 333, 284],
        &[103, 67, 109, 10, 338, 297, 332],
        &[129, 203, 206, 216, 212],
        &[358, 423, 426, 436, 432],
        &[130, 226, 31, 228, 229, 230, 231],
        &[359, 446, 261, 448, 449, 450, 451],
        &[143, 111, 117, 118, 119],
        &[372, 340, 346, 347, 348],
        &[35, 143, 34],
        &[265, 372, 264],
    ];
    for chain in CHAINS {
        for _ in 0..rng.random_range(1..=2) {
            let offset = [between(rng, -0.012, 0.012) * size, between(rng, -0.025, 0.025) * size];
            let k = depth * between(rng, 0.4, 1.0);
            let pts: Vec<[f32; 2]> = chain.iter().map(|&p| [face.mesh[p][0] + offset[0], face.mesh[p][1] + offset[1]]).collect();
            line(&mut relief, w, h, &pts, k, size * 0.006);
        }
    }
    let blotches = smooth_noise(w, h, (size * 0.035) as usize + 2, rng);
    let soft = face.image.blurred(2.2 * face.texel, rect);
    let mut over = face.image.clone();
    for i in rect.indices(w) {
        let grain = 0.12 * depth * normal(rng);
        for c in 0..3 {
            let v = face.image.px[i][c];
            over.px[i][c] = v + gain * (v - soft.px[i][c]).clamp(-18.0, 18.0) + relief[i] + grain + 0.18 * depth * blotches[i];
        }
    }
    Some(forged(face, &shape, &over, &parts, vec![("gain", gain), ("depth", depth)]))
}

/// Adds a wrinkle along a polyline: darkest on the line, lighter `s` px below it.
fn line(relief: &mut [f32], w: usize, h: usize, pts: &[[f32; 2]], depth: f32, s: f32) {
    let s = s.max(0.8);
    for pair in pts.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let n = ((b[0] - a[0]).hypot(b[1] - a[1]) / 0.7).ceil().max(1.0) as usize;
        for k in 0..n {
            let t = k as f32 / n as f32;
            let (cx, cy) = (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]));
            if !(cx >= 4.0 && cy >= 4.0 && cx < w as f32 - 4.0 && cy < h as f32 - 4.0) {
                continue;
            }
            let r = (3.0 * s) as isize + 1;
            for dy in -r..=r {
                for dx in -r..=r {
                    let (x, y) = (cx as isize + dx, cy as isize + dy);
                    if x < 0 || y < 0 || x >= w as isize || y >= h as isize {
                        continue;
                    }
                    let (ex, ey) = (x as f32 + 0.5 - cx, y as f32 + 0.5 - cy);
                    let v = -depth * (-(ex * ex + ey * ey) / (2.0 * s * s)).exp()
                        + 0.45 * depth * (-(ex * ex + (ey - 2.0 * s).powi(2)) / (2.0 * s * s)).exp();
                    let i = y as usize * w + x as usize;
                    // The strongest stroke wins: steps of one line must not add up.
                    if v.abs() > relief[i].abs() {
                        relief[i] = v;
                    }
                }
            }
        }
    }
}

/// Parts shrunk and enlarged again, as generators and up-samplers do: nearest, bilinear, or with the checker pattern of an
/// uneven sub-pixel layer.
pub fn resample(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let parts = draw_named(&["face", "inner_face", "eyes", "mouth", "nose", "right_cheek", "left_cheek", "forehead", "chin"], 2, rng);
    let (w, h) = (face.image.width, face.image.height);
    let kind = rng.random_range(0..3usize);
    let factor = graded(rng, difficulty, 3.4, 1.7) * if kind == 0 { 0.8 } else { 1.0 } * face.texel.sqrt();
    let checker = if kind == 2 { graded(rng, difficulty, 7.0, 2.5) } else { 0.0 };
    let shape = Shape::of(face, leaves(&parts), between(rng, -1.0, 3.0), 0.4, graded(rng, difficulty, 2.0, 8.0), rng)?;
    let rect = shape.rect.grown(6, w, h);
    let (sw, sh) = (((rect.width() as f32 / factor) as usize).max(2), ((rect.height() as f32 / factor) as usize).max(2));
    let small = super::degrade::resized(&face.image.cut(rect), sw, sh);
    let (fx, fy) = (sw as f32 / rect.width() as f32, sh as f32 / rect.height() as f32);
    let mut over = face.image.clone();
    for (n, i) in rect.indices(w).enumerate() {
        let (x, y) = ((n % rect.width()) as f32 + 0.5, (n / rect.width()) as f32 + 0.5);
        let p = if kind == 0 {
            small.px[((y * fy) as usize).min(sh - 1) * sw + ((x * fx) as usize).min(sw - 1)]
        } else {
            small.sample(x * fx, y * fy)
        };
        let sign = if (i % w + i / w) % 2 == 0 { checker } else { -checker };
        over.px[i] = p.map(|v| v + sign);
    }
    Some(forged(face, &shape, &over, &parts, vec![("factor", factor), ("kind", kind as f32), ("checker", checker)]))
}

/// Skin laid over skin: texture from elsewhere in the face, on a tone continued from the border.
pub fn copy_move(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let ids = ["right_cheek", "left_cheek", "forehead", "chin", "right_under_eye", "left_under_eye", "right_jaw", "left_jaw", "glabella"];
    let parts = draw_named(&ids, 1, rng);
    let (w, h) = (face.image.width, face.image.height);
    let skin = SKIN.iter().filter_map(|id| fict::part_set(id)).fold(0, |s, l| s | l);
    let shape = Shape::of(face, leaves(&parts), graded(rng, difficulty, 2.0, -3.0), 0.4, graded(rng, difficulty, 1.5, 8.0), rng)?;
    let rect = shape.rect;
    let ids: Vec<usize> = rect.indices(w).filter(|&i| shape.alpha[i] > 0.02).collect();
    let luma = |i: usize| 0.299 * face.image.px[i][0] + 0.587 * face.image.px[i][1] + 0.114 * face.image.px[i][2];
    // Shadows and strands of hair over the skin would be seen at once: subtle copies take skin that is about as bright.
    let apart = 200.0 - 165.0 * difficulty;
    // Of a few offsets, the one that brings most skin, and none of the part itself.
    let mut best: Option<(usize, isize, isize)> = None;
    for _ in 0..24 {
        let reach = |n: usize| (n as f32 * between(rng, 0.4, 1.4) * if chance(rng, 0.5) { 1.0 } else { -1.0 }) as isize;
        let mut reach = reach;
        let (dx, dy) = (reach(rect.width().max(24)), reach(rect.height().max(24)));
        let good = ids.iter().step_by(7).filter(|&&i| {
            source(i, dx, dy, w, h).is_some_and(|j| {
                let label = face.labels[j];
                label < 128 && skin >> label & 1 == 1 && shape.alpha[j] < 0.02 && (luma(j) - luma(i)).abs() < apart
            })
        });
        let n = good.count();
        if best.is_none_or(|b| n > b.0) {
            best = Some((n, dx, dy));
        }
    }
    let (n, dx, dy) = best?;
    if n * 7 * 3 < ids.len() {
        return None;
    }
    let sigma = 5.0;
    let full = rect.grown(3, w, h);
    let low_here = face.image.blurred(sigma, full);
    let low_there = face.image.blurred(sigma, full.grown(dx.unsigned_abs().max(dy.unsigned_abs()), w, h));
    // Tone: at difficulty 0 the copied one, towards 1 the border's, continued inside.
    let all: Vec<usize> = full.indices(w).collect();
    let known: Vec<bool> = all.iter().map(|&i| shape.alpha[i] < 0.02).collect();
    let mut tone: Vec<[f32; 3]> = all.iter().map(|&i| low_here.px[i]).collect();
    if !known.iter().any(|&k| k) {
        return None;
    }
    fill_smooth(&mut tone, &known, full.width(), full.height(), 12);
    let matched = graded(rng, difficulty, 0.35, 1.0);
    // A strand of hair in the source would be seen at once: subtle copies hold the skin's own relief only.
    let most = graded(rng, difficulty, 90.0, 11.0);
    let mut over: Img = face.image.clone();
    let mut alpha = shape.alpha.clone();
    for (&i, t) in all.iter().zip(&tone) {
        let from = source(i, dx, dy, w, h).filter(|&j| {
            let label = face.labels[j];
            label < 128 && skin >> label & 1 == 1
        });
        match from {
            Some(j) => {
                over.px[i] = [0, 1, 2].map(|c| {
                    let low = low_there.px[j][c] + matched * (t[c] - low_there.px[j][c]);
                    low + (face.image.px[j][c] - low_there.px[j][c]).clamp(-most, most)
                });
            }
            None => alpha[i] = 0.0,
        }
    }
    let shape = Shape { alpha, rect };
    Some(forged(face, &shape, &over, &parts, vec![("dx", dx as f32), ("dy", dy as f32), ("tone", matched), ("most", most)]))
}

/// Pixel index at an offset; `None` outside of the picture.
fn source(i: usize, dx: isize, dy: isize, w: usize, h: usize) -> Option<usize> {
    let (x, y) = ((i % w) as isize + dx, (i / w) as isize + dy);
    (x >= 0 && y >= 0 && x < w as isize && y < h as isize).then(|| y as usize * w + x as usize)
}
