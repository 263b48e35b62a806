//! Scatter and gather of rows by signature on 256-bit vectors; `crate::arch::x86_64::buckets` holds the shared source.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_cmpeq_epi8, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_movemask_epi8,
    _mm256_mul_ps, _mm256_set1_epi8, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use crate::arch::portable::buckets::{Shape, Signatures};
use crate::arch::x86_64::buckets::{self, Lanes};

/// Only the functions below make one, so its existence proves that the processor has the instructions.
#[derive(Clone, Copy)]
struct Bits256(());

/// Vectors of 64 columns.
const WIDE: usize = 8;

/// [`crate::buckets::scatter`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn scatter(
    shape: Shape,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
    counts: &mut [u32],
) {
    buckets::scatter::<_, WIDE>(Bits256(()), shape, signatures, values, factors, table, counts);
}

/// [`crate::buckets::gather`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn gather(
    shape: Shape,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    buckets::gather::<_, WIDE>(Bits256(()), shape, signatures, table, factors, out);
}

#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
impl Lanes for Bits256 {
    type Vector = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    fn zero(self) -> __m256 {
        // SAFETY: this type is made by functions that have these features.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn multiply(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        let from = &from[..Self::LANES];
        // SAFETY: as above; the slice has the numbers that are read, and the load needs no alignment.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn load_at(self, from: &[f32], place: usize) -> __m256 {
        // SAFETY: as above; the caller knows that the slice has the numbers that are read.
        unsafe { _mm256_loadu_ps(from.as_ptr().add(place)) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], vector: __m256) {
        let to = &mut to[..Self::LANES];
        // SAFETY: as above; the slice has the numbers that are written, and the store needs no alignment.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), vector) };
    }

    #[inline(always)]
    fn equal(self, bytes: &[u8; 64], byte: u8) -> u64 {
        let mut masks = [0_u64; 2];
        for (mask, half) in masks.iter_mut().zip(bytes.as_chunks::<32>().0) {
            // SAFETY: as above; the reference covers the 32 bytes that are read, and the load needs no alignment.
            let equal = unsafe {
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(
                    _mm256_loadu_si256(half.as_ptr().cast()),
                    _mm256_set1_epi8(byte as i8),
                ))
            };
            *mask = u64::from(equal as u32);
        }
        masks[0] | masks[1] << 32
    }
}
