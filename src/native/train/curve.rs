//! The curves of a run: `NAME.html` beside `NAME.jsonl`, written anew with every checkpoint, so that a run can be watched.
//!
//! One small plot a figure: the loss and its parts (thin: every step; thick: smoothed), and every number of the validations.

use crate::error::Result;
use crate::native::eval::plot::{self, escape};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6878; --paper: #fff; --line: #d6dbe3; --mark: #2463a6 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b5; --paper: #14181f; --line: #333c49; --mark: #6ca6e6 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 66rem; padding: 0 1rem }
h1 { font-size: 1.4rem } .row { display: flex; flex-wrap: wrap; gap: 1.4rem } svg { max-width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: var(--soft) }
.grid { stroke: var(--line); fill: none } .thin { stroke: var(--mark); stroke-opacity: .3; fill: none } .line { stroke: var(--mark); stroke-width: 2; fill: none }
";

/// Series by name, as (step, value).
type Series = BTreeMap<String, Vec<(f64, f64)>>;

/// Writes the page of a stage from its metrics.
///
/// # Errors
/// `io.failed`
pub fn write(dir: &Path, name: &str) -> Result<()> {
    let text = std::fs::read_to_string(dir.join(format!("{name}.jsonl")))?;
    let (losses, checks) = read(&text);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style><h1>Stage {0}</h1>",
        escape(name)
    );
    for (title, series, smooth) in [("Training", &losses, true), ("Validation", &checks, false)] {
        if series.is_empty() {
            continue;
        }
        let _ = write!(page, "<h2>{title}</h2><div class=\"row\">");
        for (figure, points) in series {
            page += &plot::curve(figure, points, if smooth { 0.05 } else { 1.0 });
        }
        page += "</div>";
    }
    std::fs::write(dir.join(format!("{name}.html")), page + "</html>\n")?;
    Ok(())
}

/// Losses of steps, and the numbers of validation lines ("auc 0.9 map_iou 0.2": a number is named by the words before it).
fn read(jsonl: &str) -> (Series, Series) {
    let (mut losses, mut checks) = (Series::new(), Series::new());
    for line in jsonl.lines() {
        let Ok(Value::Object(entry)) = serde_json::from_str::<Value>(line) else { continue };
        let Some(step) = entry.get("step").and_then(Value::as_f64) else { continue };
        if let Some(text) = entry.get("validation").and_then(Value::as_str) {
            let mut words = Vec::new();
            for word in text.split_whitespace() {
                match word.parse::<f64>() {
                    Ok(v) if words != ["n"] => checks.entry(words.join(" ")).or_default().push((step, v)),
                    Ok(_) => {}
                    Err(_) => {
                        words.push(word);
                        continue;
                    }
                }
                words.clear();
            }
            continue;
        }
        for (key, value) in &entry {
            if let (false, Some(v)) = (matches!(key.as_str(), "step" | "lr" | "seconds_per_step"), value.as_f64()) {
                losses.entry(key.clone()).or_default().push((step, v));
            }
        }
    }
    (losses, checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_run_become_series() {
        let text = "{\"step\":1,\"lr\":0.1,\"loss\":2.0,\"det\":0.7}\nnot json\n{\"step\":2,\"loss\":1.0,\"det\":0.6}\n\
                    {\"step\":2,\"validation\":\"auc 0.5 auc of the map's peak 0.25 n 9\"}\n";
        let (losses, checks) = read(text);
        assert_eq!(losses["loss"], [(1.0, 2.0), (2.0, 1.0)]);
        assert_eq!(losses.keys().collect::<Vec<_>>(), ["det", "loss"]);
        assert_eq!(checks["auc of the map's peak"], [(2.0, 0.25)]);
        assert_eq!(checks.len(), 2);
        let dir = std::env::temp_dir().join(format!("facext-curve-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("x.jsonl"), text).unwrap();
        write(&dir, "x").unwrap();
        let page = std::fs::read_to_string(dir.join("x.html")).unwrap();
        assert!(page.matches("<svg").count() == 4 && !page.contains("http"), "{page}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
