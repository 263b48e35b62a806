//! Interleaving codes into panels: a transposition of 32-bit words, four rows by four groups at a time.
//!
//! `rows` and `out` have 64 times `padded` bytes (checked by the caller). Reading a row at a time would write one word
//! a cache line; transposing in registers writes 16 bytes a store and reads each row in runs of 16 bytes.

use std::arch::aarch64::{
    uint32x4_t, uint64x2_t, vdupq_n_u32, veorq_u32, vld1q_s8, vreinterpretq_u8_u32, vreinterpretq_u32_s8,
    vreinterpretq_u32_u64, vreinterpretq_u64_u32, vst1q_u8, vtrn1q_u32, vtrn1q_u64, vtrn2q_u32, vtrn2q_u64,
};

use crate::arch::codes::{GROUP, GROUP_BYTES, PANEL};
use crate::arch::portable::dot_i8::pack_rest_of_panel;

/// Groups and rows of a square.
const SIDE: usize = 4;

#[target_feature(enable = "neon")]
pub(crate) fn pack_panel(rows: &[i8], padded: usize, out: &mut [u8]) {
    let squares = padded / (SIDE * GROUP);
    let shift = vdupq_n_u32(0x8080_8080);
    for square in 0..squares {
        let groups = &mut out[square * SIDE * GROUP_BYTES..][..SIDE * GROUP_BYTES];
        let groups = groups.as_chunks_mut::<GROUP_BYTES>().0;
        for first in (0..PANEL).step_by(SIDE) {
            let mut words = [shift; SIDE];
            for r in 0..SIDE {
                words[r] = load(&rows[(first + r) * padded + square * SIDE * GROUP..]);
            }
            let words = transpose(words);
            for g in 0..SIDE {
                let place = &mut groups[g].as_chunks_mut::<{ SIDE * GROUP }>().0[first / SIDE];
                let bytes = vreinterpretq_u8_u32(veorq_u32(words[g], shift));
                // SAFETY: the reference covers the 16 bytes that are written; the store needs no alignment.
                unsafe { vst1q_u8(place.as_mut_ptr(), bytes) };
            }
        }
    }
    pack_rest_of_panel(rows, padded, squares * SIDE, out);
}

#[inline]
#[target_feature(enable = "neon")]
fn load(row: &[i8]) -> uint32x4_t {
    let row = &row[..SIDE * GROUP];
    // SAFETY: the slice has the 16 bytes that are read; the load needs no alignment.
    vreinterpretq_u32_s8(unsafe { vld1q_s8(row.as_ptr()) })
}

/// Transposes four rows of four 32-bit words.
#[inline]
#[target_feature(enable = "neon")]
fn transpose([a, b, c, d]: [uint32x4_t; SIDE]) -> [uint32x4_t; SIDE] {
    // Pairs of rows: words 0 and 2, words 1 and 3; then the halves of these.
    let even = [pairs(vtrn1q_u32(a, b)), pairs(vtrn1q_u32(c, d))];
    let odd = [pairs(vtrn2q_u32(a, b)), pairs(vtrn2q_u32(c, d))];
    let columns = [
        vtrn1q_u64(even[0], even[1]),
        vtrn1q_u64(odd[0], odd[1]),
        vtrn2q_u64(even[0], even[1]),
        vtrn2q_u64(odd[0], odd[1]),
    ];
    let mut words = [a; SIDE];
    for g in 0..SIDE {
        words[g] = vreinterpretq_u32_u64(columns[g]);
    }
    words
}

#[inline]
#[target_feature(enable = "neon")]
fn pairs(words: uint32x4_t) -> uint64x2_t {
    vreinterpretq_u64_u32(words)
}
