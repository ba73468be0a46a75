//! `DATA_CARD.md`: what a data set is, from what, how much of each, and what it must not be used for.

use std::path::Path;

use super::run::Terms;
use super::shard::{self, Summary};
use crate::error::{Error, Result};

/// Writes the card if every shard is there; says whether it did. Its text follows from the terms and the shards alone.
///
/// # Errors
/// `io.failed`
pub fn write(out: &Path, terms: &Terms) -> Result<bool> {
    let mut all = Summary::default();
    let mut shards = Vec::new();
    for first in (0..terms.count).step_by(terms.shard as usize) {
        let file = shard::name(first, terms.shard);
        if !shard::is_done(out, &file) {
            return Ok(false);
        }
        let s = shard::summary(out, &file)?;
        all.absorb(&s);
        shards.push(s);
    }
    let path = out.join("DATA_CARD.md");
    let part = out.join(format!("DATA_CARD.md.{}.part", std::process::id()));
    let fault = |e: std::io::Error| Error::Io(format!("{}: {e}", path.display()));
    std::fs::write(&part, text(terms, &all, &shards)).map_err(fault)?;
    std::fs::rename(&part, &path).map_err(fault)?;
    Ok(true)
}

fn text(terms: &Terms, all: &Summary, shards: &[Summary]) -> String {
    let rows = |map: &std::collections::BTreeMap<String, u64>| map.iter().map(|(k, v)| format!("| `{k}` | {v} |\n")).collect::<String>();
    let forged = all.samples - all.families.get("none").copied().unwrap_or(0);
    let files: String = shards.iter().map(|s| format!("| {} | {} | {} | `{}` |\n", s.file, s.samples, s.bytes, s.sha256)).collect();
    let set = serde_json::to_value(terms.set).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
    format!(
        "# Data card\n\n\
        {samples} annotated pictures of faces, {side} × {side} px, {forged} of them altered by this program, in WebDataset shards \
        (`KEY.json`, `KEY.png`). Indices 2n and 2n + 1 are one photo, crop and degradation, untouched and altered.\n\n\
        | | |\n|---|---|\n| program | {program} |\n| seed | {seed} |\n| recipe set | `{set}` |\n| split | {split} |\n\
        | photos, persons, files skipped | {photos}, {persons}, {skipped} |\n| photos' hash | `{hash}` |\n| turns | {turns} |\n\
        | altered pictures with a measurement that stands out | {explained} of {forged} |\n\n\
        ## Recipes\n\n| recipe | pictures |\n|---|---|\n{recipes}\n\
        ## Families\n\n| family | pictures |\n|---|---|\n{families}\n\
        No entire synthesis: no generator with a clean licence was at hand.\n\n\
        ## Sentences by what they rest on\n\n| basis | sentences |\n|---|---|\n{sentences}\n\
        ## Measurements named because they stand out\n\n| measure | times |\n|---|---|\n{findings}\n\
        ## Use\n\n\
        For training and testing detectors of altered faces. Every picture is marked, in its PNG comment and its JSON; do not remove \
        the marks, do not publish altered pictures as photos of the persons shown. The persons did not consent to more than the licences of \
        their photos say. Altered parts are exact masks (no threshold); whether they can be seen after the degradation is another matter: \
        difficulty goes from crude to nearly invisible. Wording comes from templates. Check with `facext annotate --verify DIR`.\n\n\
        ## Files\n\n| file | pictures | bytes | SHA-256 |\n|---|---|---|---|\n{files}",
        samples = all.samples,
        side = terms.side,
        program = terms.program,
        seed = terms.seed,
        split = terms.split,
        photos = terms.photos,
        persons = terms.persons,
        skipped = terms.skipped,
        hash = terms.photos_sha256,
        turns = all.turns,
        explained = all.explained,
        recipes = rows(&all.recipes),
        families = rows(&all.families),
        sentences = rows(&all.sentences),
        findings = rows(&all.findings),
    )
}
