//! The measurements: formula, unit, source. R is the part, N the ring around it, M its mirror part (see [`super::region`]).
//!
//! | measure | formula | unit |
//! |---|---|---|
//! | `sharpness`, `sharpness_mirror` | log₂ of the ratio of mean \|Y − G₁.₂(Y)\| in R to that in N, M | octaves |
//! | `grain`, `grain_mirror` | the same of the median of Immerkær's noise operator (1996) | octaves |
//! | `seam` | log₂ of mean gradient on the border of the change to that 3–6 px beside it | octaves |
//! | `red`, `blue` | mean Cr, Cb in R minus that in N (BT.601) | levels |
//! | `colour_mirror` | length of the mean (Cb, Cr) in R minus that in M | levels |
//! | `grid` | strongest step at columns and rows off the picture's 8 × 8 grid, above the median step (after Luo et al. 2007) | % of the mean step |
//! | `asymmetry`, `proportion` | see [`super::geometry`] | % of the face's width, octaves |
//! | `repetition` | see [`super::repetition`] | correlation, −1..1 |

use super::planes::Planes;
use super::region::{LEAST, Region};

/// What can be measured of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Sharpness,
    SharpnessMirror,
    Grain,
    GrainMirror,
    Seam,
    Red,
    Blue,
    ColourMirror,
    Grid,
    Asymmetry,
    Proportion,
    Repetition,
}

impl Measure {
    pub const ALL: [Self; 12] = [
        Self::Sharpness,
        Self::SharpnessMirror,
        Self::Grain,
        Self::GrainMirror,
        Self::Seam,
        Self::Red,
        Self::Blue,
        Self::ColourMirror,
        Self::Grid,
        Self::Asymmetry,
        Self::Proportion,
        Self::Repetition,
    ];

    /// Unit of its values.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Sharpness | Self::SharpnessMirror | Self::Grain | Self::GrainMirror | Self::Seam | Self::Proportion => "octaves",
            Self::Red | Self::Blue | Self::ColourMirror => "levels",
            Self::Grid => "percent",
            Self::Asymmetry => "percent_of_face_width",
            Self::Repetition => "correlation",
        }
    }

    /// Least distance from the norm that anybody could see, in its unit: a tiny spread must not make a finding.
    pub fn floor(self) -> f32 {
        match self {
            Self::Sharpness | Self::SharpnessMirror | Self::Grain | Self::GrainMirror | Self::Seam => 0.4,
            Self::Proportion => 0.1,
            Self::Red | Self::Blue | Self::ColourMirror => 4.0,
            Self::Grid => 15.0,
            Self::Asymmetry => 1.5,
            Self::Repetition => 0.15,
        }
    }

    /// Whether only values above the norm mean something.
    pub fn one_sided(self) -> bool {
        matches!(self, Self::Seam | Self::ColourMirror | Self::Grid | Self::Asymmetry | Self::Repetition)
    }

    /// What an answer calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sharpness | Self::SharpnessMirror => "sharpness",
            Self::Grain | Self::GrainMirror => "grain",
            Self::Seam => "border",
            Self::Red | Self::Blue | Self::ColourMirror => "colour",
            Self::Grid => "compression",
            Self::Asymmetry => "place",
            Self::Proportion => "size",
            Self::Repetition => "texture",
        }
    }
}

/// The measurements that look at pixels of R, N and M; `None` where too few pixels are there to compare.
pub fn on_pixels(measure: Measure, p: &Planes, r: &Region) -> Option<f32> {
    let enough = |v: &[usize]| v.len() >= LEAST;
    match measure {
        Measure::Sharpness => {
            enough(&r.ring).then(|| octaves(mean(p, &r.part, |k| p.fine[k].abs()), mean(p, &r.ring, |k| p.fine[k].abs())))
        }
        Measure::SharpnessMirror => {
            enough(&r.mirror).then(|| octaves(mean(p, &r.part, |k| p.fine[k].abs()), mean(p, &r.mirror, |k| p.fine[k].abs())))
        }
        Measure::Grain => enough(&r.ring).then(|| octaves(median(p, &r.part), median(p, &r.ring))),
        Measure::GrainMirror => enough(&r.mirror).then(|| octaves(median(p, &r.part), median(p, &r.mirror))),
        Measure::Seam => seam(p, r),
        Measure::Red => enough(&r.ring).then(|| mean(p, &r.part, |k| p.chroma[k][1]) - mean(p, &r.ring, |k| p.chroma[k][1])),
        Measure::Blue => enough(&r.ring).then(|| mean(p, &r.part, |k| p.chroma[k][0]) - mean(p, &r.ring, |k| p.chroma[k][0])),
        Measure::ColourMirror => enough(&r.mirror).then(|| {
            let d = [0, 1].map(|c| mean(p, &r.part, |k| p.chroma[k][c]) - mean(p, &r.mirror, |k| p.chroma[k][c]));
            d[0].hypot(d[1])
        }),
        Measure::Grid => grid(p, r),
        Measure::Asymmetry | Measure::Proportion | Measure::Repetition => None,
    }
}

fn mean(p: &Planes, ids: &[usize], value: impl Fn(usize) -> f32) -> f32 {
    let (mut sum, mut n) = (0.0f64, 0);
    for k in ids.iter().filter_map(|&i| p.at(i)) {
        sum += f64::from(value(k));
        n += 1;
    }
    (sum / f64::from(n.max(1))) as f32
}

/// Median of the noise plane: hairs and pores weigh little in it.
fn median(p: &Planes, ids: &[usize]) -> f32 {
    let mut v: Vec<f32> = ids.iter().filter_map(|&i| p.at(i)).map(|k| p.noise[k]).collect();
    if v.is_empty() {
        return 0.0;
    }
    let mid = v.len() / 2;
    *v.select_nth_unstable_by(mid, f32::total_cmp).1
}

/// log₂(a/b), both lifted by what rounding to bytes makes anyway.
fn octaves(a: f32, b: f32) -> f32 {
    ((a + 0.15) / (b + 0.15)).log2()
}

fn seam(p: &Planes, r: &Region) -> Option<f32> {
    if r.border.len() < 24 {
        return None;
    }
    let (w, pw) = (p.width, p.rect.width());
    let (mut on, mut off, mut n, mut m) = (0.0f32, 0.0f32, 0, 0);
    for &i in &r.border {
        let Some(k) = p.at(i) else { continue };
        // A feathered or cut border moves by a pixel: the strongest of its neighbours counts.
        let around = [k, k.saturating_sub(1), k + 1, k.saturating_sub(pw), k + pw];
        on += around.iter().filter_map(|&j| p.gradient.get(j)).copied().fold(0.0, f32::max);
        n += 1;
        for d in [4isize, -4] {
            for (dx, dy) in [(d, 0), (0, d)] {
                let (x, y) = ((i % w) as isize + dx, (i / w) as isize + dy);
                if let Some(k) = (x >= 0 && y >= 0 && x < w as isize).then(|| p.at(y as usize * w + x as usize)).flatten() {
                    let around = [k, k.saturating_sub(1), k + 1, k.saturating_sub(pw), k + pw];
                    off += around.iter().filter_map(|&j| p.gradient.get(j)).copied().fold(0.0, f32::max);
                    m += 1;
                }
            }
        }
    }
    (n > 0 && m > 0).then(|| octaves(on / n as f32, off / m as f32))
}

/// Block borders off the grid: at each phase of 8, how much larger the step is than the steps beside it; the largest of the
/// seven phases that are not the picture's own, minus the median phase, mean of both directions.
fn grid(p: &Planes, r: &Region) -> Option<f32> {
    if r.part.len() < 1200 {
        return None;
    }
    let (w, pw) = (p.width, p.rect.width());
    let (mut step, mut count, mut total) = ([[0.0f64; 8]; 2], [[0u32; 8]; 2], 0.0f64);
    for &i in &r.part {
        let Some(k) = p.at(i) else { continue };
        for (axis, stride, at) in [(0, 1, i % w), (1, pw, i / w)] {
            if k < 2 * stride || k + stride >= p.luma.len() {
                continue;
            }
            let d = |j: usize| (p.luma[j] - p.luma[j - stride]).abs();
            let excess = d(k) - 0.5 * (d(k - stride) + d(k + stride));
            step[axis][at % 8] += f64::from(excess);
            count[axis][at % 8] += 1;
            total += f64::from(d(k));
        }
    }
    let n: u32 = count.iter().flatten().sum();
    if n == 0 || total <= 0.0 {
        return None;
    }
    let mut value = 0.0;
    for axis in 0..2 {
        let mut v: Vec<f64> = (0..8).map(|k| step[axis][k] / f64::from(count[axis][k].max(1))).collect();
        let off = v[1..].iter().copied().fold(f64::MIN, f64::max);
        v.sort_by(f64::total_cmp);
        value += 0.5 * (off - 0.5 * (v[3] + v[4]));
    }
    Some((100.0 * value / (total / f64::from(n))) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fict;
    use crate::fict::tests::mean_mesh;
    use crate::image::{Mask, Rgb8};
    use crate::native::annotate::degrade::jpeg;
    use crate::native::annotate::pixels::{Img, Rect};

    /// Grey skin with grain on the mean face.
    fn plain() -> (Img, Vec<u8>) {
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::SmallRng::seed_from_u64(1);
        let px = (0..448 * 448).map(|_| [120.0 + rng.random_range(-8.0..8.0f32); 3]).collect();
        (Img { width: 448, height: 448, px }, fict::part_labels(&mean_mesh(448.0), 448, 448))
    }

    fn value(m: Measure, image: &Rgb8, labels: &[u8], mask: Option<&Mask>) -> f32 {
        let planes = Planes::of(image, labels).unwrap();
        on_pixels(m, &planes, &Region::of("left_cheek", labels, 448, mask).unwrap()).unwrap()
    }

    #[test]
    fn each_measure_sees_its_own_trace() {
        let (img, labels) = plain();
        let set = fict::part_set("left_cheek").unwrap();
        let mask = fict::mask_of(&labels, set, 448, 448);
        let edited = |f: &dyn Fn(usize, [f32; 3]) -> [f32; 3]| {
            let mut out = img.clone();
            for (i, p) in out.px.iter_mut().enumerate() {
                if mask.data[i] == 1 {
                    *p = f(i, *p);
                }
            }
            out.to_rgb()
        };
        let before = img.to_rgb();
        let soft = img.blurred(2.0, Rect { x0: 0, y0: 0, x1: 448, y1: 448 });
        let blurred = edited(&|i, _| soft.px[i]);
        for m in [Measure::Sharpness, Measure::SharpnessMirror, Measure::Grain, Measure::GrainMirror] {
            assert!(value(m, &before, &labels, Some(&mask)).abs() < 0.1, "{m:?}");
            assert!(value(m, &blurred, &labels, Some(&mask)) < -1.0, "{m:?}");
        }
        let red = edited(&|_, p| [p[0] + 20.0, p[1], p[2]]);
        assert!(value(Measure::Red, &red, &labels, Some(&mask)) > 8.0);
        assert!(value(Measure::ColourMirror, &red, &labels, Some(&mask)) > 8.0);
        let lit = edited(&|_, p| p.map(|v| v + 40.0));
        assert!(value(Measure::Seam, &lit, &labels, Some(&mask)) > value(Measure::Seam, &before, &labels, Some(&mask)) + 0.5);
        // A copy stored as JPEG with its grid moved by (3, 5), over a picture stored with the grid at home.
        let rect = Rect { x0: 3, y0: 5, x1: 443, y1: 445 };
        let copy = Img::from_rgb(&jpeg(&img.cut(rect).to_rgb(), 20).unwrap());
        let ghost = edited(&|i, p| {
            let (x, y) = (i % 448, i / 448);
            if x < 3 || y < 5 || x >= 443 || y >= 445 { p } else { copy.px[(y - 5) * 440 + x - 3] }
        });
        let home = jpeg(&before, 20).unwrap();
        assert!(value(Measure::Grid, &ghost, &labels, Some(&mask)) > value(Measure::Grid, &home, &labels, Some(&mask)) + 15.0);
    }
}
