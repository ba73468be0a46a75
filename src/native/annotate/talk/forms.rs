//! Question forms beyond those of [`crate::native::annotate::wording`]: more per task, and free questions a person would ask.

/// More wordings of the questions about a named region; `{r}` is its name with "the".
pub const REGION: &[&str] = &[
    "Is {r} real?",
    "Does anything look wrong with {r}?",
    "What about {r}?",
    "Has somebody retouched {r}?",
    "I think {r} looks odd. Am I right?",
    "Could {r} be from another picture?",
];

/// More wordings of the questions about a drawn box.
pub const BOX: &[&str] = &[
    "What about this part? <bbox>",
    "Is anything wrong here? <bbox>",
    "I marked this <bbox>: is it edited?",
    "Did somebody paint over <bbox>?",
    "Does <bbox> fit the rest of the face?",
];

/// More wordings of the questions about the whole picture, for explanations.
pub const IMAGE: &[&str] = &[
    "Why do you think so?",
    "Is this photo of her edited?",
    "My friend says this is fake. What do you see?",
    "What gives it away?",
    "Has a filter been used on this face?",
    "Would you post this as a true photo of the person?",
];

/// Questions that pixels of a face cannot answer; [`crate::text::wording::OUTSIDE_ANSWER`] has what is said to them.
pub const OUTSIDE: &[&str] = &[
    "Who is this?",
    "How old is this person?",
    "Which app was used?",
    "Who made this fake?",
    "When was this photo taken?",
    "Where was this taken?",
    "Is this person lying?",
    "Can I use this as proof in court?",
    "Is the caption under this photo true?",
    "What will this person look like in ten years?",
];
