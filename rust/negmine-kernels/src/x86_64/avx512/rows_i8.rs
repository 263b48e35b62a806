//! Inner products with scattered int8 rows, `vpdpbusd` on 512-bit vectors.
//!
//! Accumulator: i32, sixteen partial sums a row; integer sums have no order. Rows lie inside `codes` and the stride is
//! a multiple of 64 (checked by the caller), so whole vectors are read; beyond the query's width the query is 0.
//!
//! Why this shape: two rows at a time share the query's vectors and give two chains each of which waits for its row
//! anyway; what counts is that the rows ahead are on their way.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
    _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_xor_si512,
};

use super::super::AHEAD;
use crate::rows_i8::ROW_ALIGNMENT;

type Line = [i8; ROW_ALIGNMENT];

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn dot_rows_i8(query: &[i8], codes: &[i8], stride: usize, rows: &[u32], out: &mut [i32]) {
    let lines = query.len().div_ceil(ROW_ALIGNMENT);
    let codes = codes.as_chunks::<ROW_ALIGNMENT>().0;
    let stride = stride / ROW_ALIGNMENT;
    let line_of = |row: u32| &codes[row as usize * stride..][..lines];
    let correction = -128 * query.iter().map(|code| i32::from(*code)).sum::<i32>();

    for row in rows.iter().take(AHEAD) {
        prefetch(line_of(*row));
    }
    let (pairs, single) = rows.as_chunks::<2>();
    let (out_pairs, out_single) = out.as_chunks_mut::<2>();
    for (i, (pair, out)) in pairs.iter().zip(out_pairs).enumerate() {
        for row in rows.iter().skip(2 * i + AHEAD).take(2) {
            prefetch(line_of(*row));
        }
        *out = dots(query, pair.map(line_of)).map(|dot| dot + correction);
    }
    for (row, out) in single.iter().zip(out_single) {
        *out = dots(query, [line_of(*row)])[0] + correction;
    }
}

/// The inner products of the query with rows that are shifted by 128.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dots<const N: usize>(query: &[i8], rows: [&[Line]; N]) -> [i32; N] {
    let shift = _mm512_set1_epi8(-128);
    let mut sums = [_mm512_setzero_si512(); N];
    let (blocks, tail) = query.as_chunks::<ROW_ALIGNMENT>();
    for (i, block) in blocks.iter().enumerate() {
        let codes = load(block);
        for n in 0..N {
            sums[n] = _mm512_dpbusd_epi32(sums[n], _mm512_xor_si512(load(&rows[n][i]), shift), codes);
        }
    }
    if !tail.is_empty() {
        let codes = load_tail(tail);
        for n in 0..N {
            let row = _mm512_xor_si512(load(&rows[n][blocks.len()]), shift);
            sums[n] = _mm512_dpbusd_epi32(sums[n], row, codes);
        }
    }
    let mut out = [0; N];
    for n in 0..N {
        out[n] = _mm512_reduce_add_epi32(sums[n]);
    }
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

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn prefetch(row: &[Line]) {
    for line in row {
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr());
    }
}
