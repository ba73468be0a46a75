//! The tree's eyes, brows, nose and lips against outlines that people marked by hand on ten photos.
//!
//! The outlines are points of the 189-point templates that come with the photos (`tests/fixtures/fict/organs.txt`, with credit),
//! made long before and without the mesh. The photos are not part of this repository: the test runs where a photo pack is
//! given, `FACEXT_PACK=folder`, and else prints `skipped:`. The pack keeps the whole width of an original, so scale and
//! horizontal offset are known; how many rows it cut off at the top is not, and is taken from the pupils: one number a photo.
//! What the templates call an eye is the opening between the lids, without their edges.

use facext::fict::{Depth, Seen, Set, brow, leaf_labels, mask_of, part_labels, part_set, raster};
use facext::image::Mask;
use facext::native::annotate::pack::Pack;
use std::collections::BTreeMap;
use std::path::Path;

/// Width of the originals, pixels.
const ORIGINAL: f32 = 1350.0;
/// Height of the pupils in every original.
const PUPILS: f32 = 825.7;
/// Side of the frame in which masks are compared.
const SIDE: usize = 1024;
/// Least mean overlap.
const LEAST: [(&str, f32); 4] = [("eyes", 0.75), ("brows", 0.75), ("nose", 0.75), ("lips", 0.75)];

/// Printed beside: brows without a look at the photo, what the model's own parts reach, and the nose against an outline that
/// leaves out the nostrils.
const BESIDE: [&str; 4] =
    ["brows, from the mesh alone", "eyes, the model's parts", "brows, the model's parts", "nose, outline without nostrils"];

fn leaves(ids: &[&str]) -> Set {
    ids.iter().fold(0, |s, id| s | Depth::Leaves.set(id).unwrap())
}

fn organ(name: &str) -> (Set, &'static [&'static str]) {
    match name {
        "eyes" => (leaves(&["right_eye_opening", "left_eye_opening"]), &["right_eye", "left_eye"]),
        "brows" | "brows, from the mesh alone" => (leaves(&["right_eyebrow", "left_eyebrow"]), &["right_eyebrow", "left_eyebrow"]),
        "eyes, the model's parts" => (leaves(&["right_eye", "left_eye"]), &["right_eye", "left_eye"]),
        "brows, the model's parts" => (part_set("eyebrows").unwrap(), &["right_eyebrow", "left_eyebrow"]),
        "nose, outline without nostrils" => (leaves(&["nose"]), &["nose_rim"]),
        "nose" => (leaves(&["nose"]), &["nose"]),
        _ => (leaves(&["upper_lip", "lower_lip"]), &["lips"]),
    }
}

type Outlines = BTreeMap<String, Vec<[f32; 2]>>;

fn fixture() -> BTreeMap<String, Outlines> {
    let mut faces: BTreeMap<String, Outlines> = BTreeMap::new();
    let mut file = String::new();
    for line in include_str!("fixtures/fict/organs.txt").lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_string();
        let points: Vec<[f32; 2]> = words
            .map(|w| {
                let (x, y) = w.split_once(',').unwrap();
                [x.parse().unwrap(), y.parse().unwrap()]
            })
            .collect();
        if points.is_empty() {
            file = name;
        } else {
            faces.entry(file.clone()).or_default().insert(name, points);
        }
    }
    faces
}

#[test]
fn the_outlines_are_ten_whole_faces() {
    let faces = fixture();
    assert_eq!(faces.len(), 10);
    for (file, outlines) in &faces {
        let sizes: Vec<(&str, usize)> = outlines.iter().map(|(n, p)| (n.as_str(), p.len())).collect();
        let whole = [
            ("left_eye", 8),
            ("left_eyebrow", 8),
            ("lips", 12),
            ("mouth_hole", 12),
            ("nose", 11),
            ("nose_rim", 17),
            ("right_eye", 8),
            ("right_eyebrow", 8),
        ];
        assert_eq!(sizes, whole, "{file}");
        assert!(outlines.values().flatten().all(|p| p[0] > 300.0 && p[0] < 1050.0 && p[1] > 600.0 && p[1] < 1400.0), "{file}");
    }
}

#[test]
fn organs_lie_where_people_see_them() {
    let Some(dir) = std::env::var_os("FACEXT_PACK") else {
        println!("skipped: FACEXT_PACK names no photo pack");
        return;
    };
    let pack = Pack::open(Path::new(&dir)).unwrap();
    let mut overlaps: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    for (file, outlines) in fixture() {
        let photo = pack.photos.iter().find(|p| p.file == file).unwrap_or_else(|| panic!("{file} is not in the pack"));
        let pixels = photo.load().unwrap();
        let original = ORIGINAL / pixels.width as f32;
        let cut = PUPILS - original * (photo.mesh[468][1] + photo.mesh[473][1]) / 2.0;
        let k = SIDE as f32 / ORIGINAL;
        let mesh: Vec<[f32; 3]> = photo.mesh.iter().map(|p| p.map(|v| v * original * k)).collect();
        // The brows are measured on the photo itself, in its own pixels: their edges have no unit.
        let seen = Seen { brows: Some(brow::lower_edges(&photo.mesh, &pixels)), person: None };
        let map = leaf_labels(&mesh, &seen, SIDE, SIDE);
        let (unseen, parts) = (leaf_labels(&mesh, &Seen::default(), SIDE, SIDE), part_labels(&mesh, SIDE, SIDE));
        for name in LEAST.iter().map(|l| l.0).chain(BESIDE) {
            let (set, names) = organ(name);
            let mut marked = Mask::new(SIDE, SIDE);
            let mut fill = |outline: &str, value: u8| {
                let points: Vec<[f32; 2]> = outlines[outline].iter().map(|p| [p[0] * k, (p[1] - cut) * k]).collect();
                raster::fill_polygon(&points, SIDE, SIDE, |y, a, b| marked.data[y * SIDE + a..y * SIDE + b].fill(value));
            };
            names.iter().for_each(|n| fill(n, 1));
            if name == "lips" {
                fill("mouth_hole", 0);
            }
            let map = match name {
                "brows, from the mesh alone" => &unseen,
                "brows, the model's parts" => &parts,
                _ => &map,
            };
            overlaps.entry(name).or_default().push(mask_of(map, set, SIDE, SIDE).iou(&marked).unwrap());
        }
    }
    let mean = |name: &str| overlaps[name].iter().sum::<f32>() / overlaps[name].len() as f32;
    for (name, all) in &overlaps {
        let lowest = all.iter().fold(1.0f32, |a, b| a.min(*b));
        println!("{name}: mean IoU {:.3}, lowest {lowest:.3}, of {} faces", mean(name), all.len());
    }
    for (name, least) in LEAST {
        assert!(mean(name) >= least, "{name}: {}", mean(name));
    }
}
