//! One sample as it is stored: a PNG, and a JSON that holds everything needed to check it.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fict::{self, lift};
use crate::image::{Mask, Rgb8, Rle};
use crate::native::annotate::sampler::{self, Sample};
use crate::native::annotate::talk::{self, Sentence};
use crate::native::annotate::text::{Scope, Task};
use crate::native::annotate::wild::Wild;

/// What every file says of itself, forged or not (a mark on one class only would betray it).
pub const MARK: &str = "Made by facext annotate for research on forgery detection; the JSON beside it says whether and how it was altered. Not a true photo of anybody.";

/// The JSON of a sample.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// See [`MARK`].
    pub mark: String,
    pub index: u64,
    pub forged: bool,
    /// `none`, `face_swap`, `reenactment`, `attribute_edit`.
    pub family: String,
    /// Recipe id; absent for untouched pictures; `pair` for edits by other tools.
    pub recipe: Option<String>,
    /// 0 crude .. 1 subtle.
    pub difficulty: f32,
    pub parts: Vec<String>,
    pub params: BTreeMap<String, f32>,
    pub degradation: Wild,
    pub source: Origin,
    /// Side of the picture, px.
    pub side: usize,
    /// 478 points x, y in pixels of the picture, rounded to 1/64 px.
    pub mesh: Vec<[f32; 2]>,
    /// Changed pixels.
    pub artifact: Rle,
    /// Concepts that the change touched, lifted, most first.
    pub concepts: Vec<String>,
    /// Whether the sample before this one is the same picture untouched, under the same degradation.
    pub twin: bool,
    pub turns: Vec<Said>,
}

/// Where the picture comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Origin {
    pub file: String,
    pub person: String,
    /// Person of the donor, for swaps.
    pub donor: Option<String>,
    pub width: usize,
    pub height: usize,
}

/// A turn as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Said {
    /// Absent for questions outside of the eleven tasks.
    pub task: Option<Task>,
    /// Concept id, for questions about a region.
    pub region: Option<String>,
    /// `[x, y, w, h]`, for questions about a box.
    #[serde(rename = "box")]
    pub bbox: Option<[f32; 4]>,
    pub question: String,
    pub answer: String,
    pub found: bool,
    /// One for each `[SEG]`, in order.
    pub masks: Vec<Named>,
    pub sentences: Vec<Sentence>,
}

/// A mask with its concept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Named {
    pub concept: String,
    pub rle: Rle,
}

/// Rounds the mesh to what is stored, and what follows from it: labels, hits, concepts. Measurements use the stored numbers.
fn settle(sample: &mut Sample) {
    let side = sample.image.width;
    for p in sample.mesh.iter_mut().chain(&mut sample.twin_mesh) {
        *p = [(p[0] * 64.0).round() / 64.0, (p[1] * 64.0).round() / 64.0, 0.0];
    }
    sample.labels = fict::part_labels(&sample.mesh, side, side);
    sample.hits = lift::hits(&sample.labels, &sample.artifact);
    sample.concepts = sampler::concepts(sample.recipe, &sample.labels, &sample.hits);
}

/// Record and PNG of a sample. `seed` draws the wording.
///
/// # Errors
/// `io.failed` if PNG refuses the picture.
pub fn write(mut sample: Sample, index: u64, seed: u64) -> Result<(Record, Vec<u8>)> {
    settle(&mut sample);
    let mut rng = SmallRng::seed_from_u64(seed ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let turns = {
        let (gauge, twin) = sample.gauges();
        talk::turns(&sample, &gauge, twin.as_ref(), &mut rng)
    };
    let family = serde_json::to_value(sample.family).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
    let mut known: Vec<(Mask, Rle)> = Vec::new();
    let mut rle = |mask: Mask| match known.iter().find(|k| k.0 == mask) {
        Some(k) => k.1.clone(),
        None => {
            let rle = Rle::encode(&mask);
            known.push((mask, rle.clone()));
            rle
        }
    };
    let artifact = rle(sample.artifact.clone());
    let turns = turns
        .into_iter()
        .map(|t| Said {
            answer: t.answer(),
            task: t.task,
            region: if let Scope::Region(id) = t.scope { Some(id.into()) } else { None },
            bbox: if let Scope::Box(b) = t.scope { Some(b) } else { None },
            question: t.question,
            found: t.found,
            masks: t.masks.into_iter().map(|(c, m)| Named { concept: c.into(), rle: rle(m) }).collect(),
            sentences: t.sentences,
        })
        .collect();
    let record = Record {
        mark: MARK.into(),
        index,
        forged: sample.is_fake(),
        family,
        recipe: sample.recipe.map(|r| r.id()).or(sample.is_fake().then_some("pair")).map(String::from),
        difficulty: sample.difficulty,
        parts: sample.parts.iter().map(|p| p.to_string()).collect(),
        params: sample.params.iter().map(|(k, v)| (k.to_string(), *v)).collect(),
        degradation: sample.wild.unwrap_or_default(),
        source: Origin {
            file: sample.file.clone(),
            person: sample.person.clone(),
            donor: sample.donor.clone(),
            width: sample.photo[0],
            height: sample.photo[1],
        },
        side: sample.image.width,
        mesh: sample.mesh.iter().map(|p| [p[0], p[1]]).collect(),
        artifact,
        concepts: sample.concepts.iter().map(|c| c.to_string()).collect(),
        twin: sample.twin.is_some() && sample.attempt == 0,
        turns,
    };
    Ok((record, png(&sample.image)?))
}

/// A PNG with the mark, fast compression.
fn png(rgb: &Rgb8) -> Result<Vec<u8>> {
    let fault = |e: png::EncodingError| Error::Io(e.to_string());
    let mut bytes = Vec::with_capacity(rgb.data.len() / 2);
    let mut encoder = png::Encoder::new(&mut bytes, rgb.width as u32, rgb.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.add_text_chunk("Comment".into(), MARK.into()).map_err(fault)?;
    let mut writer = encoder.write_header().map_err(fault)?;
    writer.write_image_data(&rgb.data).map_err(fault)?;
    writer.finish().map_err(fault)?;
    Ok(bytes)
}
