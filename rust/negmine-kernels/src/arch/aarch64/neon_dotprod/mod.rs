//! Kernels in NEON with the instructions of the dotprod extension.

use std::arch::aarch64::{int8x16_t, int32x4_t};
use std::arch::asm;

pub(crate) mod dot_i8;
pub(crate) mod peak;
pub(crate) mod recompiled;

/// Adds to each of four sums the product of four codes of a document with the four codes of word `WORD` of `codes`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot<const WORD: usize>(mut sums: int32x4_t, documents: int8x16_t, codes: int8x16_t) -> int32x4_t {
    // SAFETY: the processor has the instruction, a feature of this function; it changes one vector register. The
    // intrinsic is not stable.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {documents:v}.16b, {codes:v}.4b[{word}]",
            sums = inout(vreg) sums,
            documents = in(vreg) documents,
            codes = in(vreg) codes,
            word = const WORD,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
