//! Functions of one number without branches, so that loops over them are vectorised (AVX2 natively, SIMD128 in wasm).

/// eˣ for x ≤ 0, by 2ⁿ·2ᶠ with |f| ≤ ½, within 2e-7 of its value; below −87 it stays at e⁻⁸⁷. NaN stays NaN.
#[inline(always)]
pub fn exp_negative(x: f32) -> f32 {
    /// Adding and subtracting 1.5·2²³ rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    // A comparison that is false for NaN.
    let x = if x < -87.0 { -87.0 } else { x };
    let y = x * std::f32::consts::LOG2_E;
    let n = (y + ROUND) - ROUND;
    let f = (y - n) * std::f32::consts::LN_2;
    // Taylor series of e^f, |f| ≤ 0.35.
    let p = 1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// x · sigmoid(x).
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    let e = exp_negative(-x.abs());
    let top = if x < 0.0 { e } else { 1.0 };
    x * (top / (1.0 + e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_agree_with_the_library() {
        let (mut worst, mut worst_silu) = (0.0f64, 0.0f64);
        for i in 0..=8600 {
            let x = -0.01 * i as f32;
            let want = f64::from(x).exp();
            worst = worst.max((f64::from(exp_negative(x)) - want).abs() / want);
            for x in [x, -x] {
                let want = f64::from(x) / (1.0 + (-f64::from(x)).exp());
                worst_silu = worst_silu.max((f64::from(silu(x)) - want).abs() / (1e-6 + want.abs()));
            }
        }
        // e^x: the rounding of x·log2(e) weighs up to |x|·6e-8 in the exponent.
        assert!(worst < 8e-6 && worst_silu < 8e-6, "{worst:e} {worst_silu:e}");
        assert!(exp_negative(f32::NAN).is_nan() && silu(f32::NAN).is_nan());
        assert_eq!((exp_negative(0.0), silu(0.0)), (1.0, 0.0));
        assert!(exp_negative(f32::NEG_INFINITY) < 1e-37);
    }
}
