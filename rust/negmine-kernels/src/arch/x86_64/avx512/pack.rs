//! Interleaving codes into panels: a transposition of 32-bit words, sixteen rows by sixteen groups at a time.
//!
//! `rows` and `out` have 64 times `padded` bytes (checked by the caller). Each row is read a cache line at a time, and
//! each store writes the 64 bytes that sixteen documents have in a group.

use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_set1_epi8, _mm512_shuffle_i32x4, _mm512_storeu_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use crate::arch::codes::{GROUP, GROUP_BYTES, PANEL};
use crate::arch::portable::dot_i8::pack_rest_of_panel;

/// Groups and rows of a square.
const SIDE: usize = 16;

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn pack_panel(rows: &[i8], padded: usize, out: &mut [u8]) {
    let squares = padded / (SIDE * GROUP);
    let shift = _mm512_set1_epi8(-128);
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
                let place = &mut groups[g].as_chunks_mut::<64>().0[first / SIDE];
                // SAFETY: the reference covers the 64 bytes that are written; the store needs no alignment.
                unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), _mm512_xor_si512(words[g], shift)) };
            }
        }
    }
    pack_rest_of_panel(rows, padded, squares * SIDE, out);
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(row: &[i8]) -> __m512i {
    let row = &row[..SIDE * GROUP];
    // SAFETY: the slice has the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(row.as_ptr().cast()) }
}

/// Transposes sixteen rows of sixteen 32-bit words.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn transpose(rows: &[__m512i; SIDE]) -> [__m512i; SIDE] {
    // Inside each quarter of 128 bits, every four rows are transposed: `fours[4 * f + w]` holds, of rows `4f..4f + 4`,
    // the words `w`, `w + 4`, `w + 8` and `w + 12`, a quarter each.
    let mut twos = *rows;
    for pair in 0..SIDE / 2 {
        twos[2 * pair] = _mm512_unpacklo_epi32(rows[2 * pair], rows[2 * pair + 1]);
        twos[2 * pair + 1] = _mm512_unpackhi_epi32(rows[2 * pair], rows[2 * pair + 1]);
    }
    let mut fours = twos;
    for f in [0, 4, 8, 12] {
        fours[f] = _mm512_unpacklo_epi64(twos[f], twos[f + 2]);
        fours[f + 1] = _mm512_unpackhi_epi64(twos[f], twos[f + 2]);
        fours[f + 2] = _mm512_unpacklo_epi64(twos[f + 1], twos[f + 3]);
        fours[f + 3] = _mm512_unpackhi_epi64(twos[f + 1], twos[f + 3]);
    }
    // Then the quarters: a four-by-four transposition for each word `w`.
    let mut columns = fours;
    for w in 0..4 {
        let (a, b, c, d) = (fours[w], fours[w + 4], fours[w + 8], fours[w + 12]);
        let (ab_low, ab_high) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0xee>(a, b));
        let (cd_low, cd_high) = (_mm512_shuffle_i32x4::<0x44>(c, d), _mm512_shuffle_i32x4::<0xee>(c, d));
        columns[w] = _mm512_shuffle_i32x4::<0x88>(ab_low, cd_low);
        columns[w + 4] = _mm512_shuffle_i32x4::<0xdd>(ab_low, cd_low);
        columns[w + 8] = _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high);
        columns[w + 12] = _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high);
    }
    columns
}
