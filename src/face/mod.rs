//! Faces: where they are, their 478-point mesh, whether they can be analysed, and the crop that the model sees.
//!
//! `detector` and `mesh` are the two networks (MediaPipe's short-range BlazeFace and FaceMesh V2, Apache-2.0), in burn;
//! [`FaceFinder`] runs them over a photo. No face, too small, too blurred are results, not errors: without a usable face
//! there is no verdict.

pub mod candidates;
pub mod crop;
pub mod detector;
pub mod finder;
pub mod geometry;
pub mod mesh;
pub mod sample;
pub mod sharpness;
pub mod windows;

pub use crop::Crop;
pub use finder::FaceFinder;

use crate::image::BBox;

/// A usable face.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Box of the mesh points, photo pixels; may reach beyond the photo.
    pub bbox: BBox,
    /// 478 points `[x, y, z]`, photo pixels (z: same scale, smaller is nearer). Order: MediaPipe FaceMesh V2, 468 points of
    /// the face, then the irises (right of the subject 468..473, left 473..478, centre first).
    pub mesh: Vec<[f32; 3]>,
    /// Certainty that this is a face, 0..1: the lower of detector score and mesh presence.
    pub score: f32,
    /// See [`sharpness::sharpness`].
    pub sharpness: f32,
    /// Stable codes of what speaks against trusting details: [`Face::SMALL`], [`Face::SOFT`], [`Face::CUT`].
    pub warnings: Vec<&'static str>,
}

impl Face {
    /// The face is smaller than [`Limits::comfortable`].
    pub const SMALL: &'static str = "face_small";
    /// The face is less sharp than [`Limits::crisp`].
    pub const SOFT: &'static str = "face_soft";
    /// Part of the face lies outside of the photo.
    pub const CUT: &'static str = "face_cut";
}

/// What the face stage found.
#[derive(Debug, Clone, PartialEq)]
pub enum Faces {
    /// At least one usable face, left to right.
    Found(Vec<Face>),
    /// No verdict is possible.
    NoneUsable {
        /// Why.
        reason: NoFace,
        /// Measured against needed, English, for logs and the command line.
        detail: String,
    },
}

/// Why no face is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFace {
    /// Nothing looks like a face.
    None,
    /// Every face is smaller than [`Limits::smallest`].
    TooSmall,
    /// Every face that is large enough is blurred beyond [`Limits::sharpest_blur`].
    TooBlurred,
}

impl NoFace {
    /// Stable code, as in the report's `reason`.
    pub fn code(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::TooSmall => "too_small",
            Self::TooBlurred => "too_blurred",
        }
    }
}

/// What counts as a face, and as a usable one. Sizes are the long side of the mesh box in photo pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Lowest detector score in the whole photo (MediaPipe's default).
    pub detection: f32,
    /// Lowest detector score in a tile; higher, because tiles show more textures than faces.
    pub tile_detection: f32,
    /// Lowest presence of the mesh network, 0..1 (MediaPipe's default).
    pub presence: f32,
    /// Lowest [`Face::score`] of a face too small or too blurred to be mentioned at all: round blobs without detail reach
    /// 0.66, and "no face" is the better answer to them.
    pub certain: f32,
    /// Smaller faces are "too small": below this the crop would be enlarged more than fourfold.
    pub smallest: f32,
    /// Smaller faces carry a warning.
    pub comfortable: f32,
    /// Faces at least this large are looked for before the answer is "no face".
    pub noticed: f32,
    /// Less sharp faces are "too blurred". Measured: 1,118 ordinary photos of faces lie above it; a Gaussian blur of 3 % of the
    /// face's width, or a face enlarged from 12 px, lies below (the most detailed at 0.0021 and 0.0019).
    pub sharpest_blur: f32,
    /// Less sharp faces carry a warning: about what a blur of 1 % of the face's width, or 40 px enlarged, leave.
    pub crisp: f32,
    /// Most tiles that are looked at. 64 are two levels of a square photo: faces of about 4 % of its long side are seen.
    pub tiles: usize,
    /// Most faces.
    pub faces: usize,
    /// Whether the mesh network looks twice.
    pub second_look: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            detection: 0.5,
            tile_detection: 0.6,
            presence: 0.5,
            certain: 0.7,
            smallest: 64.0,
            comfortable: 112.0,
            noticed: 20.0,
            sharpest_blur: 0.003,
            crisp: 0.02,
            tiles: 64,
            faces: 24,
            second_look: true,
        }
    }
}
