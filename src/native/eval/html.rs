//! The figures as one HTML file: a table, ROC, reliability, bars. It needs no other file and holds no photo.

use super::judge::Outcome;
use super::plot::{Mark, bars, escape, square};
use crate::native::metrics::roc_points;
use serde_json::Value;
use std::fmt::Write;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6878; --paper: #fff; --line: #d6dbe3; --mark: #2463a6; --track: #edf0f4 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9aa5b5; --paper: #14181f; --line: #333c49; --mark: #6ca6e6; --track: #232a35 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem } p { color: var(--soft); max-width: 46rem; margin: .4rem 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } th, td { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line) }
td { text-align: right } th[scope=col] { text-align: right; color: var(--soft); font-weight: 500 } th:first-child { text-align: left } thead th { vertical-align: bottom }
.row { display: flex; flex-wrap: wrap; gap: 2rem } figure { margin: 0 } figcaption { color: var(--soft) } svg { max-width: 100%; height: auto }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink) } svg .label { fill: var(--soft) } .wide { overflow-x: auto } code { overflow-wrap: anywhere }
.grid { stroke: var(--line); fill: none } .diagonal { stroke: var(--soft); stroke-dasharray: 4 4; fill: none } .line { stroke: var(--mark); stroke-width: 2; fill: none }
.dot { fill: var(--mark); fill-opacity: .55; stroke: var(--mark) } .bar { fill: var(--mark) } .track { fill: var(--track) }
";

/// The page for a report of [`super::summary`].
pub fn page(report: &Value, outcomes: &[Outcome]) -> String {
    let scores: Vec<(f32, bool)> = outcomes.iter().map(|o| (o.score, o.forged)).collect();
    let mut out =
        String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">");
    let _ = write!(out, "<title>facext eval</title><style>{STYLE}</style><h1>Evaluation</h1>");
    let text = |key: &str| escape(&report[key].as_str().map_or_else(|| report[key].to_string(), Into::into));
    let forged = outcomes.iter().filter(|o| o.forged).count();
    let _ = write!(
        out,
        "<p>{} images of the split <b>{}</b>, {forged} of them forged; seed {}, difficulty {}. Weights <code>{}</code>.</p>\
         <p>Forgeries are this program's own. The figures say nothing about forgeries of other make, and are no rate for a single photo.</p>",
        text("n_images"),
        text("split"),
        text("seed"),
        text("difficulty"),
        text("weights_sha256")
    );
    figures(&mut out, report);
    answers(&mut out, report);
    out.push_str("<h2>Scores</h2><div class=\"row\">");
    figure(
        &mut out,
        "ROC: how well scores rank.",
        &square("ROC", "untouched images above the threshold", "forged images above it", &[Mark::Line(roc_points(&scores))]),
    );
    let n = outcomes.len().max(1) as f64;
    let table = report["det"]["reliability"].as_array().map_or(&[][..], Vec::as_slice);
    let dots = table.iter().filter_map(|b| Some((b["mean_score"].as_f64()?, b["share_forged"].as_f64()?, b["n"].as_f64()? / n)));
    let plot = square("Reliability", "mean score of a bin", "share of forgeries in it", &[Mark::Dots(dots.collect())]);
    figure(&mut out, "Reliability: on the diagonal a score is a frequency. The area of a dot is its number of images.", &plot);
    out.push_str("</div>");
    for (title, key) in [("By recipe", "per_recipe"), ("By family", "per_family"), ("By degradation", "per_degradation")] {
        let _ = write!(out, "<h2>{title}</h2><div class=\"wide\">");
        let groups = report["det"][key].as_object();
        let rows: Vec<(String, Option<f64>, String)> =
            groups.into_iter().flatten().map(|(name, g)| (name.clone(), g["auc"].as_f64(), format!("AUC, {} images", g["n"]))).collect();
        out += &bars(title, &rows);
        let columns: &[&str] =
            if key == "per_degradation" { &["auc", "false_alarm", "n"] } else { &["auc", "flagged", "loc_miou_sym", "n"] };
        let rows: Vec<(&str, &Value)> = groups.into_iter().flatten().map(|(name, g)| (name.as_str(), g)).collect();
        grid(&mut out, columns, &rows);
        out.push_str("</div>");
    }
    out + "</html>\n"
}

/// Figures of the whole.
fn figures(out: &mut String, report: &Value) {
    let det = &report["det"];
    let rows = [
        ("AUC", &det["auc"]),
        ("AUC, recipes of training", &det["auc_seen"]),
        ("AUC, recipes left out of training", &det["auc_unseen"]),
        ("equal error rate", &det["eer"]),
        ("expected calibration error", &det["ece"]),
        ("untouched images flagged", &det["false_alarm"]),
        ("forged images flagged", &det["flagged_forged"]),
        ("inconclusive", &det["inconclusive"]),
        ("macro F1 of families", &report["cls"]["macro_f1"]),
        ("boxes on nothing answered with no sign", &report["box_on_nothing"]),
        ("bands that change as JPEG 75", &report["band_flip_jpeg75"]),
        ("answers that parse", &report["answers_parse"]),
    ];
    out.push_str("<h2>Figures</h2><table>");
    for (name, value) in rows {
        let _ = write!(out, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", number(value));
    }
    out.push_str("</table>");
}

/// Answers by task and place.
fn answers(out: &mut String, report: &Value) {
    let rows = [
        ("localisation, image", &report["loc"]["image"]),
        ("localisation, region", &report["loc"]["region"]),
        ("localisation, box", &report["loc"]["box"]),
        ("explanation, image", &report["age"]),
        ("explanation, region", &report["age"]["region"]),
        ("explanation, box", &report["age"]["box"]),
        ("explanation in words", &report["toe"]),
    ];
    let columns =
        ["miou", "miou_sym", "ap50", "recall", "consistency", "contradiction", "claims_right", "cider", "meteor", "rouge_l", "bleu4", "n"];
    let _ = write!(
        out,
        "<h2>Answers</h2><p>METEOR has the modules {} only. – was not asked for.</p><div class=\"wide\">",
        report["meteor_modules"].as_str().unwrap_or_default()
    );
    grid(out, &columns, &rows);
    out.push_str("</div>");
}

fn grid(out: &mut String, columns: &[&str], rows: &[(&str, &Value)]) {
    out.push_str("<table><thead><tr><th></th>");
    for c in columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(&c.replace('_', " ")));
    }
    out.push_str("</tr></thead>");
    for (name, values) in rows {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(name));
        for c in columns {
            let _ = write!(out, "<td>{}</td>", number(&values[*c]));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

fn figure(out: &mut String, caption: &str, svg: &str) {
    let _ = write!(out, "<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption));
}

/// Three decimals, counts as they are, a dash for what is not known.
fn number(value: &Value) -> String {
    match (value.as_u64(), value.as_f64()) {
        (Some(n), _) => n.to_string(),
        (_, Some(v)) => format!("{v:.3}"),
        _ => "–".into(),
    }
}
