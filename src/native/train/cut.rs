//! What the traces stage is shown: the same square of a forgery and of its untouched twin, smaller than the crop.
//!
//! A forgery is a small part of a crop, and most of what a convolution does to the rest teaches nothing. A square around the
//! forgery costs its share of the crop, so the branch sees several times as many; and since the twin's square lies beside it, what tells the two
//! apart can only be the forgery. Convolutions look around themselves only, so what is learned on squares holds on crops.

use super::batch::{TrunkData, shrink};
use crate::error::Result;
use crate::model::encoder::TinyVit;
use crate::native::annotate::{Sample, Sampler};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Of pairs, how many show the forgery for sure.
const AIMED: f64 = 0.85;
/// Mask cells that must be forged for a square to count as forged.
const LEAST_CELLS: f32 = 8.0;

/// A square of a crop with its targets.
pub struct Cut {
    /// Interleaved RGB, `side`×`side`.
    pub image: Vec<u8>,
    /// Trunk maps of the square, if the branch takes them.
    pub trunk: Option<TrunkData>,
    /// Artifact, `[side / 4, side / 4]`, 0..1.
    pub artifact: Vec<f32>,
    /// Whether the square shows enough of a forgery.
    pub forged: bool,
    /// Family index; 0 for untouched squares.
    pub class: usize,
}

/// Pair `index`: the square of the forged crop, then the same of the untouched one. `side` is a multiple of 32 up to the crop's.
///
/// # Errors
/// Those of the sampler.
pub fn pair(sampler: &Sampler, trunk: Option<&TinyVit>, index: u64, side: usize) -> Result<[Cut; 2]> {
    let forged = sampler.paired(2 * index + 1)?;
    // The first set makes no twins; there the other of the pair is drawn.
    let untouched = match &forged.twin {
        Some(twin) => twin.data.clone(),
        None => sampler.paired(2 * index)?.image.data,
    };
    let whole = forged.image.width;
    let mut rng = SmallRng::seed_from_u64(index ^ 0x000c_07a5_9a1e);
    let place = place(&forged, side, &mut rng);
    let cut = |data: &[u8], channels: usize| -> Vec<u8> {
        (0..side).flat_map(|y| data[((place[1] + y) * whole + place[0]) * channels..][..side * channels].iter().copied()).collect()
    };
    let artifact = shrink(&cut(&forged.artifact.data, 1), side);
    let shows = artifact.iter().sum::<f32>() >= LEAST_CELLS;
    let of = |data: &[u8], artifact: Vec<f32>, forged: bool, class: usize| {
        let image = cut(data, 3);
        Cut { trunk: trunk.map(|t| TrunkData::of(t, &image, side)), image, artifact, forged, class }
    };
    let nothing = vec![0.0; artifact.len()];
    let class = if shows { forged.family.index() } else { 0 };
    Ok([of(&forged.image.data, artifact, shows, class), of(&untouched, nothing, false, 0)])
}

/// Left and top of the square, multiples of 4: over a forged pixel, or anywhere.
fn place(sample: &Sample, side: usize, rng: &mut SmallRng) -> [usize; 2] {
    let whole = sample.image.width;
    let room = (whole - side) / 4;
    let changed: Vec<usize> = (0..sample.artifact.data.len()).filter(|i| sample.artifact.data[*i] != 0).collect();
    if changed.is_empty() || !rng.random_bool(AIMED) {
        return [0; 2].map(|_| 4 * rng.random_range(0..=room));
    }
    let at = changed[rng.random_range(0..changed.len())];
    [at % whole, at / whole].map(|p| 4 * (p.saturating_sub(rng.random_range(0..side)) / 4).min(room))
}
