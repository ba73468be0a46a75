//! What the mesh says about itself: its box, the square for a second look, and whether it can be a face at all.

use super::candidates::Detection;
use super::mesh::POINTS;
use super::sample::Roi;
use crate::image::BBox;

/// Outer corner of the subject's right eye (left in the picture).
pub const RIGHT_EYE_OUTER: usize = 33;
/// Outer corner of the subject's left eye.
pub const LEFT_EYE_OUTER: usize = 263;
/// Centre of the right iris.
pub const RIGHT_IRIS: usize = 468;
/// Centre of the left iris.
pub const LEFT_IRIS: usize = 473;
/// Middle of the upper lip's lower edge.
pub const LIP: usize = 13;
/// Middle of the chin.
pub const CHIN: usize = 152;

/// Points from the network's output (`478 × (x, y, z)`, input pixels) to photo pixels. `None` unless there are 478 finite
/// points. z keeps the scale of x and y; smaller is nearer.
pub fn placed(raw: &[f32], roi: &Roi, input: usize) -> Option<Vec<[f32; 3]>> {
    let rows = raw.as_chunks::<3>().0;
    if rows.len() != POINTS || raw.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let side = input as f32;
    let place = |[x, y, z]: &[f32; 3]| {
        let [px, py] = roi.to_photo([x / side, y / side]);
        [px, py, z * roi.size / side]
    };
    Some(rows.iter().map(place).collect())
}

/// Tight upright box of the points.
pub fn bbox(mesh: &[[f32; 3]]) -> BBox {
    let mut low = [f32::INFINITY; 2];
    let mut high = [f32::NEG_INFINITY; 2];
    for p in mesh {
        for k in 0..2 {
            low[k] = low[k].min(p[k]);
            high[k] = high[k].max(p[k]);
        }
    }
    if mesh.is_empty() {
        return BBox { x: 0.0, y: 0.0, w: 0.0, h: 0.0 };
    }
    BBox { x: low[0], y: low[1], w: high[0] - low[0], h: high[1] - low[1] }
}

/// Left, top, right, bottom of a box.
pub fn corners(b: &BBox) -> [f32; 4] {
    [b.x, b.y, b.x + b.w, b.y + b.h]
}

/// Distance between two points of the mesh in the picture plane; 0 if there are no such points.
pub fn distance(mesh: &[[f32; 3]], a: usize, b: usize) -> f32 {
    match (mesh.get(a), mesh.get(b)) {
        (Some(a), Some(b)) => (a[0] - b[0]).hypot(a[1] - b[1]),
        _ => 0.0,
    }
}

/// The square for a second look: MediaPipe's rule for the next frame (box of the points, eye corners level, × 1.5).
pub fn next_roi(mesh: &[[f32; 3]]) -> Option<Roi> {
    let (right, left) = (mesh.get(RIGHT_EYE_OUTER)?, mesh.get(LEFT_EYE_OUTER)?);
    let b = bbox(mesh);
    Some(Roi {
        centre: [b.x + b.w / 2.0, b.y + b.h / 2.0],
        size: 1.5 * b.w.max(b.h),
        angle: (left[1] - right[1]).atan2(left[0] - right[0]),
    })
}

/// Whether the second square is different enough from the first that looking again pays. Looking twice at *every* face
/// was measured on 150 photos: it moved the points away from MediaPipe's (mean 0.73 % → 1.33 % of the distance between the
/// irises) without bringing them nearer to the other mesh model's, at twice the time.
pub fn differs(first: &Roi, second: &Roi) -> bool {
    let shift = (first.centre[0] - second.centre[0]).hypot(first.centre[1] - second.centre[1]);
    let scale = second.size / first.size.max(1e-3);
    let turn = (second.angle - first.angle).sin().atan2((second.angle - first.angle).cos());
    shift > 0.1 * first.size || !(0.8..=1.25).contains(&scale) || turn.abs() > 0.2
}

/// Why a mesh cannot be a face, or `None` if it can. The network draws a face into whatever it is shown; what betrays
/// it is disagreement with the detector, or proportions that no pose gives.
pub fn implausible(mesh: &[[f32; 3]], seen: &Detection) -> Option<&'static str> {
    let b = bbox(mesh);
    let long = b.w.max(b.h);
    let ratio = long / seen.width().max(seen.height()).max(1e-3);
    if !(0.6..=1.9).contains(&ratio) {
        return Some("the mesh and the detection differ in size");
    }
    let [x0, y0, x1, y1] = seen.corners;
    let shift = (b.x + b.w / 2.0 - (x0 + x1) / 2.0).hypot(b.y + b.h / 2.0 - (y0 + y1) / 2.0);
    if shift > 0.4 * long {
        return Some("the mesh and the detection lie apart");
    }
    let (Some(re), Some(le), Some(lip), Some(chin)) = (mesh.get(RIGHT_IRIS), mesh.get(LEFT_IRIS), mesh.get(LIP), mesh.get(CHIN)) else {
        return Some("points are missing");
    };
    for (iris, seen) in [(re, seen.points[0]), (le, seen.points[1])] {
        if (iris[0] - seen[0]).hypot(iris[1] - seen[1]) > 0.25 * long {
            return Some("the mesh and the detection disagree about the eyes");
        }
    }
    // Eyes, lips and chin follow each other along one axis.
    let eyes = [(re[0] + le[0]) / 2.0, (re[1] + le[1]) / 2.0];
    let down = [chin[0] - eyes[0], chin[1] - eyes[1]];
    let length = down[0].hypot(down[1]);
    let along = ((lip[0] - eyes[0]) * down[0] + (lip[1] - eyes[1]) * down[1]) / (length * length).max(1e-6);
    if !(0.3..=0.95).contains(&along) || length < 0.3 * long {
        return Some("eyes, lips and chin are not in a row");
    }
    if distance(mesh, RIGHT_IRIS, LEFT_IRIS) < 0.06 * long {
        return Some("the eyes fall together");
    }
    None
}

/// Share of the points that lie inside of the photo.
pub fn visible(mesh: &[[f32; 3]], width: usize, height: usize) -> f32 {
    let inside = |p: &&[f32; 3]| p[0] >= 0.0 && p[1] >= 0.0 && p[0] < width as f32 && p[1] < height as f32;
    mesh.iter().filter(inside).count() as f32 / mesh.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schematic frontal face of width 80 and height 100 around (100, 100), turned by `angle`.
    fn face(angle: f32) -> (Vec<[f32; 3]>, Detection) {
        let (sin, cos) = angle.sin_cos();
        let turn = |x: f32, y: f32| [100.0 + x * cos - y * sin, 100.0 + x * sin + y * cos];
        let put = |x: f32, y: f32| {
            let [a, b] = turn(x, y);
            [a, b, 0.0]
        };
        let mut mesh: Vec<_> = (0..POINTS).map(|i| (i as f32).sin_cos()).map(|(s, c)| put(40.0 * c, 50.0 * s)).collect();
        for (i, x, y) in [(RIGHT_IRIS, -18.0, -10.0), (LEFT_IRIS, 18.0, -10.0), (LIP, 0.0, 22.0), (CHIN, 0.0, 50.0)] {
            mesh[i] = put(x, y);
        }
        (mesh[RIGHT_EYE_OUTER], mesh[LEFT_EYE_OUTER]) = (put(-27.0, -10.0), put(27.0, -10.0));
        let points = [turn(-18.0, -10.0), turn(18.0, -10.0), turn(0.0, 5.0), turn(0.0, 22.0), turn(-38.0, 0.0), turn(38.0, 0.0)];
        (mesh, Detection { corners: [60.0, 60.0, 140.0, 140.0], points, score: 0.9 })
    }

    #[test]
    fn a_face_is_plausible_at_any_roll() {
        for degrees in [-170.0f32, -90.0, -40.0, 0.0, 30.0, 90.0, 180.0] {
            let (mesh, seen) = face(degrees.to_radians());
            assert_eq!(implausible(&mesh, &seen), None, "{degrees}");
            let roi = next_roi(&mesh).unwrap();
            let off = (roi.angle - degrees.to_radians()).sin().abs();
            assert!(off < 1e-3, "{degrees} {}", roi.angle);
        }
    }

    #[test]
    fn disagreement_is_not_a_face() {
        let (mesh, mut seen) = face(0.0);
        seen.points.swap(0, 1);
        assert!(implausible(&mesh, &seen).is_some());
        let (mesh, mut seen) = face(0.0);
        seen.corners = [0.0, 0.0, 20.0, 20.0];
        assert!(implausible(&mesh, &seen).is_some());
        let (mut mesh, seen) = face(0.0);
        mesh[LIP] = [100.0, 60.0, 0.0];
        assert!(implausible(&mesh, &seen).is_some());
        assert!(implausible(&mesh[..100], &seen).is_some());
    }

    #[test]
    fn points_are_placed_through_the_rotated_square() {
        let roi = Roi { centre: [50.0, 60.0], size: 512.0, angle: std::f32::consts::FRAC_PI_2 };
        let mut raw = vec![128.0; POINTS * 3];
        raw[0] = 138.0; // 10 input pixels to the right = 20 photo pixels down
        let mesh = placed(&raw, &roi, 256).unwrap();
        assert!((mesh[0][0] - 50.0).abs() < 1e-3 && (mesh[0][1] - 80.0).abs() < 1e-3 && mesh[0][2] == 256.0);
        assert!(placed(&raw[1..], &roi, 256).is_none());
        raw[5] = f32::NAN;
        assert!(placed(&raw, &roi, 256).is_none());
    }
}
