//! binary16 and bfloat16 to f32, number by number in scalar code.

/// [`crate::widen::widen_f16`].
pub(crate) fn widen_f16(bits: &[u16], out: &mut [f32]) {
    for (out, bits) in out.iter_mut().zip(bits) {
        *out = half::f16::from_bits(*bits).to_f32();
    }
}

/// [`crate::widen::widen_bf16`], which the vector modules compile again for their instructions.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn widen_bf16(bits: &[u16], out: &mut [f32]) {
    for (out, bits) in out.iter_mut().zip(bits) {
        *out = f32::from_bits(u32::from(*bits) << 16);
    }
}
