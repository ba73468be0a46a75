//! What commands over many pictures share: the files of a folder, and how far they are.

use crate::error::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};

/// A progress bar on standard error.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} {eta}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what.to_string())
}

/// One more is done. Where no bar is drawn (standard error is a file), a line says so at every twentieth part of the whole.
pub fn tick(bar: &ProgressBar) {
    bar.inc(1);
    let (done, all) = (bar.position(), bar.length().unwrap_or_default());
    if bar.is_hidden() && all >= 20 && done.is_multiple_of(all / 20) {
        eprintln!("{done} of {all}");
    }
}

/// Every file of a folder and its sub-folders, sorted by path; hidden ones are left out.
///
/// # Errors
/// `io.failed` for a folder that cannot be listed.
pub fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut out, mut open) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(at) = open.pop() {
        let entries = std::fs::read_dir(&at).map_err(|e| Error::Io(format!("{}: {e}", at.display())))?;
        for entry in entries {
            let path = entry.map_err(|e| Error::Io(format!("{}: {e}", at.display())))?.path();
            if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')) {
                continue;
            }
            if path.is_dir() { open.push(path) } else { out.push(path) }
        }
    }
    out.sort();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_and_hidden_ones_left_out() {
        let dir = std::env::temp_dir().join(format!("facext-files-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("b")).unwrap();
        for f in ["z.jpg", "b/a.jpg", ".hidden"] {
            std::fs::write(dir.join(f), "x").unwrap();
        }
        let found = files_of(&dir).unwrap();
        assert_eq!(found, [dir.join("b/a.jpg"), dir.join("z.jpg")]);
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(files_of(&dir).is_err());
    }
}
