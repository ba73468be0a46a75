//! Pictures as strangers send them: decoded like the reference, refused by name, and never a panic.
//!
//! Fixtures and their `.rgb` (decoded by Pillow, upright, alpha over white) come from tests/reference/image_fixtures.py.

use facext::image::{ImageKind, Picture, decode};
use std::path::PathBuf;

fn fixture(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/image", name].iter().collect();
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn code(bytes: &[u8]) -> &'static str {
    decode(bytes).map_or_else(|e| e.code(), |_| "ok")
}

/// Decodes a fixture and compares it with Pillow: largest and mean difference of a sample, in 1/255.
fn like_pillow(name: &str, largest: u8, mean: f64) -> Picture {
    let picture = decode(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {} {e}", e.code()));
    assert_eq!((picture.rgb.width, picture.rgb.height), (45, 37), "{name}");
    let want = fixture(&format!("{name}.rgb"));
    let differences: Vec<u8> = picture.rgb.data.iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).collect();
    let (max, sum) = (differences.iter().max().copied().unwrap_or(0), differences.iter().map(|&d| f64::from(d)).sum::<f64>());
    let average = sum / want.len() as f64;
    assert!(max <= largest && average <= mean, "{name}: largest difference {max}, mean {average:.3}");
    picture
}

#[test]
fn lossless_pictures_are_exact() {
    for name in ["rgb.png", "palette.png", "bits1.png", "rgb16.png", "animated.png", "lossless.webp", "animated.webp"] {
        like_pillow(name, 0, 0.0);
    }
    // Compositing rounds differently by one.
    for name in ["rgba.png", "palette_trns.png", "gray_alpha.png", "alpha_lossless.webp"] {
        let picture = like_pillow(name, 1, 0.1);
        assert_eq!(picture.warnings, ["image.alpha_flattened"], "{name}");
    }
}

/// Decoders may differ in the inverse transform (by one a plane) and in how they enlarge the colour planes; measured: at
/// most 2 without enlarging and 3 with it.
#[test]
fn lossy_pictures_are_like_pillow() {
    for name in ["sequential.jpg", "gray.jpg", "rgb_ids.jpg", "facts.jpg"] {
        like_pillow(name, 2, 0.05);
    }
    for name in ["subsampled.jpg", "progressive.jpg", "restart.jpg"] {
        like_pillow(name, 4, 0.5);
    }
    for name in ["lossy.webp", "alpha.webp"] {
        like_pillow(name, 1, 0.1);
    }
}

/// Pillow's conversion and the decoder's are the same product of ink and black, rounded differently.
#[test]
fn cmyk_is_not_inverted_and_is_told() {
    let picture = like_pillow("cmyk.jpg", 2, 0.05);
    assert_eq!(picture.warnings, ["image.cmyk_converted"]);
    // Without its Adobe marker the same file means the negative: 0 is no ink.
    let mut bytes = fixture("cmyk.jpg");
    let adobe = bytes.windows(5).position(|w| w == b"Adobe").unwrap();
    bytes[adobe] = b'X';
    let (a, b) = (picture.rgb, decode(&bytes).unwrap().rgb);
    // Here black is unused (all 255 as stored, inverted), so the negative is all black.
    assert!(a.data.iter().any(|&v| v > 200) && b.data.iter().all(|&v| v < 8));
}

/// Plain RGB marked by Adobe's transform 0, with component ids that do not spell "RGB" (Photoshop writes such files).
#[test]
fn rgb_jpeg_by_adobe_marker() {
    let mut bytes = fixture("rgb_ids.jpg");
    let want = decode(&bytes).unwrap().rgb;
    let position = |bytes: &[u8], code: u8| bytes.windows(2).position(|w| w == [0xff, code]).unwrap();
    let (frame, scan) = (position(&bytes, 0xc0) + 10, position(&bytes, 0xda) + 5);
    for i in 0..3 {
        assert_eq!(bytes[frame + 3 * i], b"RGB"[i]);
        bytes[frame + 3 * i] = i as u8 + 1;
        bytes[scan + 2 * i] = i as u8 + 1;
    }
    let adobe = *b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0";
    let has = bytes.windows(5).any(|w| w == b"Adobe");
    if !has {
        bytes.splice(2..2, adobe);
    }
    assert_eq!(decode(&bytes).unwrap().rgb, want);
}

#[test]
fn every_orientation_is_applied_once() {
    let upright = like_pillow("sequential.jpg", 2, 0.05).rgb;
    for n in 1..=8 {
        let name = format!("orient{n}.jpg");
        let picture = like_pillow(&name, 2, 0.05);
        assert_eq!(picture.orientation, n, "{name}");
        // The stored blocks are others, so the loss is another: compare with the scene loosely, too.
        let far = picture.rgb.data.iter().zip(&upright.data).filter(|(a, b)| a.abs_diff(**b) > 40).count();
        assert!(far * 50 < upright.data.len(), "{name}: {far} samples far off");
    }
    assert_eq!(like_pillow("orient6.png", 0, 0.0).orientation, 6);
    assert_eq!(like_pillow("orient6.webp", 0, 0.0).orientation, 6);
}

#[test]
fn facts_are_told_and_the_position_is_not() {
    let picture = decode(&fixture("facts.jpg")).unwrap();
    let fact = |key: &str| picture.facts.iter().find(|f| f.key == key).map(|f| f.value.as_str());
    assert_eq!(fact("format"), Some("JPEG, sequential, YCbCr"));
    assert_eq!(fact("stored_size"), Some("45×37"));
    assert_eq!((fact("camera.make"), fact("camera.model")), (Some("Maker"), Some("Model 7")));
    assert_eq!((fact("software"), fact("changed")), (Some("Editor 1.0"), Some("2024:05:01 12:00:00")));
    assert_eq!((fact("taken"), fact("gps")), (Some("2024:04:30 11:00:00"), Some("present")));
    assert!(!picture.facts.iter().any(|f| f.value.contains("48")));
    assert_eq!((picture.kind, picture.bytes), (ImageKind::Jpeg, fixture("facts.jpg").len()));
    assert_eq!(picture.sha256.len(), 64);

    let animated = decode(&fixture("animated.webp")).unwrap();
    assert_eq!(animated.warnings, ["image.first_frame_only"]);
    assert!(animated.facts.iter().any(|f| f.key == "frames" && f.value == "2"));
    assert_eq!(decode(&fixture("animated.png")).unwrap().warnings, ["image.first_frame_only"]);
    assert_eq!(decode(&fixture("rgb16.png")).unwrap().warnings, ["image.sixteen_bit_reduced"]);

    // Content credentials: the container is named, nothing is checked.
    let mut jpeg = fixture("sequential.jpg");
    jpeg.splice(2..2, *b"\xff\xeb\0\x12JP\0\x01\0\0\0\x01jumbc2pa");
    let credentials = decode(&jpeg).unwrap();
    assert!(credentials.facts.iter().any(|f| f.key == "c2pa"));
    assert!(!picture.facts.iter().any(|f| f.key == "c2pa"));
}

#[test]
fn what_is_no_photo_is_named() {
    assert_eq!(code(b""), "image.empty");
    assert_eq!(code("This is a letter, saved as photo.jpg by mistake.\n".repeat(9).as_bytes()), "image.not_an_image");
    assert_eq!(code(&[0; 4000]), "image.not_an_image");
    let heic = decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap_err();
    assert_eq!(heic.code(), "image.unsupported");
    assert!(heic.to_string().contains("HEIC"), "{heic}");
    assert_eq!(code(&vec![0xff; facext::image::limits::MAX_BYTES + 1]), "image.too_many_bytes");
}

/// A PNG of one colour; `rows` rows of data, whatever the header says.
fn png(width: u32, height: u32, rows: usize) -> Vec<u8> {
    let picture = facext::image::Rgb8::filled(1, rows.max(1), [9, 90, 200]);
    let mut bytes = facext::image::png::encode_rgb(&picture).unwrap();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// CRC of PNG chunks (ISO 3309), bit by bit: the test must not use the code under test.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |c, &b| (0..8).fold(c ^ u32::from(b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 }))
}

#[test]
fn one_pixel_is_a_picture_and_bombs_are_not() {
    let one = decode(&png(1, 1, 1)).unwrap();
    assert_eq!((one.rgb.width, one.rgb.height, one.rgb.data.as_slice()), (1, 1, &[9, 90, 200][..]));

    let start = std::time::Instant::now();
    for (w, h) in [(30_000, 30_000), (40_000, 1), (1, 40_000), (u32::MAX, u32::MAX), (10_001, 10_000)] {
        let bomb = png(w, h, 1);
        assert_eq!(code(&bomb), "image.too_large", "{w}×{h}");
        assert_eq!(code(&bomb[..40]), "image.too_large", "cut, {w}×{h}");
    }
    assert_eq!(code(&png(0, 5, 1)), "image.corrupt");
    // The same lie in the other formats: JPEG frame header, lossy and extended WebP.
    let mut jpeg = fixture("sequential.jpg");
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x75, 0x30, 0x75, 0x30]);
    assert_eq!(code(&jpeg), "image.too_large");
    let mut webp = fixture("lossy.webp");
    webp[26..30].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    assert_eq!(code(&webp), "image.too_large");
    let mut extended = fixture("animated.webp");
    extended[24..30].fill(0xff);
    assert_eq!(code(&extended), "image.too_large");
    assert!(start.elapsed().as_millis() < 1000, "a bomb was looked into: {:?}", start.elapsed());
    // A size within the limits that the data does not fill is damage, not a black picture.
    assert_eq!(code(&png(1, 500, 3)), "image.corrupt");
}

const TRUNCATED: [&str; 12] = [
    "rgb.png",
    "animated.png",
    "rgb16.png",
    "sequential.jpg",
    "subsampled.jpg",
    "progressive.jpg",
    "restart.jpg",
    "cmyk.jpg",
    "lossy.webp",
    "lossless.webp",
    "alpha.webp",
    "animated.webp",
];

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    for name in TRUNCATED {
        let bytes = fixture(name);
        let whole = decode(&bytes).unwrap().rgb;
        for n in (1..bytes.len()).step_by(37).chain(bytes.len() - 3..bytes.len()) {
            match decode(&bytes[..n]) {
                Ok(p) => assert!(p.rgb == whole && n + 1 == bytes.len(), "{name} cut at {n} passes"),
                Err(e) if n > 12 => assert_eq!(e.code(), "image.truncated", "{name} cut at {n}: {e}"),
                Err(_) => {}
            }
        }
    }
}

/// A cut JPEG to which someone has put an end marker: decoders fill the rest with grey and call it a picture.
#[test]
fn a_cut_jpeg_with_an_end_marker_is_not_half_grey() {
    for name in ["sequential.jpg", "subsampled.jpg", "restart.jpg", "gray.jpg", "cmyk.jpg"] {
        let bytes = fixture(name);
        let data = bytes.windows(2).position(|w| w == [0xff, 0xda]).unwrap() + 14;
        for n in (data..bytes.len() - 6).step_by(11) {
            let mut cut = bytes[..n].to_vec();
            cut.extend([0xff, 0xd9]);
            assert!(matches!(code(&cut), "image.truncated" | "image.corrupt"), "{name} cut at {n}: {}", code(&cut));
        }
    }
    // Progressive: without its last scans it is softer, which is told; without the first it is no picture.
    let bytes = fixture("progressive.jpg");
    let scans: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i..].starts_with(&[0xff, 0xda])).collect();
    let mut cut = bytes[..*scans.last().unwrap()].to_vec();
    cut.extend([0xff, 0xd9]);
    assert_eq!(decode(&cut).unwrap().warnings, ["image.incomplete_scans"]);
    let mut cut = bytes[..scans[0] + 30].to_vec();
    cut.extend([0xff, 0xd9]);
    assert!(matches!(code(&cut), "image.truncated" | "image.corrupt"), "{}", code(&cut));
}

#[test]
fn bytes_after_the_end_are_told() {
    for (name, tail) in [("sequential.jpg", &b"hidden"[..]), ("rgb.png", b"hidden"), ("lossless.webp", b"hidden")] {
        let mut bytes = fixture(name);
        let whole = decode(&bytes).unwrap();
        assert!(whole.warnings.is_empty(), "{name}");
        bytes.extend(tail);
        let more = decode(&bytes).unwrap();
        assert_eq!((more.rgb == whole.rgb, more.warnings.as_slice()), (true, &["image.trailing_bytes"][..]), "{name}");
        assert_ne!(more.sha256, whole.sha256);
    }
}

/// Random damage with a fixed seed: any result will do, but no panic, no picture over the limits, and the stage's codes.
#[test]
fn mutants_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n.max(1)
    };
    let rounds = std::env::var("FACEXT_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(250);
    let (mut ok, mut failed) = (0, 0);
    for name in
        TRUNCATED.iter().chain(&["facts.jpg", "rgb_ids.jpg", "palette_trns.png", "gray_alpha.png", "alpha_lossless.webp", "orient6.webp"])
    {
        let original = fixture(name);
        for _ in 0..rounds {
            let mut bytes = original.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                match random(6) {
                    0 => bytes[at] ^= 1 << random(8),
                    1 => bytes[at] = random(256) as u8,
                    2 => bytes[at] = [0, 255, 127, 128][random(4)],
                    3 => drop(bytes.splice(at..at, (0..random(9)).map(|i| (i as u8).wrapping_mul(37)))),
                    4 => drop(bytes.drain(at..(at + random(20)).min(bytes.len()))),
                    // Damage near the beginning hits headers.
                    _ => bytes[at % 64] = random(256) as u8,
                }
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            // Half of the PNG mutants get right checksums, else none would reach the decoder.
            if bytes.starts_with(b"\x89PNG") && random(2) == 0 {
                mend(&mut bytes);
            }
            match decode(&bytes) {
                Ok(p) => {
                    ok += 1;
                    assert_eq!(p.rgb.data.len(), p.rgb.width * p.rgb.height * 3);
                    assert!(p.rgb.width * p.rgb.height <= 100_000_000);
                }
                Err(e) => {
                    failed += 1;
                    assert!(e.code().starts_with("image."), "{}", e.code());
                }
            }
        }
    }
    println!("{ok} mutants decoded, {failed} refused");
    assert!(ok > 100 && failed > 100, "the mutants test nothing: {ok} decoded, {failed} refused");
}

/// Writes the right checksum into every whole chunk of a PNG.
fn mend(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 4) {
        let end = at + 8 + u32::from_be_bytes(head.try_into().unwrap()) as usize;
        if bytes.len() < end + 4 {
            break;
        }
        let crc = crc32(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
        at = end + 4;
    }
}
