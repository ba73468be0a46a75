//! Takes the files of a set of weights one by one, in any order, and verifies each before anything of it is kept.
//!
//! A file is accepted as a whole or not at all: name, exact size and SHA-256 against the manifest, then type, shape and
//! finiteness of every tensor. The caller may drop a file's bytes as soon as [`Loader::add`] returns.
//!
//! A loader that knows the device puts packed matrices there as their file comes in, so that the host never holds more of them than
//! one file's.

use super::manifest::{FileKind, Manifest, sha256_hex};
use super::shard::{join, read_shard};
use super::store::{Arrived, Stored, TensorMap};
use crate::error::{Error, Result, WeightsFault};
use crate::quant::BlockLinear;
use burn::tensor::Device;
use std::collections::{BTreeMap, BTreeSet};

/// Weights on their way in.
#[derive(Debug)]
pub struct Loader {
    manifest: Manifest,
    added: BTreeSet<String>,
    /// Config and tokenizer, by kind name.
    texts: Vec<(FileKind, Vec<u8>)>,
    tensors: BTreeMap<String, Stored>,
    /// Where packed matrices go at once, if they do.
    device: Option<Device>,
    placed: BTreeMap<String, BlockLinear>,
}

impl Loader {
    /// A loader for the files of that manifest.
    ///
    /// # Errors
    /// `weights.version`, `weights.manifest`.
    pub fn new(manifest_json: &str) -> Result<Self> {
        let manifest = Manifest::parse(manifest_json)?;
        Ok(Self { manifest, added: BTreeSet::new(), texts: Vec::new(), tensors: BTreeMap::new(), device: None, placed: BTreeMap::new() })
    }

    /// The same loader, which puts packed matrices onto that device as they come.
    pub fn onto(mut self, device: &Device) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// What the files are checked against.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Verifies a file and keeps what it holds. A file that was already taken is verified and otherwise ignored.
    ///
    /// # Errors
    /// All name the file: `weights.manifest` for a name that the manifest does not have, `weights.size`, `weights.hash`,
    /// `weights.format`, `weights.missing_tensor`, `weights.shape`, `weights.not_finite`. Nothing is kept then, and the
    /// loader can go on with another try.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.check(name, bytes)?;
        self.add_hashed(name, bytes, &sha256_hex(bytes))
    }

    /// [`Loader::add`] for a caller that has computed the hash of these very bytes in a faster way: hex, lower case.
    ///
    /// # Errors
    /// Those of [`Loader::add`].
    pub fn add_hashed(&mut self, name: &str, bytes: &[u8], sha256: &str) -> Result<()> {
        let (kind, wanted) = self.check(name, bytes)?;
        if sha256 != wanted {
            return Err(Error::weights(WeightsFault::Hash, name));
        }
        if self.added.contains(name) {
            return Ok(());
        }
        match kind {
            FileKind::Shard => {
                let expected: Vec<_> = self.manifest.tensors.iter().filter(|(_, t)| t.file == name).collect();
                for (name, tensor) in read_shard(name, bytes, &expected)? {
                    self.keep(name, tensor);
                }
                self.place_whole()?;
            }
            kind => self.texts.push((kind, bytes.to_vec())),
        }
        self.added.insert(name.into());
        Ok(())
    }

    /// Kind and hash of a file of that name and size.
    fn check(&self, name: &str, bytes: &[u8]) -> Result<(FileKind, &str)> {
        let Some(entry) = self.manifest.file(name) else {
            return Err(Error::weights(WeightsFault::Manifest, format!("{name} is not in the manifest")));
        };
        if bytes.len() as u64 != entry.bytes {
            let detail = format!("{name}: {} bytes where {} are expected", bytes.len(), entry.bytes);
            return Err(Error::weights(WeightsFault::Size, detail));
        }
        Ok((entry.kind, &entry.sha256))
    }

    fn keep(&mut self, name: String, tensor: Stored) {
        match (&self.device, tensor) {
            // Parts wait for each other.
            (Some(device), Stored::Blocks(b)) if !name.contains('#') => {
                self.placed.insert(name, BlockLinear::packed(b, device));
            }
            (_, tensor) => {
                self.tensors.insert(name, tensor);
            }
        }
    }

    /// Joins and places the matrices whose parts are all here.
    fn place_whole(&mut self) -> Result<()> {
        let Some(device) = self.device.clone() else { return Ok(()) };
        let waiting: BTreeSet<String> = self.tensors.keys().filter_map(|n| Some(n.rsplit_once('#')?.0.to_owned())).collect();
        for name in waiting {
            let part = format!("{name}#");
            let all = self.manifest.tensors.keys().filter(|n| n.starts_with(&part)).count();
            let here: Vec<String> = self.tensors.keys().filter(|n| n.starts_with(&part)).cloned().collect();
            if here.len() < all || !here.iter().all(|n| matches!(self.tensors.get(n), Some(Stored::Blocks(_)))) {
                continue;
            }
            let parts = here.iter().filter_map(|n| Some((n.rsplit_once('#')?.1.parse().ok()?, self.tensors.remove(n)?))).collect();
            if let Stored::Blocks(b) = joined(&name, parts)? {
                self.placed.insert(name, BlockLinear::packed(b, &device));
            }
        }
        Ok(())
    }

    /// Names of the files that are still to come.
    pub fn missing(&self) -> Vec<&str> {
        self.manifest.files.iter().map(|f| f.name.as_str()).filter(|n| !self.added.contains(*n)).collect()
    }

    /// Bytes of the configuration or the tokenizer, once added.
    pub fn file(&self, kind: FileKind) -> Option<&[u8]> {
        self.texts.iter().find(|(k, _)| *k == kind).map(|(_, b)| b.as_slice())
    }

    /// All tensors, the parts of split ones joined.
    ///
    /// # Errors
    /// `weights.missing_shard` naming the first file that is missing; `weights.shape` for parts that do not fit together.
    pub fn finish(self) -> Result<TensorMap> {
        if let Some(name) = self.missing().first() {
            return Err(Error::weights(WeightsFault::MissingShard, name));
        }
        let mut whole = TensorMap::default();
        let mut parts: BTreeMap<String, Vec<(usize, Stored)>> = BTreeMap::new();
        for (name, tensor) in self.tensors {
            match name.rsplit_once('#').and_then(|(n, i)| Some((n, i.parse().ok()?))) {
                Some((n, i)) => parts.entry(n.into()).or_default().push((i, tensor)),
                None => drop(whole.0.insert(name, tensor)),
            }
        }
        for (name, list) in parts {
            let tensor = joined(&name, list)?;
            whole.0.insert(name, tensor);
        }
        Ok(whole)
    }

    /// The same for the building of one model, with what is on the device already.
    ///
    /// # Errors
    /// Those of [`Loader::finish`].
    pub fn arrive(mut self) -> Result<Arrived> {
        let placed = std::mem::take(&mut self.placed);
        Ok(Arrived::from(self.finish()?).with_placed(placed))
    }
}

/// Numbered parts → the whole.
fn joined(name: &str, mut parts: Vec<(usize, Stored)>) -> Result<Stored> {
    // By number: as text, part 10 comes before part 2.
    parts.sort_by_key(|(i, _)| *i);
    join(name, parts.into_iter().map(|(_, t)| t).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Blocks;
    use crate::weights::manifest::FileEntry;
    use crate::weights::shard::{SHARD_BYTES, Written, write_shards};

    fn wave(len: usize, step: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * step).sin()).collect()
    }

    fn tensors() -> TensorMap {
        let halves = wave(24, 0.3).into_iter().map(|v| half::f16::from_f32(v).to_f32()).collect();
        TensorMap(
            [
                ("a.gamma", Stored::float([7], wave(7, 0.2))),
                ("a.half", Stored::half([4, 6], halves)),
                ("a.conv.weight", Stored::flat8([5, 3, 3], &wave(45, 0.7))),
                ("a.q.weight", Stored::Blocks(Blocks::quantise4(&wave(64 * 5, 0.1), 64, 5).unwrap())),
                ("b.q.weight", Stored::Blocks(Blocks::quantise8(&wave(32 * 3, 0.1), 32, 3).unwrap())),
            ]
            .map(|(n, t)| (n.to_string(), t))
            .into(),
        )
    }

    fn set(written: &Written) -> Manifest {
        Manifest::new("tiny", written.entries.clone(), written.tensors.clone(), Vec::new())
    }

    /// A set of one shard with these bytes; the manifest is made to agree with them in size and hash.
    fn lie(written: &Written, bytes: &[u8]) -> Result<TensorMap> {
        let mut entries = written.entries.clone();
        entries[0] = FileEntry { bytes: bytes.len() as u64, sha256: sha256_hex(bytes), ..entries[0].clone() };
        let manifest = Manifest::new("tiny", entries, written.tensors.clone(), Vec::new());
        let mut loader = Loader::new(&manifest.to_json())?;
        let name = written.files[0].0.clone();
        let added = loader.add(&name, bytes);
        if let Err(e) = added {
            assert!(e.to_string().contains(&name), "{e} does not name the file");
            assert!(loader.tensors.is_empty(), "something of a bad shard was kept");
            assert_eq!(loader.missing(), [name.as_str()]);
            return Err(e);
        }
        loader.finish()
    }

    #[test]
    fn all_forms_come_back_bit_equal_and_writing_is_deterministic() {
        let map = tensors();
        let written = write_shards(&[("base", &map)]).unwrap();
        assert_eq!(written.files, write_shards(&[("base", &map.clone())]).unwrap().files);
        let (name, bytes) = &written.files[0];
        assert!(name.starts_with("base-00-") && name.ends_with(".safetensors") && name.len() == 8 + 12 + 12, "{name}");
        let mut loader = Loader::new(&set(&written).to_json()).unwrap();
        assert_eq!(loader.missing(), [name.as_str()]);
        loader.add(name, bytes).unwrap();
        loader.add(name, bytes).unwrap();
        assert_eq!(loader.finish().unwrap().0, map.0);
    }

    #[test]
    fn a_large_matrix_is_split_and_joined() {
        let n = 100_000;
        let words = (0..64 * n as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        let b = Blocks { bits: 8, k: 256, n, words, scales: vec![0.5; 8 * n], mins: None };
        let float = Stored::float([5000, 1000], wave(5_000_000, 0.01));
        let map = TensorMap([("e.weight".to_string(), Stored::Blocks(b)), ("f".to_string(), float)].into());
        let other = tensors();
        let written = write_shards(&[("frozen", &map), ("heads", &other)]).unwrap();
        assert!(written.files.iter().all(|f| f.1.len() <= SHARD_BYTES));
        assert!(written.tensors.contains_key("e.weight#0") && written.tensors.contains_key("f#1"));
        // Groups never share a file.
        assert!(written.tensors.iter().all(|(n, t)| t.file.starts_with("heads") == other.0.contains_key(n)));
        let mut loader = Loader::new(&set(&written).to_json()).unwrap();
        for (name, bytes) in written.files.iter().rev() {
            loader.add(name, bytes).unwrap();
        }
        let back = loader.finish().unwrap();
        assert_eq!(back.0.len(), 2 + other.0.len());
        assert!(map.0.iter().all(|(n, t)| back.0[n] == *t));
    }

    /// On the device as the files come, parts as soon as they are complete; the products are those of the same blocks.
    #[test]
    fn packed_matrices_are_placed_as_they_come() {
        let device = Device::flex();
        let n = 100_000;
        let words = (0..64 * n as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        let split = Blocks { bits: 8, k: 256, n, words, scales: (0..8 * n).map(|i| (i % 7) as f32 * 0.125).collect(), mins: None };
        let mut map = tensors();
        map.0.insert("e.weight".to_string(), Stored::Blocks(split.clone()));
        let written = write_shards(&[("all", &map)]).unwrap();
        assert!(written.files.len() > 1);
        let mut loader = Loader::new(&set(&written).to_json()).unwrap().onto(&device);
        for (name, bytes) in written.files.iter().rev() {
            loader.add_hashed(name, bytes, &sha256_hex(bytes)).unwrap();
        }
        assert!(loader.tensors.values().all(|t| !matches!(t, Stored::Blocks(_))), "blocks wait on the host");
        let mut arrived = loader.arrive().unwrap();
        let product = |l: &BlockLinear, k: usize| {
            let x = burn::tensor::Tensor::<2>::from_data(burn::tensor::TensorData::new(wave(k, 0.9), [1, k]), &device);
            l.forward(x).into_data().try_to_vec::<f32>().unwrap()
        };
        for (name, blocks) in map.0.iter().filter_map(|(n, t)| if let Stored::Blocks(b) = t { Some((n, b)) } else { None }) {
            let there = arrived.take_blocks(name, [blocks.k, blocks.n], &device).unwrap().unwrap();
            assert_eq!(product(&there, blocks.k), product(&BlockLinear::packed(blocks.clone(), &device), blocks.k));
        }
        assert_eq!(arrived.take("a.gamma", &[7]).unwrap(), map.0["a.gamma"]);
    }

    #[test]
    fn wrong_bytes_are_told_apart() {
        let written = write_shards(&[("a", &tensors()), ("b", &tensors_renamed())]).unwrap();
        let mut loader = Loader::new(&set(&written).to_json()).unwrap();
        let [(a, bytes_a), (b, bytes_b)] = written.files.as_slice() else { panic!("two shards") };
        let code = |r: Result<()>| r.unwrap_err().code();
        assert_eq!(code(loader.add("other.safetensors", bytes_a)), "weights.manifest");
        for cut in [0, 1, 7, 8, 100, bytes_a.len() - 1] {
            assert_eq!(code(loader.add(a, &bytes_a[..cut])), "weights.size");
        }
        assert_eq!(code(loader.add(a, &[bytes_a.as_slice(), b"x"].concat())), "weights.size");
        // One flipped bit in the length, the header and every region of the data.
        for at in [0, 7, 8, 40, bytes_a.len() / 2, bytes_a.len() - 1] {
            for bit in [0, 3, 7] {
                let mut bad = bytes_a.clone();
                bad[at] ^= 1 << bit;
                assert_eq!(code(loader.add(a, &bad)), "weights.hash");
            }
        }
        // Swapped shards, also of the same size.
        assert_eq!(bytes_a.len(), bytes_b.len());
        assert_eq!(code(loader.add(a, bytes_b)), "weights.hash");
        assert!(loader.tensors.is_empty());
        loader.add(b, bytes_b).unwrap();
        assert_eq!(loader.missing(), [a.as_str()]);
        let e = loader.finish().unwrap_err();
        assert_eq!(e.code(), "weights.missing_shard");
        assert!(e.to_string().contains(a.as_str()));
    }

    fn tensors_renamed() -> TensorMap {
        TensorMap(tensors().0.into_iter().map(|(n, t)| (format!("{}{}", if n.starts_with('a') { "c" } else { "d" }, &n[1..]), t)).collect())
    }

    #[test]
    fn a_shard_that_lies_under_a_right_hash_is_refused() {
        let written = write_shards(&[("a", &tensors())]).unwrap();
        let bytes = &written.files[0].1;
        assert!(lie(&written, bytes).is_ok());
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        // Truncation at every length up to the end of the header, then at some.
        for cut in (0..header).chain((header..bytes.len()).step_by(13)) {
            assert_eq!(lie(&written, &bytes[..cut]).unwrap_err().code(), "weights.format", "cut at {cut}");
        }
        // Any bit of the length or header: no panic; either refused or, for a bit that means nothing, all is still there.
        for at in 0..header {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                if let Ok(map) = lie(&written, &bad) {
                    assert_eq!(map.0.keys().collect::<Vec<_>>(), tensors().0.keys().collect::<Vec<_>>());
                }
            }
        }
        // A header length beyond all bounds.
        for length in [u64::MAX, u64::MAX - 8, 1 << 40, bytes.len() as u64] {
            let bad = [&length.to_le_bytes()[..], &bytes[8..]].concat();
            assert_eq!(lie(&written, &bad).unwrap_err().code(), "weights.format");
        }
        // Names, types and shapes that are well formed but not the stated ones (same length, so offsets hold).
        let text = String::from_utf8_lossy(&bytes[8..header]).into_owned();
        let swapped = |from: &str, to: &str| {
            assert!(text.contains(from) && from.len() == to.len(), "{text}");
            let body = text.replace(from, to);
            lie(&written, &[&bytes[..8], body.as_bytes(), &bytes[header..]].concat()).unwrap_err().code()
        };
        assert_eq!(swapped("a.gamma", "a.gammo"), "weights.missing_tensor");
        assert_eq!(swapped("\"U32\"", "\"I32\""), "weights.shape");
        assert_eq!(swapped("[4,6]", "[6,4]"), "weights.shape");
        assert_eq!(swapped("[8,5]", "[5,8]"), "weights.shape");
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        let written = write_shards(&[("a", &tensors())]).unwrap();
        let bytes = &written.files[0].1;
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let meta: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
        let poison = |entry: &str, value: &[u8]| {
            let at = header + meta[entry]["data_offsets"][0].as_u64().unwrap() as usize;
            let mut bad = bytes.clone();
            bad[at..at + value.len()].copy_from_slice(value);
            lie(&written, &bad).unwrap_err().code()
        };
        for entry in ["a.half", "a.q.weight.scale", "a.q.weight.min", "b.q.weight.scale", "a.conv.weight.scale"] {
            assert_eq!(poison(entry, &half::f16::NAN.to_le_bytes()), "weights.not_finite");
            assert_eq!(poison(entry, &half::f16::NEG_INFINITY.to_le_bytes()), "weights.not_finite");
        }
        assert_eq!(poison("a.gamma", &f32::INFINITY.to_le_bytes()), "weights.not_finite");
        // Neither are they written.
        let bad = TensorMap([("x".to_string(), Stored::float([1], vec![f32::NAN]))].into());
        assert_eq!(write_shards(&[("a", &bad)]).unwrap_err().code(), "weights.not_finite");
        let bad = TensorMap([("x".to_string(), Stored::half([1], vec![1e6]))].into());
        assert_eq!(write_shards(&[("a", &bad)]).unwrap_err().code(), "weights.not_finite");
    }

    #[test]
    fn a_tensor_that_the_manifest_does_not_name_is_refused() {
        let mut written = write_shards(&[("a", &tensors())]).unwrap();
        written.tensors.remove("a.gamma");
        assert_eq!(lie(&written, &written.files[0].1.clone()).unwrap_err().code(), "weights.format");
    }
}
