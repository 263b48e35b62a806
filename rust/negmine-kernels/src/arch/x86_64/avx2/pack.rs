//! Interleaving codes into panels: a transposition of 32-bit words, eight rows by eight groups at a time.
//!
//! `rows` and `out` have 64 times `padded` bytes (checked by the caller). Reading a row at a time would write one word
//! a cache line; transposing in registers writes 32 bytes a store and reads each row in runs of 32 bytes.

use std::arch::x86_64::{
    __m256i, _mm256_loadu_si256, _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_storeu_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

use crate::arch::codes::{GROUP, GROUP_BYTES, PANEL};
use crate::arch::portable::dot_i8::pack_rest_of_panel;

/// Groups and rows of a square.
const SIDE: usize = 8;

#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn pack_panel(rows: &[i8], padded: usize, out: &mut [u8]) {
    let squares = padded / (SIDE * GROUP);
    let shift = _mm256_set1_epi8(-128);
    for square in 0..squares {
        let groups = &mut out[square * SIDE * GROUP_BYTES..][..SIDE * GROUP_BYTES];
        let groups = groups.as_chunks_mut::<GROUP_BYTES>().0;
        for first in (0..PANEL).step_by(SIDE) {
            let mut words = [shift; SIDE];
            for r in 0..SIDE {
                words[r] = load(&rows[(first + r) * padded + square * SIDE * GROUP..]);
            }
            let words = transpose(&words);
            for g in 0..SIDE {
                let place = &mut groups[g].as_chunks_mut::<32>().0[first / SIDE];
                // SAFETY: the reference covers the 32 bytes that are written; the store needs no alignment.
                unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), _mm256_xor_si256(words[g], shift)) };
            }
        }
    }
    pack_rest_of_panel(rows, padded, squares * SIDE, out);
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(row: &[i8]) -> __m256i {
    let row = &row[..SIDE * GROUP];
    // SAFETY: the slice has the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(row.as_ptr().cast()) }
}

/// Transposes eight rows of eight 32-bit words.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn transpose(rows: &[__m256i; SIDE]) -> [__m256i; SIDE] {
    // Pairs of rows, word by word; then fours, in each half; then the halves are exchanged.
    let mut twos = *rows;
    for pair in 0..SIDE / 2 {
        twos[2 * pair] = _mm256_unpacklo_epi32(rows[2 * pair], rows[2 * pair + 1]);
        twos[2 * pair + 1] = _mm256_unpackhi_epi32(rows[2 * pair], rows[2 * pair + 1]);
    }
    let mut fours = twos;
    for half in [0, 4] {
        fours[half] = _mm256_unpacklo_epi64(twos[half], twos[half + 2]);
        fours[half + 1] = _mm256_unpackhi_epi64(twos[half], twos[half + 2]);
        fours[half + 2] = _mm256_unpacklo_epi64(twos[half + 1], twos[half + 3]);
        fours[half + 3] = _mm256_unpackhi_epi64(twos[half + 1], twos[half + 3]);
    }
    let mut columns = fours;
    for word in 0..4 {
        columns[word] = _mm256_permute2x128_si256::<0x20>(fours[word], fours[word + 4]);
        columns[word + 4] = _mm256_permute2x128_si256::<0x31>(fours[word], fours[word + 4]);
    }
    columns
}
