//! WebDataset shards: tar files whose members `KEY.json`, `KEY.png` belong together.
//!
//! Headers hold no time, no owner and no order of threads, so the bytes follow from the samples alone. A shard is written
//! under another name and renamed when it is whole: what has its name is finished, whatever happened.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::error::{Error, Result};
use crate::image::sha256_hex;

/// What is known of a finished shard, kept beside it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub file: String,
    pub sha256: String,
    pub bytes: u64,
    pub samples: u64,
    /// Samples by recipe (`none`: untouched).
    pub recipes: BTreeMap<String, u64>,
    pub families: BTreeMap<String, u64>,
    pub turns: u64,
    /// Sentences by what they rest on.
    pub sentences: BTreeMap<String, u64>,
    /// Measurements named in answers because they stand out.
    pub findings: BTreeMap<String, u64>,
    /// Forged samples in whose answers at least one measurement stands out.
    pub explained: u64,
    /// Pairs left out, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refused: Vec<[String; 2]>,
}

/// Name of the shard that begins with this index.
pub fn name(first: u64, size: u64) -> String {
    format!("shard-{:06}.tar", first / size.max(1))
}

/// Whether the shard is whole.
pub fn is_done(dir: &Path, file: &str) -> bool {
    dir.join(file).is_file() && dir.join(summary_name(file)).is_file()
}

/// The files of a shard.
pub fn files(file: &str) -> [String; 2] {
    [file.to_string(), summary_name(file)]
}

fn summary_name(file: &str) -> String {
    file.replace(".tar", ".summary.json")
}

/// Reads what is known of a finished shard.
///
/// # Errors
/// `io.failed`
pub fn summary(dir: &Path, file: &str) -> Result<Summary> {
    let path = dir.join(summary_name(file));
    let text = std::fs::read_to_string(&path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    serde_json::from_str(&text).map_err(|e| Error::Io(format!("{}: {e}", path.display())))
}

/// A shard being written.
pub struct Writer {
    tar: tar::Builder<BufWriter<File>>,
    dir: PathBuf,
    summary: Summary,
}

impl Writer {
    /// # Errors
    /// `io.failed`
    pub fn create(dir: &Path, file: &str) -> Result<Self> {
        let path = dir.join(format!("{file}.part"));
        let out = File::create(&path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
        let summary = Summary { file: file.into(), ..Summary::default() };
        Ok(Self { tar: tar::Builder::new(BufWriter::new(out)), dir: dir.into(), summary })
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// `io.failed`, for example on a full disk.
    pub fn add(&mut self, record: &Record, png: &[u8]) -> Result<()> {
        let json = serde_json::to_vec(record).map_err(|e| Error::Io(e.to_string()))?;
        for (suffix, bytes) in [("json", json.as_slice()), ("png", png)] {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            let path = format!("{:08}.{suffix}", record.index);
            self.tar.append_data(&mut header, path, bytes).map_err(|e| self.fault(&e))?;
        }
        self.summary.count(record);
        Ok(())
    }

    /// Notes a pair that was left out.
    pub fn refuse(&mut self, name: String, why: String) {
        self.summary.refused.push([name, why]);
    }

    /// Closes the file, writes the summary, gives the shard its name.
    ///
    /// # Errors
    /// `io.failed`
    pub fn finish(mut self) -> Result<Summary> {
        let part = self.dir.join(format!("{}.part", self.summary.file));
        let fault = |e: std::io::Error| Error::Io(format!("{}: {e}", part.display()));
        let mut out = self.tar.into_inner().map_err(fault)?;
        out.flush().map_err(fault)?;
        out.get_ref().sync_all().map_err(fault)?;
        drop(out);
        let bytes = std::fs::read(&part).map_err(fault)?;
        self.summary.sha256 = sha256_hex(&bytes);
        self.summary.bytes = bytes.len() as u64;
        let text = serde_json::to_string_pretty(&self.summary).map_err(|e| Error::Io(e.to_string()))?;
        std::fs::write(self.dir.join(summary_name(&self.summary.file)), text).map_err(fault)?;
        std::fs::rename(&part, self.dir.join(&self.summary.file)).map_err(fault)?;
        Ok(self.summary)
    }

    fn fault(&self, e: &std::io::Error) -> Error {
        Error::Io(format!("{}: {e}; finished shards are kept, the same command goes on", self.dir.join(&self.summary.file).display()))
    }
}

impl Summary {
    fn count(&mut self, record: &Record) {
        use crate::native::annotate::talk::Basis;
        self.samples += 1;
        *self.recipes.entry(record.recipe.clone().unwrap_or_else(|| "none".into())).or_default() += 1;
        *self.families.entry(record.family.clone()).or_default() += 1;
        self.turns += record.turns.len() as u64;
        let mut explained = false;
        for s in record.turns.iter().flat_map(|t| &t.sentences) {
            let kind = match &s.basis {
                Basis::Label => "label",
                Basis::Family => "family",
                Basis::Masks => "masks",
                Basis::Measured(claims) => {
                    for c in claims.iter().filter(|c| c.stands_out) {
                        explained = true;
                        *self.findings.entry(crate::measure::norms::name(c.measure)).or_default() += 1;
                    }
                    "measured"
                }
                Basis::Quiet(_) => "nothing_stands_out",
                Basis::Outside => "outside",
            };
            *self.sentences.entry(kind.into()).or_default() += 1;
        }
        self.explained += u64::from(explained);
    }

    /// Adds another shard's counts.
    pub fn absorb(&mut self, o: &Self) {
        self.samples += o.samples;
        self.bytes += o.bytes;
        self.turns += o.turns;
        self.explained += o.explained;
        self.refused.extend_from_slice(&o.refused);
        for (to, from) in [
            (&mut self.recipes, &o.recipes),
            (&mut self.families, &o.families),
            (&mut self.sentences, &o.sentences),
            (&mut self.findings, &o.findings),
        ] {
            from.iter().for_each(|(k, v)| *to.entry(k.clone()).or_default() += v);
        }
    }
}

/// One sample read back: record and PNG bytes.
pub type Stored = (Record, Vec<u8>);

/// Calls `each` for the samples of a shard, in order, until it says false.
///
/// # Errors
/// `io.failed` for a damaged archive or record; those of `each`.
pub fn read(path: &Path, mut each: impl FnMut(Stored) -> Result<bool>) -> Result<()> {
    let fault = |e: String| Error::Io(format!("{}: {e}", path.display()));
    let file = File::open(path).map_err(|e| fault(e.to_string()))?;
    let mut archive = tar::Archive::new(std::io::BufReader::new(file));
    let mut record: Option<Record> = None;
    for entry in archive.entries().map_err(|e| fault(e.to_string()))? {
        let mut entry = entry.map_err(|e| fault(e.to_string()))?;
        let name = entry.path().map_err(|e| fault(e.to_string()))?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|e| fault(e.to_string()))?;
        if name.ends_with(".json") {
            record = Some(serde_json::from_slice(&bytes).map_err(|e| fault(format!("{name}: {e}")))?);
        } else if let (true, Some(r)) = (name.ends_with(".png"), record.take()) {
            if !each((r, bytes))? {
                return Ok(());
            }
        } else {
            return Err(fault(format!("{name}: out of place")));
        }
    }
    Ok(())
}

/// The shards of a data set, sorted.
///
/// # Errors
/// `io.failed`; `request.bad` if there is none.
pub fn all(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Error::Io(format!("{}: {e}", dir.display())))?;
    let mut out: Vec<PathBuf> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.extension().is_some_and(|x| x == "tar")).collect();
    out.sort();
    if out.is_empty() {
        return Err(Error::Request(format!("{}: no shards", dir.display())));
    }
    Ok(out)
}
