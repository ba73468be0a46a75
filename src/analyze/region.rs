//! From what the user chose (a name, a box, a drawing) to a region of the crop.

use crate::analyze::Photo;
use crate::analyze::request::Request;
use crate::error::{Error, Result};
use crate::face::{Crop, Face};
use crate::fict;
use crate::image::Mask;
use crate::model::region::RegionMask;
use crate::text::ask::THIS_REGION;

/// An asked region.
pub struct Asked {
    /// Its name in the question.
    pub name: String,
    /// Its cells, in the crop's frame.
    pub mask: RegionMask,
    /// Share of every part that it covers, 0..1.
    pub shares: Vec<f32>,
    /// A box or drawing in the frame of the answer's masks, which are held to it; a named region is held to by the names in the answer.
    pub bounds: Option<Mask>,
}

/// Where a question looks, for one face.
pub enum Place {
    /// The whole face.
    Whole,
    /// A region of its crop.
    Part(Asked),
    /// A region that does not touch its crop.
    Elsewhere,
}

/// Part of every pixel of a face's crop, row-major `[side, side]`.
pub fn labels(face: &Face, crop: &Crop) -> Vec<u8> {
    fict::part_labels(&mesh(face, crop), crop.side, crop.side)
}

/// A face's mesh in pixels of its crop; depths as they are.
pub fn mesh(face: &Face, crop: &Crop) -> Vec<[f32; 3]> {
    let moved = |p: &[f32; 3]| {
        let [x, y] = crop.to_crop([p[0], p[1]]);
        [x, y, p[2]]
    };
    face.mesh.iter().map(moved).collect()
}

/// A mask of the photo in pixels of a crop, nearest value.
pub fn mask_to_crop(mask: &Mask, crop: &Crop) -> Mask {
    draw(crop, |x, y| holds(mask, x, y))
}

/// Whether a point of the photo lies in a mask of it.
fn holds(mask: &Mask, x: f32, y: f32) -> bool {
    let (w, h) = (mask.width, mask.height);
    x >= 0.0 && y >= 0.0 && (x as usize) < w && (y as usize) < h && mask.data[y as usize * w + x as usize] != 0
}

/// What a request asks about in one face, whose crop has these [`labels`].
///
/// # Errors
/// [`Error::Request`] for an unknown name, a box without area, a malformed mask.
pub fn place(photo: &Photo, crop: &Crop, labels: &[u8], request: &Request) -> Result<Place> {
    let side = crop.side;
    let [width, height] = [photo.picture.rgb.width, photo.picture.rgb.height];
    let (name, mask, bounds) = if let Some(region) = &request.region {
        let concept = fict::named(region).ok_or_else(|| Error::Request(format!("no region is called {region}")))?;
        (concept.en.to_string(), fict::mask_of(labels, fict::part_set(concept.id).unwrap_or(0), side, side), None)
    } else if let Some(b) = &request.bbox {
        if ![b.x, b.y, b.w, b.h].iter().all(|v| v.is_finite()) || b.w <= 0.0 || b.h <= 0.0 {
            return Err(Error::Request("the box has no area".into()));
        }
        let inside = |x: f32, y: f32| x >= b.x && y >= b.y && x < b.x + b.w && y < b.y + b.h;
        (THIS_REGION.into(), draw(crop, inside), Some(Mask::from_bbox(width, height, b)))
    } else if let Some(rle) = &request.mask {
        let drawn = rle.decode()?;
        if [drawn.width, drawn.height] != [width, height] {
            return Err(Error::Request("the mask has another size than the photo".into()));
        }
        (THIS_REGION.into(), mask_to_crop(&drawn, crop), Some(drawn))
    } else {
        return Ok(Place::Whole);
    };
    if mask.data.iter().all(|v| *v == 0) {
        return Ok(Place::Elsewhere);
    }
    let shares = shares(labels, &mask);
    Ok(Place::Part(Asked { name, mask: RegionMask::from_crop_mask(&mask.data, side), shares, bounds }))
}

/// Share of every part of a label map that a mask covers.
pub(crate) fn shares(labels: &[u8], mask: &Mask) -> Vec<f32> {
    let (mut area, mut both) = ([0u32; fict::PARTS], [0u32; fict::PARTS]);
    for (l, m) in labels.iter().zip(&mask.data) {
        if let Some(n) = area.get_mut(usize::from(*l)) {
            *n += 1;
            both[usize::from(*l)] += u32::from(*m);
        }
    }
    area.iter().zip(&both).map(|(a, b)| *b as f32 / (*a).max(1) as f32).collect()
}

fn empty(side: usize) -> Mask {
    Mask { width: side, height: side, data: vec![0; side * side] }
}

/// Crop pixels whose centre lies inside a region of the photo.
fn draw(crop: &Crop, inside: impl Fn(f32, f32) -> bool) -> Mask {
    let mut mask = empty(crop.side);
    for (i, v) in mask.data.iter_mut().enumerate() {
        let [x, y] = crop.to_photo([(i % crop.side) as f32 + 0.5, (i / crop.side) as f32 + 0.5]);
        *v = u8::from(inside(x, y));
    }
    mask
}
