//! Families of forgery: the classes of the classification task, in the order of the decoder's logits.

use serde::{Deserialize, Serialize};

/// Family of technique (the four families of DFA-Bench, and none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// No forgery known.
    None,
    /// Something of another face, or another version of the same face, blended in.
    FaceSwap,
    /// Shape or expression moved.
    Reenactment,
    /// A part smoothed, painted over or changed in look.
    AttributeEdit,
    /// The whole face generated.
    EntireSynthesis,
}

impl Family {
    /// All families in the order of the decoder's logits.
    pub const ALL: [Family; 5] = [Self::None, Self::FaceSwap, Self::Reenactment, Self::AttributeEdit, Self::EntireSynthesis];

    /// Position in the decoder's logits.
    pub fn index(self) -> usize {
        self as usize
    }

    /// In English words, as answers name it.
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FaceSwap => "face swap",
            Self::Reenactment => "reenactment",
            Self::AttributeEdit => "attribute edit",
            Self::EntireSynthesis => "entire synthesis",
        }
    }
}
