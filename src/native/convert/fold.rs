//! Batch normalisations of upstream networks, which this program does not have: at rest each is a scale and a shift of a convolution's outputs.

/// Folds a batch normalisation (γ, β, μ, σ², each `[outputs]`) into the filters `[outputs, ..]` before it; returns their bias.
pub(super) fn fold_norm(filters: &mut [f32], [gamma, beta, mean, var]: [&[f32]; 4], epsilon: f32) -> Vec<f32> {
    let scale: Vec<f32> = gamma.iter().zip(var).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
    let per_output = filters.len() / scale.len().max(1);
    for (filter, s) in filters.chunks_exact_mut(per_output.max(1)).zip(&scale) {
        filter.iter_mut().for_each(|w| *w *= s);
    }
    beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_convolution_gives_what_the_normalised_one_does() {
        let (x, filters) = ([0.5, -2.0, 3.0], [[1.0, 2.0, -1.0], [0.25, 0.0, 4.0]]);
        let [gamma, beta, mean, var] = [[2.0, -1.0], [0.5, 0.1], [3.0, -4.0], [4.0, 0.09]];
        let mut folded = filters.concat();
        let bias = fold_norm(&mut folded, [&gamma, &beta, &mean, &var], 1e-3);
        for o in 0..2 {
            let sum = |f: &[f32]| f.iter().zip(&x).map(|(f, x)| f * x).sum::<f32>();
            let want = (sum(&filters[o]) - mean[o]) / (var[o] + 1e-3).sqrt() * gamma[o] + beta[o];
            assert!((sum(&folded[3 * o..][..3]) + bias[o] - want).abs() < 1e-4, "{o}");
        }
    }
}
