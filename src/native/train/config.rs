//! `--config FILE`: the options of a training run as a JSON object, and the record of the options that a run used.
//!
//! Keys are the options' long names (`{"stage": "vision", "faces": "pack", "steps": 800, "go-on": true}`). What stands on
//! the command line wins, so one file serves several runs. The record that a run leaves in its folder is such a file.

use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::path::Path;

/// Name of the record in the run's folder.
fn record(stage: &str) -> String {
    format!("{stage}.config.json")
}

/// Arguments of the program with `--config FILE` of `train` replaced by what the file says.
///
/// # Errors
/// `request.invalid` when the file cannot be read or is no object of plain values.
pub fn expand(args: Vec<OsString>) -> Result<Vec<OsString>> {
    if args.get(1).is_none_or(|c| c != "train") {
        return Ok(args);
    }
    let Some(at) = args.iter().position(|a| a == "--config" || a.to_string_lossy().starts_with("--config=")) else { return Ok(args) };
    let (path, taken) = match args[at].to_string_lossy().strip_prefix("--config=") {
        Some(path) => (OsString::from(path), 1),
        None => (args.get(at + 1).cloned().ok_or_else(|| Error::Request("--config needs a file".into()))?, 2),
    };
    let bad = |why: String| Error::Request(format!("{}: {why}", path.to_string_lossy()));
    let text = std::fs::read_to_string(&path).map_err(|e| bad(e.to_string()))?;
    let options: Map<String, Value> = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let mut given: Vec<OsString> = args.iter().enumerate().filter(|(i, _)| !(at..at + taken).contains(i)).map(|(_, a)| a.clone()).collect();
    let stage = given.get(2).filter(|a| !a.to_string_lossy().starts_with('-')).is_some();
    for (name, value) in options {
        let flag = format!("--{name}");
        let said = given.iter().any(|a| *a == *flag || a.to_string_lossy().starts_with(&format!("{flag}=")));
        let value = match value {
            Value::String(s) => s,
            Value::Number(n) => n.to_string(),
            Value::Bool(true) if !said => {
                given.push(flag.into());
                continue;
            }
            Value::Bool(_) | Value::Null => continue,
            _ => return Err(bad(format!("{name} is neither text, number nor true or false"))),
        };
        match name.as_str() {
            "stage" if !stage => given.insert(2, value.into()),
            "stage" => {}
            _ if !said => given.push(format!("{flag}={value}").into()),
            _ => {}
        }
    }
    Ok(given)
}

/// Writes the options of a run into its folder, in the form that [`expand`] reads.
///
/// # Errors
/// `io.failed`
pub fn keep(out: &Path, stage: &str, options: &Value) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let text = serde_json::to_string_pretty(options).map_err(|e| Error::Io(e.to_string()))?;
    std::fs::write(out.join(record(stage)), text + "\n").map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let path = std::env::temp_dir().join(format!("facext-config-{}.json", std::process::id()));
        std::fs::write(&path, r#"{"stage": "vision", "steps": 7, "lr": 0.001, "go-on": true, "faces": "a b"}"#).unwrap();
        let line = format!("facext train --steps 9 --config {}", path.display());
        let mut got: Vec<String> = expand(words(&line)).unwrap().iter().map(|a| a.to_string_lossy().into_owned()).collect();
        assert_eq!(got[..3], ["facext", "train", "vision"]);
        got.sort();
        assert_eq!(got, ["--faces=a b", "--go-on", "--lr=0.001", "--steps", "9", "facext", "train", "vision"]);
        let other = expand(words(&format!("facext train traces --config={}", path.display()))).unwrap();
        assert!(other[2] == "traces" && !other.iter().any(|a| a == "vision"));
        std::fs::write(&path, r#"{"steps": [1]}"#).unwrap();
        assert!(expand(words(&line)).is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(expand(words("facext analyze --config x")).unwrap().len(), 4);
        assert!(expand(words("facext train --config absent.json")).is_err());
    }
}
