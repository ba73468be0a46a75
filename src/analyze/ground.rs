//! The pixels of a phrase: what was cut out for its `[SEG]`, held to what the phrase says.
//!
//! A phrase names concepts of the tree, and the mesh knows where these lie. So a phrase's mask is
//!
//! ```text
//! ([SEG] mask ∪ artifact mask) ∩ named concept ∩ asked box or drawing
//! ```
//!
//! The artifact mask is the best-trained output of the decoder, and the one by which the name was chosen ([`super::named`]); the `[SEG]` mask adds what it missed. Targets of training are artifact ∩ concept, so words and
//! mask cannot speak of different places. What it gives is in the model card (`loc`, `consistency`).

use crate::fict::Set;
use crate::image::Mask;

/// Added to the logits of the artifact mask: within a part that is named, what is forged with a probability of a tenth is marked. A forgery
/// rarely ends within a part, and where half was asked for the masks came out too small. Fitted to validation persons' masks by their IoU.
const LENIENT: f32 = 2.2;

/// Joins the logits of one or several masks `[n, m, m]` with those of the artifact mask `[m, m]`: the larger one counts.
pub fn join(masks: &mut [f32], artifact: &[f32]) {
    if artifact.is_empty() {
        return;
    }
    for map in masks.chunks_mut(artifact.len()) {
        map.iter_mut().zip(artifact).for_each(|(v, a)| *v = v.max(*a + LENIENT));
    }
}

/// Keeps the pixels of the named parts. A mask of which nothing would be left stays as it is: the decoder saw something, and
/// it is shown where it was seen.
///
/// `labels` are those of [`crate::fict::part_labels`] in the mask's frame.
pub fn keep_to(mask: &mut Mask, labels: &[u8], named: Set) {
    let within = |l: u8| l < 128 && named >> l & 1 == 1;
    if mask.data.len() != labels.len() || !mask.data.iter().zip(labels).any(|(m, l)| *m != 0 && within(*l)) {
        return;
    }
    mask.data.iter_mut().zip(labels).for_each(|(m, l)| *m &= u8::from(within(*l)));
}

/// Keeps the pixels of a box or drawing that was asked about, in the mask's frame: the annotator's answers about one mark nothing beside
/// it. A mask that lies all beside it stays, as one beside its name does.
pub fn keep_inside(mask: &mut Mask, asked: &Mask) {
    let both = |m: &u8, a: &u8| *m != 0 && *a != 0;
    if mask.data.len() == asked.data.len() && mask.data.iter().zip(&asked.data).any(|(m, a)| both(m, a)) {
        mask.data.iter_mut().zip(&asked.data).for_each(|(m, a)| *m = u8::from(both(m, a)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_joined_and_held_to_its_name() {
        let mut logits = vec![-1.0, 4.0, -3.0, 0.5, -1.0, -1.0, -1.0, -1.0];
        join(&mut logits, &[1.0, -1.0, -1.0, -4.0]);
        assert_eq!(logits, [1.0 + LENIENT, 4.0, LENIENT - 1.0, 0.5, 1.0 + LENIENT, LENIENT - 1.0, LENIENT - 1.0, -1.0]);
        let mut mask = Mask { width: 2, height: 2, data: vec![1, 1, 0, 1] };
        keep_to(&mut mask, &[3, 4, 3, 255], 1 << 3 | 1 << 5);
        assert_eq!(mask.data, [1, 0, 0, 0]);
    }

    #[test]
    fn a_mask_beside_its_name_stays_and_bad_labels_change_nothing() {
        let mut mask = Mask { width: 2, height: 1, data: vec![0, 1] };
        keep_to(&mut mask, &[3, 255], 1 << 3);
        assert_eq!(mask.data, [0, 1]);
        keep_to(&mut mask, &[3], 1 << 3);
        assert_eq!(mask.data, [0, 1]);
        join(&mut [], &[]);
    }

    #[test]
    fn a_mask_is_held_to_the_box_that_was_asked_about() {
        let asked = Mask { width: 2, height: 2, data: vec![1, 1, 0, 0] };
        let mut mask = Mask { width: 2, height: 2, data: vec![0, 1, 1, 1] };
        keep_inside(&mut mask, &asked);
        assert_eq!(mask.data, [0, 1, 0, 0]);
        for (beside, bounds) in [([0, 0, 1, 1], &asked), ([0, 1, 1, 1], &Mask { width: 1, height: 1, data: vec![1] })] {
            let mut mask = Mask { width: 2, height: 2, data: beside.to_vec() };
            keep_inside(&mut mask, bounds);
            assert_eq!(mask.data, beside);
        }
    }
}
