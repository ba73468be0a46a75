//! Reads a PyTorch checkpoint (`torch.save`, zip container) without Python and without running anything in it.
//!
//! The container is a zip of stored, never compressed, entries: `<name>/data.pkl`, a pickle of the state dict, and
//! `<name>/data/<key>`, the raw little-endian storages it refers to. The walker below knows the pickle opcodes that a
//! state dict needs and four callables (ordered dict, tensor rebuild and the storage types), refuses everything else by
//! name, and bounds nesting and sizes, since a pickle is a program. Files from before PyTorch 1.6 are several pickles and the storages in a
//! row, without a container; they are read, too. Format: Python's `pickletools`, PyTorch's
//! `torch/serialization.py` and `torch/_utils.py`. (The crate `pytorch-reader` does the same from a file path, but its
//! zip reader changes features of `indexmap` and `flate2` for the whole program.)

use crate::error::{Error, Result, WeightsFault};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::rc::Rc;

/// Deepest nesting of tuples and dicts that is followed.
const MAX_DEPTH: u32 = 32;
/// Longest pickle, bytes.
const MAX_PICKLE: usize = 64 << 20;

/// Element type of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 64-bit integer.
    I64,
}

impl Dtype {
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I64 => 8,
        }
    }
}

/// A tensor of the checkpoint: where its values lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Row-major shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: Dtype,
    storage: Rc<str>,
    /// In elements.
    offset: usize,
    strides: Vec<usize>,
}

/// Begins a file from before the zip container: protocol 2, then the number 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// An opened checkpoint.
pub struct Checkpoint<'a> {
    /// Tensors by their name in the state dict.
    pub tensors: BTreeMap<String, Entry>,
    storages: HashMap<String, &'a [u8]>,
}

fn bad(detail: impl Display) -> Error {
    Error::weights(WeightsFault::Format, format!("checkpoint: {detail}"))
}

impl<'a> Checkpoint<'a> {
    /// Opens the bytes of a `.pt` file. Nothing is copied.
    ///
    /// # Errors
    /// `weights.format`: not a zip, a compressed entry, no or several pickles, an opcode or callable that a state dict
    /// does not need.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        if let Some(rest) = bytes.strip_prefix(LEGACY) {
            return Self::legacy(rest);
        }
        let archive = rawzip::ZipArchive::from_slice(bytes).map_err(|e| bad(format!("{e:?}")))?;
        let mut storages = HashMap::new();
        let mut pickle: Option<&'a [u8]> = None;
        for entry in archive.entries() {
            let entry = entry.map_err(bad)?;
            let path = entry.file_path();
            let name = std::str::from_utf8(path.as_ref()).map_err(bad)?;
            if entry.compression_method() != rawzip::CompressionMethod::STORE {
                return Err(bad(format!("{name} is compressed")));
            }
            // The body is taken from `bytes` by range, because a slice from the archive would borrow the archive.
            let (start, end) = archive.get_entry(entry.wayfinder()).map_err(bad)?.compressed_data_range();
            let body = bytes.get(start as usize..end as usize).ok_or_else(|| bad(format!("{name} lies outside the file")))?;
            if rawzip::crc32(body) != entry.crc32() {
                return Err(bad(format!("{name} is damaged")));
            }
            if let Some((_, key)) = name.split_once("/data/") {
                storages.insert(key.to_owned(), body);
            } else if name.ends_with("/data.pkl") && pickle.replace(body).is_some() {
                return Err(bad("two pickles"));
            }
        }
        let pickle = pickle.ok_or_else(|| bad("no data.pkl"))?;
        if pickle.len() > MAX_PICKLE {
            return Err(bad("the pickle is too long"));
        }
        let tensors = tensors(&Walker::new(pickle).walk()?.0)?;
        Ok(Self { tensors, storages })
    }

    /// What follows the magic number: pickles of the protocol, of the writer's system, of the state dict and of the storages' keys in
    /// order; then for each key its length in elements (8 bytes) and its values.
    fn legacy(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = bytes;
        let mut next = || {
            let (value, after) = Walker::new(&rest[..rest.len().min(MAX_PICKLE)]).walk()?;
            rest = &rest[rest.len().min(MAX_PICKLE) - after.len()..];
            Ok::<_, Error>(value)
        };
        let (_protocol, _system, dict, keys) = (next()?, next()?, next()?, next()?);
        let (tensors, Value::Tuple(keys, _)) = (tensors(&dict)?, keys) else { return Err(bad("the storages have no list of keys")) };
        let sizes: HashMap<&str, usize> = tensors.values().map(|e| (&*e.storage, e.dtype.size())).collect();
        let mut storages = HashMap::new();
        for key in keys.iter() {
            let Value::Str(key) = key else { return Err(bad("a storage without a key")) };
            let size = *sizes.get(&**key).ok_or_else(|| bad("a storage that no tensor has"))?;
            let (length, after) = rest.split_first_chunk::<8>().ok_or_else(|| bad("a storage is missing"))?;
            let bytes = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|n| n.checked_mul(size));
            let (body, after) = bytes.and_then(|n| after.split_at_checked(n)).ok_or_else(|| bad("a storage is too short"))?;
            storages.insert(key.to_string(), body);
            rest = after;
        }
        Ok(Self { tensors, storages })
    }

    /// Shape and values of a float tensor, row-major, whatever the order in which its storage has them.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.format` (an integer tensor, a view that repeats values, a storage that is too short).
    pub fn floats(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let e = self.tensors.get(name).ok_or_else(|| Error::weights(WeightsFault::MissingTensor, name))?;
        let short = || bad(format!("{name}: its storage is missing or too short"));
        let size = e.dtype.size();
        let body =
            self.storages.get(&*e.storage).zip(e.offset.checked_mul(size)).and_then(|(body, from)| body.get(from..)).ok_or_else(short)?;
        let count = e.shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).filter(|n| *n <= body.len() / size).ok_or_else(short)?;
        // Where the last value lies.
        let last = |sum: usize, (s, stride): (&usize, &usize)| sum.checked_add(s.saturating_sub(1).checked_mul(*stride)?);
        let reach = e.shape.iter().zip(&e.strides).try_fold(0, last).ok_or_else(short)?;
        if count > 0 && reach + 1 != count {
            return Err(bad(format!("{name} is a view with gaps or repeats")));
        }
        let mut axes: Vec<(usize, usize)> = e.shape.iter().copied().zip(e.strides.iter().copied()).collect();
        let mut expected = 1;
        let in_order = axes.iter().rev().all(|(s, stride)| {
            let fits = *s == 1 || *stride == expected;
            expected *= s;
            fits
        });
        let mut turned = Vec::new();
        let bytes = if in_order {
            &body[..count * size]
        } else {
            turned.reserve(count * size);
            axes.reverse();
            for i in 0..count {
                // Row-major: the last axis runs fastest.
                let at = axes.iter().fold((i, 0), |(rest, at), (s, stride)| (rest / s, at + rest % s * stride)).1;
                turned.extend_from_slice(&body[at * size..][..size]);
            }
            &turned[..]
        };
        let values = match e.dtype {
            Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => bytes.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::I64 => return Err(bad(format!("{name} holds integers"))),
        };
        Ok((e.shape.clone(), values))
    }
}

/// The tensors of a state dict.
fn tensors(dict: &Value) -> Result<BTreeMap<String, Entry>> {
    let Value::Dict(items, _) = dict else { return Err(bad("the pickle is not a dict")) };
    let tensor = |(name, value): &(Rc<str>, Value)| match value {
        Value::Tensor(entry) => Some((name.to_string(), (**entry).clone())),
        _ => None,
    };
    Ok(items.iter().filter_map(tensor).collect())
}

/// A value on the pickle's stack. Containers carry their depth, so that dropping one cannot overflow the stack.
#[derive(Debug, Clone)]
enum Value {
    Mark,
    /// None, a bool, a number that is no integer: nothing that is looked at.
    Other,
    Int(i64),
    Str(Rc<str>),
    /// A list is one, too.
    Tuple(Rc<[Value]>, u32),
    /// Entries with text keys, in order. A copy in the memo does not see later entries; a state dict has none shared.
    Dict(Rc<Vec<(Rc<str>, Value)>>, u32),
    Global(Rc<str>),
    Storage(Dtype, Rc<str>),
    Tensor(Rc<Entry>),
}

impl Value {
    fn depth(&self) -> u32 {
        match self {
            Self::Tuple(_, d) | Self::Dict(_, d) => *d,
            _ => 0,
        }
    }

    fn tuple(items: Vec<Value>) -> Result<Self> {
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        if depth > MAX_DEPTH { Err(bad("nested too deeply")) } else { Ok(Self::Tuple(items.into(), depth)) }
    }

    fn ints(&self) -> Option<Vec<usize>> {
        let Self::Tuple(items, _) = self else { return None };
        items.iter().map(|v| if let Self::Int(i) = v { usize::try_from(*i).ok() } else { None }).collect()
    }
}

struct Walker<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl<'a> Walker<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest, stack: Vec::new(), memo: HashMap::new() }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or_else(|| bad("the pickle ends too early"))?;
        self.rest = tail;
        Ok(head)
    }

    /// Little-endian unsigned integer of `n` ≤ 8 bytes.
    fn uint(&mut self, n: usize) -> Result<u64> {
        Ok(self.take(n)?.iter().rev().fold(0, |a, b| a << 8 | u64::from(*b)))
    }

    fn text(&mut self, length: u64) -> Result<Rc<str>> {
        let n = usize::try_from(length).map_err(bad)?;
        Ok(std::str::from_utf8(self.take(n)?).map_err(bad)?.into())
    }

    fn line(&mut self) -> Result<&'a str> {
        let n = self.rest.iter().position(|b| *b == b'\n').ok_or_else(|| bad("the pickle ends too early"))?;
        let line = std::str::from_utf8(self.take(n)?).map_err(bad)?;
        self.take(1)?;
        Ok(line)
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().ok_or_else(|| bad("the pickle's stack is empty"))
    }

    fn top(&self) -> Result<Value> {
        self.stack.last().cloned().ok_or_else(|| bad("the pickle's stack is empty"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>> {
        let at = self.stack.iter().rposition(|v| matches!(v, Value::Mark)).ok_or_else(|| bad("no mark"))?;
        let items = self.stack.split_off(at + 1);
        self.stack.pop();
        Ok(items)
    }

    /// Adds key-value pairs to the dict on top. Keys that are no text are dropped.
    fn set(&mut self, pairs: Vec<Value>) -> Result<()> {
        let Some(Value::Dict(items, depth)) = self.stack.last_mut() else { return Err(bad("no dict to add to")) };
        let items = Rc::make_mut(items);
        let mut pairs = pairs.into_iter();
        while let Some(key) = pairs.next() {
            let value = pairs.next().ok_or_else(|| bad("a key without a value"))?;
            *depth = (*depth).max(1 + value.depth());
            if let Value::Str(key) = key {
                items.push((key, value));
            }
        }
        if *depth > MAX_DEPTH { Err(bad("nested too deeply")) } else { Ok(()) }
    }

    /// The value, and the bytes after the pickle.
    fn walk(mut self) -> Result<(Value, &'a [u8])> {
        loop {
            let op = self.uint(1)? as u8;
            let value = match op {
                0x80 => {
                    self.take(1)?; // protocol
                    continue;
                }
                0x95 => {
                    self.take(8)?; // frame length
                    continue;
                }
                b'.' => return Ok((self.pop()?, self.rest)),
                b'(' => Value::Mark,
                b'N' | 0x88 | 0x89 => Value::Other,
                b'G' => {
                    self.take(8)?; // double
                    Value::Other
                }
                b'K' => Value::Int(self.uint(1)? as i64),
                b'M' => Value::Int(self.uint(2)? as i64),
                b'J' => Value::Int(i64::from(self.uint(4)? as u32 as i32)),
                0x8a => self.long1()?,
                b'X' => {
                    let n = self.uint(4)?;
                    Value::Str(self.text(n)?)
                }
                0x8c => {
                    let n = self.uint(1)?;
                    Value::Str(self.text(n)?)
                }
                b')' | b']' => Value::tuple(Vec::new())?,
                b'e' => {
                    let more = self.pop_mark()?;
                    let Value::Tuple(items, _) = self.pop()? else { return Err(bad("no list to add to")) };
                    Value::tuple(items.iter().cloned().chain(more).collect())?
                }
                0x85..=0x87 => {
                    let from = self.stack.len().checked_sub((op - 0x84) as usize).ok_or_else(|| bad("a short tuple"))?;
                    Value::tuple(self.stack.split_off(from))?
                }
                b't' => Value::tuple(self.pop_mark()?)?,
                b'}' => Value::Dict(Rc::default(), 1),
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set(vec![key, value])?;
                    continue;
                }
                b'u' => {
                    let pairs = self.pop_mark()?;
                    self.set(pairs)?;
                    continue;
                }
                b'q' | b'r' | 0x94 => {
                    let slot = match op {
                        b'q' => self.uint(1)? as u32,
                        b'r' => self.uint(4)? as u32,
                        _ => self.memo.len() as u32,
                    };
                    let top = self.top()?;
                    self.memo.insert(slot, top);
                    continue;
                }
                b'h' | b'j' => {
                    let slot = self.uint(if op == b'h' { 1 } else { 4 })? as u32;
                    self.memo.get(&slot).cloned().ok_or_else(|| bad("an empty memo slot"))?
                }
                b'c' => {
                    let module = self.line()?;
                    Value::Global(format!("{module}.{}", self.line()?).into())
                }
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Str(name), Value::Str(module)) => Value::Global(format!("{module}.{name}").into()),
                    _ => return Err(bad("a global without a name")),
                },
                b'Q' => persistent(&self.pop()?)?,
                b'R' => {
                    let arguments = self.pop()?;
                    call(&self.pop()?, &arguments)?
                }
                b'b' => {
                    self.pop()?; // attributes of a dict (`_metadata`)
                    continue;
                }
                _ => return Err(bad(format!("pickle opcode {op:#04x} has no place in a state dict"))),
            };
            self.stack.push(value);
        }
    }

    fn long1(&mut self) -> Result<Value> {
        let n = self.uint(1)? as usize;
        let bytes = self.take(n)?;
        if n > 8 {
            return Ok(Value::Other);
        }
        let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut full = [sign; 8];
        full[..n].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(full)))
    }
}

/// `("storage", type, key, device, length)` → the storage.
fn persistent(id: &Value) -> Result<Value> {
    let Value::Tuple(items, _) = id else { return Err(bad("a persistent id that is no tuple")) };
    let [Value::Str(kind), Value::Global(class), Value::Str(key), ..] = &items[..] else {
        return Err(bad("a persistent id that is no storage"));
    };
    let dtype = match (&**kind, &**class) {
        ("storage", "torch.FloatStorage") => Dtype::F32,
        ("storage", "torch.HalfStorage") => Dtype::F16,
        ("storage", "torch.LongStorage") => Dtype::I64,
        _ => return Err(bad(format!("{kind} of {class}"))),
    };
    Ok(Value::Storage(dtype, key.clone()))
}

/// The two calls that a state dict makes.
fn call(callable: &Value, arguments: &Value) -> Result<Value> {
    let (Value::Global(name), Value::Tuple(items, _)) = (callable, arguments) else { return Err(bad("a call of nothing")) };
    match (&**name, &items[..]) {
        ("collections.OrderedDict", []) => Ok(Value::Dict(Rc::default(), 1)),
        ("torch._utils._rebuild_tensor_v2", [Value::Storage(dtype, key), Value::Int(offset), size, stride, ..]) => {
            let shape = size.ints().ok_or_else(|| bad("a tensor without a shape"))?;
            let strides = stride.ints().filter(|s| s.len() == shape.len()).ok_or_else(|| bad("a tensor without strides"))?;
            let offset = usize::try_from(*offset).map_err(bad)?;
            Ok(Value::Tensor(Rc::new(Entry { shape, dtype: *dtype, storage: key.clone(), offset, strides })))
        }
        _ => Err(bad(format!("a call of {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A checkpoint with one tensor `w` = [[1,2,3],[4,5,6]], as `torch.save` lays it out.
    fn checkpoint(pickle: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
        let storage: Vec<u8> = (1..=6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        for (name, body) in [("m/data.pkl", pickle), ("m/data/0", &storage[..])] {
            let (mut entry, config) = archive.new_file(name).start().unwrap();
            let mut writer = config.wrap(&mut entry);
            writer.write_all(body).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        out
    }

    /// The same tensor as PyTorch laid it out before 1.6.
    fn legacy(pickle: &[u8]) -> Vec<u8> {
        let mut out = [LEGACY, b"\x80\x02M\xe9\x03.", b"\x80\x02}.", pickle, b"\x80\x02]q\x00(X\x01\x00\x00\x000e."].concat();
        out.extend(6u64.to_le_bytes());
        out.extend((1..=6).flat_map(|i| (i as f32).to_le_bytes()));
        out
    }

    fn pickle(strides: [u8; 2]) -> Vec<u8> {
        let mut p = b"\x80\x02ccollections\nOrderedDict\nq\x00)RX\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
        p.extend(b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQK\x00K\x02K\x03\x86K");
        p.extend([strides[0], b'K', strides[1]]);
        p.extend(b"\x86\x89h\x00)RtRs.");
        p
    }

    #[test]
    fn reads_a_tensor() {
        let bytes = checkpoint(&pickle([3, 1]));
        let file = Checkpoint::open(&bytes).unwrap();
        assert_eq!(file.floats("w").unwrap(), (vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(file.floats("v").unwrap_err().code(), "weights.missing_tensor");
        let bytes = legacy(&pickle([3, 1]));
        assert_eq!(Checkpoint::open(&bytes).unwrap().floats("w").unwrap().1, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn reads_a_transposed_view_and_refuses_gaps_and_damage() {
        let bytes = checkpoint(&pickle([1, 2]));
        assert_eq!(Checkpoint::open(&bytes).unwrap().floats("w").unwrap().1, vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        let bytes = checkpoint(&pickle([1, 1]));
        assert_eq!(Checkpoint::open(&bytes).unwrap().floats("w").unwrap_err().code(), "weights.format");
        // Every truncation and every flipped byte must give an error or a tensor, never a panic.
        for good in [checkpoint(&pickle([3, 1])), legacy(&pickle([3, 1]))] {
            for i in 0..good.len() {
                let _ = Checkpoint::open(&good[..i]).map(|f| f.floats("w"));
                let mut flipped = good.clone();
                flipped[i] ^= 0x15;
                let _ = Checkpoint::open(&flipped).map(|f| f.floats("w"));
            }
        }
    }

    #[test]
    fn refuses_foreign_callables_and_deep_nesting() {
        let evil = checkpoint(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.");
        assert!(Checkpoint::open(&evil).err().unwrap().to_string().contains("os.system"));
        let mut deep = b"\x80\x02)".to_vec();
        deep.extend(std::iter::repeat_n(0x85, 100_000));
        deep.push(b'.');
        assert_eq!(Checkpoint::open(&checkpoint(&deep)).err().unwrap().code(), "weights.format");
    }
}
