//! Scatter and gather of rows by signature on 512-bit vectors; `crate::arch::x86_64::buckets` holds the shared source.

use std::arch::x86_64::{
    __m512, _mm_storeu_si128, _mm512_add_ps, _mm512_cmpeq_epi8_mask, _mm512_cvtusepi32_epi8, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_maskz_loadu_epi32, _mm512_mul_ps, _mm512_set1_epi8, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_unpackhi_epi8,
    _mm512_unpacklo_epi8,
};

use std::ops::Range;

use crate::arch::portable::buckets::{Shape, Signatures};
use crate::arch::x86_64::buckets::{self, Bytes, Lanes};

/// Only the functions below make one, so its existence proves that the processor has the instructions.
#[derive(Clone, Copy)]
struct Bits512(());

/// Vectors of 64 columns.
const WIDE: usize = 4;

/// [`crate::buckets::scatter`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn scatter(
    shape: Shape,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
    counts: &mut [u32],
) {
    buckets::scatter::<_, WIDE>(Bits512(()), shape, signatures, values, factors, table, counts);
}

/// [`crate::buckets::gather`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn gather(
    shape: Shape,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    buckets::gather::<_, WIDE>(Bits512(()), shape, signatures, table, factors, out);
}

#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
impl Lanes for Bits512 {
    type Vector = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    fn zero(self) -> __m512 {
        // SAFETY: this type is made by functions that have these features.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn multiply(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m512 {
        let from = &from[..Self::LANES];
        // SAFETY: as above; the slice has the numbers that are read, and the load needs no alignment.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn load_at(self, from: &[f32], place: usize) -> __m512 {
        // SAFETY: as above; the caller knows that the slice has the numbers that are read.
        unsafe { _mm512_loadu_ps(from.as_ptr().add(place)) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], vector: __m512) {
        let to = &mut to[..Self::LANES];
        // SAFETY: as above; the slice has the numbers that are written, and the store needs no alignment.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) };
    }

    #[inline(always)]
    fn collect(
        self,
        signatures: Signatures<'_>,
        rows: Range<usize>,
        first: usize,
        groups: usize,
        bytes: &mut Bytes,
    ) {
        // SAFETY: as above.
        unsafe { collect(signatures, rows, first, groups, bytes) };
    }

    #[inline(always)]
    fn equal(self, bytes: &[u8; 64], byte: u8) -> u64 {
        // SAFETY: as above; the reference covers the 64 bytes that are read, and the load needs no alignment.
        unsafe {
            _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes.as_ptr().cast()), _mm512_set1_epi8(byte as i8))
        }
    }
}

/// Sixteen bytes of each row lie in one quarter of a register, rows that lie sixteen apart in the same register; four
/// shuffles of all registers with each other turn rows into columns.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn collect(signatures: Signatures<'_>, rows: Range<usize>, first: usize, groups: usize, bytes: &mut Bytes) {
    let mask = u16::MAX >> (16 - groups.min(16));
    let mut quarters = [[[u8::MAX; 16]; 4]; 16];
    for (place, row) in rows.enumerate() {
        let words = &signatures.row(row)[first..first + groups];
        // SAFETY: only lanes that the mask names are read, and they lie inside the slice; 16 bytes are written.
        unsafe {
            let words = _mm512_maskz_loadu_epi32(mask, words.as_ptr().cast());
            let to = &mut quarters[place % 16][place / 16 % 4];
            _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtusepi32_epi8(words));
        }
    }
    let mut columns = [_mm512_setzero_si512(); 16];
    for k in 0..16 {
        // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
        columns[k] = unsafe { _mm512_loadu_si512(quarters[k].as_ptr().cast()) };
    }
    for _ in 0..4 {
        let before = columns;
        for k in 0..8 {
            columns[2 * k] = _mm512_unpacklo_epi8(before[k], before[k + 8]);
            columns[2 * k + 1] = _mm512_unpackhi_epi8(before[k], before[k + 8]);
        }
    }
    for k in 0..16 {
        // SAFETY: the reference covers the 64 bytes that are written; the store needs no alignment.
        unsafe { _mm512_storeu_si512(bytes[k].as_mut_ptr().cast(), columns[k]) };
    }
}
