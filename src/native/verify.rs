//! `facext verify`: runs a report's question again on its photo and says whether the answer comes out the same.
//!
//! What must agree, in this order: the photo's hash, the weights, then status, faces, scores, bands, words and masks. Generation is greedy,
//! so words are equal on one kind of device; scores and masks may differ in the last digits between devices, hence two tolerances.
//! The file's name and the times are no part of it: a report may leave the name out.

use crate::analyze::report::{FaceReport, Report, Spread};
use crate::analyze::request::Request;
use crate::error::{Error, Result};
use crate::image::BBox;
use crate::native::analyze;
use crate::native::say::say;
use crate::text::Task;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Largest difference of two scores that counts as the same. Devices differ by less than a tenth of this.
const SCORE: f32 = 0.02;
/// Least overlap (IoU) of two masks, or boxes, that count as the same.
const OVERLAP: f32 = 0.9;
/// A report is text with run lengths; a larger file is none.
const MOST_BYTES: u64 = 64_000_000;

/// Characters of a detail that are printed for people.
const MOST_SHOWN: usize = 600;

/// Exit code: the photo is not the one that the report is about.
pub const OTHER_PHOTO: u8 = 5;
/// Exit code: the report was made with other weights, so nothing can be said about it.
pub const OTHER_WEIGHTS: u8 = 6;
/// Exit code: same photo, same weights, another answer.
pub const OTHER_ANSWER: u8 = 7;

/// Arguments of `verify`.
#[derive(clap::Args)]
pub struct Args {
    /// A report as `facext analyze --json` or the page wrote it.
    pub report: PathBuf,
    /// The photo that it is about.
    pub photo: PathBuf,
    #[command(flatten)]
    pub engine: analyze::EngineArgs,
    /// Print the checks as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// One thing that was compared.
#[derive(Debug, Serialize)]
struct Check {
    /// Stable: `photo`, `weights`, `version`, `status`, `faces`, `box`, `score`, `band`, `family`, `words`, `spread`, `masks`.
    what: &'static str,
    /// Index of the face, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    face: Option<usize>,
    agrees: bool,
    /// What stands in the report, and what came out now.
    detail: String,
}

/// Runs the command; the exit code is 0 if the answer is the same.
///
/// # Errors
/// [`Error::Request`] if the report is none; else any stage's.
pub fn run(args: &Args) -> Result<u8> {
    let told = read(&args.report)?;
    let bytes = fs::read(&args.photo).map_err(|e| Error::Io(format!("{}: {e}", args.photo.display())))?;
    let mut checks = vec![photo(&told, &bytes)];
    let code = if checks.iter().all(|c| c.agrees) { compare(args, &told, &bytes, &mut checks)? } else { OTHER_PHOTO };
    if args.json {
        let all = serde_json::json!({ "agrees": code == 0, "checks": checks });
        say!("{}", serde_json::to_string_pretty(&all).map_err(|e| Error::Io(e.to_string()))?)?;
    } else {
        print(&checks, code)?;
    }
    Ok(code)
}

fn read(path: &Path) -> Result<Report> {
    let name = path.display();
    let size = fs::metadata(path).map_err(|e| Error::Io(format!("{name}: {e}")))?.len();
    if size > MOST_BYTES {
        return Err(Error::Request(format!("{name} is too large for a report")));
    }
    let bytes = fs::read(path).map_err(|e| Error::Io(format!("{name}: {e}")))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::Request(format!("{name} is not a report: {e}")))
}

fn photo(told: &Report, bytes: &[u8]) -> Check {
    let hash: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    let agrees = hash.eq_ignore_ascii_case(&told.file.sha256);
    Check { what: "photo", face: None, agrees, detail: format!("SHA-256 {} / {hash}", told.file.sha256) }
}

/// Everything that needs the model.
fn compare(args: &Args, told: &Report, bytes: &[u8], checks: &mut Vec<Check>) -> Result<u8> {
    let analyzer = args.engine.load()?;
    let (then, now) = (&told.program, &analyzer.program);
    checks.push(equal("weights", None, &then.weights_sha256, &now.weights_sha256));
    if then.weights_sha256 != now.weights_sha256 {
        return Ok(OTHER_WEIGHTS);
    }
    // Another version may answer alike; a reader should know it, and the answer decides.
    let version = Check { agrees: true, ..equal("version", None, &then.version, &now.version) };
    checks.push(version);
    let request = told.request.clone().unwrap_or_else(|| Request::of(Task::Age));
    let again = pollster::block_on(async {
        let mut photo = analyzer.open(bytes, "", &mut analyze::Silent).await?;
        let mut again = analyzer.analyze(&mut photo, &request, &mut analyze::Silent).await?;
        // Bands may have given way to the spread, so it is part of the answer where it was looked at.
        if told.faces.iter().any(|f| f.spread.is_some()) {
            analyzer.spread(&mut photo, &mut again, &mut analyze::Silent).await?;
        }
        Ok::<_, Error>(again)
    })?;
    let first = checks.len();
    checks.extend(differences(told, &again));
    Ok(if checks[first..].iter().all(|c| c.agrees) { 0 } else { OTHER_ANSWER })
}

/// A name as it stands in the report.
fn word(name: &impl serde::Serialize) -> String {
    serde_json::to_value(name).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default()
}

/// The answers of two reports about one photo, thing by thing.
fn differences(then: &Report, now: &Report) -> Vec<Check> {
    let status = |r: &Report| format!("{} {}", word(&r.status), r.reason.as_deref().unwrap_or("")).trim_end().to_string();
    let mut all = vec![
        equal("status", None, &status(then), &status(now)),
        equal("faces", None, &then.faces.len().to_string(), &now.faces.len().to_string()),
    ];
    for (i, (a, b)) in then.faces.iter().zip(&now.faces).enumerate() {
        let face = Some(i);
        let near = |what, agrees, detail| Check { what, face, agrees, detail };
        let overlap = box_iou(&a.bbox, &b.bbox);
        all.push(near("box", overlap >= OVERLAP, format!("overlap {overlap:.3}")));
        all.push(near("score", (a.score - b.score).abs() <= SCORE, format!("{:.4} / {:.4}", a.score, b.score)));
        all.push(equal("band", face, &word(&a.band), &word(&b.band)));
        all.push(equal("family", face, &word(&a.family), &word(&b.family)));
        let words = |f: &FaceReport| {
            f.spans.iter().map(|s| format!("{}{}", s.text, s.mask.map_or_else(String::new, |m| format!("[{m}]")))).collect::<String>()
        };
        all.push(equal("words", face, &words(a), &words(b)));
        if let Some(then) = &a.spread {
            let (agrees, detail) = spread(then, b.spread.as_ref());
            all.push(near("spread", agrees, detail));
        }
        let (agrees, detail) = masks(a, b);
        all.push(near("masks", agrees, detail));
    }
    all
}

/// The same trials with the same scores, within [`SCORE`].
fn spread(then: &Spread, now: Option<&Spread>) -> (bool, String) {
    let Some(now) = now else { return (false, "none now".into()) };
    let same = then.tried.len() == now.tried.len()
        && then.tried.iter().zip(&now.tried).all(|(a, b)| a.how == b.how && (a.score - b.score).abs() <= SCORE);
    let near = |a: f32, b: f32| (a - b).abs() <= SCORE;
    let told = format!("{:.4} to {:.4} / {:.4} to {:.4}", then.low, then.high, now.low, now.high);
    (same && near(then.low, now.low) && near(then.high, now.high), told)
}

fn masks(a: &FaceReport, b: &FaceReport) -> (bool, String) {
    if a.masks.len() != b.masks.len() {
        return (false, format!("{} / {} masks", a.masks.len(), b.masks.len()));
    }
    let mut least = 1.0f32;
    for (a, b) in a.masks.iter().zip(&b.masks) {
        // The report's run lengths are somebody's bytes: what cannot be decoded, or has another size, agrees with nothing.
        let overlap = if a.rle.size == b.rle.size { a.rle.decode().and_then(|a| iou(&a, &b.rle.decode()?)).unwrap_or(0.0) } else { 0.0 };
        least = least.min(overlap);
    }
    (least >= OVERLAP, if a.masks.is_empty() { "none".into() } else { format!("least overlap {least:.3} of {}", a.masks.len()) })
}

/// Two empty masks are the same mask.
fn iou(a: &crate::image::Mask, b: &crate::image::Mask) -> Result<f32> {
    if a.area() == 0 && b.area() == 0 { Ok(1.0) } else { a.iou(b) }
}

fn box_iou(a: &BBox, b: &BBox) -> f32 {
    // `min` and `max` pass over NaN.
    if [a.x, a.y, a.w, a.h, b.x, b.y, b.w, b.h].iter().any(|v| !v.is_finite()) {
        return 0.0;
    }
    let side = |a: f32, al: f32, b: f32, bl: f32| ((a + al).min(b + bl) - a.max(b)).max(0.0);
    let both = side(a.x, a.w, b.x, b.w) * side(a.y, a.h, b.y, b.h);
    let all = a.w * a.h + b.w * b.h - both;
    if all > 0.0 { both / all } else { 0.0 }
}

fn equal(what: &'static str, face: Option<usize>, then: &str, now: &str) -> Check {
    let detail = if then == now { then.to_string() } else { format!("{then} / {now}") };
    Check { what, face, agrees: then == now, detail }
}

fn print(checks: &[Check], code: u8) -> Result<()> {
    for c in checks {
        let face = c.face.map_or_else(String::new, |f| format!(" of face {}", f + 1));
        say!("{} {}{face}: {}", if c.agrees { "same " } else { "OTHER" }, c.what, plain(&c.detail))?;
    }
    say!(
        "{}",
        match code {
            0 => "The report is confirmed: this program, weights and photo give the same answer.",
            OTHER_PHOTO => "Not confirmed: this is not the photo that the report is about.",
            OTHER_WEIGHTS => "Not comparable: the report was made with other weights.",
            _ => "Not confirmed: the answer is another one.",
        }
    )
}

/// Somebody's text on a terminal: no control characters, and not without end.
fn plain(text: &str) -> String {
    let mut short: String = text.trim().chars().take(MOST_SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.trim().chars().nth(MOST_SHOWN).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_report_cannot_paint_the_terminal() {
        assert_eq!(plain(" a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb");
        assert_eq!(plain(&"x".repeat(5000)).chars().count(), MOST_SHOWN + 1);
    }

    #[test]
    fn overlap_of_boxes() {
        let b = |x, w| BBox { x, y: 0.0, w, h: 10.0 };
        assert_eq!(box_iou(&b(0.0, 10.0), &b(0.0, 10.0)), 1.0);
        assert_eq!(box_iou(&b(0.0, 10.0), &b(5.0, 10.0)), 1.0 / 3.0);
        assert_eq!(box_iou(&b(0.0, 10.0), &b(20.0, 10.0)), 0.0);
        assert_eq!(box_iou(&b(0.0, 0.0), &b(0.0, 0.0)), 0.0);
        assert_eq!(box_iou(&b(f32::NAN, 10.0), &b(0.0, 10.0)), 0.0);
    }
}
