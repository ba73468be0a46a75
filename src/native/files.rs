//! Weights on disk: reading a folder of verified files, writing one.

use crate::analyze::{CONFIG_FILE, Settings, TOKENIZER_FILE};
use crate::error::{Error, Result, WeightsFault};
use crate::weights::TensorMap;
use crate::weights::manifest::Manifest;
use crate::weights::shard::Loader;
use std::fs;
use std::path::Path;

/// Name of the manifest in a folder of weights.
pub const MANIFEST_FILE: &str = "manifest.json";

/// A verified folder of weights.
pub struct Weights {
    /// Sizes and calibration.
    pub settings: Settings,
    /// Tensors by name.
    pub tensors: TensorMap,
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// What the folder says of itself.
    pub manifest: Manifest,
}

/// Reads and verifies every file that the manifest names.
///
/// # Errors
/// `weights.*`, naming the file.
pub fn read(dir: &Path) -> Result<Weights> {
    let json = fs::read_to_string(dir.join(MANIFEST_FILE))
        .map_err(|e| Error::weights(WeightsFault::Manifest, format!("{}: {e}", dir.join(MANIFEST_FILE).display())))?;
    let manifest = Manifest::parse(&json)?;
    let mut loader = Loader::new(&json)?;
    let (mut settings, mut tokenizer) = (None, None);
    for file in &manifest.files {
        let bytes = fs::read(dir.join(&file.name)).map_err(|e| Error::weights(WeightsFault::MissingShard, format!("{}: {e}", file.name)))?;
        loader.add(&file.name, &bytes)?;
        if file.name == CONFIG_FILE {
            settings = Some(Settings::parse(&bytes)?);
        } else if file.name == TOKENIZER_FILE {
            tokenizer = Some(bytes);
        }
    }
    let missing = |name: &str| Error::weights(WeightsFault::MissingShard, name);
    Ok(Weights {
        settings: settings.ok_or_else(|| missing(CONFIG_FILE))?,
        tokenizer: tokenizer.ok_or_else(|| missing(TOKENIZER_FILE))?,
        tensors: loader.finish()?,
        manifest,
    })
}
