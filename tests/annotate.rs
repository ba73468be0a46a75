//! `facext annotate` as a person meets it: same bytes for the same seed, ranges, resuming, checking, bad input.
//!
//! Faces are drawn (no person), on the mean mesh of `tests/fixtures/mean_mesh.txt`, in a small photo pack. Pairs need the face
//! finder's weights and the portrait of the set-up; where they are absent that test is skipped, and said.

use facext::native::annotate::dataset::{shard, verify};
use facext::native::annotate::talk::Basis;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SIDE: usize = 320;

/// A folder that is removed at the end.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("facext-annotate-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A pack of drawn faces: an ellipse of skin, eyes, brows, lips, grain.
fn pack(dir: &Path, persons: usize) {
    let mean: Vec<[f32; 3]> = include_str!("fixtures/mean_mesh.txt")
        .lines()
        .map(|l| {
            let v: Vec<f32> = l.split_whitespace().map(|v| v.parse().unwrap()).collect();
            let scale = SIDE as f32 / 1.6;
            [160.0 + (v[0] - 0.43) * scale, 160.0 + (v[1] - 0.5) * scale, v[2] * scale]
        })
        .collect();
    std::fs::create_dir_all(dir.join("img")).unwrap();
    let (mut csv, mut raw) = (String::from("file,person,source,split\n"), Vec::new());
    for p in 0..persons {
        let mesh: Vec<[f32; 3]> = mean.iter().map(|q| [160.0 + (q[0] - 160.0) * (0.94 + 0.03 * p as f32), q[1], q[2]]).collect();
        let mut noise = 12345u32 + p as u32;
        let mut grain = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as i32 % 15 - 7
        };
        let skin = [[205, 160, 140], [120, 85, 70], [225, 190, 170], [165, 120, 95]][p % 4];
        let labels = facext::fict::part_labels(&mesh, SIDE, SIDE);
        let data: Vec<u8> = labels
            .iter()
            .flat_map(|&l| {
                let base = match facext::fict::part_id(l).unwrap_or("none") {
                    "none" => [110, 140, 150],
                    "left_eye" | "right_eye" => [60, 50, 45],
                    "left_eyebrow" | "right_eyebrow" => [55, 40, 35],
                    "upper_lip" | "lower_lip" => [skin[0] * 9 / 10, skin[1] * 6 / 10, skin[2] * 6 / 10],
                    _ => skin,
                };
                let g = grain();
                base.map(|v: i32| (v + g).clamp(0, 255) as u8)
            })
            .collect();
        let rgb = facext::image::Rgb8::new(SIDE, SIDE, data).unwrap();
        std::fs::write(dir.join(format!("img/{p}.png")), facext::image::png::encode_rgb(&rgb).unwrap()).unwrap();
        csv += &format!("img/{p}.png,p{p},drawn/{p},train\n");
        for v in mesh.iter().flatten() {
            raw.extend_from_slice(&(((v + 256.0) * 64.0).round() as u16).to_le_bytes());
        }
    }
    std::fs::write(dir.join("faces.csv"), csv).unwrap();
    std::fs::write(dir.join("landmarks.bin"), raw).unwrap();
    let json = format!(r#"{{"file":"landmarks.bin","shape":[{persons},478,3],"scale":64.0,"offset":-256.0}}"#);
    std::fs::write(dir.join("landmarks.json"), json).unwrap();
}

fn annotate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_facext")).arg("annotate").args(args).output().unwrap()
}

fn make(faces: &Path, out: &Path, more: &[&str]) -> Output {
    let mut args =
        vec!["--faces", faces.to_str().unwrap(), "--out", out.to_str().unwrap(), "--size", "256", "--shard", "10", "--count", "40"];
    args.extend(more);
    annotate(&args)
}

fn code(o: &Output) -> i32 {
    assert!(!String::from_utf8_lossy(&o.stderr).contains("panicked"), "{}", String::from_utf8_lossy(&o.stderr));
    o.status.code().unwrap()
}

/// Every file of a folder with its bytes.
fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap());
    entries.map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn ranges_and_threads_do_not_change_a_byte_and_a_run_can_be_gone_on_with() {
    let t = Temp::new("bytes");
    pack(&t.path("pack"), 4);
    let (one, many) = (t.path("one"), t.path("many"));
    assert_eq!(code(&make(&t.path("pack"), &one, &["--jobs", "1"])), 0);
    for range in ["20..30", "0..10", "30..40", "10..20"] {
        assert_eq!(code(&make(&t.path("pack"), &many, &["--jobs", "3", "--range", range])), 0);
    }
    let (a, b) = (bytes(&one), bytes(&many));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    assert!(a == b && a.len() == 10, "{:?}", a.keys());
    // A lost shard is made again, a half-written one is not taken for whole, other arguments are refused.
    std::fs::remove_file(one.join("shard-000002.tar")).unwrap();
    std::fs::write(one.join("shard-000002.tar.part"), b"half").unwrap();
    let again = make(&t.path("pack"), &one, &[]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("10 pictures made, 30 kept"));
    assert!(bytes(&one) == b);
    assert_eq!(code(&make(&t.path("pack"), &one, &["--seed", "2"])), 2);
    assert_eq!(code(&make(&t.path("pack"), &t.path("x"), &["--range", "5..15"])), 2);
}

#[test]
fn every_sentence_is_confirmed_and_what_is_tampered_with_is_refuted() {
    let t = Temp::new("verify");
    pack(&t.path("pack"), 4);
    let out = t.path("set");
    assert_eq!(code(&make(&t.path("pack"), &out, &[])), 0);
    let checked = annotate(&["--verify", out.to_str().unwrap()]);
    assert_eq!(code(&checked), 0);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("agreement 100.00 %"), "{checked:?}");
    let (mut claims, mut tasks, mut forged, mut boxes_on_nothing) = (0, std::collections::HashSet::new(), 0, 0);
    for path in shard::all(&out).unwrap() {
        shard::read(&path, |(record, png)| {
            forged += u32::from(record.forged);
            for turn in &record.turns {
                tasks.insert((turn.task, turn.region.is_some(), turn.bbox.is_some()));
                boxes_on_nothing += u32::from(record.forged && turn.bbox.is_some() && !turn.found);
                assert!(facext::native::metrics::answer_parses(&turn.answer, turn.masks.len()), "{}", turn.answer);
                assert!(record.forged || !turn.found);
            }
            // A number changed in the record, and pixels that are not the measured ones.
            let mut lie = record.clone();
            let mut told = 0;
            for s in lie.turns.iter_mut().flat_map(|t| &mut t.sentences) {
                if let Basis::Measured(list) = &mut s.basis {
                    list[0].value += 5.0 + list[0].value.abs();
                    told += 1;
                }
            }
            let mut v = verify::Verdict::default();
            verify::check(&lie, &png, None, &mut v).unwrap();
            assert_eq!(v.refuted, told);
            claims += told;
            if record.forged {
                let mut lie = record.clone();
                lie.artifact = facext::image::Rle::encode(&facext::image::Mask::new(256, 256));
                let mut v = verify::Verdict::default();
                verify::check(&lie, &png, None, &mut v).unwrap();
                assert!(v.refuted > 0, "an empty mask makes every finding wrong");
            }
            Ok(true)
        })
        .unwrap();
    }
    assert!(claims > 40 && forged == 20 && boxes_on_nothing > 0, "{claims} {forged} {boxes_on_nothing}");
    // Det, Cls, 3 × image, region, box, and free questions.
    assert_eq!(tasks.len(), 12, "{tasks:?}");
}

#[test]
fn previews_fetch_nothing_and_files_do_not_betray_the_class() {
    let t = Temp::new("preview");
    pack(&t.path("pack"), 4);
    let out = t.path("set");
    assert_eq!(code(&make(&t.path("pack"), &out, &["--count", "200"])), 2, "--count twice is refused");
    let args = ["--faces", t.0.join("pack").to_str().unwrap(), "--out", out.to_str().unwrap(), "--size", "128", "--count", "400"]
        .map(String::from);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert_eq!(code(&annotate(&args)), 0);
    assert_eq!(code(&annotate(&["--preview", "4", "--out", out.to_str().unwrap()])), 0);
    let page = std::fs::read_to_string(out.join("preview.html")).unwrap();
    assert!(!page.contains("http") && !page.contains("<script") && page.matches("<article>").count() == 4);
    let probed = annotate(&["--probe", out.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&probed.stdout);
    // 400 pictures: chance is ± 0.029; the 3 % of the command need more.
    let aucs: Vec<f64> = text.split(['A', ' ', ',']).filter_map(|w| w.parse().ok()).filter(|v: &f64| (0.3..0.7).contains(v)).collect();
    assert!(aucs.len() >= 2 && aucs.iter().all(|a| (a - 0.5).abs() < 0.09), "{text}");
}

#[test]
fn bad_input_is_named_skipped_and_counted() {
    let t = Temp::new("bad");
    pack(&t.path("pack"), 4);
    // A broken photo: listed, left out, and the exit code says so.
    std::fs::write(t.path("pack/img/3.png"), b"not a picture").unwrap();
    let made = make(&t.path("pack"), &t.path("set"), &[]);
    assert_eq!(code(&made), 5);
    assert!(String::from_utf8_lossy(&made.stderr).contains("skipped img/3.png"));
    assert!(String::from_utf8_lossy(&made.stdout).contains("1 files skipped"));
    assert!(std::fs::read_to_string(t.path("set/DATA_CARD.md")).unwrap().contains("| 3, 3, 1 |"));
    // No photos, no folder, no data set.
    std::fs::create_dir_all(t.path("empty")).unwrap();
    assert_eq!(code(&make(&t.path("empty"), &t.path("x"), &[])), 2);
    assert_eq!(code(&make(&t.path("nowhere"), &t.path("x"), &[])), 1);
    assert_eq!(code(&annotate(&["--verify", t.path("empty").to_str().unwrap()])), 2);
    std::fs::write(t.path("empty/shard-000000.tar"), vec![7u8; 2048]).unwrap();
    assert_eq!(code(&annotate(&["--verify", t.path("empty").to_str().unwrap()])), 1);
    // Only one person: nobody to swap with.
    pack(&t.path("single"), 1);
    assert_eq!(code(&make(&t.path("single"), &t.path("y"), &[])), 2);
}

#[cfg(unix)]
#[test]
fn a_full_disk_stops_cleanly_and_the_run_goes_on_later() {
    let t = Temp::new("full");
    pack(&t.path("pack"), 4);
    let out = t.path("set");
    // A limit on file sizes fails writes like a full disk does (EFBIG for ENOSPC).
    let line = format!(
        "trap '' XFSZ; ulimit -f 256; exec {} annotate --faces {} --out {} --size 256 --shard 10 --count 40",
        env!("CARGO_BIN_EXE_facext"),
        t.path("pack").display(),
        out.display()
    );
    let stopped = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert_eq!(code(&stopped), 1);
    assert!(String::from_utf8_lossy(&stopped.stderr).contains("[io.failed]"), "{stopped:?}");
    assert!(!out.join("shard-000000.tar").exists() && !out.join("DATA_CARD.md").exists());
    assert_eq!(code(&make(&t.path("pack"), &out, &[])), 0);
    let whole = t.path("whole");
    assert_eq!(code(&make(&t.path("pack"), &whole, &[])), 0);
    let (mut a, b) = (bytes(&out), bytes(&whole));
    a.retain(|k, _| !k.ends_with(".part"));
    assert!(a == b);
}

/// Runs a script in a namespace of its own with a tiny file system at `$DISK`; `None` where that is not allowed (said).
#[cfg(target_os = "linux")]
fn on_a_tiny_disk(t: &Temp, script: &str) -> Option<Output> {
    let disk = t.path("disk");
    std::fs::create_dir_all(&disk).unwrap();
    let mount = format!("mount -t tmpfs -o size=1m tmpfs {}", disk.display());
    let run = |script: &str| Command::new("unshare").args(["-rm", "bash", "-c", script]).env("DISK", &disk).output();
    if !run(&mount).is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no file system can be mounted here (unshare -rm)");
        return None;
    }
    Some(run(&format!("{mount} && {script}")).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn no_space_left_stops_cleanly_and_the_run_goes_on_later() {
    let t = Temp::new("space");
    pack(&t.path("pack"), 4);
    let whole = t.path("whole");
    assert_eq!(code(&make(&t.path("pack"), &whole, &[])), 0);
    let line = format!(
        "{} annotate --faces {} --out $DISK/set --size 256 --shard 10 --count 40",
        env!("CARGO_BIN_EXE_facext"),
        t.path("pack").display()
    );
    let script = format!(
        "{line}; echo first $?; ls $DISK/set; mount -o remount,size=64m $DISK; {line}; echo second $?; cp -r $DISK/set {}",
        t.path("kept").display()
    );
    let Some(done) = on_a_tiny_disk(&t, &script) else { return };
    let (said, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(err.contains("No space left on device") && err.contains("the same command goes on") && !err.contains("panicked"), "{err}");
    assert!(said.contains("first 1") && said.contains("second 0") && !said.contains("DATA_CARD.md"), "{said}");
    let mut kept = bytes(&t.path("kept"));
    kept.retain(|k, _| !k.ends_with(".part"));
    assert!(kept == bytes(&whole));
}

/// The portrait of the set-up and the folder of weights, if they are there.
fn portrait() -> Option<(facext::image::Rgb8, PathBuf, PathBuf)> {
    let cache = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/facext"));
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
    let Ok(portrait) = std::fs::read(cache.join("samples/astronaut.png")) else {
        eprintln!("skipped: no samples/astronaut.png in the cache");
        return None;
    };
    if !weights.join("manifest.json").is_file() {
        eprintln!("skipped: no weights");
        return None;
    }
    Some((facext::image::decode(&portrait).unwrap().rgb, weights, cache.join("samples/chelsea.png")))
}

/// Writes one version of a pair.
fn put(dir: &Path, name: &str, rgb: &facext::image::Rgb8) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(name), facext::image::png::encode_rgb(rgb).unwrap()).unwrap();
}

/// Copies a block of a picture to another place.
fn moved(rgb: &facext::image::Rgb8, [x0, y0, w, h]: [usize; 4], [dx, dy]: [usize; 2]) -> facext::image::Rgb8 {
    let mut out = rgb.clone();
    for y in 0..h {
        let (from, to) = (3 * ((y0 + y) * rgb.width + x0), 3 * ((y0 + y + dy) * rgb.width + x0 + dx));
        out.data[to..to + 3 * w].copy_from_slice(&rgb.data[from..from + 3 * w]);
    }
    out
}

/// A red cheek: the portrait's face lies at about (170..280, 65..200).
fn red_cheek(rgb: &facext::image::Rgb8) -> facext::image::Rgb8 {
    let mut out = rgb.clone();
    for y in 120..145 {
        for x in 190..215 {
            out.data[3 * (y * rgb.width + x)] = 250;
        }
    }
    out
}

fn compare(dir: &Path, out: &Path, weights: &Path, more: &[&str]) -> Output {
    let mut args = vec!["--pairs", dir.to_str().unwrap(), "--out", out.to_str().unwrap(), "--weights", weights.to_str().unwrap()];
    args.extend(more);
    annotate(&args)
}

#[test]
fn pairs_are_registered_annotated_or_refused_with_the_reason() {
    let Some((real, weights, cat)) = portrait() else { return };
    let t = Temp::new("pairs");
    let (w, h) = (real.width, real.height);
    let both = |name: &str, edited: &facext::image::Rgb8| {
        put(&t.path("pairs/real"), name, &real);
        put(&t.path("pairs/edited"), name, edited);
    };
    both("cheek.png", &red_cheek(&real));
    both("size.png", &facext::image::Rgb8::new(w, h - 10, real.data[..3 * w * (h - 10)].to_vec()).unwrap());
    let mut other = real.clone();
    other.data.iter_mut().for_each(|v| *v = 255 - *v);
    both("other.png", &other);
    both("same.png", &real);
    // The same room, but another face: here the same one in another place, which the background's registration shows.
    both("face.png", &moved(&real, [150, 30, 150, 190], [30, 0]));
    put(&t.path("pairs/real"), "alone.png", &real);
    both("broken.png", &real);
    std::fs::write(t.path("pairs/edited/broken.png"), &std::fs::read(t.path("pairs/real/broken.png")).unwrap()[..900]).unwrap();
    both("text.png", &real);
    std::fs::write(t.path("pairs/edited/text.png"), "not a picture").unwrap();
    if cat.is_file() {
        let cat = facext::image::decode(&std::fs::read(&cat).unwrap()).unwrap().rgb;
        put(&t.path("pairs/real"), "cat.png", &cat);
        put(&t.path("pairs/edited"), "cat.png", &red_cheek(&cat));
    }
    let (dir, out) = (t.path("pairs"), t.path("out"));
    let done = compare(&dir, &out, &weights, &[]);
    let err = String::from_utf8_lossy(&done.stderr);
    assert_eq!(code(&done), 5, "{err}");
    let refused = |name: &str, why: &str| {
        assert!(err.lines().any(|l| l.starts_with(&format!("refused {name}: ")) && l.contains(why)), "{name}, {why}: {err}");
    };
    refused("size.png", "sizes differ: 512 × 512 against 512 × 502");
    refused("other.png", "correlation -");
    refused("same.png", "nothing differs by more than 6 levels");
    refused("face.png", "the faces differ in shape by ");
    refused("alone.png", "No such file");
    refused("broken.png", "the picture ends too early");
    refused("text.png", "it is text");
    if cat.is_file() {
        refused("cat.png", "no usable face (none)");
    }
    // What was made is checked by the program and here, listed in the card, and made again byte for byte.
    let checked = annotate(&["--verify", out.to_str().unwrap()]);
    assert_eq!(code(&checked), 0, "{checked:?}");
    let mut seen = Vec::new();
    shard::read(&out.join("shard-000000.tar"), |(record, png)| {
        seen.push((record.index, record.forged));
        let mut v = verify::Verdict::default();
        verify::check(&record, &png, None, &mut v).unwrap();
        assert_eq!(v.refuted, 0, "{:?}", v.examples);
        if record.forged {
            assert!(!record.concepts.is_empty() && record.artifact.area().unwrap() > 200);
        }
        Ok(true)
    })
    .unwrap();
    assert!(seen.len() == 2 && seen[0].0 % 2 == 0 && seen[1] == (seen[0].0 + 1, true) && !seen[0].1, "{seen:?}");
    let card = std::fs::read_to_string(out.join("DATA_CARD.md")).unwrap();
    assert!(card.contains("1 of them edited by other tools") && card.contains("| size.png | bad request: sizes differ"), "{card}");
    let terms: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    assert_eq!((terms["seed"].as_u64(), terms["family"].as_str()), (Some(1), Some("attribute_edit")));
    let before = bytes(&out);
    let kept = compare(&dir, &out, &weights, &[]);
    assert_eq!(code(&kept), 5);
    assert!(String::from_utf8_lossy(&kept.stdout).contains("0 pairs annotated, 1 kept from before"), "{kept:?}");
    assert!(bytes(&out) == before);
    assert_eq!(code(&compare(&dir, &out, &weights, &["--family", "face_swap"])), 2);
}

#[test]
fn folders_without_a_face_are_refused_and_nothing_is_left_behind() {
    let Some((_, weights, cat)) = portrait() else { return };
    let Ok(cat) = std::fs::read(cat) else {
        eprintln!("skipped: no samples/chelsea.png in the cache");
        return;
    };
    let t = Temp::new("cats");
    let cat = facext::image::decode(&cat).unwrap().rgb;
    put(&t.path("pairs/real"), "cat.png", &cat);
    put(&t.path("pairs/edited"), "cat.png", &red_cheek(&cat));
    let done = compare(&t.path("pairs"), &t.path("out"), &weights, &[]);
    assert_eq!(code(&done), 2);
    assert!(String::from_utf8_lossy(&done.stderr).contains("no pair could be used (1 refused)"), "{done:?}");
    assert!(bytes(&t.path("out")).is_empty(), "{:?}", bytes(&t.path("out")).keys());
    let faces = t.path("pairs/real");
    let made = make(&faces, &t.path("set"), &["--weights", weights.to_str().unwrap()]);
    assert_eq!(code(&made), 2);
    assert!(String::from_utf8_lossy(&made.stderr).contains("no usable face (1 files skipped)"), "{made:?}");
    assert!(!t.path("set").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn pairs_go_on_after_a_full_disk() {
    let Some((real, weights, _)) = portrait() else { return };
    let t = Temp::new("pairs-space");
    for n in 0..6 {
        put(&t.path("pairs/real"), &format!("{n}.png"), &real);
        put(&t.path("pairs/edited"), &format!("{n}.png"), &red_cheek(&real));
    }
    let whole = t.path("whole");
    assert_eq!(code(&compare(&t.path("pairs"), &whole, &weights, &["--shard", "2"])), 0);
    let line = format!(
        "{} annotate --pairs {} --weights {} --out $DISK/set --shard 2",
        env!("CARGO_BIN_EXE_facext"),
        t.path("pairs").display(),
        weights.display()
    );
    let script = format!(
        "{line}; echo first $?; mount -o remount,size=64m $DISK; {line}; echo second $?; cp -r $DISK/set {}",
        t.path("kept").display()
    );
    let Some(done) = on_a_tiny_disk(&t, &script) else { return };
    let (said, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(err.contains("No space left on device") && !err.contains("panicked"), "{err}");
    assert!(said.contains("first 1") && said.contains("second 0") && !said.contains(" 0 kept"), "{said}");
    let mut kept = bytes(&t.path("kept"));
    kept.retain(|k, _| !k.ends_with(".part"));
    assert!(kept == bytes(&whole));
}

/// A network of the set-up.
fn net(file: &str) -> Option<String> {
    let cache = std::env::var_os("FACEXT_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/facext"));
    let path = cache.join("upstream").join(file);
    if !path.is_file() {
        eprintln!("skipped: no upstream/{file} in the cache; ./build.sh nets fetches it");
        return None;
    }
    Some(path.to_str().unwrap().into())
}

#[test]
fn a_borrowed_inpainter_paints_parts_that_are_exact_and_confirmed() {
    let Some(model) = net("migan.onnx") else { return };
    let t = Temp::new("gan");
    pack(&t.path("pack"), 3);
    let set = ["--set", "unseen"];
    let plain = t.path("plain");
    assert_eq!(code(&make(&t.path("pack"), &plain, &set)), 0);
    let terms = |dir: &Path| -> serde_json::Value { serde_json::from_slice(&std::fs::read(dir.join("run.json")).unwrap()).unwrap() };
    assert_eq!(terms(&plain)["left_out"], serde_json::json!(["gan_inpaint", "hair_recolour", "esrgan_resample"]));
    let out = t.path("set");
    assert_eq!(code(&make(&t.path("pack"), &out, &[&set[..], &["--inpaint", &model]].concat())), 0);
    assert_eq!(terms(&out)["left_out"], serde_json::json!(["hair_recolour", "esrgan_resample"]));
    assert!(terms(&out)["networks"][0].as_str().unwrap().contains("MI-GAN"));
    let mut painted = 0;
    for path in shard::all(&out).unwrap() {
        shard::read(&path, |(record, _)| {
            if record.recipe.as_deref() == Some("gan_inpaint") {
                painted += 1;
                assert!(record.family == "attribute_edit" && record.artifact.area().unwrap() > 40 && !record.concepts.is_empty());
            }
            Ok(true)
        })
        .unwrap();
    }
    assert!(painted > 0);
    assert_eq!(code(&annotate(&["--verify", out.to_str().unwrap()])), 0);
    // A file that is not the network is refused, and nothing begun.
    let other = make(&t.path("pack"), &t.path("x"), &["--inpaint", t.path("pack/faces.csv").to_str().unwrap()]);
    assert_eq!(code(&other), 2);
    assert!(String::from_utf8_lossy(&other.stderr).contains("not MI-GAN") && !t.path("x").exists());
}
