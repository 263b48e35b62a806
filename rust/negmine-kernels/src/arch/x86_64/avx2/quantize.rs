//! Symmetric int8 quantization of a row on 256-bit vectors.
//!
//! As `crate::arch::x86_64::avx512::quantize`, with the sixteen f64 lanes of each sum in four vectors: eight
//! accumulators, three constants, and the rest of the sixteen registers for one vector of four coordinates at a time.

use std::arch::x86_64::{
    __m128i, __m256d, __m256i, _mm_add_epi32, _mm_loadu_ps, _mm_packs_epi16, _mm_packs_epi32,
    _mm_setzero_si128, _mm_storeu_si128, _mm256_add_pd, _mm256_and_si256, _mm256_cvtepi32_pd,
    _mm256_cvtpd_epi32, _mm256_cvtps_pd, _mm256_loadu_si256, _mm256_max_epu32, _mm256_mul_pd,
    _mm256_set1_epi32, _mm256_set1_pd, _mm256_setzero_pd, _mm256_setzero_si256, _mm256_storeu_pd,
    _mm256_storeu_si256, _mm256_sub_pd,
};

use crate::arch::portable::canonical::{LANES, add_lanes};
use crate::arch::portable::quantize::{Steps, Sums};

/// The bits of the largest magnitude.
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn largest_magnitude(x: &[f32]) -> u32 {
    let (blocks, tail) = x.as_chunks::<LANES>();
    let without_sign = _mm256_set1_epi32(0x7fff_ffff);
    let mut largest = [_mm256_setzero_si256(); 2];
    let mut take = |block: &[f32; LANES]| {
        for half in 0..2 {
            let magnitude = _mm256_and_si256(bits(block, half), without_sign);
            largest[half] = _mm256_max_epu32(largest[half], magnitude);
        }
    };
    for block in blocks {
        take(block);
    }
    if !tail.is_empty() {
        take(&padded(tail));
    }
    let mut out = [0_u32; 8];
    let both = _mm256_max_epu32(largest[0], largest[1]);
    // SAFETY: the array has the 32 bytes that are written; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), both) };
    out.into_iter().fold(0, u32::max)
}

/// The codes of a row and its sums.
#[target_feature(enable = "avx2,fma,f16c")]
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

/// The state of the second pass; index `part` has lanes `4 * part` to `4 * part + 3`.
struct Row {
    factor: __m256d,
    inverse: __m256d,
    scale: __m256d,
    error: [__m256d; 4],
    norm: [__m256d; 4],
    code_sum: __m128i,
}

impl Row {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn new(steps: Steps) -> Self {
        Row {
            factor: _mm256_set1_pd(steps.factor),
            inverse: _mm256_set1_pd(steps.inverse),
            scale: _mm256_set1_pd(steps.scale),
            error: [_mm256_setzero_pd(); 4],
            norm: [_mm256_setzero_pd(); 4],
            code_sum: _mm_setzero_si128(),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn add(&mut self, block: &[f32; LANES]) -> [i8; LANES] {
        let mut codes = [_mm_setzero_si128(); 4];
        for part in 0..4 {
            let y = _mm256_mul_pd(widen(block, part), self.factor);
            let code = _mm256_cvtpd_epi32(_mm256_mul_pd(y, self.inverse));
            let residual = _mm256_sub_pd(y, _mm256_mul_pd(_mm256_cvtepi32_pd(code), self.scale));
            self.norm[part] = _mm256_add_pd(self.norm[part], _mm256_mul_pd(y, y));
            self.error[part] = _mm256_add_pd(self.error[part], _mm256_mul_pd(residual, residual));
            self.code_sum = _mm_add_epi32(self.code_sum, code);
            codes[part] = code;
        }
        let (low, high) = (_mm_packs_epi32(codes[0], codes[1]), _mm_packs_epi32(codes[2], codes[3]));
        store(_mm_packs_epi16(low, high))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn sums(&self) -> Sums {
        let mut parts = [0_i32; 4];
        // SAFETY: the array has the 16 bytes that are written; the store needs no alignment.
        unsafe { _mm_storeu_si128(parts.as_mut_ptr().cast(), self.code_sum) };
        Sums { error: reduce(self.error), norm: reduce(self.norm), code_sum: parts.iter().sum() }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn bits(block: &[f32; LANES], half: usize) -> __m256i {
    let half = &block.as_chunks::<8>().0[half];
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn widen(block: &[f32; LANES], part: usize) -> __m256d {
    let part = &block.as_chunks::<4>().0[part];
    // SAFETY: the reference covers the 16 bytes that are read; the load needs no alignment.
    _mm256_cvtps_pd(unsafe { _mm_loadu_ps(part.as_ptr()) })
}

#[inline]
fn padded(tail: &[f32]) -> [f32; LANES] {
    let mut block = [0.0; LANES];
    block[..tail.len()].copy_from_slice(tail);
    block
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(codes: __m128i) -> [i8; LANES] {
    let mut out = [0; LANES];
    // SAFETY: the array has the 16 bytes that are written; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), codes) };
    out
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn reduce(sums: [__m256d; 4]) -> f64 {
    let mut lanes = [0.0; LANES];
    for (part, sum) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        // SAFETY: the reference covers the 32 bytes that are written; the store needs no alignment.
        unsafe { _mm256_storeu_pd(part.as_mut_ptr(), sum) };
    }
    add_lanes(lanes)
}
