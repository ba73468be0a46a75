//! The words of answers, as tables: what the annotator writes and the model learns, and the only words that it may say
//! afterwards ([`crate::analyze::sayable`]).
//!
//! Verdicts speak of signs, never of "real": no sign found is not proof of an untouched photo. `{x}` is a subject ("the nose"),
//! `{t}` a list of traits ("sharpness and grain").

use super::Family;

/// Opening of an answer that found something.
pub const FOUND: &[&str] = &["Signs of forgery were found", "There are signs of forgery"];
/// Opening of an answer that found nothing.
pub const NOT_FOUND: &[&str] = &["No sign of forgery was found", "There is no sign of forgery"];
/// The same where the score is inconclusive: it clears neither the face nor the part. Each weakens the one in the same place of [`NOT_FOUND`].
pub const NOT_CLEAR: &[&str] = &["No clear sign of forgery was found", "There is no clear sign of forgery"];
/// Openings of [`FOUND`], in its order, where the claim turned out not to be steady, and of a part whose score leaves it possible only.
pub const POSSIBLE: &[&str] = &["Possible signs of forgery were found", "There may be signs of forgery"];

/// Names, after [`NOT_CLEAR`], where to look where the score leans to forged and does not carry a claim. Like [`QUIET`], `{x}` is a subject.
pub const DOUBT: [&str; 1] = ["If anything was altered, then {x}."];

/// What an image-wide answer names as checked.
pub const CHECKED: &[&str] = &[
    "in the eyes, the nose, the mouth, the skin and the outline of the face",
    "in the eyebrows, the eyes, the nose, the mouth and the skin",
    "in the colour, the texture and the shape of the face",
];

/// One sentence naming the family; empty for [`Family::Real`].
pub fn family_sentence(family: Family) -> &'static str {
    match family {
        Family::Real => "",
        Family::FaceSwap => "This fits a face swap: parts were blended in from another picture.",
        Family::Reenactment => "This fits a reenactment: features were moved.",
        Family::AttributeEdit => "This fits an attribute edit: parts were retouched.",
        Family::EntireSynthesis => "This fits entire synthesis: the whole picture was generated.",
    }
}

/// Short family sentence for the end of an explanation.
pub fn family_hint(family: Family) -> &'static str {
    match family {
        Family::Real => "",
        Family::FaceSwap => "This fits a face swap.",
        Family::Reenactment => "This fits a reenactment.",
        Family::AttributeEdit => "This fits an attribute edit.",
        Family::EntireSynthesis => "This fits entire synthesis.",
    }
}

/// Whether a concept's English name takes a plural verb.
pub fn is_plural(concept: &str) -> bool {
    matches!(concept, "eyes" | "eyebrows" | "cheeks")
}

/// Where a change was found and nothing that stands out was measured. The subject `{x}` is in the middle or at the beginning.
pub const QUIET: [&str; 3] = [
    "In {x} no single measurement stands out.",
    "{x} {was} changed, but nothing measured there stands out.",
    "The change of {x} leaves nothing that can be measured.",
];

/// What [`QUIET`] says for certain, and how it is said where signs are only possible.
pub const PERHAPS: [(&str, &str); 2] = [(" changed, but nothing", " perhaps changed, but nothing"), ("The change of", "Any change of")];

/// That traits are as untouched photos have them.
pub const USUAL: [&str; 3] =
    ["In {t}, {x} {is} as usual.", "Measured of {x}: {t}; nothing stands out.", "The {t} of {x} {lie} within what untouched photos show."];

/// Parts whose traits an answer about the whole face may call usual.
pub const LOOKED: [&str; 7] = ["eyes", "nose", "mouth", "eyebrows", "left_cheek", "right_cheek", "chin"];

/// Answers to what pixels of a face do not show.
pub const OUTSIDE_ANSWER: &[&str] = &[
    "The picture does not show that; only signs of forgery in the face were looked for.",
    "That cannot be told from the face; only signs of forgery are looked for.",
];

/// "a", "a and b", "a, b and c".
pub fn listed(words: &[&str]) -> String {
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).into(),
        Some((last, head)) => format!("{} and {last}", head.join(", ")),
    }
}

/// One of [`USUAL`], filled in: `traits` of `subject`, which takes a plural verb or not.
pub fn usual(form: usize, traits: &[&str], subject: &str, plural: bool) -> String {
    USUAL[form % USUAL.len()]
        .replace("{t}", &listed(traits))
        .replace("{x}", subject)
        .replace("{is}", if plural { "are" } else { "is" })
        .replace("{lie}", if traits.len() > 1 { "lie" } else { "lies" })
}
