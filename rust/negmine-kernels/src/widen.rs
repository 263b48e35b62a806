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
/// If the lengths differ, or this processor lacks `isa`.
pub fn widen_f16(isa: Isa, bits: &[u16], out: &mut [f32]) {
    assert_eq!(bits.len(), out.len(), "as many results as inputs");
    dispatch::widen_f16(isa, bits, out);
}

/// Widens bfloat16.
///
/// # Panics
/// If the lengths differ, or this processor lacks `isa`.
pub fn widen_bf16(isa: Isa, bits: &[u16], out: &mut [f32]) {
    assert_eq!(bits.len(), out.len(), "as many results as inputs");
    dispatch::widen_bf16(isa, bits, out);
}
