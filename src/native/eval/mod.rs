//! `facext eval`: figures on forgeries of persons that training never saw, with the weights as they ship.
//!
//! Every sample is an annotated crop and goes through the model as a photo's crop does: task tokens for the score,
//! generation for the answer, `[SEG]` states for the masks. The face finder takes no part: crops come from the pack's meshes.
//! Localisation is asked of every image; the slower parts (explanations, regions, boxes, words only, the second look at a
//! JPEG) of every n-th, n being an option each, 0 for never. A figure that was not asked for is `null`. Definitions:
//! `docs/evaluation.md`. `folders` judges pictures from elsewhere.

mod folders;
mod html;
mod judge;
pub mod plot;
mod steady;
mod summary;
mod worst;

use crate::error::{Error, Result};
use crate::native::analyze::load;
use crate::native::annotate::nets::Borrow;
use crate::native::annotate::{Pack, RecipeSet, Sampler, Split};
use crate::native::many::{bar, tick};
use crate::native::say::say;
use judge::{Outcome, judge};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Arguments of `eval`.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Photo pack with splits by person.
    #[arg(long, visible_alias = "data", required_unless_present = "forged")]
    pub faces: Option<PathBuf>,
    /// Judge pictures from elsewhere: a folder of photos as they were taken.
    #[arg(long, requires = "forged", conflicts_with_all = ["faces", "html", "worst", "answers", "scores", "full"])]
    pub untouched: Option<PathBuf>,
    /// And a folder of forged ones; its sub-folders are told apart.
    #[arg(long, requires = "untouched", conflicts_with = "faces")]
    pub forged: Option<PathBuf>,
    /// Weights to judge.
    #[arg(long, default_value = "weights")]
    pub weights: PathBuf,
    /// Images.
    #[arg(long, default_value_t = 1000)]
    pub count: u64,
    /// Seed of the forgeries.
    #[arg(long, default_value_t = 20_261)]
    pub seed: u64,
    /// Difficulties are drawn from 0 (crude) to this (1 = subtle).
    #[arg(long, default_value_t = 0.5)]
    pub difficulty: f32,
    /// train, val or test persons.
    #[arg(long, default_value = "test", value_parser = ["train", "val", "test"])]
    pub split: String,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    pub jobs: usize,
    /// Every n-th image is also asked for a grounded explanation (slow); 0 asks of every image, too.
    #[arg(long, default_value_t = 4)]
    pub explain_every: u64,
    /// Every n-th image is also asked for an explanation in words only; 0 = never.
    #[arg(long, default_value_t = 0)]
    pub toe_every: u64,
    /// Every n-th image is also asked about a named region (localisation and explanation); 0 = never.
    #[arg(long, default_value_t = 0)]
    pub region_every: u64,
    /// Every n-th image is also asked about a box (localisation and explanation), often one on nothing; 0 = never.
    #[arg(long, default_value_t = 0)]
    pub box_every: u64,
    /// Every n-th image is judged again as a JPEG of quality 75, and both after the product's own savings; 0 = never.
    #[arg(long, default_value_t = 0)]
    pub flip_every: u64,
    /// All parts, each as often as --explain-every says, where it has no number of its own.
    #[arg(long)]
    pub full: bool,
    /// Wordings of the annotator that count as references of an answer; 1 as in the field's figures.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=16))]
    pub wordings: u64,
    /// Recipes and degradations to draw from. `first` is the six recipes with mild degradations.
    #[arg(long, value_enum, default_value = "all")]
    pub recipes: RecipeSet,
    #[command(flatten)]
    pub borrow: Borrow,
    /// Recipes that training left out, separated by commas: the AUC is given for them and the others apart. Not given: those
    /// that the annotator keeps from training.
    #[arg(long, value_delimiter = ',', value_parser = recipe)]
    pub unseen: Vec<&'static str>,
    /// Ablation: masks are those of the `[SEG]` states alone, not joined with the artifact map nor held to the named concept.
    #[arg(long)]
    pub without_mask_rule: bool,
    /// Ablation: the language model gets no task and concept states (tokens that say nothing in their place).
    #[arg(long)]
    pub without_states: bool,
    /// Scores only: no language model.
    #[arg(long)]
    pub scores_only: bool,
    /// Also write every answer's words into this file, a JSON object a line: image, task, place, text.
    #[arg(long)]
    pub answers: Option<PathBuf>,
    /// Also write every image's scores into this file, a JSON object a line: image, forged, recipe, family, score, and, of the
    /// images that --flip-every takes, those after the product's own savings and of the image as a JPEG.
    #[arg(long)]
    pub scores: Option<PathBuf>,
    /// Print JSON on one line (otherwise indented).
    #[arg(long)]
    pub json: bool,
    /// Also write the figures with plots as one HTML file.
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// Also write pictures of the worst cases of each kind into this folder. They show faces of the pack.
    #[arg(long)]
    pub worst: Option<PathBuf>,
    /// Pictures of each kind.
    #[arg(long, default_value_t = 24)]
    pub worst_count: usize,
}

fn recipe(id: &str) -> Result<&'static str, String> {
    let all: Vec<&'static str> = RecipeSet::All.recipes().iter().map(|r| r.id()).collect();
    all.iter().find(|r| **r == id).copied().ok_or_else(|| format!("the recipes are {}", all.join(", ")))
}

impl Args {
    /// Recipes of the set that training left out.
    fn unseen(&self) -> Vec<&'static str> {
        let kept = || self.recipes.recipes().iter().filter(|r| r.is_unseen()).map(|r| r.id()).collect();
        if self.unseen.is_empty() { kept() } else { self.unseen.clone() }
    }

    /// Whether image `index` takes a part that comes every n-th image.
    fn takes(&self, every: u64, index: u64) -> bool {
        let every = if every == 0 && self.full { self.explain_every.max(1) } else { every };
        every > 0 && index.is_multiple_of(every)
    }
}

/// Runs the command.
///
/// # Errors
/// Any stage's.
pub fn run(args: &Args) -> Result<()> {
    if let (Some(untouched), Some(forged)) = (&args.untouched, &args.forged) {
        return print(&folders::run(untouched, forged, args)?, args);
    }
    let faces = args.faces.as_ref().ok_or_else(|| Error::Request("--faces is needed".into()))?;
    let analyzer = load(&args.weights, "cpu")?;
    let split = Split::parse(&args.split).ok_or_else(|| Error::Request(format!("no split is called {}", args.split)))?;
    let sampler = Sampler::new(Arc::new(Pack::open(faces)?), split, args.seed)?;
    let sampler = sampler.with_difficulty(0.0..=args.difficulty).with_set(args.recipes).with_nets(args.borrow.open()?);
    let progress = bar(args.count, "judging samples");
    let (next, outcomes) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= args.count || failed.lock().is_ok_and(|f| f.is_some()) {
                        break;
                    }
                    match judge(&analyzer, &sampler, index, args) {
                        Ok(o) => outcomes.lock().map(|mut all| all.push(o)).unwrap_or_default(),
                        Err(e) => failed.lock().map(|mut f| *f = Some(e)).unwrap_or_default(),
                    }
                    tick(&progress);
                }
            });
        }
    });
    progress.finish_and_clear();
    if let Some(e) = failed.into_inner().ok().flatten() {
        return Err(e);
    }
    let mut outcomes: Vec<Outcome> = outcomes.into_inner().unwrap_or_default();
    // Threads finish in any order; AP50 follows the order of images.
    outcomes.sort_by_key(|o| o.index);
    let report = summary::summary(&outcomes, &analyzer.program.weights_sha256, args);
    if let Some(path) = &args.html {
        let page = html::page(&report, &outcomes);
        std::fs::write(path, page).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    }
    if let Some(path) = &args.answers {
        let line = |index: u64, a: &judge::Answered| {
            let of = serde_json::json!({ "image": index, "task": a.task, "place": a.place, "text": a.text });
            format!("{of}\n")
        };
        let all: String = outcomes.iter().flat_map(|o| o.answers.iter().map(move |a| line(o.index, a))).collect();
        std::fs::write(path, all).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    }
    if let Some(path) = &args.scores {
        let all: String = outcomes.iter().map(|o| format!("{}\n", summary::scores(o))).collect();
        std::fs::write(path, all).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    }
    if let Some(dir) = &args.worst {
        worst::write(dir, &outcomes, &sampler, args.worst_count)?;
    }
    print(&report, args)
}

fn print(report: &Value, args: &Args) -> Result<()> {
    if args.json { say!("{report}") } else { say!("{}", serde_json::to_string_pretty(report).map_err(|e| Error::Io(e.to_string()))?) }
}
