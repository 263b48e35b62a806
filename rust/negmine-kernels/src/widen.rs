//! Half-precision rows, widened to f32 without loss.
//!
//! Input is the bits of IEEE binary16 or of bfloat16. Every value is exact in f32, denormals, zeros of both signs and
//! infinities included; a NaN stays a NaN (a signalling one may become quiet). Lengths must agree; no alignment.
//! bfloat16 is the upper half of an f32, so a shift widens it; binary16 has an instruction where `Avx2` is available.

use crate::dispatch;
use crate::isa::Isa;

/// Widens IEEE binary16.
///
/// # Panics
/// Where the lengths differ, or this processor lacks `isa`.
pub fn widen_f16(isa: Isa, bits: &[u16], out: &mut [f32]) {
    assert_eq!(bits.len(), out.len(), "as many results as inputs");
    dispatch::widen_f16(isa, bits, out);
}

/// Widens bfloat16.
///
/// # Panics
/// Where the lengths differ, or this processor lacks `isa`.
pub fn widen_bf16(isa: Isa, bits: &[u16], out: &mut [f32]) {
    assert_eq!(bits.len(), out.len(), "as many results as inputs");
    dispatch::widen_bf16(isa, bits, out);
}

/// The scalar form of [`widen_f16`].
pub(crate) fn widen_f16_scalar(bits: &[u16], out: &mut [f32]) {
    for (out, bits) in out.iter_mut().zip(bits) {
        *out = half::f16::from_bits(*bits).to_f32();
    }
}

/// The scalar form of [`widen_bf16`], which the vector modules compile again for their instructions.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "inlined into functions with target features, it uses their vectors"
)]
pub(crate) fn widen_bf16_scalar(bits: &[u16], out: &mut [f32]) {
    for (out, bits) in out.iter_mut().zip(bits) {
        *out = f32::from_bits(u32::from(*bits) << 16);
    }
}
