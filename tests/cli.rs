//! The command line as a person meets it: what `facext analyze` prints, writes and returns, on good photos and on bad ones.
//!
//! Runs on a small random model that `facext convert` makes once from `weights/` (or `$FACEXT_WEIGHTS`): same files, same
//! kernels, toy answers with phrases and masks. Photos come from the set-up (`$FACEXT_CACHE` or `~/.cache/facext`,
//! `samples/`); what is absent is skipped, and said.

mod schema;

use facext::analyze::report::{Report, Status};
use facext::analyze::spread::Resave;
use facext::image::{Mask, Rgb8, png};
use facext::weights::{FileKind, Manifest};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What a run of the program gave.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn report(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("standard output is not one JSON value: {e}\n{}", self.out))
    }

    /// Exit code and the stable code at the end of the message; nothing may be on standard output.
    fn refused(&self) -> (i32, &str) {
        assert_eq!(self.out, "", "a report beside an error");
        assert!(!self.err.contains("panicked"), "{}", self.err);
        let last = self.err.trim_end().lines().last().unwrap_or_default();
        (self.code, last.rsplit_once('[').map_or("", |(_, code)| code.trim_end_matches(']')))
    }
}

fn facext<A: AsRef<std::ffi::OsStr>>(args: &[A]) -> Run {
    let done = Command::new(env!("CARGO_BIN_EXE_facext")).args(args).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    Run { code: done.status.code().unwrap_or(-1), out: text(done.stdout), err: text(done.stderr) }
}

/// `analyze` on the CPU with JSON.
fn analyze(photo: &Path, weights: &Path, more: &[&str]) -> Run {
    let mut args: Vec<&str> = vec!["analyze", photo.to_str().unwrap(), "--json", "--device", "cpu", "--weights", weights.to_str().unwrap()];
    args.extend(more);
    facext(&args)
}

/// An empty folder of that name for one test.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// The small model.
fn tiny() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let base = std::env::var_os("FACEXT_WEIGHTS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("weights"), PathBuf::from);
        if !base.join("manifest.json").exists() {
            return None;
        }
        let dir = folder("tiny");
        let run = facext(&["convert", "--preset", "tiny", "--seed", "1", "--base", base.to_str().unwrap(), "--out", dir.to_str().unwrap()]);
        assert_eq!(run.code, 0, "{}", run.err);
        Some(dir)
    });
    if made.is_none() {
        println!("skipped: no weights/");
    }
    made.as_deref()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn sample(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let root = root.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/facext")))?;
    let path = root.join("samples").join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/image").join(name)
}

/// The photo pasted on grey at the given places, each at its size.
fn montage(photo: &Path, size: [u32; 2], places: &[([u32; 2], u32)], to: &Path) {
    let photo = image::open(photo).unwrap().into_rgb8();
    let mut all = image::RgbImage::from_pixel(size[0], size[1], image::Rgb([127; 3]));
    for ([x, y], side) in places {
        let small = image::imageops::resize(&photo, *side, *side, image::imageops::FilterType::CatmullRom);
        image::imageops::replace(&mut all, &small, i64::from(*x), i64::from(*y));
    }
    all.save(to).unwrap();
}

/// Reports against `docs/report.schema.json`.
fn faults(report: &Value) -> Vec<String> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    schema::faults(SCHEMA.get_or_init(|| serde_json::from_str(include_str!("../docs/report.schema.json")).unwrap()), report)
}

/// All that is documented of a report: the schema, then what it cannot say; read as the crate's own type.
fn check(report: &Value, photo: &Path) -> Report {
    assert_eq!(faults(report), Vec::<String>::new());
    let report: Report = serde_json::from_value(report.clone()).unwrap();
    let (bytes, file) = (std::fs::read(photo).unwrap(), &report.file);
    assert_eq!(Some(file.name.as_str()), photo.file_name().unwrap().to_str());
    assert_eq!((file.bytes, file.sha256.as_str()), (bytes.len(), sha256(&bytes).as_str()));
    assert_eq!((report.program.version.as_str(), report.program.device.as_str()), (env!("CARGO_PKG_VERSION"), "cpu"));
    assert!(report.program.weights_sha256.len() == 64 && report.program.weights_sha256.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(
        (report.faces.is_empty(), report.reason.is_some()),
        (report.status == Status::NoUsableFace, report.status == Status::NoUsableFace)
    );
    for face in &report.faces {
        // A face may be cut by the edge of the photo, but its middle is in it.
        let [x, y] = face.bbox.centre();
        assert!(face.bbox.area() > 0.0 && x > 0.0 && x < file.width as f32 && y > 0.0 && y < file.height as f32);
        let joined: String = face.spans.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(face.answer, joined);
        // One mask to each grounded phrase, in order.
        let tied: Vec<usize> = face.spans.iter().filter_map(|s| s.mask).collect();
        assert_eq!(tied, (0..face.masks.len()).collect::<Vec<_>>());
        for m in &face.masks {
            assert_eq!(m.rle.size, [file.height, file.width]);
            let mask = m.rle.decode().unwrap();
            assert_eq!((mask.width, mask.height), (file.width, file.height));
            assert_eq!(mask.bbox().unwrap_or_default(), m.bbox);
        }
    }
    report
}

#[test]
fn weights_that_are_converted_again_stay_as_they_are() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
    if !base.join("manifest.json").exists() {
        println!("skipped: no weights/");
        return;
    }
    let dir = folder("again");
    let run = facext(&["convert", "--base", base.to_str().unwrap(), "--out", dir.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.err);
    // A shard's name holds the hash of its content.
    let shards = |dir: &Path| {
        let names = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        names.filter(|n| n.ends_with(".safetensors")).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(shards(&dir), shards(&base));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_schema_check_sees_what_is_wrong() {
    let (Some(weights), Some(photo)) = (tiny(), sample("astronaut.png")) else { return };
    let good = analyze(&photo, weights, &[]).report();
    assert_eq!(faults(&good), Vec::<String>::new());
    let wrong: [(&str, Value); 9] = [
        ("/status", "fine".into()),
        ("/file/width", 0.into()),
        ("/file/bytes", "many".into()),
        ("/faces/0/score", 1.5.into()),
        ("/faces/0/box", serde_json::json!([1, 2, 3])),
        ("/faces/0/spans/0", serde_json::json!({ "text": "a" })),
        ("/faces/0/masks/0/concept", "tail".into()),
        ("/timings_ms/encode", (-1).into()),
        ("/warnings", serde_json::json!(["face_cut", "face_cut"])),
    ];
    for (place, value) in wrong {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
        assert!(!faults(&bad).is_empty(), "{place}");
    }
    let mut more = good.clone();
    more["faces"][0]["certain"] = true.into();
    assert_eq!(faults(&more).len(), 1);
}

#[test]
fn a_report_holds_what_is_documented_and_comes_out_the_same_again() {
    let (Some(weights), Some(photo)) = (tiny(), sample("astronaut.png")) else { return };
    let run = analyze(&photo, weights, &[]);
    let report = check(&run.report(), &photo);
    assert_eq!((report.faces.len(), report.program.preset.as_str()), (1, "tiny"));
    assert!(!report.faces[0].masks.is_empty(), "this model should ground something: {}", report.faces[0].answer);
    assert!(report.faces[0].masks.iter().any(|m| m.rle.area().unwrap() > 0));
    assert!(report.timings_ms["tokens"] >= 1.0);
    // Progress is on standard error, in order; nothing but the report on standard output.
    let stages: Vec<&str> = run.err.lines().map(|l| l.trim_end_matches('…')).collect();
    assert_eq!(stages, ["decode", "face", "encode", "evidence", "prefill", "generate", "masks", "spread"]);
    // The face was saved again, and the spread holds its score.
    let (face, spread) = (&report.faces[0], report.faces[0].spread.as_ref().unwrap());
    assert_eq!(spread.tried.iter().map(|t| t.how).collect::<Vec<_>>(), Resave::ALL);
    assert!(spread.low <= face.score && face.score <= spread.high && spread.tried.iter().any(|t| t.score != face.score));
    assert!(spread.tried.iter().all(|t| spread.low <= t.score && t.score <= spread.high));
    let without = check(&analyze(&photo, weights, &["--no-spread"]).report(), &photo);
    assert_eq!((without.faces[0].spread.as_ref(), without.faces[0].score), (None, face.score));
    assert!(!without.timings_ms.contains_key("spread"));
    let again = check(&analyze(&photo, weights, &[]).report(), &photo);
    assert_eq!(again.faces, report.faces);
    assert_eq!(again.program, report.program);

    // For people: the verdict and the answer, no JSON.
    let plain = facext(&["analyze", photo.to_str().unwrap(), "--device", "cpu", "--weights", weights.to_str().unwrap()]);
    assert_eq!(plain.code, 0, "{}", plain.err);
    assert!(
        plain.out.starts_with("Face 1 at ") && plain.out.contains("mask 1: ") && plain.out.contains("saved again: score "),
        "{}",
        plain.out
    );
}

#[test]
fn every_task_answers_in_its_own_form() {
    let (Some(weights), Some(photo)) = (tiny(), sample("astronaut.png")) else { return };
    for task in ["age", "loc", "toe", "det", "cls"] {
        let report = check(&analyze(&photo, weights, &["--task", task]).report(), &photo);
        let face = &report.faces[0];
        assert!(!face.spans.is_empty(), "{task}: no answer");
        assert_eq!(!face.masks.is_empty(), matches!(task, "age" | "loc"), "{task}: {}", face.answer);
    }
    assert_eq!(analyze(&photo, weights, &["--task", "guess"]).code, 2);
}

#[test]
fn no_usable_face_is_a_result() {
    let Some(weights) = tiny() else { return };
    if let Some(cat) = sample("chelsea.png") {
        let report = check(&analyze(&cat, weights, &[]).report(), &cat);
        assert_eq!(report.reason.as_deref(), Some("none"));
        let plain = facext(&["analyze", cat.to_str().unwrap(), "--device", "cpu", "--weights", weights.to_str().unwrap()]);
        assert_eq!((plain.code, plain.out.lines().next()), (0, Some("No usable face: none.")));
    }
    let Some(photo) = sample("astronaut.png") else { return };
    let dir = folder("no-face");
    // The portrait is 512 px, its face 110: at 94 px the face has 20.
    let small = dir.join("small.png");
    montage(&photo, [300, 300], &[([100, 100], 94)], &small);
    assert_eq!(check(&analyze(&small, weights, &[]).report(), &small).reason.as_deref(), Some("too_small"));
    // Twelve pixels of face, enlarged smoothly to 200.
    let blurred = dir.join("blurred.png");
    let tiny_face = image::imageops::thumbnail(&image::open(&photo).unwrap().into_rgb8(), 60, 60);
    image::imageops::resize(&tiny_face, 1000, 1000, image::imageops::FilterType::Triangle).save(&blurred).unwrap();
    assert_eq!(check(&analyze(&blurred, weights, &[]).report(), &blurred).reason.as_deref(), Some("too_blurred"));
}

#[test]
fn three_faces_are_three_answers_from_left_to_right() {
    let (Some(weights), Some(photo)) = (tiny(), sample("astronaut.png")) else { return };
    let dir = folder("three");
    let three = dir.join("three.png");
    montage(&photo, [1330, 600], &[([900, 10], 420), ([450, 160], 420), ([10, 60], 420)], &three);
    let report = check(&analyze(&three, weights, &[]).report(), &three);
    let lefts: Vec<f32> = report.faces.iter().map(|f| f.bbox.x).collect();
    assert_eq!(lefts.len(), 3, "{lefts:?}");
    assert!(lefts.is_sorted() && lefts[0] < 400.0 && lefts[2] > 900.0, "{lefts:?}");
    // The same face three times: a face's answer is its own. (Other pixels by another resampling, so near, not equal.)
    let scores: Vec<f32> = report.faces.iter().map(|f| f.score).collect();
    assert!(scores.iter().all(|s| (s - scores[0]).abs() < 0.05), "{scores:?}");
    // These are less than 112 px wide, and the reader is told.
    assert!(
        report.faces.iter().all(|f| f.bbox.w.max(f.bbox.h) < 112.0) == report.warnings.iter().any(|w| w == "face_small"),
        "{:?}",
        report.warnings
    );
    // A box on one of them is a question about that one; one that touches none is a mistake.
    let b = report.faces[1].bbox;
    let text = format!("{},{},{},{}", b.x + b.w * 0.2, b.y + b.h * 0.2, b.w * 0.6, b.h * 0.6);
    let one = check(&analyze(&three, weights, &["--box", &text]).report(), &three);
    assert_eq!((one.faces.len(), one.faces[0].bbox), (1, b));
    assert_eq!(analyze(&three, weights, &["--box", "1,560,20,20"]).refused(), (2, "request.bad"));
    // A named region exists in all of them.
    assert_eq!(check(&analyze(&three, weights, &["--region", "nose"]).report(), &three).faces.len(), 3);
}

#[test]
fn regions_by_name_by_box_and_by_mask() {
    let (Some(weights), Some(photo)) = (tiny(), sample("astronaut.png")) else { return };
    let dir = folder("regions");
    let ask = |more: &[&str]| check(&analyze(&photo, weights, more).report(), &photo).faces.remove(0);
    let whole = ask(&[]);
    let english = ask(&["--region", "left eyebrow"]);
    for name in [" Left Eyebrow", "左眉", "left_eyebrow"] {
        assert_eq!(ask(&["--region", name]), english, "{name}");
    }
    let other = ask(&["--region", "chin"]);
    assert!(english.answer != whole.answer && english.answer != other.answer, "the region changes nothing");

    let b = whole.bbox;
    let [x, y, w, h] = [b.x + b.w * 0.3, b.y + b.h * 0.3, b.w * 0.4, b.h * 0.4].map(f32::round);
    let boxed = ask(&["--box", &format!("{x},{y},{w},{h}")]);
    // The same region drawn as a mask is the same question.
    let size = image::image_dimensions(&photo).unwrap();
    let drawn = Mask::from_bbox(size.0 as usize, size.1 as usize, &facext::image::BBox { x, y, w, h });
    let path = dir.join("mask.png");
    std::fs::write(&path, png::encode_mask(&drawn).unwrap()).unwrap();
    assert_eq!(ask(&["--mask", path.to_str().unwrap()]), boxed);
    // What is marked ends at the sides of the box, unless all of it lies beside.
    assert!(!boxed.masks.is_empty(), "{}", boxed.answer);
    for mask in boxed.masks.iter().map(|m| m.rle.decode().unwrap()) {
        let inside = mask.data.iter().zip(&drawn.data).filter(|(m, d)| **m != 0 && **d != 0).count();
        assert!(inside == 0 || inside == mask.area(), "{inside} of {}", mask.area());
    }

    let own = ask(&["--question", "What about the hair?"]);
    assert_ne!(own.answer, whole.answer, "the question changes nothing");

    // A part that a question names is asked about as if it had been chosen, and the report says so.
    let chin = ask(&["--question", "What about the chin?", "--region", "chin"]);
    let named = analyze(&photo, weights, &["--question", "What about the chin?"]).report();
    assert_eq!(named["request"]["region"], "chin");
    assert_eq!(check(&named, &photo).faces.remove(0), chin);
    assert_eq!(ask(&["--question", "下巴是真的吗？"]), ask(&["--region", "chin"]), "the model knows no Chinese: the task's own words");

    let bad = |more: &[&str]| {
        let run = analyze(&photo, weights, more);
        let (code, stable) = run.refused();
        (code, stable.to_string())
    };
    let request = (2, "request.bad".to_string());
    assert_eq!(bad(&["--region", "tail"]), request);
    assert_eq!(bad(&["--box", "0,0,20,20"]), request, "in the photo, outside of the face");
    assert_eq!(bad(&["--box", "9000,9000,20,20"]), request, "outside of the photo");
    assert_eq!(bad(&["--box", "nan,1,5,5"]), request);
    assert_eq!(bad(&["--question", "why ".repeat(200).as_str()]), request);
    assert_eq!(bad(&["--question", " "]), request);
    assert_eq!(bad(&["--question", "Who is this?"]), (2, "request.off_limits".to_string()));
    let write = |name: &str, mask: &Mask| {
        let path = dir.join(name);
        std::fs::write(&path, png::encode_mask(mask).unwrap()).unwrap();
        path.to_str().unwrap().to_string()
    };
    assert_eq!(bad(&["--mask", &write("black.png", &Mask::new(512, 512))]), request);
    assert_eq!(bad(&["--mask", &write("small.png", &Mask::from_data(64, 64, vec![1; 64 * 64]).unwrap())]), request);
    assert_eq!(bad(&["--mask", dir.join("none.png").to_str().unwrap()]), (1, "io.failed".into()));
    assert_eq!(bad(&["--mask", file!()]).0, 3, "a mask that is no picture");
    // Refused by the argument parser, which has no stable codes.
    for args in [
        &["--box", "1,2,3"][..],
        &["--box", "1,2,0,4"],
        &["--box", "1,2,3,4", "--region", "nose"],
        &["--device", "abacus"],
        &["--nonsense"],
    ] {
        let run = analyze(&photo, weights, args);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}");
    }
}

#[test]
fn out_writes_report_overlay_and_masks() {
    let (Some(weights), Some(photo)) = (tiny(), sample("astronaut.png")) else { return };
    let out = folder("out").join("new/deeper");
    let run = analyze(&photo, weights, &["--out", out.to_str().unwrap()]);
    let report = check(&run.report(), &photo);
    let written: Value = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(written, run.report());
    let open = |name: &str| facext::image::decode(&std::fs::read(out.join(name)).unwrap()).unwrap().rgb;
    let (overlay, original) = (open("overlay.png"), facext::image::decode(&std::fs::read(&photo).unwrap()).unwrap().rgb);
    assert_eq!((overlay.width, overlay.height), (original.width, original.height));
    let mut painted = Mask::new(original.width, original.height);
    for (i, m) in report.faces[0].masks.iter().enumerate() {
        let drawn = Mask::from_rgb(&open(&format!("face-1-mask-{}.png", i + 1)));
        assert_eq!(drawn, m.rle.decode().unwrap());
        painted = painted.union(&drawn).unwrap();
    }
    // The overlay differs from the photo under the masks and, but for their outlines, only there.
    let differs = |x: usize, y: usize| {
        (0..3).any(|c| overlay.data[(y * overlay.width + x) * 3 + c] != original.data[(y * overlay.width + x) * 3 + c])
    };
    let near = |x: usize, y: usize| (y.saturating_sub(4)..y + 5).any(|b| (x.saturating_sub(4)..x + 5).any(|a| painted.get(a, b)));
    let (mut inside, mut outside) = (0usize, 0usize);
    for y in 0..overlay.height {
        for x in 0..overlay.width {
            inside += usize::from(painted.get(x, y) && differs(x, y));
            outside += usize::from(differs(x, y) && !near(x, y));
        }
    }
    assert!(
        painted.area() > 0 && inside * 10 > painted.area() * 9 && outside == 0,
        "{inside} of {} inside, {outside} outside",
        painted.area()
    );
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2 + report.faces[0].masks.len());
}

/// `verify` with the checks that did not agree.
fn verify(report: &Path, photo: &Path, weights: &Path) -> (i32, Vec<String>) {
    let [report, photo, weights] = [report, photo, weights].map(|p| p.to_str().unwrap());
    let run = facext(&["verify", report, photo, "--device", "cpu", "--json", "--weights", weights]);
    let Ok(told) = serde_json::from_str::<Value>(&run.out) else { return (run.code, vec![run.refused().1.to_string()]) };
    assert_eq!(told["agrees"], Value::Bool(run.code == 0), "{told}");
    let checks = told["checks"].as_array().unwrap();
    assert!(!checks.is_empty());
    (run.code, checks.iter().filter(|c| c["agrees"] == false).map(|c| c["what"].as_str().unwrap().to_string()).collect())
}

#[test]
fn a_report_is_verified_and_what_was_changed_in_it_is_named() {
    let (Some(weights), Some(photo)) = (tiny(), sample("astronaut.png")) else { return };
    let dir = folder("verify");
    let write = |name: &str, report: &Value| {
        let path = dir.join(name);
        std::fs::write(&path, report.to_string()).unwrap();
        path
    };
    let none = Vec::<String>::new();
    let part = analyze(&photo, weights, &["--region", "nose"]).report();
    assert_eq!(part["request"], serde_json::json!({ "task": "age", "region": "nose" }));
    assert_eq!(verify(&write("part.json", &part), &photo, weights), (0, none.clone()));
    let good = analyze(&photo, weights, &[]).report();
    assert!(!good["faces"][0]["masks"].as_array().unwrap().is_empty());
    assert_eq!(verify(&write("good.json", &good), &photo, weights), (0, none.clone()));

    // A report may leave the name out, and come from another time or version.
    let mut shared = good.clone();
    shared["file"]["name"] = "".into();
    shared["timings_ms"] = serde_json::json!({});
    shared["program"]["version"] = "0.0.9".into();
    assert_eq!(verify(&write("shared.json", &shared), &photo, weights), (0, none));

    // The same picture in another file is another photo; the cat is, too.
    let resaved = dir.join("resaved.png");
    image::open(&photo).unwrap().save(&resaved).unwrap();
    assert_eq!(verify(&write("good.json", &good), &resaved, weights), (5, vec!["photo".to_string()]));

    let changed = |name: &str, place: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
        verify(&write(name, &bad), &photo, weights)
    };
    assert_eq!(changed("weights.json", "/program/weights_sha256", "0".repeat(64).into()), (6, vec!["weights".to_string()]));
    let score = good["faces"][0]["score"].as_f64().unwrap();
    let empty = serde_json::to_value(facext::image::Rle::encode(&Mask::new(512, 512))).unwrap();
    let names = |all: &[&str]| all.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    let band = if good["faces"][0]["band"] == "no_sign" { "signs" } else { "no_sign" };
    for (place, value, what) in [
        ("/faces/0/score", (if score > 0.5 { score - 0.1 } else { score + 0.1 }).into(), "score"),
        ("/faces/0/band", band.into(), "band"),
        ("/faces/0/spans/0/text", "All is well.".into(), "words"),
        ("/faces/0/box", serde_json::json!([0, 0, 10, 10]), "box"),
        ("/faces/0/spread/tried/1/score", (if score > 0.5 { 0.0 } else { 1.0 }).into(), "spread"),
        ("/faces/0/spread/tried", serde_json::json!([]), "spread"),
        ("/faces/0/masks/0/rle", empty, "masks"),
        ("/faces/0/masks/0/rle/counts", "~~~".into(), "masks"),
        ("/faces/0/masks", serde_json::json!([]), "masks"),
        ("/faces", serde_json::json!([]), "faces"),
    ] {
        assert_eq!(changed("changed.json", place, value), (7, names(&[what])), "{place}");
    }
    // A report in which nobody looked at the spread is confirmed without it.
    let bare = analyze(&photo, weights, &["--no-spread"]).report();
    assert_eq!(verify(&write("bare.json", &bare), &photo, weights), (0, names(&[])));
    // Another question has another answer.
    let (code, what) = changed("question.json", "/request", serde_json::json!({ "task": "toe" }));
    assert!(code == 7 && what.contains(&"words".to_string()), "{code} {what:?}");

    // What is no report is a mistake of the caller.
    for (name, text) in [("text.json", "Dear Sir"), ("list.json", "[]"), ("empty.json", ""), ("request.json", "{\"request\": 1}")] {
        std::fs::write(dir.join(name), text).unwrap();
        assert_eq!(verify(&dir.join(name), &photo, weights), (2, names(&["request.bad"])), "{name}");
    }
    assert_eq!(verify(&dir.join("absent.json"), &photo, weights), (1, names(&["io.failed"])));
    assert_eq!(changed("face.json", "/request", serde_json::json!({ "task": "age", "face": 7 })), (2, names(&["request.bad"])));

    // For people.
    let path = write("good.json", &good);
    let run =
        facext(&["verify", path.to_str().unwrap(), photo.to_str().unwrap(), "--device", "cpu", "--weights", weights.to_str().unwrap()]);
    assert!(run.code == 0 && run.out.contains("same  words of face 1") && run.out.contains("The report is confirmed"), "{}", run.out);
}

#[test]
fn hostile_files_are_named_and_nothing_breaks() {
    let Some(weights) = tiny() else { return };
    let dir = folder("hostile");
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let jpeg = std::fs::read(fixture("sequential.jpg")).unwrap();
    let one = png::encode_rgb(&Rgb8::filled(1, 1, [9, 90, 200])).unwrap();
    let mut bomb = one.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let crc = bomb[12..29]
        .iter()
        .fold(!0u32, |c, b| (0..8).fold(c ^ u32::from(*b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 }));
    bomb[29..33].copy_from_slice(&(!crc).to_be_bytes());
    std::fs::create_dir(dir.join("folder.jpg")).unwrap();
    let refused = [
        (write("empty.jpg", b""), 3, "image.empty"),
        (write("cut.jpg", &jpeg[..jpeg.len() / 2]), 3, "image.truncated"),
        (write("letter.jpg", "Dear Sir or Madam,\n".repeat(40).as_bytes()), 3, "image.not_an_image"),
        (write("bomb.png", &bomb), 3, "image.too_large"),
        (write("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), 3, "image.unsupported"),
        (dir.join("folder.jpg"), 1, "io.failed"),
        (dir.join("absent.jpg"), 1, "io.failed"),
    ];
    for (path, exit, code) in &refused {
        let run = analyze(path, weights, &[]);
        assert_eq!(run.refused(), (*exit, *code), "{}: {}", path.display(), run.err);
    }
    // Unusual and fine: analysed, with a note.
    let unusual = [
        (write("one.png", &one), None),
        (fixture("cmyk.jpg"), Some("image.cmyk_converted")),
        (fixture("rgb16.png"), Some("image.sixteen_bit_reduced")),
        (fixture("animated.webp"), Some("image.first_frame_only")),
    ];
    for (path, warning) in &unusual {
        let report = check(&analyze(path, weights, &[]).report(), path);
        assert_eq!(report.reason.as_deref(), Some("none"), "{}", path.display());
        assert_eq!(report.warnings, warning.iter().copied().collect::<Vec<_>>(), "{}", path.display());
    }
}

#[test]
fn damaged_weights_are_named_and_not_used() {
    let Some(good) = tiny() else { return };
    let photo = fixture("rgb.png");
    let manifest = std::fs::read_to_string(good.join("manifest.json")).unwrap();
    let parsed = Manifest::parse(&manifest).unwrap();
    let shard = parsed.files.iter().filter(|f| f.kind == FileKind::Shard).max_by_key(|f| f.bytes).unwrap();
    let damaged = |name: &str, harm: &dyn Fn(&Path)| {
        let dir = folder(name);
        for f in std::fs::read_dir(good).unwrap().flatten() {
            std::fs::copy(f.path(), dir.join(f.file_name())).unwrap();
        }
        harm(&dir);
        analyze(&photo, &dir, &[])
    };
    let intact = damaged("weights-intact", &|_| {});
    assert_eq!(intact.code, 0, "{}", intact.err);

    let run = damaged("weights-missing", &|d| std::fs::remove_file(d.join(&shard.name)).unwrap());
    assert_eq!(run.refused(), (4, "weights.missing_shard"));
    assert!(run.err.contains(&shard.name), "{}", run.err);

    for at in [9u64, shard.bytes / 2, shard.bytes - 1] {
        let run = damaged("weights-flipped", &|d| {
            let mut bytes = std::fs::read(d.join(&shard.name)).unwrap();
            bytes[at as usize] ^= 1;
            std::fs::write(d.join(&shard.name), bytes).unwrap();
        });
        assert_eq!(run.refused(), (4, "weights.hash"), "bit in byte {at}");
        assert!(run.err.contains(&shard.name), "{}", run.err);
    }
    let run = damaged("weights-short", &|d| std::fs::write(d.join(&shard.name), b"short").unwrap());
    assert_eq!(run.refused(), (4, "weights.size"));

    let version = format!("\"format_version\": {}", parsed.format_version);
    assert!(manifest.contains(&version));
    let run = damaged("weights-version", &|d| {
        std::fs::write(d.join("manifest.json"), manifest.replace(&version, "\"format_version\": 999")).unwrap()
    });
    assert_eq!(run.refused(), (4, "weights.version"));

    let run = damaged("weights-truncated", &|d| std::fs::write(d.join("manifest.json"), &manifest[..manifest.len() / 2]).unwrap());
    assert_eq!(run.refused(), (4, "weights.manifest"));

    // A file put in place of another, with the manifest left as it was.
    let run = damaged("weights-config", &|d| {
        let text = std::fs::read_to_string(d.join("config.json")).unwrap();
        std::fs::write(d.join("config.json"), text.replacen("64", "65", 1)).unwrap();
    });
    assert_eq!(run.refused(), (4, "weights.hash"));

    assert_eq!(analyze(&photo, &folder("weights-none").join("nowhere"), &[]).refused(), (4, "weights.manifest"));
    assert_eq!(analyze(&photo, &folder("weights-empty"), &[]).refused(), (4, "weights.manifest"));
}

#[test]
fn the_gallery_s_pictures_say_what_they_are_and_the_truth_is_exact() {
    let (Some(weights), Some(photo)) = (tiny(), sample("astronaut.png")) else { return };
    let out = folder("gallery");
    let run = facext(&["demo", photo.to_str().unwrap(), "--weights", weights.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.err);
    let list: Value = serde_json::from_slice(&std::fs::read(out.join("gallery.json")).unwrap()).unwrap();
    let open = |name: &str| facext::image::decode(&std::fs::read(out.join(name)).unwrap()).unwrap().rgb;
    let untouched = open("untouched.png");
    for example in list.as_array().unwrap() {
        let kind = example["kind"].as_str().unwrap();
        let bytes = std::fs::read(out.join(format!("{kind}.png"))).unwrap();
        assert_eq!(example["sha256"].as_str(), Some(sha256(&bytes).as_str()), "{kind}");
        let picture = open(&format!("{kind}.png"));
        // Words below the picture, in its pixels.
        let strip = &picture.data[448 * picture.width * 3..];
        assert!(strip.chunks_exact(3).filter(|p| p[0] < 128).count() > 500, "{kind}");
        let differs = |x: usize, y: usize| (0..3).any(|c| picture.data[(y * 448 + x) * 3 + c] != untouched.data[(y * 448 + x) * 3 + c]);
        if example["mask"].is_null() {
            assert!(kind == "untouched" && picture.data == untouched.data, "{kind}");
            continue;
        }
        // What is marked was changed; what was not marked was changed at most by the soft border of the forgery.
        let mask = serde_json::from_value::<facext::image::Rle>(example["mask"].clone()).unwrap().decode().unwrap();
        let near = |x: usize, y: usize| {
            (y.saturating_sub(16)..(y + 17).min(448)).any(|b| (x.saturating_sub(16)..(x + 17).min(448)).any(|a| mask.get(a, b)))
        };
        let (mut marked, mut far) = (0usize, 0usize);
        for (y, x) in (0..448).flat_map(|y| (0..448).map(move |x| (y, x))) {
            marked += usize::from(mask.get(x, y) && differs(x, y));
            far += usize::from(differs(x, y) && !near(x, y));
        }
        assert!(marked * 10 > mask.area() * 8 && far == 0, "{kind}: {marked} of {} changed, {far} elsewhere", mask.area());
    }
    assert_eq!(list.as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect::<Vec<_>>(), ["untouched", "crude", "subtle"]);
    // A photo without a face makes no gallery.
    if let Some(cat) = sample("chelsea.png") {
        let run = facext(&["demo", cat.to_str().unwrap(), "--weights", weights.to_str().unwrap(), "--out", out.to_str().unwrap()]);
        assert_eq!(run.refused(), (2, "request.bad"));
    }
}
