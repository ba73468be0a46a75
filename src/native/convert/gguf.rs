//! A reader of GGUF files (the container of llama.cpp): header, key-values, tensor table, no copies of tensor data.
//!
//! Only what conversion needs; every length is checked against the file before it is used, because the file comes from
//! a download. Layout: magic, version, counts, key-values, tensor table, padding to `general.alignment`, data.
//! Source: the GGUF specification in ggml (`docs/gguf.md`), versions 2 and 3, little-endian.

use crate::error::{Error, Result, WeightsFault};
use std::collections::BTreeMap;

/// Longest array or table that is believed; real files have about 50 thousand entries.
const MAX_ITEMS: u64 = 1 << 22;

/// One metadata value. Integers are widened, since writers disagree about their width.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer or boolean.
    Int(i64),
    /// f32 or f64.
    Float(f64),
    /// UTF-8 text.
    Text(String),
    /// An array, never nested deeper than one level.
    List(Vec<Value>),
}

/// Encoding of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 4 bytes a value.
    F32,
    /// 20 bytes a block of 32: f16 scale, f16 minimum, 16 bytes of which the low halves are values 0..16 and the high
    /// halves values 16..32; `w = q * scale + min`.
    Q4_1,
    /// 34 bytes a block of 32: f16 scale, 32 signed bytes; `w = q * scale`.
    Q8_0,
}

impl Kind {
    fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::F32),
            3 => Some(Self::Q4_1),
            8 => Some(Self::Q8_0),
            _ => None,
        }
    }

    /// (values, bytes) of one block.
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::Q4_1 => (32, 20),
            Self::Q8_0 => (32, 34),
        }
    }
}

/// A tensor of the file.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Length of a row (inputs), GGUF's first dimension.
    pub cols: usize,
    /// Number of rows (outputs), 1 for a vector.
    pub rows: usize,
    /// Encoding.
    pub kind: Kind,
    /// Encoded rows, one after another.
    pub data: &'a [u8],
}

/// An opened file.
#[derive(Debug)]
pub struct Gguf<'a> {
    /// Metadata by key.
    pub meta: BTreeMap<String, Value>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor<'a>>,
}

fn bad(detail: impl std::fmt::Display) -> Error {
    Error::weights(WeightsFault::Format, format!("GGUF: {detail}"))
}

/// A cursor over the file.
struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let len = usize::try_from(len).map_err(|_| bad("a length exceeds the address space"))?;
        let (head, rest) = self.rest.split_at_checked(len).ok_or_else(|| bad("the file ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| bad("the file ends too early"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String> {
        let len = self.u64()?;
        String::from_utf8(self.take(len)?.to_vec()).map_err(|_| bad("a text is not UTF-8"))
    }

    fn value(&mut self, code: u32, nested: bool) -> Result<Value> {
        Ok(match code {
            0 => Value::Int(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Int(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Int(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Int(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Int(self.u32()?.into()),
            5 => Value::Int(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Int(u8::from_le_bytes(self.array()?).into()),
            8 => Value::Text(self.text()?),
            9 if !nested => {
                let item = self.u32()?;
                let len = self.u64()?;
                if len > MAX_ITEMS {
                    return Err(bad(format!("an array of {len} items")));
                }
                Value::List((0..len).map(|_| self.value(item, true)).collect::<Result<_>>()?)
            }
            10 => Value::Int(i64::try_from(self.u64()?).map_err(|_| bad("an integer exceeds 63 bits"))?),
            11 => Value::Int(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => return Err(bad(format!("a metadata value of kind {code}"))),
        })
    }
}

impl<'a> Gguf<'a> {
    /// Reads header, metadata and tensor table.
    ///
    /// # Errors
    /// `weights.format`: not GGUF 2 or 3, truncated, or a tensor of an encoding that is not read here.
    pub fn open(file: &'a [u8]) -> Result<Self> {
        let mut bytes = Bytes { rest: file };
        if &bytes.array::<4>()? != b"GGUF" {
            return Err(bad("the magic is missing"));
        }
        let version = bytes.u32()?;
        if !(2..=3).contains(&version) {
            return Err(bad(format!("version {version}")));
        }
        let (tensor_count, meta_count) = (bytes.u64()?, bytes.u64()?);
        if tensor_count > MAX_ITEMS || meta_count > MAX_ITEMS {
            return Err(bad("impossible counts"));
        }
        let mut meta = BTreeMap::new();
        for _ in 0..meta_count {
            let key = bytes.text()?;
            let code = bytes.u32()?;
            meta.insert(key, bytes.value(code, false)?);
        }
        let mut table = Vec::new();
        for _ in 0..tensor_count {
            let name = bytes.text()?;
            let rank = bytes.u32()?;
            let dims = match rank {
                1 => [bytes.u64()?, 1],
                2 => [bytes.u64()?, bytes.u64()?],
                _ => return Err(bad(format!("{name} has rank {rank}"))),
            };
            let code = bytes.u32()?;
            let kind = Kind::from_code(code).ok_or_else(|| bad(format!("{name} has encoding {code}")))?;
            table.push((name, dims, kind, bytes.u64()?));
        }
        let align = match meta.get("general.alignment") {
            Some(Value::Int(a)) if *a > 0 && *a <= 1 << 20 => *a as usize,
            None => 32,
            Some(other) => return Err(bad(format!("alignment {other:?}"))),
        };
        let start = (file.len() - bytes.rest.len()).next_multiple_of(align);
        let data = file.get(start..).ok_or_else(|| bad("the data is missing"))?;
        let mut tensors = BTreeMap::new();
        for (name, [cols, rows], kind, offset) in table {
            let (values, size) = kind.block();
            let fits = (|| {
                let (cols, rows) = (usize::try_from(cols).ok()?, usize::try_from(rows).ok()?);
                let offset = usize::try_from(offset).ok()?;
                if cols == 0 || !cols.is_multiple_of(values) {
                    return None;
                }
                let len = (cols / values).checked_mul(size)?.checked_mul(rows)?;
                Some(Tensor { cols, rows, kind, data: data.get(offset..offset.checked_add(len)?)? })
            })();
            let tensor = fits.ok_or_else(|| bad(format!("{name} does not lie within the file")))?;
            tensors.insert(name, tensor);
        }
        Ok(Self { meta, tensors })
    }

    /// A tensor that must be there, of that encoding and size.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn expect(&self, name: &str, kind: Kind, cols: usize, rows: usize) -> Result<Tensor<'a>> {
        let t = *self.tensors.get(name).ok_or_else(|| Error::weights(WeightsFault::MissingTensor, name))?;
        if (t.kind, t.cols, t.rows) != (kind, cols, rows) {
            let found = format!("{name}: {:?} [{}, {}] where {kind:?} [{cols}, {rows}] is needed", t.kind, t.cols, t.rows);
            return Err(Error::weights(WeightsFault::Shape, found));
        }
        Ok(t)
    }

    /// An integer of the metadata.
    ///
    /// # Errors
    /// `weights.format` if absent, negative or not an integer.
    pub fn int(&self, key: &str) -> Result<usize> {
        match self.meta.get(key) {
            Some(Value::Int(v)) => usize::try_from(*v).map_err(|_| bad(format!("{key} is negative"))),
            _ => Err(bad(format!("{key} is missing"))),
        }
    }

    /// A number of the metadata.
    ///
    /// # Errors
    /// `weights.format` if absent or not a number.
    pub fn number(&self, key: &str) -> Result<f64> {
        match self.meta.get(key) {
            Some(Value::Float(v)) => Ok(*v),
            Some(Value::Int(v)) => Ok(*v as f64),
            _ => Err(bad(format!("{key} is missing"))),
        }
    }

    /// A text of the metadata.
    ///
    /// # Errors
    /// `weights.format` if absent or not a text.
    pub fn text(&self, key: &str) -> Result<&str> {
        match self.meta.get(key) {
            Some(Value::Text(v)) => Ok(v),
            _ => Err(bad(format!("{key} is missing"))),
        }
    }

    /// A list of the metadata.
    ///
    /// # Errors
    /// `weights.format` if absent or not a list.
    pub fn list(&self, key: &str) -> Result<&[Value]> {
        match self.meta.get(key) {
            Some(Value::List(v)) => Ok(v),
            _ => Err(bad(format!("{key} is missing"))),
        }
    }
}

impl Tensor<'_> {
    /// Values of an f32 tensor.
    pub fn f32(&self) -> Vec<f32> {
        self.data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one metadata text and one f32 tensor of 3 values.
    fn small() -> Vec<u8> {
        let mut f = b"GGUF".to_vec();
        f.extend(3u32.to_le_bytes());
        f.extend(1u64.to_le_bytes());
        f.extend(1u64.to_le_bytes());
        let text = |f: &mut Vec<u8>, s: &str| {
            f.extend((s.len() as u64).to_le_bytes());
            f.extend(s.as_bytes());
        };
        text(&mut f, "general.architecture");
        f.extend(8u32.to_le_bytes());
        text(&mut f, "llama");
        text(&mut f, "norm");
        f.extend(1u32.to_le_bytes());
        f.extend(3u64.to_le_bytes());
        f.extend(0u32.to_le_bytes());
        f.extend(0u64.to_le_bytes());
        f.resize(f.len().next_multiple_of(32), 0);
        for v in [1.0f32, -2.0, 0.5] {
            f.extend(v.to_le_bytes());
        }
        f
    }

    #[test]
    fn a_small_file_is_read() {
        let file = small();
        let g = Gguf::open(&file).unwrap();
        assert_eq!(g.text("general.architecture").unwrap(), "llama");
        assert_eq!(g.expect("norm", Kind::F32, 3, 1).unwrap().f32(), [1.0, -2.0, 0.5]);
        assert_eq!(g.expect("norm", Kind::F32, 4, 1).unwrap_err().code(), "weights.shape");
        assert_eq!(g.expect("other", Kind::F32, 4, 1).unwrap_err().code(), "weights.missing_tensor");
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_survived() {
        let file = small();
        for len in 0..file.len() {
            assert_eq!(Gguf::open(&file[..len]).unwrap_err().code(), "weights.format", "cut at {len}");
        }
        for at in 0..file.len() {
            let mut broken = file.clone();
            broken[at] ^= 0xff;
            // Either still readable or refused; never a panic or an attempt to allocate what a wild length asks for.
            let _ = Gguf::open(&broken);
        }
    }
}
