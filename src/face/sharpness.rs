//! How sharp a face is: the variance of its Laplacian, at a fixed size, relative to its contrast.
//!
//! The face box is resampled to [`SIDE`] pixels and turned to luma; the measure is `var(∇²Y) / var(Y)` over the inscribed
//! circle, so that neither the photo's size nor its exposure matters (Pech-Pacheco et al. 2000 use the plain variance).
//! A face that was enlarged or blurred has lost the frequencies that the Laplacian weighs most.

use super::sample::{Mips, Outside, Roi};

/// Pixels across at which sharpness is measured.
pub const SIDE: usize = 128;

/// Sharpness of the square region, ≥ 0. A flat region has 0.
pub fn sharpness(photo: &Mips<'_>, face: &Roi) -> f32 {
    let rgb = photo.sample(face, SIDE, Outside::Edge);
    let luma: Vec<f32> = rgb.as_chunks::<3>().0.iter().map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b).collect();
    of_luma(&luma)
}

/// As above, on `SIDE × SIDE` luma values, 0..=255.
fn of_luma(luma: &[f32]) -> f32 {
    let (mut plain, mut edges) = (Variance::default(), Variance::default());
    let radius = (SIDE / 2 - 1) as f32;
    for y in 1..SIDE - 1 {
        for x in 1..SIDE - 1 {
            let (dx, dy) = (x as f32 + 0.5 - SIDE as f32 / 2.0, y as f32 + 0.5 - SIDE as f32 / 2.0);
            if dx * dx + dy * dy > radius * radius {
                continue;
            }
            let at = y * SIDE + x;
            let around = luma[at - 1] + luma[at + 1] + luma[at - SIDE] + luma[at + SIDE];
            plain.add(luma[at]);
            edges.add(around - 4.0 * luma[at]);
        }
    }
    // One grey level of noise is not contrast.
    if plain.value() < 1.0 { 0.0 } else { edges.value() / plain.value() }
}

/// Running variance.
#[derive(Default)]
struct Variance {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Variance {
    fn add(&mut self, value: f32) {
        let value = f64::from(value);
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn value(&self) -> f32 {
        let mean = self.sum / self.count.max(1.0);
        (self.squares / self.count.max(1.0) - mean * mean).max(0.0) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(period: f32, amplitude: f32) -> Vec<f32> {
        (0..SIDE * SIDE).map(|i| 128.0 + amplitude * ((i % SIDE) as f32 * std::f32::consts::TAU / period).sin()).collect()
    }

    #[test]
    fn contrast_does_not_matter_and_fine_detail_does() {
        let fine = of_luma(&waves(8.0, 100.0));
        // Of a wave of period p the ratio is (2 - 2 cos(2π/p))².
        assert!((fine - 0.343).abs() < 0.01, "{fine}");
        assert!((of_luma(&waves(8.0, 20.0)) - fine).abs() < 1e-3);
        assert!(of_luma(&waves(32.0, 100.0)) < 0.01 * fine);
    }

    #[test]
    fn a_flat_region_is_not_sharp() {
        assert_eq!(of_luma(&vec![90.0; SIDE * SIDE]), 0.0);
    }
}
