//! Measured evidence: what a part of a face looks like in numbers, against its surroundings and its mirror image.
//!
//! Everything is measured on the final pixels, after all degradation, from three things that a data set stores: the picture,
//! the mesh, the mask of changed pixels. So every sentence can be measured again by somebody who did not make it.
//!
//! 1. [`planes`]: luma, chroma, fine detail, noise and gradient of the picture, once a picture.
//! 2. [`region`]: the part R, the ring N around it, its mirror image M.
//! 3. [`measure`]: the measurements, each with formula, unit and source; [`geometry`] and [`repetition`] hold the longer ones.
//! 4. [`norms`]: what untouched photos measure, part by part: median and spread.
//! 5. [`finding`]: a measurement against its norm; whether it stands out.

pub mod finding;
pub mod geometry;
pub mod measure;
pub mod norms;
pub mod planes;
pub mod region;
pub mod repetition;

pub use finding::{Finding, Gauge};
pub use measure::Measure;
