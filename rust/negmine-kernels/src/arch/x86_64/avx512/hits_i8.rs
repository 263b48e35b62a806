//! Inner products of a panel's hits, `vpdpbusd` on 512-bit vectors.
//!
//! Accumulator: i32, sixteen partial sums a pair; integer sums have no order. Rows lie inside their slices and the
//! stride is a positive multiple of 64 (checked by the caller).
//!
//! Why this shape: rows and queries are in the L1 cache, so the reduction is most of the cost. Four pairs are reduced
//! together by transposed additions. Rows are shifted by 128 to be unsigned; a second product, with 128 alone, undoes
//! the shift at less cost than a stored correction per query.

use std::arch::x86_64::{
    __m512i, _mm_add_epi32, _mm_storeu_si128, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm512_add_epi32, _mm512_castsi512_si256, _mm512_dpbusd_epi32,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_sub_epi32,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use crate::arch::codes::{Hit, ROW_ALIGNMENT};
use crate::arch::x86_64::prefetch::Line;

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn dot_hits_i8(queries: &[i8], rows: &[i8], stride: usize, hits: &[Hit], out: &mut [i32]) {
    let (queries, rows) = (queries.as_chunks().0, rows.as_chunks().0);
    match stride / ROW_ALIGNMENT {
        1 => dot_hits::<1>(queries, rows, hits, out),
        2 => dot_hits::<2>(queries, rows, hits, out),
        3 => dot_hits::<3>(queries, rows, hits, out),
        4 => dot_hits::<4>(queries, rows, hits, out),
        6 => dot_hits::<6>(queries, rows, hits, out),
        8 => dot_hits::<8>(queries, rows, hits, out),
        12 => dot_hits::<12>(queries, rows, hits, out),
        lines => {
            for (hit, out) in hits.iter().zip(out) {
                let query = &queries[hit.query as usize * lines..][..lines];
                let row = &rows[hit.lane as usize * lines..][..lines];
                let mut all = _mm512_setzero_si512();
                for (query, row) in query.iter().zip(row) {
                    all = _mm512_add_epi32(all, sum(&[*query], &[*row]));
                }
                *out = reduce([all; 4])[0];
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dot_hits<const L: usize>(queries: &[Line], rows: &[Line], hits: &[Hit], out: &mut [i32]) {
    let (queries, rows) = (queries.as_chunks::<L>().0, rows.as_chunks::<L>().0);
    let pair = |hit: &Hit| (&queries[hit.query as usize], &rows[hit.lane as usize]);
    let (fours, rest) = hits.as_chunks::<4>();
    let (out_fours, out_rest) = out.as_chunks_mut::<4>();
    for ([a, b, c, d], out) in fours.iter().zip(out_fours) {
        let (a, b, c, d) = (pair(a), pair(b), pair(c), pair(d));
        *out = reduce([sum(a.0, a.1), sum(b.0, b.1), sum(c.0, c.1), sum(d.0, d.1)]);
    }
    for (hit, out) in rest.iter().zip(out_rest) {
        let (query, row) = pair(hit);
        *out = reduce([sum(query, row); 4])[0];
    }
}

/// Sixteen partial sums of one pair.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn sum<const L: usize>(query: &[Line; L], row: &[Line; L]) -> __m512i {
    let shift = _mm512_set1_epi8(-128);
    let mut products = _mm512_setzero_si512();
    let mut shifts = _mm512_setzero_si512();
    for i in 0..L {
        let codes = load(&query[i]);
        products = _mm512_dpbusd_epi32(products, _mm512_xor_si512(load(&row[i]), shift), codes);
        shifts = _mm512_dpbusd_epi32(shifts, shift, codes);
    }
    _mm512_sub_epi32(products, shifts)
}

/// The totals of four vectors.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn reduce([a, b, c, d]: [__m512i; 4]) -> [i32; 4] {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    let quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    let mut out = [0; 4];
    // SAFETY: the array has the 16 bytes that are written; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), quarter) };
    out
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(line: &Line) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}
