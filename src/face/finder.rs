//! The face stage: photo → every usable face, or the reason why there is none.
//!
//! 1. [`windows`]: the whole photo, then tiles while faces worth having could still be too small for the window.
//! 2. [`detector`] and `candidates`: boxes with eye positions, doubles across windows removed.
//! 3. [`mesh`] on a square around each box with the eyes level; a second look where the mesh itself
//!    asks for quite another square.
//! 4. A face must convince the detector, the mesh's presence output, and [`geometry`].
//! 5. Size and sharpness decide whether it is usable.

use super::candidates::{Detection, distinct, faces_of, sigmoid};
use super::detector::{self, Detector, VALUES};
use super::mesh::{self, MeshNet};
use super::sample::{Mips, Outside, Roi};
use super::sharpness::sharpness;
use super::{Face, Faces, Limits, NoFace, geometry, windows};
use crate::error::{Error, Result};
use crate::image::{Picture, Rgb8};
use crate::weights::Vars;
use burn::tensor::{Device, Tensor, TensorData};

/// Windows a forward pass of the detector takes at once.
const DETECTOR_BATCH: usize = 8;
/// Faces a forward pass of the mesh takes at once.
const MESH_BATCH: usize = 4;

/// Both networks and the limits of what counts as a usable face.
pub struct FaceFinder {
    detector: Detector,
    mesh: MeshNet,
    device: Device,
    limits: Limits,
}

/// Mesh and presence (0..1) of one square; `None` if the network's output is not finite.
type Look = Option<(Vec<[f32; 3]>, f32)>;

/// A detection with its mesh, before it is judged for size and sharpness.
struct Meshed {
    mesh: Vec<[f32; 3]>,
    presence: f32,
    seen: Detection,
}

impl FaceFinder {
    /// Reads `detector.*` and `mesh.*`, so give it `vars.pp("face")` of a [`Vars`] on the CPU device: the networks are
    /// small, and the GPU's latency would cost more than it saves.
    ///
    /// # Errors
    /// `weights.missing_tensor`, `weights.shape`.
    pub fn build(v: &Vars) -> Result<Self> {
        Ok(Self {
            detector: Detector::build(&v.pp("detector"))?,
            mesh: MeshNet::build(&v.pp("mesh"))?,
            device: v.device().clone(),
            limits: Limits::default(),
        })
    }

    /// The same networks with other limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Every usable face of the photo, left to right, or the reason why there is none. Unusable faces beside usable ones
    /// are left out.
    ///
    /// # Errors
    /// `face.failed` if a network's output cannot be read.
    pub async fn find(&self, picture: &Picture) -> Result<Faces> {
        self.find_in(&picture.rgb).await
    }

    /// As [`Self::find`], on bare pixels.
    ///
    /// # Errors
    /// `face.failed` if a network's output cannot be read.
    pub async fn find_in(&self, rgb: &Rgb8) -> Result<Faces> {
        let photo = Mips::new(rgb);
        let mut faces = Vec::new();
        for meshed in self.search(&photo).await? {
            let bbox = geometry::bbox(&meshed.mesh);
            let square = Roi::upright([bbox.x + bbox.w / 2.0, bbox.y + bbox.h / 2.0], bbox.w.max(bbox.h));
            let mut face = Face {
                bbox,
                score: meshed.seen.score.min(meshed.presence),
                sharpness: sharpness(&photo, &square),
                mesh: meshed.mesh,
                warnings: Vec::new(),
            };
            if face.bbox.w.max(face.bbox.h) < self.limits.comfortable {
                face.warnings.push(Face::SMALL);
            }
            if face.sharpness < self.limits.crisp {
                face.warnings.push(Face::SOFT);
            }
            if geometry::visible(&face.mesh, rgb.width, rgb.height) < 0.97 {
                face.warnings.push(Face::CUT);
            }
            faces.push(face);
        }
        Ok(self.limits.judge(faces))
    }

    /// Looks level by level. Deeper levels run while a usable face could still have been missed, and further if nothing
    /// has been found at all, to tell "too small" from "none".
    async fn search(&self, photo: &Mips<'_>) -> Result<Vec<Meshed>> {
        let (width, height) = (photo.photo().width, photo.photo().height);
        if width == 0 || height == 0 {
            return Ok(Vec::new());
        }
        let whole = windows::whole(width, height);
        let mut seen = self.detect(photo, &[whole], self.limits.detection).await?;
        if seen.is_empty() {
            // A face that fills the frame is too large for the detector: step back.
            let back = Roi { size: whole.size * 1.7, ..whole };
            seen = self.detect(photo, &[back], self.limits.detection).await?;
        }
        let mut meshed = self.confirm(photo, seen, Vec::new()).await?;
        let mut budget = self.limits.tiles;
        for level in 1.. {
            // Smallest face that the previous level can see.
            let reach = windows::REACH * windows::side(width, height, level - 1);
            let goal = if meshed.is_empty() { self.limits.noticed } else { self.limits.smallest };
            let tiles = windows::tiles(width, height, level);
            if reach <= goal || tiles.len() > budget {
                break;
            }
            budget -= tiles.len();
            let seen = self.detect(photo, &tiles, self.limits.tile_detection).await?;
            meshed = self.confirm(photo, seen, meshed).await?;
        }
        Ok(meshed)
    }

    /// Detections of several windows; doubles across windows removed, best first.
    async fn detect(&self, photo: &Mips<'_>, windows: &[Roi], threshold: f32) -> Result<Vec<Detection>> {
        let side = detector::INPUT;
        let mut seen = Vec::new();
        for batch in windows.chunks(DETECTOR_BATCH) {
            let mut kept = Vec::new();
            let mut input = Vec::new();
            for window in batch {
                let pixels = photo.sample(window, side, Outside::Grey(0.0));
                if flat(&pixels) {
                    continue;
                }
                kept.push(window);
                push_planes(&mut input, &pixels, |v| v / 127.5 - 1.0);
            }
            if kept.is_empty() {
                continue;
            }
            let raw = self.detector.forward(self.tensor(input, kept.len(), side));
            let (scores, values) = (read(raw.scores).await?, read(raw.values).await?);
            let rows = detector::CANDIDATES;
            for ((window, scores), values) in kept.iter().zip(scores.chunks(rows)).zip(values.chunks(rows * VALUES)) {
                seen.extend(faces_of(scores, values, window, threshold));
            }
        }
        seen.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut seen = distinct(seen, |d| d.corners);
        seen.truncate(self.limits.faces);
        Ok(seen)
    }

    /// Runs the mesh on new detections and adds those that are faces to `known`, which win where both show the same face.
    async fn confirm(&self, photo: &Mips<'_>, seen: Vec<Detection>, mut known: Vec<Meshed>) -> Result<Vec<Meshed>> {
        let corners = |m: &Meshed| geometry::corners(&geometry::bbox(&m.mesh));
        let boxes: Vec<[f32; 4]> = known.iter().map(corners).collect();
        let fresh = distinct(boxes.iter().map(|b| (*b, None)).chain(seen.into_iter().map(|d| (d.corners, Some(d)))).collect(), |i| i.0);
        let fresh: Vec<Detection> = fresh.into_iter().filter_map(|(_, d)| d).collect();
        let squares: Vec<Roi> = fresh.iter().map(Detection::roi).collect();
        let mut looks = self.meshes(photo, &squares).await?;
        if self.limits.second_look {
            let again = |((i, look), square): ((usize, &Look), &Roi)| {
                let next = geometry::next_roi(&look.as_ref()?.0)?;
                geometry::differs(square, &next).then_some((i, next))
            };
            let (which, next): (Vec<usize>, Vec<Roi>) = looks.iter().enumerate().zip(&squares).filter_map(again).unzip();
            for (i, second) in which.into_iter().zip(self.meshes(photo, &next).await?) {
                // Presence saturates near 1, so a better square shows only in not losing the face.
                if let (Some(a), Some(b)) = (&looks[i], &second)
                    && b.1 >= a.1 - 0.1
                {
                    looks[i] = second;
                }
            }
        }
        for (seen, look) in fresh.into_iter().zip(looks) {
            let Some((mesh, presence)) = look else { continue };
            let doubt = geometry::implausible(&mesh, &seen);
            log::debug!("face? detector {:.2}, presence {presence:.2}, box {:?}, {doubt:?}", seen.score, seen.corners);
            if presence >= self.limits.presence && doubt.is_none() {
                known.push(Meshed { mesh, presence, seen });
            }
        }
        // Meshes of different detections may have slid onto one face.
        Ok(distinct(known, corners))
    }

    /// Looks into each square.
    async fn meshes(&self, photo: &Mips<'_>, rois: &[Roi]) -> Result<Vec<Look>> {
        let side = mesh::INPUT;
        let mut out = Vec::with_capacity(rois.len());
        for batch in rois.chunks(MESH_BATCH) {
            let mut input = Vec::with_capacity(batch.len() * 3 * side * side);
            for roi in batch {
                push_planes(&mut input, &photo.sample(roi, side, Outside::Edge), |v| v / 255.0);
            }
            let raw = self.mesh.forward(self.tensor(input, batch.len(), side));
            let (points, presence) = (read(raw.points).await?, read(raw.presence).await?);
            for ((roi, points), presence) in batch.iter().zip(points.chunks(mesh::POINTS * 3)).zip(presence) {
                out.push(geometry::placed(points, roi, side).map(|mesh| (mesh, sigmoid(presence))));
            }
        }
        Ok(out)
    }

    fn tensor(&self, values: Vec<f32>, batch: usize, side: usize) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values, [batch, 3, side, side]), &self.device)
    }
}

/// Reads a float tensor without blocking.
async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await.map_err(|e| Error::Face(format!("{e:?}")))?;
    data.try_to_vec::<f32>().map_err(|e| Error::Face(format!("{e:?}")))
}

/// Interleaved pixels → appended planes, through `scale`.
fn push_planes(planes: &mut Vec<f32>, pixels: &[f32], scale: impl Fn(f32) -> f32) {
    for c in 0..3 {
        planes.extend(pixels.iter().skip(c).step_by(3).map(|v| scale(*v)));
    }
}

/// Whether a window shows nothing: sky, paper, the border of a montage.
fn flat(pixels: &[f32]) -> bool {
    let (low, high) = pixels.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    high - low < 12.0
}

impl Limits {
    /// Splits faces into usable ones, left to right, or says why there is none.
    fn judge(&self, faces: Vec<Face>) -> Faces {
        let side = |f: &Face| f.bbox.w.max(f.bbox.h);
        let (large, small): (Vec<_>, Vec<_>) = faces.into_iter().partition(|f| side(f) >= self.smallest);
        let (mut usable, blurred): (Vec<_>, Vec<_>) = large.into_iter().partition(|f| f.sharpness >= self.sharpest_blur);
        if !usable.is_empty() {
            usable.sort_by(|a, b| a.bbox.x.total_cmp(&b.bbox.x));
            return Faces::Found(usable);
        }
        let certain = |faces: Vec<Face>| faces.into_iter().filter(|f| f.score >= self.certain).collect::<Vec<_>>();
        let (small, blurred) = (certain(small), certain(blurred));
        let best = |faces: &[Face], of: &dyn Fn(&Face) -> f32| faces.iter().map(of).fold(0.0f32, f32::max);
        let (reason, detail) = if !blurred.is_empty() {
            let sharpest = best(&blurred, &|f| f.sharpness);
            (NoFace::TooBlurred, format!("sharpness {sharpest:.4} of at least {} needed", self.sharpest_blur))
        } else if !small.is_empty() {
            (NoFace::TooSmall, format!("{:.0} px of at least {:.0} px needed", best(&small, &side), self.smallest))
        } else {
            (NoFace::None, "no face was found".into())
        };
        Faces::NoneUsable { reason, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BBox;

    fn face(x: f32, side: f32, sharpness: f32) -> Face {
        Face { bbox: BBox { x, y: 0.0, w: side, h: side }, mesh: Vec::new(), score: 1.0, sharpness, warnings: Vec::new() }
    }

    fn reason(faces: Vec<Face>) -> Option<NoFace> {
        match Limits::default().judge(faces) {
            Faces::Found(_) => None,
            Faces::NoneUsable { reason, .. } => Some(reason),
        }
    }

    #[test]
    fn the_reason_is_the_one_of_the_best_face() {
        assert_eq!(reason(vec![]), Some(NoFace::None));
        assert_eq!(reason(vec![face(0.0, 20.0, 1.0)]), Some(NoFace::TooSmall));
        assert_eq!(reason(vec![face(0.0, 20.0, 1.0), face(50.0, 200.0, 0.0)]), Some(NoFace::TooBlurred));
        assert_eq!(reason(vec![face(0.0, 20.0, 1.0), face(50.0, 200.0, 1.0)]), None);
    }

    #[test]
    fn usable_faces_come_left_to_right() {
        let Faces::Found(faces) = Limits::default().judge(vec![face(300.0, 100.0, 1.0), face(-5.0, 90.0, 1.0), face(90.0, 10.0, 1.0)])
        else {
            panic!("two faces are usable");
        };
        assert_eq!(faces.iter().map(|f| f.bbox.x).collect::<Vec<_>>(), [-5.0, 300.0]);
    }

    #[test]
    fn an_empty_or_flat_photo_has_no_face() {
        for (width, height) in [(0, 0), (1, 1), (300, 40)] {
            let rgb = Rgb8 { width, height, data: vec![80; width * height * 3] };
            let limits = Limits { detection: 2.0, tile_detection: 2.0, ..Limits::default() };
            let finder = FaceFinder::build(&Vars::random(3, &Device::flex())).unwrap().with_limits(limits);
            let faces = pollster::block_on(finder.find_in(&rgb)).unwrap();
            assert!(matches!(faces, Faces::NoneUsable { reason: NoFace::None, .. }));
        }
    }
}
