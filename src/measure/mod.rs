//! Measured evidence: what a part of a face looks like in numbers, against its surroundings and its mirror image.
//!
//! Everything is measured on pixels as they are, from three things: the picture, the mesh, a mask (of changed pixels in a data
//! set, of what an answer marks in a report). So every statement can be measured again by somebody who did not make it.
//!
//! 1. [`planes`]: luma, chroma, fine detail, noise and gradient of the picture, once a picture.
//! 2. [`region`]: the part R, the ring N around it, its mirror image M.
//! 3. [`kinds`]: the measurements, each with formula, unit and source; [`geometry`] and [`repetition`] hold the longer ones.
//! 4. [`norms`]: what untouched photos measure, part by part: median and spread.
//! 5. [`finding`]: a measurement against its norm; whether it stands out. [`words`]: what it is called then.

pub mod finding;
pub mod geometry;
pub mod kinds;
pub mod norms;
pub mod planes;
pub mod region;
pub mod repetition;
pub mod words;

pub use finding::{Finding, Gauge};
pub use kinds::Measure;
