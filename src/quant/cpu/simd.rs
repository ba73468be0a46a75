//! Registers of 32-bit lanes, the same few operations for every instruction set: SIMD128 in wasm, AVX2, AVX-512 with VNNI
//! (chosen at run time, see [`super::Isa`]), and plain arrays elsewhere, which the compiler vectorises (NEON).
//!
//! The heart is [`Simd::dot`]: each 32-bit lane holds two 16-bit values, which are multiplied with another such pair and
//! added to a 32-bit sum (`i32x4.dot_i16x8_s`, `vpmaddwd`, `vpdpwssd`). It is the one integer product that all of them
//! have, and 16 bits hold an activation to 1.5e-5 of its block's largest, so nothing is lost that f32 sums would keep.

/// Operations on one register. All are `unsafe` because an implementation may need an instruction set that the caller has
/// to have detected; `load`s and `store`s take pointers to [`Simd::LANES`] values, of any alignment.
#[allow(clippy::missing_safety_doc, reason = "one contract for all, said above")]
pub trait Simd: Copy {
    /// 32-bit lanes.
    const LANES: usize;
    /// Integers: 32-bit lanes, or pairs of 16-bit ones.
    type I: Copy;
    /// f32 lanes.
    type F: Copy;

    unsafe fn load_i(from: *const i32) -> Self::I;
    unsafe fn splat_i(v: i32) -> Self::I;
    /// Bits `4·J ..` of each 16-bit lane, 0..15.
    unsafe fn nibble<const J: i32>(word: Self::I) -> Self::I;
    /// The low (0) or high (1) byte of each 16-bit lane, sign-extended.
    unsafe fn byte<const J: i32>(word: Self::I) -> Self::I;
    /// `sum + a.low · b.low + a.high · b.high`, in every 32-bit lane.
    unsafe fn dot(sum: Self::I, a: Self::I, b: Self::I) -> Self::I;
    unsafe fn to_f(v: Self::I) -> Self::F;

    unsafe fn load(from: *const f32) -> Self::F;
    unsafe fn store(to: *mut f32, v: Self::F);
    unsafe fn splat(v: f32) -> Self::F;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, with one rounding where the instruction set has it.
    unsafe fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The sum of each register's lanes.
    unsafe fn sums(v: [Self::F; 4]) -> [f32; 4];
}

/// The instruction set that this build may take for granted.
#[cfg(target_arch = "wasm32")]
pub type Base = wasm::Simd128;
/// The instruction set that this build may take for granted.
#[cfg(all(target_arch = "x86_64", target_feature = "avx2", target_feature = "fma"))]
pub type Base = x86::Avx2;
/// The instruction set that this build may take for granted.
#[cfg(not(any(target_arch = "wasm32", all(target_arch = "x86_64", target_feature = "avx2", target_feature = "fma"))))]
pub type Base = plain::Plain<4>;

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::*;

    #[derive(Clone, Copy)]
    pub struct Simd128;

    impl super::Simd for Simd128 {
        const LANES: usize = 4;
        type I = v128;
        type F = v128;

        #[inline(always)]
        unsafe fn load_i(from: *const i32) -> v128 {
            unsafe { v128_load(from.cast()) }
        }
        #[inline(always)]
        unsafe fn splat_i(v: i32) -> v128 {
            i32x4_splat(v)
        }
        #[inline(always)]
        unsafe fn nibble<const J: i32>(word: v128) -> v128 {
            match J {
                0 => v128_and(word, i16x8_splat(15)),
                3 => u16x8_shr(word, 12),
                _ => v128_and(u16x8_shr(word, 4 * J as u32), i16x8_splat(15)),
            }
        }
        #[inline(always)]
        unsafe fn byte<const J: i32>(word: v128) -> v128 {
            if J == 0 { i16x8_shr(i16x8_shl(word, 8), 8) } else { i16x8_shr(word, 8) }
        }
        #[inline(always)]
        unsafe fn dot(sum: v128, a: v128, b: v128) -> v128 {
            i32x4_add(sum, i32x4_dot_i16x8(a, b))
        }
        #[inline(always)]
        unsafe fn to_f(v: v128) -> v128 {
            f32x4_convert_i32x4(v)
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> v128 {
            unsafe { v128_load(from.cast()) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: v128) {
            unsafe { v128_store(to.cast(), v) }
        }
        #[inline(always)]
        unsafe fn splat(v: f32) -> v128 {
            f32x4_splat(v)
        }
        #[inline(always)]
        unsafe fn add(a: v128, b: v128) -> v128 {
            f32x4_add(a, b)
        }
        #[inline(always)]
        unsafe fn mul(a: v128, b: v128) -> v128 {
            f32x4_mul(a, b)
        }
        #[inline(always)]
        unsafe fn mul_add(a: v128, b: v128, c: v128) -> v128 {
            f32x4_add(f32x4_mul(a, b), c)
        }
        #[inline(always)]
        unsafe fn sums([a, b, c, d]: [v128; 4]) -> [f32; 4] {
            // a0+a2, b0+b2, a1+a3, b1+b3; likewise c and d.
            let ab = f32x4_add(i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
            let cd = f32x4_add(i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
            let all = f32x4_add(i32x4_shuffle::<0, 1, 4, 5>(ab, cd), i32x4_shuffle::<2, 3, 6, 7>(ab, cd));
            [f32x4_extract_lane::<0>(all), f32x4_extract_lane::<1>(all), f32x4_extract_lane::<2>(all), f32x4_extract_lane::<3>(all)]
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub mod x86 {
    use core::arch::x86_64::*;

    /// 8 lanes.
    #[derive(Clone, Copy)]
    pub struct Avx2;

    impl super::Simd for Avx2 {
        const LANES: usize = 8;
        type I = __m256i;
        type F = __m256;

        #[inline(always)]
        unsafe fn load_i(from: *const i32) -> __m256i {
            unsafe { _mm256_loadu_si256(from.cast()) }
        }
        #[inline(always)]
        unsafe fn splat_i(v: i32) -> __m256i {
            unsafe { _mm256_set1_epi32(v) }
        }
        #[inline(always)]
        unsafe fn nibble<const J: i32>(word: __m256i) -> __m256i {
            unsafe {
                match J {
                    0 => _mm256_and_si256(word, _mm256_set1_epi16(15)),
                    1 => _mm256_and_si256(_mm256_srli_epi16::<4>(word), _mm256_set1_epi16(15)),
                    2 => _mm256_and_si256(_mm256_srli_epi16::<8>(word), _mm256_set1_epi16(15)),
                    _ => _mm256_srli_epi16::<12>(word),
                }
            }
        }
        #[inline(always)]
        unsafe fn byte<const J: i32>(word: __m256i) -> __m256i {
            unsafe { if J == 0 { _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(word)) } else { _mm256_srai_epi16::<8>(word) } }
        }
        #[inline(always)]
        unsafe fn dot(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)) }
        }
        #[inline(always)]
        unsafe fn to_f(v: __m256i) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(v) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn splat(v: f32) -> __m256 {
            unsafe { _mm256_set1_ps(v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn sums([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
            unsafe {
                let all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
                let all = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
                let mut out = [0.0; 4];
                _mm_storeu_ps(out.as_mut_ptr(), all);
                out
            }
        }
    }

    /// 16 lanes, product and sum in one instruction.
    #[derive(Clone, Copy)]
    pub struct Avx512;

    impl super::Simd for Avx512 {
        const LANES: usize = 16;
        type I = __m512i;
        type F = __m512;

        #[inline(always)]
        unsafe fn load_i(from: *const i32) -> __m512i {
            unsafe { _mm512_loadu_si512(from.cast()) }
        }
        #[inline(always)]
        unsafe fn splat_i(v: i32) -> __m512i {
            unsafe { _mm512_set1_epi32(v) }
        }
        #[inline(always)]
        unsafe fn nibble<const J: i32>(word: __m512i) -> __m512i {
            unsafe {
                match J {
                    0 => _mm512_and_si512(word, _mm512_set1_epi16(15)),
                    1 => _mm512_and_si512(_mm512_srli_epi16::<4>(word), _mm512_set1_epi16(15)),
                    2 => _mm512_and_si512(_mm512_srli_epi16::<8>(word), _mm512_set1_epi16(15)),
                    _ => _mm512_srli_epi16::<12>(word),
                }
            }
        }
        #[inline(always)]
        unsafe fn byte<const J: i32>(word: __m512i) -> __m512i {
            unsafe { if J == 0 { _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(word)) } else { _mm512_srai_epi16::<8>(word) } }
        }
        #[inline(always)]
        unsafe fn dot(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
            unsafe { _mm512_dpwssd_epi32(sum, a, b) }
        }
        #[inline(always)]
        unsafe fn to_f(v: __m512i) -> __m512 {
            unsafe { _mm512_cvtepi32_ps(v) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn splat(v: f32) -> __m512 {
            unsafe { _mm512_set1_ps(v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn sums(v: [__m512; 4]) -> [f32; 4] {
            v.map(|v| unsafe { _mm512_reduce_add_ps(v) })
        }
    }
}

/// For any machine, and for the outputs that no register is filled by.
pub mod plain {
    /// `N` lanes in arrays.
    #[derive(Clone, Copy)]
    pub struct Plain<const N: usize>;

    impl<const N: usize> super::Simd for Plain<N> {
        const LANES: usize = N;
        type I = [i32; N];
        type F = [f32; N];

        #[inline(always)]
        unsafe fn load_i(from: *const i32) -> [i32; N] {
            unsafe { from.cast::<[i32; N]>().read_unaligned() }
        }
        #[inline(always)]
        unsafe fn splat_i(v: i32) -> [i32; N] {
            [v; N]
        }
        #[inline(always)]
        unsafe fn nibble<const J: i32>(word: [i32; N]) -> [i32; N] {
            word.map(|w| (w >> (4 * J)) & 0x000F_000F)
        }
        #[inline(always)]
        unsafe fn byte<const J: i32>(word: [i32; N]) -> [i32; N] {
            let of = |v: i16| if J == 0 { v << 8 >> 8 } else { v >> 8 };
            word.map(|w| i32::from(of(w as i16) as u16) | i32::from(of((w >> 16) as i16)) << 16)
        }
        #[inline(always)]
        unsafe fn dot(sum: [i32; N], a: [i32; N], b: [i32; N]) -> [i32; N] {
            std::array::from_fn(|i| sum[i] + i32::from(a[i] as i16) * i32::from(b[i] as i16) + (a[i] >> 16) * (b[i] >> 16))
        }
        #[inline(always)]
        unsafe fn to_f(v: [i32; N]) -> [f32; N] {
            v.map(|v| v as f32)
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> [f32; N] {
            unsafe { from.cast::<[f32; N]>().read_unaligned() }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: [f32; N]) {
            unsafe { to.cast::<[f32; N]>().write_unaligned(v) }
        }
        #[inline(always)]
        unsafe fn splat(v: f32) -> [f32; N] {
            [v; N]
        }
        #[inline(always)]
        unsafe fn add(a: [f32; N], b: [f32; N]) -> [f32; N] {
            std::array::from_fn(|i| a[i] + b[i])
        }
        #[inline(always)]
        unsafe fn mul(a: [f32; N], b: [f32; N]) -> [f32; N] {
            std::array::from_fn(|i| a[i] * b[i])
        }
        #[inline(always)]
        unsafe fn mul_add(a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
            std::array::from_fn(|i| a[i] * b[i] + c[i])
        }
        #[inline(always)]
        unsafe fn sums(v: [[f32; N]; 4]) -> [f32; 4] {
            v.map(|v| v.iter().sum())
        }
    }
}
