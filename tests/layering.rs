//! The shape of the source: imports point one way, the two doors never meet, what the browser runs uses no files, threads or
//! clocks of the system, and files stay short and say what they are.
//!
//! Works on the text of `src/`: comments and literals are blanked, then items under `#[cfg(test)]` and the like, then every
//! path from the crate's root (`crate::…`, `facext::…`, or enough `super::`) is looked at, also those outside of `use`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Modules in the order of `src/lib.rs`. A module may use those before it; `native` and `web` are the two last, side by side.
const ORDER: [&str; 13] =
    ["error", "config", "image", "quant", "weights", "face", "fict", "measure", "text", "model", "analyze", "native", "web"];
const DOORS: [&str; 2] = ["native", "web"];
/// Most lines of a file.
const CAP: usize = 600;
/// What does not exist in a browser's worker (`std::time::Instant` compiles there and panics).
const SYSTEM: [&[&str]; 5] =
    [&["std", "fs"], &["std", "thread"], &["std", "time", "Instant"], &["std", "time", "SystemTime"], &["std", "process"]];

/// A file of `src/`, its path split: `["face", "finder"]`; `mod.rs` stands for its folder.
fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(Into::into).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// The source with comments and literals blanked, lines kept.
fn bare(source: &str) -> String {
    let c: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let blank = |out: &mut String, from: usize, to: usize| {
        c[from..to.min(c.len())].iter().for_each(|ch| out.push(if *ch == '\n' { '\n' } else { ' ' }))
    };
    while i < c.len() {
        let rest = |n: usize| c.get(i + n).copied().unwrap_or('\0');
        let end = if rest(0) == '/' && rest(1) == '/' {
            (i..c.len()).find(|j| c[*j] == '\n').unwrap_or(c.len())
        } else if rest(0) == '/' && rest(1) == '*' {
            let (mut depth, mut j) = (1, i + 2);
            while j < c.len() && depth > 0 {
                match (c[j], c.get(j + 1)) {
                    ('/', Some('*')) => (depth, j) = (depth + 1, j + 2),
                    ('*', Some('/')) => (depth, j) = (depth - 1, j + 2),
                    _ => j += 1,
                }
            }
            j
        } else if rest(0) == 'r' && matches!(rest(1), '"' | '#') && !(i > 0 && (c[i - 1].is_alphanumeric() || c[i - 1] == '_')) {
            let hashes = (i + 1..c.len()).take_while(|j| c[*j] == '#').count();
            if rest(1 + hashes) != '"' {
                i + 1 // a raw identifier
            } else {
                let open = i + 2 + hashes;
                (open..c.len())
                    .find(|j| c[*j] == '"' && (1..=hashes).all(|h| c.get(j + h) == Some(&'#')))
                    .map_or(c.len(), |j| j + 1 + hashes)
            }
        } else if rest(0) == '"' {
            let mut j = i + 1;
            while j < c.len() && c[j] != '"' {
                j += if c[j] == '\\' { 2 } else { 1 };
            }
            // A word is kept: the features in attributes are such literals, and it cannot hold a path.
            if c[i + 1..j.min(c.len())].iter().all(|ch| ch.is_ascii_alphanumeric()) {
                out.extend(&c[i..(j + 1).min(c.len())]);
                i = j + 1;
                continue;
            }
            j + 1
        } else if rest(0) == '\'' && (rest(1) == '\\' || rest(2) == '\'') {
            let start = if rest(1) == '\\' { i + 3 } else { i + 2 };
            (start..c.len()).find(|j| c[*j] == '\'').map_or(c.len(), |j| j + 1)
        } else {
            out.push(c[i]);
            i += 1;
            continue;
        };
        blank(&mut out, i, end);
        i = end;
    }
    out
}

/// Blanks the items that stand under an attribute for which `drop` says so (`cfg(test)`, …). Takes bare source.
fn without(source: &str, drop: impl Fn(&str) -> bool) -> String {
    let mut c: Vec<char> = source.chars().collect();
    let mut i = 0;
    while i < c.len() {
        if c[i] != '#' || c.get(i + 1) != Some(&'[') {
            i += 1;
            continue;
        }
        let close = matching(&c, i + 1);
        let text: String = c[i + 2..close.max(i + 2)].iter().filter(|ch| !ch.is_whitespace()).collect();
        if !drop(&text) {
            i = close + 1;
            continue;
        }
        // The item ends with its first closed brace, or a semicolon or comma outside of brackets.
        let mut j = close + 1;
        while j < c.len() {
            match c[j] {
                '{' => {
                    j = matching(&c, j);
                    break;
                }
                '(' | '[' => j = matching(&c, j),
                ';' | ',' => break,
                _ => {}
            }
            j += 1;
        }
        let end = (j + 1).min(c.len());
        c[i..end].iter_mut().filter(|ch| **ch != '\n').for_each(|ch| *ch = ' ');
        i = end;
    }
    c.into_iter().collect()
}

/// Position of the bracket that closes the one at `open`; the end if there is none.
fn matching(c: &[char], open: usize) -> usize {
    let mut depth = 0;
    for (j, ch) in c.iter().enumerate().skip(open) {
        match ch {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return j;
        }
    }
    c.len().saturating_sub(1)
}

/// Every path of two or more segments with its line, groups in braces multiplied out: `use a::{b, c::d}` → `a::b`, `a::c::d`.
fn paths(source: &str) -> Vec<(usize, Vec<String>)> {
    let c: Vec<char> = source.chars().collect();
    let mut out = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < c.len() {
        if c[i] == '\n' {
            line += 1;
        }
        let starts =
            (c[i].is_alphabetic() || c[i] == '_') && !(i > 0 && (c[i - 1].is_alphanumeric() || matches!(c[i - 1], '_' | ':' | '\'')));
        if !starts {
            i += 1;
            continue;
        }
        let mut found = Vec::new();
        let end = path(&c, i, &[], &mut found);
        out.extend(found.into_iter().filter(|p| p.len() > 1).map(|p| (line, p)));
        line += c[i..end].iter().filter(|ch| **ch == '\n').count();
        i = end.max(i + 1);
    }
    out
}

/// Reads one path at `i` behind `prefix`; returns where it ends.
fn path(c: &[char], mut i: usize, prefix: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let space = |mut i: usize| {
        while c.get(i).is_some_and(|ch| ch.is_whitespace()) {
            i += 1;
        }
        i
    };
    let mut segments = prefix.to_vec();
    loop {
        let start = i;
        while c.get(i).is_some_and(|ch| ch.is_alphanumeric() || *ch == '_') {
            i += 1;
        }
        if i > start {
            segments.push(c[start..i].iter().collect());
        }
        let next = space(i);
        if !(c.get(next) == Some(&':') && c.get(next + 1) == Some(&':')) {
            break;
        }
        i = space(next + 2);
        if c.get(i) == Some(&'{') {
            let close = matching(c, i);
            i += 1;
            while i < close {
                i = space(i);
                if c[i].is_alphabetic() || c[i] == '_' {
                    i = path(c, i, &segments, out);
                } else {
                    i += 1;
                }
            }
            return close + 1;
        }
    }
    out.push(segments);
    i
}

/// The module of the crate's root that a path names, seen from `module`; `None` for paths to elsewhere or within.
fn target(path: &[String], module: &[String]) -> Option<String> {
    let supers = path.iter().take_while(|s| *s == "super").count();
    let named = match path.first()?.as_str() {
        "crate" | "facext" => path.get(1)?,
        "super" if supers >= module.len() => path.get(supers)?,
        _ => return None,
    };
    // `crate::Error`, `crate::Result`: the re-exports of the root.
    Some(if named.starts_with(char::is_uppercase) { "error".into() } else { named.clone() })
}

/// What is wrong with one file: its path inside `src/` and its text.
fn problems(path: &str, source: &str) -> Vec<String> {
    let mut out = Vec::new();
    if !source.starts_with("//!") {
        out.push(format!("{path}: does not open with //!"));
    }
    let lines = source.lines().count();
    if lines > CAP {
        out.push(format!("{path}: {lines} lines"));
    }
    let module = module_of(path);
    let Some(own) = module.first() else { return out };
    let Some(rank) = ORDER.iter().position(|m| m == own) else {
        out.push(format!("{path}: module {own} has no place in the order"));
        return out;
    };
    let real = without(&bare(source), |a| a == "cfg(test)");
    for (line, p) in paths(&real) {
        let Some(to) = target(&p, &module).filter(|to| to != own) else { continue };
        match ORDER.iter().position(|m| *m == to) {
            None => out.push(format!("{path}:{line}: {} is in no module of the order", p.join("::"))),
            Some(_) if DOORS.contains(&own.as_str()) && DOORS.contains(&to.as_str()) => out.push(format!("{path}:{line}: {own} uses {to}")),
            Some(at) if at > rank => out.push(format!("{path}:{line}: {own} uses {to}, which comes after it")),
            Some(_) => {}
        }
    }
    if own != "native" {
        let everywhere = without(&real, |a| a == "cfg(feature=\"native\")" || a.starts_with("cfg(all(feature=\"native\","));
        for (line, p) in paths(&everywhere) {
            if SYSTEM.iter().any(|s| p.len() >= s.len() && p.iter().zip(*s).all(|(a, b)| a == b)) {
                out.push(format!("{path}:{line}: {} does not exist in a browser", p.join("::")));
            }
        }
    }
    out.dedup();
    out
}

/// Every `.rs` of a folder, by its path inside `src/`.
fn sources(dir: &Path, root: &Path, out: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path: PathBuf = entry.path();
        if path.is_dir() {
            sources(&path, root, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            out.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn imports_point_one_way_and_files_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = BTreeMap::new();
    sources(&root, &root, &mut all);
    assert!(all.len() > 60, "found only {} files", all.len());
    let found: Vec<String> = all.iter().flat_map(|(path, source)| problems(path, source)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    // The check must see the imports that are there: else it would pass on anything.
    let seen = all.iter().flat_map(|(path, source)| {
        let module = module_of(path);
        paths(&without(&bare(source), |a| a == "cfg(test)")).into_iter().filter_map(move |(_, p)| target(&p, &module))
    });
    assert!(seen.count() > 300);
    let declared: Vec<&str> = all["lib.rs"].lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, ORDER, "src/lib.rs and the order differ");
}

#[test]
fn planted_violations_are_caught() {
    let one = |path: &str, text: &str| problems(path, &format!("//! What.\n{text}"));
    let bad = [
        ("config.rs", "use crate::model::Fifa;"),
        ("image/png.rs", "fn f() { crate::weights::Vars::random(1); }"),
        ("model/lm.rs", "use crate::{error::Error, analyze::{self, report::Report}};"),
        ("model/lm.rs", "use super::super::analyze::Photo;"),
        ("text/mod.rs", "use super::model::Fifa;"),
        ("analyze/mod.rs", "#[cfg(feature = \"native\")]\nuse crate::native::files;"),
        ("native/cli.rs", "use crate::web::Engine;"),
        ("native/main.rs", "fn main() { facext::web::start() }"),
        ("web/mod.rs", "use crate::native::files;"),
        ("web/device.rs", "type T = crate::native::cli::AnalyzeArgs;"),
        ("weights/vars.rs", "const A: &str = \"x\\\"\"; use crate::face::Face; // \""),
        ("weights/vars.rs", "fn f<'a>(c: char) -> bool { c == '\"' }\nuse crate::face::Face; // '\"'"),
        ("quant/cpu.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::face::Face;"),
        ("quant/cpu.rs", "use crate::helpers::Thing;"),
        ("helpers/mod.rs", "pub fn f() {}"),
        ("face/finder.rs", "use std::{fs, path::Path};"),
        ("face/finder.rs", "fn f() { std::thread::spawn(|| {}); }"),
        ("analyze/mod.rs", "use std::time::{Duration, Instant};"),
        ("analyze/mod.rs", "#[cfg(feature = \"native\")]\nfn g() {}\nfn f() { let _ = std::time::Instant::now(); }"),
        ("web/mod.rs", "#[cfg(feature = \"web\")]\nfn f() { let _ = std::fs::read(\"x\"); }"),
    ];
    for (path, text) in bad {
        assert_eq!(one(path, text).len(), 1, "{path}: {text}: {:?}", one(path, text));
    }
    let good = [
        ("model/lm.rs", "use crate::{Error, weights::{Vars, Init}};\nuse super::states::Readout;"),
        ("image/png.rs", "/// See [`crate::model::Fifa`].\n// use crate::model::Fifa;\n/* crate::web /* crate::native */ */"),
        ("image/png.rs", "const T: &str = \"crate::model\"; const R: &str = r#\"a \" crate::model\"#; const B: &[u8] = b\"crate::web\";"),
        ("image/png.rs", "#[cfg(test)]\nmod tests {\n use crate::model::Fifa;\n fn f() { std::fs::read(\"\"); }\n}"),
        ("image/png.rs", "#[cfg(test)]\nuse crate::model::Fifa;\n"),
        ("quant/cpu.rs", "#[cfg(feature = \"native\")]\npub fn f() { std::thread::yield_now(); }"),
        ("native/cli.rs", "use std::fs; use crate::analyze::Analyzer;"),
        ("analyze/mod.rs", "use web_time::Instant; use std::time::Duration;"),
        ("face/finder.rs", "use super::crop::Crop; use ::image::Rgb; fn f() { image::decode(); model::f(); }"),
    ];
    for (path, text) in good {
        assert_eq!(one(path, text), Vec::<String>::new(), "{path}: {text}");
    }
    assert_eq!(problems("config.rs", "use std::fmt;\n").len(), 1, "no header");
    assert_eq!(one("config.rs", &"\n".repeat(CAP)).len(), 1, "too long");
}
