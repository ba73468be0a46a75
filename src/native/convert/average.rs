//! The mean of networks that one course of training came by.
//!
//! Each round of training goes on from the last one's weights, at a rate that leaves them, and comes to rest elsewhere near by. The mean of such
//! resting places lies in flatter ground than each of them, and tells strangers' photos better (Izmailov et al. 2018, "Averaging Weights
//! Leads to Wider Optima and Better Generalization"). Only networks of one course may be averaged: of others the mean is noise.

use crate::error::Result;
use crate::weights::{Stored, TensorMap};

/// What is averaged: the branch that looks for traces. What reads it is trained on the mean afterwards.
pub const BRANCH: &str = "vision.traces.";

/// Puts the mean of `tensors` and `others` in the place of the tensors of `tensors` whose name begins with `prefix`.
///
/// # Errors
/// `weights.missing_tensor`, `weights.shape` where another has not the same tensors.
pub fn average(tensors: &mut TensorMap, others: &[TensorMap], prefix: &str) -> Result<()> {
    let share = 1.0 / (1 + others.len()) as f32;
    for (name, t) in tensors.0.iter_mut().filter(|(name, _)| name.starts_with(prefix)) {
        let shape = t.shape();
        let mut mean = t.to_f32();
        for other in others {
            let theirs = other.expect(name, &shape)?.to_f32();
            mean.iter_mut().zip(theirs).for_each(|(m, v)| *m += v);
        }
        mean.iter_mut().for_each(|m| *m *= share);
        *t = Stored::float(shape, mean);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn map(items: &[(&str, &[f32])]) -> TensorMap {
        TensorMap(items.iter().map(|(n, v)| ((*n).into(), Stored::float([v.len()], v.to_vec()))).collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn the_branch_becomes_the_mean_and_the_rest_stays() {
        let mut one = map(&[("vision.traces.a", &[1.0, 5.0]), ("vision.dec.b", &[1.0])]);
        let others = [map(&[("vision.traces.a", &[2.0, 5.0])]), map(&[("vision.traces.a", &[6.0, 2.0]), ("vision.dec.b", &[9.0])])];
        average(&mut one, &others, BRANCH).unwrap();
        assert_eq!(one.0["vision.traces.a"].to_f32(), [3.0, 4.0]);
        assert_eq!(one.0["vision.dec.b"].to_f32(), [1.0]);
        let short = [map(&[("vision.traces.a", &[2.0])])];
        assert!(average(&mut one, &short, BRANCH).is_err());
        assert!(average(&mut one, &[TensorMap::default()], BRANCH).is_err());
    }
}
