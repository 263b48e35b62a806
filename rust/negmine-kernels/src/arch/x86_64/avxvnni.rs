//! The int8 panel scan with `vpdpbusd` on 256-bit vectors, in the AVX-VNNI encoding with its sixteen registers.
//!
//! For processors that have this encoding and no AVX-512; those that have both use the other one, unless `NEGMINE_ISA`
//! says so. As `super::vnni256`, but three queries by four vectors of eight documents: twelve accumulators, three
//! queries, one vector of documents.

use std::arch::x86_64::{__m256i, _mm256_dpbusd_avx_epi32, _mm256_set1_epi32, _mm256_setzero_si256};

use super::prefetch::Ahead;
use crate::arch::codes::{GROUP_BYTES, Hit, PANEL, Panel};
use crate::arch::query_tile::{Block, QueryTile};
use crate::arch::x86_64::avx2::dot_i8::{Scan, load};

/// Queries that are multiplied together.
const QUERIES: usize = 3;

/// Vectors of eight documents that are multiplied together; a panel has two such strips.
const VECTORS: usize = 4;

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let mut scan = Scan::new(panel);
    for block in 0..queries.blocks() {
        let block = queries.block(block);
        scan.start(&block);
        for first in (0..block.len).step_by(QUERIES) {
            match block.len - first {
                1 => scan_part::<1>(&block, first, &mut scan),
                2 => scan_part::<2>(&block, first, &mut scan),
                _ => scan_part::<QUERIES>(&block, first, &mut scan),
            }
        }
        scan.finish(&block, hits);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn scan_part<const Q: usize>(block: &Block<'_>, first: usize, scan: &mut Scan<'_, VECTORS>) {
    for strip in 0..PANEL / (8 * VECTORS) {
        let dots = if (first, strip) == (0, 0) {
            dots::<Q, true>(block, first, scan.panel(), strip)
        } else {
            dots::<Q, false>(block, first, scan.panel(), strip)
        };
        scan.keep(first, strip, &dots);
    }
}

/// The inner products of `Q` queries with a strip of the panel; `FETCH` requests the next panel meanwhile.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn dots<const Q: usize, const FETCH: bool>(
    block: &Block<'_>,
    first: usize,
    panel: &Panel<'_>,
    strip: usize,
) -> [[__m256i; VECTORS]; Q] {
    let mut sums = [[_mm256_setzero_si256(); VECTORS]; Q];
    for q in 0..Q {
        sums[q] = [_mm256_set1_epi32(block.bounds.correction[first + q]); VECTORS];
    }
    let mut ahead = Ahead::new(panel, block);
    for (words, group) in block.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        if FETCH {
            ahead.step();
        }
        let mut codes = [_mm256_setzero_si256(); Q];
        for q in 0..Q {
            codes[q] = _mm256_set1_epi32(words[first + q]);
        }
        for v in 0..VECTORS {
            let documents = load(group, strip * VECTORS + v);
            for q in 0..Q {
                sums[q][v] = _mm256_dpbusd_avx_epi32(sums[q][v], documents, codes[q]);
            }
        }
    }
    sums
}
