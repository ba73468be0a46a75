//! The CPU kernels: SIMD128 in wasm, and relaxed SIMD where there is; natively AVX2, or AVX-512 with VNNI where the machine has it; plain
//! arrays elsewhere. All on as many threads as there are ([`share`]). They know slices, not tensors; `quant::op` and the model hand those in.

#![allow(clippy::needless_range_loop, reason = "registers and groups of sums are indexed alike side by side")]

pub mod attend;
pub mod blocks;
pub mod conv;
pub mod decoder;
pub mod fixed;
pub mod math;
pub mod norm;
pub mod relaxed;
pub mod share;
mod simd;

use super::format::BLOCK;
pub use blocks::{Inputs, products};

/// The instruction set that kernels are run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// What the build takes for granted.
    Base,
    /// AVX-512 F, BW and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Relaxed SIMD, for products with packed weights; SIMD128 for the rest.
    #[cfg(target_arch = "wasm32")]
    Relaxed,
}

impl Isa {
    /// The best that this machine has. The answer is kept by the standard library.
    pub fn detect() -> Self {
        #[cfg(target_arch = "wasm32")]
        if relaxed::is_installed() {
            return Self::Relaxed;
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vnni")
        {
            return Self::Avx512;
        }
        Self::Base
    }

    /// 32-bit lanes of a register.
    fn lanes(self) -> usize {
        use simd::Simd;
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => simd::x86::Avx512::LANES,
            _ => simd::Base::LANES,
        }
    }

    /// Whether activations are digits rather than pairs.
    fn takes_digits(self) -> bool {
        #[cfg(target_arch = "wasm32")]
        return self == Self::Relaxed;
        #[cfg(not(target_arch = "wasm32"))]
        false
    }
}

/// A packed weight `[k, n]` by reference; the layout is that of [`super::Blocks`].
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    /// 4 or 8.
    pub bits: usize,
    /// Inputs, a multiple of [`BLOCK`].
    pub k: usize,
    /// Outputs.
    pub n: usize,
    /// `[k · bits / 32, n]`, bit patterns.
    pub words: &'a [i32],
    /// `[k / 32, n]`.
    pub scales: &'a [f32],
    /// `[k / 32, n]`; read for 4 bits only.
    pub mins: &'a [f32],
}

impl Packed<'_> {
    /// # Panics
    /// If a length disagrees with the shape; callers check what comes from outside.
    fn check(&self) {
        assert!(self.bits == 4 || self.bits == 8, "blocks hold 4 or 8 bits");
        assert!(self.k.is_multiple_of(BLOCK), "inputs come in blocks of {BLOCK}");
        assert_eq!(self.words.len(), self.k * self.bits / 32 * self.n);
        assert_eq!(self.scales.len(), self.k / BLOCK * self.n);
        assert!(self.bits == 8 || self.mins.len() == self.scales.len());
    }
}

/// `x [m, k] · w [k, n] → [m, n]`, all row-major.
///
/// # Panics
/// If a length disagrees with the shape; callers check what comes from outside.
pub fn matmul(x: &[f32], m: usize, w: Packed<'_>) -> Vec<f32> {
    let mut y = vec![0.0; m * w.n];
    products(&Inputs::new(x, m, w.k, w.bits), &mut [(w, &mut y)]);
    y
}
