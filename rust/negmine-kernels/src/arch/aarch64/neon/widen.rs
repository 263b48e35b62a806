//! binary16 to f32 with `fcvtl`, four at a time.
//!
//! The conversion is exact; it keeps denormals in every floating-point environment. `out` is as long as `bits` (checked
//! by the caller); no alignment. A tail of fewer than four goes through a padded block.

use std::arch::aarch64::{float32x4_t, vld1_u16, vst1q_f32};
use std::arch::asm;

/// Numbers of a vector.
const LANES: usize = 4;

#[target_feature(enable = "neon")]
pub(crate) fn widen_f16(bits: &[u16], out: &mut [f32]) {
    let (blocks, tail) = bits.as_chunks::<LANES>();
    let (out_blocks, out_tail) = out.as_chunks_mut::<LANES>();
    for (block, out) in blocks.iter().zip(out_blocks) {
        *out = widen_block(block);
    }
    let mut block = [0; LANES];
    block[..tail.len()].copy_from_slice(tail);
    out_tail.copy_from_slice(&widen_block(&block)[..tail.len()]);
}

#[inline]
#[target_feature(enable = "neon")]
fn widen_block(bits: &[u16; LANES]) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    let wide: float32x4_t;
    // SAFETY: the arrays have the 8 bytes that are read and the 16 that are written; neither needs alignment. The
    // instruction belongs to NEON and changes one vector register; the intrinsic is not stable.
    unsafe {
        asm!(
            "fcvtl {wide:v}.4s, {bits:v}.4h",
            wide = out(vreg) wide,
            bits = in(vreg) vld1_u16(bits.as_ptr()),
            options(pure, nomem, nostack, preserves_flags),
        );
        vst1q_f32(out.as_mut_ptr(), wide);
    }
    out
}
