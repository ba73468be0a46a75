//! Weights in fixed point, rounded once: what [`crate::quant::cpu::fixed`] multiplies by, kept beside the float weight that it was made
//! from. Rounding a weight takes a seventh of the time of multiplying 256 tokens by it.
//!
//! The key is where the float weight lies in memory. A handle on it is kept, too, so that nothing else can come to lie there, and so
//! that whoever changes the weight changes a copy.

use crate::quant::cpu::fixed::Weight;
use burn_flex::FlexTensor;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Most bytes kept; then all is dropped. The shipped model needs a third of it; training makes new weights in every step.
const MOST: usize = 96 << 20;

#[derive(Default)]
struct Kept {
    weights: HashMap<(usize, usize), (FlexTensor, Arc<Weight>)>,
    bytes: usize,
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

/// The rounded form of a weight; `make` rounds its values if that was not done before.
pub(super) fn rounded(weight: &FlexTensor, make: impl FnOnce(&[f32]) -> Weight) -> Arc<Weight> {
    let values: &[f32] = weight.storage();
    // Nobody else holds it: a copy made for this call, which will not come again.
    if weight.is_unique() {
        return Arc::new(make(values));
    }
    let key = (values.as_ptr() as usize, values.len());
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = kept().weights.get(&key) {
        return known.clone();
    }
    let made = Arc::new(make(values));
    let mut kept = kept();
    // The float weight is the model's own; what is kept besides is half of it.
    let bytes = values.len() * 2;
    if kept.bytes + bytes > MOST {
        *kept = Kept::default();
    }
    if kept.weights.insert(key, (weight.clone(), made.clone())).is_none() {
        kept.bytes += bytes;
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::cpu::fixed::Order;
    use burn::tensor::TensorData;

    #[test]
    fn a_weight_is_rounded_once_and_a_copy_of_its_own() {
        let tensor = |v: f32| FlexTensor::from_data(TensorData::new(vec![v; 64], [8, 8]));
        let (a, mut made) = (tensor(1.0), 0);
        let held = a.clone();
        for _ in 0..3 {
            rounded(&held, |w| {
                made += 1;
                Weight::new(w, 8, 8, Order::InOut)
            });
        }
        assert_eq!(made, 1);
        drop((a, held));
        // The entry above holds its memory, so no other weight can be taken for it.
        let b = tensor(2.0);
        let _held = b.clone();
        rounded(&b, |w| {
            made += 1;
            assert_eq!(w[0], 2.0);
            Weight::new(w, 8, 8, Order::InOut)
        });
        assert_eq!(made, 2);
        let alone = tensor(3.0);
        for _ in 0..2 {
            rounded(&alone, |w| {
                made += 1;
                Weight::new(w, 8, 8, Order::InOut)
            });
        }
        assert_eq!(made, 4, "what nobody else holds is not kept");
    }
}
