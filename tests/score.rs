//! The figures of `facext score` against the reference packages, on the files of tests/fixtures/score/ that
//! tests/reference/score.py made: pycocotools 2.0.11 (AP50, IoU), pycocoevalcap 1.2 (tokens, BLEU, ROUGE-L, CIDEr-D, and
//! its METEOR jar with the modules exact and stem). Tolerance 1e-6: the same sums in another order.

use facext::native::metrics::text::{Pair, meteor, tokens};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOLERANCE: f64 = 1e-6;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/score").join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

/// Exit code, standard output, last line of standard error.
fn score(predictions: &Path, references: &Path, more: &[&str]) -> (i32, String, String) {
    let mut args = vec!["score", "--json", "--predictions", predictions.to_str().unwrap(), "--references", references.to_str().unwrap()];
    args.extend(more);
    let done = Command::new(env!("CARGO_BIN_EXE_facext")).args(args).output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert!(!err.contains("panicked"), "{err}");
    (done.status.code().unwrap_or(-1), String::from_utf8(done.stdout).unwrap(), err.trim_end().lines().last().unwrap_or_default().into())
}

/// A file of its own for a test.
fn file(name: &str, text: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("score");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), text).unwrap();
    dir.join(name)
}

#[test]
fn figures_agree_with_the_reference_packages() {
    let similarities = fixture("similarities.json");
    let (code, out, err) =
        score(&fixture("predictions.json"), &fixture("references.json"), &["--similarities", similarities.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let (got, expected) = (serde_json::from_str::<Value>(&out).unwrap(), json("expected.json"));
    let expected = expected["scores"].as_object().unwrap();
    assert_eq!(expected.len(), 12);
    for (name, value) in expected {
        let (a, b) = (got[name].as_f64().unwrap_or(f64::NAN), value.as_f64().unwrap());
        assert!((a - b).abs() <= TOLERANCE, "{name}: {a}, reference {b}");
        assert!(name == "n_images" || (b > 0.05 && b < 10.0), "{name}: {b} tests nothing");
    }
    assert!(got["consistency"].is_null() && got["contradiction"].is_null(), "nothing was given to compute them from");
}

#[test]
fn tokens_agree_with_the_reference_tokenizer() {
    let expected = json("expected.json");
    let all = expected["tokens"].as_array().unwrap();
    assert!(all.len() > 100);
    for pair in all {
        let (text, wanted) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        assert_eq!(tokens(text).join(" "), wanted, "{text:?}");
    }
}

#[test]
fn meteor_agrees_on_every_sentence() {
    let (expected, predictions, references) = (json("expected.json"), json("predictions.json"), json("references.json"));
    let caption = |v: &Value| match v {
        Value::String(s) => vec![s.clone()],
        other => other.as_array().unwrap().iter().map(|s| s.as_str().unwrap().into()).collect(),
    };
    for p in predictions.as_array().unwrap() {
        let r = references.as_array().unwrap().iter().find(|r| r["image_id"] == p["image_id"]).unwrap();
        let pair = Pair::new(p["caption"].as_str().unwrap(), &caption(&r["caption"]));
        let wanted = expected["meteor_of_each"][p["image_id"].to_string()].as_f64().unwrap();
        let got = meteor::corpus(std::slice::from_ref(&pair));
        assert!((got - wanted).abs() <= TOLERANCE, "{pair:?}: {got}, reference {wanted}");
    }
}

#[test]
fn consistency_and_contradiction_by_hand() {
    // Masks of 2 × 2: "04" all ones; "01" + … the left column is runs 0, 2, 2; the right one 2, 2.
    let mask = |counts: &str| format!(r#"{{"size":[2,2],"counts":"{counts}"}}"#);
    let (all, left, right) = (mask("04"), mask("022"), mask("22"));
    let answer = |id: u32, phrase: &str, mask: &str, caption: &str, band: &str| {
        format!(r#"{{"image_id":{id},"phrases":["{phrase}"],"masks":[{mask}],"caption":"{caption}","band":"{band}"}}"#)
    };
    let predictions = [
        answer(1, "The nose", &all, "There are signs.", "signs"), // half of it is nose: consistent
        answer(2, "nose", &right, "There are signs.", "no_sign"), // none of it is; words contradict the band
        answer(3, "tail", &left, "No sign of forgery.", "inconclusive"), // no such concept
    ];
    let p = file("hand_p.json", &format!("[{}]", predictions.join(",")));
    let c =
        file("hand_c.json", &format!("[{}]", [1, 2, 3].map(|i| format!(r#"{{"image_id":{i},"concepts":{{"nose":{left}}}}}"#)).join(",")));
    let (code, out, err) = score(&p, &p, &["--concepts", c.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let got: Value = serde_json::from_str(&out).unwrap();
    assert!((got["consistency"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12, "{got}");
    assert!((got["contradiction"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12, "{got}");
    assert_eq!(got["unknown_phrases"], 1);
    for name in ["ap50", "miou", "miou_sym", "recall", "rouge_l", "bleu4", "meteor_exact_stem"] {
        assert!((got[name].as_f64().unwrap() - 1.0).abs() < 1e-6, "{name} of an answer against itself: {got}");
    }
}

#[test]
fn a_missing_prediction_is_an_empty_answer() {
    let references = fixture("references.json");
    let (code, out, err) = score(&file("none.json", "[]"), &references, &[]);
    assert_eq!(code, 0, "{err}");
    let got: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((got["missing_predictions"].as_u64(), got["n_images"].as_u64()), (Some(60), Some(60)));
    assert_eq!((got["ap50"].as_f64(), got["recall"].as_f64(), got["cider"].as_f64()), (Some(0.0), Some(0.0), Some(0.0)));
    // Nothing at all: no figure is made up.
    let (code, out, _) = score(&file("none.json", "[]"), &file("none2.json", "[]"), &[]);
    let got: Value = serde_json::from_str(&out).unwrap();
    assert!(code == 0 && got["ap50"].is_null() && got["miou"].is_null() && got.get("cider").is_none_or(Value::is_null), "{got}");
}

#[test]
fn malformed_files_are_refused() {
    let good = fixture("references.json");
    let answer = |masks: &str| format!(r#"[{{"image_id":1,"phrases":["nose"],"masks":{masks},"caption":"x"}}]"#);
    let cases = [
        ("not JSON", "[{".to_string()),
        ("no list", "{}".into()),
        ("no caption", r#"[{"image_id":1}]"#.into()),
        ("masks and phrases differ", answer("[]")),
        ("a mask that is none", answer(r#"[{"size":[2,2],"counts":"~"}]"#)),
        ("a mask of absurd size", answer(r#"[{"size":[4000000000,4000000000],"counts":"0"}]"#)),
        ("an image without reference", r#"[{"image_id":"elsewhere","caption":"x"}]"#.into()),
        ("too many pixels", answer(r#"[{"size":[20000,20001],"counts":"0"}]"#)),
        ("a caption without end", format!(r#"[{{"image_id":1,"caption":"{}"}}]"#, "the ".repeat(3000))),
        (
            "masks of two sizes",
            r#"[{"image_id":1,"phrases":["a","b"],"masks":[{"size":[2,2],"counts":"4"},{"size":[1,1],"counts":"1"}],"caption":"x"}]"#
                .into(),
        ),
        ("an image twice", r#"[{"image_id":1,"caption":"x"},{"image_id":1,"caption":"y"}]"#.into()),
    ];
    for (what, text) in cases {
        let (code, out, err) = score(&file("bad.json", &text), &good, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{what}: {err}");
        assert!(err.contains("[request.bad]"), "{what}: {err}");
    }
    let (code, _, err) = score(Path::new("absent.json"), &good, &[]);
    assert!(code == 1 && err.contains("[io.failed]"), "{err}");
    let tables = file("tables.json", r#"[{"image_id":7,"similarity":[[1,2,3,4,5,6]]}]"#);
    assert_eq!(score(&good_predictions(), &good, &["--similarities", tables.to_str().unwrap()]).0, 2);
}

fn good_predictions() -> PathBuf {
    fixture("predictions.json")
}
