//! What the traces stage is shown: the same square of a forgery and of its untouched twin, smaller than the crop.
//!
//! A forgery is a small part of a crop, and most of what a convolution does to the rest teaches nothing. A square around the
//! forgery costs its share of the crop, so the branch sees several times as many; and since the twin's square lies beside it, what tells the two
//! apart can only be the forgery. Convolutions look around themselves only, so what is learned on squares holds on crops.

use super::batch::shrink;
use crate::error::Result;
use crate::native::annotate::{Sample, Sampler};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Of pairs, how many show the forgery for sure.
const AIMED: f64 = 0.85;
/// Mask cells that must be forged for a square to count as forged.
const LEAST_CELLS: f32 = 8.0;
/// Of an aimed square, the share that may be forged: where nothing else is seen there is nothing to tell it from …
const MOST: f64 = 0.85;
/// … so such squares are laid anew, so often.
const TRIES: usize = 6;
/// Places in which a forgery is shown.
const PLACES: u64 = 4;
/// Pairs between two places of one.
const APART: u64 = 64;

/// A square of a crop with its targets.
pub struct Cut {
    /// Interleaved RGB, `side`×`side`.
    pub image: Vec<u8>,
    /// Artifact, `[side / 4, side / 4]`, 0..1.
    pub artifact: Vec<f32>,
    /// Whether the square shows enough of a forgery.
    pub forged: bool,
    /// Family index; 0 for untouched squares.
    pub class: usize,
}

/// Pairs as they are trained on: the square of the forged crop, then the same of the untouched one.
///
/// To make a forgery takes about as long as to learn from a square of it, so each is shown in several places, far enough apart that a batch
/// does not hold it twice. What stands where does not depend on what was asked before.
pub struct Cuts {
    sampler: Arc<Sampler>,
    side: usize,
    places: u64,
    repeat: u64,
    /// Squares for later, by pair and place.
    later: Mutex<HashMap<(u64, u64), [Cut; 2]>>,
}

impl Cuts {
    /// Squares of `side`, a multiple of 32 up to the crop's; of the first `repeat` pairs over and over.
    pub fn new(sampler: Arc<Sampler>, side: usize, repeat: u64) -> Self {
        // A whole crop has one place.
        let places = if side == sampler.side() { 1 } else { PLACES };
        Self { sampler, side, places, repeat, later: Mutex::default() }
    }

    /// What stands at `position`.
    ///
    /// # Errors
    /// Those of the sampler.
    pub fn at(&self, position: u64) -> Result<[Cut; 2]> {
        let (round, rest) = (position / (APART * self.places), position % (APART * self.places));
        let (place, index) = (rest / APART, (round * APART + rest % APART) % self.repeat);
        let later = || self.later.lock().unwrap_or_else(PoisonError::into_inner);
        let known = later().remove(&(index, place));
        if let Some(known) = known {
            return Ok(known);
        }
        let forged = self.sampler.paired(2 * index + 1)?;
        // The first set makes no twins; there the other of the pair is drawn.
        let untouched = match &forged.twin {
            Some(twin) => twin.data.clone(),
            None => self.sampler.paired(2 * index)?.image.data,
        };
        for next in place + 1..self.places {
            let pair = self.cut(&forged, &untouched, index, next);
            later().insert((index, next), pair);
        }
        Ok(self.cut(&forged, &untouched, index, place))
    }

    fn cut(&self, forged: &Sample, untouched: &[u8], index: u64, place: u64) -> [Cut; 2] {
        let (side, whole) = (self.side, forged.image.width);
        let mut rng = SmallRng::seed_from_u64(index ^ 0x000c_07a5_9a1e ^ (place << 48));
        let corner = corner(forged, side, &mut rng);
        let cut = |data: &[u8], channels: usize| -> Vec<u8> {
            (0..side).flat_map(|y| data[((corner[1] + y) * whole + corner[0]) * channels..][..side * channels].iter().copied()).collect()
        };
        let artifact = shrink(&cut(&forged.artifact.data, 1), side);
        let shows = artifact.iter().sum::<f32>() >= LEAST_CELLS;
        let of = |data: &[u8], artifact: Vec<f32>, forged: bool, class: usize| Cut { image: cut(data, 3), artifact, forged, class };
        let nothing = vec![0.0; artifact.len()];
        let class = if shows { forged.family.index() } else { 0 };
        [of(&forged.image.data, artifact, shows, class), of(untouched, nothing, false, 0)]
    }
}

/// Left and top of the square, multiples of 4: over a forged pixel, or anywhere.
fn corner(sample: &Sample, side: usize, rng: &mut SmallRng) -> [usize; 2] {
    let whole = sample.image.width;
    let room = (whole - side) / 4;
    let changed: Vec<usize> = (0..sample.artifact.data.len()).filter(|i| sample.artifact.data[*i] != 0).collect();
    let anywhere = |rng: &mut SmallRng| [0; 2].map(|_| 4 * rng.random_range(0..=room));
    if changed.is_empty() || !rng.random_bool(AIMED) {
        return anywhere(rng);
    }
    let mut found = anywhere(rng);
    for _ in 0..TRIES {
        let at = changed[rng.random_range(0..changed.len())];
        found = [at % whole, at / whole].map(|p| 4 * (p.saturating_sub(rng.random_range(0..side)) / 4).min(room));
        let row = |y: usize| &sample.artifact.data[(found[1] + y) * whole + found[0]..][..side];
        let inside: usize = (0..side).map(|y| row(y).iter().filter(|m| **m != 0).count()).sum();
        if (inside as f64) < MOST * (side * side) as f64 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::annotate::Recipe;
    use crate::native::annotate::drawn::drawn_sampler;
    use crate::native::annotate::sampler::Order;

    #[test]
    fn a_square_of_a_face_made_anew_shows_some_of_the_photo_too() {
        let order = Order { recipe: Some(Recipe::WholeSwap), difficulty: 0.2, augment: false, degrade: false };
        let sample = drawn_sampler(2).make(1, order).unwrap();
        let (side, whole) = (128, sample.image.width);
        let mut rng = SmallRng::seed_from_u64(4);
        let full = |[x, y]: [usize; 2]| (0..side * side).all(|i| sample.artifact.data[(y + i / side) * whole + x + i % side] != 0);
        let aimed = (0..200).filter(|_| full(corner(&sample, side, &mut rng))).count();
        let blind = (0..200).filter(|_| full([0; 2].map(|_| 4 * rng.random_range(0..=(whole - side) / 4)))).count();
        // What is left are squares laid without aiming.
        assert!(blind > 0 && aimed < blind, "{aimed} of 200, blindly {blind}");
    }
}
