//! Canonical inner products and squared distances on 512-bit vectors.
//!
//! Accumulator: sixteen f64 lanes in two vectors, in the order that `crate::canonical` defines; the result has its
//! bits. NaN and infinity follow IEEE arithmetic. Rows have the query's width (checked by the caller); no alignment.
//! With one row the two chains are bound by the latency of the additions; four rows make eight chains, enough for two
//! multiply-adds a cycle at a latency of four, and share the query's conversions.

use std::arch::x86_64::{
    __m256, __m512d, __mmask8, _mm256_loadu_ps, _mm256_maskz_loadu_ps, _mm512_add_pd, _mm512_cvtps_pd,
    _mm512_fmadd_pd, _mm512_mul_pd, _mm512_setzero_pd, _mm512_storeu_pd, _mm512_sub_pd,
};

use crate::canonical::{LANES, add_lanes};

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn dot<const N: usize>(q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    interleaved::<N, false>(q, rows)
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn squared_distance<const N: usize>(q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    interleaved::<N, true>(q, rows)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn interleaved<const N: usize, const DISTANCE: bool>(q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    let (blocks, tail) = q.as_chunks::<LANES>();
    let mut row_blocks = [blocks; N];
    let mut row_tails = [tail; N];
    for n in 0..N {
        let (blocks_of_row, tail_of_row) = rows[n].as_chunks::<LANES>();
        row_blocks[n] = &blocks_of_row[..blocks.len()];
        row_tails[n] = tail_of_row;
    }
    let mut sums = [[_mm512_setzero_pd(); 2]; N];
    for (i, block) in blocks.iter().enumerate() {
        let [low, high] = halves(block);
        for n in 0..N {
            let [row_low, row_high] = halves(&row_blocks[n][i]);
            sums[n][0] = step::<DISTANCE>(sums[n][0], low, row_low);
            sums[n][1] = step::<DISTANCE>(sums[n][1], high, row_high);
        }
    }
    if !tail.is_empty() {
        let [low, high] = tail_halves(tail);
        for n in 0..N {
            let [row_low, row_high] = tail_halves(row_tails[n]);
            sums[n][0] = step::<DISTANCE>(sums[n][0], low, row_low);
            sums[n][1] = step::<DISTANCE>(sums[n][1], high, row_high);
        }
    }
    let mut out = [0.0; N];
    for n in 0..N {
        out[n] = reduce(sums[n]);
    }
    out
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn step<const DISTANCE: bool>(sum: __m512d, x: __m256, y: __m256) -> __m512d {
    let (x, y) = (_mm512_cvtps_pd(x), _mm512_cvtps_pd(y));
    if DISTANCE {
        let difference = _mm512_sub_pd(x, y);
        _mm512_add_pd(sum, _mm512_mul_pd(difference, difference))
    } else {
        _mm512_fmadd_pd(x, y, sum)
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn halves(x: &[f32; LANES]) -> [__m256; 2] {
    let x = x.as_ptr();
    // SAFETY: the reference covers the 64 bytes that the two loads read; they need no alignment.
    unsafe { [_mm256_loadu_ps(x), _mm256_loadu_ps(x.add(8))] }
}

/// Fewer than sixteen coordinates, followed by zeros.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tail_halves(x: &[f32]) -> [__m256; 2] {
    let mask = (1_u32 << x.len().min(LANES)) - 1;
    let x = x.as_ptr();
    // SAFETY: the masks keep the loads to the coordinates of the slice; masked lanes are not read, and the address of
    // the second half is only formed.
    unsafe {
        [
            _mm256_maskz_loadu_ps(mask as __mmask8, x),
            _mm256_maskz_loadu_ps((mask >> 8) as __mmask8, x.wrapping_add(8)),
        ]
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn reduce(sums: [__m512d; 2]) -> f64 {
    let mut lanes = [0.0; LANES];
    for (half, sum) in lanes.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
        // SAFETY: the reference covers the 64 bytes that are written; the store needs no alignment.
        unsafe { _mm512_storeu_pd(half.as_mut_ptr(), sum) };
    }
    add_lanes(lanes)
}
