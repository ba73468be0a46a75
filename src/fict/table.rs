//! The concept table: one row a concept, the only place that knows names, parents and shapes.
//!
//! The paper's own 112 names are not public; this tree is ours. `left` and `right` are the SUBJECT's sides: the subject's
//! right eye is on the left of an unmirrored photo. Shapes are written for the subject's right; the left ones are their
//! mirror images ([`super::mesh::MIRROR`]), so the two sides cannot drift apart.
//!
//! Three kinds of shape. A **part** is a closed polygon over the 478-point mesh, painted by rising `rank`, so a part of
//! higher rank wins where outlines overlap (an eye over its eyelid). Parts are what the model knows: their order is the
//! order of its concept queries and must not change. A part is divided by the **cuts** below it. The rest of the picture
//! is divided by **zones**: polygons in the head's own frame ([`super::head`]).
//!
//! Within a part, on the body and behind it the FIRST row whose shape holds a pixel takes it, so rows can overlap freely and
//! the last one takes the rest.

/// How a part is divided. All points are mesh points.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// Where the line through two points has the third point.
    Side([u16; 2], u16),
    /// A disc around a point; its radius is `scale` × the mean distance of the points of the rim.
    Disc { centre: u16, rim: [u16; 4], scale: f32 },
    /// A closed polygon.
    Area(&'static [u16]),
    /// Whatever is left of the part.
    Rest,
}

/// How a concept gets its pixels.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Union of the children; a name that the model uses, too.
    Union,
    /// Union of the children; only the whole tree has it.
    Group,
    /// Part: closed polygon over mesh points, painted at this rank.
    Outline { rank: u8, points: &'static [u16] },
    /// Part: the mirror image of another part, painted at the same rank.
    MirrorOf(&'static str),
    /// Leaf: a piece of the part above it.
    Cut(Cut),
    /// Leaf: pixels of the person that belong to no part, inside of a polygon in the head's frame.
    Body(&'static [[f32; 2]]),
    /// Leaf: pixels behind the person, inside of a polygon in the head's frame.
    Behind(&'static [[f32; 2]]),
    /// Leaf: the mirror image of another leaf.
    Twin(&'static str),
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
    pub shape: Shape,
}

impl Concept {
    /// Whether the model has a query for it.
    pub const fn is_part(&self) -> bool {
        matches!(self.shape, Shape::Outline { .. } | Shape::MirrorOf(_))
    }

    /// Whether it is a name of the model's vocabulary: a part, or a union of parts.
    pub const fn is_known(&self) -> bool {
        self.is_part() || matches!(self.shape, Shape::Union)
    }
}

const fn parent(id: &'static str, en: &'static str, zh: &'static str, parent: Option<&'static str>) -> Concept {
    Concept { id, en, zh, parent, shape: Shape::Union }
}

const fn group(id: &'static str, en: &'static str, zh: &'static str, parent: Option<&'static str>) -> Concept {
    Concept { id, en, zh, parent, shape: Shape::Group }
}

const fn part(id: &'static str, en: &'static str, zh: &'static str, parent: &'static str, rank: u8, points: &'static [u16]) -> Concept {
    Concept { id, en, zh, parent: Some(parent), shape: Shape::Outline { rank, points } }
}

const fn mirror(id: &'static str, en: &'static str, zh: &'static str, parent: &'static str, of: &'static str) -> Concept {
    Concept { id, en, zh, parent: Some(parent), shape: Shape::MirrorOf(of) }
}

const fn cut(id: &'static str, en: &'static str, zh: &'static str, parent: &'static str, cut: Cut) -> Concept {
    Concept { id, en, zh, parent: Some(parent), shape: Shape::Cut(cut) }
}

const fn body(id: &'static str, en: &'static str, zh: &'static str, parent: &'static str, zone: &'static [[f32; 2]]) -> Concept {
    Concept { id, en, zh, parent: Some(parent), shape: Shape::Body(zone) }
}

const fn back(id: &'static str, en: &'static str, zh: &'static str, parent: &'static str, zone: &'static [[f32; 2]]) -> Concept {
    Concept { id, en, zh, parent: Some(parent), shape: Shape::Behind(zone) }
}

const fn twin(id: &'static str, en: &'static str, zh: &'static str, parent: &'static str, of: &'static str) -> Concept {
    Concept { id, en, zh, parent: Some(parent), shape: Shape::Twin(of) }
}

/// Parents come before their children; parts keep their relative order for ever.
#[rustfmt::skip]
pub const TREE: &[Concept] = &[
    group("picture", "picture", "画面", None),
    parent("face", "face", "面部", Some("picture")),
    parent("inner_face", "inner face", "面部中央", Some("face")),
    parent("eyebrows", "eyebrows", "双眉", Some("inner_face")),
    part("right_eyebrow", "right eyebrow", "右眉", "eyebrows", 2, &[70, 63, 105, 66, 107, 55, 65, 52, 53, 46]),
    cut("right_eyebrow_head", "inner end of the right eyebrow", "右眉头", "right_eyebrow", Cut::Side([66, 65], 107)),
    cut("right_eyebrow_tail", "outer end of the right eyebrow", "右眉尾", "right_eyebrow", Cut::Side([63, 53], 70)),
    cut("right_brow_lower_edge", "lower edge of the right eyebrow", "右眉下缘", "right_eyebrow", Cut::Area(&[53, 52, 65, 55, 222, 223])),
    cut("right_eyebrow_body", "middle of the right eyebrow", "右眉腰", "right_eyebrow", Cut::Rest),
    mirror("left_eyebrow", "left eyebrow", "左眉", "eyebrows", "right_eyebrow"),
    twin("left_eyebrow_head", "inner end of the left eyebrow", "左眉头", "left_eyebrow", "right_eyebrow_head"),
    twin("left_eyebrow_tail", "outer end of the left eyebrow", "左眉尾", "left_eyebrow", "right_eyebrow_tail"),
    twin("left_brow_lower_edge", "lower edge of the left eyebrow", "左眉下缘", "left_eyebrow", "right_brow_lower_edge"),
    twin("left_eyebrow_body", "middle of the left eyebrow", "左眉腰", "left_eyebrow", "right_eyebrow_body"),
    parent("eyes", "eyes", "双眼", Some("inner_face")),
    parent("right_eye_region", "right eye region", "右眼区域", Some("eyes")),
    part("right_eye", "right eye", "右眼", "right_eye_region", 3,
        &[130, 247, 30, 29, 27, 28, 56, 190, 243, 112, 26, 22, 23, 24, 110, 25]),
    cut("right_upper_lid_edge", "edge of the right upper eyelid", "右上睑缘", "right_eye",
        Cut::Area(&[130, 247, 30, 29, 27, 28, 56, 190, 243, 133, 173, 157, 158, 159, 160, 161, 246, 33])),
    cut("right_lower_lid_edge", "edge of the right lower eyelid", "右下睑缘", "right_eye",
        Cut::Area(&[130, 25, 110, 24, 23, 22, 26, 112, 243, 133, 155, 154, 153, 145, 144, 163, 7, 33])),
    group("right_eye_opening", "opening of the right eye", "右睑裂", Some("right_eye")),
    cut("right_pupil", "right pupil", "右瞳孔", "right_eye_opening", Cut::Disc { centre: 468, rim: [469, 470, 471, 472], scale: 0.4 }),
    cut("right_iris", "right iris", "右虹膜", "right_eye_opening", Cut::Disc { centre: 468, rim: [469, 470, 471, 472], scale: 1.0 }),
    cut("right_inner_eye_corner", "inner corner of the right eye", "右内眼角", "right_eye_opening", Cut::Side([157, 154], 133)),
    cut("right_outer_eye_corner", "outer corner of the right eye", "右外眼角", "right_eye_opening", Cut::Side([161, 163], 33)),
    cut("right_inner_sclera", "white of the right eye, nose side", "右眼白内侧", "right_eye_opening", Cut::Side([470, 472], 133)),
    cut("right_outer_sclera", "white of the right eye, temple side", "右眼白外侧", "right_eye_opening", Cut::Rest),
    part("right_upper_eyelid", "right upper eyelid", "右上眼睑", "right_eye_region", 1,
        &[226, 35, 124, 46, 53, 52, 65, 55, 193, 245, 244, 243, 133, 173, 157, 158, 159, 160, 161, 246, 33, 130]),
    cut("right_upper_eyelid_inner", "inner half of the right upper eyelid", "右上眼睑内侧", "right_upper_eyelid", Cut::Side([52, 159], 193)),
    cut("right_upper_eyelid_outer", "outer half of the right upper eyelid", "右上眼睑外侧", "right_upper_eyelid", Cut::Rest),
    part("right_under_eye", "skin under the right eye", "右眼下方", "right_eye_region", 1,
        &[226, 35, 111, 117, 118, 119, 120, 121, 128, 245, 244, 243, 133, 155, 154, 153, 145, 144, 163, 7, 33, 130]),
    cut("right_tear_trough", "right tear trough", "右泪沟", "right_under_eye", Cut::Side([120, 153], 128)),
    cut("right_crow_feet", "skin beside the right eye", "右眼尾皮肤", "right_under_eye", Cut::Side([117, 163], 226)),
    cut("right_eye_bag", "right eye bag", "右眼袋", "right_under_eye", Cut::Rest),
    parent("left_eye_region", "left eye region", "左眼区域", Some("eyes")),
    mirror("left_eye", "left eye", "左眼", "left_eye_region", "right_eye"),
    twin("left_upper_lid_edge", "edge of the left upper eyelid", "左上睑缘", "left_eye", "right_upper_lid_edge"),
    twin("left_lower_lid_edge", "edge of the left lower eyelid", "左下睑缘", "left_eye", "right_lower_lid_edge"),
    group("left_eye_opening", "opening of the left eye", "左睑裂", Some("left_eye")),
    twin("left_pupil", "left pupil", "左瞳孔", "left_eye_opening", "right_pupil"),
    twin("left_iris", "left iris", "左虹膜", "left_eye_opening", "right_iris"),
    twin("left_inner_eye_corner", "inner corner of the left eye", "左内眼角", "left_eye_opening", "right_inner_eye_corner"),
    twin("left_outer_eye_corner", "outer corner of the left eye", "左外眼角", "left_eye_opening", "right_outer_eye_corner"),
    twin("left_inner_sclera", "white of the left eye, nose side", "左眼白内侧", "left_eye_opening", "right_inner_sclera"),
    twin("left_outer_sclera", "white of the left eye, temple side", "左眼白外侧", "left_eye_opening", "right_outer_sclera"),
    mirror("left_upper_eyelid", "left upper eyelid", "左上眼睑", "left_eye_region", "right_upper_eyelid"),
    twin("left_upper_eyelid_inner", "inner half of the left upper eyelid", "左上眼睑内侧", "left_upper_eyelid", "right_upper_eyelid_inner"),
    twin("left_upper_eyelid_outer", "outer half of the left upper eyelid", "左上眼睑外侧", "left_upper_eyelid", "right_upper_eyelid_outer"),
    mirror("left_under_eye", "skin under the left eye", "左眼下方", "left_eye_region", "right_under_eye"),
    twin("left_tear_trough", "left tear trough", "左泪沟", "left_under_eye", "right_tear_trough"),
    twin("left_crow_feet", "skin beside the left eye", "左眼尾皮肤", "left_under_eye", "right_crow_feet"),
    twin("left_eye_bag", "left eye bag", "左眼袋", "left_under_eye", "right_eye_bag"),
    parent("nose", "nose", "鼻子", Some("inner_face")),
    part("nose_bridge", "nose bridge", "鼻梁", "nose", 1,
        &[193, 168, 417, 465, 357, 277, 355, 358, 429, 420, 456, 281, 5, 51, 236, 198, 209, 129, 126, 47, 128, 245]),
    cut("nose_root", "root of the nose", "鼻根", "nose_bridge", Cut::Side([122, 351], 168)),
    cut("nose_dorsum", "ridge of the nose", "鼻梁脊", "nose_bridge", Cut::Area(&[122, 196, 3, 51, 5, 281, 248, 419, 351, 6])),
    cut("right_nose_side", "right side of the nose", "鼻子右侧", "nose_bridge", Cut::Side([168, 195], 129)),
    cut("left_nose_side", "left side of the nose", "鼻子左侧", "nose_bridge", Cut::Rest),
    part("nose_tip", "nose tip", "鼻尖", "nose", 2,
        &[236, 51, 5, 281, 456, 420, 429, 358, 294, 327, 326, 2, 97, 98, 64, 129, 209, 198]),
    cut("right_nostril", "right nostril", "右鼻孔", "nose_tip", Cut::Area(&[79, 166, 59, 75, 60, 20, 238])),
    twin("left_nostril", "left nostril", "左鼻孔", "nose_tip", "right_nostril"),
    cut("columella", "skin between the nostrils", "鼻小柱", "nose_tip", Cut::Area(&[241, 125, 19, 354, 461, 462, 370, 2, 141, 242])),
    cut("right_nose_wing", "right wing of the nose", "右鼻翼", "nose_tip", Cut::Side([198, 218], 64)),
    twin("left_nose_wing", "left wing of the nose", "左鼻翼", "nose_tip", "right_nose_wing"),
    cut("nose_apex", "point of the nose", "鼻尖顶", "nose_tip", Cut::Rest),
    parent("mouth", "mouth", "嘴部", Some("inner_face")),
    part("upper_lip", "upper lip", "上唇", "mouth", 3,
        &[61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78]),
    cut("right_upper_lip_corner", "right corner of the upper lip", "上唇右口角", "upper_lip", Cut::Side([40, 80], 61)),
    twin("left_upper_lip_corner", "left corner of the upper lip", "上唇左口角", "upper_lip", "right_upper_lip_corner"),
    cut("right_upper_lip", "right side of the upper lip", "上唇右侧", "upper_lip", Cut::Side([37, 82], 61)),
    twin("left_upper_lip", "left side of the upper lip", "上唇左侧", "upper_lip", "right_upper_lip"),
    cut("cupid_bow", "cupid's bow", "唇弓", "upper_lip", Cut::Rest),
    part("lower_lip", "lower lip", "下唇", "mouth", 3,
        &[61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95, 78]),
    cut("right_lower_lip_corner", "right corner of the lower lip", "下唇右口角", "lower_lip", Cut::Side([91, 88], 61)),
    twin("left_lower_lip_corner", "left corner of the lower lip", "下唇左口角", "lower_lip", "right_lower_lip_corner"),
    cut("right_lower_lip", "right side of the lower lip", "下唇右侧", "lower_lip", Cut::Side([84, 87], 61)),
    twin("left_lower_lip", "left side of the lower lip", "下唇左侧", "lower_lip", "right_lower_lip"),
    cut("lower_lip_middle", "middle of the lower lip", "下唇中部", "lower_lip", Cut::Rest),
    part("inner_mouth", "inner mouth", "口腔", "mouth", 4,
        &[78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]),
    cut("upper_teeth", "upper teeth", "上齿", "inner_mouth", Cut::Side([88, 318], 4)),
    cut("lower_teeth", "lower teeth and tongue", "下齿与舌", "inner_mouth", Cut::Rest),
    part("philtrum", "skin above the upper lip", "人中", "mouth", 1,
        &[98, 97, 2, 326, 327, 391, 322, 410, 409, 270, 269, 267, 0, 37, 39, 40, 185, 186, 92, 165]),
    cut("right_upper_lip_skin", "right side of the skin above the upper lip", "上唇皮肤右侧", "philtrum", Cut::Side([97, 37], 165)),
    twin("left_upper_lip_skin", "left side of the skin above the upper lip", "上唇皮肤左侧", "philtrum", "right_upper_lip_skin"),
    cut("philtrum_groove", "groove above the upper lip", "人中沟", "philtrum", Cut::Rest),
    parent("cheeks", "cheeks", "双颊", Some("inner_face")),
    part("right_cheek", "right cheek", "右颊", "cheeks", 0,
        &[127, 34, 143, 35, 111, 117, 118, 119, 120, 121, 128, 47, 126, 129, 203, 206, 216, 207, 187, 147, 177, 132, 93, 234]),
    cut("right_cheek_outer", "right cheek before the ear", "右耳前颊部", "right_cheek", Cut::Side([143, 147], 234)),
    cut("right_cheek_inner", "right cheek beside the nose", "右鼻旁颊部", "right_cheek", Cut::Side([120, 206], 129)),
    cut("right_cheekbone", "right cheekbone", "右颧部", "right_cheek", Cut::Side([123, 36], 118)),
    cut("right_cheek_lower", "lower right cheek", "右颊下部", "right_cheek", Cut::Rest),
    mirror("left_cheek", "left cheek", "左颊", "cheeks", "right_cheek"),
    twin("left_cheek_outer", "left cheek before the ear", "左耳前颊部", "left_cheek", "right_cheek_outer"),
    twin("left_cheek_inner", "left cheek beside the nose", "左鼻旁颊部", "left_cheek", "right_cheek_inner"),
    twin("left_cheekbone", "left cheekbone", "左颧部", "left_cheek", "right_cheekbone"),
    twin("left_cheek_lower", "lower left cheek", "左颊下部", "left_cheek", "right_cheek_lower"),
    part("right_nasolabial", "right nasolabial fold", "右法令纹", "cheeks", 1,
        &[129, 203, 206, 216, 212, 57, 61, 185, 186, 92, 165, 98, 64]),
    cut("right_nasolabial_upper", "upper right nasolabial fold", "右法令纹上段", "right_nasolabial", Cut::Side([206, 165], 129)),
    cut("right_nasolabial_lower", "lower right nasolabial fold", "右法令纹下段", "right_nasolabial", Cut::Rest),
    mirror("left_nasolabial", "left nasolabial fold", "左法令纹", "cheeks", "right_nasolabial"),
    twin("left_nasolabial_upper", "upper left nasolabial fold", "左法令纹上段", "left_nasolabial", "right_nasolabial_upper"),
    twin("left_nasolabial_lower", "lower left nasolabial fold", "左法令纹下段", "left_nasolabial", "right_nasolabial_lower"),
    part("glabella", "skin between the eyebrows", "眉间", "inner_face", 1, &[107, 9, 336, 285, 417, 168, 193, 55]),
    parent("jaw", "jaw", "下颌", Some("face")),
    part("right_jaw", "right side of the jaw", "右下颌", "jaw", 0,
        &[132, 177, 147, 187, 207, 216, 212, 202, 210, 211, 170, 149, 150, 136, 172, 58]),
    cut("right_jaw_angle", "right angle of the jaw", "右下颌角", "right_jaw", Cut::Side([187, 136], 58)),
    cut("right_jaw_body", "right jaw line", "右下颌缘", "right_jaw", Cut::Rest),
    mirror("left_jaw", "left side of the jaw", "左下颌", "jaw", "right_jaw"),
    twin("left_jaw_angle", "left angle of the jaw", "左下颌角", "left_jaw", "right_jaw_angle"),
    twin("left_jaw_body", "left jaw line", "左下颌缘", "left_jaw", "right_jaw_body"),
    part("chin", "chin", "下巴", "jaw", 0,
        &[212, 57, 61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 287, 432, 422, 430, 431, 395, 378, 400, 377, 152,
          148, 176, 149, 170, 211, 210, 202]),
    cut("under_lip", "skin under the lower lip", "下唇下方", "chin", Cut::Side([194, 418], 4)),
    cut("right_chin", "right side of the chin", "下巴右侧", "chin", Cut::Side([194, 176], 212)),
    twin("left_chin", "left side of the chin", "下巴左侧", "chin", "right_chin"),
    cut("chin_pad", "point of the chin", "颏尖", "chin", Cut::Rest),
    parent("forehead", "forehead", "额头", Some("face")),
    part("right_forehead", "right side of the forehead", "额头右侧", "forehead", 0,
        &[109, 67, 103, 54, 68, 63, 105, 66, 107, 108]),
    cut("right_forehead_upper", "upper right forehead", "额头右上部", "right_forehead", Cut::Side([108, 68], 103)),
    cut("right_forehead_lower", "forehead above the right eyebrow", "右眉上方额部", "right_forehead", Cut::Rest),
    part("center_forehead", "middle of the forehead", "额头中部", "forehead", 0,
        &[109, 10, 338, 337, 336, 9, 107, 108]),
    cut("center_forehead_upper", "upper middle of the forehead", "额头中上部", "center_forehead", Cut::Side([108, 337], 10)),
    cut("center_forehead_lower", "lower middle of the forehead", "额头中下部", "center_forehead", Cut::Rest),
    mirror("left_forehead", "left side of the forehead", "额头左侧", "forehead", "right_forehead"),
    twin("left_forehead_upper", "upper left forehead", "额头左上部", "left_forehead", "right_forehead_upper"),
    twin("left_forehead_lower", "forehead above the left eyebrow", "左眉上方额部", "left_forehead", "right_forehead_lower"),
    part("right_temple", "right temple", "右太阳穴", "forehead", 0,
        &[54, 68, 63, 46, 124, 35, 143, 34, 127, 162, 21]),
    mirror("left_temple", "left temple", "左太阳穴", "forehead", "right_temple"),
    group("ears", "ears", "双耳", Some("picture")),
    group("right_ear", "right ear", "右耳", Some("ears")),
    body("right_ear_upper", "upper right ear", "右耳上部", "right_ear",
        &[[-0.80, 0.53], [-0.80, 0.70], [-1.08, 0.71], [-1.19, 0.68], [-1.21, 0.53]]),
    body("right_ear_lobe", "right ear lobe", "右耳垂", "right_ear",
        &[[-0.70, 0.36], [-0.80, 0.53], [-1.21, 0.53], [-1.14, 0.40], [-1.04, 0.34]]),
    group("left_ear", "left ear", "左耳", Some("ears")),
    twin("left_ear_upper", "upper left ear", "左耳上部", "left_ear", "right_ear_upper"),
    twin("left_ear_lobe", "left ear lobe", "左耳垂", "left_ear", "right_ear_lobe"),
    group("hair", "hair", "头发", Some("picture")),
    group("hairline", "hairline", "发际线", Some("hair")),
    body("hairline_middle", "middle of the hairline", "发际线中部", "hairline",
        &[[-0.40, 0.50], [-0.40, 1.15], [0.00, 1.16], [0.40, 1.15], [0.40, 0.50]]),
    body("right_hairline", "right hairline", "右侧发际线", "hairline",
        &[[-0.40, 0.50], [-0.40, 1.15], [-0.74, 1.08], [-0.96, 0.97], [-1.08, 0.86], [-1.12, 0.71], [-0.80, 0.50]]),
    twin("left_hairline", "left hairline", "左侧发际线", "hairline", "right_hairline"),
    body("hair_crown", "hair on the crown", "头顶头发", "hair",
        &[[-0.55, 0.50], [-1.10, 99.0], [1.10, 99.0], [0.55, 0.50]]),
    body("right_hair", "hair on the right side", "右侧头发", "hair",
        &[[0.00, 0.45], [-99.0, 0.45], [-99.0, 99.0], [0.00, 99.0]]),
    twin("left_hair", "hair on the left side", "左侧头发", "hair", "right_hair"),
    group("accessories", "accessories and clothes", "饰物与衣着", Some("picture")),
    body("right_earring", "place of the right earring", "右耳饰处", "accessories",
        &[[-0.60, 0.22], [-0.60, 0.45], [-1.30, 0.45], [-1.30, 0.22]]),
    twin("left_earring", "place of the left earring", "左耳饰处", "accessories", "right_earring"),
    group("neck", "neck", "颈部", Some("picture")),
    body("throat", "throat", "喉部", "neck",
        &[[-0.32, -0.20], [-0.32, 0.50], [0.32, 0.50], [0.32, -0.20]]),
    body("right_neck", "right side of the neck", "颈部右侧", "neck",
        &[[0.00, -0.16], [0.00, 0.45], [-0.80, 0.45], [-0.80, -0.16]]),
    twin("left_neck", "left side of the neck", "颈部左侧", "neck", "right_neck"),
    body("right_long_hair", "hair beside the right neck", "右颈旁头发", "hair",
        &[[0.00, -0.20], [-99.0, -0.20], [-99.0, 0.45], [0.00, 0.45]]),
    twin("left_long_hair", "hair beside the left neck", "左颈旁头发", "hair", "right_long_hair"),
    body("collar", "collar and necklace", "领口与项链", "accessories",
        &[[-0.60, -0.70], [-0.60, 0.20], [0.60, 0.20], [0.60, -0.70]]),
    body("right_clothes", "clothes on the right shoulder", "右肩衣着", "accessories",
        &[[0.00, -99.0], [-99.0, -99.0], [-99.0, 99.0], [0.00, 99.0]]),
    twin("left_clothes", "clothes on the left shoulder", "左肩衣着", "accessories", "right_clothes"),
    group("background", "background", "背景", Some("picture")),
    back("background_upper_right", "background above, subject's right", "右上背景", "background", &[[0.00, 0.50], [-99.0, 0.50], [-99.0, 99.0], [0.00, 99.0]]),
    twin("background_upper_left", "background above, subject's left", "左上背景", "background", "background_upper_right"),
    back("background_lower_right", "background below, subject's right", "右下背景", "background", &[[0.00, 0.50], [-99.0, 0.50], [-99.0, -99.0], [0.00, -99.0]]),
    twin("background_lower_left", "background below, subject's left", "左下背景", "background", "background_lower_right"),
];
