//! Symmetric int8 quantization of a row on 512-bit vectors.
//!
//! Two passes, because the scale must be known first; the second finds the row in the L1 cache. Accumulators: for the
//! norm and for the error sixteen f64 lanes each, in canonical order, multiplied then added, never fused, so the bits
//! are those of the scalar form in `crate::quantize`. Coordinates are finite (checked by the caller between the passes)
//! and no code leaves [-127, 127]. `codes` is as long as the row (checked by the caller); no alignment.
//!
//! A last block of fewer than sixteen coordinates is filled with zeros: a zero has code 0 and adds nothing.

use std::arch::x86_64::{
    __m128i, __m512d, __m512i, _mm_storeu_si128, _mm256_loadu_ps, _mm512_add_epi32, _mm512_add_pd,
    _mm512_and_si512, _mm512_castsi256_si512, _mm512_cvtepi32_epi8, _mm512_cvtepi32_pd, _mm512_cvtpd_epi32,
    _mm512_cvtps_pd, _mm512_inserti64x4, _mm512_loadu_si512, _mm512_max_epu32, _mm512_mul_pd,
    _mm512_reduce_add_epi32, _mm512_reduce_max_epu32, _mm512_set1_epi32, _mm512_set1_pd, _mm512_setzero_pd,
    _mm512_setzero_si512, _mm512_storeu_pd, _mm512_sub_pd,
};

use crate::arch::portable::canonical::{LANES, add_lanes};
use crate::arch::portable::quantize::{Steps, Sums};

/// The bits of the largest magnitude.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn largest_magnitude(x: &[f32]) -> u32 {
    let (blocks, tail) = x.as_chunks::<LANES>();
    let without_sign = _mm512_set1_epi32(0x7fff_ffff);
    let mut largest = _mm512_setzero_si512();
    for block in blocks {
        largest = _mm512_max_epu32(largest, _mm512_and_si512(bits(block), without_sign));
    }
    if !tail.is_empty() {
        let block = padded(tail);
        largest = _mm512_max_epu32(largest, _mm512_and_si512(bits(&block), without_sign));
    }
    _mm512_reduce_max_epu32(largest)
}

/// The codes of a row and its sums.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn quantize(x: &[f32], steps: Steps, codes: &mut [i8]) -> Sums {
    let mut row = Row::new(steps);
    let (blocks, tail) = x.as_chunks::<LANES>();
    let (code_blocks, code_tail) = codes.as_chunks_mut::<LANES>();
    for (block, codes) in blocks.iter().zip(code_blocks) {
        *codes = row.add(block);
    }
    if !tail.is_empty() {
        let codes = row.add(&padded(tail));
        code_tail.copy_from_slice(&codes[..tail.len()]);
    }
    row.sums()
}

/// The state of the second pass; index 0 has lanes 0 to 7, index 1 lanes 8 to 15.
struct Row {
    factor: __m512d,
    inverse: __m512d,
    scale: __m512d,
    error: [__m512d; 2],
    norm: [__m512d; 2],
    code_sum: __m512i,
}

impl Row {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn new(steps: Steps) -> Self {
        Row {
            factor: _mm512_set1_pd(steps.factor),
            inverse: _mm512_set1_pd(steps.inverse),
            scale: _mm512_set1_pd(steps.scale),
            error: [_mm512_setzero_pd(); 2],
            norm: [_mm512_setzero_pd(); 2],
            code_sum: _mm512_setzero_si512(),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn add(&mut self, block: &[f32; LANES]) -> [i8; LANES] {
        let mut codes = _mm512_setzero_si512();
        for half in 0..2 {
            let y = _mm512_mul_pd(widen(block, half), self.factor);
            let code = _mm512_cvtpd_epi32(_mm512_mul_pd(y, self.inverse));
            let residual = _mm512_sub_pd(y, _mm512_mul_pd(_mm512_cvtepi32_pd(code), self.scale));
            self.norm[half] = _mm512_add_pd(self.norm[half], _mm512_mul_pd(y, y));
            self.error[half] = _mm512_add_pd(self.error[half], _mm512_mul_pd(residual, residual));
            codes = match half {
                0 => _mm512_castsi256_si512(code),
                _ => _mm512_inserti64x4::<1>(codes, code),
            };
        }
        self.code_sum = _mm512_add_epi32(self.code_sum, codes);
        store(_mm512_cvtepi32_epi8(codes))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn sums(&self) -> Sums {
        let code_sum = _mm512_reduce_add_epi32(self.code_sum);
        Sums { error: reduce(self.error), norm: reduce(self.norm), code_sum }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn bits(block: &[f32; LANES]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn widen(block: &[f32; LANES], half: usize) -> __m512d {
    let half = &block.as_chunks::<8>().0[half];
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    _mm512_cvtps_pd(unsafe { _mm256_loadu_ps(half.as_ptr()) })
}

#[inline]
fn padded(tail: &[f32]) -> [f32; LANES] {
    let mut block = [0.0; LANES];
    block[..tail.len()].copy_from_slice(tail);
    block
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn store(codes: __m128i) -> [i8; LANES] {
    let mut out = [0; LANES];
    // SAFETY: the array has the 16 bytes that are written; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), codes) };
    out
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
