//! What the last layers of a generator leave in a picture, made without a generator.
//!
//! A generator paints small and enlarges, twice or more, by layers that treat the pixels of each 2 × 2 cell differently: what it paints
//! carries a pattern of that period (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"; Zhang et al. 2019, "Detecting and
//! Simulating Artifacts in GAN Fake Images", who train a network to leave it). Detail comes out of the same layers behind a bent
//! function, so the grain of a camera, which no network can tell from chance, is lost, and another one may be painted in its place.
//! Here a photo takes that road by drawn layers: [`entire_synthesis`] the whole picture, [`repaint`] parts of it.

use rand::Rng;
use rand::rngs::SmallRng;

use super::degrade::resized;
use super::edit::{forged, leaves};
use super::pixels::{Img, Rect, between, chance, normal};
use super::recipe::{Face, Forged, Shape, draw_named, graded, smooth_noise};
use crate::image::Mask;

/// Parts that a generator is asked to paint anew.
const PAINTED: [&str; 10] =
    ["face", "inner_face", "eyes", "mouth", "nose", "right_cheek", "left_cheek", "forehead", "right_eye_and_brow", "left_eye_and_brow"];

/// The whole picture as a generator gives it: there is no untouched pixel.
pub fn entire_synthesis(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let (w, h) = (face.image.width, face.image.height);
    let (image, params) = decoded(face.image, Rect { x0: 0, y0: 0, x1: w, y1: h }, face.texel, difficulty, rng);
    let mask = Mask { width: w, height: h, data: vec![1; w * h] };
    Some(Forged { image, mask, mesh: face.mesh.to_vec(), parts: vec!["picture"], params })
}

/// One or two parts painted anew and blended in, as by a generator that fills holes.
pub fn repaint(face: &Face, difficulty: f32, rng: &mut SmallRng) -> Option<Forged> {
    let parts = draw_named(&PAINTED, 2, rng);
    let (w, h) = (face.image.width, face.image.height);
    let feather = graded(rng, difficulty, 1.5, 8.0);
    let shape = Shape::of(face, leaves(&parts), between(rng, -1.0, 5.0), 0.5, feather, rng)?;
    let rect = shape.rect.grown(8, w, h);
    let (over, mut params) = decoded(face.image, rect, face.texel, difficulty, rng);
    params.push(("feather", feather));
    Some(forged(face, &shape, &over, &parts, params))
}

/// A layer that doubles width and height: a 3 × 3 kernel for each of the four pixels of a cell.
struct Doubling([[f32; 9]; 4]);

impl Doubling {
    /// Bilinear, with every weight moved by up to `uneven`, and the sum of each kernel by a tenth of that.
    fn draw(uneven: f32, rng: &mut SmallRng) -> Self {
        const NEAR: [[f32; 3]; 2] = [[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]];
        Self([0, 1, 2, 3].map(|cell: usize| {
            let mut kernel: [f32; 9] = std::array::from_fn(|k| NEAR[cell / 2][k / 3] * NEAR[cell % 2][k % 3]);
            for v in &mut kernel {
                *v += uneven * between(rng, -1.0, 1.0) / 3.0;
            }
            let sum: f32 = kernel.iter().sum();
            let gain = (1.0 + 0.1 * uneven * between(rng, -1.0, 1.0)) / sum.max(0.2);
            kernel.map(|v| v * gain)
        }))
    }

    /// A picture of twice the size; its border pixels repeat outside.
    fn apply(&self, img: &Img) -> Img {
        let (w, h) = (img.width, img.height);
        let mut out = Img::new(2 * w, 2 * h);
        for y in 0..h {
            let rows = [y.saturating_sub(1), y, (y + 1).min(h - 1)];
            for x in 0..w {
                let columns = [x.saturating_sub(1), x, (x + 1).min(w - 1)];
                for (cell, kernel) in self.0.iter().enumerate() {
                    let mut sum = [0.0; 3];
                    for (k, weight) in kernel.iter().enumerate() {
                        let p = img.px[rows[k / 3] * w + columns[k % 3]];
                        sum = [0, 1, 2].map(|c| sum[c] + weight * p[c]);
                    }
                    out.px[(2 * y + cell / 2) * 2 * w + 2 * x + cell % 2] = sum;
                }
            }
        }
        out
    }
}

/// `rect` of a picture by way of one to three doublings, and the parameters that were drawn.
fn decoded(source: &Img, rect: Rect, texel: f32, difficulty: f32, rng: &mut SmallRng) -> (Img, Vec<(&'static str, f32)>) {
    let part = source.cut(rect);
    let doublings = rng.random_range(1..=3u32);
    // A generator's picture is seldom shown at its own size; where it is larger than the crop, little of its pattern is left. It is
    // no finer than the photo's own pixels, or there would be nothing to lose.
    let scale = graded(rng, difficulty, 0.7, 1.3) * between(rng, 0.8, 1.4) / texel.sqrt();
    let uneven = graded(rng, difficulty, 0.28, 0.1) * between(rng, 0.5, 1.5);
    // Detail weaker than this is taken for grain, and lost.
    let coring = graded(rng, difficulty, 5.0, 2.0) * between(rng, 0.4, 1.3);
    let gain = between(rng, 0.75, 1.15);
    let bent = between(rng, 0.6, 1.0);
    let painted = if chance(rng, 0.5) { between(rng, 0.5, 3.0) } else { 0.0 };
    let contrast = 1.0 + between(rng, -0.08, 0.08);
    let shift = [0; 3].map(|_| between(rng, -5.0, 5.0));

    let cells = 1usize << doublings;
    let side = |n: usize| ((n as f32 * scale / cells as f32).round() as usize).max(3);
    let mut y = resized(&part, side(part.width), side(part.height));
    for _ in 0..doublings {
        let layer = Doubling::draw(uneven, rng);
        let small = y;
        y = layer.apply(&small);
        let fine = resized(&part, y.width, y.height);
        // What the doubled picture lacks, without what is weak, each pixel of a cell in its own strength.
        let strength = [0; 4].map(|_| gain * (1.0 + uneven * between(rng, -1.0, 1.0)));
        let w = y.width;
        for (i, (p, f)) in y.px.iter_mut().zip(&fine.px).enumerate() {
            let k = strength[(i / w) % 2 * 2 + i % w % 2];
            *p = [0, 1, 2].map(|c| {
                let d = f[c] - p[c];
                let d = d.signum() * (d.abs() - coring).max(0.0) + 0.15 * d.clamp(-coring, coring);
                p[c] + k * if d < 0.0 { bent * d } else { d }
            });
        }
    }
    if painted > 0.0 {
        let noise = Img { px: (0..y.px.len() / 4).map(|_| [painted * normal(rng); 3]).collect(), width: y.width / 2, height: y.height / 2 };
        let noise = Doubling::draw(uneven, rng).apply(&noise);
        let where_ = smooth_noise(y.width, y.height, 24, rng);
        for ((p, n), k) in y.px.iter_mut().zip(&noise.px).zip(where_) {
            *p = [0, 1, 2].map(|c| p[c] + n[c] * (1.0 + 0.6 * k));
        }
    }
    let shown = resized(&y, part.width, part.height);
    let mean = shown.px.iter().fold([0.0; 3], |m, p| [0, 1, 2].map(|c| m[c] + p[c] / shown.px.len() as f32));
    let mut out = source.clone();
    for (i, p) in rect.indices(source.width).zip(&shown.px) {
        out.px[i] = [0, 1, 2].map(|c| mean[c] + (p[c] - mean[c]) * contrast + shift[c]);
    }
    let params = vec![
        ("doublings", doublings as f32),
        ("scale", scale),
        ("uneven", uneven),
        ("coring", coring),
        ("gain", gain),
        ("bent", bent),
        ("painted", painted),
        ("contrast", contrast),
    ];
    (out, params)
}

#[cfg(test)]
mod tests {
    use super::super::drawn::drawn_sampler;
    use super::super::recipe::{Family, Recipe};
    use super::super::sampler::Order;
    use super::*;
    use rand::SeedableRng;

    /// Mean difference of pixels at even and odd places of rows and columns, beyond that of the picture before.
    fn period_two(img: &Img) -> f32 {
        let mut sums = [0.0f64; 4];
        for (i, p) in img.px.iter().enumerate() {
            sums[(i / img.width) % 2 * 2 + i % img.width % 2] += f64::from(p[1]);
        }
        let mean = sums.iter().sum::<f64>() / 4.0;
        sums.iter().map(|s| ((s - mean) * 4.0 / img.px.len() as f64).abs() as f32).fold(0.0, f32::max)
    }

    #[test]
    fn an_even_doubling_is_bilinear_and_an_uneven_one_leaves_a_period_of_two() {
        let mut rng = SmallRng::seed_from_u64(4);
        let ramp = Img { width: 20, height: 16, px: (0..320).map(|i| [(i % 20) as f32 * 4.0 + (i / 20) as f32; 3]).collect() };
        let even = Doubling::draw(0.0, &mut rng).apply(&ramp);
        let at = |x: usize, y: usize| even.px[y * 40 + x][0];
        // Pixel x of the doubled picture lies at (x + 0.5) / 2 - 0.5 of the small one.
        assert!((at(11, 8) - (5.25 * 4.0 + 3.75)).abs() < 1e-3, "{}", at(11, 8));
        let flat = Img { width: 20, height: 16, px: vec![[120.0; 3]; 320] };
        assert!(period_two(&Doubling::draw(0.0, &mut rng).apply(&flat)) < 1e-3);
        assert!(period_two(&Doubling::draw(0.3, &mut rng).apply(&flat)) > 0.3);
    }

    #[test]
    fn a_generated_picture_is_changed_everywhere_and_loses_its_grain() {
        let sampler = drawn_sampler(5);
        let order = |recipe| Order { recipe, difficulty: 0.0, augment: false, degrade: false };
        for index in 0..6 {
            let (a, b) = (sampler.make(index, order(None)).unwrap(), sampler.make(index, order(Some(Recipe::EntireSynthesis))).unwrap());
            assert_eq!((b.family, b.recipe), (Family::EntireSynthesis, Some(Recipe::EntireSynthesis)));
            assert!(b.artifact.data.iter().all(|&m| m == 1));
            assert_eq!(b.concepts.first(), Some(&"face"));
            assert_ne!(a.image, b.image);
            assert_eq!(b.mesh, a.mesh);
        }
    }
}
