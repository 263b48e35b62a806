//! The int8 panel scan with `vpdpbusd` on 512-bit vectors.
//!
//! Accumulator: i32, one a document, started at the query's correction so that the shift of the documents by 128
//! cancels; integer sums have no order. The bound is f32 and as `crate::dot_i8` defines it, NaN kept. The panel has
//! `groups * 256` bytes (checked by the caller), best aligned to 64.
//!
//! Why this shape: a dot-product instruction needs four cycles and one or two start each cycle, so eight or more must
//! be in flight. Six queries by four vectors are 24, with four registers for documents and four to spare; a group of
//! four dimensions costs four loads and six broadcasts for 24 products, well below the loads that the processor has.
//! The non-saturating form is the only exact one. Survivors are rare, so the epilogue takes the greatest product of
//! each query, compares it with the query's floor (`crate::arch::summary`), and only where one is reached stores
//! products and forms bounds. At width 128 this is 94 % of the peak of `vpdpbusd` on a Zen 4 core, with the bounds in
//! registers 87.

use std::arch::x86_64::{
    __m512, __m512i, _CMP_GE_OQ, _CMP_NLT_UQ, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_max_epi32,
    _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_reduce_max_ps,
    _mm512_reduce_min_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512, _mm512_storeu_si512,
};

use crate::arch::codes::{GROUP_BYTES, Hit, PANEL, Panel, append, bits};
use crate::arch::query_tile::{BLOCK, Block, Bounds, QueryTile};
use crate::arch::summary::{Range, Summary};
use crate::arch::x86_64::prefetch::Ahead;

/// Vectors of sixteen documents in a panel.
const VECTORS: usize = 4;

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let summary = summary(panel);
    for block in 0..queries.blocks() {
        let block = queries.block(block);
        match block.len {
            1 => scan_block::<1>(&block, &summary, panel, hits),
            2 => scan_block::<2>(&block, &summary, panel, hits),
            3 => scan_block::<3>(&block, &summary, panel, hits),
            4 => scan_block::<4>(&block, &summary, panel, hits),
            5 => scan_block::<5>(&block, &summary, panel, hits),
            _ => scan_block::<BLOCK>(&block, &summary, panel, hits),
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn scan_block<const Q: usize>(block: &Block<'_>, summary: &Summary, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let floors = summary.floors(block.bounds);
    let dots = dots::<Q>(block, panel);
    let mut reached = 0;
    for q in 0..Q {
        let [a, b, c, d] = dots[q];
        let greatest = _mm512_max_epi32(_mm512_max_epi32(a, b), _mm512_max_epi32(c, d));
        let floor = _mm512_set1_ps(floors[q]);
        let mask = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(_mm512_cvtepi32_ps(greatest), floor);
        reached |= u32::from(mask != 0) << q;
    }
    if reached != 0 {
        // A copy, so that `dots` itself is never in memory and stays in registers where nothing is reached.
        let stored = dots;
        append_survivors(block, reached, &stored, panel, hits);
    }
}

/// Appends the documents whose bound is not below the threshold, for the queries that have a document at or above their
/// floor. Out of line and last, so that only here the inner products go to memory.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn append_survivors(
    block: &Block<'_>,
    reached: u32,
    dots: &[[__m512i; VECTORS]],
    panel: &Panel<'_>,
    hits: &mut Vec<Hit>,
) {
    for q in bits(reached) {
        let survivors = survivors(block.bounds, q, &dots[q], panel);
        if survivors != 0 {
            append(hits, block.first + q, survivors, &store(&dots[q]));
        }
    }
}

/// The documents whose bound is not below the threshold of query `q`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn survivors(bounds: &Bounds, q: usize, dots: &[__m512i; VECTORS], panel: &Panel<'_>) -> u64 {
    let error_weight = _mm512_set1_ps(bounds.error_weight[q]);
    let norm_weight = _mm512_set1_ps(bounds.norm_weight[q]);
    let offset_weight = _mm512_set1_ps(bounds.offset_weight[q]);
    let threshold = _mm512_set1_ps(bounds.threshold[q]);
    let mut survivors = 0;
    for v in 0..VECTORS {
        let mut high = _mm512_mul_ps(norm_weight, part(panel.norm, v));
        if let Some(offset) = panel.offset {
            high = _mm512_fmadd_ps(offset_weight, part(offset, v), high);
        }
        high = _mm512_fmadd_ps(error_weight, part(panel.error, v), high);
        high = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[v]), part(panel.scale, v), high);
        survivors |= u64::from(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(high, threshold)) << (16 * v);
    }
    survivors & panel.valid
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn summary(panel: &Panel<'_>) -> Summary {
    let offset = match panel.offset {
        Some(offset) => range(offset),
        None => Range::default(),
    };
    Summary::new(range(panel.scale), range(panel.error), range(panel.norm), offset)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn range(values: &[f32; PANEL]) -> Range {
    let [a, b, c, d] = [part(values, 0), part(values, 1), part(values, 2), part(values, 3)];
    let least = _mm512_min_ps(_mm512_min_ps(a, b), _mm512_min_ps(c, d));
    let greatest = _mm512_max_ps(_mm512_max_ps(a, b), _mm512_max_ps(c, d));
    // Comparisons lose a NaN, a sum keeps it.
    let sum = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
    let finite = _mm512_reduce_add_ps(sum).is_finite();
    let greatest = if finite { _mm512_reduce_max_ps(greatest) } else { f32::NAN };
    Range { least: _mm512_reduce_min_ps(least), greatest }
}

/// The inner products of `Q` queries with the panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dots<const Q: usize>(block: &Block<'_>, panel: &Panel<'_>) -> [[__m512i; VECTORS]; Q] {
    let mut sums = [[_mm512_setzero_si512(); VECTORS]; Q];
    for q in 0..Q {
        sums[q] = [_mm512_set1_epi32(block.bounds.correction[q]); VECTORS];
    }
    let mut ahead = Ahead::new(panel, block);
    for (words, group) in block.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        ahead.step();
        let documents = load(group);
        for q in 0..Q {
            let codes = _mm512_set1_epi32(words[q]);
            for v in 0..VECTORS {
                sums[q][v] = _mm512_dpbusd_epi32(sums[q][v], documents[v], codes);
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(group: &[u8; GROUP_BYTES]) -> [__m512i; VECTORS] {
    let [a, b, c, d] = [0, 1, 2, 3].map(|v| &group.as_chunks::<64>().0[v]);
    // SAFETY: each reference covers the 64 bytes that its load reads; the loads need no alignment.
    unsafe {
        [
            _mm512_loadu_si512(a.as_ptr().cast()),
            _mm512_loadu_si512(b.as_ptr().cast()),
            _mm512_loadu_si512(c.as_ptr().cast()),
            _mm512_loadu_si512(d.as_ptr().cast()),
        ]
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn part(x: &[f32; PANEL], v: usize) -> __m512 {
    let part = &x.as_chunks::<16>().0[v];
    // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_ps(part.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn store(dots: &[__m512i; VECTORS]) -> [i32; PANEL] {
    let mut out = [0; PANEL];
    for (part, dots) in out.as_chunks_mut::<16>().0.iter_mut().zip(dots) {
        // SAFETY: the reference covers the 64 bytes that are written; the store needs no alignment.
        unsafe { _mm512_storeu_si512(part.as_mut_ptr().cast(), *dots) };
    }
    out
}
