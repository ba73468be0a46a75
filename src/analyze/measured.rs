//! What can be measured where an answer marks something, whatever its words say.
//!
//! The language model chooses its words; pixels decide what stands beside them. For every mask the measurements of
//! [`crate::measure`] are taken on the crop, of the marked pixels of the concept that the phrase names, and those that stand out
//! against untouched photos are reported with their numbers. An empty list is said as such: then nothing measured there
//! supports the words. It is no proof either way: a retouched picture stands out, too, and a good forgery need not.

use crate::analyze::report::Measured;
use crate::image::Mask;
use crate::measure::{Finding, Gauge};

/// Most measurements of one mask.
const MOST: usize = 3;

/// Measurements of a mask that stand out, farthest from their norm first, one a trait. `gauge` and `mask` are in the crop's
/// frame; `concept`: what the phrase names.
pub fn standing_out(gauge: &Gauge, mask: &Mask, concept: &'static str) -> Vec<Measured> {
    if !mask.data.contains(&1) {
        return vec![];
    }
    let mut found: Vec<Finding> = gauge.on(mask).findings(concept, true);
    found.retain(Finding::stands_out);
    found.sort_by(|a, b| b.z().abs().total_cmp(&a.z().abs()));
    let mut out: Vec<Measured> = Vec::new();
    for f in found {
        // Two measurements of one trait (against the surroundings and against the mirror part) are one thing to a reader.
        if out.len() < MOST && !out.iter().any(|m| m.measure.word() == f.measure.word()) {
            out.push(Measured {
                measure: f.measure,
                value: rounded(f.value),
                unit: f.measure.unit().into(),
                median: rounded(f.median),
                spread: rounded(f.spread),
            });
        }
    }
    out
}

/// Three decimals are more than the measurement carries.
fn rounded(v: f32) -> f32 {
    (v * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fict::{self, tests::mean_mesh};
    use crate::image::Rgb8;
    use crate::measure::Measure;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_smooth_cheek_is_measured_and_an_untouched_one_is_not() {
        let mesh = mean_mesh(448.0);
        let labels = fict::part_labels(&mesh, 448, 448);
        let cheek = "left_cheek";
        let mask = fict::mask_of(&labels, fict::part_set(cheek).unwrap(), 448, 448);
        let mut rng = rand::rngs::SmallRng::seed_from_u64(4);
        let skin: Vec<u8> = (0..448 * 448).flat_map(|_| [(120 + rng.random_range(-14..14i32)) as u8; 3]).collect();
        let smooth: Vec<u8> = skin.iter().enumerate().map(|(i, v)| if mask.data[i / 3] == 1 { 120 } else { *v }).collect();
        let of = |data: Vec<u8>| {
            let image = Rgb8 { width: 448, height: 448, data };
            standing_out(&Gauge::new(&image, &labels, &mesh, None), &mask, cheek)
        };
        let (before, after) = (of(skin), of(smooth));
        assert!(before.iter().all(|m| !matches!(m.measure, Measure::Grain | Measure::Sharpness)), "{before:?}");
        assert!(
            after.iter().any(|m| matches!(m.measure, Measure::Grain | Measure::GrainMirror | Measure::Sharpness) && m.value < m.median),
            "{after:?}"
        );
        assert!(after.len() <= MOST);
        let image = Rgb8 { width: 448, height: 448, data: vec![120; 3 * 448 * 448] };
        let gauge = Gauge::new(&image, &labels, &mesh, None);
        assert!(standing_out(&gauge, &Mask::new(448, 448), cheek).is_empty(), "nothing is marked");
    }
}
