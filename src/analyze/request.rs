//! What a caller asks of a photo, and what it hears while it waits.

use crate::analyze::report::{Band, MaskReport};
use crate::analyze::spread::Resave;
use crate::error::Result;
use crate::image::{BBox, Rle};
use crate::text::{Family, Task, own};
use serde::{Deserialize, Serialize};

/// A question about a photo. At most one of `region`, `box`, `mask` is used, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What kind of answer.
    pub task: Task,
    /// Index of a face; all faces when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub face: Option<usize>,
    /// A concept's id, English or Chinese name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// A box in pixels of the upright photo.
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub bbox: Option<BBox>,
    /// A drawn mask, of the upright photo's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Rle>,
    /// Own wording, at most 64 tokens; the task's own question when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

impl Request {
    /// The task about the whole face, in its own words.
    pub fn of(task: Task) -> Self {
        Self { task, face: None, region: None, bbox: None, mask: None, question: None }
    }

    /// The same request, about the one part that its own question names ("What about the nose?"), if nothing else was chosen.
    ///
    /// # Errors
    /// [`crate::Error::OffLimits`] for a question that is not answered.
    pub fn understood(&self) -> Result<Self> {
        let mut request = self.clone();
        if let Some(question) = &self.question {
            own::allowed(question)?;
            if !self.has_region() {
                request.region = own::part_named(question).map(|c| c.id.into());
            }
        }
        Ok(request)
    }

    /// Whether the question is about a part of the face.
    pub fn has_region(&self) -> bool {
        self.region.is_some() || self.bbox.is_some() || self.mask.is_some()
    }
}

/// Stages, in order of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Bytes to pixels.
    Decode,
    /// Faces and meshes.
    Face,
    /// Crop to features.
    Encode,
    /// Task tokens.
    Evidence,
    /// Prompt into the language model.
    Prefill,
    /// Token by token.
    Generate,
    /// `[SEG]` states to masks.
    Masks,
    /// The face saved again and scored; after an answer.
    Spread,
}

impl Stage {
    /// Name in timings and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Face => "face",
            Self::Encode => "encode",
            Self::Evidence => "evidence",
            Self::Prefill => "prefill",
            Self::Generate => "generate",
            Self::Masks => "masks",
            Self::Spread => "spread",
        }
    }
}

/// What happens while an answer is made.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Event {
    /// A stage begins.
    Stage { stage: Stage, face: usize },
    /// The score is known.
    Verdict { face: usize, score: f32, band: Band, family: Family },
    /// Plain text was added.
    Text { face: usize, text: String },
    /// Text was added to grounded phrase `id`.
    Phrase { face: usize, id: usize, text: String },
    /// Mask `id` is ready.
    Mask { face: usize, id: usize, mask: MaskReport },
    /// The face was saved again and scored.
    Trial { face: usize, how: Resave, score: f32, band: Band },
}

/// The caller's side of a run.
pub trait Listener {
    /// Told of every event.
    fn event(&mut self, event: Event);

    /// Called between stages and tokens: a chance to yield to an event loop and to stop.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`] to stop the run.
    fn breathe(&mut self) -> impl std::future::Future<Output = Result<()>>;
}

/// A listener that hears nothing and never stops.
pub struct Silent;

impl Listener for Silent {
    fn event(&mut self, _: Event) {}
    async fn breathe(&mut self) -> Result<()> {
        Ok(())
    }
}
