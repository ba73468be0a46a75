//! Functions of one number without branches, so that loops over them are vectorised (AVX2 natively, SIMD128 in wasm).

/// eˣ for x ≤ 0, by 2ⁿ·2ᶠ with |f| ≤ ½, within 2e-7 of its value; below −87 it stays at e⁻⁸⁷. NaN stays NaN.
#[inline(always)]
pub fn exp_negative(x: f32) -> f32 {
    /// Adding and subtracting 1.5·2²³ rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    // A comparison that is false for NaN.
    let x = if x < -87.0 { -87.0 } else { x };
    let y = x * std::f32::consts::LOG2_E;
    // Its low bits are the integer: no conversion is needed, which for floats of any value costs more than the rest.
    let rounded = y + ROUND;
    let f = (y - (rounded - ROUND)) * std::f32::consts::LN_2;
    // Taylor series of e^f, |f| ≤ 0.35.
    let p = 1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// Values below this are rounded to zero: the inverse of their largest would not be a number.
pub const LEAST: f32 = 1e-30;

/// The nearest integer to `v · inverse` in the low 16 bits; what lies above them is not to be used. For products below 2^15.
#[inline(always)]
pub fn round16(v: f32, inverse: f32) -> u32 {
    /// 1.5·2²³, as above: the low bits of the sum are the integer in two's complement.
    const ROUND: f32 = 12_582_912.0;
    (v * inverse + ROUND).to_bits()
}

/// The nearest integer to `v · inverse`, for products below 2^22; anything where that is no number.
#[inline(always)]
pub fn rounded(v: f32, inverse: f32) -> i32 {
    /// 1.5·2²³ and its bit pattern.
    const ROUND: f32 = 12_582_912.0;
    ((v * inverse + ROUND).to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32)
}

/// Two such integers as the halves of a word.
#[inline(always)]
pub fn pair(low: u32, high: u32) -> i32 {
    ((low & 0xFFFF) | (high << 16)) as i32
}

/// Largest magnitude of some values; NaN if one of them is NaN.
#[inline(always)]
pub fn largest(values: &[f32]) -> f32 {
    // Without the sign, bit patterns are in the order of the values, NaN above all.
    let mut tops = [0u32; 8];
    let (groups, rest) = values.as_chunks::<8>();
    for g in groups {
        for i in 0..8 {
            tops[i] = tops[i].max(g[i].to_bits() & 0x7FFF_FFFF);
        }
    }
    f32::from_bits(rest.iter().map(|v| v.to_bits() & 0x7FFF_FFFF).chain(tops).fold(0, u32::max))
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
    fn sixteen_bits_are_rounded_to_the_nearest_even() {
        for (v, want) in [(0.0, 0), (0.5, 0), (1.5, 2), (-1.5, -2), (-0.75, -1), (32766.6, 32767), (-32767.0, -32767), (-0.0, 0)] {
            assert_eq!(round16(v / 4.0, 4.0) as u16 as i16, want, "{v}");
            assert_eq!(rounded(v / 4.0, 4.0), i32::from(want), "{v}");
            let both = pair(round16(v, 1.0), round16(-v, 1.0));
            assert_eq!((both as i16, (both >> 16) as i16), (want, -want));
        }
        assert_eq!(largest(&[1.0, -3.0, 2.0, 0.0, -0.0, 1.0, 1.0, 1.0, 1.0, -4.5]), 4.5);
        assert_eq!((largest(&[]), largest(&[-0.0]), largest(&[f32::NEG_INFINITY, 1.0])), (0.0, 0.0, f32::INFINITY));
        assert!(largest(&[1.0, f32::NAN, f32::INFINITY]).is_nan());
    }

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
