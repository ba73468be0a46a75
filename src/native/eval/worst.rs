//! The worst cases of each kind, for a person to look at: a picture each, and `index.html` with all of them. A picture is the crop, and
//! beside it the crop with the changed pixels in blue and the predicted masks in red (both: violet). Names carry place in the list, index
//! of the sample, score, recipe.
//!
//! They show faces of the photo pack, so they are written only into the folder that was asked for.

use super::judge::{Answered, Outcome, Place};
use super::plot::escape;
use crate::analyze::report::Band;
use crate::error::{Error, Result};
use crate::image::{Mask, Rgb8};
use crate::native::annotate::Sampler;
use crate::native::annotate::sheet::write_png;
use crate::text::Task;
use std::fmt::Write;
use std::path::Path;

/// Name of the page.
const PAGE: &str = "index.html";

const STYLE: &str = "
:root { color-scheme: light dark } body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem }
section { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
figure { margin: 0 } img { width: 100%; height: auto; display: block } figcaption { overflow-wrap: anywhere } nav a { margin-right: 1rem }
";

/// Writes up to `count` pictures of each kind.
///
/// # Errors
/// [`Error::Io`]; those of the sampler, which makes the samples again.
pub fn write(dir: &Path, all: &[Outcome], sampler: &Sampler, count: usize) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|e| Error::Io(format!("{}: {e}", dir.display())))?;
    let located = |o: &Outcome| location(o).map(|a| a.overlap.miou_sym());
    let marks = |o: &Outcome| location(o).is_some_and(|a| a.overlap.predicted() > 0);
    let kinds: [(&str, Vec<(f64, &Outcome)>); 4] = [
        ("false_alarm", all.iter().filter(|o| !o.forged && o.band >= Band::Signs).map(|o| (-f64::from(o.score), o)).collect()),
        ("missed", all.iter().filter(|o| o.forged && o.band == Band::NoSign).map(|o| (f64::from(o.score), o)).collect()),
        // Of those that mark something: what nothing was marked in is missed, or in doubt.
        ("misplaced", all.iter().filter(|o| o.forged && marks(o)).filter_map(|o| Some((located(o)?, o))).filter(|o| o.0 < 0.5).collect()),
        (
            "flipped",
            all.iter()
                .filter_map(|o| Some((-f64::from((o.score - o.jpeg.as_ref()?.score).abs()), o)))
                .filter(|(_, o)| o.jpeg.as_ref().is_some_and(|j| j.band != o.band))
                .collect(),
        ),
    ];
    let (mut contents, mut sections) = (String::new(), String::new());
    for (kind, mut cases) in kinds {
        cases.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (title, found) = (kind.replace('_', " "), cases.len());
        let _ = write!(contents, "<a href=\"#{kind}\">{title} ({found})</a>");
        let _ = write!(sections, "<h2 id=\"{kind}\">{title}: {} of {found}, worst first</h2><section>", found.min(count));
        for (i, (_, o)) in cases.into_iter().take(count).enumerate() {
            let sample = sampler.sample(o.index)?;
            let said = union(location(o), &sample.artifact)?;
            let name = format!("{kind}-{:03}-{}-{:.2}-{}.png", i + 1, o.index, o.score, o.recipe);
            write_png(&beside(&sample.image, &sample.artifact, &said), &dir.join(&name))?;
            let size = format!("width=\"{}\" height=\"{}\"", 2 * sample.image.width, sample.image.height);
            let _ = write!(
                sections,
                "<figure><img src=\"{name}\" alt=\"\" loading=\"lazy\" {size}><figcaption>{}</figcaption></figure>",
                escape(&caption(o, located(o)))
            );
        }
        sections.push_str("</section>");
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>facext: worst cases</title><style>{STYLE}</style><h1>Worst cases</h1>\
         <p>Left the crop; right the changed pixels in blue, the predicted masks in red, both in violet.</p><nav>{contents}</nav>{sections}</html>\n"
    );
    std::fs::write(dir.join(PAGE), page).map_err(|e| Error::Io(format!("{}: {e}", dir.display())))
}

/// Where the whole image was said to be changed.
fn location(o: &Outcome) -> Option<&Answered> {
    o.answers.iter().find(|a| a.task == Task::Loc && a.place == Place::Image)
}

/// What is known of a case.
fn caption(o: &Outcome, located: Option<f64>) -> String {
    let mut text = format!("{}: {}, score {:.2}", o.index, o.recipe, o.score);
    if let Some(again) = &o.jpeg {
        let _ = write!(text, ", as a JPEG {:.2}", again.score);
    }
    if let (true, Some(iou)) = (o.forged, located) {
        let _ = write!(text, ", IoU {iou:.2}");
    }
    if !o.degraded.is_empty() {
        let _ = write!(text, "; {}", o.degraded.join(", "));
    }
    text
}

/// All predicted masks as one, of the size of `like`.
fn union(answer: Option<&Answered>, like: &Mask) -> Result<Mask> {
    let mut all = Mask::new(like.width, like.height);
    for rle in answer.map_or(&[][..], |a| a.masks.as_slice()) {
        all = all.union(&rle.decode()?)?;
    }
    Ok(all)
}

/// Crop | crop with truth in blue and prediction in red.
fn beside(image: &Rgb8, truth: &Mask, said: &Mask) -> Rgb8 {
    let (w, h) = (image.width, image.height);
    let mut out = Rgb8 { width: 2 * w, height: h, data: vec![0; 6 * w * h] };
    for (y, row) in image.data.chunks_exact(3 * w).enumerate() {
        out.data[6 * w * y..][..3 * w].copy_from_slice(row);
        for (x, p) in row.as_chunks::<3>().0.iter().enumerate() {
            let (t, s) = (truth.get(x, y), said.get(x, y));
            let tint = |v: u8, on: bool| if t || s { v / 2 + if on { 127 } else { 0 } } else { v };
            out.data[6 * w * y + 3 * (w + x)..][..3].copy_from_slice(&[tint(p[0], s), tint(p[1], false), tint(p[2], t)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_blue_and_prediction_red() {
        let image = Rgb8 { width: 2, height: 1, data: vec![100; 6] };
        let mask = |bits: &[u8]| Mask { width: 2, height: 1, data: bits.to_vec() };
        let out = beside(&image, &mask(&[1, 0]), &mask(&[1, 1]));
        assert_eq!((out.width, out.height), (4, 1));
        assert_eq!(out.data, [100, 100, 100, 100, 100, 100, 177, 50, 177, 177, 50, 50]);
    }
}
