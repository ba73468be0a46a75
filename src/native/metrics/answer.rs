//! An answer against itself: is it well formed, do its phrases name what its masks cover, do its words fit its score.
//!
//! The field's figures leave these out: an answer may copy the reference's words, mark another part of the face and carry the
//! opposite verdict, and still score well.

use crate::analyze::answer::claims_signs;
use crate::analyze::report::Band;
use crate::image::Mask;

/// Least part of a mask that must lie in the concept its phrase names.
pub const INSIDE: f64 = 0.5;

/// Part of the items for which `ok` holds, e.g. answers that parse and have one mask per `[SEG]`; `None` for no items.
pub fn rate<T>(items: &[T], ok: impl Fn(&T) -> bool) -> Option<f64> {
    (!items.is_empty()).then(|| items.iter().filter(|i| ok(i)).count() as f64 / items.len() as f64)
}

/// Text–mask consistency of one phrase: at least half of the mask's pixels are the concept's. An empty mask covers nothing, so
/// it is not consistent with any phrase; nor is a mask of another size.
pub fn consistent(mask: &Mask, concept: &Mask) -> bool {
    if (mask.width, mask.height) != (concept.width, concept.height) {
        return false;
    }
    let inside = mask.data.iter().zip(&concept.data).filter(|(m, c)| **m & **c & 1 == 1).count();
    inside > 0 && inside as f64 >= INSIDE * mask.area() as f64
}

/// Whether words (or masks) and the score's band disagree: signs claimed where the band is `no_sign`, or denied where it
/// is `signs` or above. The band `inconclusive` is contradicted by nothing.
pub fn contradicts(band: Band, caption: &str, masks: usize) -> bool {
    let claims = masks > 0 || claims_signs(caption);
    match band {
        Band::NoSign => claims,
        Band::Inconclusive => false,
        Band::Signs | Band::StrongSigns => !claims,
    }
}

/// Whether an answer is well formed: every `<p> … </p>` is closed, not nested and followed by one `[SEG]`, no other `[SEG]`
/// stands anywhere, and there are `masks` of them.
pub fn answer_parses(answer: &str, masks: usize) -> bool {
    let (mut rest, mut found) = (answer, 0);
    while let Some(open) = rest.find("<p>") {
        let Some((before, after)) = rest.split_at_checked(open) else { return false };
        if before.contains("[SEG]") || before.contains("</p>") {
            return false;
        }
        let Some((phrase, tail)) = after["<p>".len()..].split_once("</p>") else { return false };
        let Some(tail) = tail.trim_start().strip_prefix("[SEG]") else { return false };
        if phrase.trim().is_empty() || phrase.contains("<p>") || phrase.contains("[SEG]") {
            return false;
        }
        found += 1;
        rest = tail;
    }
    found == masks && !answer.trim().is_empty() && !rest.contains("[SEG]") && !rest.contains("</p>")
}

#[cfg(test)]
mod tests {
    use super::super::overlap::tests::row;
    use super::*;

    #[test]
    fn parse_rate() {
        assert!(answer_parses("No sign of forgery was found.", 0));
        assert!(answer_parses("The <p> nose </p> [SEG] and the <p> chin </p> [SEG] differ.", 2));
        assert!(!answer_parses("The <p> nose </p> [SEG] and the <p> chin </p> [SEG] differ.", 1));
        assert!(!answer_parses("The <p> nose [SEG]", 1));
        assert!(!answer_parses("The <p> nose </p> differs.", 0));
        assert!(!answer_parses("[SEG]", 1));
        assert!(!answer_parses("The <p> nose </p> [SEG] [SEG]", 1));
        assert!(!answer_parses(" ", 0));
        assert_eq!(rate(&[1, 2, 3, 4], |v| *v > 1), Some(0.75));
    }

    #[test]
    fn a_phrase_fits_its_mask_when_half_of_it_lies_in_the_concept() {
        let concept = row(&[1, 1, 0, 0]);
        assert!(consistent(&row(&[1, 1, 0, 0]), &concept));
        assert!(consistent(&row(&[0, 1, 1, 0]), &concept));
        assert!(!consistent(&row(&[0, 1, 1, 1]), &concept));
        assert!(!consistent(&row(&[0, 0, 0, 0]), &concept));
        assert!(!consistent(&row(&[1, 1]), &concept));
    }

    #[test]
    fn words_and_band_contradict() {
        let (claim, denial) = ("There are signs of forgery.", "No sign of forgery was found.");
        assert!(contradicts(Band::NoSign, claim, 0) && contradicts(Band::NoSign, denial, 1) && !contradicts(Band::NoSign, denial, 0));
        assert!(contradicts(Band::Signs, denial, 0) && contradicts(Band::StrongSigns, "", 0) && !contradicts(Band::Signs, claim, 0));
        assert!(!contradicts(Band::Inconclusive, claim, 2));
    }
}
