//! The rasteriser of the concept tree on many heads: leaves cover the frame, never overlap, and divide the parts without moving
//! a pixel of them. Heads are the average mesh (`tests/fixtures/mean_mesh.txt`) turned, scaled, shifted, mirrored and cut.

use facext::fict::leaves::LEAVES;
use facext::fict::mesh::{MIRROR, POINTS};
use facext::fict::{BACKGROUND, Depth, Seen, Set, brow, leaf_labels, part_labels};
use facext::image::Mask;
use sha2::{Digest, Sha256};

const SIDE: usize = 224;

type Mesh = Vec<[f32; 3]>;

/// The average face, centred, face height 1.
fn mean() -> Mesh {
    let read = |l: &str| {
        let v: Vec<f32> = l.split_whitespace().map(|v| v.parse().unwrap()).collect();
        [v[0] - 0.427, v[1] - 0.5, v[2] - 0.3]
    };
    include_str!("fixtures/mean_mesh.txt").lines().map(read).collect()
}

/// Turned by degrees (yaw, pitch, then roll), projected with a camera five face heights away, in a `SIDE` px frame whose
/// crop factor is 1.6 / `scale`, moved by parts of the frame.
fn posed([yaw, pitch, roll]: [f64; 3], scale: f32, shift: [f32; 2]) -> Mesh {
    let turn = |[a, b]: [f32; 2], degrees: f64| {
        let (s, c) = degrees.to_radians().sin_cos();
        let (s, c) = (s as f32, c as f32);
        [c * a - s * b, s * a + c * b]
    };
    let side = SIDE as f32;
    let place = |[x, y, z]: [f32; 3]| {
        let [x, z] = turn([x, z], yaw);
        let [y, z] = turn([y, z], pitch);
        let [x, y] = turn([x, y], roll);
        let k = scale * side / 1.6 * 5.0 / (5.0 + z);
        [x * k + side * (0.5 + shift[0]), y * k + side * (0.5 + shift[1]), z * k]
    };
    mean().into_iter().map(place).collect()
}

/// The same head in a photo that was mirrored: the mesh follows the picture, so the subject's right is again on the left.
fn mirrored(mesh: &Mesh) -> Mesh {
    (0..POINTS).map(|i| mesh[usize::from(MIRROR[i])]).map(|[x, y, z]| [SIDE as f32 - x, y, z]).collect()
}

/// Over a hundred heads, each with what it is.
fn heads() -> Vec<(String, Mesh)> {
    let mut all = Vec::new();
    for yaw in [-75.0, -50.0, -25.0, 0.0, 25.0, 50.0, 75.0] {
        for pitch in [-30.0, 0.0, 30.0] {
            for roll in [-35.0, 0.0, 100.0] {
                all.push((format!("yaw {yaw} pitch {pitch} roll {roll}"), posed([yaw, pitch, roll], 1.0, [0.0; 2])));
            }
        }
    }
    for scale in [0.05, 0.3, 2.5, 12.0] {
        for shift in [[0.0, 0.0], [0.45, -0.3], [-0.9, 0.2], [3.0, 3.0]] {
            all.push((format!("scale {scale} shift {shift:?}"), posed([15.0, -10.0, 5.0], scale, shift)));
        }
    }
    let twins: Vec<_> = all.iter().step_by(3).map(|(name, mesh)| (format!("{name} mirrored"), mirrored(mesh))).collect();
    all.extend(twins);
    all
}

/// What the person may be: unknown, all, nothing, a disc.
fn mattes() -> [Option<Mask>; 4] {
    let disc = |i: usize| u8::from((i % SIDE).abs_diff(SIDE / 2).pow(2) + (i / SIDE).abs_diff(SIDE / 2).pow(2) < (SIDE / 3).pow(2));
    let made = |f: &dyn Fn(usize) -> u8| Mask::from_data(SIDE, SIDE, (0..SIDE * SIDE).map(f).collect()).unwrap();
    [None, Some(made(&|_| 1)), Some(made(&|_| 0)), Some(made(&disc))]
}

/// For every leaf the label of the part it belongs to, [`BACKGROUND`] for none.
fn part_of_leaf() -> Vec<u8> {
    let owner = |l: usize| Depth::Parts.ends().position(|p| Depth::Leaves.set(p.id).unwrap() >> l & 1 == 1);
    (0..LEAVES).map(|l| owner(l).map_or(BACKGROUND, |p| p as u8)).collect()
}

/// Whether a part is a brow: the leaves have an outline of their own for it.
fn is_brow(part: u8) -> bool {
    Depth::Parts.end(part).is_some_and(|p| p.id.ends_with("_eyebrow"))
}

#[test]
fn leaves_cover_every_frame_and_divide_the_parts_pixel_for_pixel_but_for_the_brows() {
    let owner = part_of_leaf();
    assert_eq!(owner.iter().filter(|&&p| p == BACKGROUND).count(), 24);
    let mut seen: Set = 0;
    for (name, mesh) in heads() {
        let parts = part_labels(&mesh, SIDE, SIDE);
        for (k, matte) in mattes().iter().enumerate() {
            let brows = [None, Some(brow::ORDINARY), Some([-0.055, 0.005]), Some([0.005, -0.055])][k];
            let leaves = leaf_labels(&mesh, &Seen { person: matte.as_ref(), brows }, SIDE, SIDE);
            assert_eq!(leaves.len(), SIDE * SIDE);
            for (i, (&leaf, &part)) in leaves.iter().zip(&parts).enumerate() {
                assert!(usize::from(leaf) < LEAVES, "{name}, matte {k}: pixel {i} has no leaf");
                let own = owner[usize::from(leaf)];
                assert!(own == part || is_brow(own) || is_brow(part), "{name}, matte {k}: pixel {i} has moved");
                seen |= 1 << leaf;
            }
        }
    }
    assert_eq!(seen.count_ones() as usize, LEAVES, "a leaf that no head shows");
}

/// The parts are what trained weights know. These are hashes of the label maps of the tree before it had leaves.
#[test]
fn the_parts_are_where_they_were_before_there_were_leaves() {
    let mut hash = Sha256::new();
    for (_, mesh) in heads() {
        hash.update(part_labels(&mesh, SIDE, SIDE));
    }
    let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "84c8020e15aaf04b10ad0fc5e405091fccd3472f279aab4a9d327ad8040156b6");
    let order: Vec<&str> = Depth::Parts.ends().map(|p| p.id).collect();
    assert_eq!((order[0], order[9], order[26]), ("right_eyebrow", "nose_tip", "left_temple"));
}

#[test]
fn every_leaf_has_pixels_on_a_face_that_looks_ahead() {
    let mesh: Mesh = posed([0.0; 3], 1.0, [0.0; 2]).iter().map(|p| p.map(|v| 2.0 * v)).collect();
    let side = 2 * SIDE;
    let map = leaf_labels(&mesh, &Seen::default(), side, side);
    for (l, leaf) in Depth::Leaves.ends().enumerate() {
        let n = map.iter().filter(|&&m| usize::from(m) == l).count();
        assert!(n >= 20, "{} has {n} pixels", leaf.id);
    }
}

#[test]
fn a_mirrored_photo_has_the_mirrored_leaves() {
    let twin: Vec<u8> = Depth::Leaves
        .ends()
        .map(|l| {
            let other = if l.id.contains("left") { l.id.replace("left", "right") } else { l.id.replace("right", "left") };
            Depth::Leaves.ends().position(|o| o.id == other).unwrap() as u8
        })
        .collect();
    for angles in [[0.0, 0.0, 0.0], [30.0, 10.0, -20.0], [-45.0, 0.0, 10.0]] {
        let mesh = posed(angles, 1.0, [0.02, 0.01]);
        let (a, b) = (leaf_labels(&mesh, &Seen::default(), SIDE, SIDE), leaf_labels(&mirrored(&mesh), &Seen::default(), SIDE, SIDE));
        let same = (0..a.len()).filter(|i| twin[usize::from(a[*i])] == b[i / SIDE * SIDE + SIDE - 1 - i % SIDE]).count();
        // Pixel centres on an edge go to one side of it in either picture.
        assert!(same as f32 > 0.985 * a.len() as f32, "{angles:?}: {same} of {}", a.len());
    }
}

#[test]
fn left_is_the_subjects_left() {
    let map = leaf_labels(&posed([0.0; 3], 1.0, [0.0; 2]), &Seen::default(), SIDE, SIDE);
    let mean_x = |l: usize| {
        let xs: Vec<usize> = (0..map.len()).filter(|i| usize::from(map[*i]) == l).map(|i| i % SIDE).collect();
        xs.iter().sum::<usize>() as f32 / xs.len() as f32
    };
    for (l, leaf) in Depth::Leaves.ends().enumerate() {
        let middle = SIDE as f32 / 2.0;
        match (leaf.id.contains("left"), leaf.id.contains("right")) {
            (true, false) => assert!(mean_x(l) > middle, "{}", leaf.id),
            (false, true) => assert!(mean_x(l) < middle, "{}", leaf.id),
            _ => assert!((mean_x(l) - middle).abs() < SIDE as f32 * 0.03, "{}", leaf.id),
        }
    }
}

#[test]
fn a_matte_bounds_the_person() {
    let mesh = posed([10.0, 0.0, 0.0], 1.0, [0.0; 2]);
    let behind = Depth::Leaves.set("background").unwrap();
    let is_behind = |l: u8| behind >> l & 1 == 1;
    let parts = part_labels(&mesh, SIDE, SIDE);
    for matte in mattes().into_iter().flatten() {
        let map = leaf_labels(&mesh, &Seen { person: Some(&matte), brows: None }, SIDE, SIDE);
        for i in (0..map.len()).filter(|i| parts[*i] == BACKGROUND) {
            assert_eq!(is_behind(map[i]), matte.data[i] == 0);
        }
    }
    // One of another size is not believed.
    assert_eq!(
        leaf_labels(&mesh, &Seen { person: Some(&Mask::new(5, 5)), brows: None }, SIDE, SIDE),
        leaf_labels(&mesh, &Seen::default(), SIDE, SIDE)
    );
}

#[test]
fn bad_meshes_give_no_leaf_or_a_whole_cover_but_never_a_panic() {
    let good = posed([0.0; 3], 1.0, [0.0; 2]);
    let mut bad: Vec<Mesh> = vec![vec![], good[..100].to_vec(), vec![[7.0; 3]; POINTS], vec![[f32::NAN; 3]; POINTS], good[..468].to_vec()];
    let mut seed = 7u32;
    for _ in 0..60 {
        let mut mesh = good.clone();
        for _ in 0..5 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let what = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, 0.0, f32::MAX][seed as usize / 977 % 7];
            mesh[seed as usize / 65_537 % POINTS][seed as usize % 2] = what;
        }
        bad.push(mesh);
    }
    let mut covered = 0;
    for mesh in &bad {
        let map = leaf_labels(mesh, &Seen::default(), 40, 30);
        let empty = map.iter().all(|&l| l == BACKGROUND);
        assert!(empty || map.iter().all(|&l| usize::from(l) < LEAVES));
        covered += usize::from(!empty);
    }
    assert!(covered > 20 && covered < bad.len() - 4, "{covered}");
    assert!(leaf_labels(&good, &Seen::default(), 0, 0).is_empty() && leaf_labels(&good, &Seen::default(), 0, 9).is_empty());
}
