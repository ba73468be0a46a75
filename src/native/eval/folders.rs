//! `facext eval --untouched DIR --forged DIR`: figures on pictures from elsewhere, whose truth is that of the folder they lie in.
//!
//! Every picture goes the whole way of a user's photo: decoded, its largest face found, cropped, scored, saved again. Sub-folders of
//! the forged folder are told apart, as sets that hold several methods are laid out. What cannot be judged is listed and counted, never
//! guessed. There are no masks to compare with, so nothing is said of places and words.

use super::Args;
use crate::analyze::Analyzer;
use crate::analyze::report::Band;
use crate::analyze::request::Silent;
use crate::analyze::score::Scored;
use crate::error::{Error, Result};
use crate::face::Faces;
use crate::native::analyze::load;
use crate::native::many::{bar, files_of, tick};
use crate::native::metrics::{self, reliability};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A picture that was judged.
struct Judged {
    /// Sub-folder it lies in, `.` for the folder itself.
    group: String,
    forged: bool,
    scored: Scored,
}

/// Judges two folders.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed; [`Error::Request`] where one holds no picture with a usable face; `weights.*`.
pub fn run(untouched: &Path, forged: &Path, args: &Args) -> Result<Value> {
    let mut all: Vec<(PathBuf, &Path, bool)> = Vec::new();
    for (dir, forged) in [(untouched, false), (forged, true)] {
        all.extend(files_of(dir)?.into_iter().map(|file| (file, dir, forged)));
    }
    let analyzer = load(&args.weights, "cpu")?;
    let progress = bar(all.len() as u64, "judging photos");
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while let Some((i, (file, _, _))) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, all.get(i)?))) {
                    let judged = score(&analyzer, file);
                    done.lock().map(|mut d| d.push((i, judged))).unwrap_or_default();
                    tick(&progress);
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(i, _)| *i);
    let (mut judged, mut skipped) = (Vec::new(), Vec::new());
    for (i, result) in done {
        let (file, dir, forged) = &all[i];
        let name = file.strip_prefix(dir).unwrap_or(file);
        match result {
            Ok(scored) => {
                let group = name.parent().and_then(|p| p.iter().next()).map_or_else(|| ".".into(), |p| p.to_string_lossy().into_owned());
                judged.push(Judged { group, forged: *forged, scored });
            }
            Err(e @ (Error::Image { .. } | Error::Request(_) | Error::Io(_))) => {
                skipped.push(json!({ "file": name.to_string_lossy(), "forged": forged, "why": e.to_string() }));
            }
            Err(e) => return Err(e),
        }
    }
    for (dir, forged) in [(untouched, false), (forged, true)] {
        if !judged.iter().any(|j| j.forged == forged) {
            return Err(Error::Request(format!("{}: no picture with a usable face", dir.display())));
        }
    }
    Ok(figures(&judged, &skipped, &analyzer.program.weights_sha256))
}

/// The largest face of a file.
fn score(analyzer: &Analyzer, file: &Path) -> Result<Scored> {
    let bytes = std::fs::read(file).map_err(|e| Error::Io(e.to_string()))?;
    pollster::block_on(async {
        let mut photo = analyzer.open(&bytes, "", &mut Silent).await?;
        let face = match &photo.faces {
            Faces::Found(faces) => (0..faces.len()).max_by(|a, b| faces[*a].bbox.area().total_cmp(&faces[*b].bbox.area())),
            Faces::NoneUsable { reason, .. } => return Err(Error::Request(format!("no usable face ({})", reason.code()))),
        };
        analyzer.score(&mut photo, face.unwrap_or(0)).await
    })
}

/// Figures as `facext eval` names them; of each sub-folder of forgeries against all untouched pictures.
fn figures(all: &[Judged], skipped: &[Value], weights_sha256: &str) -> Value {
    let group = |among: &dyn Fn(&Judged) -> bool| all.iter().filter(|j| among(j)).collect::<Vec<_>>();
    let auc = |among: &dyn Fn(&Judged) -> bool| {
        let scores: Vec<(f32, bool)> = group(&|j| !j.forged || among(j)).iter().map(|j| (j.scored.score, j.forged)).collect();
        metrics::roc_auc(&scores)
    };
    let bands = |of: &dyn Fn(&Judged) -> Band| {
        let flagged = |forged: bool| metrics::rate(&group(&|j| j.forged == forged), |j| of(j) >= Band::Signs);
        let inconclusive = metrics::rate(&group(&|_| true), |j| of(j) == Band::Inconclusive);
        [("false_alarm", flagged(false)), ("flagged_forged", flagged(true)), ("inconclusive", inconclusive)]
    };
    let scores: Vec<(f32, bool)> = all.iter().map(|j| (j.scored.score, j.forged)).collect();
    let reliability = reliability::table(&scores, reliability::BINS);
    let mut det = json!({
        "auc": metrics::roc_auc(&scores),
        "eer": metrics::eer(&scores),
        "ece": reliability::ece(&reliability),
        "reliability": reliability,
    });
    for (name, value) in bands(&|j| j.scored.band) {
        det[name] = json!(value);
    }
    let mut names: Vec<&str> = all.iter().filter(|j| j.forged).map(|j| j.group.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let per_folder = names.into_iter().map(|name| {
        let among = |j: &Judged| j.forged && j.group == name;
        let these = group(&among);
        let mut families: BTreeMap<&str, usize> = BTreeMap::new();
        these.iter().filter(|j| j.scored.shown >= Band::Signs).for_each(|j| *families.entry(j.scored.family.id()).or_default() += 1);
        let flagged = metrics::rate(&these, |j| j.scored.shown >= Band::Signs);
        (name.to_string(), json!({ "auc": auc(&among), "flagged": flagged, "families": families, "n": these.len() }))
    });
    json!({
        "n_images": all.len(),
        "n_untouched": group(&|j| !j.forged).len(),
        "n_forged": group(&|j| j.forged).len(),
        "skipped": skipped,
        "weights_sha256": weights_sha256,
        "det": det,
        "shown": bands(&|j| j.scored.shown).into_iter().map(|(name, v)| (name.to_string(), json!(v))).collect::<Map<String, Value>>(),
        "per_folder": per_folder.collect::<Map<String, Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Family;

    #[test]
    fn forgeries_of_each_folder_are_held_against_all_untouched_pictures() {
        let of = |group: &str, forged, score, band, shown| Judged {
            group: group.into(),
            forged,
            scored: Scored { score, band, family: Family::FaceSwap, shown },
        };
        let all = [
            of(".", false, 0.1, Band::NoSign, Band::NoSign),
            of(".", false, 0.5, Band::Inconclusive, Band::Signs),
            of("a", true, 0.9, Band::Signs, Band::Signs),
            of("b", true, 0.3, Band::NoSign, Band::Inconclusive),
        ];
        let f = figures(&all, &[], "x");
        assert_eq!((f["n_untouched"].clone(), f["n_forged"].clone()), (json!(2), json!(2)));
        assert_eq!((f["det"]["auc"].clone(), f["det"]["false_alarm"].clone()), (json!(0.75), json!(0.0)));
        assert_eq!((f["shown"]["false_alarm"].clone(), f["shown"]["flagged_forged"].clone()), (json!(0.5), json!(0.5)));
        assert_eq!(f["per_folder"]["a"], json!({ "auc": 1.0, "flagged": 1.0, "families": { "face_swap": 1 }, "n": 1 }));
        assert_eq!(f["per_folder"]["b"], json!({ "auc": 0.5, "flagged": 0.0, "families": {}, "n": 1 }));
    }
}
