//! From a photo and a question to a report. [`Analyzer::open`] and [`Analyzer::analyze`] are the story that the command line
//! and the browser call; the evaluation calls the same stages (verdict, generation, masks) on crops whose truth it knows.

pub mod answer;
pub mod bands;
pub mod generate;
pub mod ground;
pub mod head;
pub mod measured;
pub mod named;
pub mod region;
pub mod report;
pub mod request;
pub mod sayable;
pub mod score;
pub mod spread;

use crate::config::{ModelConfig, WEIGHTS_VERSION};
use crate::error::{DeviceFault, Error, Result, WeightsFault};
use crate::face::{Crop, FaceFinder, Faces};
use crate::image::{self, Picture};
use crate::model::Fifa;
use crate::model::tasks::Evidence;
use crate::model::vision::crops_to_tensor;
use crate::text::tokenizer::Tokenizer;
use crate::weights::{Arrived, Vars};
use bands::Calibration;
use burn::tensor::{Device, Tensor};
use head::Head;
use region::Place;
use report::{FaceReport, FileFacts, Program, Report, Status, Trial};
use request::{Event, Listener, Request, Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use web_time::Instant;

/// Name of the configuration file beside the weights.
pub const CONFIG_FILE: &str = "config.json";
/// Name of the tokenizer file beside the weights.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// Everything about the model that is not a tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Layout of the weights that the configuration belongs to.
    pub weights_version: u32,
    /// Sizes.
    pub model: ModelConfig,
    /// Score and bands.
    pub calibration: Calibration,
}

impl Settings {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// `weights.format`, `weights.version`, [`Error::Model`].
    pub fn parse(json: &[u8]) -> Result<Self> {
        let settings: Self =
            serde_json::from_slice(json).map_err(|e| Error::weights(WeightsFault::Format, format!("{CONFIG_FILE}: {e}")))?;
        if settings.weights_version != WEIGHTS_VERSION {
            let detail = format!("weights of layout {}, this program reads {WEIGHTS_VERSION}", settings.weights_version);
            return Err(Error::weights(WeightsFault::Version, detail));
        }
        if settings.model.res_lite == [0; 8] {
            let detail = "these look for traces with the residual pyramid, which this program no longer has";
            return Err(Error::weights(WeightsFault::Version, detail));
        }
        settings.model.check()?;
        Ok(settings)
    }
}

/// A loaded model with all that an analysis needs.
pub struct Analyzer {
    /// Sizes, calibration.
    pub settings: Settings,
    /// Names of program, weights and device for the report.
    pub program: Program,
    pub(crate) fifa: Fifa,
    pub(crate) tokenizer: Tokenizer,
    finder: FaceFinder,
    device: Device,
}

/// A decoded photo with its faces; keeps what was computed about each face, so that many questions cost one encoding and one reading
/// of the prompt's head.
pub struct Photo {
    /// The decoded file.
    pub picture: Picture,
    /// Name as given.
    pub name: String,
    /// Usable faces, or why there are none.
    pub faces: Faces,
    evidence: Vec<Option<Evidence>>,
    /// By face: its scores after it was saved again, as far as they are known.
    trials: Vec<Vec<Trial>>,
    head: Head,
    timings: BTreeMap<String, f64>,
}

impl Photo {
    /// Facts for the report.
    pub fn facts(&self) -> FileFacts {
        FileFacts {
            name: self.name.clone(),
            bytes: self.picture.bytes,
            sha256: self.picture.sha256.clone(),
            width: self.picture.rgb.width,
            height: self.picture.rgb.height,
            orientation: self.picture.orientation,
        }
    }

    /// Stable code of the reason, if no face can be judged.
    pub fn reason(&self) -> Option<&'static str> {
        match &self.faces {
            Faces::Found(_) => None,
            Faces::NoneUsable { reason, .. } => Some(reason.code()),
        }
    }

    /// Stable codes of what a reader should know of the file and of one face, or of all faces.
    pub fn warnings(&self, face: Option<usize>) -> Vec<&'static str> {
        let mut all = self.picture.warnings.clone();
        if let Faces::Found(faces) = &self.faces {
            let seen = faces.iter().enumerate().filter(|(i, _)| face.is_none_or(|f| f == *i));
            all.extend(seen.flat_map(|(_, f)| f.warnings.iter().copied()));
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Concept leaves of a square of the photo.
pub struct PartMap {
    /// The square, photo pixels; may reach beyond the photo.
    pub bbox: image::BBox,
    /// Cells along a side.
    pub side: usize,
    /// `side * side` leaf labels, row-major; [`crate::fict::BACKGROUND`] where there is none.
    pub labels: Vec<u8>,
}

impl Analyzer {
    /// Builds the model from verified tensors.
    ///
    /// # Arguments
    /// - `weights`: used up; packed matrices that were placed already must be on `device`.
    /// - `device`: where the model computes; the face finder always runs on the CPU.
    /// - `device_name`: for the report.
    ///
    /// # Errors
    /// `weights.*`, [`Error::Model`] for sizes that do not fit, [`Error::Text`].
    pub fn load(
        settings: Settings,
        weights: impl Into<Arrived>,
        tokenizer: &[u8],
        weights_sha256: String,
        device: &Device,
        device_name: &str,
    ) -> Result<Self> {
        let vars = Vars::arrived(weights.into(), device);
        let fifa = Fifa::build(&settings.model, &vars)?;
        let finder = FaceFinder::build(&vars.on(&Device::flex()).pp("face"))?;
        let program = Program {
            version: env!("CARGO_PKG_VERSION").into(),
            weights_sha256,
            device: device_name.into(),
            preset: settings.model.preset.clone(),
        };
        Ok(Self { tokenizer: Tokenizer::from_json(tokenizer)?, settings, program, fifa, finder, device: device.clone() })
    }

    /// Decodes a file and finds its faces.
    ///
    /// # Errors
    /// `image.*`; [`Error::Face`]; [`Error::Cancelled`] from the listener.
    pub async fn open<L: Listener>(&self, bytes: &[u8], name: &str, listener: &mut L) -> Result<Photo> {
        let mut timings = BTreeMap::new();
        listener.event(Event::Stage { stage: Stage::Decode, face: 0 });
        let clock = Instant::now();
        let picture = image::decode(bytes)?;
        timings.insert(Stage::Decode.name().into(), ms(clock));
        listener.event(Event::Stage { stage: Stage::Face, face: 0 });
        listener.breathe().await?;
        let clock = Instant::now();
        let faces = self.finder.find(&picture).await?;
        timings.insert(Stage::Face.name().into(), ms(clock));
        let count = if let Faces::Found(f) = &faces { f.len() } else { 0 };
        Ok(Photo {
            picture,
            name: name.into(),
            faces,
            evidence: vec![None; count],
            trials: vec![vec![]; count],
            head: Head::default(),
            timings,
        })
    }

    /// Answers a request about an opened photo. Without a usable face the report says so, whatever was asked.
    ///
    /// # Errors
    /// [`Error::Request`] for what makes no sense on this photo, such as a region that touches none of its faces;
    /// [`Error::OffLimits`] for a question about who somebody is;
    /// [`Error::Cancelled`]; `device.*`; [`Error::Model`], [`Error::Text`].
    pub async fn analyze<L: Listener>(&self, photo: &mut Photo, request: &Request, listener: &mut L) -> Result<Report> {
        let clock = Instant::now();
        let request = &request.understood()?;
        let mut timings = photo.timings.clone();
        let mut warnings: Vec<String> = photo.warnings(request.face).into_iter().map(Into::into).collect();
        let count = photo.evidence.len();
        if let Some(face) = request.face
            && face >= count
            && count > 0
        {
            return Err(Error::Request(format!("there is no face {face}: the photo has {count}")));
        }
        let mut faces: Vec<FaceReport> = Vec::new();
        for face in (0..count).filter(|f| request.face.is_none_or(|wanted| wanted == *f)) {
            let crop = self.crop(photo, face)?;
            let labels = self.crop_labels(photo, face, &crop);
            let asked = match region::place(photo, &crop, &labels, request)? {
                Place::Whole => None,
                Place::Part(asked) => Some(asked),
                // A box or drawing on one of several faces is a question about that face.
                Place::Elsewhere => continue,
            };
            let evidence = self.evidence(photo, face, &crop, &mut timings, listener).await?;
            let mut head = std::mem::take(&mut photo.head);
            let about = (request, asked.as_ref());
            let told = (&mut timings, &mut warnings);
            let answer = self.answer(photo, (face, &crop, &labels), (&evidence, &mut head), about, told, listener).await;
            photo.head = head;
            faces.push(answer?);
        }
        if count > 0 && faces.is_empty() {
            return Err(Error::Request("the region does not touch a face".into()));
        }
        timings.insert("total".into(), ms(clock) + photo.timings.values().sum::<f64>());
        warnings.sort();
        warnings.dedup();
        Ok(Report {
            status: if count > 0 { Status::Ok } else { Status::NoUsableFace },
            reason: photo.reason().map(Into::into),
            request: Some(request.clone()),
            file: photo.facts(),
            program: self.program.clone(),
            faces,
            timings_ms: timings,
            warnings,
        })
    }

    /// The crop that the model sees of a face.
    fn crop(&self, photo: &Photo, face: usize) -> Result<Crop> {
        match &photo.faces {
            Faces::Found(faces) => {
                let face = faces.get(face).ok_or_else(|| Error::Request(format!("there is no face {face}")))?;
                Ok(Crop::around(face, &photo.picture.rgb, self.settings.model.enc_image))
            }
            Faces::NoneUsable { .. } => Err(Error::Request("the photo has no usable face".into())),
        }
    }

    /// Concept leaf of every pixel of a face's crop.
    fn crop_labels(&self, photo: &Photo, face: usize, crop: &Crop) -> Vec<u8> {
        match &photo.faces {
            Faces::Found(faces) => faces.get(face).map_or_else(Vec::new, |f| region::labels(f, crop)),
            Faces::NoneUsable { .. } => Vec::new(),
        }
    }

    /// Where the concepts lie on a face: its crop as a square of the photo, with the concept leaf of every cell. What a page
    /// lights up under a pointer is what a question by name looks at.
    ///
    /// # Errors
    /// [`Error::Request`] if there is no such face.
    pub fn parts(&self, photo: &Photo, face: usize) -> Result<PartMap> {
        let crop = self.crop(photo, face)?;
        let labels = self.crop_labels(photo, face, &crop);
        Ok(PartMap { bbox: image::BBox { x: crop.x, y: crop.y, w: crop.size, h: crop.size }, side: crop.side, labels })
    }

    /// Encoder output of a face, computed once for a photo.
    async fn evidence<L: Listener>(
        &self,
        photo: &mut Photo,
        face: usize,
        crop: &Crop,
        timings: &mut BTreeMap<String, f64>,
        listener: &mut L,
    ) -> Result<Evidence> {
        if let Some(Some(known)) = photo.evidence.get(face) {
            return Ok(known.clone());
        }
        listener.event(Event::Stage { stage: Stage::Encode, face });
        listener.breathe().await?;
        let clock = Instant::now();
        let side = self.settings.model.enc_image;
        let evidence = self.fifa.vision.encode(crops_to_tensor(&[&crop.pixels.data], side, &self.device));
        // One number is read, so that the stage's time is its own also on a device that works ahead.
        read_back(evidence.map.clone().narrow(1, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1)).await?;
        *timings.entry(Stage::Encode.name().into()).or_default() += ms(clock);
        if let Some(slot) = photo.evidence.get_mut(face) {
            *slot = Some(evidence.clone());
        }
        Ok(evidence)
    }
}

/// Milliseconds since `clock`.
pub(crate) fn ms(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1e3
}

/// Values of a tensor on the host, without blocking.
pub(crate) async fn read_back<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await.map_err(|e| Error::device(DeviceFault::Lost, format!("{e:?}")))?;
    data.try_to_vec::<f32>().map_err(|e| Error::Model(format!("{e:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_with_the_residual_pyramid_are_refused_by_version() {
        let settings =
            Settings { weights_version: WEIGHTS_VERSION, model: ModelConfig::tiny(), calibration: bands::Calibration::default() };
        let mut json = serde_json::to_value(&settings).unwrap();
        assert_eq!(Settings::parse(json.to_string().as_bytes()).unwrap(), settings);
        json["model"].as_object_mut().unwrap().remove("res_lite");
        assert_eq!(Settings::parse(json.to_string().as_bytes()).unwrap_err().code(), "weights.version");
    }
}
