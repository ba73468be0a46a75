//! FiFa-Annotator, first part: forgeries whose masks are exact, and the questions and answers about them.
//!
//! Photo → square crop (resampled once) → forgery of some parts → degradation → sample with mask, concepts and texts. Real
//! samples take the same road without the forgery step, so nothing but the forgery tells the two apart. Each recipe is a
//! pure function of a face, a random stream and a difficulty (0 crude, 1 subtle); the pixels it changed ARE the mask, so no
//! threshold on a difference image is needed (the paper's top-5 % rule was doubted by its reviewers).
//!
//! 1. [`pack`]: the photo pack, its splits by person.
//! 2. [`crop`]: the crop and its augmentation.
//! 3. [`recipe`]: families, recipes, parts; [`swap`], [`edit`], [`bend`] and others make them, [`generate`] with [`nets`].
//! 4. [`degrade`]: what happens to photos on the way.
//! 5. [`sampler`]: sample by index.
//! 6. [`text`]: questions and answers, in the words of [`wording`].
//! 7. [`sheet`]: contact sheets to look at.

pub mod bend;
pub mod command;
pub mod crop;
pub mod dataset;
pub mod degrade;
#[cfg(test)]
pub(crate) mod drawn;
pub mod edit;
pub mod generate;
#[cfg(test)]
mod golden;
pub mod nets;
pub mod pack;
pub mod pixels;
pub mod recipe;
pub mod reenact;
pub mod rerender;
pub mod retouch;
pub mod sampler;
pub mod set;
pub mod sheet;
pub mod splice;
pub mod swap;
pub mod talk;
pub mod text;
pub mod texture;
pub mod wild;
pub mod wording;

pub use crate::fict::lift::ConceptHit;
pub use pack::{Pack, Photo, Split};
pub use recipe::{Family, Recipe};
pub use sampler::{Sample, Sampler};
pub use set::RecipeSet;
pub use sheet::contact_sheet;
