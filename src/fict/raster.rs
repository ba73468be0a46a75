//! Scanline polygon fill on pixel centres: deterministic, no anti-aliasing, the non-zero winding rule.
//!
//! Non-zero winding, not even-odd: on a turned head the outline of the far side folds over itself, and even-odd would
//! punch holes there. The frame is the mesh's: x right, y down, (0, 0) the top left corner of the top left pixel, so pixel
//! (i, j) is inside when its centre (i + 0.5, j + 0.5) is.

/// Calls `span(y, x0, x1)` for every run of pixels `x0..x1` of row `y` inside the closed polygon, clipped to `width` × `height`.
///
/// Points that are not finite make the polygon empty.
pub fn fill_polygon(points: &[[f32; 2]], width: usize, height: usize, mut span: impl FnMut(usize, usize, usize)) {
    if points.len() < 3 || points.iter().flatten().any(|v| !v.is_finite()) {
        return;
    }
    let top = points.iter().map(|p| p[1]).fold(f32::INFINITY, f32::min);
    let bottom = points.iter().map(|p| p[1]).fold(f32::NEG_INFINITY, f32::max);
    // First and last row whose centre can lie inside; `as usize` saturates, so far-away points are safe.
    let y0 = (top - 0.5).ceil().max(0.0) as usize;
    let y1 = ((bottom - 0.5).floor() + 1.0).max(0.0) as usize;
    let mut crossings: Vec<(f32, i32)> = Vec::new();
    for y in y0..y1.min(height) {
        let yc = y as f32 + 0.5;
        crossings.clear();
        for (i, a) in points.iter().enumerate() {
            let b = &points[(i + 1) % points.len()];
            // Half-open in y: a vertex on the scanline counts once.
            if (a[1] <= yc) != (b[1] <= yc) {
                let x = a[0] + (yc - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
                crossings.push((x, if a[1] < b[1] { 1 } else { -1 }));
            }
        }
        crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut winding = 0;
        for pair in crossings.windows(2) {
            winding += pair[0].1;
            if winding != 0 {
                let x0 = (pair[0].0 - 0.5).ceil().max(0.0) as usize;
                let x1 = (pair[1].0 - 0.5).ceil().max(0.0) as usize;
                if x0 < x1.min(width) {
                    span(y, x0, x1.min(width));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(points: &[[f32; 2]], w: usize, h: usize) -> usize {
        let mut n = 0;
        fill_polygon(points, w, h, |_, a, b| n += b - a);
        n
    }

    #[test]
    fn square_and_clipping() {
        assert_eq!(area(&[[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]], 10, 10), 6);
        assert_eq!(area(&[[-5.0, -5.0], [50.0, -5.0], [50.0, 50.0], [-5.0, 50.0]], 7, 9), 63);
        assert_eq!(area(&[[f32::NAN, 0.0], [5.0, 0.0], [5.0, 5.0]], 10, 10), 0);
    }

    #[test]
    fn two_triangles_that_share_an_edge_tile_their_square() {
        let a = area(&[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]], 9, 9);
        let b = area(&[[0.0, 0.0], [9.0, 9.0], [0.0, 9.0]], 9, 9);
        assert_eq!(a + b, 81);
    }

    #[test]
    fn a_polygon_wound_twice_has_no_hole() {
        let p = [[0.0, 0.0], [6.0, 0.0], [6.0, 6.0], [0.0, 6.0]];
        let twice: Vec<_> = p.iter().chain(p.iter()).copied().collect();
        assert_eq!(area(&twice, 6, 6), 36);
    }
}
