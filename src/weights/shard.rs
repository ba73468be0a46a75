//! Shards: safetensors files of at most 16 MiB, written deterministically and read without trust.
//!
//! A stored tensor becomes one entry (plain f32, f16) or several: flat 8-bit blocks `name.q` I8 and `name.scale` F16;
//! blocks of 32 inputs `name.words` U32 `[k · bits / 32, n]`, `name.scale` F16 `[k / 32, n]` and, for 4 bits, `name.min`.
//! A matrix larger than a shard is cut into parts along n (a float tensor along its first axis). Groups never share a
//! shard, so that files of a frozen part of the model stay byte-identical when the rest is trained further.

use super::manifest::{Codec, FileEntry, FileKind, TensorEntry, sha256_hex};
use super::store::{Stored, TensorMap};
use crate::error::{Error, Result, WeightsFault};
use crate::quant::{BLOCK, Blocks};
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::BTreeMap;

/// Largest shard, header included.
pub const SHARD_BYTES: usize = 16 << 20;
/// What a shard may hold beside its header.
const BUDGET: usize = SHARD_BYTES - (64 << 10);
/// Room for one entry of the header.
const ENTRY: usize = 160;

/// Shards with what the manifest has to say about them.
#[derive(Debug, Default)]
pub struct Written {
    /// Name and bytes of every shard.
    pub files: Vec<(String, Vec<u8>)>,
    /// Entries of the files, in the same order.
    pub entries: Vec<FileEntry>,
    /// Every tensor, parts apart.
    pub tensors: BTreeMap<String, TensorEntry>,
}

/// Entries of one stored tensor: name, type, shape, bytes.
type Entries = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

/// Packs groups of tensors into shards named `<group>-<nn>-<12 hex of the hash>.safetensors`. The same tensors give the
/// same bytes.
///
/// # Errors
/// `weights.not_finite`; `weights.shape` for parts that disagree; `weights.format` for a name that occurs twice or a
/// tensor that cannot be cut small enough.
pub fn write_shards(groups: &[(&str, &TensorMap)]) -> Result<Written> {
    let mut out = Written::default();
    for (group, map) in groups {
        let mut number = 0;
        let mut entries: Entries = Vec::new();
        let mut held: Vec<(String, Codec, Vec<usize>)> = Vec::new();
        let mut size = 0;
        for (name, tensor) in &map.0 {
            for (name, part) in split(name, tensor)? {
                let part = part.as_ref().unwrap_or(tensor);
                let e = encode(&name, part)?;
                let bytes: usize = e.iter().map(|(n, _, _, b)| b.len() + n.len() + ENTRY).sum();
                if size + bytes > BUDGET && !entries.is_empty() {
                    close(group, &mut number, &mut entries, &mut held, &mut out)?;
                    size = 0;
                }
                size += bytes;
                entries.extend(e);
                held.push((name, codec(part), part.shape()));
            }
        }
        if !entries.is_empty() {
            close(group, &mut number, &mut entries, &mut held, &mut out)?;
        }
    }
    Ok(out)
}

fn close(
    group: &str,
    number: &mut usize,
    entries: &mut Entries,
    held: &mut Vec<(String, Codec, Vec<usize>)>,
    out: &mut Written,
) -> Result<()> {
    let format = |e: &dyn std::fmt::Display| Error::weights(WeightsFault::Format, format!("group {group}: {e}"));
    let mut names: Vec<&str> = entries.iter().map(|e| e.0.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
        return Err(format(&format_args!("{} occurs twice", twice[0])));
    }
    let views = entries
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| format(&e))?;
    let bytes = serialize(views, None).map_err(|e| format(&e))?;
    if bytes.len() > SHARD_BYTES {
        return Err(format(&"a tensor is larger than a shard"));
    }
    let sha256 = sha256_hex(&bytes);
    let file = format!("{group}-{number:02}-{}.safetensors", &sha256[..12]);
    for (name, codec, shape) in held.drain(..) {
        let entry = TensorEntry { file: file.clone(), codec, shape };
        if out.tensors.insert(name.clone(), entry).is_some() {
            return Err(format(&format_args!("{name} occurs twice")));
        }
    }
    out.entries.push(FileEntry { name: file.clone(), bytes: bytes.len() as u64, sha256, kind: FileKind::Shard });
    out.files.push((file, bytes));
    *number += 1;
    entries.clear();
    Ok(())
}

fn codec(t: &Stored) -> Codec {
    match t {
        Stored::Float { half: false, .. } => Codec::F32,
        Stored::Float { half: true, .. } => Codec::F16,
        Stored::Flat8 { .. } => Codec::Q8f,
        Stored::Blocks(b) if b.bits == 4 => Codec::Q4,
        Stored::Blocks(_) => Codec::Q8,
    }
}

/// The tensor itself (`None`: as it is), or its parts if it does not fit into one shard.
fn split(name: &str, t: &Stored) -> Result<Vec<(String, Option<Stored>)>> {
    let room = BUDGET - 4 * (ENTRY + name.len() + 16);
    let parts: Vec<Stored> = match t {
        Stored::Blocks(b) => {
            b.check()?;
            let column = (b.words.len() * 4 + b.scales.len() * if b.mins.is_some() { 4 } else { 2 }) / b.n.max(1);
            let width = room / column.max(1) / 64 * 64;
            if column * b.n <= room || width == 0 {
                Vec::new()
            } else {
                (0..b.n).step_by(width).map(|from| Stored::Blocks(b.columns(from, width.min(b.n - from)))).collect()
            }
        }
        Stored::Float { shape, data, half } => {
            let row = data.len() / shape.first().copied().unwrap_or(1).max(1);
            let rows = room / (row * if *half { 2 } else { 4 }).max(1);
            if shape.is_empty() || shape[0] <= rows || rows == 0 {
                Vec::new()
            } else {
                data.chunks(rows * row)
                    .map(|part| {
                        let mut shape = shape.clone();
                        shape[0] = part.len() / row;
                        Stored::Float { shape, data: part.to_vec(), half: *half }
                    })
                    .collect()
            }
        }
        Stored::Flat8 { .. } => Vec::new(),
    };
    if parts.is_empty() {
        return Ok(vec![(name.to_string(), None)]);
    }
    Ok(parts.into_iter().enumerate().map(|(i, p)| (format!("{name}#{i}"), Some(p))).collect())
}

/// Parts of one tensor, in order, back into one.
///
/// # Errors
/// `weights.shape` if they do not fit together.
pub(super) fn join(name: &str, parts: Vec<Stored>) -> Result<Stored> {
    let misfit = || Error::weights(WeightsFault::Shape, format!("{name}: its parts do not fit together"));
    let mut parts = parts.into_iter();
    let mut whole = parts.next().ok_or_else(misfit)?;
    let mut blocks = Vec::new();
    for part in parts {
        match (&mut whole, part) {
            (Stored::Float { shape, data, half }, Stored::Float { shape: s, data: d, half: h })
                if *half == h && shape.get(1..) == s.get(1..) && !s.is_empty() =>
            {
                shape[0] += s[0];
                data.extend(d);
            }
            (Stored::Blocks(a), Stored::Blocks(b)) if a.bits == b.bits && a.k == b.k => blocks.push(b),
            _ => return Err(misfit()),
        }
    }
    if let Stored::Blocks(first) = whole {
        blocks.insert(0, first);
        return Ok(Stored::Blocks(Blocks::side_by_side(&blocks)));
    }
    Ok(whole)
}

fn encode(name: &str, t: &Stored) -> Result<Entries> {
    let halves = |values: &[f32], what: &str| {
        let mut bytes = Vec::with_capacity(values.len() * 2);
        for v in values {
            let h = f16::from_f32(*v);
            if !h.is_finite() {
                return Err(Error::weights(WeightsFault::NotFinite, format!("{name}{what}: {v}")));
            }
            bytes.extend(h.to_le_bytes());
        }
        Ok(bytes)
    };
    Ok(match t {
        Stored::Float { shape, data, half: true } => vec![(name.into(), Dtype::F16, shape.clone(), halves(data, "")?)],
        Stored::Float { shape, data, half: false } => {
            if data.iter().any(|v| !v.is_finite()) {
                return Err(Error::weights(WeightsFault::NotFinite, name));
            }
            vec![(name.into(), Dtype::F32, shape.clone(), data.iter().flat_map(|v| v.to_le_bytes()).collect())]
        }
        Stored::Flat8 { data, scales, .. } => vec![
            (format!("{name}.q"), Dtype::I8, vec![data.len()], data.iter().map(|q| *q as u8).collect()),
            (format!("{name}.scale"), Dtype::F16, vec![scales.len()], halves(scales, ".scale")?),
        ],
        Stored::Blocks(b) => {
            b.check()?;
            let per_block = vec![b.k / BLOCK, b.n];
            let words = b.words.iter().flat_map(|w| w.to_le_bytes()).collect();
            let mut all = vec![
                (format!("{name}.words"), Dtype::U32, vec![b.k * b.bits as usize / 32, b.n], words),
                (format!("{name}.scale"), Dtype::F16, per_block.clone(), halves(&b.scales, ".scale")?),
            ];
            if let Some(mins) = &b.mins {
                all.push((format!("{name}.min"), Dtype::F16, per_block, halves(mins, ".min")?));
            }
            all
        }
    })
}

/// Reads a shard whose hash has been checked: exactly the `expected` tensors, each of the stated form.
///
/// # Errors
/// `weights.format`, `weights.missing_tensor`, `weights.shape`, `weights.not_finite`, all naming `file`.
pub(super) fn read_shard(file: &str, bytes: &[u8], expected: &[(&String, &TensorEntry)]) -> Result<Vec<(String, Stored)>> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| Error::weights(WeightsFault::Format, format!("{file}: {e}")))?;
    let reader = Reader { file, tensors };
    let mut used = 0;
    let mut out = Vec::with_capacity(expected.len());
    for (name, entry) in expected {
        let (tensor, entries) = reader.tensor(name, entry)?;
        used += entries;
        out.push(((*name).clone(), tensor));
    }
    if used != reader.tensors.len() {
        return Err(Error::weights(WeightsFault::Format, format!("{file}: holds tensors that the manifest does not name")));
    }
    Ok(out)
}

struct Reader<'a> {
    file: &'a str,
    tensors: SafeTensors<'a>,
}

impl Reader<'_> {
    fn fail(&self, fault: WeightsFault, detail: impl std::fmt::Display) -> Error {
        Error::weights(fault, format!("{}: {detail}", self.file))
    }

    /// The tensor and the number of entries it took.
    fn tensor(&self, name: &str, entry: &TensorEntry) -> Result<(Stored, usize)> {
        let shape = entry.shape.clone();
        // `Manifest::check` has bounded the product and, for blocks, the form of the shape.
        let len: usize = shape.iter().product();
        Ok(match entry.codec {
            Codec::F32 => {
                let data = self.entry(name, Dtype::F32, &shape)?.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                (Stored::Float { shape, data: self.finite(name, data)?, half: false }, 1)
            }
            Codec::F16 => (Stored::Float { data: self.halves(name, &shape)?, shape, half: true }, 1),
            Codec::Q8f => {
                let blocks = len.div_ceil(BLOCK);
                let data = self.entry(&format!("{name}.q"), Dtype::I8, &[blocks * BLOCK])?.iter().map(|b| *b as i8).collect();
                (Stored::Flat8 { shape, data, scales: self.halves(&format!("{name}.scale"), &[blocks])? }, 2)
            }
            Codec::Q4 | Codec::Q8 => {
                let &[k, n] = shape.as_slice() else {
                    return Err(self.fail(WeightsFault::Shape, name));
                };
                let bits = if entry.codec == Codec::Q4 { 4 } else { 8 };
                let words = self.entry(&format!("{name}.words"), Dtype::U32, &[k * bits / 32, n])?;
                let words = words.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
                let per_block = [k / BLOCK, n];
                let scales = self.halves(&format!("{name}.scale"), &per_block)?;
                let mins = if bits == 4 { Some(self.halves(&format!("{name}.min"), &per_block)?) } else { None };
                let entries = 2 + usize::from(mins.is_some());
                (Stored::Blocks(Blocks { bits: bits as u32, k, n, words, scales, mins }), entries)
            }
        })
    }

    /// Bytes of an entry of that type and shape.
    fn entry(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&[u8]> {
        let view = self.tensors.tensor(name).map_err(|_| self.fail(WeightsFault::MissingTensor, name))?;
        if view.dtype() != dtype || view.shape() != shape {
            let found = format!("{name} is {:?} {:?}, not {dtype:?} {shape:?}", view.dtype(), view.shape());
            return Err(self.fail(WeightsFault::Shape, found));
        }
        Ok(view.data())
    }

    fn halves(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let data = self.entry(name, Dtype::F16, shape)?.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect();
        self.finite(name, data)
    }

    fn finite(&self, name: &str, data: Vec<f32>) -> Result<Vec<f32>> {
        if data.iter().all(|v| v.is_finite()) { Ok(data) } else { Err(self.fail(WeightsFault::NotFinite, name)) }
    }
}
