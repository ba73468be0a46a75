//! The mean of networks that one course of training came by.
//!
//! Each round of training goes on from the last one's weights, at a rate that leaves them, and comes to rest elsewhere near by. The mean of such
//! resting places lies in flatter ground than each of them, and tells strangers' photos better (Izmailov et al. 2018, "Averaging Weights
//! Leads to Wider Optima and Better Generalization"). Only networks of one course may be averaged: of others the mean is noise.

use super::is_frozen;
use crate::error::Result;
use crate::weights::{Stored, TensorMap};

/// What is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Half {
    /// The branch that looks for traces alone; what reads it has to be trained on the mean afterwards.
    Traces,
    /// All that the vision half trains.
    Vision,
}

impl Half {
    fn has(self, name: &str) -> bool {
        name.starts_with(if self == Self::Traces { "vision.traces." } else { "vision." }) && !is_frozen(name)
    }
}

/// Puts the mean of `tensors` and `others` in the place of the tensors of `tensors` that are of this half.
///
/// # Errors
/// `weights.missing_tensor`, `weights.shape` where another has not the same tensors.
pub fn average(tensors: &mut TensorMap, others: &[TensorMap], half: Half) -> Result<()> {
    let share = 1.0 / (1 + others.len()) as f32;
    for (name, t) in tensors.0.iter_mut().filter(|(name, _)| half.has(name)) {
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
    fn a_half_becomes_the_mean_and_the_rest_stays() {
        let one =
            map(&[("vision.traces.a", &[1.0, 5.0]), ("vision.dec.b", &[1.0]), ("vision.trunk.c", &[1.0]), ("language.proj.d", &[1.0])]);
        let others = [map(&[("vision.traces.a", &[2.0, 5.0])]), map(&[("vision.traces.a", &[6.0, 2.0]), ("vision.dec.b", &[9.0])])];
        let mut traces = one.clone();
        average(&mut traces, &others, Half::Traces).unwrap();
        assert_eq!(traces.0["vision.traces.a"].to_f32(), [3.0, 4.0]);
        assert_eq!(traces.0["vision.dec.b"].to_f32(), [1.0]);
        let mut vision = one.clone();
        average(&mut vision, &others[1..], Half::Vision).unwrap();
        let of = |name: &str| vision.0[name].to_f32();
        assert_eq!((of("vision.traces.a"), of("vision.dec.b")), (vec![3.5, 3.5], vec![5.0]));
        assert_eq!((of("vision.trunk.c"), of("language.proj.d")), (vec![1.0], vec![1.0]));
    }

    #[test]
    fn a_mean_of_other_networks_is_refused() {
        let one = map(&[("vision.traces.a", &[1.0, 5.0])]);
        for other in [map(&[("vision.traces.a", &[2.0])]), TensorMap::default()] {
            assert!(average(&mut one.clone(), &[other], Half::Traces).is_err());
        }
    }
}
