//! `facext analyze`: one photo, one report.

use crate::analyze::answer::{CONTRADICTION, OTHER_FAMILY};
use crate::analyze::report::{Measured, Report, Spread, Status};
use crate::analyze::request::{Event, Listener, Request, Stage};
use crate::analyze::spread::CROSSES;
use crate::analyze::{Analyzer, Photo};
use crate::error::{Error, Result};
use crate::image::{self, Mask, Rle};
use crate::measure;
use crate::native::cli::AnalyzeArgs;
use crate::native::say::say;
use crate::native::{device, files};
use crate::text::Task;
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the command.
///
/// # Errors
/// Any stage's.
pub fn run(args: &AnalyzeArgs) -> Result<()> {
    let bytes = fs::read(&args.photo).map_err(|e| Error::Io(format!("{}: {e}", args.photo.display())))?;
    let mask = args.mask.as_deref().map(read_mask).transpose()?;
    let request = Request {
        task: Task::parse(&args.task)?,
        face: None,
        region: args.region.clone(),
        bbox: args.bbox,
        mask,
        question: args.question.clone(),
    };
    let analyzer = args.engine.load()?;
    let name = args.photo.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut listener = Console { json: args.json, face: None };
    let (photo, report) = pollster::block_on(async {
        let mut photo = analyzer.open(&bytes, &name, &mut listener).await?;
        let mut report = analyzer.analyze(&mut photo, &request, &mut listener).await?;
        if !args.no_spread {
            analyzer.spread(&mut photo, &mut report, &mut listener).await?;
        }
        Ok::<_, Error>((photo, report))
    })?;
    if args.json {
        say!("{}", to_json(&report)?)?;
    } else {
        print(&report)?;
    }
    if let Some(dir) = &args.out {
        write(dir, &photo, &report)?;
    }
    Ok(())
}

/// Which weights answer, and where they run; of all commands that answer about a photo.
#[derive(clap::Args)]
pub struct EngineArgs {
    /// auto: a discrete GPU if one works, else the CPU.
    #[arg(long, default_value = "auto", value_parser = ["auto", "cpu", "gpu"])]
    pub device: String,
    /// Folder of weights.
    #[arg(long, default_value = "weights")]
    pub weights: PathBuf,
}

impl EngineArgs {
    /// [`load`]s what was asked for.
    ///
    /// # Errors
    /// `weights.*`, `device.*`.
    pub fn load(&self) -> Result<Analyzer> {
        load(&self.weights, &self.device)
    }
}

/// Loads a folder of weights onto a device.
///
/// # Errors
/// `weights.*`, `device.*`.
pub fn load(weights: &Path, device: &str) -> Result<Analyzer> {
    let w = files::read(weights)?;
    let (device, label) = device::choose(device)?;
    Analyzer::load(w.settings, w.tensors, &w.tokenizer, w.manifest.weights_sha256, &device, &label)
}

/// Of masks over the photo.
const OPACITY: f32 = 0.45;

fn to_json(report: &Report) -> Result<String> {
    serde_json::to_string_pretty(report).map_err(|e| Error::Io(e.to_string()))
}

/// White pixels of a picture as a mask of the photo.
fn read_mask(path: &Path) -> Result<Rle> {
    let picture = image::decode(&fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?)?;
    Ok(Rle::encode(&Mask::from_rgb(&picture.rgb)))
}

fn print(report: &Report) -> Result<()> {
    if report.status == Status::NoUsableFace {
        say!("No usable face: {}.", report.reason.as_deref().unwrap_or("none").replace('_', " "))?;
    }
    for (i, face) in report.faces.iter().enumerate() {
        let band = words(&face.band);
        say!(
            "Face {} at {:.0},{:.0}: {band} (score {:.2}, {})",
            i + 1,
            face.bbox.x,
            face.bbox.y,
            face.score,
            face.family.words().unwrap_or("no family")
        )?;
        if let Some(spread) = &face.spread {
            say!("  {}", steadiness(spread))?;
        }
        say!("  {}", face.answer.trim())?;
        for (n, m) in face.masks.iter().enumerate() {
            let measured: Vec<String> = m.measured.iter().map(told).collect();
            let measured = if measured.is_empty() { "nothing measured there stands out".into() } else { measured.join("; ") };
            let concept = m.concept.as_deref().unwrap_or("no named part");
            say!("  mask {}: {concept} (quality {:.2}); measured: {measured}", n + 1, m.quality)?;
        }
    }
    for warning in &report.warnings {
        say!("Note: {warning}{}", meaning(warning))?;
    }
    Ok(())
}

/// "is softer than its surroundings (-1.6 octaves; untouched photos 0.1 ± 0.4)".
fn told(m: &Measured) -> String {
    let form = measure::words::finding(m.measure, m.value > m.median).first().map_or(m.measure.word(), |f| f.0);
    format!("{form} ({:.1} {}; untouched photos {:.1} ± {:.1})", m.value, m.unit.replace('_', " "), m.median, m.spread)
}

/// What a warning about the answer means, for those that change how it is to be read.
fn meaning(warning: &str) -> &'static str {
    match warning {
        CONTRADICTION => " (the words and the score disagree, so the band is inconclusive)",
        OTHER_FAMILY => " (the words and the classifier differ on the kind of technique)",
        CROSSES => " (saved again in lower quality, the face gets other bands; the middle of them stands)",
        _ => "",
    }
}

/// How steady the score is, in one line.
fn steadiness(spread: &Spread) -> String {
    let tried: Vec<String> = spread.tried.iter().map(|t| format!("{} {:.2}", words(&t.how), t.score)).collect();
    format!("saved again: score {:.2} to {:.2} ({})", spread.low, spread.high, tried.join(", "))
}

/// A stable name as words.
fn words(name: &impl serde::Serialize) -> String {
    serde_json::to_value(name).ok().and_then(|v| v.as_str().map(|s| s.replace('_', " "))).unwrap_or_default()
}

fn write(dir: &Path, photo: &Photo, report: &Report) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("report.json"), to_json(report)?)?;
    let mut all = Vec::new();
    for (f, face) in report.faces.iter().enumerate() {
        for (m, mask) in face.masks.iter().enumerate() {
            let mask = mask.rle.decode()?;
            fs::write(dir.join(format!("face-{}-mask-{}.png", f + 1, m + 1)), image::png::encode_mask(&mask)?)?;
            all.push(mask);
        }
    }
    fs::write(dir.join("overlay.png"), image::png::encode_overlay(&photo.picture.rgb, &all, OPACITY)?)?;
    Ok(())
}

/// Progress on standard error; text as it comes, unless JSON was asked for.
struct Console {
    json: bool,
    face: Option<usize>,
}

impl Listener for Console {
    fn event(&mut self, event: Event) {
        match event {
            Event::Stage { stage: Stage::Generate, face } if !self.json => self.face = Some(face),
            Event::Stage { stage, .. } => eprintln!("{}…", stage.name()),
            _ => {}
        }
    }

    async fn breathe(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A listener that watches nothing.
pub struct Silent;

impl Listener for Silent {
    fn event(&mut self, _event: Event) {}

    async fn breathe(&mut self) -> Result<()> {
        Ok(())
    }
}
