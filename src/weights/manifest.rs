//! The manifest: what a set of weights consists of, file by file and tensor by tensor, and where it came from.
//!
//! It is the only file that is trusted on sight (it comes with the program, or the user chose it); everything else is
//! checked against it: name, exact size, SHA-256, then the form of every tensor. A manifest that contradicts itself is
//! refused as a whole.

use crate::config::WEIGHTS_VERSION;
use crate::error::{Error, Result, WeightsFault};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// `ModelConfig` as JSON.
    Config,
    /// The tokenizer as JSON.
    Tokenizer,
    /// Tensors, see [`super::shard`].
    Shard,
}

/// One file of the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Plain name, `[A-Za-z0-9._-]`, no directories.
    pub name: String,
    /// Exact size.
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
    /// What it is for.
    pub kind: FileKind,
}

/// How a tensor is stored; the names are those of [`super::Stored::codec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Plain f32.
    F32,
    /// Plain f16.
    F16,
    /// Flat blocks of 32 signed bytes.
    Q8f,
    /// Blocks of 32 inputs, 4 bits with minimum.
    Q4,
    /// Blocks of 32 inputs, 8 bits.
    Q8,
}

/// One tensor, or one part of a split tensor (`name#0`, `name#1`, …).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorEntry {
    /// Name of the shard.
    pub file: String,
    /// How it is stored.
    pub codec: Codec,
    /// Row-major shape of this part.
    pub shape: Vec<usize>,
}

/// An upstream that the weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What it gave (`SmolLM2-135M-Instruct`).
    pub name: String,
    /// Package that it was taken from.
    pub package: String,
    /// Version of the package.
    pub version: String,
    /// SPDX expression.
    pub licence: String,
    /// Anything a reader should know. No addresses.
    pub text: String,
}

/// A set of weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`WEIGHTS_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// Name and version of the program that wrote it.
    pub program: String,
    /// Preset of the configuration.
    pub preset: String,
    /// [`weights_sha256`] of the files: the name of exactly these weights, as reports state it.
    pub weights_sha256: String,
    /// Every file.
    pub files: Vec<FileEntry>,
    /// Every tensor.
    pub tensors: BTreeMap<String, TensorEntry>,
    /// Where the weights come from.
    pub sources: Vec<Source>,
}

/// Largest file a manifest may name: a bound on what one file can make this program hold.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Most values in one tensor.
pub const MAX_VALUES: usize = 1 << 30;

impl Manifest {
    /// A manifest for those files and tensors.
    pub fn new(preset: &str, files: Vec<FileEntry>, tensors: BTreeMap<String, TensorEntry>, sources: Vec<Source>) -> Self {
        Self {
            format_version: WEIGHTS_VERSION,
            program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).into(),
            preset: preset.into(),
            weights_sha256: weights_sha256(&files),
            files,
            tensors,
            sources,
        }
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// `weights.version` for another format, `weights.manifest` for anything that cannot be read or contradicts itself.
    pub fn parse(json: &str) -> Result<Self> {
        // The version first and alone: another version may differ in every other field.
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let bad = |detail: String| Error::weights(WeightsFault::Manifest, detail);
        let version: Version = serde_json::from_str(json).map_err(|e| bad(e.to_string()))?;
        if version.format_version != WEIGHTS_VERSION {
            let detail = format!("format {}, this program reads format {WEIGHTS_VERSION}", version.format_version);
            return Err(Error::weights(WeightsFault::Version, detail));
        }
        let manifest: Self = serde_json::from_str(json).map_err(|e| bad(e.to_string()))?;
        manifest.check().map_err(bad)?;
        Ok(manifest)
    }

    /// The manifest as JSON, stable: the same manifest gives the same bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The entry of a file.
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|f| f.name == name)
    }

    fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        let mut shards = BTreeSet::new();
        for f in &self.files {
            let plain =
                !f.name.is_empty() && !f.name.starts_with('.') && f.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !plain {
                return Err(format!("file name {:?}", f.name));
            }
            if !names.insert(&f.name) {
                return Err(format!("{} twice", f.name));
            }
            if f.bytes > MAX_FILE_BYTES {
                return Err(format!("{}: {} bytes", f.name, f.bytes));
            }
            if f.sha256.len() != 64 || !f.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("{}: not a SHA-256", f.name));
            }
            if f.kind == FileKind::Shard {
                shards.insert(&f.name);
            }
        }
        for (name, t) in &self.tensors {
            if !shards.contains(&t.file) {
                return Err(format!("tensor {name} in {:?}, which is no shard", t.file));
            }
            let values = t.shape.iter().try_fold(1usize, |a, d| a.checked_mul(*d));
            if values.is_none_or(|v| v == 0 || v > MAX_VALUES) {
                return Err(format!("tensor {name}: shape {:?}", t.shape));
            }
            if matches!(t.codec, Codec::Q4 | Codec::Q8) && (t.shape.len() != 2 || !t.shape[0].is_multiple_of(crate::quant::BLOCK)) {
                return Err(format!("tensor {name}: shape {:?} in blocks", t.shape));
            }
            // Parts are counted from 0 without a hole, and stand in place of the whole.
            if let Some((whole, part)) = name.rsplit_once('#') {
                let part: usize = part.parse().map_err(|_| format!("tensor {name}: part"))?;
                let before = part.checked_sub(1).is_none_or(|p| self.tensors.contains_key(&format!("{whole}#{p}")));
                if !before || self.tensors.contains_key(whole) {
                    return Err(format!("tensor {name}: parts"));
                }
            }
        }
        if self.weights_sha256 != weights_sha256(&self.files) {
            return Err("weights_sha256 is not that of the files".into());
        }
        Ok(())
    }
}

/// One hash for the whole set: SHA-256 over the sorted hex hashes of all files, each followed by a line feed.
pub fn weights_sha256(files: &[FileEntry]) -> String {
    let mut hashes: Vec<&str> = files.iter().map(|f| f.sha256.as_str()).collect();
    hashes.sort_unstable();
    let mut all = Sha256::new();
    for h in hashes {
        all.update(h);
        all.update("\n");
    }
    hex(&all.finalize())
}

/// SHA-256 of bytes, lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut s, b| {
        // Writing to a string cannot fail.
        let _ = write!(s, "{b:02x}");
        s
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Manifest {
        let file = |name: &str, kind| FileEntry { name: name.into(), bytes: 3, sha256: sha256_hex(name.as_bytes()), kind };
        let files = vec![file("config.json", FileKind::Config), file("enc-00.safetensors", FileKind::Shard)];
        let entry = TensorEntry { file: "enc-00.safetensors".into(), codec: Codec::Q4, shape: vec![32, 4] };
        let tensors = [("a.weight#0", &entry), ("a.weight#1", &entry)].map(|(n, e)| (n.to_string(), e.clone())).into();
        Manifest::new("tiny", files, tensors, Vec::new())
    }

    fn refused(change: impl FnOnce(&mut Manifest)) -> &'static str {
        let mut m = small();
        change(&mut m);
        Manifest::parse(&m.to_json()).unwrap_err().code()
    }

    #[test]
    fn round_trip() {
        let m = small();
        assert_eq!(Manifest::parse(&m.to_json()).unwrap(), m);
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn another_version_is_named_as_such_even_if_all_else_differs() {
        assert_eq!(refused(|m| m.format_version += 1), "weights.version");
        let e = Manifest::parse(r#"{"format_version": 99, "shards": {}}"#).unwrap_err();
        assert_eq!(e.code(), "weights.version");
        assert!(e.to_string().contains("99"), "{e}");
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(refused(|m| m.files[0].name = "../config.json".into()), "weights.manifest");
        assert_eq!(refused(|m| m.files[0].name = m.files[1].name.clone()), "weights.manifest");
        assert_eq!(refused(|m| m.files[0].sha256 = "00".into()), "weights.manifest");
        assert_eq!(refused(|m| m.files[0].bytes = u64::MAX), "weights.manifest");
        assert_eq!(refused(|m| m.weights_sha256.replace_range(..1, "x")), "weights.manifest");
        assert_eq!(refused(|m| m.tensors.get_mut("a.weight#0").unwrap().file = "config.json".into()), "weights.manifest");
        assert_eq!(refused(|m| m.tensors.get_mut("a.weight#0").unwrap().shape = vec![usize::MAX, 2]), "weights.manifest");
        assert_eq!(refused(|m| m.tensors.get_mut("a.weight#0").unwrap().shape = vec![31, 2]), "weights.manifest");
        assert_eq!(refused(|m| drop(m.tensors.remove("a.weight#0"))), "weights.manifest");
        assert_eq!(Manifest::parse("{").unwrap_err().code(), "weights.manifest");
        assert_eq!(Manifest::parse("[]").unwrap_err().code(), "weights.manifest");
    }
}
