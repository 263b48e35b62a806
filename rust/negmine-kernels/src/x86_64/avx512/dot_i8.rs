//! The int8 panel scan with `vpdpbusd` on 512-bit vectors.
//!
//! Accumulator: i32, one a document, started at the query's correction so that the shift of the documents by 128
//! cancels; integer sums have no order. The bound is f32 and as `crate::dot_i8` defines it, NaN kept. The panel has
//! `groups * 256` bytes (checked by the caller), best aligned to 64.
//!
//! Why this shape: a dot-product instruction needs four cycles and one or two start each cycle, so eight or more
//! must be in flight. Six queries by four vectors are 24, with four registers for documents and four to spare; a group
//! of four dimensions costs four loads and six broadcasts for 24 products, well below the two loads a cycle that the
//! processor has. The non-saturating form is the only exact one. Survivors are rare, so the epilogue ends in one mask a
//! query, and only a mask that is not zero has its 64 sums stored.

use std::arch::x86_64::{
    __m512, __m512i, _CMP_NLT_UQ, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_si512, _mm512_storeu_si512,
};

use crate::dot_i8::{BLOCK, Block, GROUP_BYTES, Hit, PANEL, Panel, Part, QueryTile, append};

/// Vectors of sixteen documents in a panel.
const VECTORS: usize = 4;

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    for block in queries.blocks() {
        match block.len() {
            1 => scan_block::<1>(&block, panel, hits),
            2 => scan_block::<2>(&block, panel, hits),
            3 => scan_block::<3>(&block, panel, hits),
            4 => scan_block::<4>(&block, panel, hits),
            5 => scan_block::<5>(&block, panel, hits),
            _ => scan_block::<BLOCK>(&block, panel, hits),
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn scan_block<const Q: usize>(block: &Block<'_>, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let queries = block.part::<Q>(0);
    let dots = dots(&queries, panel);
    let masks = survivors(&queries, panel, &dots);
    for q in 0..Q {
        let mask = masks[q] & panel.valid;
        if mask != 0 {
            report(hits, block.first + q, mask, &store(dots[q]));
        }
    }
}

/// Out of line, so that the loop over the queries unrolls and their sums stay in registers.
#[inline(never)]
fn report(hits: &mut Vec<Hit>, query: usize, mask: u64, dots: &[i32; PANEL]) {
    append(hits, query, mask, dots);
}

/// The inner products of `Q` queries with the panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dots<const Q: usize>(queries: &Part<'_, Q>, panel: &Panel<'_>) -> [[__m512i; VECTORS]; Q] {
    let mut sums = [[_mm512_setzero_si512(); VECTORS]; Q];
    for q in 0..Q {
        sums[q] = [_mm512_set1_epi32(queries.correction[q]); VECTORS];
    }
    for (words, group) in queries.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
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

/// For each query the lanes whose bound is not below the threshold.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn survivors<const Q: usize>(
    queries: &Part<'_, Q>,
    panel: &Panel<'_>,
    dots: &[[__m512i; VECTORS]; Q],
) -> [u64; Q] {
    let mut masks = [0; Q];
    for v in 0..VECTORS {
        let (scale, error, norm) = (part(panel.scale, v), part(panel.error, v), part(panel.norm, v));
        for q in 0..Q {
            let mut high = _mm512_mul_ps(_mm512_set1_ps(queries.norm_weight[q]), norm);
            if let Some(offset) = panel.offset {
                high = _mm512_fmadd_ps(_mm512_set1_ps(queries.offset_weight[q]), part(offset, v), high);
            }
            high = _mm512_fmadd_ps(_mm512_set1_ps(queries.error_weight[q]), error, high);
            high = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[q][v]), scale, high);
            let mask = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(high, _mm512_set1_ps(queries.threshold[q]));
            masks[q] |= u64::from(mask) << (16 * v);
        }
    }
    masks
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
fn store(dots: [__m512i; VECTORS]) -> [i32; PANEL] {
    let mut out = [0; PANEL];
    for (part, dots) in out.as_chunks_mut::<16>().0.iter_mut().zip(dots) {
        // SAFETY: the reference covers the 64 bytes that are written; the store needs no alignment.
        unsafe { _mm512_storeu_si512(part.as_mut_ptr().cast(), dots) };
    }
    out
}
