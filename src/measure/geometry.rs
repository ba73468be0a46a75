//! Shape and place of a part, from the mesh alone.
//!
//! `asymmetry`: points of the part, mirrored about the line forehead–chin, against their counterparts on the other side: mean
//! distance along both axes, in per cent of the face's width. A turned head is asymmetric, too, so what all paired points of the
//! face show is taken off.
//! `proportion`: log₂ of the part's size (root of its area) over the face's (root of the area of all labels).

use crate::fict::{self, BACKGROUND, mesh::MIRROR};

/// Excess asymmetry of the concept, per cent of the face's width; `None` for concepts without an outline of their own side.
pub fn asymmetry(id: &str, mesh: &[[f32; 3]]) -> Option<f32> {
    super::region::mirror_id(id)?;
    let points = points_of(id);
    if points.len() < 4 || mesh.len() < MIRROR.len() {
        return None;
    }
    let width = (mesh[454][0] - mesh[234][0]).hypot(mesh[454][1] - mesh[234][1]);
    if width < 20.0 {
        return None;
    }
    // Frame of the head: origin between the temples' midpoints, y along forehead–chin.
    let (top, low) = (mesh[10], mesh[152]);
    let n = (low[0] - top[0]).hypot(low[1] - top[1]).max(1.0);
    let down = [(low[0] - top[0]) / n, (low[1] - top[1]) / n];
    let frame = |p: [f32; 3]| {
        let d = [p[0] - top[0], p[1] - top[1]];
        [d[0] * down[1] - d[1] * down[0], d[0] * down[0] + d[1] * down[1]]
    };
    let gap = |i: u16| {
        let (a, b) = (frame(mesh[i as usize]), frame(mesh[MIRROR[i as usize] as usize]));
        [a[0] + b[0], a[1] - b[1]]
    };
    // The turn of the head moves all gaps about alike: their mean over the face is not the part's.
    let all: Vec<[f32; 2]> = (0..468u16).filter(|&i| MIRROR[i as usize] != i).map(gap).collect();
    let mid = [0, 1].map(|k| all.iter().map(|g| g[k].abs()).sum::<f32>() / all.len() as f32);
    let own = [0, 1].map(|k| points.iter().map(|&i| gap(i)[k].abs()).sum::<f32>() / points.len() as f32);
    Some(100.0 * ((own[0] - mid[0]).max(0.0) + (own[1] - mid[1]).max(0.0)) / width)
}

/// Size of the whole concept relative to the face, octaves.
pub fn proportion(id: &str, labels: &[u8]) -> Option<f32> {
    let set = fict::part_set(id)?;
    let face = labels.iter().filter(|&&l| l != BACKGROUND).count();
    let own = labels.iter().filter(|&&l| l < 128 && set >> l & 1 == 1).count();
    (own >= super::region::LEAST && own < face).then(|| 0.5 * (own as f32 / face as f32).log2())
}

/// Mesh points on the outlines of a concept's parts.
fn points_of(id: &str) -> Vec<u16> {
    fict::parts().filter(|p| fict::is_within(p.id, id)).flat_map(|p| fict::outline(p).1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fict::tests::mean_mesh;

    #[test]
    fn a_raised_brow_is_asymmetric_and_a_larger_eye_is_larger() {
        let mut mesh = mean_mesh(448.0);
        let before = asymmetry("left_eyebrow", &mesh).unwrap();
        for p in points_of("left_eyebrow") {
            mesh[p as usize][1] -= 14.0;
        }
        assert!(asymmetry("left_eyebrow", &mesh).unwrap() > before + 3.0);
        assert!(asymmetry("nose", &mesh).is_none());
        let mut mesh = mean_mesh(448.0);
        let small = proportion("left_eye", &fict::part_labels(&mesh, 448, 448)).unwrap();
        let points = points_of("left_eye");
        let c = [0, 1].map(|k| points.iter().map(|&p| mesh[p as usize][k]).sum::<f32>() / points.len() as f32);
        for p in points {
            for k in 0..2 {
                mesh[p as usize][k] = c[k] + 1.25 * (mesh[p as usize][k] - c[k]);
            }
        }
        let large = proportion("left_eye", &fict::part_labels(&mesh, 448, 448)).unwrap();
        assert!((large - small - 1.25f32.log2()).abs() < 0.08, "{}", large - small);
    }
}
