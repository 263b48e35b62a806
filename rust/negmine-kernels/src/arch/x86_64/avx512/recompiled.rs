//! Kernels whose portable source is compiled again for AVX-512; the compiler vectorizes it.

use crate::arch::portable::feistel::{self, ROUNDS};
use crate::arch::portable::{complement, peak, sums, widen};

/// [`crate::feistel::rounds`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) fn feistel_rounds(
    keys: &[u32; ROUNDS],
    radices: [u32; 2],
    left: &mut [u32],
    right: &mut [u32],
    out: &mut [i64],
) -> i64 {
    feistel::rounds(keys, radices, left, right, out)
}

/// [`crate::complement::rows_of_ranks`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) fn rows_of_ranks(excluded: &[i64], ranks: &mut [u32]) {
    complement::rows_of_ranks(excluded, ranks);
}

/// [`crate::sums::add_row`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) fn add_row(sums: &mut [f64], row: &[f32], factor: f64) {
    sums::add_row(sums, row, factor);
}

/// [`crate::sums::add_codes`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) fn add_codes(sums: &mut [i32], codes: &[i8], factor: i16) {
    sums::add_codes(sums, codes, factor);
}

/// [`crate::widen::widen_bf16`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn widen_bf16(bits: &[u16], out: &mut [f32]) {
    widen::widen_bf16(bits, out);
}

/// The sum of words, for `crate::peak`.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn sum_words(words: &[u64]) -> u64 {
    peak::sum(words)
}
