//! The int8 panel scan on 256-bit vectors without a dot-product instruction, and what all 256-bit scans share.
//!
//! Accumulator: i32, one a document; integer sums have no order. The bound is f32 and as `crate::dot_i8` defines it,
//! NaN kept. The panel has `groups * 256` bytes (checked by the caller).
//!
//! Products: `vpmaddubsw` multiplies unsigned with signed bytes and adds neighbours in i16 *with saturation*, so the
//! shifted documents (up to 255) cannot be used. Instead |d| meets q with the sign of d: magnitudes of at most 127, and
//! a pair of at most 2 * 127 * 127 = 32,258 fits. `vpmaddwd` with ones adds pairs to i32. That is four instructions
//! for 32 products, as many as `vpmaddwd` on widened bytes takes, but fewer of them to prepare the operands.
//!
//! Why this shape: two queries by four vectors of eight documents are eight accumulators; sixteen registers also hold
//! the two queries, a document's codes and magnitudes, the ones and one temporary.

use std::arch::x86_64::{
    __m256, __m256i, _CMP_NLT_UQ, _mm256_abs_epi8, _mm256_add_epi32, _mm256_cmp_ps, _mm256_cvtepi32_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_movemask_ps, _mm256_mul_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_storeu_si256, _mm256_xor_si256,
};

use crate::dot_i8::{BLOCK, Block, GROUP_BYTES, Hit, PANEL, Panel, QueryTile, append};

/// Vectors of eight documents that are multiplied together.
pub(crate) const VECTORS: usize = 4;

/// Documents of such a strip.
pub(crate) const STRIP: usize = 8 * VECTORS;

/// Strips of a panel.
pub(crate) const STRIPS: usize = PANEL / STRIP;

#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let mut found = Found::new();
    for block in queries.blocks() {
        let n = block.correction.len();
        for first in (0..n).step_by(2) {
            match n - first {
                1 => scan_part::<1>(&block, first, panel, &mut found),
                _ => scan_part::<2>(&block, first, panel, &mut found),
            }
        }
        found.append(&block, panel.valid, hits);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn scan_part<const Q: usize>(block: &Block<'_>, first: usize, panel: &Panel<'_>, found: &mut Found) {
    for strip in 0..STRIPS {
        let dots = dots::<Q>(block, first, panel, strip);
        found.judge(block, first, panel, strip, &dots);
    }
}

/// The inner products of `Q` queries with a strip of the panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dots<const Q: usize>(
    block: &Block<'_>,
    first: usize,
    panel: &Panel<'_>,
    strip: usize,
) -> [[__m256i; VECTORS]; Q] {
    let (shift, ones) = (_mm256_set1_epi8(-128), _mm256_set1_epi16(1));
    let mut sums = [[_mm256_setzero_si256(); VECTORS]; Q];
    for (words, group) in block.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        let mut codes = [_mm256_setzero_si256(); Q];
        for q in 0..Q {
            codes[q] = _mm256_set1_epi32(words[first + q]);
        }
        for v in 0..VECTORS {
            let document = _mm256_xor_si256(load(group, strip, v), shift);
            let magnitude = _mm256_abs_epi8(document);
            for q in 0..Q {
                let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(codes[q], document));
                sums[q][v] = _mm256_add_epi32(sums[q][v], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    sums
}

/// Eight documents of a group: vector `v` of a strip.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn load(group: &[u8; GROUP_BYTES], strip: usize, v: usize) -> __m256i {
    let part = &group.as_chunks::<32>().0[strip * VECTORS + v];
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(part.as_ptr().cast()) }
}

/// The survivors of one block of queries, collected over the strips of a panel.
pub(crate) struct Found {
    masks: [u64; BLOCK],
    /// Valid where the mask has a bit.
    dots: [[i32; PANEL]; BLOCK],
}

impl Found {
    pub(crate) fn new() -> Self {
        Found { masks: [0; BLOCK], dots: [[0; PANEL]; BLOCK] }
    }

    /// Keeps the documents of a strip whose bound is not below the threshold, for queries `first` to `first + Q`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn judge<const Q: usize>(
        &mut self,
        block: &Block<'_>,
        first: usize,
        panel: &Panel<'_>,
        strip: usize,
        dots: &[[__m256i; VECTORS]; Q],
    ) {
        let mut masks = [0; Q];
        for v in 0..VECTORS {
            let at = strip * VECTORS + v;
            let (scale, error, norm) = (part(panel.scale, at), part(panel.error, at), part(panel.norm, at));
            for q in 0..Q {
                let mut high = _mm256_mul_ps(_mm256_set1_ps(block.norm_weight[first + q]), norm);
                if let Some(offset) = panel.offset {
                    let weight = _mm256_set1_ps(block.offset_weight[first + q]);
                    high = _mm256_fmadd_ps(weight, part(offset, at), high);
                }
                high = _mm256_fmadd_ps(_mm256_set1_ps(block.error_weight[first + q]), error, high);
                high = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[q][v]), scale, high);
                let threshold = _mm256_set1_ps(block.threshold[first + q]);
                let mask = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(high, threshold));
                masks[q] |= u64::from(mask as u32) << (8 * at);
            }
        }
        for q in 0..Q {
            if masks[q] != 0 {
                self.masks[first + q] |= masks[q];
                store(&dots[q], &mut self.dots[first + q].as_chunks_mut::<STRIP>().0[strip]);
            }
        }
    }

    /// Appends the block's survivors that are documents, by query and lane, and forgets them.
    pub(crate) fn append(&mut self, block: &Block<'_>, valid: u64, hits: &mut Vec<Hit>) {
        for (q, (mask, dots)) in self.masks.iter_mut().zip(&self.dots).enumerate() {
            append(hits, block.first + q, std::mem::take(mask) & valid, dots);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn part(x: &[f32; PANEL], at: usize) -> __m256 {
    let part = &x.as_chunks::<8>().0[at];
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_ps(part.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(dots: &[__m256i; VECTORS], out: &mut [i32; STRIP]) {
    for (part, dots) in out.as_chunks_mut::<8>().0.iter_mut().zip(dots) {
        // SAFETY: the reference covers the 32 bytes that are written; the store needs no alignment.
        unsafe { _mm256_storeu_si256(part.as_mut_ptr().cast(), *dots) };
    }
}
