//! Multiply-add loops on registers, which measure peak arithmetic rates.
//!
//! Each has enough independent accumulators for the latency and the number of pipes, in registers only; operands pass
//! through `black_box` so that nothing is computed beforehand. They return the number of multiply-adds done.

use std::arch::x86_64::{
    _mm256_add_epi32, _mm256_dpbusd_avx_epi32, _mm256_dpbusd_epi32, _mm256_fmadd_ps, _mm256_madd_epi16,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_ps, _mm256_setzero_si256, _mm512_dpbusd_epi32,
    _mm512_fmadd_ps, _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_si512,
};
use std::hint::black_box;

#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn f32_avx2(rounds: u64) -> u64 {
    let (mut sums, factor) = ([_mm256_set1_ps(1.0); 12], _mm256_set1_ps(black_box(0.5)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    rounds * 12 * 8
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn f32_avx512(rounds: u64) -> u64 {
    let (mut sums, factor) = ([_mm512_set1_ps(1.0); 24], _mm512_set1_ps(black_box(0.5)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    rounds * 24 * 16
}

/// The exact sequence of the panel scan: `vpmaddwd` on widened bytes, then `vpaddd`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn int8_avx2(rounds: u64) -> u64 {
    let documents = black_box([_mm256_set1_epi8(3); 6]);
    let mut sums = [_mm256_setzero_si256(); 6];
    for _ in 0..rounds {
        // The products do not change from round to round; opaque operands keep them from being computed once.
        let codes = _mm256_set1_epi16(black_box(2));
        for (sum, documents) in sums.iter_mut().zip(documents) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(documents, codes));
        }
    }
    black_box(sums);
    rounds * 6 * 16
}

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(crate) fn int8_avxvnni(rounds: u64) -> u64 {
    let (documents, codes) = (_mm256_set1_epi8(black_box(3)), _mm256_set1_epi8(black_box(2)));
    let mut sums = [_mm256_setzero_si256(); 12];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_dpbusd_avx_epi32(*sum, documents, codes);
        }
    }
    black_box(sums);
    rounds * 12 * 32
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn int8_vnni256(rounds: u64) -> u64 {
    let (documents, codes) = (_mm256_set1_epi8(black_box(3)), _mm256_set1_epi8(black_box(2)));
    let mut sums = [_mm256_setzero_si256(); 24];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_dpbusd_epi32(*sum, documents, codes);
        }
    }
    black_box(sums);
    rounds * 24 * 32
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn int8_avx512(rounds: u64) -> u64 {
    let (documents, codes) = (_mm512_set1_epi8(black_box(3)), _mm512_set1_epi8(black_box(2)));
    let mut sums = [_mm512_setzero_si512(); 24];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, documents, codes);
        }
    }
    black_box(sums);
    rounds * 24 * 64
}
