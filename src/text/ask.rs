//! What can be asked: the tasks, and the canonical question of each.
//!
//! FiFa-11 is detection, classification and {explanation, localisation, grounded explanation} × {image, region, box}
//! (arXiv 2510.20531). Region and box differ only in how the region was chosen: both reach the model as a region token.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A task of FiFa-11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Artifact-grounding explanation: text with masks.
    Age,
    /// Localisation: masks only.
    Loc,
    /// Text-only explanation.
    Toe,
    /// Forged or not.
    Det,
    /// By what family of technique.
    Cls,
}

impl Task {
    /// All tasks.
    pub const ALL: [Task; 5] = [Task::Age, Task::Loc, Task::Toe, Task::Det, Task::Cls];

    /// The task of that name.
    ///
    /// # Errors
    /// [`Error::Request`] for an unknown name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "age" => Ok(Self::Age),
            "loc" => Ok(Self::Loc),
            "toe" => Ok(Self::Toe),
            "det" => Ok(Self::Det),
            "cls" => Ok(Self::Cls),
            _ => Err(Error::Request(format!("no task is called {name}: age, loc, toe, det, cls"))),
        }
    }

    /// Whether answers may hold masks.
    pub fn has_masks(self) -> bool {
        matches!(self, Self::Age | Self::Loc)
    }

    /// Longest answer, tokens.
    pub fn max_tokens(self) -> usize {
        match self {
            Self::Age | Self::Toe => 96,
            Self::Loc => 48,
            Self::Det | Self::Cls => 32,
        }
    }

    /// The question asked when the user asks none.
    ///
    /// `region`: English name of a named region, or "this region" for a box or drawing.
    pub fn question(self, region: Option<&str>) -> String {
        let place = region.map(|r| if r == THIS_REGION { r.to_string() } else { format!("the {r}") });
        match (self, place) {
            (Self::Age, None) => "Is this face forged? Explain with segmentation masks.".into(),
            (Self::Age, Some(r)) => format!("Is {r} forged? Explain with segmentation masks."),
            (Self::Loc, None) => "Segment the forged regions of this face.".into(),
            (Self::Loc, Some(r)) => format!("Segment what is forged in {r}."),
            (Self::Toe, None) => "Is this face forged? Explain in words.".into(),
            (Self::Toe, Some(r)) => format!("Is {r} forged? Explain in words."),
            (Self::Det, None) => "Has this face been forged?".into(),
            (Self::Det, Some(r)) => format!("Has {r} been forged?"),
            (Self::Cls, _) => "What kind of technique was used to forge this face?".into(),
        }
    }
}

/// How a region without a name is called in questions.
pub const THIS_REGION: &str = "this region";
