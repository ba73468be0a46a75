//! `facext train`: burn autodiff on the same model code that ships.
//!
//! Three stages. `traces` trains the branch that looks for traces alone, which is cheap and needs most samples; `vision` trains all
//! that sees around it; `language` trains what speaks, from frozen vision. All resume from their last checkpoint. What they
//! made is put into `trained.safetensors`, which `facext convert --trained` takes.

pub mod batch;
pub mod calibrate;
pub mod config;
pub mod course;
pub mod curve;
pub mod cut;
pub mod ema;
pub mod gradients;
pub mod language;
pub mod losses;
pub mod schedule;
pub mod summed;
pub mod traces;
pub mod vision;

use crate::error::{Error, Result};
use crate::model::{Vision, fifa::Language};
use crate::native::annotate::recipe::Recipe;
use crate::native::annotate::{Pack, RecipeSet, Sampler, Split};
use crate::native::convert::is_frozen;
use crate::native::export::export;
use crate::native::{device, files};
use crate::weights::{TensorMap, Vars};
use burn::module::Module;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Trained tensors of a run, plain f32.
pub const TRAINED_FILE: &str = "trained.safetensors";

/// Arguments of `train`.
#[derive(clap::Args, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Args {
    /// Options from a JSON file, by their names; what stands on the command line wins.
    #[arg(long)]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// traces, then vision, then language, then calibrate.
    #[arg(value_parser = ["traces", "vision", "language", "calibrate"])]
    pub stage: String,
    /// Photo pack with splits by person.
    #[arg(long)]
    pub faces: PathBuf,
    /// Weights to start from.
    #[arg(long, default_value = "weights")]
    pub weights: PathBuf,
    /// Folder of the run: checkpoints, metrics, results.
    #[arg(long)]
    pub out: PathBuf,
    /// Optimiser steps in all.
    #[arg(long, default_value_t = 1000)]
    pub steps: usize,
    /// Samples a step.
    #[arg(long, default_value_t = 4)]
    pub batch: usize,
    /// Batches whose gradients are summed before a step, worked on side by side.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub accumulate: u32,
    /// What is validated and kept is the moving average of the weights over about 1 / (1 - this) steps; 0 = the last weights.
    #[arg(long, default_value_t = 0.0)]
    pub ema: f32,
    /// Peak learning rate.
    #[arg(long, default_value_t = 4e-4)]
    pub lr: f64,
    /// Seed of data and new weights.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Threads that prepare samples.
    #[arg(long, default_value_t = 1)]
    pub loaders: usize,
    /// Steps between checkpoints.
    #[arg(long, default_value_t = 100)]
    pub save_every: usize,
    /// Samples of validation persons looked at with each checkpoint; the language stage, which is slow, takes a quarter.
    #[arg(long, default_value_t = 96)]
    pub validate: u64,
    /// Traces stage: side of the squares it is shown, px, a multiple of 32; 0 = whole crops.
    #[arg(long, default_value_t = 0)]
    pub side: usize,
    /// Forgeries from crude (0) to this subtle (1).
    #[arg(long, default_value_t = 0.5)]
    pub difficulty: f32,
    /// Recipes and degradations to draw from. `first` is the six recipes with mild degradations; `seen` is all that training may see.
    #[arg(long, value_enum, default_value = "seen")]
    pub recipes: RecipeSet,
    /// Ablations, separated by commas: losses of the vision stage that are left out (`det`, `cls`, `concepts`: of which concepts are
    /// changed, and parsing), or a recipe (`self_blend`).
    #[arg(long, value_delimiter = ',', value_parser = ["det", "cls", "concepts", "self_blend"])]
    pub without: Vec<String>,
    /// Draw only the first so many samples over and over: a check that a model can learn them by heart. 0 = off.
    #[arg(long, default_value_t = 0)]
    pub repeat: u64,
    /// Language stage: the weights to start from hold a trained language half; go on from it. Otherwise state words begin as the
    /// words they stand for, unless the run's folder holds trained ones.
    #[arg(long)]
    pub go_on: bool,
    /// Language stage, an ablation: which state chooses the concept of a `[SEG]`. Answers read `predicting`: weights of the other are for comparison alone.
    #[arg(long, value_enum, default_value = "predicting")]
    pub seg_state: language::SegState,
    /// auto, cpu or gpu.
    #[arg(long, default_value = "cpu", value_parser = ["auto", "cpu", "gpu"])]
    pub device: String,
}

/// Runs the command.
///
/// # Errors
/// Any stage's.
pub fn run(args: &Args) -> Result<()> {
    let weights = files::read(&args.weights)?;
    let cfg = weights.settings.model;
    let pack = Arc::new(Pack::open(&args.faces)?);
    if !args.recipes.may_train() {
        return Err(Error::Request("this set holds recipes that training must not see".into()));
    }
    let draw = |pack, split, seed| Sampler::new(pack, split, seed).map(|s| s.with_difficulty(0.0..=args.difficulty).with_set(args.recipes));
    let left_out: Vec<Recipe> = Recipe::ALL.into_iter().filter(|r| args.without.iter().any(|w| w == r.id())).collect();
    let sampler = Arc::new(draw(pack.clone(), Split::Train, args.seed)?.without(&left_out));
    let val = draw(pack, Split::Val, args.seed ^ 0x7a11)?;
    let options = serde_json::to_value(args).map_err(|e| Error::Io(e.to_string()))?;
    config::keep(&args.out, &args.stage, &options)?;
    let (device, label) = device::choose(&args.device)?;
    eprintln!("training on {label}: {} photos", sampler.photos());
    let mut tensors = weights.tensors;
    let earlier = trained(&args.out)?;
    let begun = args.go_on || earlier.0.contains_key("language.states.det_words");
    tensors.0.extend(earlier.0);
    let tensors = Arc::new(tensors);
    let autodiff = device.clone().autodiff();
    match args.stage.as_str() {
        "traces" => {
            let model = Vision::build(&cfg, &Vars::for_training(tensors, args.seed, &autodiff).pp("vision"))?;
            let traces = traces::train(&cfg, model.traces, sampler, &val, args, &autodiff)?;
            keep(&args.out, export(&traces, "vision.traces", |_| true))
        }
        "vision" => {
            let model = Vision::build(&cfg, &Vars::for_training(tensors, args.seed, &autodiff).pp("vision"))?;
            let model = vision::train(&cfg, model, sampler, &val, args, &autodiff)?;
            keep(&args.out, export(&model, "vision", |n| !is_frozen(n)))
        }
        "language" => {
            let vision = Vision::build(&cfg, &Vars::for_training(tensors.clone(), args.seed, &device).pp("vision"))?;
            let language = Language::build(&cfg, &Vars::for_training(tensors, args.seed, &autodiff).pp("language"))?;
            let setup = language::Setup { cfg: &cfg, tokenizer: &weights.tokenizer, sampler, val: &val, begun, args };
            let language = language::train(&setup, vision, language, &autodiff)?;
            keep(&args.out, export(&language, "language", |n| !n.contains(".Float.") && !is_frozen(n)))
        }
        _ => {
            let vision = Vision::build(&cfg, &Vars::stored(tensors, &device).pp("vision"))?;
            calibrate::run(&cfg, &vision, &val, args)
        }
    }
}

/// What earlier stages of the run made.
fn trained(run: &Path) -> Result<TensorMap> {
    let path = run.join(TRAINED_FILE);
    if path.exists() { files::read_plain(&path) } else { Ok(TensorMap::default()) }
}

/// Adds a stage's tensors to the run's file.
fn keep(run: &Path, new: TensorMap) -> Result<()> {
    if new.0.is_empty() {
        return Err(Error::Model("the stage trained nothing".into()));
    }
    let mut all = trained(run)?;
    all.0.extend(new.0);
    files::write_plain(&run.join(TRAINED_FILE), &all)
}

/// The module without gradients, for validation on the inner device.
pub(crate) fn inner<M: Module>(model: &M) -> M {
    model.clone().valid()
}
