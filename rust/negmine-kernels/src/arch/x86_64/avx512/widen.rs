//! binary16 to f32, sixteen at a time.
//!
//! The conversion is exact; it keeps denormals in every floating-point environment. `out` is as long as `bits` (checked
//! by the caller); no alignment. A tail of fewer than sixteen goes through a padded block.

use std::arch::x86_64::{_mm256_loadu_si256, _mm512_cvtph_ps, _mm512_storeu_ps};

/// Numbers of a vector.
const LANES: usize = 16;

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
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
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn widen_block(bits: &[u16; LANES]) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    // SAFETY: the arrays have the 32 bytes that are read and the 64 that are written; neither needs alignment.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), _mm512_cvtph_ps(_mm256_loadu_si256(bits.as_ptr().cast()))) };
    out
}
