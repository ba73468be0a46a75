//! SmolLM2-135M-Instruct: GGUF → our tensors and tokenizer, without loss.
//!
//! The 4-bit and 8-bit blocks of the file are carried over as they are: only their order changes, from rows of outputs
//! to our `[k / per_word, n]`. llama.cpp's converter interleaves the halves of every query and key head (for its "normal"
//! rotary layout of neighbouring pairs); the columns are put back here, so that the model can rotate by halves.

use super::gguf::{Gguf, Kind, Tensor, Value};
use crate::error::{Error, Result, WeightsFault};
use crate::quant::{BLOCK, Blocks};
use crate::text::tokenizer::ADDED;
use crate::weights::{Stored, TensorMap};
use serde_json::{Map, json};

/// (ours, theirs, how many inputs, how many outputs, rotated heads) of one layer.
const LAYER: [(&str, &str, Size, Size, Heads); 7] = [
    ("q", "attn_q", Size::Dim, Size::Dim, Heads::Query),
    ("k", "attn_k", Size::Dim, Size::Kv, Heads::Key),
    ("v", "attn_v", Size::Dim, Size::Kv, Heads::No),
    ("o", "attn_output", Size::Dim, Size::Dim, Heads::No),
    ("gate", "ffn_gate", Size::Dim, Size::Ffn, Heads::No),
    ("up", "ffn_up", Size::Dim, Size::Ffn, Heads::No),
    ("down", "ffn_down", Size::Ffn, Size::Dim, Heads::No),
];

/// Norms of one layer: (ours, theirs).
const NORMS: [(&str, &str); 2] = [("attn_norm", "attn_norm"), ("ffn_norm", "ffn_norm")];

#[derive(Clone, Copy)]
enum Size {
    Dim,
    Kv,
    Ffn,
}

#[derive(Clone, Copy)]
enum Heads {
    No,
    Query,
    Key,
}

/// Tensors named `lm.…`, and the text of `tokenizer.json` with our added tokens.
///
/// # Errors
/// `weights.format`, `weights.missing_tensor`, `weights.shape` for a file that is not this model in these encodings.
pub fn from_gguf(bytes: &[u8]) -> Result<(TensorMap, String)> {
    let file = Gguf::open(bytes)?;
    let architecture = file.text("general.architecture")?;
    if architecture != "llama" {
        return Err(Error::weights(WeightsFault::Format, format!("GGUF: architecture {architecture}, not llama")));
    }
    let dim = file.int("llama.embedding_length")?;
    let ffn = file.int("llama.feed_forward_length")?;
    let heads = file.int("llama.attention.head_count")?;
    let kv_heads = file.int("llama.attention.head_count_kv")?;
    let vocab = file.list("tokenizer.ggml.tokens")?.len();
    if heads == 0 || kv_heads == 0 || !dim.is_multiple_of(2 * heads) {
        return Err(Error::weights(WeightsFault::Format, format!("GGUF: {heads} heads of {dim} channels")));
    }
    let head = dim / heads;
    let size = |s: Size| match s {
        Size::Dim => dim,
        Size::Kv => head * kv_heads,
        Size::Ffn => ffn,
    };
    let mut out = TensorMap::default();
    let mut put = |name: String, t: Stored| out.0.insert(format!("lm.{name}"), t);
    for i in 0..file.int("llama.block_count")? {
        for (ours, theirs, k, n, rotated) in LAYER {
            let t = file.expect(&format!("blk.{i}.{theirs}.weight"), Kind::Q4_1, size(k), size(n))?;
            let column = |row: usize| match rotated {
                Heads::No => row,
                Heads::Query | Heads::Key => by_halves(row, head),
            };
            put(format!("layers.{i}.{ours}.weight"), Stored::Blocks(q4_1(&t, column)));
        }
        for (ours, theirs) in NORMS {
            let t = file.expect(&format!("blk.{i}.{theirs}.weight"), Kind::F32, dim, 1)?;
            put(format!("layers.{i}.{ours}.weight"), Stored::float([dim], t.f32()));
        }
    }
    let norm = file.expect("output_norm.weight", Kind::F32, dim, 1)?;
    put("norm.weight".into(), Stored::float([dim], norm.f32()));
    // Tied: the same table is the head, and, by columns, the embedding.
    let embed = file.expect("token_embd.weight", Kind::Q8_0, dim, vocab)?;
    put("embed.weight".into(), Stored::Blocks(q8_0(&embed)));
    Ok((out, tokenizer(&file)?))
}

/// Row of an interleaved head → row of the same head in halves: pairs `(2i, 2i+1)` → `(i, i + head/2)`.
fn by_halves(row: usize, head: usize) -> usize {
    let (base, within) = (row / head * head, row % head);
    base + within % 2 * (head / 2) + within / 2
}

fn f16(b: [u8; 2]) -> f32 {
    half::f16::from_le_bytes(b).to_f32()
}

/// Q4_1 rows → blocks `[k / 8, n]`; row `r` becomes column `column(r)`.
fn q4_1(t: &Tensor, column: impl Fn(usize) -> usize) -> Blocks {
    let (k, n) = (t.cols, t.rows);
    let mut words = vec![0u32; k / 8 * n];
    let mut scales = vec![0f32; k / BLOCK * n];
    let mut mins = scales.clone();
    let blocks = t.data.as_chunks::<20>().0;
    for (row, blocks) in blocks.chunks_exact(k / BLOCK).enumerate() {
        let col = column(row);
        for (b, block) in blocks.iter().enumerate() {
            let [s0, s1, m0, m1, q @ ..] = *block;
            scales[b * n + col] = f16([s0, s1]);
            mins[b * n + col] = f16([m0, m1]);
            // Bytes hold values j (low half) and j + 16 (high half); our words hold 8 neighbours.
            for (w, q) in q.as_chunks::<8>().0.iter().enumerate() {
                let word = |shift: u32| q.iter().rev().fold(0u32, |word, b| (word << 4) | u32::from((b >> shift) & 15));
                words[(b * 4 + w) * n + col] = word(0);
                words[(b * 4 + 2 + w) * n + col] = word(4);
            }
        }
    }
    Blocks { bits: 4, k, n, words, scales, mins: Some(mins) }
}

/// Q8_0 rows → blocks `[k / 4, n]`.
fn q8_0(t: &Tensor) -> Blocks {
    let (k, n) = (t.cols, t.rows);
    let mut words = vec![0u32; k / 4 * n];
    let mut scales = vec![0f32; k / BLOCK * n];
    let blocks = t.data.as_chunks::<34>().0;
    for (col, blocks) in blocks.chunks_exact(k / BLOCK).enumerate() {
        for (b, block) in blocks.iter().enumerate() {
            let [s0, s1, q @ ..] = *block;
            scales[b * n + col] = f16([s0, s1]);
            for (w, q) in q.as_chunks::<4>().0.iter().enumerate() {
                words[(b * 8 + w) * n + col] = u32::from_le_bytes(*q);
            }
        }
    }
    Blocks { bits: 8, k, n, words, scales, mins: None }
}

/// `tokenizer.json` in HuggingFace's format. The pre-tokenizer `smollm` splits every digit off, then runs GPT-2's
/// byte-level expression.
fn tokenizer(file: &Gguf) -> Result<String> {
    let pre = (file.text("tokenizer.ggml.model")?, file.text("tokenizer.ggml.pre")?);
    if pre != ("gpt2", "smollm") {
        return Err(Error::weights(WeightsFault::Format, format!("GGUF: tokenizer {pre:?}")));
    }
    let texts = |key: &str| -> Result<Vec<&str>> {
        let texts = file.list(key)?.iter().map(|v| if let Value::Text(t) = v { Some(t.as_str()) } else { None });
        texts.collect::<Option<_>>().ok_or_else(|| Error::weights(WeightsFault::Format, format!("GGUF: {key} holds no texts")))
    };
    let tokens = texts("tokenizer.ggml.tokens")?;
    let kinds = file.list("tokenizer.ggml.token_type")?;
    let special = |id: usize, content: &str| json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true });
    // Kind 3 is llama.cpp's "control": never met in ordinary text.
    let control = tokens.iter().zip(kinds).enumerate().filter(|(_, (_, kind))| **kind == Value::Int(3));
    let mut added: Vec<_> = control.map(|(id, (token, _))| special(id, token)).collect();
    added.extend(ADDED.iter().enumerate().map(|(i, token)| special(tokens.len() + i, token)));
    let vocab: Map<_, _> = tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    if vocab.len() != tokens.len() {
        return Err(Error::weights(WeightsFault::Format, "GGUF: a token appears twice"));
    }
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let out = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [{ "type": "Digits", "individual_digits": true }, byte_level] },
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": texts("tokenizer.ggml.merges")?,
        },
    });
    serde_json::to_string(&out).map_err(|e| Error::Text(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_undo_interleaving() {
        // Two heads of 4: interleaved rows hold channels 0 2 1 3 of each head.
        let got: Vec<_> = (0..8).map(|r| by_halves(r, 4)).collect();
        assert_eq!(got, [0, 2, 1, 3, 4, 6, 5, 7]);
    }

    #[test]
    fn q4_1_blocks_keep_every_value() {
        // One row of 64 inputs in two blocks, values q = 0..16 in a pattern.
        let mut data = Vec::new();
        let mut want = Vec::new();
        for b in 0..2u8 {
            let (scale, min) = (half::f16::from_f32(0.5 + f32::from(b)), half::f16::from_f32(-1.25));
            data.extend(scale.to_le_bytes());
            data.extend(min.to_le_bytes());
            let q: Vec<u8> = (0..32).map(|i| (i * 7 + b) % 16).collect();
            data.extend((0..16).map(|j| q[j] | (q[j + 16] << 4)));
            want.extend(q.iter().map(|q| f32::from(*q) * scale.to_f32() + min.to_f32()));
        }
        let t = Tensor { cols: 64, rows: 1, kind: Kind::Q4_1, data: &data };
        assert_eq!(q4_1(&t, |r| r).dequantise(), want);
    }

    #[test]
    fn q8_0_blocks_keep_every_value() {
        let mut data = half::f16::from_f32(0.25).to_le_bytes().to_vec();
        data.extend((0..32).map(|i| (i * 8) as u8));
        let t = Tensor { cols: 32, rows: 1, kind: Kind::Q8_0, data: &data };
        let want: Vec<_> = (0..32).map(|i| f32::from((i * 8) as u8 as i8) * 0.25).collect();
        assert_eq!(q8_0(&t).dequantise(), want);
    }
}
