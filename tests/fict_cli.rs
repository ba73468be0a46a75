//! `facext fict` as a person meets it: the tree, the masks of a photo, the picture; good arguments and bad ones.
//!
//! Needs `weights/` (or `$FACEXT_WEIGHTS`) for the face finder and the portrait `astronaut.png` of the set-up; what is absent is
//! skipped, and said.

use facext::fict::{self, Depth, leaves::LEAVES};
use facext::image::{Mask, Rle, png};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Run {
    code: i32,
    out: String,
    err: String,
}

fn facext(args: &[&str]) -> Run {
    let done = Command::new(env!("CARGO_BIN_EXE_facext")).arg("fict").args(args).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    Run { code: done.status.code().unwrap_or(-1), out: text(done.stdout), err: text(done.stderr) }
}

fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fict").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// A sample photo and the folder of weights, if both are there.
fn ready(sample: &str) -> Option<(String, String)> {
    let base = std::env::var_os("FACEXT_WEIGHTS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("weights"), PathBuf::from);
    let cache = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/facext")))?;
    let photo = cache.join("samples").join(sample);
    for needed in [&photo, &base.join("manifest.json")] {
        if !needed.exists() {
            println!("skipped: {} is absent", needed.display());
            return None;
        }
    }
    Some((photo.to_str()?.into(), base.to_str()?.into()))
}

fn json(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{}", run.err);
    serde_json::from_str(&run.out).unwrap()
}

#[test]
fn the_tree_is_printed_whole() {
    let nodes = json(&facext(&["--tree", "--json"]));
    let nodes = nodes.as_array().unwrap();
    assert_eq!(nodes.iter().filter(|n| n["leaf"] == true).count(), 112);
    let mut seen = Vec::new();
    for n in nodes {
        let keys: Vec<&String> = n.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 5, "{keys:?}");
        assert!(n["parent"].is_null() == seen.is_empty() && (n["parent"].is_null() || seen.contains(&n["parent"])), "{n}");
        assert!(n["en"].as_str().is_some_and(|s| !s.is_empty()) && n["zh"].as_str().is_some_and(|s| !s.is_ascii()));
        seen.push(n["id"].clone());
    }
    let words = facext(&["--tree"]);
    assert_eq!((words.code, words.out.lines().count()), (0, nodes.len()));
    assert!(words.out.contains("right_iris  right iris  右虹膜"));
}

#[test]
fn the_masks_of_a_portrait_cover_its_crop_once() {
    let Some((photo, weights)) = ready("astronaut.png") else { return };
    let out = folder("portrait").join("fict.png");
    let sheet = json(&facext(&[&photo, "--json", "--side", "256", "--weights", &weights, "--out", out.to_str().unwrap()]));
    let faces = sheet["faces"].as_array().unwrap();
    assert_eq!((faces.len(), faces[0]["person"].as_str(), faces[0]["crop"]["side"].as_u64()), (1, Some("outline"), Some(256)));
    let leaves = faces[0]["leaves"].as_array().unwrap();
    assert_eq!(leaves.len(), LEAVES);
    let mut owners = vec![0u8; 256 * 256];
    for (leaf, concept) in leaves.iter().zip(Depth::Leaves.ends()) {
        assert_eq!(leaf["id"], concept.id);
        let mask = serde_json::from_value::<Rle>(leaf["rle"].clone()).unwrap().decode().unwrap();
        assert_eq!((mask.width, mask.height, mask.area() as u64), (256, 256, leaf["area"].as_u64().unwrap()));
        owners.iter_mut().zip(&mask.data).for_each(|(n, m)| *n += m);
    }
    assert!(owners.iter().all(|n| *n == 1), "a pixel has no leaf, or two");
    // She looks at the camera: both pupils and both nostrils show.
    for id in ["left_pupil", "right_pupil", "left_nostril", "right_nostril", "hair_crown", "throat"] {
        assert!(leaves.iter().any(|l| l["id"] == id && l["area"].as_u64() > Some(4)), "{id}");
    }
    let drawn = image::open(&out).unwrap().into_rgb8();
    assert_eq!((drawn.width() > drawn.height(), drawn.height()), (true, 672));
    // The same command gives the same file.
    let again = out.with_file_name("again.png");
    assert_eq!(facext(&[&photo, "--weights", &weights, "--out", again.to_str().unwrap()]).code, 0);
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&again).unwrap());
}

#[test]
fn a_matte_says_where_the_person_is() {
    let Some((photo, weights)) = ready("astronaut.png") else { return };
    let dir = folder("matte");
    let all = |value: u8, name: &str, w: usize, h: usize| {
        let path = dir.join(name);
        std::fs::write(&path, png::encode_mask(&Mask { width: w, height: h, data: vec![value; w * h] }).unwrap()).unwrap();
        path.to_str().unwrap().to_string()
    };
    let size = image::image_dimensions(&photo).unwrap();
    let (w, h) = (size.0 as usize, size.1 as usize);
    let background = |matte: &str| {
        let sheet = json(&facext(&[&photo, "--json", "--weights", &weights, "--person", matte]));
        assert_eq!(sheet["faces"][0]["person"], "matte");
        let leaves = sheet["faces"][0]["leaves"].as_array().unwrap();
        let behind = leaves.iter().filter(|l| fict::is_within(l["id"].as_str().unwrap(), "background"));
        behind.map(|l| l["area"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(background(&all(1, "all.png", w, h)), 0);
    assert!(background(&all(0, "none.png", w, h)) > 448 * 448 / 4);
    let wrong = facext(&[&photo, "--weights", &weights, "--person", &all(1, "small.png", 9, 9)]);
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""));
    assert!(wrong.err.contains("9×9"), "{}", wrong.err);
}

#[test]
fn a_matting_network_finds_the_hair_of_a_portrait() {
    let Some((photo, weights)) = ready("astronaut.png") else { return };
    let cache = Path::new(&photo).parent().unwrap().parent().unwrap().to_path_buf();
    let model = cache.join("upstream/modnet.onnx");
    if !model.is_file() {
        println!("skipped: {} is absent; ./build.sh nets fetches it", model.display());
        return;
    }
    let leaves = |more: &[&str]| {
        let sheet = json(&facext(&[&[photo.as_str(), "--json", "--weights", &weights], more].concat()));
        let person = sheet["faces"][0]["person"].as_str().unwrap().to_string();
        let of = |leaf: &Value| serde_json::from_value::<Rle>(leaf["rle"].clone()).unwrap().decode().unwrap();
        let area = |top: &str| {
            let mut mask = Mask::new(448, 448);
            for leaf in sheet["faces"][0]["leaves"].as_array().unwrap() {
                if fict::is_within(leaf["id"].as_str().unwrap(), top) {
                    mask.data.iter_mut().zip(&of(leaf).data).for_each(|(m, v)| *m |= v);
                }
            }
            mask
        };
        (person, area("hair"), area("background"))
    };
    let (by_outline, hair_before, _) = leaves(&[]);
    let (by_net, hair, background) = leaves(&["--matte", model.to_str().unwrap()]);
    assert_eq!((by_outline.as_str(), by_net.as_str()), ("outline", "matte"));
    // Her hair is brown to dark blond before a light grey wall: what the network calls hair is darker than what it calls background
    // beside the head, and it is not simply the outline's.
    let picture = image::open(&photo).unwrap().into_rgb8();
    let sheet = json(&facext(&[&photo, "--json", "--weights", &weights]));
    let crop = &sheet["faces"][0]["crop"];
    let (x, y, size) = (crop["x"].as_f64().unwrap(), crop["y"].as_f64().unwrap(), crop["size"].as_f64().unwrap());
    let luma = |mask: &Mask| {
        // The upper half of the crop: the wall, without the shuttle's black base.
        let at = |i: usize| (x + ((i % 448) as f64 + 0.5) * size / 448.0, y + ((i / 448) as f64 + 0.5) * size / 448.0);
        let all: Vec<f64> = (0..448 * 224)
            .filter(|i| mask.data[*i] == 1)
            .map(at)
            .filter(|(x, y)| *x >= 0.0 && *y >= 0.0 && *x < f64::from(picture.width()) && *y < f64::from(picture.height()))
            .map(|(x, y)| f64::from(picture.get_pixel(x as u32, y as u32)[2]))
            .collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    };
    assert!(hair.area() > 3000 && hair.iou(&hair_before).unwrap() < 0.97, "{} {}", hair.area(), hair.iou(&hair_before).unwrap());
    assert!(luma(&hair) + 60.0 < luma(&background), "{} and {}", luma(&hair), luma(&background));
    let wrong = facext(&[&photo, "--weights", &weights, "--matte", &photo]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("not MODNet"), "{}", wrong.err);
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_written() {
    assert_eq!(facext(&[]).code, 2);
    assert_eq!(facext(&["--tree", "photo.png"]).code, 2);
    assert_eq!(facext(&["photo.png", "--side", "7"]).code, 2);
    assert_eq!(facext(&["no/such/photo.png"]).code, 1);
    let dir = folder("bad");
    let text = dir.join("text.jpg");
    std::fs::write(&text, "not a picture").unwrap();
    assert_eq!(facext(&[text.to_str().unwrap()]).code, 3);
    let Some((cat, weights)) = ready("chelsea.png") else { return };
    let out = dir.join("cat.png");
    let none = facext(&[&cat, "--json", "--weights", &weights]);
    let sheet = json(&none);
    assert_eq!((sheet["faces"].as_array().unwrap().len(), sheet["reason"].as_str()), (0, Some("none")));
    let drawn = facext(&[&cat, "--weights", &weights, "--out", out.to_str().unwrap()]);
    assert!(drawn.code == 2 && !out.exists() && drawn.err.contains("no usable face"), "{}", drawn.err);
    assert!(facext(&[&cat, "--weights", "no/such/folder"]).code == 4);
}

#[test]
fn the_documentation_lists_every_concept() {
    let page = include_str!("../docs/fict.md");
    for node in fict::nodes() {
        assert!(
            page.contains(&format!("{} {}", node.id, node.zh)) || page.contains(&format!("**{}** {}", node.id, node.zh)),
            "{}",
            node.id
        );
    }
}
