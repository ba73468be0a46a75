//! Families, recipes and the parts of a face that a recipe may touch; the shape of a forged part.
//!
//! A part is a union of concepts, its border rounded and wobbled: a forger cuts by eye, not along our outlines.

use rand::Rng;
use rand::rngs::SmallRng;

use super::pixels::{Img, Rect, between, chance, gaussian, mask_of_alpha, mean_change, weighted};
use crate::fict::{self, Set};
use crate::image::Mask;

pub use crate::text::Family;

/// How a forgery is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    PartSwap,
    SelfBlend,
    PartBlur,
    PartSmooth,
    PartInpaint,
    LocalWarp,
    WholeSwap,
    GhostSplice,
    MouthWarp,
    EyeWarp,
    BrowWarp,
    OutlineWarp,
    EyeEnlarge,
    MakeUp,
    Recolour,
    IrisRecolour,
    AgeTexture,
    Resample,
    CopyMove,
    GanInpaint,
    HairRecolour,
    EsrganResample,
    Rerender,
    Driven,
}

impl Recipe {
    pub const ALL: [Self; 24] = [
        Self::PartSwap,
        Self::SelfBlend,
        Self::PartBlur,
        Self::PartSmooth,
        Self::PartInpaint,
        Self::LocalWarp,
        Self::WholeSwap,
        Self::GhostSplice,
        Self::MouthWarp,
        Self::EyeWarp,
        Self::BrowWarp,
        Self::OutlineWarp,
        Self::EyeEnlarge,
        Self::MakeUp,
        Self::Recolour,
        Self::IrisRecolour,
        Self::AgeTexture,
        Self::Resample,
        Self::CopyMove,
        Self::GanInpaint,
        Self::HairRecolour,
        Self::EsrganResample,
        Self::Rerender,
        Self::Driven,
    ];

    pub fn id(self) -> &'static str {
        match self {
            Self::PartSwap => "part_swap",
            Self::SelfBlend => "self_blend",
            Self::PartBlur => "part_blur",
            Self::PartSmooth => "part_smooth",
            Self::PartInpaint => "part_inpaint",
            Self::LocalWarp => "local_warp",
            Self::WholeSwap => "whole_swap",
            Self::GhostSplice => "ghost_splice",
            Self::MouthWarp => "mouth_warp",
            Self::EyeWarp => "eye_warp",
            Self::BrowWarp => "brow_warp",
            Self::OutlineWarp => "outline_warp",
            Self::EyeEnlarge => "eye_enlarge",
            Self::MakeUp => "make_up",
            Self::Recolour => "recolour",
            Self::IrisRecolour => "iris_recolour",
            Self::AgeTexture => "age_texture",
            Self::Resample => "resample",
            Self::CopyMove => "copy_move",
            Self::GanInpaint => "gan_inpaint",
            Self::HairRecolour => "hair_recolour",
            Self::EsrganResample => "esrgan_resample",
            Self::Rerender => "rerender",
            Self::Driven => "driven",
        }
    }

    pub fn family(self) -> Family {
        match self {
            Self::PartSwap | Self::SelfBlend | Self::WholeSwap | Self::GhostSplice | Self::Rerender => Family::FaceSwap,
            Self::LocalWarp | Self::MouthWarp | Self::EyeWarp | Self::BrowWarp | Self::OutlineWarp | Self::Driven => Family::Reenactment,
            Self::PartBlur
            | Self::PartSmooth
            | Self::PartInpaint
            | Self::EyeEnlarge
            | Self::MakeUp
            | Self::Recolour
            | Self::IrisRecolour
            | Self::AgeTexture
            | Self::Resample
            | Self::CopyMove
            | Self::GanInpaint
            | Self::HairRecolour
            | Self::EsrganResample => Family::AttributeEdit,
        }
    }

    /// How often it is drawn among the forgeries of its set (see [`super::set::RecipeSet`]).
    pub fn weight(self) -> f32 {
        match self {
            Self::PartSwap => 0.30,
            Self::SelfBlend => 0.15,
            Self::PartBlur => 0.12,
            Self::PartSmooth => 0.08,
            Self::PartInpaint => 0.15,
            Self::LocalWarp => 0.12,
            Self::WholeSwap => 0.20,
            Self::Rerender => 0.15,
            _ => 0.10,
        }
    }

    /// Whether it takes pixels from another person.
    pub fn needs_donor(self) -> bool {
        matches!(self, Self::PartSwap | Self::WholeSwap)
    }

    /// Made for tests alone: what training must never have seen.
    pub const fn is_unseen(self) -> bool {
        matches!(self, Self::GhostSplice | Self::CopyMove) || self.needs_net()
    }

    /// Whether it borrows a network ([`super::nets`]); without one it is left out.
    pub const fn needs_net(self) -> bool {
        matches!(self, Self::GanInpaint | Self::HairRecolour | Self::EsrganResample)
    }
}

/// A part of the face: a name and the concepts it is made of.
#[derive(Debug)]
pub struct Part {
    pub id: &'static str,
    pub concepts: &'static [&'static str],
    /// Which recipes may touch it, by weight: swap, self-blend, blur, smooth, inpaint.
    weights: [f32; 5],
}

const fn part(id: &'static str, concepts: &'static [&'static str], weights: [f32; 5]) -> Part {
    Part { id, concepts, weights }
}

/// The parts. Smoothing spares eyes and brows, inpainting spares eyes and lips: nobody would ship the result.
#[rustfmt::skip]
pub const PARTS: &[Part] = &[
    //                                                                          swap self blur smooth inpaint
    part("right_eye", &["right_eye_region"],                                    [2.0, 0.7, 1.0, 0.0, 0.0]),
    part("left_eye", &["left_eye_region"],                                      [2.0, 0.7, 1.0, 0.0, 0.0]),
    part("eyes", &["eyes"],                                                     [1.5, 1.0, 0.7, 0.0, 0.0]),
    part("right_eyebrow", &["right_eyebrow"],                                   [1.5, 0.3, 1.0, 0.0, 2.0]),
    part("left_eyebrow", &["left_eyebrow"],                                     [1.5, 0.3, 1.0, 0.0, 2.0]),
    part("eyebrows", &["eyebrows"],                                             [1.0, 0.3, 0.7, 0.0, 1.0]),
    part("right_eye_and_brow", &["right_eye_region", "right_eyebrow"],          [1.0, 0.5, 0.3, 0.0, 0.0]),
    part("left_eye_and_brow", &["left_eye_region", "left_eyebrow"],             [1.0, 0.5, 0.3, 0.0, 0.0]),
    part("right_under_eye", &["right_under_eye"],                               [0.0, 0.2, 0.7, 1.0, 1.0]),
    part("left_under_eye", &["left_under_eye"],                                 [0.0, 0.2, 0.7, 1.0, 1.0]),
    part("nose", &["nose"],                                                     [2.5, 1.2, 1.0, 1.0, 0.0]),
    part("nose_tip", &["nose_tip"],                                             [0.7, 0.5, 0.7, 0.7, 0.7]),
    part("mouth", &["mouth"],                                                   [2.5, 1.2, 1.0, 0.0, 0.0]),
    part("lips", &["upper_lip", "inner_mouth", "lower_lip"],                    [1.5, 0.7, 1.0, 0.3, 0.0]),
    part("inner_face", &["eyebrows", "eyes", "glabella", "nose", "mouth", "right_nasolabial", "left_nasolabial"],
                                                                                [3.0, 2.0, 0.0, 0.0, 0.0]),
    part("face", &["inner_face", "jaw"],                                        [0.0, 2.5, 0.4, 1.2, 0.0]),
    part("right_cheek", &["right_cheek"],                                       [0.3, 0.7, 0.8, 1.2, 1.2]),
    part("left_cheek", &["left_cheek"],                                         [0.3, 0.7, 0.8, 1.2, 1.2]),
    part("right_nasolabial", &["right_nasolabial"],                             [0.0, 0.3, 0.5, 1.0, 1.0]),
    part("left_nasolabial", &["left_nasolabial"],                               [0.0, 0.3, 0.5, 1.0, 1.0]),
    part("right_jaw", &["right_jaw"],                                           [0.0, 0.4, 0.6, 0.8, 0.6]),
    part("left_jaw", &["left_jaw"],                                             [0.0, 0.4, 0.6, 0.8, 0.6]),
    part("chin", &["chin"],                                                     [0.5, 0.7, 0.8, 1.0, 0.8]),
    part("forehead", &["center_forehead", "right_forehead", "left_forehead"],             [0.0, 0.7, 0.6, 1.2, 0.4]),
    part("glabella", &["glabella"],                                             [0.0, 0.2, 0.4, 0.8, 1.0]),
    part("right_forehead", &["right_forehead"],                                 [0.0, 0.2, 0.4, 0.6, 0.8]),
    part("left_forehead", &["left_forehead"],                                   [0.0, 0.2, 0.4, 0.6, 0.8]),
    part("philtrum", &["philtrum"],                                             [0.0, 0.2, 0.4, 0.6, 0.8]),
];

/// A part of [`PARTS`] by id.
pub fn named_part(id: &str) -> Option<&'static Part> {
    PARTS.iter().find(|p| p.id == id)
}

/// One to `most` different parts of a list of ids, disjoint; empty only if the list is.
pub fn draw_named(ids: &[&str], most: usize, rng: &mut SmallRng) -> Vec<&'static Part> {
    let wanted = rng.random_range(1..=most.max(1));
    let mut parts: Vec<&'static Part> = Vec::new();
    let mut taken: Set = 0;
    for _ in 0..wanted * 3 {
        let Some(part) = ids.get(rng.random_range(0..ids.len().max(1))).and_then(|id| named_part(id)) else { continue };
        if parts.len() < wanted && part.leaves() & taken == 0 {
            taken |= part.leaves();
            parts.push(part);
        }
    }
    parts
}

impl Part {
    /// The leaves of the part.
    pub fn leaves(&self) -> Set {
        self.concepts.iter().filter_map(|id| fict::part_set(id)).fold(0, |a, b| a | b)
    }

    fn weight(&self, recipe: Recipe) -> f32 {
        self.weights.get(recipe as usize).copied().unwrap_or(0.0)
    }
}

/// One to three disjoint parts that `recipe` may touch; about a fifth of the draws give more than one.
pub fn draw_parts(recipe: Recipe, rng: &mut SmallRng) -> Vec<&'static Part> {
    let wanted = if chance(rng, 0.22) { rng.random_range(2..=3) } else { 1 };
    let mut parts: Vec<&'static Part> = Vec::new();
    let mut taken: Set = 0;
    for _ in 0..wanted * 3 {
        let part = weighted(rng, PARTS, |p| p.weight(recipe));
        if parts.len() < wanted && part.leaves() & taken == 0 {
            taken |= part.leaves();
            parts.push(part);
        }
    }
    parts
}

/// An aligned face: the crop, the mesh in its pixels, its label map.
#[derive(Debug, Clone, Copy)]
pub struct Face<'a> {
    pub image: &'a Img,
    pub mesh: &'a [[f32; 3]],
    pub labels: &'a [u8],
    /// Crop pixels a photo pixel (≥ 1): detail finer than this is not there, so blurs scale with it.
    pub texel: f32,
}

/// What a recipe made.
#[derive(Debug, Clone)]
pub struct Forged {
    pub image: Img,
    /// The pixels that were changed.
    pub mask: Mask,
    /// The mesh of the forged face (moved where the forgery moved features).
    pub mesh: Vec<[f32; 3]>,
    pub parts: Vec<&'static str>,
    /// Drawn parameters, for the record.
    pub params: Vec<(&'static str, f32)>,
}

impl Forged {
    /// Whether there is something to find: a mask that is neither empty nor a speck, and a change that bytes can hold.
    pub fn is_visible(&self, before: &Img, least_levels: f32) -> bool {
        let area = self.mask.data.iter().map(|&m| usize::from(m)).sum::<usize>();
        area * 1500 >= self.mask.data.len() && mean_change(&self.image, before, &self.mask) >= least_levels
    }
}

/// The rounded, wobbled, feathered shape of a set of leaves.
#[derive(Debug)]
pub struct Shape {
    /// Opacity 0..1 for the whole crop.
    pub alpha: Vec<f32>,
    /// Everything above zero.
    pub rect: Rect,
}

/// Least opacity that counts as changed: below it a feathered border is the original to the eye.
pub const LEAST_ALPHA: f32 = 0.3;

impl Shape {
    /// Shape of `set`: grown by `grow` px (negative shrinks), wobbled by `wobble` 0..1, feathered over about `feather` px.
    ///
    /// `None` when nothing is left of it.
    pub fn of(face: &Face, set: Set, grow: f32, wobble: f32, feather: f32, rng: &mut SmallRng) -> Option<Self> {
        let (w, h) = (face.image.width, face.image.height);
        let inside = |l: u8| l != fict::BACKGROUND && l < 128 && set >> l & 1 == 1;
        let rect = Rect::of(w, h, |i| inside(face.labels[i]))?.grown((grow.max(0.0) + 3.0 * feather) as usize + 10, w, h);
        let (rw, rh) = (rect.width(), rect.height());
        let mut a: Vec<f32> = rect.indices(w).map(|i| f32::from(u8::from(inside(face.labels[i])))).collect();
        // Blur and threshold rounds corners; the threshold moves the border by `grow`; smooth noise moves it locally.
        let round = 2.0 + grow.abs().max(2.0);
        gaussian(&mut a, rw, rh, round);
        let noise = if wobble > 0.0 { smooth_noise(rw, rh, 14, rng) } else { vec![0.0; rw * rh] };
        let level = (0.5 - 0.35 * grow / round).clamp(0.08, 0.9);
        for (v, n) in a.iter_mut().zip(&noise) {
            *v = f32::from(u8::from(*v > (level + 0.25 * wobble * n).clamp(0.05, 0.95)));
        }
        gaussian(&mut a, rw, rh, 0.5 * feather.max(0.8));
        let mut alpha = vec![0.0; w * h];
        for (i, v) in rect.indices(w).zip(a) {
            alpha[i] = v;
        }
        let rect = Rect::of(w, h, |i| alpha[i] > 0.004)?;
        Some(Self { alpha, rect })
    }

    /// `over` laid on `under` with this opacity times `ratio`.
    pub fn blend(&self, under: &Img, over: &Img, ratio: f32) -> Img {
        let mut out = under.clone();
        for i in self.rect.indices(under.width) {
            let k = self.alpha[i] * ratio;
            for c in 0..3 {
                out.px[i][c] += k * (over.px[i][c] - under.px[i][c]);
            }
        }
        out
    }

    /// The changed pixels.
    pub fn mask(&self, width: usize, height: usize) -> Mask {
        mask_of_alpha(&self.alpha, width, height, LEAST_ALPHA)
    }
}

/// Smooth noise in about −1..1: random values on a grid of `step` px, bilinearly read.
pub fn smooth_noise(w: usize, h: usize, step: usize, rng: &mut SmallRng) -> Vec<f32> {
    let (gw, gh) = (w / step + 2, h / step + 2);
    let grid: Vec<f32> = (0..gw * gh).map(|_| between(rng, -1.0, 1.0)).collect();
    let mut out = Vec::with_capacity(w * h);
    for y in 0..h {
        let (gy, fy) = (y / step, (y % step) as f32 / step as f32);
        for x in 0..w {
            let (gx, fx) = (x / step, (x % step) as f32 / step as f32);
            let at = |dx: usize, dy: usize| grid[(gy + dy) * gw + gx + dx];
            let top = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
            let low = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
            out.push(top + (low - top) * fy);
        }
    }
    out
}

/// `crude` at difficulty 0, `subtle` at 1, with some play so that recipes differ at one difficulty.
pub fn graded(rng: &mut SmallRng, difficulty: f32, crude: f32, subtle: f32) -> f32 {
    let d = (difficulty + between(rng, -0.15, 0.15)).clamp(0.0, 1.0);
    crude + (subtle - crude) * d
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn every_part_names_known_concepts() {
        for p in PARTS {
            assert!(p.concepts.iter().all(|c| fict::concept(c).is_some()), "{}", p.id);
        }
    }

    #[test]
    fn drawn_parts_are_allowed_and_disjoint() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut many = 0;
        for i in 0..600 {
            let recipe = Recipe::ALL[i % 5];
            let parts = draw_parts(recipe, &mut rng);
            assert!(!parts.is_empty() && parts.len() <= 3);
            many += usize::from(parts.len() > 1);
            let mut seen = 0;
            for p in parts {
                assert!(p.weight(recipe) > 0.0 && seen & p.leaves() == 0);
                seen |= p.leaves();
            }
        }
        assert!((60..180).contains(&many), "{many} of 600 with several parts");
    }
}
