//! `facext eval` from end to end: a photo pack of drawn faces (no person), the small random model, every part asked for.
//!
//! The figures of such a model mean nothing; what is checked is that each is there when asked for, `null` when not, the same
//! whatever the number of threads, and that page and pictures are written.

use facext::fict;
use facext::image::Rgb8;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const SIDE: usize = 300;

fn facext(args: &[&str]) -> (i32, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_facext")).args(args).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (done.status.code().unwrap_or(-1), text(done.stdout), text(done.stderr))
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("score_eval").join(name)
}

/// A face of flat colours and grain on the mean mesh.
fn drawn(person: u32, mesh: &[[f32; 3]]) -> Rgb8 {
    let mut seed = u64::from(person) + 1;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as i32 % 19 - 9
    };
    let tone = 20 * person as i32;
    let mut data = Vec::with_capacity(3 * SIDE * SIDE);
    for label in fict::part_labels(mesh, SIDE, SIDE) {
        let base = match fict::part_id(label) {
            None => [110, 140, 130],
            Some("left_eye" | "right_eye" | "left_eyebrow" | "right_eyebrow") => [70, 55, 45],
            Some("upper_lip" | "lower_lip") => [180 - tone, 90, 90],
            Some(_) => [215 - tone, 170 - tone, 140],
        };
        data.extend(base.map(|v: i32| (v + noise()).clamp(0, 255) as u8));
    }
    Rgb8 { width: SIDE, height: SIDE, data }
}

/// A pack of six drawn persons of the split `test`, and the small model; `None` without the weights it is made from.
fn setup() -> Option<&'static (PathBuf, PathBuf)> {
    static MADE: OnceLock<Option<(PathBuf, PathBuf)>> = OnceLock::new();
    MADE.get_or_init(|| {
        let weights = std::env::var_os("FACEXT_WEIGHTS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("weights"), Into::into);
        if !weights.join("manifest.json").exists() {
            eprintln!("skipped: no weights in {}", weights.display());
            return None;
        }
        let (pack, tiny) = (folder("pack"), folder("tiny"));
        let _ = std::fs::remove_dir_all(folder(""));
        std::fs::create_dir_all(pack.join("img")).unwrap();
        let made = facext(&["convert", "--preset", "tiny", "--base", weights.to_str()?, "--seed", "1", "--out", tiny.to_str()?]);
        assert_eq!(made.0, 0, "{}", made.2);
        let (mut csv, mut points) = (String::from("file,person,source,licence,split\n"), Vec::new());
        for person in 0..6u32 {
            let grow = 0.56 + 0.01 * f32::from(person as u8);
            let mesh: Vec<[f32; 3]> = include_str!("fixtures/mean_mesh.txt")
                .lines()
                .map(|l| {
                    let v: Vec<f32> = l.split_whitespace().map(|v| v.parse().unwrap()).collect();
                    let half = SIDE as f32 / 2.0;
                    [half + (v[0] - 0.43) * grow * SIDE as f32, half + (v[1] - 0.5) * grow * SIDE as f32, v[2] * grow * SIDE as f32]
                })
                .collect();
            let png = facext::image::png::encode_rgb(&drawn(person, &mesh)).unwrap();
            std::fs::write(pack.join(format!("img/{person}.png")), png).unwrap();
            csv += &format!("img/{person}.png,p{person},drawn/{person},CC0,test\n");
            points.extend(mesh.iter().flatten().flat_map(|v| (((v + 256.0) * 64.0) as u16).to_le_bytes()));
        }
        std::fs::write(pack.join("faces.csv"), csv).unwrap();
        std::fs::write(pack.join("landmarks.bin"), points).unwrap();
        std::fs::write(pack.join("landmarks.json"), r#"{"file":"landmarks.bin","shape":[6,478,3],"scale":64.0,"offset":-256.0}"#).unwrap();
        Some((pack, tiny))
    })
    .as_ref()
}

fn eval(more: &[&str]) -> Option<(String, Value)> {
    let (pack, tiny) = setup()?;
    let mut args = vec!["eval", "--json", "--data", pack.to_str()?, "--weights", tiny.to_str()?, "--count", "10", "--seed", "3"];
    if !more.contains(&"--recipes") {
        args.extend(["--recipes", "first"]);
    }
    args.extend(more);
    let (code, out, err) = facext(&args);
    assert_eq!(code, 0, "{err}");
    Some((out.clone(), serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))))
}

/// Names that the outside relies on, with their parts.
const NAMES: [&str; 29] = [
    "/det/auc",
    "/det/eer",
    "/det/ece",
    "/det/false_alarm",
    "/cls/macro_f1",
    "/loc/image/miou",
    "/loc/image/miou_sym",
    "/loc/region/miou",
    "/loc/region/miou_sym",
    "/loc/box/miou",
    "/loc/box/miou_sym",
    "/age/miou",
    "/age/miou_sym",
    "/age/ap50",
    "/age/recall",
    "/age/meteor",
    "/age/cider",
    "/age/consistency",
    "/age/contradiction",
    "/age/region/miou",
    "/age/box/miou",
    "/toe/meteor",
    "/toe/cider",
    "/toe/rouge_l",
    "/box_on_nothing",
    "/band_flip_jpeg75",
    "/answers_parse",
    "/n_images",
    "/loc/image/n",
];

#[test]
fn every_figure_that_is_asked_for_is_there() {
    let (html, worst) = (folder("report.html"), folder("worst"));
    let more = [
        "--full",
        "--explain-every",
        "1",
        "--difficulty",
        "1",
        "--html",
        html.to_str().unwrap(),
        "--worst",
        worst.to_str().unwrap(),
        "--unseen",
        "part_swap,local_warp",
    ];
    let Some((out, report)) = eval(&more) else { return };
    for name in NAMES {
        assert!(report.pointer(name).is_some_and(Value::is_number), "{name}: {:?} in {report}", report.pointer(name));
    }
    let rows = report["det"]["reliability"].as_array().unwrap();
    assert_eq!(rows.iter().map(|b| b["n"].as_u64().unwrap()).sum::<u64>(), 10);
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("<svg") && !page.contains("http"), "the page needs something else");
    let gallery = std::fs::read_to_string(worst.join("index.html")).unwrap();
    let shown = std::fs::read_dir(&worst).unwrap().flatten().map(|f| f.file_name().into_string().unwrap()).filter(|n| n != "index.html");
    assert!(!gallery.contains("http") && shown.fold(0, |n, name| n + usize::from(gallery.contains(&format!("src=\"{name}\"")))) > 0);
    assert_eq!(gallery.matches("<figure>").count() + 1, std::fs::read_dir(&worst).unwrap().count());
    assert_eq!(eval(&[&more[..], &["--jobs", "1"]].concat()).unwrap().0, out, "figures depend on the number of threads");
}

#[test]
fn a_figure_that_was_not_asked_for_is_null() {
    let Some((_, report)) = eval(&[]) else { return };
    let off = [
        "/det/auc_seen",
        "/det/auc_unseen",
        "/loc/region/miou",
        "/loc/box/miou",
        "/age/region/miou",
        "/toe/meteor",
        "/toe/cider",
        "/box_on_nothing",
        "/band_flip_jpeg75",
    ];
    for name in off {
        assert!(report.pointer(name).is_some_and(Value::is_null), "{name}: {:?}", report.pointer(name));
    }
    assert_eq!((report["loc"]["image"]["n"].as_u64(), report["age"]["n"].as_u64()), (Some(10), Some(3)));
    let (_, scores) = eval(&["--scores-only"]).unwrap();
    assert!(scores["loc"]["image"]["miou"].is_null() && scores["n_answers"] == 0 && scores["det"]["auc"] == report["det"]["auc"]);
}

#[test]
fn every_score_can_be_had_and_some_with_their_savings() {
    let file = folder("scores.jsonl");
    let Some((_, report)) = eval(&["--scores-only", "--flip-every", "5", "--scores", file.to_str().unwrap()]) else { return };
    let lines: Vec<Value> = std::fs::read_to_string(&file).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.iter().map(|l| l["image"].as_u64().unwrap()).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert!(lines.iter().all(|l| l["score"].is_number() && l["forged"].is_boolean() && l["recipe"].is_string()));
    let saved: Vec<&Value> = lines.iter().filter(|l| l["tried"].is_array()).collect();
    assert_eq!((saved.len(), report["n_jpeg75"].as_u64()), (2, Some(2)));
    let three = |v: &Value| v.as_array().is_some_and(|t| t.len() == 3 && t.iter().all(Value::is_number));
    assert!(saved.iter().all(|l| three(&l["tried"]) && three(&l["jpeg75"]["tried"])), "{saved:?}");
    // The image as a JPEG of quality 75 is the first of the product's savings, too.
    assert!(saved.iter().all(|l| l["tried"][0] == l["jpeg75"]["score"]), "{saved:?}");
    let flipped = saved.iter().filter(|l| l["shown"] != l["jpeg75"]["shown"]).count() as f64 / 2.0;
    assert_eq!(report["band_flip_jpeg75"].as_f64(), Some(flipped));
}

#[test]
fn the_recipes_kept_from_training_are_told_apart_by_themselves() {
    let Some((_, report)) = eval(&["--recipes", "unseen", "--scores-only"]) else { return };
    let kept: Vec<&str> = report["det"]["unseen"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(kept.contains(&"ghost_splice") && kept.contains(&"copy_move"), "{kept:?}");
    assert_eq!(report["det"]["auc_unseen"], report["det"]["auc"]);
    assert!(report["det"]["per_recipe"].as_object().unwrap().keys().all(|k| kept.contains(&k.as_str())));
    let (_, all) = eval(&["--recipes", "all", "--full", "--explain-every", "1"]).unwrap();
    assert!(all["age"]["meteor"].is_number() && all["recipes"] == "all", "{all}");
}

#[test]
fn folders_of_pictures_from_elsewhere_are_judged_and_told_apart() {
    let Some((_, tiny)) = setup() else { return };
    let cache = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/facext"))).unwrap();
    let Ok(portrait) = std::fs::read(cache.join("samples/astronaut.png")) else {
        eprintln!("skipped: no samples/astronaut.png in the cache");
        return;
    };
    let (plain, forged, none) = (folder("plain"), folder("forged"), folder("none"));
    for (path, bytes) in [
        (plain.join("portrait.png"), portrait.as_slice()),
        (plain.join("notes.txt"), b"no picture".as_slice()),
        (forged.join("swapped/a.png"), &portrait),
        (forged.join("swapped/b.png"), &portrait),
        (forged.join("c.png"), &portrait),
        (none.join("cut.png"), &portrait[..200]),
    ] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let judge = |forged: &Path| {
        let dirs = ["--untouched", plain.to_str().unwrap(), "--forged", forged.to_str().unwrap()];
        facext(&[&["eval", "--json", "--weights", tiny.to_str().unwrap()], &dirs[..]].concat())
    };
    let (code, out, err) = judge(&forged);
    assert_eq!(code, 0, "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["n_untouched"], &report["n_forged"]), (&1.into(), &3.into()));
    // The same picture on both sides: all ties.
    assert_eq!(report["det"]["auc"], 0.5);
    assert_eq!((&report["per_folder"]["swapped"]["n"], &report["per_folder"]["."]["n"]), (&2.into(), &1.into()));
    assert_eq!((&report["skipped"][0]["file"], &report["skipped"][0]["forged"]), (&"notes.txt".into(), &false.into()));
    assert_eq!(judge(&none).0, 2, "nothing to judge");
    assert_eq!(judge(&folder("absent")).0, 1);
    assert_eq!(facext(&["eval", "--forged", "x"]).0, 2);
    assert_eq!(facext(&["eval"]).0, 2);
    assert_eq!(facext(&["eval", "--untouched", "x", "--forged", "y", "--html", "z"]).0, 2, "there is no page of folders");
}

#[test]
fn bad_arguments_are_refused() {
    for bad in [["--unseen", "part_magic"], ["--wordings", "0"], ["--split", "all"]] {
        let (code, _, err) = facext(&["eval", "--data", "x", bad[0], bad[1]]);
        assert_eq!(code, 2, "{err}");
    }
    assert!(matches!(facext(&["eval", "--data", "absent", "--weights", "absent"]).0, 1 | 4));
}
