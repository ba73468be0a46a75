//! Networks that the annotator may borrow: a portrait matte, a generative inpainter, a small up-sampler.
//!
//! None is part of this program. A model is a file that the caller names, or one that `build.sh` has put into the cache; without
//! it the recipes that need it are left out, and the leaves around the face fall back to an ordinary person's outline.
//! Only the files whose hashes stand here are opened: so no foreign bytes reach the ONNX parser, and a data set says exactly
//! what made it.
//!
//! [`onnx`] runs the first two.

pub mod inpaint;
pub mod matte;
pub mod onnx;
pub mod upscale;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::image::sha256_hex;
use crate::native::annotate::recipe::Recipe;
pub use inpaint::Inpainter;
pub use matte::Matting;
pub use upscale::Upscaler;

/// A model file that is known: where it comes from, and its hash.
#[derive(Debug)]
pub struct Known {
    /// Name in the cache's folder of upstream packages.
    pub file: &'static str,
    /// What it is and where it comes from, for messages and the run's record.
    pub source: &'static str,
    pub sha256: &'static str,
}

/// In place of a file: the one that `build.sh nets` has fetched. (A file of that name is `./cache`.)
pub const CACHE: &str = "cache";

/// Arguments of the commands that may borrow networks.
#[derive(Debug, Default, clap::Args)]
pub struct Borrow {
    /// Borrows MODNet for the recipe hair_recolour: its file; without one the file that ./build.sh nets has fetched.
    #[arg(long, value_name = "MODEL", num_args = 0..=1, default_missing_value = "cache")]
    pub matte: Option<PathBuf>,
    /// Borrows MI-GAN for the recipe gan_inpaint: its file; without one the file that ./build.sh nets has fetched.
    #[arg(long, value_name = "MODEL", num_args = 0..=1, default_missing_value = "cache")]
    pub inpaint: Option<PathBuf>,
    /// Borrows a small ESRGAN for the recipe esrgan_resample: its weights; without one the file that ./build.sh nets has fetched.
    #[arg(long, value_name = "MODEL", num_args = 0..=1, default_missing_value = "cache")]
    pub upscale: Option<PathBuf>,
}

impl Borrow {
    /// Opens what was asked for.
    ///
    /// # Errors
    /// As [`Nets::open`].
    pub fn open(&self) -> Result<Nets> {
        Nets::open(self.matte.as_deref(), self.inpaint.as_deref(), self.upscale.as_deref())
    }
}

/// The networks of a run.
#[derive(Debug, Clone, Default)]
pub struct Nets {
    pub matting: Option<Arc<Matting>>,
    pub inpainter: Option<Arc<Inpainter>>,
    pub upscaler: Option<Arc<Upscaler>>,
}

impl Nets {
    /// Opens what is wanted: `None` is not, `Some("cache")` is looked for in the cache.
    ///
    /// # Errors
    /// `io.failed` for a file that cannot be read; `request.bad` for one that is not the known model, or where the cache has none.
    pub fn open(matte: Option<&Path>, inpaint: Option<&Path>, upscale: Option<&Path>) -> Result<Self> {
        Ok(Self {
            matting: matte.map(|p| Matting::open(&place(p, &matte::MODNET)?).map(Arc::new)).transpose()?,
            upscaler: upscale.map(|p| Upscaler::open(&place(p, &upscale::ESRGAN)?).map(Arc::new)).transpose()?,
            inpainter: inpaint.map(|p| Inpainter::open(&place(p, &inpaint::MIGAN)?).map(Arc::new)).transpose()?,
        })
    }

    /// Whether a recipe can be made.
    pub fn can(&self, recipe: Recipe) -> bool {
        match recipe {
            Recipe::GanInpaint => self.inpainter.is_some(),
            Recipe::HairRecolour => self.matting.is_some(),
            Recipe::EsrganResample => self.upscaler.is_some(),
            _ => true,
        }
    }

    /// The models in use, for the run's record.
    pub fn sources(&self) -> Vec<String> {
        let say = |k: &Known| format!("{}, SHA-256 {}", k.source, k.sha256);
        let all = [
            self.matting.is_some().then_some(&matte::MODNET),
            self.inpainter.is_some().then_some(&inpaint::MIGAN),
            self.upscaler.is_some().then_some(&upscale::ESRGAN),
        ];
        all.into_iter().flatten().map(say).collect()
    }
}

/// The file that is named; for [`CACHE`] the one in the cache.
///
/// # Errors
/// `request.bad` where the cache has none.
pub fn place(named: &Path, known: &Known) -> Result<PathBuf> {
    if named != Path::new(CACHE) {
        return Ok(named.to_path_buf());
    }
    cached(known).ok_or_else(|| Error::Request(format!("no {} in the cache; ./build.sh nets fetches it, or name a file", known.source)))
}

/// The file in the cache, if it is there.
pub fn cached(known: &Known) -> Option<PathBuf> {
    let cache = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/facext")))?;
    Some(cache.join("upstream").join(known.file)).filter(|p| p.is_file())
}

/// The bytes of a model file, if it is the known one.
fn read(path: &Path, known: &Known) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    let hash = sha256_hex(&bytes);
    if hash != known.sha256 {
        return Err(Error::Request(format!("{}: not {} (SHA-256 {hash}, not {})", path.display(), known.source, known.sha256)));
    }
    Ok(bytes)
}

/// Opens the part of a known ONNX file between two values.
fn plan(path: &Path, known: &Known, input: &str, output: &str) -> Result<onnx::Plan> {
    let graph = onnx::proto::read(&read(path, known)?).ok_or_else(|| Error::Model(format!("{}: no graph", path.display())))?;
    Ok(graph.between(input, output))
}

/// Runs a plan on values of `shape`.
fn run(plan: &onnx::Plan, shape: &[usize], values: Vec<f32>) -> Result<Vec<f32>> {
    let input = onnx::Array::new(shape.to_vec(), values).ok_or_else(|| Error::Model("input of another size".into()))?;
    plan.run(input).map(|out| out.data).map_err(Error::Model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_refused_with_their_hash() {
        let path = std::env::temp_dir().join(format!("facext-no-model-{}", std::process::id()));
        std::fs::write(&path, b"not a model").unwrap();
        let refused = Nets::open(Some(&path), None, None).unwrap_err();
        assert!(matches!(&refused, Error::Request(why) if why.contains("not MODNet") && why.contains("SHA-256")), "{refused}");
        assert!(matches!(Nets::open(None, Some(&path), None), Err(Error::Request(_))));
        assert!(matches!(Nets::open(None, None, Some(&path)), Err(Error::Request(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Nets::open(Some(&path), None, None), Err(Error::Io(_))));
    }
}
