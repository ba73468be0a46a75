//! The words of questions, and of what recipes do, as tables; what answers are made of is [`crate::text::wording`].
//!
//! `{r}` stands for a region's name with "the"; `<bbox>` is the token at which the region encoder's output is spliced in.

use super::recipe::Recipe;
pub use crate::text::wording::{CHECKED, FOUND, NOT_FOUND, family_hint, family_sentence, is_plural};

/// Detection.
pub const DET: &[&str] = &[
    "Is this face forged?",
    "Has this face been forged?",
    "Has this photo been manipulated?",
    "Are there signs of forgery in this photo?",
    "Is this a deepfake?",
    "Was this face edited or swapped?",
    "Can I trust this photo?",
    "Is anything about this face fake?",
    "Does this face look manipulated?",
    "Check this photo for forgery.",
];

/// Classification.
pub const CLS: &[&str] = &[
    "What kind of technique was used to forge this face?",
    "Which family of forgery is this?",
    "If this face is forged, how was it done?",
    "What type of manipulation does this photo show?",
    "Name the forgery technique.",
    "Is this a face swap, a reenactment, an attribute edit or entirely synthesised?",
    "How was this face manipulated?",
    "Classify the forgery.",
];

/// Grounded explanation of the image.
pub const AGE_IMAGE: &[&str] = &[
    "Explain whether this face is forged and mark the evidence.",
    "Why do you think so? Show the forged areas.",
    "Describe the signs of forgery and segment them.",
    "What is wrong with this face? Answer with masks.",
    "Explain the forgery with interleaved segmentation masks.",
    "Is this face forged? Point out each artifact.",
    "Tell me what was changed in this face, and where.",
    "Which parts look manipulated, and why? Mark them.",
    "Analyse this face and mark every sign of forgery.",
];

/// Localisation in the image.
pub const LOC_IMAGE: &[&str] = &[
    "Where is this face forged?",
    "Mark the forged areas.",
    "Segment the manipulated parts.",
    "Which parts of the face were changed?",
    "Show me where the forgery is.",
    "Locate every artifact.",
    "Highlight what was edited.",
    "Give the masks of the forged parts.",
];

/// Explanation of the image in text only.
pub const TOE_IMAGE: &[&str] = &[
    "Explain in words whether this face is forged.",
    "Describe the signs of forgery, without masks.",
    "Why would this photo be a forgery? Text only.",
    "What makes this face look manipulated? Answer in words.",
    "Give a short written explanation.",
    "Write down what was changed in this face.",
    "Say in words what you see that speaks of forgery.",
    "In one or two sentences: is this forged, and why?",
];

/// Grounded explanation of a named region.
pub const AGE_REGION: &[&str] = &[
    "Is {r} forged? Explain and mark it.",
    "What about {r}? Mark what is wrong.",
    "Explain whether {r} was manipulated, with masks.",
    "Look at {r}: is there any sign of forgery? Show it.",
    "Describe and segment the artifacts in {r}.",
    "Has {r} been changed? Point it out.",
];

/// Localisation in a named region.
pub const LOC_REGION: &[&str] = &[
    "Mark what is forged in {r}.",
    "Where in {r} is the forgery?",
    "Segment the manipulated part of {r}.",
    "Show the forged area of {r}.",
    "Locate artifacts in {r}.",
];

/// Explanation of a named region in text only.
pub const TOE_REGION: &[&str] = &[
    "Is {r} genuine? Answer in words.",
    "Describe {r} without masks: any sign of forgery?",
    "What do you see in {r}? Text only.",
    "Say in words whether {r} was manipulated.",
    "Tell me about {r} in a sentence.",
];

/// Grounded explanation of a drawn box.
pub const AGE_BOX: &[&str] = &[
    "What about this part <bbox>? Mark what is wrong.",
    "Is the region <bbox> forged? Explain and mark it.",
    "Explain whether <bbox> was manipulated, with masks.",
    "Look at <bbox>: is there any sign of forgery? Show it.",
    "Describe and segment the artifacts in <bbox>.",
];

/// Localisation in a drawn box.
pub const LOC_BOX: &[&str] = &[
    "Mark what is forged in <bbox>.",
    "Where in <bbox> is the forgery?",
    "Segment the manipulated part of <bbox>.",
    "Show the forged area inside <bbox>.",
];

/// Explanation of a drawn box in text only.
pub const TOE_BOX: &[&str] = &[
    "What do you see in <bbox>? Text only.",
    "Say in words whether <bbox> was manipulated.",
    "Is the region <bbox> genuine? Answer in words.",
    "Describe <bbox> without masks: any sign of forgery?",
];

/// What is said of a forged part: (of one, of several). The subject stands before it.
pub fn finding(recipe: Recipe) -> &'static [(&'static str, &'static str)] {
    match recipe {
        Recipe::PartSwap => &[
            ("does not match the skin around it in colour and texture", "do not match the skin around them in colour and texture"),
            ("looks pasted in: its border does not fit", "look pasted in: their borders do not fit"),
        ],
        Recipe::SelfBlend => &[
            ("has a border where colour and sharpness change", "have borders where colour and sharpness change"),
            ("differs in tone from the face around it", "differ in tone from the face around them"),
        ],
        Recipe::PartBlur => {
            &[("lacks fine detail", "lack fine detail"), ("is blurred next to its surroundings", "are blurred next to their surroundings")]
        }
        Recipe::PartSmooth => &[
            ("is unusually smooth", "are unusually smooth"),
            ("has lost its natural skin texture", "have lost their natural skin texture"),
        ],
        Recipe::PartInpaint => &[
            ("looks filled in from the skin around it", "look filled in from the skin around them"),
            ("has an even tone where structure is expected", "have an even tone where structure is expected"),
        ],
        Recipe::LocalWarp => {
            &[("has a bent shape", "have a bent shape"), ("is pulled out of its natural shape", "are pulled out of their natural shape")]
        }
        // The later recipes are described by what is measured on the picture (see [`crate::measure`]), never by what was done.
        _ => &[("was changed", "were changed")],
    }
}
