//! Face-swap recipes: parts taken from another person, and parts blended from a changed copy of the same face.
//!
//! `part_swap`: the donor's part is brought onto the target's mesh (triangle by triangle, or by one similarity of the part's
//! points, which keeps the donor's shape), its colours moved towards the target's, and blended by feathered alpha or in the
//! gradient domain (Pérez et al. 2003: the difference at the border, continued smoothly inside).
//! `self_blend`: after the idea of Shiohara & Yamasaki (CVPR 2022), written anew: a copy of the face with other colour,
//! sharpness and a slight shift and scale is blended back through a part or the whole face.

use rand::rngs::SmallRng;

use super::pixels::{Img, Rect, between, chance, fill_smooth};
use super::recipe::{Face, Forged, Part, Shape, graded};
use crate::fict::{Set, mesh::TRIANGLES};

/// Swaps `parts` of `face` for those of `donor`. `None` when the part is not in the crop.
pub fn part_swap(face: &Face, donor: &Face, parts: &[&'static Part], difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let set: Set = parts.iter().fold(0, |s, p| s | p.leaves());
    let grow = between(rng, -1.0, 3.0);
    let feather = graded(rng, difficulty, 1.5, 9.0);
    let transfer = graded(rng, difficulty, 0.25, 1.0);
    let poisson = chance(rng, 0.2 + 0.4 * difficulty);
    // Several parts, or the whole inner face, would fly apart under one similarity.
    let by_mesh = parts.len() > 1 || parts[0].id == "inner_face" || chance(rng, 0.6);
    let shape = Shape::of(face, set, grow, 0.4, feather, rng)?;
    let rect = shape.rect.grown(4, w, h);
    let mut over = face.image.clone();
    let mut mesh = face.mesh.to_vec();
    let mut filled = vec![false; w * h];
    if by_mesh {
        warp_by_mesh(face, donor, rect, &mut over, &mut filled);
    } else {
        let points = part_points(face, &shape);
        let to_donor = similarity(&points, face.mesh, donor.mesh)?;
        let back = to_donor.inverse()?;
        for i in rect.indices(w) {
            let [x, y] = to_donor.apply([(i % w) as f32 + 0.5, (i / w) as f32 + 0.5]);
            over.px[i] = donor.image.sample(x, y);
            filled[i] = x >= 0.0 && y >= 0.0 && x < w as f32 && y < h as f32;
        }
        for &p in &points {
            let [x, y] = back.apply([donor.mesh[p][0], donor.mesh[p][1]]);
            let k = alpha_at(&shape, w, h, face.mesh[p]);
            mesh[p][0] += k * (x - face.mesh[p][0]);
            mesh[p][1] += k * (y - face.mesh[p][1]);
        }
    }
    let mut shape = shape;
    let transferred = if poisson { 0.5 * transfer } else { transfer };
    fit(face.image, &mut over, &mut shape, (rect, &filled), (transferred, poisson));
    let image = shape.blend(face.image, &over, 1.0);
    Some(Forged {
        image,
        mask: shape.mask(w, h),
        mesh,
        parts: parts.iter().map(|p| p.id).collect(),
        params: vec![
            ("grow", grow),
            ("feather", feather),
            ("colour_transfer", transfer),
            ("poisson", f32::from(u8::from(poisson))),
            ("by_mesh", f32::from(u8::from(by_mesh))),
        ],
    })
}

/// Fits a pasted picture `over` to the face under it: pixels that the donor does not fill drop out of the shape, colours are moved
/// towards the face's by the share `transfer`, and with `poisson` the difference at the border goes on smoothly inside.
pub(super) fn fit(image: &Img, over: &mut Img, shape: &mut Shape, (rect, filled): (Rect, &[bool]), (transfer, poisson): (f32, bool)) {
    for i in rect.indices(image.width) {
        if !filled[i] {
            shape.alpha[i] = 0.0;
            over.px[i] = image.px[i];
        }
    }
    move_colours(image, over, shape, rect, transfer);
    if poisson {
        membrane(image, over, shape, rect, filled);
    }
}

/// Blends a changed copy of the face back into itself through `parts`.
pub fn self_blend(face: &Face, parts: &[&'static Part], difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let set: Set = parts.iter().fold(0, |s, p| s | p.leaves());
    let feather = graded(rng, difficulty, 2.0, 12.0);
    let grow = between(rng, -4.0, 4.0);
    let shape = Shape::of(face, set, grow, 0.9, feather, rng)?;
    let rect = shape.rect;
    let (cx, cy) = ((rect.x0 + rect.x1) as f32 / 2.0, (rect.y0 + rect.y1) as f32 / 2.0);
    let size = rect.width().max(rect.height()) as f32;
    let reach = graded(rng, difficulty, 1.0, 0.35);
    let scale = 1.0 + reach * between(rng, -0.06, 0.06);
    let (dx, dy) = (reach * size * between(rng, -0.035, 0.035), reach * size * between(rng, -0.025, 0.025));
    let mut over = face.image.clone();
    for i in rect.indices(w) {
        let (x, y) = ((i % w) as f32 + 0.5, (i / w) as f32 + 0.5);
        over.px[i] = face.image.sample(cx + (x - cx) / scale - dx, cy + (y - cy) / scale - dy);
    }
    // Sharpness: blurred, or over-sharpened, or left.
    let sharp = if chance(rng, 0.7) { reach * between(rng, -1.0, 1.0) } else { 0.0 };
    if sharp != 0.0 {
        let soft = over.blurred(face.texel * if sharp < 0.0 { 1.6 } else { 1.0 }, rect);
        for i in rect.indices(w) {
            for c in 0..3 {
                let v = over.px[i][c];
                over.px[i][c] = v + sharp * if sharp < 0.0 { v - soft.px[i][c] } else { 1.2 * (v - soft.px[i][c]) };
            }
        }
    }
    let contrast = 1.0 + reach * between(rng, -0.22, 0.22);
    let shift = [0; 3].map(|_| reach * between(rng, -20.0, 20.0));
    let light = reach * between(rng, -14.0, 14.0);
    let mean = mean_over(&over, &shape, rect);
    for i in rect.indices(w) {
        for c in 0..3 {
            over.px[i][c] = mean[c] + (over.px[i][c] - mean[c]) * contrast + shift[c] + light;
        }
    }
    let ratio = [0.6, 0.8, 1.0, 1.0][(between(rng, 0.0, 3.999)) as usize];
    let image = shape.blend(face.image, &over, ratio);
    let mut mesh = face.mesh.to_vec();
    for p in &mut mesh {
        let k = ratio.round() * alpha_at(&shape, w, h, *p);
        p[0] += k * ((p[0] - cx) * (scale - 1.0) + dx * scale);
        p[1] += k * ((p[1] - cy) * (scale - 1.0) + dy * scale);
    }
    Some(Forged {
        image,
        mask: shape.mask(w, h),
        mesh,
        parts: parts.iter().map(|p| p.id).collect(),
        params: vec![
            ("grow", grow),
            ("feather", feather),
            ("scale", scale),
            ("shift_x", dx),
            ("shift_y", dy),
            ("sharp", sharp),
            ("contrast", contrast),
            ("light", light),
            ("ratio", ratio),
        ],
    })
}

fn alpha_at(shape: &Shape, w: usize, h: usize, p: [f32; 3]) -> f32 {
    let (x, y) = (p[0].clamp(0.0, w as f32 - 1.0) as usize, p[1].clamp(0.0, h as f32 - 1.0) as usize);
    shape.alpha[y * w + x]
}

/// Mesh points that lie in the opaque part of a shape.
fn part_points(face: &Face, shape: &Shape) -> Vec<usize> {
    let (w, h) = (face.image.width, face.image.height);
    (0..face.mesh.len()).filter(|&p| alpha_at(shape, w, h, face.mesh[p]) > 0.5).collect()
}

/// Fills `over` inside `rect` with the donor's pixels, each triangle of the mesh by its own affine map.
pub(super) fn warp_by_mesh(face: &Face, donor: &Face, rect: Rect, over: &mut Img, filled: &mut [bool]) {
    let w = face.image.width;
    let xy = |m: &[[f32; 3]], i: u16| [m[i as usize][0], m[i as usize][1]];
    let area = |t: [[f32; 2]; 3]| (t[1][0] - t[0][0]) * (t[2][1] - t[0][1]) - (t[2][0] - t[0][0]) * (t[1][1] - t[0][1]);
    // Triangles wound against the majority face away from the camera (the far side of a turned head): not painted.
    let sign: f32 = TRIANGLES.iter().map(|t| area(t.map(|i| xy(face.mesh, i)))).sum::<f32>().signum();
    for t in &TRIANGLES {
        let (d, s) = (t.map(|i| xy(face.mesh, i)), t.map(|i| xy(donor.mesh, i)));
        let whole = area(d);
        if whole * sign < 0.05 {
            continue;
        }
        let lo = |k: usize| d[0][k].min(d[1][k]).min(d[2][k]);
        let hi = |k: usize| d[0][k].max(d[1][k]).max(d[2][k]);
        let (x0, x1) = ((lo(0) - 0.5).ceil().max(rect.x0 as f32), (hi(0) - 0.5).floor().min(rect.x1 as f32 - 1.0));
        let (y0, y1) = ((lo(1) - 0.5).ceil().max(rect.y0 as f32), (hi(1) - 0.5).floor().min(rect.y1 as f32 - 1.0));
        if x1 < x0 || y1 < y0 {
            continue;
        }
        for y in y0 as usize..=y1 as usize {
            for x in x0 as usize..=x1 as usize {
                let p = [x as f32 + 0.5, y as f32 + 0.5];
                let b1 = area([d[0], p, d[2]]) / whole;
                let b2 = area([d[0], d[1], p]) / whole;
                let b0 = 1.0 - b1 - b2;
                if b0 >= -1e-4 && b1 >= -1e-4 && b2 >= -1e-4 {
                    let at = |k: usize| b0 * s[0][k] + b1 * s[1][k] + b2 * s[2][k];
                    over.px[y * w + x] = donor.image.sample(at(0), at(1));
                    filled[y * w + x] = true;
                }
            }
        }
    }
}

/// Rotation, uniform scale and shift: `x → [a −b; b a]·x + t`.
#[derive(Debug, Clone, Copy)]
struct Similarity {
    a: f32,
    b: f32,
    t: [f32; 2],
}

impl Similarity {
    fn apply(self, p: [f32; 2]) -> [f32; 2] {
        [self.a * p[0] - self.b * p[1] + self.t[0], self.b * p[0] + self.a * p[1] + self.t[1]]
    }
    fn inverse(self) -> Option<Self> {
        let n = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / n, -self.b / n);
        let t = [-(a * self.t[0] - b * self.t[1]), -(b * self.t[0] + a * self.t[1])];
        (n > 1e-6).then_some(Self { a, b, t })
    }
}

/// Least-squares similarity that brings the points `ids` of `from` onto those of `to`.
fn similarity(ids: &[usize], from: &[[f32; 3]], to: &[[f32; 3]]) -> Option<Similarity> {
    if ids.len() < 3 {
        return None;
    }
    let n = ids.len() as f32;
    let mean = |m: &[[f32; 3]], k: usize| ids.iter().map(|&i| m[i][k]).sum::<f32>() / n;
    let (f, t) = ([mean(from, 0), mean(from, 1)], [mean(to, 0), mean(to, 1)]);
    let (mut dot, mut cross, mut norm) = (0.0, 0.0, 0.0);
    for &i in ids {
        let (p, q) = ([from[i][0] - f[0], from[i][1] - f[1]], [to[i][0] - t[0], to[i][1] - t[1]]);
        dot += p[0] * q[0] + p[1] * q[1];
        cross += p[0] * q[1] - p[1] * q[0];
        norm += p[0] * p[0] + p[1] * p[1];
    }
    if norm < 1e-3 {
        return None;
    }
    let (a, b) = (dot / norm, cross / norm);
    Some(Similarity { a, b, t: [t[0] - a * f[0] + b * f[1], t[1] - b * f[0] - a * f[1]] })
}

pub(super) fn mean_over(img: &Img, shape: &Shape, rect: Rect) -> [f32; 3] {
    let (mut s, mut n) = ([0.0; 3], 1e-6);
    for i in rect.indices(img.width) {
        let k = shape.alpha[i];
        (0..3).for_each(|c| s[c] += k * img.px[i][c]);
        n += k;
    }
    s.map(|v| v / n)
}

/// Moves mean and spread of `over` inside the shape towards those of `under`, by `strength` 0..1.
fn move_colours(under: &Img, over: &mut Img, shape: &Shape, rect: Rect, strength: f32) {
    let (mu, mo) = (mean_over(under, shape, rect), mean_over(over, shape, rect));
    let spread = |img: &Img, mean: [f32; 3]| {
        let (mut s, mut n) = ([0.0; 3], 1e-6);
        for i in rect.indices(img.width) {
            (0..3).for_each(|c| s[c] += shape.alpha[i] * (img.px[i][c] - mean[c]).powi(2));
            n += shape.alpha[i];
        }
        s.map(|v| (v / n).sqrt() + 1.0)
    };
    let (su, so) = (spread(under, mu), spread(over, mo));
    for i in rect.indices(over.width) {
        for c in 0..3 {
            let v = over.px[i][c];
            let moved = mu[c] + (v - mo[c]) * (su[c] / so[c]).clamp(0.6, 1.6);
            over.px[i][c] = v + strength * (moved - v);
        }
    }
}

/// Adds to `over` the smooth continuation of the difference to `under` along the border of the shape.
fn membrane(under: &Img, over: &mut Img, shape: &Shape, rect: Rect, filled: &[bool]) {
    let w = under.width;
    let ids: Vec<usize> = rect.indices(w).collect();
    let known: Vec<bool> = ids.iter().map(|&i| shape.alpha[i] < 0.5 && filled[i]).collect();
    if !known.iter().any(|&k| k) {
        return;
    }
    // Unknown: inside the shape, and where the donor has no pixel (there the opacity is zero anyway).
    let mut diff: Vec<[f32; 3]> = ids.iter().map(|&i| [0, 1, 2].map(|c| under.px[i][c] - over.px[i][c])).collect();
    fill_smooth(&mut diff, &known, rect.width(), rect.height(), 12);
    for (&i, d) in ids.iter().zip(&diff) {
        (0..3).for_each(|c| over.px[i][c] += d[c]);
    }
}

/// Distance of two head poses on the mesh, 0 = alike: where the nose stands between the eyes and mouth, scaled by size.
pub fn pose_distance(a: &[[f32; 3]], b: &[[f32; 3]]) -> f32 {
    let pose = |m: &[[f32; 3]]| {
        let width = (m[454][0] - m[234][0]).hypot(m[454][1] - m[234][1]).max(1.0);
        let height = (m[152][0] - m[10][0]).hypot(m[152][1] - m[10][1]).max(1.0);
        let yaw = (2.0 * m[1][0] - m[234][0] - m[454][0]) / width;
        let pitch = (2.0 * m[1][1] - m[10][1] - m[152][1]) / height;
        let open = (m[14][1] - m[13][1]) / height;
        let roll = (m[263][1] - m[33][1]).atan2(m[263][0] - m[33][0]);
        [yaw, pitch, 1.5 * open, roll]
    };
    let (a, b) = (pose(a), pose(b));
    a.iter().zip(&b).map(|(x, y)| (x - y).powi(2)).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_is_found_and_inverted() {
        let from: Vec<[f32; 3]> = vec![[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [3.0, 8.0, 0.0], [-4.0, 5.0, 0.0]];
        let truth = Similarity { a: 1.2, b: 0.3, t: [7.0, -2.0] };
        let to: Vec<[f32; 3]> = from
            .iter()
            .map(|p| {
                let q = truth.apply([p[0], p[1]]);
                [q[0], q[1], 0.0]
            })
            .collect();
        let found = similarity(&[0, 1, 2, 3], &from, &to).unwrap();
        let back = found.inverse().unwrap();
        for (p, q) in from.iter().zip(&to) {
            let f = found.apply([p[0], p[1]]);
            let r = back.apply([q[0], q[1]]);
            assert!((f[0] - q[0]).abs() < 1e-3 && (f[1] - q[1]).abs() < 1e-3);
            assert!((r[0] - p[0]).abs() < 1e-3 && (r[1] - p[1]).abs() < 1e-3);
        }
        assert!(similarity(&[0, 1], &from, &to).is_none());
    }
}
