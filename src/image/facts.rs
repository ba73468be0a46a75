//! Metadata as plain facts: what the file says about itself, without a judgement.
//!
//! A fact is never a verdict: metadata can be missing from a real photo (every messenger strips it) and forged in a fake.
//! Values from the file are cleaned (no control or direction characters, at most 100 characters), because they end on a
//! terminal and on a page.

use super::exif::Exif;
use super::{Header, ImageKind};
use serde::Serialize;

/// One fact, for example `camera.model` = `Pixel 8`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Stable key; the page owns its words for it. See `collect` for all keys.
    pub key: &'static str,
    /// The value, cleaned.
    pub value: String,
}

/// All facts, in this order; those without a value are left out.
///
/// `format` (for example "JPEG, sequential, YCbCr"), `stored_size` (before it was turned upright), `orientation` (where
/// not 1), `frames` (where not 1), `camera.make`, `camera.model`, `software`, `taken`, `changed` (local time as the
/// camera wrote it), `gps` (only "present"), `xmp`, `c2pa` ("present": not checked), `icc` (name, or "present"),
/// `png.text` (keywords of the text chunks, for example the "parameters" of image generators).
pub(crate) fn collect(kind: ImageKind, header: &Header, exif: &Exif, orientation: u8) -> Vec<Fact> {
    let present = |yes: bool| yes.then(|| "present".to_owned());
    let icc = header.icc.as_ref().map(|name| if name.is_empty() { "present".to_owned() } else { name.clone() });
    let all = [
        ("format", Some(format!("{}, {}", kind.name(), header.form))),
        ("stored_size", Some(format!("{}×{}", header.width, header.height))),
        ("orientation", (orientation != 1).then(|| orientation.to_string())),
        ("frames", (header.frames != 1).then(|| header.frames.to_string())),
        ("camera.make", exif.make.clone()),
        ("camera.model", exif.model.clone()),
        ("software", exif.software.clone()),
        ("taken", exif.taken.clone()),
        ("changed", exif.changed.clone()),
        ("gps", present(exif.gps)),
        ("xmp", present(header.xmp)),
        ("c2pa", present(header.c2pa)),
        ("icc", icc),
        ("png.text", (!header.keywords.is_empty()).then(|| header.keywords.join(", "))),
    ];
    all.into_iter().filter_map(|(key, value)| Some(Fact { key, value: clean(&value?)? })).collect()
}

/// A text from a file, fit to be shown; `None` where nothing is left of it.
fn clean(text: &str) -> Option<String> {
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}')
    };
    let kept: String = text.chars().filter(|&c| !hidden(c)).take(100).collect();
    Some(kept.trim().to_owned()).filter(|s| !s.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\n"), Some("a[31mbc".into()));
        assert_eq!(clean("\0\0 "), None);
        assert_eq!(clean(&"x".repeat(500)).unwrap().len(), 100);
    }

    #[test]
    fn keeps_the_order_and_drops_the_empty() {
        let header = Header { width: 3, height: 2, form: "x".into(), icc: Some(String::new()), frames: 1, ..Header::default() };
        let exif = Exif { make: Some("M".into()), gps: true, ..Exif::default() };
        let keys: Vec<_> = collect(ImageKind::Jpeg, &header, &exif, 6).into_iter().map(|f| (f.key, f.value)).collect();
        let want = [
            ("format", "JPEG, x"),
            ("stored_size", "3×2"),
            ("orientation", "6"),
            ("camera.make", "M"),
            ("gps", "present"),
            ("icc", "present"),
        ];
        assert_eq!(keys, want.map(|(k, v)| (k, v.to_owned())));
    }
}
