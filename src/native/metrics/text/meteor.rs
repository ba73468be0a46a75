//! METEOR 1.5 (Denkowski & Lavie 2014) with the modules `exact` and `stem`, English, parameters of the task "rank".
//!
//! The reference has two more modules, synonyms (WordNet) and paraphrases (a table of tens of megabytes), so this figure is a
//! lower bound of the full one and is named for what it has. It equals the reference program run with `-m "exact stem"
//! -l en -norm` on the same tokens, beam search and all. The corpus figure pools the counts, it is no mean of sentences.

use super::Pair;
use super::function_words::FUNCTION_WORDS;
use super::meteor_align::{Aligned, align};
use rust_stemmers::{Algorithm, Stemmer};

const ALPHA: f64 = 0.85;
const BETA: f64 = 0.20;
const GAMMA: f64 = 0.60;
/// Weight of content words; function words have the rest.
const DELTA: f64 = 0.75;
/// Weights of the modules exact and stem.
const MODULES: [f64; 2] = [1.0, 0.6];
/// Abbreviations that keep their full stop whatever follows.
const ABBREVIATIONS: [&str; 3] = ["v", "vs", "rev"];

/// Counts of one answer against one reference, or of a corpus.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// Words and function words, (answer, reference).
    words: [f64; 2],
    function: [f64; 2],
    /// Matched content and function words by module, (answer, reference).
    content_hits: [[f64; 2]; 2],
    function_hits: [[f64; 2]; 2],
    chunks: f64,
}

/// The figure of a corpus. Of several references each answer keeps the one it scores best on.
pub fn corpus(pairs: &[Pair]) -> f64 {
    let mut total = Counts::default();
    for pair in pairs {
        let said = normal(&pair.said);
        let mut best: Option<(f64, Counts)> = None;
        for reference in &pair.references {
            let counts = count(&said, &normal(reference));
            let score = counts.score();
            if best.is_none_or(|b| score > b.0) {
                best = Some((score, counts));
            }
        }
        if let Some((_, counts)) = best {
            total.add(&counts);
        }
    }
    total.score()
}

/// Stem of a lower-case word: Snowball's English (Porter 2).
pub fn stem(word: &str) -> String {
    Stemmer::create(Algorithm::English).stem(word).into_owned()
}

fn count(said: &[String], reference: &[String]) -> Counts {
    let stems = |words: &[String]| words.iter().map(|w| stem(w)).collect::<Vec<_>>();
    let Aligned { matches, chunks } = align((said, &stems(said)), (reference, &stems(reference)));
    let is_function = |w: &String| FUNCTION_WORDS.contains(&w.as_str());
    let mut counts = Counts { chunks: chunks as f64, ..Counts::default() };
    for (side, words) in [said, reference].into_iter().enumerate() {
        counts.words[side] = words.len() as f64;
        counts.function[side] = words.iter().filter(|w| is_function(w)).count() as f64;
    }
    for m in matches {
        for (side, word) in [said.get(m.said), reference.get(m.reference)].into_iter().enumerate() {
            let hits = if word.is_some_and(is_function) { &mut counts.function_hits } else { &mut counts.content_hits };
            hits[side][m.module] += 1.0;
        }
    }
    counts
}

impl Counts {
    fn add(&mut self, other: &Self) {
        for side in 0..2 {
            self.words[side] += other.words[side];
            self.function[side] += other.function[side];
            for module in 0..2 {
                self.content_hits[side][module] += other.content_hits[side][module];
                self.function_hits[side][module] += other.function_hits[side][module];
            }
        }
        // A sentence that matches as a whole is not in pieces: the reference adds no chunk for it.
        if !other.is_whole() {
            self.chunks += other.chunks;
        }
    }

    /// Matched words of the answer (0) or the reference (1).
    fn hits(&self, side: usize) -> f64 {
        self.content_hits[side].iter().chain(&self.function_hits[side]).sum()
    }

    /// Every word matches, in one piece.
    fn is_whole(&self) -> bool {
        self.hits(0) == self.words[0] && self.hits(1) == self.words[1] && self.chunks == 1.0
    }

    fn score(&self) -> f64 {
        let share = |side: usize| {
            let weighed = |h: &[f64; 2]| h[0] * MODULES[0] + h[1] * MODULES[1];
            let found = DELTA * weighed(&self.content_hits[side]) + (1.0 - DELTA) * weighed(&self.function_hits[side]);
            let length = DELTA * (self.words[side] - self.function[side]) + (1.0 - DELTA) * self.function[side];
            found / length
        };
        let (precision, recall) = (share(0), share(1));
        let mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall);
        let fragments = if self.is_whole() { 0.0 } else { self.chunks / ((self.hits(0) + self.hits(1)) / 2.0) };
        let score = mean * (1.0 - GAMMA * fragments.powf(BETA));
        // Nothing matched, or nothing said: 0 / 0.
        if score.is_nan() { 0.0 } else { score.max(0.0) }
    }
}

/// What `-norm` does to tokens without punctuation: single characters that are no letters stand apart, hyphens between letters
/// become spaces, apostrophes are set off, and a full stop that ends no abbreviation is a word.
fn normal(tokens: &[String]) -> Vec<String> {
    let mut text = format!(" {} ", tokens.join(" "));
    let spaced: String = text
        .chars()
        .flat_map(|c| {
            let apart = !(c.is_alphanumeric() || c.is_whitespace() || matches!(c, '.' | '\'' | '`' | ',' | '-'));
            if apart { vec![' ', c, ' '] } else { vec![if c == '`' { '\'' } else { c }] }
        })
        .collect();
    text = between(&spaced, '-', " ", |a, b| (a.is_alphanumeric() || a == '.') && b.is_alphanumeric());
    let letter = char::is_alphabetic;
    text = between(&text, '\'', " ' ", |a, b| !letter(a) && !letter(b));
    text = between(&text, '\'', " ' ", |a, b| !letter(a) && !a.is_ascii_digit() && letter(b));
    text = between(&text, '\'', " ' ", |a, b| letter(a) && !letter(b));
    text = between(&text, '\'', " '", |a, b| letter(a) && letter(b));
    text = between(&text, '\'', " '", |a, b| a.is_ascii_digit() && b == 's');
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out = Vec::with_capacity(words.len());
    for (i, word) in words.iter().enumerate() {
        let Some(stem) = word.strip_suffix('.').filter(|s| !s.is_empty()) else {
            out.push((*word).to_string());
            continue;
        };
        let next = words.get(i + 1).and_then(|w| w.chars().next());
        if stem.contains('.') && stem.contains(letter) {
            out.push(word.replace('.', ""));
        } else if ABBREVIATIONS.contains(&stem)
            || next.is_some_and(|c| c.is_ascii_lowercase())
            || (stem == "pp" && next.is_some_and(|c| c.is_ascii_digit()))
        {
            out.push((*word).to_string());
        } else {
            out.extend([stem.to_string(), ".".into()]);
        }
    }
    out
}

/// Replaces `mark` by `with` where its neighbours fit. As in a regular expression that takes the neighbours in, a character is
/// neighbour of one mark only: of `a-b-c` the first hyphen is replaced.
fn between(text: &str, mark: char, with: &str, fits: impl Fn(char, char) -> bool) -> String {
    let c: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while let Some(&ch) = c.get(i) {
        out.push(ch);
        match (c.get(i + 1), c.get(i + 2)) {
            (Some(&m), Some(&after)) if m == mark && fits(ch, after) => {
                out.push_str(with);
                out.push(after);
                i += 3;
            }
            _ => i += 1,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tokens;
    use super::*;

    #[test]
    fn normal_words() {
        let n = |t: &str| normal(&tokens(t)).join(" ");
        assert_eq!(n("It's a self-blend, isn't it?"), "it ' s a self blend is n 't it");
        assert_eq!(n("a-b-c (x) 50% u.s. etc. end mr."), "a b-c -lrb- x -rrb- 50 % us etc. end mr .");
    }

    #[test]
    fn by_hand() {
        // All five words match in one chunk but one is missing in the answer: P = 1, R = weights 3·¾ + ¼ of 4·¾ + ¼.
        let pair = Pair::new("the nose looks smooth", &["the nose looks very smooth"]);
        let (p, r) = (1.0, (0.25 + 3.0 * 0.75) / (0.25 + 4.0 * 0.75));
        let mean = 1.0 / (0.15 / p + 0.85 / r);
        let expected = mean * (1.0 - 0.6 * (2.0f64 / 4.0).powf(0.2));
        assert!((corpus(&[pair]) - expected).abs() < 1e-12);
        // A stem counts 0.6.
        let pair = Pair::new("eye", &["eyes"]);
        assert!((corpus(&[pair]) - 0.6).abs() < 1e-12);
    }
}
