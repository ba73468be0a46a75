//! Losses of the vision stage. Weights of the mask terms are LISA's and GLaMM's: 2.0 BCE + 0.5 Dice.

use burn::tensor::activation::{log_softmax, relu, sigmoid};
use burn::tensor::{Int, Tensor};

/// Weight of the pixel-wise term.
const MASK_BCE: f32 = 2.0;
/// Weight of the overlap term.
const MASK_DICE: f32 = 0.5;

/// Elementwise binary cross-entropy of logits `x` and targets `y` (0..1), in the form that cannot overflow.
pub fn bce<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    let tail = (x.clone().abs().neg().exp() + 1.0).log();
    relu(x.clone()) - x * y + tail
}

/// Cross-entropy of logits `[n, c]` against class ids `[n]`, mean.
pub fn cross_entropy(x: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
    let n = classes.dims()[0];
    log_softmax(x, 1).gather(1, classes.reshape([n, 1])).mean().neg()
}

/// Cross-entropy of logits `[n, c]` against class ids `[n]`, weighted by `[n]` and divided by the sum of weights.
pub fn weighted_cross_entropy(x: Tensor<2>, classes: Tensor<1, Int>, weight: Tensor<1>) -> Tensor<1> {
    let n = classes.dims()[0];
    let rows: Tensor<1> = log_softmax(x, 1).gather(1, classes.reshape([n, 1])).reshape([n]);
    (rows * weight.clone()).sum().neg() / weight.sum()
}

/// Cross-entropy of logits `[n, c]` against distributions `[n, c]`, weighted by row `[n]` and divided by their sum.
pub fn soft_cross_entropy(x: Tensor<2>, target: Tensor<2>, weight: Tensor<1>) -> Tensor<1> {
    let n = weight.dims()[0];
    let rows: Tensor<1> = (log_softmax(x, 1) * target).sum_dim(1).reshape([n]);
    (rows * weight.clone()).sum().neg() / (weight.sum() + 1e-6)
}

/// Mask loss of logits and targets `[b, n, h, w]`: mean over masks of 2 BCE + 0.5 Dice; the Dice term counts only for
/// masks that are not empty, because overlap with nothing says nothing.
///
/// `weight`: `[b, n]`, share of each mask in the mean.
pub fn masks(x: Tensor<4>, y: Tensor<4>, weight: Tensor<2>) -> Tensor<1> {
    let [b, n, h, w] = x.dims();
    let x: Tensor<3> = x.reshape([b, n, h * w]);
    let y: Tensor<3> = y.reshape([b, n, h * w]);
    let pixel: Tensor<2> = bce(x.clone(), y.clone()).mean_dim(2).reshape([b, n]);
    let p = sigmoid(x);
    let both: Tensor<2> = (p.clone() * y.clone()).sum_dim(2).reshape([b, n]);
    let size: Tensor<2> = y.clone().sum_dim(2).reshape([b, n]);
    let sum: Tensor<2> = p.sum_dim(2).reshape([b, n]) + size.clone();
    let dice = (both * 2.0 + 1.0).div(sum + 1.0).neg() + 1.0;
    let present = size.greater_elem(0.5).float();
    let each = pixel * MASK_BCE + dice * present * MASK_DICE;
    (each * weight.clone()).sum() / (weight.sum() + 1e-6)
}

/// Loss of an evidence map, logits and targets `[b, 1, h, w]`: forged places count five times, because they are few; plus Dice.
pub fn evidence(x: Tensor<4>, y: Tensor<4>) -> Tensor<1> {
    let dice = {
        let [b, _, h, w] = x.dims();
        let p: Tensor<2> = sigmoid(x.clone()).reshape([b, h * w]);
        let t: Tensor<2> = y.clone().reshape([b, h * w]);
        let both = (p.clone() * t.clone()).sum_dim(1);
        let size = t.sum_dim(1);
        let present = size.clone().greater_elem(0.5).float();
        let each = ((both * 2.0 + 1.0) / (p.sum_dim(1) + size + 1.0)).neg() + 1.0;
        (each * present.clone()).sum() / (present.sum() + 1e-6)
    };
    (bce(x, y.clone()) * (y * 4.0 + 1.0)).mean() + dice * MASK_DICE
}

/// Per-pixel cross-entropy of parsing: concept logits `[b, k, h, w]` against the concept of each cell `[b, h, w]`, with `k`
/// for "none of them", whose logit is 0.
pub fn parsing(x: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<1> {
    let [b, k, h, w] = x.dims();
    let none = Tensor::zeros([b, 1, h, w], &x.device());
    let log_p = log_softmax(Tensor::cat(vec![x, none], 1), 1);
    debug_assert_eq!(log_p.dims()[1], k + 1);
    log_p.gather(1, labels.reshape([b, 1, h, w])).mean().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn bce_of_a_confident_right_answer_is_nothing() {
        let d = Device::flex();
        let x = Tensor::<1>::from_data([20.0, -20.0, 0.0], &d);
        let y = Tensor::<1>::from_data([1.0, 0.0, 1.0], &d);
        let v = bce(x, y).into_data().try_to_vec::<f32>().unwrap();
        assert!(v[0] < 1e-6 && v[1] < 1e-6 && (v[2] - 2f32.ln()).abs() < 1e-6, "{v:?}");
    }

    #[test]
    fn weights_move_the_mean_and_equal_ones_do_not() {
        let d = Device::flex();
        let x = Tensor::<2>::from_data([[2.0, 0.0], [0.0, 1.0], [0.5, 0.5]], &d);
        let ids = Tensor::<1, Int>::from_data([0, 0, 1], &d);
        let of = |w: [f32; 3]| weighted_cross_entropy(x.clone(), ids.clone(), Tensor::from_data(w, &d)).into_scalar::<f32>();
        let plain = cross_entropy(x.clone(), ids.clone()).into_scalar::<f32>();
        assert!((of([2.0, 2.0, 2.0]) - plain).abs() < 1e-6);
        // The second row alone: log(1 + e).
        assert!((of([0.0, 1.0, 0.0]) - (1.0 + 1f32.exp()).ln()).abs() < 1e-6);
    }

    #[test]
    fn a_perfect_mask_costs_nothing_and_an_empty_target_has_no_dice() {
        let d = Device::flex();
        let y = Tensor::<4>::from_data([[[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]], &d);
        let x = (y.clone() - 0.5) * 60.0;
        let loss = masks(x, y, Tensor::ones([1, 2], &d)).into_scalar::<f32>();
        assert!(loss < 1e-3, "{loss}");
    }
}
