//! Is a concept manipulated: what the artifact map shows under the concept's own pixels.
//!
//! The mesh gives every part's exact place, and the artifact mask is the best-trained output of the decoder; their overlap
//! names the right part far more often than the concept tokens' own logits do. The step stands where the annotator's rule
//! does ([`crate::fict::lift::COVERED`]).

use crate::fict::{PARTS, lift::COVERED};

/// Steepness of the step from "untouched" to "manipulated".
const STEEP: f32 = 12.0;

/// Presence of every part, 0..1, `[PARTS]`.
///
/// # Arguments
/// - `artifact`: logits of the artifact mask at stride 4, row-major `[side / 4, side / 4]`.
/// - `labels`: part of every crop pixel, row-major `[side, side]` ([`crate::fict::part_labels`]).
/// - `side`: of the crop, pixels. Maps of other sizes give 0 everywhere.
pub fn presence(artifact: &[f32], labels: &[u8], side: usize) -> Vec<f32> {
    let m = side / 4;
    let (mut area, mut lit) = ([0.0f32; PARTS], [0.0f32; PARTS]);
    if artifact.len() == m * m && labels.len() == side * side {
        for (i, logit) in artifact.iter().enumerate() {
            // The label at the middle of the cell stands for the cell.
            let label = labels[(i / m * 4 + 2) * side + i % m * 4 + 2];
            if let Some(n) = area.get_mut(usize::from(label)) {
                *n += 1.0;
                lit[usize::from(label)] += sigmoid(*logit);
            }
        }
    }
    // One cell more in the denominator: a part of a few cells needs more to be called manipulated.
    (0..PARTS).map(|l| if area[l] == 0.0 { 0.0 } else { sigmoid(STEEP * (lit[l] / (area[l] + 1.0) - COVERED)) }).collect()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lit_part_is_present_and_a_dark_one_is_not() {
        let side = 32;
        // Part 3 on the left half, part 5 on the right; the artifact is on the left.
        let labels: Vec<u8> = (0..side * side).map(|i| if i % side < 16 { 3 } else { 5 }).collect();
        let artifact: Vec<f32> = (0..64).map(|i| if i % 8 < 4 { 6.0 } else { -6.0 }).collect();
        let p = presence(&artifact, &labels, side);
        assert!(p[3] > 0.95 && p[5] < 0.05 && p[0] == 0.0, "{p:?}");
    }

    #[test]
    fn maps_of_other_sizes_show_nothing() {
        assert_eq!(presence(&[1.0; 4], &[0; 9], 32), vec![0.0; PARTS]);
    }
}
