//! Drawn faces for the annotator's tests: no person, so the tests stand alone.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::pack::{Pack, Photo, Split};
use super::pixels::{Img, Rect};
use super::sampler::Sampler;
use crate::fict::{self, tests::mean_mesh};

/// A drawn face: skin ellipse, eyes, brows, nose, lips on the mean mesh, grain, one colour set a person. No person.
pub(crate) fn drawn_photo(person: usize, split: Split) -> Photo {
    const S: usize = 360;
    let mut rng = SmallRng::seed_from_u64(person as u64);
    let mut mesh = mean_mesh(S as f32);
    let (kx, ky) = (rng.random_range(0.92..1.06), rng.random_range(0.95..1.05));
    for p in &mut mesh {
        p[0] = 180.0 + (p[0] - 180.0) * kx;
        p[1] = 180.0 + (p[1] - 180.0) * ky;
    }
    let skin = [rng.random_range(90..230), rng.random_range(80..190), rng.random_range(70..170)].map(|v: i32| v as f32);
    let labels = fict::part_labels(&mesh, S, S);
    let mut img = Img::new(S, S);
    for (i, p) in img.px.iter_mut().enumerate() {
        let id = fict::part_id(labels[i]).unwrap_or("none");
        let shade = ((i % S) as f32 - 180.0) * 0.12 + ((i / S) as f32 - 180.0) * 0.08;
        let base = match id {
            "none" => [120.0, 150.0, 140.0],
            "left_eye" | "right_eye" => [70.0, 60.0, 50.0],
            "left_eyebrow" | "right_eyebrow" => [60.0, 45.0, 40.0],
            "upper_lip" | "lower_lip" => [skin[0] * 0.9, skin[1] * 0.55, skin[2] * 0.6],
            "nose_tip" => skin.map(|v| v * 0.9),
            _ => skin,
        };
        *p = base.map(|v| v + shade);
    }
    img = img.blurred(1.2, Rect { x0: 0, y0: 0, x1: S, y1: S });
    for p in &mut img.px {
        let n = rng.random_range(-9.0..9.0);
        *p = p.map(|v| v + n);
    }
    Photo::in_memory(&format!("drawn{person}"), split, img.to_rgb(), mesh)
}

/// Four persons to train on, two to test.
pub(crate) fn drawn_sampler(seed: u64) -> Sampler {
    let mut pack = Pack::default();
    pack.photos.extend((0..4).map(|i| drawn_photo(i, Split::Train)));
    pack.photos.extend((4..6).map(|i| drawn_photo(i, Split::Test)));
    Sampler::new(Arc::new(pack), Split::Train, seed).unwrap()
}
