//! `DATA_CARD.md`: what a data set is, from what, how much of each, and what it must not be used for.

use std::path::Path;

use super::shard::{self, Summary};
use crate::error::{Error, Result};

/// What a card says beyond what its shards tell.
#[derive(Debug)]
pub struct Head {
    /// Indices of the data set and of a shard.
    pub count: u64,
    pub shard: u64,
    /// Side of the pictures, px.
    pub side: usize,
    /// What the altered ones are ("altered by this program", …).
    pub altered: &'static str,
    /// What lies at 2n and 2n + 1.
    pub pairs: &'static str,
    /// How the masks came about.
    pub masks: &'static str,
    /// Rows of the first table.
    pub rows: Vec<[String; 2]>,
}

/// Writes the card if every shard is there; gives the sum of what they hold if so. The text follows from head and shards alone.
///
/// # Errors
/// `io.failed`
pub fn write(out: &Path, head: &Head) -> Result<Option<Summary>> {
    let mut all = Summary::default();
    let mut shards = Vec::new();
    for first in (0..head.count).step_by(head.shard.max(1) as usize) {
        let file = shard::name(first, head.shard);
        if !shard::is_done(out, &file) {
            return Ok(None);
        }
        let s = shard::summary(out, &file)?;
        all.absorb(&s);
        shards.push(s);
    }
    let path = out.join("DATA_CARD.md");
    let part = out.join(format!("DATA_CARD.md.{}.part", std::process::id()));
    let fault = |e: std::io::Error| Error::Io(format!("{}: {e}", path.display()));
    std::fs::write(&part, text(head, &all, &shards)).map_err(fault)?;
    std::fs::rename(&part, &path).map_err(fault)?;
    Ok(Some(all))
}

fn text(head: &Head, all: &Summary, shards: &[Summary]) -> String {
    let rows = |map: &std::collections::BTreeMap<String, u64>| map.iter().map(|(k, v)| format!("| `{k}` | {v} |\n")).collect::<String>();
    let forged = all.samples - all.families.get("none").copied().unwrap_or(0);
    let files: String = shards.iter().map(|s| format!("| {} | {} | {} | `{}` |\n", s.file, s.samples, s.bytes, s.sha256)).collect();
    let facts: String = head.rows.iter().map(|[k, v]| format!("| {k} | {v} |\n")).collect();
    // A name may hold anything; a table row must not break.
    let tidy = |text: &str| text.replace(['|', '\n', '\r'], " ");
    let refused: String = all.refused.iter().map(|[name, why]| format!("| {} | {} |\n", tidy(name), tidy(why))).collect();
    let refused = if refused.is_empty() { refused } else { format!("## Refused\n\n| pair | why |\n|---|---|\n{refused}\n") };
    format!(
        "# Data card\n\n\
        {samples} annotated pictures of faces, {side} × {side} px, {forged} of them {altered}, in WebDataset shards \
        (`KEY.json`, `KEY.png`). {pairs}\n\n\
        | | |\n|---|---|\n{facts}\
        | turns | {turns} |\n\
        | altered pictures with a measurement that stands out | {explained} of {forged} |\n\n\
        ## Recipes\n\n| recipe | pictures |\n|---|---|\n{recipes}\n\
        ## Families\n\n| family | pictures |\n|---|---|\n{families}\n\
        ## Sentences by what they rest on\n\n| basis | sentences |\n|---|---|\n{sentences}\n\
        ## Measurements named because they stand out\n\n| measure | times |\n|---|---|\n{findings}\n\
        {refused}\
        ## Use\n\n\
        For training and testing detectors of altered faces. Every picture is marked, in its PNG comment and its JSON; do not remove \
        the marks, do not publish altered pictures as photos of the persons shown. The persons did not consent to more than the licences of \
        their photos say. {masks} Wording comes from templates. Check with `facext annotate --verify DIR`.\n\n\
        ## Files\n\n| file | pictures | bytes | SHA-256 |\n|---|---|---|---|\n{files}",
        samples = all.samples,
        side = head.side,
        altered = head.altered,
        pairs = head.pairs,
        masks = head.masks,
        turns = all.turns,
        explained = all.explained,
        recipes = rows(&all.recipes),
        families = rows(&all.families),
        sentences = rows(&all.sentences),
        findings = rows(&all.findings),
    )
}
