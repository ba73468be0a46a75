//! Captions to tokens, as pycocoevalcap's `PTBTokenizer` gives them: Penn Treebank tokens in lower case, without punctuation.
//!
//! The reference is a large grammar (Stanford CoreNLP 3.4.1). This is its part for English prose: words with their hyphens,
//! numbers, contractions (`isn't` → `is n't`), brackets (`(` → `-lrb-`, which the reference's list of dropped tokens misses
//! because it is in upper case), quotes, dashes, ellipses, the usual abbreviations. Not covered, so tokens may differ:
//! addresses of web and mail, dates with words, rare abbreviations, emoticons, fractions as one character. The fixture of
//! `tests/score.rs` holds the two against each other.

/// What is dropped, as in the reference.
const DROPPED: [&str; 17] = ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"];
/// Words that keep their full stop. Initials (`a.`, `u.s.`) do, too.
const ABBREVIATIONS: [&str; 34] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "inc", "ltd", "co", "corp", "fig", "gen", "gov", "sen", "rep", "jan",
    "feb", "mar", "apr", "aug", "sep", "sept", "oct", "nov", "dec", "mt", "ave", "dept", "approx", "ph.d",
];
/// Ends of contracted words, the apostrophe included.
const CONTRACTIONS: [&str; 7] = ["n't", "'s", "'m", "'d", "'re", "'ve", "'ll"];
/// Words that are two.
const DOUBLE: [(&str, &str); 6] =
    [("cannot", "can"), ("gonna", "gon"), ("wanna", "wan"), ("gotta", "got"), ("gimme", "gim"), ("lemme", "lem")];

/// A grounded answer as a caption: tags and `[SEG]` taken out, white space collapsed (as GLaMM's evaluation does).
pub fn bare(answer: &str) -> String {
    let mut out = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some((before, from)) = rest.split_once('<') {
        out.push_str(before);
        match from.split_once('>') {
            Some((_, after)) => rest = after,
            None => {
                out.push('<');
                rest = from;
            }
        }
    }
    out.push_str(rest);
    out.replace("[SEG]", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Tokens of a caption, punctuation dropped.
pub fn tokens(text: &str) -> Vec<String> {
    let c: Vec<char> = text.to_lowercase().chars().map(plain).collect();
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(&ch) = c.get(i) {
        let next = |n: usize| c.get(i + n).copied().unwrap_or(' ');
        let starts_number = |n: usize| next(n).is_ascii_digit() || (next(n) == '.' && next(n + 1).is_ascii_digit());
        let fresh = i == 0 || c[i - 1].is_whitespace();
        if ch.is_whitespace() {
            i += 1;
        } else if ch.is_alphanumeric() || (fresh && starts_number(usize::from(matches!(ch, '+' | '-')))) {
            let end = word_end(&c, i);
            word(&c[i..end].iter().collect::<String>(), &mut out);
            i = end;
        } else if ch == '\'' {
            // Behind a space an apostrophe may begin a short form; anything else is a quote.
            let end = word_end(&c, i + 1);
            let text: String = c[i..end].iter().collect();
            if CONTRACTIONS.contains(&text.as_str()) || (fresh && next(1).is_ascii_digit() && text.ends_with('s')) {
                out.push(text);
                i = end;
            } else {
                i += 1;
            }
        } else if ch == '#' && fresh && next(1).is_alphanumeric() {
            let end = word_end(&c, i + 1);
            out.push(c[i..end].iter().collect());
            i = end;
        } else {
            let run = c[i..].iter().take_while(|r| if matches!(ch, '!' | '?') { matches!(r, '!' | '?') } else { **r == ch }).count();
            let (token, length) = match ch {
                '!' | '?' => (c[i..i + run].iter().collect(), run),
                '.' if run > 1 => ("...".into(), run),
                '-' => ("--".into(), run),
                '(' => ("-lrb-".into(), 1),
                ')' => ("-rrb-".into(), 1),
                '[' => ("-lsb-".into(), 1),
                ']' => ("-rsb-".into(), 1),
                '{' => ("-lcb-".into(), 1),
                '}' => ("-rcb-".into(), 1),
                '"' => ("''".into(), 1),
                '£' => ("#".into(), 1),
                _ => (String::from(ch), 1),
            };
            out.push(token);
            i += length;
        }
    }
    out.retain(|t| !DROPPED.contains(&t.as_str()));
    out
}

/// Typographic quotes and dashes as the plain ones; currencies as the treebank writes them.
fn plain(c: char) -> char {
    match c {
        '‘' | '’' => '\'',
        '“' | '”' => '"',
        '–' | '—' => '-',
        '…' => '.',
        '€' => '$',
        _ => c,
    }
}

/// Where the word that begins at `i` ends, inner marks and the full stop of an abbreviation included.
fn word_end(c: &[char], i: usize) -> usize {
    let at = |j: usize| c.get(j).copied().unwrap_or(' ');
    let mut end = i;
    loop {
        let (before, after) = (if end > i { at(end - 1) } else { ' ' }, at(end + 1));
        let joins = match at(end) {
            ch if ch.is_alphanumeric() => true,
            '+' | '-' if end == i => true,
            '.' if end == i => after.is_ascii_digit(),
            '-' | '.' | '/' => {
                before.is_alphanumeric() && after.is_alphanumeric() || at(end) == '.' && before == '-' && after.is_ascii_digit()
            }
            ',' | ':' => before.is_ascii_digit() && after.is_ascii_digit(),
            '\'' => before.is_alphabetic() && after.is_alphabetic() || before.is_ascii_digit() && after == 's',
            _ => false,
        };
        if !joins {
            break;
        }
        end += 1;
    }
    let word: String = c[i..end].iter().collect();
    let initials = word.split('.').all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic));
    let number = word == "no" && at(end + 1) == ' ' && at(end + 2).is_ascii_digit();
    if at(end) == '.' && at(end + 1) != '.' && (initials || number || ABBREVIATIONS.contains(&word.as_str())) { end + 1 } else { end }
}

/// Splits contractions and double words.
fn word(word: &str, out: &mut Vec<String>) {
    for end in CONTRACTIONS {
        if let Some(stem) = word.strip_suffix(end).filter(|s| !s.is_empty()) {
            out.push(stem.into());
            out.push(end.into());
            return;
        }
    }
    if let Some((whole, first)) = DOUBLE.iter().find(|d| d.0 == word) {
        out.push((*first).into());
        out.push(whole[first.len()..].into());
        return;
    }
    out.push(word.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        tokens(text).join(" ")
    }

    #[test]
    fn prose() {
        assert_eq!(
            said("The left eyebrow lacks fine detail; this fits an attribute-edit."),
            "the left eyebrow lacks fine detail this fits an attribute-edit"
        );
        assert_eq!(
            said("It's smooth, isn't it?  The nose (tip) doesn't fit..."),
            "it 's smooth is n't it the nose -lrb- tip -rrb- does n't fit"
        );
        assert_eq!(said("Dogs' “tails” — can't, cannot!"), "dogs tails ca n't can not");
        assert_eq!(
            said("Mr. Smith's 3.5 of 1,000 px at 5:30 p.m. U.S. e.g. this."),
            "mr. smith 's 3.5 of 1,000 px at 5:30 p.m. u.s. e.g. this"
        );
        assert_eq!(said("What?! 50% -5 +5 .5 and/or 3/4"), "what ?! 50 % -5 +5 .5 and/or 3/4");
        assert_eq!(said(" \n\t"), "");
    }

    #[test]
    fn grounding_marks_are_no_words() {
        assert_eq!(
            bare("There are signs. The <p> nose </p> [SEG] and the <p>chin</p> [SEG] differ."),
            "There are signs. The nose and the chin differ."
        );
        assert_eq!(bare("a < b"), "a < b");
    }

    #[test]
    fn nothing_panics() {
        let alphabet: Vec<char> = "a9.'-,:/()[]{}!?\"#$%&*<> é你½…’–\u{0}n's".chars().collect();
        let mut seed = 7u64;
        for _ in 0..5000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            assert!(tokens(&text).iter().all(|t| !t.is_empty() && !t.contains(char::is_whitespace)), "{text:?}");
            bare(&text);
        }
    }
}
