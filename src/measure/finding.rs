//! A measurement against what untouched photos measure; the gauge that takes them all from one picture.

use std::sync::{Arc, OnceLock};

use super::kinds::{Measure, on_pixels};
use super::norms::{Norm, norm};
use super::planes::Planes;
use super::region::Region;
use super::{geometry, repetition};
use crate::fict;
use crate::image::{Mask, Rgb8};

/// Distance from the norm, in spreads, from which a measurement stands out.
pub const STANDS_OUT: f32 = 3.0;
/// Up to this distance an answer may call it usual.
pub const USUAL: f32 = 2.0;

/// One measurement of one part.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Finding {
    /// Concept id.
    pub concept: &'static str,
    pub measure: Measure,
    /// In the measure's unit.
    pub value: f32,
    /// Median and robust spread of untouched photos, same unit.
    pub median: f32,
    pub spread: f32,
}

impl Finding {
    /// Distance from the norm in spreads, signed.
    pub fn z(&self) -> f32 {
        (self.value - self.median) / self.spread.max(1e-6)
    }

    /// Whether it stands out so far that a sentence may name it.
    pub fn stands_out(&self) -> bool {
        let z = self.z();
        let far = if self.measure.one_sided() { z >= STANDS_OUT } else { z.abs() >= STANDS_OUT };
        far && (self.value - self.median).abs() >= self.measure.floor()
    }

    /// Whether it is what untouched photos show.
    pub fn is_usual(&self) -> bool {
        let z = self.z();
        (if self.measure.one_sided() { z } else { z.abs() }) < USUAL
    }
}

/// Measures parts of one picture; planes are made once.
pub struct Gauge<'a> {
    planes: Option<Arc<Planes>>,
    labels: &'a [u8],
    mesh: &'a [[f32; 3]],
    width: usize,
    changed: Option<&'a Mask>,
    /// The face's own shape, where it is not that of the regions.
    shape: Option<Arc<Shape>>,
}

/// A mesh, and its label map once it is asked for.
struct Shape {
    mesh: Vec<[f32; 3]>,
    labels: OnceLock<Vec<u8>>,
}

impl<'a> Gauge<'a> {
    /// `labels` and `changed` have the picture's size. An all-zero mask counts as none.
    pub fn new(image: &Rgb8, labels: &'a [u8], mesh: &'a [[f32; 3]], changed: Option<&'a Mask>) -> Self {
        let changed = changed.filter(|m| m.data.contains(&1));
        Self { planes: Planes::of(image, labels).map(Arc::new), labels, mesh, width: image.width, changed, shape: None }
    }

    /// The same gauge for a picture whose features lie elsewhere than its regions: the untouched twin of a picture in which they
    /// were moved. Pixels are compared in the same place, shapes are each face's own.
    pub fn shaped_as(self, mesh: Vec<[f32; 3]>) -> Self {
        Self { shape: Some(Arc::new(Shape { mesh, labels: OnceLock::new() })), ..self }
    }

    fn mesh(&self) -> &[[f32; 3]] {
        self.shape.as_ref().map_or(self.mesh, |s| &s.mesh)
    }

    fn shape_labels(&self) -> &[u8] {
        let height = self.labels.len().checked_div(self.width).unwrap_or(0);
        self.shape.as_ref().map_or(self.labels, |s| s.labels.get_or_init(|| fict::part_labels(&s.mesh, self.width, height)))
    }

    /// The same picture with another mask.
    pub fn on(&self, changed: &'a Mask) -> Self {
        let changed = Some(changed).filter(|m| m.data.contains(&1));
        Self { planes: self.planes.clone(), shape: self.shape.clone(), changed, ..*self }
    }

    /// Raw values of a concept, in the order of [`Measure::ALL`]. `changed` parts are measured where they changed.
    pub fn values(&self, concept: &str, changed: bool) -> Vec<(Measure, f32)> {
        let Some(planes) = &self.planes else { return Vec::new() };
        let mask = self.changed.filter(|_| changed);
        let Some(region) = Region::of(concept, self.labels, self.width, mask) else { return Vec::new() };
        let value = |m: Measure| match m {
            Measure::Asymmetry => geometry::asymmetry(concept, self.mesh()),
            Measure::Proportion => geometry::proportion(concept, self.shape_labels()),
            Measure::Repetition if is_skin(concept) => repetition::repetition(planes, &region),
            m => on_pixels(m, planes, &region),
        };
        Measure::ALL.into_iter().filter_map(|m| Some((m, value(m)?))).filter(|v| v.1.is_finite()).collect()
    }

    /// The measurements of a concept that have a norm.
    pub fn findings(&self, concept: &'static str, changed: bool) -> Vec<Finding> {
        self.values(concept, changed)
            .into_iter()
            .filter_map(|(measure, value)| {
                let Norm { median, spread } = norm(concept, measure)?;
                Some(Finding { concept, measure, value, median, spread })
            })
            .collect()
    }
}

/// Concepts of bare skin: elsewhere texture repeats by itself (lashes, hairs, teeth).
fn is_skin(concept: &str) -> bool {
    ["cheek", "jaw", "forehead", "chin", "under_eye", "glabella", "philtrum"].iter().any(|s| concept.contains(s))
        && fict::concept(concept).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_keeps_its_own_shape() {
        let mesh = fict::tests::mean_mesh(448.0);
        let mut moved = mesh.clone();
        for p in fict::outline(fict::concept("left_eyebrow").unwrap()).1 {
            moved[usize::from(p)][1] -= 14.0;
        }
        let labels = fict::part_labels(&moved, 448, 448);
        let image = Rgb8::filled(448, 448, [90, 80, 70]);
        let value = |g: &Gauge, m| g.values("left_eyebrow", false).into_iter().find(|v| v.0 == m).unwrap().1;
        let edited = Gauge::new(&image, &labels, &moved, None);
        let twin = Gauge::new(&image, &labels, &moved, None).shaped_as(mesh.clone());
        assert!(value(&edited, Measure::Asymmetry) > value(&twin, Measure::Asymmetry) + 3.0);
        let own = fict::part_labels(&mesh, 448, 448);
        assert_eq!(value(&twin, Measure::Proportion), value(&Gauge::new(&image, &own, &mesh, None), Measure::Proportion));
    }

    #[test]
    fn standing_out_needs_distance_and_size() {
        let f = |measure, value, spread| Finding { concept: "nose", measure, value, median: 0.0, spread };
        assert!(f(Measure::Sharpness, -1.0, 0.3).stands_out());
        assert!(!f(Measure::Sharpness, -0.3, 0.05).stands_out(), "nobody sees 0.3 octaves");
        assert!(!f(Measure::Sharpness, -1.0, 0.5).stands_out());
        assert!(!f(Measure::Seam, -2.0, 0.3).stands_out(), "a soft border is no seam");
        assert!(f(Measure::Seam, -2.0, 0.3).is_usual() && !f(Measure::Red, -9.0, 3.0).is_usual());
    }
}
