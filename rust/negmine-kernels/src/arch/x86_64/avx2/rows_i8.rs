//! Exact inner products with scattered int8 rows on 256-bit vectors.
//!
//! Accumulator: i32, eight partial sums a row; integer sums have no order. Rows lie inside `codes` and the stride is a
//! multiple of 64 (checked by the caller), so whole vectors are read; beyond the query's width the query is 0. The sign
//! of the row moves to the query, as in `super::dot_i8`, so that pairs of products stay inside i16. Rows are taken one
//! at a time: memory is the limit.

use std::arch::x86_64::{
    __m256i, _mm256_abs_epi8, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_set1_epi16, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_storeu_si256,
};

use crate::arch::codes::ROW_ALIGNMENT;
use crate::arch::x86_64::prefetch::{AHEAD, Line, Rows};

#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn dot_rows_i8(query: &[i8], codes: &[i8], stride: usize, rows: &[u32], out: &mut [i32]) {
    let (blocks, tail) = query.as_chunks::<ROW_ALIGNMENT>();
    let mut last = [0; ROW_ALIGNMENT];
    last[..tail.len()].copy_from_slice(tail);
    let last = if tail.is_empty() { None } else { Some(&last) };

    let codes = Rows::new(codes, stride, query.len());
    codes.prefetch(rows, 0, AHEAD);
    for (i, (row, out)) in rows.iter().zip(out).enumerate() {
        codes.prefetch(rows, i + AHEAD, i + AHEAD + 1);
        *out = dot(blocks.iter().chain(last), codes.row(*row));
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dot<'a>(query: impl Iterator<Item = &'a Line>, row: &[Line]) -> i32 {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); 2];
    for (query, row) in query.zip(row) {
        for half in 0..2 {
            let (codes, document) = (load(query, half), load(row, half));
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(document), _mm256_sign_epi8(codes, document));
            sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(pairs, ones));
        }
    }
    let mut parts = [0_i32; 8];
    let both = _mm256_add_epi32(sums[0], sums[1]);
    // SAFETY: the array has the 32 bytes that are written; the store needs no alignment.
    unsafe { _mm256_storeu_si256(parts.as_mut_ptr().cast(), both) };
    parts.iter().sum()
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(line: &Line, half: usize) -> __m256i {
    let half = &line.as_chunks::<32>().0[half];
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}
