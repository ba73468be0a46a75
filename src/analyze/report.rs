//! The report: what `facext analyze --json` prints, what the page saves. Its fields are a contract.

use crate::analyze::request::Request;
use crate::analyze::spread::Resave;
use crate::image::{BBox, Rle};
use crate::measure::Measure;
use crate::text::Family;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole report. Boxes and masks are in pixels of the upright photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `ok` or `no_usable_face`.
    pub status: Status,
    /// Why there is no usable face: `none`, `too_small`, `too_blurred`.
    pub reason: Option<String>,
    /// What was asked; absent in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// The photo.
    pub file: FileFacts,
    /// What computed this.
    pub program: Program,
    /// One entry an analysed face, left to right; empty without a usable face.
    pub faces: Vec<FaceReport>,
    /// Milliseconds by stage, summed over faces; `total` is all of them with what lies between. One entry is no time:
    /// `tokens`, the number of tokens generated.
    pub timings_ms: BTreeMap<String, f64>,
    /// Stable codes of what a reader should know.
    pub warnings: Vec<String>,
}

/// Whether a face could be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// At least one face was analysed.
    Ok,
    /// No verdict without a face.
    NoUsableFace,
}

/// Facts about the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Name as given; never a path.
    pub name: String,
    /// Size.
    pub bytes: usize,
    /// Of the file's bytes, hexadecimal.
    pub sha256: String,
    /// Upright, pixels.
    pub width: usize,
    /// Upright, pixels.
    pub height: usize,
    /// EXIF orientation as found, 1..8.
    pub orientation: u8,
}

/// Versions and device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Of facext.
    pub version: String,
    /// Hash over the sorted hashes of all weight files; the manifest states the same one.
    pub weights_sha256: String,
    /// Command line: `cpu` or `gpu`. Browser: `cpu (wasm)` or `gpu (` adapter's name `)`.
    pub device: String,
    /// `base`, `tiny`, `paper`.
    pub preset: String,
}

/// One face's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaceReport {
    /// Of the mesh; may reach beyond the photo.
    #[serde(rename = "box")]
    pub bbox: BBox,
    /// Probability-like score that the face is forged, 0..1, calibrated on validation persons.
    pub score: f32,
    /// The score in words; `inconclusive` also where the answer's words contradict the score.
    pub band: Band,
    /// Family of technique, `none` unless the band is at least `signs`.
    pub family: Family,
    /// The answer as plain text.
    pub answer: String,
    /// The answer in order, phrases with the index of their mask.
    pub spans: Vec<Span>,
    /// Masks in order of appearance.
    pub masks: Vec<MaskReport>,
    /// How far the score moves when the face is saved again; absent where that was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// Scores of a face saved again in lower quality, about the whole face whatever was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Least of the face's score and those of the trials.
    pub low: f32,
    /// Greatest of them.
    pub high: f32,
    /// In the order in which they were tried.
    pub tried: Vec<Trial>,
}

/// One saving and its score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// How the face was saved.
    pub how: Resave,
    /// As [`FaceReport::score`], of the saved face.
    pub score: f32,
    /// Band of that score.
    pub band: Band,
}

/// A stretch of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Text, with its spaces.
    pub text: String,
    /// Index into `masks` for a grounded phrase.
    pub mask: Option<usize>,
}

/// One mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskReport {
    /// COCO run lengths, of the whole photo's size.
    pub rle: Rle,
    /// Bounding box of the mask; all 0 for an empty mask.
    pub bbox: BBox,
    /// The model's own estimate of the mask's IoU with the truth, 0..1.
    pub quality: f32,
    /// Id of the concept that the phrase names; where it names no one concept, of the part that holds most of the mask, if that is at least a
    /// third of it.
    pub concept: Option<String>,
    /// What was measured on the marked pixels and stands out against untouched photos, farthest first; at most three.
    #[serde(default)]
    pub measured: Vec<Measured>,
}

/// A measurement that stands out: at least three spreads from the median of untouched photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What was measured.
    pub measure: Measure,
    /// In `unit`.
    pub value: f32,
    /// `octaves`, `levels`, `percent`, `percent_of_face_width` or `correlation`.
    pub unit: String,
    /// Median of untouched photos, same unit.
    pub median: f32,
    /// Robust spread of untouched photos, same unit.
    pub spread: f32,
}

/// Bands of the score, under-claiming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// No sign found: not the same as authentic.
    NoSign,
    /// Neither way.
    Inconclusive,
    /// Signs of forgery.
    Signs,
    /// Strong signs of forgery.
    StrongSigns,
}
