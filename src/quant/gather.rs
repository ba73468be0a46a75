//! Columns of a packed matrix, dequantised on the device: the embedding look-up in a table that is also the tied head.

use super::BLOCK;
use burn::tensor::{DType, Int, Tensor, TensorData};

/// Columns `ids` of a packed matrix `[k, n]` as rows `[t, k]`.
///
/// `words [k / (32 / bits), n]` (i32), `scales [k / 32, n]`, `mins` likewise (4 bits), as in [`super::Blocks`]. Plain burn
/// operations and no read-back, so that it runs on every device, in wasm too.
pub fn gather_columns(words: Tensor<2, Int>, scales: Tensor<2>, mins: Option<Tensor<2>>, bits: u32, ids: Tensor<1, Int>) -> Tensor<2> {
    let per_word = (32 / bits) as usize;
    let device = words.device();
    let words = words.select(1, ids.clone());
    let [rows, t] = words.dims();
    let blocks = rows * per_word / BLOCK;
    // Left until the value is at the top, then right: 8-bit values come out with their sign, 4-bit ones are masked.
    let lifts: Vec<i32> = (1..=per_word as i32).map(|j| 32 - j * bits as i32).collect();
    let lifts = Tensor::<1, Int>::from_data(TensorData::new(lifts, [per_word]), (&device, DType::I32));
    let lifts = lifts.reshape([1, per_word, 1]).expand([rows, per_word, t]);
    let lifted = words.reshape([rows, 1, t]).expand([rows, per_word, t]).bitwise_left_shift(lifts);
    let mut q = lifted.bitwise_right_shift_scalar(32 - bits as i32);
    if bits == 4 {
        q = q.bitwise_and_scalar(15);
    }
    let per_block = |s: Tensor<2>| s.select(1, ids.clone()).reshape([blocks, 1, t]);
    let mut w = q.float().reshape([blocks, BLOCK, t]) * per_block(scales);
    if let Some(mins) = mins {
        w = w + per_block(mins);
    }
    w.reshape([blocks * BLOCK, t]).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Blocks;
    use burn::tensor::Device;

    #[test]
    fn gathered_columns_equal_the_dequantised_matrix() {
        let device = Device::flex();
        for bits in [4u32, 8] {
            let (k, n) = (64usize, 5usize);
            let words: Vec<u32> = (0..k * bits as usize / 32 * n).map(|i| (i as u32).wrapping_mul(2_654_435_761) ^ 0x9e37_79b9).collect();
            let scales: Vec<f32> = (0..k / BLOCK * n).map(|i| 0.1 + i as f32 * 0.01).collect();
            let mins = (bits == 4).then(|| scales.iter().map(|s| -7.0 * s).collect::<Vec<_>>());
            let blocks = Blocks { bits, k, n, words, scales, mins };
            let whole = blocks.dequantise();
            let ids = [3usize, 0, 3];
            let float = |v: &[f32]| Tensor::<2>::from_data(TensorData::new(v.to_vec(), [k / BLOCK, n]), &device);
            let words: Vec<i32> = blocks.words.iter().map(|w| *w as i32).collect();
            let words = Tensor::<2, Int>::from_data(TensorData::new(words, [k * bits as usize / 32, n]), (&device, DType::I32));
            let index = Tensor::<1, Int>::from_data(TensorData::new(vec![3i32, 0, 3], [3]), (&device, DType::I32));
            let got = gather_columns(words, float(&blocks.scales), blocks.mins.as_deref().map(float), bits, index);
            let got = got.into_data().convert::<f32>().try_to_vec::<f32>().unwrap();
            let want: Vec<f32> = ids.iter().flat_map(|c| (0..k).map(|r| whole[r * n + c]).collect::<Vec<_>>()).collect();
            assert_eq!(got, want, "{bits} bits");
        }
    }
}
