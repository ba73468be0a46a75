//! Data sets: annotated pictures in shards that can be made anywhere, in any order, and checked by anybody.
//!
//! 1. [`source`]: a photo pack, or a plain folder of photos with the face finder's meshes.
//! 2. [`record`]: one sample as a picture (PNG) and everything known of it (JSON).
//! 3. [`shard`]: WebDataset tar files; byte-identical for the same arguments, resumable, independent by index range.
//! 4. [`run`]: the command's loop. [`card`]: `DATA_CARD.md`.
//! 5. [`verify`]: every sentence measured again. [`preview`]: a page to look at. [`probe`]: whether files betray the class.
//! 6. [`pairs`]: (real, edited) photos made by other tools.

pub mod boost;
pub mod card;
pub mod pairs;
pub mod preview;
pub mod probe;
pub mod record;
pub mod register;
pub mod run;
pub mod shard;
pub mod source;
pub mod verify;
