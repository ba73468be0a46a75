//! `facext eval`: figures on forgeries of persons that training never saw, with the weights as they ship.
//!
//! Every sample is an annotated crop and goes through the model as a photo's crop does: task tokens for the score,
//! generation for the answer, `[SEG]` states for the masks. The face finder takes no part: crops come from the pack's meshes.
//! Only whole-face questions are asked: localisation of every image, grounded explanation of every n-th. Mask figures are
//! the field's (`metrics`): greedy mIoU, where unmatched masks cost nothing, and symmetric mIoU, where they do. They are means
//! over forged images; masks on untouched images are counted apart.

use crate::analyze::report::Band;
use crate::analyze::request::{Request, Silent};
use crate::analyze::{Analyzer, read_back};
use crate::error::{Error, Result};
use crate::image::Mask;
use crate::model::vision::crops_to_tensor;
use crate::native::analyze::load;
use crate::native::annotate::text::{self, Scope};
use crate::native::annotate::{Pack, Sample, Sampler, Split};
use crate::native::metrics;
use crate::text::grammar::parse;
use crate::text::{Family, Task};
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Arguments of `eval`.
#[derive(clap::Args)]
pub struct Args {
    /// Photo pack with splits by person.
    #[arg(long)]
    pub faces: PathBuf,
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
    /// Every n-th image is also asked for a grounded explanation (slow).
    #[arg(long, default_value_t = 4)]
    pub explain_every: u64,
    /// Scores only: no language model.
    #[arg(long)]
    pub scores_only: bool,
    /// Print JSON on one line (otherwise indented).
    #[arg(long)]
    pub json: bool,
}

/// What one image gave.
#[derive(Default)]
struct Outcome {
    score: f32,
    band: Option<Band>,
    forged: bool,
    family: usize,
    guessed: usize,
    recipe: &'static str,
    answers: Vec<Answered>,
}

/// One answer against its truth.
struct Answered {
    task: Task,
    parses: bool,
    /// Number of masks said, and of true ones.
    counts: (usize, usize),
    miou: f32,
    miou_sym: f32,
    /// The answer's words claim signs of forgery.
    claims: bool,
}

/// Runs the command.
///
/// # Errors
/// Any stage's.
pub fn run(args: &Args) -> Result<()> {
    let analyzer = load(&args.weights, "cpu")?;
    let split = Split::parse(&args.split).ok_or_else(|| Error::Request(format!("no split is called {}", args.split)))?;
    let sampler = Sampler::new(Arc::new(Pack::open(&args.faces)?), split, args.seed)?.with_difficulty(0.0..=args.difficulty);
    let bar = ProgressBar::new(args.count);
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {bar:30} {eta} left") {
        bar.set_style(style);
    }
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
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    if let Some(e) = failed.into_inner().ok().flatten() {
        return Err(e);
    }
    let outcomes = outcomes.into_inner().unwrap_or_default();
    let report = summary(&outcomes, &analyzer, args);
    if args.json {
        println!("{report}");
    } else {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| Error::Io(e.to_string()))?);
    }
    Ok(())
}

/// One image through the model.
fn judge(analyzer: &Analyzer, sampler: &Sampler, index: u64, args: &Args) -> Result<Outcome> {
    let sample = sampler.sample(index)?;
    let side = analyzer.settings.model.enc_image;
    let evidence = analyzer.fifa.vision.encode(crops_to_tensor(&[&sample.image.data], side, &Device::flex()));
    pollster::block_on(async {
        let (readout, verdict) = analyzer.verdict(&evidence, &sample.labels, None).await?;
        let score = analyzer.settings.calibration.score(verdict.logit);
        let band = analyzer.settings.calibration.band(score);
        let cls = read_back(readout.cls.clone()).await?;
        let guessed = (0..cls.len()).max_by(|a, b| cls[*a].total_cmp(&cls[*b])).unwrap_or(0);
        let mut out = Outcome {
            score,
            band: Some(band),
            forged: sample.is_fake(),
            family: sample.family.index(),
            guessed,
            recipe: sample.recipe.map_or("none", |r| r.id()),
            answers: vec![],
        };
        if args.scores_only {
            return Ok(out);
        }
        for task in [Task::Loc, Task::Age] {
            if task == Task::Age && !index.is_multiple_of(args.explain_every.max(1)) {
                continue;
            }
            let (made, _) = analyzer.speak(&Request::of(task), None, &evidence, (&readout, &verdict), 0, &mut Silent).await?;
            let said = match made.seg.clone() {
                Some(hidden) => {
                    let masks = analyzer.fifa.segment(&evidence, hidden).masks;
                    let [_, n, m, _] = masks.dims();
                    enlarge(&read_back(masks).await?, n, m, side)
                }
                None => vec![],
            };
            let spans = parse(&analyzer.tokenizer, &made.ids);
            let phrases = spans.as_ref().map_or(0, |s| s.iter().filter(|s| s.mask.is_some()).count());
            let text: String = spans.iter().flatten().map(|s| s.text.as_str()).collect();
            let truth = targets(&sample, task);
            out.answers.push(Answered {
                task,
                parses: spans.is_ok() && made.complete && phrases == said.len(),
                counts: (said.len(), truth.len()),
                miou: metrics::greedy_miou(&said, &truth),
                miou_sym: metrics::symmetric_miou(&said, &truth),
                claims: crate::analyze::answer::claims_signs(&text),
            });
        }
        Ok(out)
    })
}

/// The annotator's masks for a task.
fn targets(sample: &Sample, task: Task) -> Vec<Mask> {
    let mut rng = SmallRng::seed_from_u64(1);
    let task = if task == Task::Loc { text::Task::Loc } else { text::Task::Age };
    text::compose(sample, task, Scope::Image, &mut rng).answer.masks
}

/// Mask logits `[n, m, m]` to the crop's pixels, bilinear, cut at 0.
fn enlarge(logits: &[f32], n: usize, m: usize, side: usize) -> Vec<Mask> {
    let k = m as f32 / side as f32;
    (0..n)
        .map(|i| {
            let map = &logits[i * m * m..][..m * m];
            let mut mask = Mask::new(side, side);
            for (p, v) in mask.data.iter_mut().enumerate() {
                let at = |c: usize| ((c as f32 + 0.5) * k - 0.5).clamp(0.0, (m - 1) as f32);
                let (x, y) = (at(p % side), at(p / side));
                let (x0, y0) = (x as usize, y as usize);
                let (x1, y1) = ((x0 + 1).min(m - 1), (y0 + 1).min(m - 1));
                let (fx, fy) = (x - x0 as f32, y - y0 as f32);
                let top = map[y0 * m + x0] * (1.0 - fx) + map[y0 * m + x1] * fx;
                let bottom = map[y1 * m + x0] * (1.0 - fx) + map[y1 * m + x1] * fx;
                *v = u8::from(top * (1.0 - fy) + bottom * fy > 0.0);
            }
            mask
        })
        .collect()
}

fn mean(values: impl Iterator<Item = f32>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0usize), |(s, n), v| (s + f64::from(v), n + 1));
    (n > 0).then(|| sum / n as f64)
}

fn summary(all: &[Outcome], analyzer: &Analyzer, args: &Args) -> Value {
    let scores: Vec<(f32, bool)> = all.iter().map(|o| (o.score, o.forged)).collect();
    let share = |of: &dyn Fn(&Outcome) -> bool, among: &dyn Fn(&Outcome) -> bool| {
        let group: Vec<&Outcome> = all.iter().filter(|o| among(o)).collect();
        metrics::rate(&group, |o| of(o))
    };
    let flagged = |o: &Outcome| o.band.is_some_and(|b| b >= Band::Signs);
    let mut recipes: BTreeMap<&str, Vec<(f32, bool)>> = BTreeMap::new();
    for o in all.iter().filter(|o| o.forged) {
        recipes.entry(o.recipe).or_default().push((o.score, true));
    }
    let clean: Vec<(f32, bool)> = scores.iter().copied().filter(|s| !s.1).collect();
    let per_recipe: BTreeMap<&str, Value> = recipes
        .into_iter()
        .map(|(name, mut s)| {
            let n = s.len();
            s.extend(&clean);
            (name, json!({ "auc": metrics::roc_auc(&s), "n": n }))
        })
        .collect();
    let masks = |task: Task| {
        let of = |forged: bool| all.iter().filter(move |o| o.forged == forged).flat_map(|o| &o.answers).filter(move |a| a.task == task);
        json!({
            "miou": mean(of(true).map(|a| a.miou)),
            "miou_sym": mean(of(true).map(|a| a.miou_sym)),
            "answers_with_masks_forged": mean(of(true).map(|a| f32::from(u8::from(a.counts.0 > 0)))),
            "answers_with_masks_untouched": mean(of(false).map(|a| f32::from(u8::from(a.counts.0 > 0)))),
            "claims_right": mean(of(true).map(|a| f32::from(u8::from(a.claims))).chain(of(false).map(|a| f32::from(u8::from(!a.claims))))),
            "n": of(true).count() + of(false).count(),
        })
    };
    let answers: Vec<&Answered> = all.iter().flat_map(|o| &o.answers).collect();
    json!({
        "n_images": all.len(),
        "split": args.split,
        "seed": args.seed,
        "difficulty": [0.0, args.difficulty],
        "weights_sha256": analyzer.program.weights_sha256,
        "det": {
            "auc": metrics::roc_auc(&scores),
            "eer": metrics::eer(&scores),
            "false_alarm": share(&flagged, &|o| !o.forged),
            "flagged_forged": share(&flagged, &|o| o.forged),
            "inconclusive": share(&|o| o.band == Some(Band::Inconclusive), &|_| true),
            "per_recipe": per_recipe,
        },
        "cls": { "macro_f1": macro_f1(all), "classes": "none, face_swap, reenactment, attribute_edit (no recipe makes entire_synthesis)" },
        "loc": { "image": masks(Task::Loc) },
        "age": masks(Task::Age),
        "answers_parse": metrics::rate(&answers, |a| a.parses),
        "n_answers": answers.len(),
    })
}

/// Mean F1 over the families that occur.
fn macro_f1(all: &[Outcome]) -> Option<f64> {
    let f1 = |c: usize| {
        let count = |f: &dyn Fn(&Outcome) -> bool| all.iter().filter(|o| f(o)).count() as f64;
        let hit = count(&|o| o.family == c && o.guessed == c);
        let sum = count(&|o| o.family == c) + count(&|o| o.guessed == c);
        (count(&|o| o.family == c) > 0.0).then(|| 2.0 * hit / sum)
    };
    let known: Vec<f64> = (0..Family::ALL.len()).filter_map(f1).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}
