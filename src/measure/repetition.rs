//! Texture that occurs twice: the fine detail of a patch in the part, looked for elsewhere in the face.
//!
//! Value: the largest normalised cross-correlation of a 20 × 20 patch of luma's fine detail with patches at other places (not
//! nearer than its own size). Skin without copies reaches about 0.3 by chance; a rigid copy reaches 0.9 before compression.
//! (Block matching as in copy-move detection: Fridrich et al. 2003.)

use super::planes::Planes;
use super::region::Region;

/// Side of the patch, px.
const PATCH: usize = 20;

/// Largest correlation; `None` when the part holds no whole patch, or no texture at all.
pub fn repetition(p: &Planes, r: &Region) -> Option<f32> {
    let (pw, ph) = (p.rect.width(), p.rect.height());
    if r.part.len() < 2 * PATCH * PATCH || pw < 2 * PATCH || ph < 2 * PATCH {
        return None;
    }
    // The patch: around the pixel of the part nearest to its centre of mass.
    let w = p.width;
    let n = r.part.len() as f32;
    let c = [r.part.iter().map(|&i| (i % w) as f32).sum::<f32>() / n, r.part.iter().map(|&i| (i / w) as f32).sum::<f32>() / n];
    let away = |i: usize| ((i % w) as f32 - c[0]).powi(2) + ((i / w) as f32 - c[1]).powi(2);
    let centre = r.part.iter().copied().min_by(|&a, &b| away(a).total_cmp(&away(b)))?;
    let (cx, cy) = ((centre % w).checked_sub(p.rect.x0)?, (centre / w).checked_sub(p.rect.y0)?);
    let (x0, y0) = (cx.checked_sub(PATCH / 2)?, cy.checked_sub(PATCH / 2)?);
    if x0 + PATCH > pw || y0 + PATCH > ph {
        return None;
    }
    let row = |x: usize, y: usize| &p.fine[y * pw + x..y * pw + x + PATCH];
    let mut patch = [[0.0f32; PATCH]; PATCH];
    for (y, line) in patch.iter_mut().enumerate() {
        line.copy_from_slice(row(x0, y0 + y));
    }
    let own: f32 = patch.iter().flatten().map(|v| v * v).sum();
    if own < 0.3 * (PATCH * PATCH) as f32 {
        return None;
    }
    // Sums of squares by a summed-area table; the mean of fine detail is zero by construction.
    let mut table = vec![0.0f64; (pw + 1) * (ph + 1)];
    for y in 0..ph {
        let mut line = 0.0f64;
        for x in 0..pw {
            line += f64::from(p.fine[y * pw + x]).powi(2);
            table[(y + 1) * (pw + 1) + x + 1] = table[y * (pw + 1) + x + 1] + line;
        }
    }
    let mut best = -1.0f32;
    for y in 0..=ph - PATCH {
        for x in 0..=pw - PATCH {
            if x.abs_diff(x0) < PATCH && y.abs_diff(y0) < PATCH {
                continue;
            }
            let at = |x: usize, y: usize| table[y * (pw + 1) + x];
            let energy = (at(x + PATCH, y + PATCH) - at(x, y + PATCH) - at(x + PATCH, y) + at(x, y)) as f32;
            // Quick refusal: too little or too much texture to be a copy of this patch.
            if energy < 0.4 * own || energy > 2.5 * own {
                continue;
            }
            // A quarter of the rows decides whether the rest is worth it.
            let mut dot = [0.0f32; 4];
            let mut add = |k: usize| {
                for (a, b) in patch[k].as_chunks::<4>().0.iter().zip(row(x, y + k).as_chunks::<4>().0) {
                    (0..4).for_each(|j| dot[j] += a[j] * b[j]);
                }
            };
            (0..PATCH).step_by(4).for_each(&mut add);
            let norm = (own * energy).sqrt();
            if dot.iter().sum::<f32>() < 0.25 * 0.2 * norm {
                continue;
            }
            let mut add = |k: usize| {
                for (a, b) in patch[k].as_chunks::<4>().0.iter().zip(row(x, y + k).as_chunks::<4>().0) {
                    (0..4).for_each(|j| dot[j] += a[j] * b[j]);
                }
            };
            (0..PATCH).filter(|k| k % 4 != 0).for_each(&mut add);
            best = best.max(dot.iter().sum::<f32>() / norm);
        }
    }
    (best > -1.0).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fict;
    use crate::fict::tests::mean_mesh;
    use crate::image::Rgb8;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_copied_cheek_is_found() {
        let mut rng = rand::rngs::SmallRng::seed_from_u64(1);
        let labels = fict::part_labels(&mean_mesh(448.0), 448, 448);
        let data: Vec<u8> = (0..448 * 448).flat_map(|_| [rng.random_range(100..130u8); 3]).collect();
        let mut image = Rgb8 { width: 448, height: 448, data };
        let value = |image: &Rgb8| repetition(&Planes::of(image, &labels).unwrap(), &Region::of("left_cheek", &labels, 448, None).unwrap());
        let before = value(&image).unwrap();
        let part = Region::of("left_cheek", &labels, 448, None).unwrap().part;
        let source = image.clone();
        for i in part {
            for c in 0..3 {
                image.data[3 * i + c] = source.data[3 * (i - 110) + c];
            }
        }
        let after = value(&image).unwrap();
        assert!(before < 0.5 && after > 0.8, "{before} {after}");
    }
}
