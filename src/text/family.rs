//! Families of forgery: the classes of the classification task, in the order of the decoder's logits.

use serde::{Deserialize, Serialize};

/// Family of technique (the four families of DFA-Bench, and none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// No forgery known. In reports `none`: never a verdict that a face is real.
    #[serde(rename = "none")]
    Real,
    /// Something of another face, or another version of the same face, blended in.
    FaceSwap,
    /// Shape or expression moved.
    Reenactment,
    /// A part smoothed, painted over or changed in look.
    AttributeEdit,
    /// The whole face generated. No recipe makes it yet; it holds the class's place.
    EntireSynthesis,
}

impl Family {
    /// All families in the order of the decoder's logits.
    pub const ALL: [Self; 5] = [Self::Real, Self::FaceSwap, Self::Reenactment, Self::AttributeEdit, Self::EntireSynthesis];

    /// Class index, 0 = no forgery.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Id in reports.
    pub fn id(self) -> &'static str {
        ["none", "face_swap", "reenactment", "attribute_edit", "entire_synthesis"][self.index()]
    }

    /// Name in answers; `None` for [`Family::Real`], which is never named as a verdict.
    pub fn words(self) -> Option<&'static str> {
        [None, Some("face swap"), Some("reenactment"), Some("attribute edit"), Some("entire synthesis")][self.index()]
    }
}
