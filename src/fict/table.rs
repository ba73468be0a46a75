//! The concept table: one row a concept, the only place that knows names, parents and outlines.
//!
//! The paper's own 112 names are not public; this tree is ours. `left` and `right` are the SUBJECT's sides: the subject's
//! right eye is on the left of an unmirrored photo. Outlines are closed polygons over the 478-point mesh, written for the
//! subject's right; the left ones are their mirror images ([`super::mesh::MIRROR`]), so the two sides cannot drift apart.
//!
//! Leaves are painted by rising `rank`, so a leaf of higher rank wins where outlines overlap (an eye over its eyelid).
//! To grow the tree, add rows: nothing else depends on the count, except weights trained on it (the order of leaves is the
//! order of the model's concept queries).

/// How a concept gets its pixels.
#[derive(Debug, Clone, Copy)]
pub enum Recipe {
    /// Union of the children.
    Union,
    /// Closed polygon over mesh points, painted at this rank.
    Outline { rank: u8, points: &'static [u16] },
    /// The mirror image of another leaf, painted at the same rank.
    MirrorOf(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Concept {
    /// Stable id, snake_case.
    pub id: &'static str,
    /// English name, as it stands in answers after "the".
    pub en: &'static str,
    /// Simplified Chinese name.
    pub zh: &'static str,
    /// Id of the parent; `None` only for the root.
    pub parent: Option<&'static str>,
    /// Where its pixels come from.
    pub recipe: Recipe,
}

const fn parent(id: &'static str, en: &'static str, zh: &'static str, parent: Option<&'static str>) -> Concept {
    Concept { id, en, zh, parent, recipe: Recipe::Union }
}

const fn leaf(id: &'static str, en: &'static str, zh: &'static str, parent: &'static str, rank: u8, points: &'static [u16]) -> Concept {
    Concept { id, en, zh, parent: Some(parent), recipe: Recipe::Outline { rank, points } }
}

const fn mirror(id: &'static str, en: &'static str, zh: &'static str, parent: &'static str, of: &'static str) -> Concept {
    Concept { id, en, zh, parent: Some(parent), recipe: Recipe::MirrorOf(of) }
}

/// Parents come before their children; leaves keep their relative order for ever.
#[rustfmt::skip]
pub const CONCEPTS: &[Concept] = &[
    parent("face", "face", "面部", None),
    parent("inner_face", "inner face", "面部中央", Some("face")),
    parent("eyebrows", "eyebrows", "双眉", Some("inner_face")),
    leaf("right_eyebrow", "right eyebrow", "右眉", "eyebrows", 2, &[70, 63, 105, 66, 107, 55, 65, 52, 53, 46]),
    mirror("left_eyebrow", "left eyebrow", "左眉", "eyebrows", "right_eyebrow"),
    parent("eyes", "eyes", "双眼", Some("inner_face")),
    parent("right_eye_region", "right eye region", "右眼区域", Some("eyes")),
    leaf("right_eye", "right eye", "右眼", "right_eye_region", 3,
        &[130, 247, 30, 29, 27, 28, 56, 190, 243, 112, 26, 22, 23, 24, 110, 25]),
    leaf("right_upper_eyelid", "right upper eyelid", "右上眼睑", "right_eye_region", 1,
        &[226, 35, 124, 46, 53, 52, 65, 55, 193, 245, 244, 243, 133, 173, 157, 158, 159, 160, 161, 246, 33, 130]),
    leaf("right_under_eye", "skin under the right eye", "右眼下方", "right_eye_region", 1,
        &[226, 35, 111, 117, 118, 119, 120, 121, 128, 245, 244, 243, 133, 155, 154, 153, 145, 144, 163, 7, 33, 130]),
    parent("left_eye_region", "left eye region", "左眼区域", Some("eyes")),
    mirror("left_eye", "left eye", "左眼", "left_eye_region", "right_eye"),
    mirror("left_upper_eyelid", "left upper eyelid", "左上眼睑", "left_eye_region", "right_upper_eyelid"),
    mirror("left_under_eye", "skin under the left eye", "左眼下方", "left_eye_region", "right_under_eye"),
    parent("nose", "nose", "鼻子", Some("inner_face")),
    leaf("nose_bridge", "nose bridge", "鼻梁", "nose", 1,
        &[193, 168, 417, 465, 357, 277, 355, 358, 429, 420, 456, 281, 5, 51, 236, 198, 209, 129, 126, 47, 128, 245]),
    leaf("nose_tip", "nose tip", "鼻尖", "nose", 2,
        &[236, 51, 5, 281, 456, 420, 429, 358, 294, 327, 326, 2, 97, 98, 64, 129, 209, 198]),
    parent("mouth", "mouth", "嘴部", Some("inner_face")),
    leaf("upper_lip", "upper lip", "上唇", "mouth", 3,
        &[61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78]),
    leaf("lower_lip", "lower lip", "下唇", "mouth", 3,
        &[61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95, 78]),
    leaf("inner_mouth", "inner mouth", "口腔", "mouth", 4,
        &[78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]),
    leaf("philtrum", "skin above the upper lip", "人中", "mouth", 1,
        &[98, 97, 2, 326, 327, 391, 322, 410, 409, 270, 269, 267, 0, 37, 39, 40, 185, 186, 92, 165]),
    parent("cheeks", "cheeks", "双颊", Some("inner_face")),
    leaf("right_cheek", "right cheek", "右颊", "cheeks", 0,
        &[127, 34, 143, 35, 111, 117, 118, 119, 120, 121, 128, 47, 126, 129, 203, 206, 216, 207, 187, 147, 177, 132, 93, 234]),
    mirror("left_cheek", "left cheek", "左颊", "cheeks", "right_cheek"),
    leaf("right_nasolabial", "right nasolabial fold", "右法令纹", "cheeks", 1,
        &[129, 203, 206, 216, 212, 57, 61, 185, 186, 92, 165, 98, 64]),
    mirror("left_nasolabial", "left nasolabial fold", "左法令纹", "cheeks", "right_nasolabial"),
    leaf("glabella", "skin between the eyebrows", "眉间", "inner_face", 1, &[107, 9, 336, 285, 417, 168, 193, 55]),
    parent("jaw", "jaw", "下颌", Some("face")),
    leaf("right_jaw", "right side of the jaw", "右下颌", "jaw", 0,
        &[132, 177, 147, 187, 207, 216, 212, 202, 210, 211, 170, 149, 150, 136, 172, 58]),
    mirror("left_jaw", "left side of the jaw", "左下颌", "jaw", "right_jaw"),
    leaf("chin", "chin", "下巴", "jaw", 0,
        &[212, 57, 61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 287, 432, 422, 430, 431, 395, 378, 400, 377, 152,
          148, 176, 149, 170, 211, 210, 202]),
    parent("forehead", "forehead", "额头", Some("face")),
    leaf("right_forehead", "right side of the forehead", "额头右侧", "forehead", 0,
        &[109, 67, 103, 54, 68, 63, 105, 66, 107, 108]),
    leaf("center_forehead", "middle of the forehead", "额头中部", "forehead", 0,
        &[109, 10, 338, 337, 336, 9, 107, 108]),
    mirror("left_forehead", "left side of the forehead", "额头左侧", "forehead", "right_forehead"),
    leaf("right_temple", "right temple", "右太阳穴", "forehead", 0,
        &[54, 68, 63, 46, 124, 35, 143, 34, 127, 162, 21]),
    mirror("left_temple", "left temple", "左太阳穴", "forehead", "right_temple"),
];
