//! Text ↔ token ids: SmolLM2's byte-level BPE with our added tokens behind its vocabulary.
//!
//! Ordinary text never turns into a special token: a question that contains `<|im_end|>` or `[SEG]` is read as those
//! characters. Special tokens are placed by id only (template, grammar, [`Tokenizer::encode_marked`]).

use crate::error::{Error, Result};
use std::str::FromStr;
use tokenizers::Tokenizer as Inner;

/// The added tokens, in the order of their ids, which follow the upstream vocabulary. `cfg.lm_added` of them.
pub const ADDED: [&str; 8] = ["[SEG]", "<p>", "</p>", "<image>", "<region>", "<state>", "<reserved_0>", "<reserved_1>"];

/// Ids of the tokens that template and grammar place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// First id that text is made of; the ones below are the control tokens of upstream.
    pub text: u32,
    /// First added id = size of the upstream vocabulary.
    pub added: u32,
    /// One more than the last id.
    pub end: u32,
    /// `<|im_start|>`
    pub turn_start: u32,
    /// `<|im_end|>`, which ends an answer.
    pub turn_end: u32,
    /// `[SEG]`
    pub seg: u32,
    /// `<p>`
    pub open: u32,
    /// `</p>`
    pub close: u32,
    /// `<image>`, replaced by a visual token.
    pub image: u32,
    /// `<region>`, replaced by a region token.
    pub region: u32,
    /// `<state>`, replaced by the state of a concept.
    pub state: u32,
}

/// The tokenizer.
pub struct Tokenizer {
    inner: Inner,
    ids: Ids,
    /// Byte of each character of GPT-2's byte alphabet, by code point; -1 = none.
    bytes: Vec<i16>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("ids", &self.ids).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json` (HuggingFace's format).
    ///
    /// # Errors
    /// `text.failed`: not that format, or without the tokens that template and grammar need, in their places.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let json = std::str::from_utf8(json).map_err(|_| Error::Text("tokenizer.json is not UTF-8".into()))?;
        let mut inner = Inner::from_str(json).map_err(|e| Error::Text(format!("tokenizer.json: {e}")))?;
        inner.set_encode_special_tokens(true);
        let id = |token: &str| inner.token_to_id(token).ok_or_else(|| Error::Text(format!("the tokenizer lacks {token}")));
        let [seg, open, close, image, region, state, ..] = ADDED;
        let added = id(seg)?;
        for (i, token) in ADDED.iter().enumerate() {
            if id(token)? != added + i as u32 {
                return Err(Error::Text(format!("{token} has the id {}, not {}", id(token)?, added + i as u32)));
            }
        }
        let controls = inner.get_added_tokens_decoder().into_keys().filter(|id| *id < added).max();
        let ids = Ids {
            text: controls.map_or(0, |c| c + 1),
            added,
            end: added + ADDED.len() as u32,
            turn_start: id("<|im_start|>")?,
            turn_end: id("<|im_end|>")?,
            seg: id(seg)?,
            open: id(open)?,
            close: id(close)?,
            image: id(image)?,
            region: id(region)?,
            state: id(state)?,
        };
        Ok(Self { inner, ids, bytes: byte_alphabet() })
    }

    /// Ids of the special tokens.
    pub fn ids(&self) -> Ids {
        self.ids
    }

    /// Tokens of plain text. Nothing in it becomes a special token.
    ///
    /// # Errors
    /// `text.failed` if the pre-tokenizer gives up (a pathological text).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| Error::Text(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens of our own text, in which the names of special tokens stand for these tokens (training answers, tests).
    /// Never for text of a user.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_marked(&self, text: &str) -> Result<Vec<u32>> {
        let marks = ADDED.iter().copied().chain(["<|im_start|>", "<|im_end|>", "<|endoftext|>"]);
        let marks: Vec<_> = marks.filter_map(|m| Some((m, self.inner.token_to_id(m)?))).collect();
        let mut out = Vec::new();
        let mut rest = text;
        loop {
            let next = marks.iter().filter_map(|(m, id)| Some((rest.find(m)?, *m, *id))).min_by_key(|(at, ..)| *at);
            let Some((at, mark, id)) = next else { break };
            let (before, from) = rest.split_at(at);
            if !before.is_empty() {
                out.extend(self.encode(before)?);
            }
            out.push(id);
            rest = from.strip_prefix(mark).unwrap_or_default();
        }
        if !rest.is_empty() {
            out.extend(self.encode(rest)?);
        }
        Ok(out)
    }

    /// Text of tokens; special tokens vanish, bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = TextStream::default();
        let mut text: String = ids.iter().map(|id| stream.push(self, *id)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// Bytes of one token; special and unknown tokens have none.
    fn token_bytes(&self, id: u32, into: &mut Vec<u8>) {
        if id < self.ids.text || id >= self.ids.added {
            return;
        }
        if let Some(token) = self.inner.id_to_token(id) {
            let byte = |c: char| self.bytes.get(c as usize).and_then(|b| u8::try_from(*b).ok());
            into.extend(token.chars().filter_map(byte));
        }
    }
}

/// Turns tokens into text as they come. A character of several bytes may be spread over tokens: what is incomplete
/// waits for the next token.
#[derive(Debug, Default, Clone)]
pub struct TextStream {
    pending: Vec<u8>,
}

impl TextStream {
    /// Text that became complete with this token, possibly none.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        tokenizer.token_bytes(id, &mut self.pending);
        let mut out = String::new();
        let mut used = 0;
        for chunk in self.pending.utf8_chunks() {
            let (valid, invalid) = (chunk.valid(), chunk.invalid());
            used += valid.len();
            out.push_str(valid);
            let at_end = used + invalid.len() == self.pending.len();
            if at_end && may_grow(invalid) {
                break;
            }
            if !invalid.is_empty() {
                used += invalid.len();
                out.push('\u{fffd}');
            }
        }
        self.pending.drain(..used);
        out
    }

    /// What was still waiting, as U+FFFD.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }
}

/// Whether these bytes are the beginning of a character, so that the next token may complete it.
fn may_grow(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none())
}

/// GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes for code points from 256 on.
fn byte_alphabet() -> Vec<i16> {
    let mut table = vec![-1i16; 512];
    let mut next = 256;
    for byte in 0..=255u8 {
        let itself = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let code = if itself { usize::from(byte) } else { next };
        if !itself {
            next += 1;
        }
        if let Some(slot) = table.get_mut(code) {
            *slot = i16::from(byte);
        }
    }
    table
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A tokenizer of single bytes with the special tokens: ids 0..3 control, 3..259 bytes, 259.. added.
    pub(crate) fn bytes_only() -> Tokenizer {
        let controls = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
        let mut alphabet: Vec<(i16, char)> =
            byte_alphabet().into_iter().enumerate().filter(|(_, b)| *b >= 0).map(|(c, b)| (b, char::from_u32(c as u32).unwrap())).collect();
        alphabet.sort();
        let tokens: Vec<String> = controls.iter().map(|s| s.to_string()).chain(alphabet.iter().map(|(_, c)| c.to_string())).collect();
        let special = |id: usize, t: &str| json!({ "id": id, "content": t, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true });
        let mut added: Vec<_> = controls.iter().enumerate().map(|(i, t)| special(i, t)).collect();
        added.extend(ADDED.iter().enumerate().map(|(i, t)| special(tokens.len() + i, t)));
        let vocab: serde_json::Map<_, _> = tokens.iter().enumerate().map(|(i, t)| (t.clone(), json!(i))).collect();
        let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
        let file = json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
            "pre_tokenizer": level, "post_processor": null, "decoder": level,
            "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": [] } });
        Tokenizer::from_json(file.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn text_survives_and_never_becomes_a_special_token() {
        let t = bytes_only();
        let ids = t.ids();
        assert_eq!((ids.text, ids.added, ids.end), (3, 259, 267));
        for text in ["plain", "zwölf Äpfel", "日本語 😀", "[SEG]<p><|im_end|>", " \n\t "] {
            let tokens = t.encode(text).unwrap();
            assert!(tokens.iter().all(|id| (ids.text..ids.added).contains(id)), "{text}");
            assert_eq!(t.decode(&tokens), text);
        }
    }

    #[test]
    fn marks_become_tokens_only_when_asked_for() {
        let t = bytes_only();
        let ids = t.ids();
        let got = t.encode_marked("a<p>b</p>[SEG]<|im_end|>").unwrap();
        assert_eq!(got, [3 + 97, ids.open, 3 + 98, ids.close, ids.seg, ids.turn_end]);
    }

    #[test]
    fn split_characters_wait_and_broken_ones_are_replaced() {
        let t = bytes_only();
        let byte = |b: u8| 3 + u32::from(b);
        let mut s = TextStream::default();
        let smile: Vec<String> = "😀".bytes().map(|b| s.push(&t, byte(b))).collect();
        assert_eq!(smile, ["", "", "", "😀"]);
        assert_eq!(s.push(&t, byte(0xe2)), "");
        assert_eq!(s.push(&t, byte(b'x')), "\u{fffd}x");
        assert_eq!(s.push(&t, byte(0xff)), "\u{fffd}");
        assert_eq!(s.push(&t, byte(0xe2)), "");
        assert_eq!(s.finish(), "\u{fffd}");
    }

    #[test]
    fn files_that_are_no_tokenizer_are_refused() {
        for bytes in [&b""[..], b"{}", b"\xff\xfe", b"[1,2]"] {
            assert_eq!(Tokenizer::from_json(bytes).unwrap_err().code(), "text.failed");
        }
    }
}
