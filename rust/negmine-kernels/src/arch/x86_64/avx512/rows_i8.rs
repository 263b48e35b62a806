//! Inner products with scattered int8 rows, `vpdpbusd` on 512-bit vectors.
//!
//! Accumulator: i32, sixteen partial sums a row; integer sums have no order. Rows lie inside `codes` and the stride is
//! a multiple of 64 (checked by the caller), so whole vectors are read; beyond the query's width the query is 0.
//!
//! Why this shape: four rows at a time share the query's vectors, give four chains, and have their sixteen partial sums
//! added together, which costs a quarter as much per row as adding them one row at a time. When rows come from memory,
//! the prefetch of later rows decides the speed.

use std::arch::x86_64::{
    __m512i, _mm_add_epi32, _mm_set1_epi32, _mm_storeu_si128, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_hadd_epi32, _mm256_setzero_si256, _mm512_castsi512_si256,
    _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
    _mm512_set1_epi8, _mm512_setzero_si512, _mm512_xor_si512,
};

use crate::arch::codes::ROW_ALIGNMENT;
use crate::arch::x86_64::prefetch::{AHEAD, Line, Rows};

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn dot_rows_i8(query: &[i8], codes: &[i8], stride: usize, rows: &[u32], out: &mut [i32]) {
    let codes = Rows::new(codes, stride, query.len());
    let correction = -128 * query.iter().map(|code| i32::from(*code)).sum::<i32>();
    codes.prefetch(rows, 0, AHEAD);
    let (fours, rest) = rows.as_chunks::<4>();
    let (out_fours, out_rest) = out.as_chunks_mut::<4>();
    for (i, ([a, b, c, d], out)) in fours.iter().zip(out_fours).enumerate() {
        codes.prefetch(rows, 4 * i + AHEAD, 4 * i + AHEAD + 4);
        *out = dots(query, [codes.row(*a), codes.row(*b), codes.row(*c), codes.row(*d)], correction);
    }
    if let [first, ..] = rest {
        let mut four = [*first; 4];
        four[..rest.len()].copy_from_slice(rest);
        let dots = dots(query, four.map(|row| codes.row(row)), correction);
        out_rest.copy_from_slice(&dots[..rest.len()]);
    }
}

/// The inner products of the query with four rows, which are shifted by 128 on the way.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dots(query: &[i8], rows: [&[Line]; 4], correction: i32) -> [i32; 4] {
    let shift = _mm512_set1_epi8(-128);
    let mut sums = [_mm512_setzero_si512(); 4];
    let (blocks, tail) = query.as_chunks::<ROW_ALIGNMENT>();
    let n = blocks.len();
    let lines = rows[0][..n].iter().zip(&rows[1][..n]).zip(&rows[2][..n]).zip(&rows[3][..n]);
    for (block, (((a, b), c), d)) in blocks.iter().zip(lines) {
        let codes = load(block);
        let lines = [a, b, c, d];
        for r in 0..4 {
            sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_xor_si512(load(lines[r]), shift), codes);
        }
    }
    if !tail.is_empty() {
        let codes = load_tail(tail);
        for r in 0..4 {
            sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_xor_si512(load(&rows[r][n]), shift), codes);
        }
    }
    reduce(sums, correction)
}

/// The sum of each vector's sixteen lanes and the correction.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn reduce(sums: [__m512i; 4], correction: i32) -> [i32; 4] {
    let mut halves = [_mm256_setzero_si256(); 4];
    for n in 0..4 {
        halves[n] =
            _mm256_add_epi32(_mm512_castsi512_si256(sums[n]), _mm512_extracti64x4_epi64::<1>(sums[n]));
    }
    let [a, b, c, d] = halves;
    let quarters = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(quarters), _mm256_extracti128_si256::<1>(quarters));
    let sums = _mm_add_epi32(sums, _mm_set1_epi32(correction));
    let mut out = [0; 4];
    // SAFETY: the array has the 16 bytes that are written; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), sums) };
    out
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(line: &Line) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

/// Fewer than 64 codes, followed by zeros.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load_tail(tail: &[i8]) -> __m512i {
    let mask = (1_u64 << (tail.len() % ROW_ALIGNMENT)) - 1;
    // SAFETY: the mask keeps the load to the codes of the slice; masked bytes are not read.
    unsafe { _mm512_maskz_loadu_epi8(mask, tail.as_ptr()) }
}
