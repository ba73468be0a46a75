//! A page to look at: pictures, changed pixels, questions, answers, numbers. One file, nothing fetched, no script.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::record::Record;
use super::shard;
use crate::error::{Error, Result};
use crate::image::{self, png};
use crate::measure::norms;
use crate::native::annotate::talk::Basis;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1180px;padding:0 1rem;color:#1b1f24;background:#fff}\
article{display:grid;grid-template-columns:300px 1fr;gap:1.2rem;border-top:1px solid #ccd;padding:1.2rem 0}\
img{width:100%;display:block;margin-bottom:.4rem}dl{margin:0;display:grid;grid-template-columns:auto 1fr;gap:0 .6rem;font-size:13px}\
dd{margin:0}dt{color:#556}.q{font-weight:600;margin:.7rem 0 .1rem}.t{color:#556;font-size:12px}.b{display:inline-block;font-size:11px;\
padding:0 .35rem;border-radius:3px;background:#eef1f5;color:#445;margin-left:.3rem}.n{font:12px ui-monospace,monospace;color:#345;\
margin:.1rem 0 .1rem 1rem}p{margin:.1rem 0}";

/// Writes `preview.html` with the first `n` samples of a data set into its folder.
///
/// # Errors
/// `io.failed`
pub fn write(dir: &Path, n: usize) -> Result<PathBuf> {
    let mut body = String::new();
    let mut left = n;
    for path in shard::all(dir)? {
        if left == 0 {
            break;
        }
        shard::read(&path, |(record, bytes)| {
            body += &article(&record, &bytes)?;
            left -= 1;
            Ok(left > 0)
        })?;
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Annotated faces</title><style>{STYLE}</style>\
        <h1>Annotated faces</h1><p>{}</p>{body}</html>",
        escape(super::record::MARK)
    );
    let path = dir.join("preview.html");
    std::fs::write(&path, page).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    Ok(path)
}

fn article(r: &Record, bytes: &[u8]) -> Result<String> {
    let data = |b: &[u8]| format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(b));
    let rgb = image::decode(bytes).map_err(|e| Error::Io(format!("sample {}: {e}", r.index)))?.rgb;
    let over = png::encode_overlay(&rgb, &[r.artifact.decode()?], 0.5)?;
    let mut s = format!("<article><div><img alt=\"picture {}\" src=\"{}\">", r.index, data(bytes));
    if r.forged {
        let _ = write!(s, "<img alt=\"changed pixels\" src=\"{}\">", data(&over));
    }
    let params: Vec<String> = r.params.iter().map(|(k, v)| format!("{k} {v:.2}")).collect();
    let degradation = serde_json::to_string(&r.degradation).map_err(|e| Error::Io(e.to_string()))?;
    let rows = [
        ("index", r.index.to_string()),
        ("family", r.family.clone()),
        ("recipe", r.recipe.clone().unwrap_or_else(|| "none".into())),
        ("difficulty", format!("{:.2}", r.difficulty)),
        ("parts", r.parts.join(", ")),
        ("concepts", r.concepts.join(", ")),
        ("parameters", params.join(", ")),
        ("degradation", degradation),
    ];
    s += "<dl>";
    for (k, v) in rows {
        let _ = write!(s, "<dt>{k}</dt><dd>{}</dd>", escape(&v));
    }
    s += "</dl></div><div>";
    for t in &r.turns {
        let task = t.task.map_or("free".into(), |t| format!("{t:?}").to_uppercase());
        let scope = match (&t.region, t.bbox) {
            (Some(id), _) => format!("region {id}"),
            (_, Some(b)) => format!("box {b:?}"),
            _ => "image".into(),
        };
        let _ = write!(s, "<p class=\"q\">{} <span class=\"t\">{task} · {}</span></p>", escape(&t.question), escape(&scope));
        for sentence in &t.sentences {
            let (basis, numbers) = basis(&sentence.basis);
            let _ = write!(s, "<p>{}<span class=\"b\">{basis}</span></p>", escape(&sentence.text));
            for n in numbers {
                let _ = write!(s, "<p class=\"n\">{}</p>", escape(&n));
            }
        }
    }
    s += "</div></article>";
    Ok(s)
}

fn basis(b: &Basis) -> (&'static str, Vec<String>) {
    match b {
        Basis::Label => ("label", Vec::new()),
        Basis::Family => ("family", Vec::new()),
        Basis::Masks => ("masks", Vec::new()),
        Basis::Quiet(_) => ("nothing stands out", Vec::new()),
        Basis::Outside => ("nothing claimed", Vec::new()),
        Basis::Measured(claims) => {
            let line = |c: &crate::native::annotate::talk::Claim| {
                let z = (c.value - c.median) / c.spread.max(1e-6);
                format!(
                    "{} of {}: {:.2} {} (usual {:.2} ± {:.2}; {z:+.1})",
                    norms::name(c.measure),
                    c.concept,
                    c.value,
                    c.unit,
                    c.median,
                    c.spread
                )
            };
            ("measured", claims.iter().map(line).collect())
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_cannot_break_out() {
        assert_eq!(super::escape("<p> \"a\" & b"), "&lt;p&gt; &quot;a&quot; &amp; b");
    }
}
