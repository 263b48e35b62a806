//! The int8 panel scan on 256-bit vectors without a dot-product instruction, and what all 256-bit scans share.
//!
//! Accumulator: i32, one a document, started at the query's correction so that the shift of the documents by 128
//! cancels; integer sums have no order. The bound is f32 and as `crate::dot_i8` defines it, NaN kept. The panel has
//! `groups * 256` bytes (checked by the caller).
//!
//! Products: `vpmaddubsw` multiplies bytes but adds neighbours in i16 *with saturation*, so the shifted documents (up
//! to 255) need another way: even and odd bytes of a word are widened apart, by a mask and by a shift, and `vpmaddwd`
//! multiplies them with the query's even and odd codes, exactly. The usual trick (move the sign of the document to the
//! query, then `vpmaddubsw` and `vpmaddwd` with ones) also takes four instructions for 32 products, but three of them
//! on the two multiplying ports instead of two: 125 against 150 Gop/s on a Zen 4 core.
//!
//! Why this shape: three queries by two vectors of eight documents are six accumulators; sixteen registers also hold
//! two vectors of documents, each twice, and the mask. Six by one is as fast, two by four has no registers left (130).

use std::arch::x86_64::{
    __m256, __m256i, _CMP_NLT_UQ, _mm256_add_epi32, _mm256_and_si256, _mm256_cmp_ps, _mm256_cvtepi32_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_movemask_ps,
    _mm256_mul_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256,
    _mm256_srli_epi16, _mm256_storeu_si256,
};

use crate::dot_i8::{BLOCK, Block, GROUP_BYTES, Hit, PANEL, Pair, Panel, Part, QueryTile, append};

/// Queries that are multiplied together.
const QUERIES: usize = 3;

/// Vectors of eight documents that are multiplied together.
const VECTORS: usize = 2;

#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let mut found = Found::new();
    for (block, pairs) in queries.blocks().zip(queries.pairs()) {
        let n = block.len();
        for first in (0..n).step_by(QUERIES) {
            match n - first {
                1 => scan_part::<1>(&block, pairs, first, panel, &mut found),
                2 => scan_part::<2>(&block, pairs, first, panel, &mut found),
                _ => scan_part::<QUERIES>(&block, pairs, first, panel, &mut found),
            }
        }
        found.append(&block, panel.valid, hits);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn scan_part<const Q: usize>(
    block: &Block<'_>,
    pairs: &[[Pair; BLOCK]],
    first: usize,
    panel: &Panel<'_>,
    found: &mut Found,
) {
    let queries = block.part::<Q>(first);
    for strip in 0..PANEL / (8 * VECTORS) {
        let dots = dots(&queries, pairs, panel, strip);
        found.judge(&queries, panel, strip, &dots);
    }
}

/// The inner products of `Q` queries with a strip of the panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dots<const Q: usize>(
    queries: &Part<'_, Q>,
    pairs: &[[Pair; BLOCK]],
    panel: &Panel<'_>,
    strip: usize,
) -> [[__m256i; VECTORS]; Q] {
    let even_bytes = _mm256_set1_epi16(0xff);
    let mut sums = [[_mm256_setzero_si256(); VECTORS]; Q];
    for q in 0..Q {
        sums[q] = [_mm256_set1_epi32(queries.correction[q]); VECTORS];
    }
    for (pairs, group) in pairs.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        let mut documents = [[_mm256_setzero_si256(); 2]; VECTORS];
        for v in 0..VECTORS {
            let bytes = load(group, strip * VECTORS + v);
            documents[v] = [_mm256_and_si256(bytes, even_bytes), _mm256_srli_epi16::<8>(bytes)];
        }
        for q in 0..Q {
            for half in 0..2 {
                let codes = _mm256_set1_epi32(pairs[queries.first + q][half]);
                for v in 0..VECTORS {
                    let products = _mm256_madd_epi16(documents[v][half], codes);
                    sums[q][v] = _mm256_add_epi32(sums[q][v], products);
                }
            }
        }
    }
    sums
}

/// Eight documents of a group.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn load(group: &[u8; GROUP_BYTES], at: usize) -> __m256i {
    let part = &group.as_chunks::<32>().0[at];
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

    /// Keeps the documents whose bound is not below the threshold, for these queries and the strip of `8 * V` documents of
    /// that number.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn judge<const Q: usize, const V: usize>(
        &mut self,
        queries: &Part<'_, Q>,
        panel: &Panel<'_>,
        strip: usize,
        dots: &[[__m256i; V]; Q],
    ) {
        let mut masks = [0; Q];
        for v in 0..V {
            let at = strip * V + v;
            let (scale, error, norm) = (part(panel.scale, at), part(panel.error, at), part(panel.norm, at));
            for q in 0..Q {
                let mut high = _mm256_mul_ps(_mm256_set1_ps(queries.norm_weight[q]), norm);
                if let Some(offset) = panel.offset {
                    let weight = _mm256_set1_ps(queries.offset_weight[q]);
                    high = _mm256_fmadd_ps(weight, part(offset, at), high);
                }
                high = _mm256_fmadd_ps(_mm256_set1_ps(queries.error_weight[q]), error, high);
                high = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[q][v]), scale, high);
                let threshold = _mm256_set1_ps(queries.threshold[q]);
                let mask = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(high, threshold));
                masks[q] |= u64::from(mask as u32) << (8 * at);
            }
        }
        for q in 0..Q {
            if masks[q] != 0 {
                self.masks[queries.first + q] |= masks[q];
                store(&dots[q], &mut self.dots[queries.first + q].as_chunks_mut::<8>().0[strip * V..]);
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
fn store(dots: &[__m256i], out: &mut [[i32; 8]]) {
    for (part, dots) in out.iter_mut().zip(dots) {
        // SAFETY: the reference covers the 32 bytes that are written; the store needs no alignment.
        unsafe { _mm256_storeu_si256(part.as_mut_ptr().cast(), *dots) };
    }
}
