//! Samples by index: a pure function of (photo pack, split, seed, index), whatever was drawn before.
//!
//! Every sample uses two random streams: one decides photo, augmentation and forgery, the other the degradation, so the
//! degradation cannot depend on the class. Test samples come from test persons only, donors included.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::crop::{self, Augment, Cropped};
use super::degrade::Degradation;
use super::nets::Nets;
use super::pack::{Pack, Split};
use super::pixels::{Img, weighted};
use super::recipe::{Face, Family, Forged, Recipe, draw_parts};
use super::set::RecipeSet;
use super::wild::Wild;
use super::{bend, edit, generate, reenact, rerender, retouch, splice, swap, texture};
use crate::error::{Error, Result};
use crate::fict::{self, lift};
use crate::image::{Mask, Rgb8};
use crate::measure::Gauge;

/// Side of the crop, px, unless [`Sampler::with_side`] says otherwise.
pub const SIDE: usize = 448;
/// Least mean change over the mask, in levels; weaker forgeries are drawn again, cruder.
const LEAST_LEVELS: f32 = 1.5;
/// Donors looked at for one swap; the one whose pose is nearest is taken.
const DONORS: usize = 6;

/// One annotated picture.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Square, [`SIDE`] × [`SIDE`] unless the sampler has another side.
    pub image: Rgb8,
    /// 478 points in pixels of `image`.
    pub mesh: Vec<[f32; 3]>,
    /// Label map of the leaves for `mesh` (see [`fict::part_labels`]).
    pub labels: Vec<u8>,
    pub family: Family,
    /// `None` for real.
    pub recipe: Option<Recipe>,
    /// 0 crude .. 1 subtle; 0 for real.
    pub difficulty: f32,
    /// Parts (or movements) drawn, for the record.
    pub parts: Vec<&'static str>,
    pub params: Vec<(&'static str, f32)>,
    /// Changed pixels; all 0 for real.
    pub artifact: Mask,
    /// All leaves that the artifact overlaps.
    pub hits: Vec<lift::ConceptHit>,
    /// Concepts to name (lifted), most of the artifact first.
    pub concepts: Vec<&'static str>,
    /// What the first set does to a picture; all `None` for the others.
    pub degradation: Degradation,
    /// What the other sets do to it.
    pub wild: Option<Wild>,
    /// The untouched picture under the same degradation, beside a forgery (not in the first set): what stands out in it, too, is
    /// no evidence of the forgery.
    pub twin: Option<Rgb8>,
    /// The twin's mesh: where the features were before they were moved. Empty without a twin.
    pub twin_mesh: Vec<[f32; 3]>,
    /// How many photos were tried before this one. At 0 the other sample of a pair is the twin.
    pub attempt: u64,
    /// Width and height of the photo that the crop was cut from, px.
    pub photo: [usize; 2],
    pub person: String,
    pub file: String,
    /// Person of the donor, for swaps.
    pub donor: Option<String>,
}

impl Sample {
    pub fn is_fake(&self) -> bool {
        self.family != Family::Real
    }

    /// The gauges of the picture and of its twin.
    pub fn gauges(&self) -> (Gauge<'_>, Option<Gauge<'_>>) {
        let gauge = |image| Gauge::new(image, &self.labels, &self.mesh, Some(&self.artifact));
        (gauge(&self.image), self.twin.as_ref().map(|t| gauge(t).shaped_as(self.twin_mesh.clone())))
    }
}

/// What to make; see [`Sampler::make`].
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub recipe: Option<Recipe>,
    pub difficulty: f32,
    pub augment: bool,
    pub degrade: bool,
}

/// Draws samples from one split of a pack.
#[derive(Debug, Clone)]
pub struct Sampler {
    pack: std::sync::Arc<Pack>,
    photos: Vec<usize>,
    seed: u64,
    difficulty: std::ops::RangeInclusive<f32>,
    set: RecipeSet,
    /// Those of the set that can be made with the networks at hand, in its order.
    recipes: Vec<Recipe>,
    nets: Nets,
    side: usize,
}

impl Sampler {
    /// # Errors
    /// `Request` when the split holds fewer than two persons.
    pub fn new(pack: std::sync::Arc<Pack>, split: Split, seed: u64) -> Result<Self> {
        let photos = pack.of_split(split);
        Self::of(pack, photos, seed, &format!("split {split:?}"))
    }

    /// A sampler over every photo of the pack, whatever its split.
    ///
    /// # Errors
    /// `Request` when there are fewer than two persons.
    pub fn over_all(pack: std::sync::Arc<Pack>, seed: u64) -> Result<Self> {
        let photos = (0..pack.photos.len()).collect();
        Self::of(pack, photos, seed, "the folder")
    }

    fn of(pack: std::sync::Arc<Pack>, photos: Vec<usize>, seed: u64, what: &str) -> Result<Self> {
        let first = photos.first().map(|&i| &pack.photos[i].person);
        if !photos.iter().any(|&i| Some(&pack.photos[i].person) != first) {
            return Err(Error::Request(format!("{what} needs two persons, has {} photos", photos.len())));
        }
        let whole = Self {
            pack,
            photos,
            seed,
            difficulty: 0.0..=1.0,
            set: RecipeSet::First,
            recipes: Vec::new(),
            nets: Nets::default(),
            side: SIDE,
        };
        Ok(whole.with_set(RecipeSet::First))
    }

    /// The same sampler with difficulties drawn from `range` (a curriculum; evaluation uses the whole 0..=1).
    pub fn with_difficulty(self, range: std::ops::RangeInclusive<f32>) -> Self {
        Self { difficulty: range, ..self }
    }

    /// The same sampler with another set of recipes; all but [`RecipeSet::First`] come with the full range of degradations.
    pub fn with_set(self, set: RecipeSet) -> Self {
        let recipes = set.recipes().iter().copied().filter(|&r| self.nets.can(r)).collect();
        Self { set, recipes, ..self }
    }

    /// The same sampler with networks to borrow; recipes that need others are left out of its set.
    pub fn with_nets(self, nets: Nets) -> Self {
        let set = self.set;
        Self { nets, ..self }.with_set(set)
    }

    /// The same sampler without some of its recipes.
    pub fn without(mut self, recipes: &[Recipe]) -> Self {
        self.recipes.retain(|r| !recipes.contains(r));
        self
    }

    /// The recipes that it draws from.
    pub fn recipes(&self) -> &[Recipe] {
        &self.recipes
    }

    /// Side of the crops, px.
    pub fn side(&self) -> usize {
        self.side
    }

    /// The same sampler with crops of `side` px.
    pub fn with_side(self, side: usize) -> Self {
        Self { side, ..self }
    }

    /// Its set of recipes.
    pub fn set(&self) -> RecipeSet {
        self.set
    }

    /// Number of photos of the split.
    pub fn photos(&self) -> usize {
        self.photos.len()
    }

    /// The sample of this index; about half are real.
    ///
    /// # Errors
    /// When a photo cannot be read.
    pub fn sample(&self, index: u64) -> Result<Sample> {
        let forged = self.stream(index, 0).random::<bool>();
        self.drawn(index, forged)
    }

    /// Samples in pairs: indices 2n and 2n + 1 are one photo, crop and degradation, untouched and forged. What tells the two
    /// apart can only be the forgery, which is the best a training batch can show.
    ///
    /// # Errors
    /// When a photo cannot be read.
    pub fn paired(&self, index: u64) -> Result<Sample> {
        self.drawn(index / 2, index % 2 == 1)
    }

    fn drawn(&self, index: u64, forged: bool) -> Result<Sample> {
        let mut rng = self.stream(index, 0);
        let _: bool = rng.random();
        let recipe = forged.then(|| *weighted(&mut rng, &self.recipes, |r| r.weight()));
        // Its own stream: whether a recipe was drawn must not shift it.
        let mut rng = self.stream(index, 1);
        let (low, high) = (*self.difficulty.start(), *self.difficulty.end());
        let difficulty = (low + (high - low) * rng.random::<f32>()).clamp(0.0, 1.0);
        let order = Order { recipe, difficulty, augment: true, degrade: true };
        // A photo on which this recipe cannot be made is replaced by another; the class stays as drawn.
        let made = (0..8).map(|attempt| self.make_from(index, attempt, order)).find(|m| !matches!(m, Err(Error::Request(_))));
        // Larger sets hold recipes that some photos cannot take at all (irises of two pixels): then another recipe is made.
        let others = if self.set.is_first() { &[][..] } else { &self.recipes };
        let instead = |k: usize| self.make_from(index, 8 + k as u64, Order { recipe: order.recipe.map(|_| others[k]), ..order });
        made.or_else(|| (0..others.len()).map(instead).find(|m| !matches!(m, Err(Error::Request(_)))))
            .unwrap_or_else(|| self.make_from(index, 0, order))
    }

    /// The sample of this index with recipe and difficulty given (contact sheets, tests, evaluation per recipe).
    ///
    /// # Errors
    /// When a photo cannot be read, or no forgery of this recipe can be made of it (a face out of the frame).
    pub fn make(&self, index: u64, order: Order) -> Result<Sample> {
        self.make_from(index, 0, order)
    }

    fn make_from(&self, index: u64, attempt: u64, order: Order) -> Result<Sample> {
        let mut rng = self.stream(index, 16 + attempt);
        let photo = &self.pack.photos[self.photos[rng.random_range(0..self.photos.len())]];
        let augment = if order.augment { Augment::draw(&mut rng) } else { Augment::NONE };
        let rgb = photo.load()?;
        let side = self.side;
        let crop = crop::cut(photo, &rgb, side, &augment);
        let mut sample = Sample {
            image: Rgb8 { width: 0, height: 0, data: Vec::new() },
            labels: fict::part_labels(&crop.mesh, side, side),
            mesh: crop.mesh.clone(),
            family: Family::Real,
            recipe: None,
            difficulty: 0.0,
            parts: Vec::new(),
            params: Vec::new(),
            artifact: Mask { width: side, height: side, data: vec![0; side * side] },
            hits: Vec::new(),
            concepts: Vec::new(),
            degradation: Degradation::default(),
            wild: None,
            twin: None,
            twin_mesh: Vec::new(),
            attempt,
            photo: [rgb.width, rgb.height],
            person: photo.person.clone(),
            file: photo.file.clone(),
            donor: None,
        };
        let mut image = std::borrow::Cow::Borrowed(&crop.image);
        if let Some(recipe) = order.recipe {
            let face = Face { image: &crop.image, mesh: &crop.mesh, labels: &sample.labels, texel: crop.texel };
            let donor = if recipe.needs_donor() { Some(self.donor(photo, &augment, &mut rng)?) } else { None };
            let (forged, difficulty) = forge(&face, donor.as_ref().map(|d| &d.1), recipe, order.difficulty, &self.nets, &mut rng)
                .ok_or_else(|| Error::Request(format!("{}: {} cannot be made", photo.file, recipe.id())))?;
            sample.family = recipe.family();
            sample.recipe = Some(recipe);
            sample.difficulty = difficulty;
            sample.labels = fict::part_labels(&forged.mesh, side, side);
            sample.hits = lift::hits(&sample.labels, &forged.mask);
            sample.concepts = concepts(Some(recipe), &sample.labels, &sample.hits);
            sample.mesh = forged.mesh;
            sample.parts = forged.parts;
            sample.params = forged.params;
            sample.artifact = forged.mask;
            sample.donor = donor.map(|d| d.0);
            image = std::borrow::Cow::Owned(forged.image);
        }
        let mut after = self.stream(index, 2);
        if order.degrade && !self.set.is_first() {
            let wild = Wild::draw(&mut after);
            if order.recipe.is_some() {
                sample.twin = Some(wild.apply(&crop.image, &mut after.clone()));
                sample.twin_mesh.clone_from(&crop.mesh);
            }
            sample.image = wild.apply(&image, &mut after);
            sample.wild = Some(wild);
            return Ok(sample);
        }
        if order.degrade {
            sample.degradation = Degradation::draw(&mut after);
        }
        sample.image = sample.degradation.apply(&image, &mut after);
        Ok(sample)
    }

    /// Another person of the split in a similar pose, cropped with the same augmentation.
    fn donor(&self, target: &super::Photo, augment: &Augment, rng: &mut SmallRng) -> Result<(String, Cropped)> {
        let mut best: Option<(f32, usize)> = None;
        let mut seen = 0;
        while seen < DONORS {
            let i = self.photos[rng.random_range(0..self.photos.len())];
            let other = &self.pack.photos[i];
            // A split has at least two persons, so this ends.
            if other.person == target.person {
                continue;
            }
            seen += 1;
            let d = swap::pose_distance(&target.mesh, &other.mesh);
            if best.is_none_or(|b| d < b.0) {
                best = Some((d, i));
            }
        }
        let photo = &self.pack.photos[best.map_or(0, |b| b.1)];
        Ok((photo.person.clone(), crop::load(photo, self.side, augment)?))
    }

    fn stream(&self, index: u64, part: u64) -> SmallRng {
        SmallRng::seed_from_u64(mix(mix(mix(self.seed) ^ index) ^ part))
    }
}

/// SplitMix64's finaliser: neighbours get unrelated streams.
fn mix(v: u64) -> u64 {
    let mut z = v.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The concepts to name of a change, most of it first. Hair is no part of the face: there it stands before the parts that the
/// change covers too, and the part that merely holds most of the rest is not named.
pub(super) fn concepts(recipe: Option<Recipe>, labels: &[u8], hits: &[lift::ConceptHit]) -> Vec<&'static str> {
    if recipe != Some(Recipe::HairRecolour) {
        return lift::lifted(labels, hits);
    }
    let covered = |h: &lift::ConceptHit| lift::ConceptHit { fires: h.fires && h.covered >= lift::COVERED, ..*h };
    let covered: Vec<lift::ConceptHit> = hits.iter().map(covered).filter(|h| h.fires).collect();
    std::iter::once(super::text::HAIR).chain(lift::lifted(labels, &covered)).collect()
}

/// One forgery that can be seen; falls back to cruder ones. Returns the difficulty that was used.
fn forge(face: &Face, donor: Option<&Cropped>, recipe: Recipe, difficulty: f32, nets: &Nets, rng: &mut SmallRng) -> Option<(Forged, f32)> {
    let before: &Img = face.image;
    let hair = match (recipe, &nets.matting) {
        (Recipe::HairRecolour, Some(net)) => Some(generate::hair(face, net)?),
        _ => None,
    };
    for attempt in 0..8 {
        let d = difficulty * [1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0, 0.0][attempt];
        let other = donor.map(|c| Face { image: &c.image, mesh: &c.mesh, labels: &[], texel: c.texel });
        let parts = if (recipe as usize) < RecipeSet::First.recipes().len() { draw_parts(recipe, rng) } else { Vec::new() };
        let forged = match recipe {
            Recipe::PartSwap => other.and_then(|o| swap::part_swap(face, &o, &parts, d, rng)),
            Recipe::SelfBlend => swap::self_blend(face, &parts, d, rng),
            Recipe::PartBlur => edit::part_blur(face, &parts, d, rng),
            Recipe::PartSmooth => edit::part_smooth(face, &parts, d, rng),
            Recipe::PartInpaint => edit::part_inpaint(face, &parts, d, rng),
            Recipe::LocalWarp => bend::local_warp(face, d, rng),
            Recipe::WholeSwap => other.and_then(|o| splice::whole_swap(face, &o, d, rng)),
            Recipe::GhostSplice => splice::ghost_splice(face, d, rng),
            Recipe::MouthWarp | Recipe::EyeWarp | Recipe::BrowWarp | Recipe::OutlineWarp => reenact::feature_warp(face, recipe, d, rng),
            Recipe::EyeEnlarge => reenact::eye_enlarge(face, d, rng),
            Recipe::MakeUp => retouch::make_up(face, d, rng),
            Recipe::Recolour => retouch::recolour(face, d, rng),
            Recipe::IrisRecolour => retouch::iris_recolour(face, d, rng),
            Recipe::AgeTexture => texture::age_texture(face, d, rng),
            Recipe::Resample => texture::resample(face, d, rng),
            Recipe::CopyMove => texture::copy_move(face, d, rng),
            Recipe::GanInpaint => nets.inpainter.as_ref().and_then(|net| generate::gan_inpaint(face, net, d, rng)),
            Recipe::EsrganResample => nets.upscaler.as_ref().and_then(|net| generate::esrgan_resample(face, net, d, rng)),
            Recipe::Rerender => rerender::rerender(face, d, rng),
            Recipe::Driven => rerender::driven(face, d, rng),
            Recipe::HairRecolour => hair.as_ref().and_then(|alpha| generate::hair_recolour(face, alpha, d, rng)),
        };
        if let Some(forged) = forged.filter(|f| f.is_visible(before, LEAST_LEVELS)) {
            return Some((forged, d));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::drawn::{drawn_photo, drawn_sampler};
    use super::*;

    #[test]
    fn a_sample_depends_on_seed_and_index_alone() {
        let (a, b) = (drawn_sampler(7), drawn_sampler(7));
        let forward: Vec<Sample> = (0..6).map(|i| a.sample(i).unwrap()).collect();
        for i in (0..6).rev() {
            let s = b.sample(i as u64).unwrap();
            assert_eq!((&s.image, &s.artifact, &s.concepts), (&forward[i].image, &forward[i].artifact, &forward[i].concepts));
        }
        assert_ne!(drawn_sampler(8).sample(0).unwrap().image, forward[0].image);
    }

    #[test]
    fn half_are_real_and_persons_stay_in_their_split() {
        let s = drawn_sampler(1);
        let all: Vec<Sample> = (0..60).map(|i| s.sample(i).unwrap()).collect();
        let fakes = all.iter().filter(|s| s.is_fake()).count();
        assert!((18..=42).contains(&fakes), "{fakes} of 60 forged");
        for s in &all {
            let train = ["drawn0", "drawn1", "drawn2", "drawn3"];
            assert!(train.contains(&s.person.as_str()) && s.donor.as_deref().is_none_or(|d| train.contains(&d)));
            assert_ne!(s.donor.as_ref(), Some(&s.person));
            let area = s.artifact.data.iter().filter(|&&m| m == 1).count();
            assert_eq!(s.is_fake(), area > 0);
            assert_eq!(s.is_fake(), !s.concepts.is_empty());
            assert_eq!(s.mesh.len(), 478);
        }
    }

    #[test]
    fn every_recipe_changes_its_mask_and_little_else() {
        let s = drawn_sampler(2);
        for recipe in Recipe::ALL.into_iter().filter(|r| !r.needs_net()) {
            for (k, difficulty) in [0.0, 0.5, 1.0].into_iter().enumerate() {
                // Same index, no degradation: the real one is the source of the forged one.
                let index = 10 * k as u64 + recipe as u64;
                let order = Order { recipe: Some(recipe), difficulty, augment: true, degrade: false };
                let fake = s.make(index, order).unwrap();
                let real = s.make(index, Order { recipe: None, ..order }).unwrap();
                let (f, r) = (Img::from_rgb(&fake.image), Img::from_rgb(&real.image));
                let inside = super::super::pixels::mean_change(&f, &r, &fake.artifact);
                let (mut outside, mut n) = (0.0, 0);
                for (i, &m) in fake.artifact.data.iter().enumerate() {
                    if m == 0 {
                        outside += (0..3).map(|c| (f.px[i][c] - r.px[i][c]).abs()).sum::<f32>() / 3.0;
                        n += 1;
                    }
                }
                assert_eq!(fake.family, recipe.family());
                assert!(inside > 1.0, "{} {difficulty}: {inside}", recipe.id());
                assert!(outside / (n as f32) < 0.15 * inside, "{}: {} outside", recipe.id(), outside / n as f32);
            }
        }
    }

    #[test]
    fn difficulty_stays_in_its_range() {
        let s = drawn_sampler(3).with_difficulty(0.0..=0.3);
        for i in 0..30 {
            let sample = s.sample(i).unwrap();
            assert!((0.0..=0.3).contains(&sample.difficulty));
        }
    }

    #[test]
    fn one_person_is_not_enough() {
        let mut pack = Pack::default();
        pack.photos.push(drawn_photo(0, Split::Val));
        assert!(Sampler::new(Arc::new(pack), Split::Val, 0).is_err());
    }

    /// Not a check: writes contact sheets of a photo pack for a person to look at.
    #[test]
    fn sheets_for_the_eye() {
        let (Some(faces), Some(out)) = (std::env::var_os("FACEXT_FACES"), std::env::var_os("FACEXT_SHEETS")) else {
            eprintln!("skipped: FACEXT_FACES and FACEXT_SHEETS are not set");
            return;
        };
        let out = std::path::PathBuf::from(out);
        let pack = Arc::new(Pack::open(std::path::Path::new(&faces)).unwrap());
        let sampler = Sampler::new(pack, Split::Train, 1).unwrap().with_set(RecipeSet::All);
        super::super::contact_sheet(&sampler, sampler.recipes(), &out.join("recipes.png")).unwrap();
        let (mut n, mut index) = (0, 0);
        while n < 3 {
            let s = sampler.make(index, Order { recipe: None, difficulty: 0.0, augment: false, degrade: false }).unwrap();
            index += 1;
            let photo = sampler.pack.photos.iter().find(|p| p.file == s.file).unwrap();
            if photo.source.starts_with("debruine/") {
                let drawn = super::super::sheet::label_overlay(&s.image, &s.labels);
                super::super::sheet::write_png(&drawn, &out.join(format!("fict{n}.png"))).unwrap();
                n += 1;
            }
        }
        let started = std::time::Instant::now();
        let samples: Vec<Sample> = (0..240).map(|i| sampler.sample(i).unwrap()).collect();
        eprintln!("{:.1} samples/s on one thread", 240.0 / started.elapsed().as_secs_f32());
        super::super::sheet::sample_sheet(&samples[..40], 4, &out.join("samples.png")).unwrap();
        for &r in sampler.recipes() {
            let t = std::time::Instant::now();
            for i in 0..12 {
                sampler.make(i, Order { recipe: Some(r), difficulty: 0.5, augment: true, degrade: false }).unwrap();
            }
            eprintln!("{}: {:.1} ms", r.id(), t.elapsed().as_secs_f32() * 1000.0 / 12.0);
        }
        let t = std::time::Instant::now();
        for i in 0..12 {
            sampler.make(i, Order { recipe: None, difficulty: 0.5, augment: true, degrade: false }).unwrap();
        }
        eprintln!("real: {:.1} ms", t.elapsed().as_secs_f32() * 1000.0 / 12.0);
        for s in samples.iter().filter(|s| s.is_fake()).take(40) {
            eprintln!("{:?} d={:.2} {:?} -> {:?}", s.recipe, s.difficulty, s.parts, s.concepts);
        }
        let mut rng = SmallRng::seed_from_u64(1);
        for s in &samples[..40] {
            let qa = super::super::text::draw(s, &mut rng);
            eprintln!("{:?} {:?}\n   Q {}\n   A {}", qa.task, qa.scope, qa.question, qa.answer.text);
        }
    }
}
