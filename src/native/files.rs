//! Weights on disk: reading a folder of verified files, writing one.

use crate::analyze::{CONFIG_FILE, Settings, TOKENIZER_FILE};
use crate::error::{Error, Result, WeightsFault};
use crate::weights::Loader;
use crate::weights::manifest::Manifest;
use crate::weights::{Stored, TensorMap};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
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
        let bytes =
            fs::read(dir.join(&file.name)).map_err(|e| Error::weights(WeightsFault::MissingShard, format!("{}: {e}", file.name)))?;
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

/// Reads a plain safetensors file of 32-bit floats (what training writes).
///
/// # Errors
/// [`Error::Io`], `weights.format`.
pub fn read_plain(path: &Path) -> Result<TensorMap> {
    let bad = |e: String| Error::weights(WeightsFault::Format, format!("{}: {e}", path.display()));
    let bytes = fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let mut map = TensorMap::default();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(bad(format!("{name} is not f32")));
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        map.0.insert(name.to_string(), Stored::float(view.shape(), values));
    }
    Ok(map)
}

/// Writes named tensors as a plain safetensors file of 32-bit floats.
///
/// # Errors
/// [`Error::Io`]
pub fn write_plain(path: &Path, map: &TensorMap) -> Result<()> {
    let bytes: Vec<(&String, Vec<usize>, Vec<u8>)> =
        map.0.iter().map(|(name, t)| (name, t.shape(), t.to_f32().iter().flat_map(|v| v.to_le_bytes()).collect())).collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| Error::Io(e.to_string()))?;
    let out = safetensors::serialize(views, None).map_err(|e| Error::Io(e.to_string()))?;
    fs::write(path, out).map_err(|e| Error::Io(format!("{}: {e}", path.display())))
}
