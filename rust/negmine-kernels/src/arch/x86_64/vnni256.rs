//! The int8 panel scan with `vpdpbusd` on 256-bit vectors, in the AVX-512 VL encoding with its thirty-two registers.
//!
//! As `crate::arch::x86_64::avx512::dot_i8` in all but the vector length: the 24 accumulators are six queries by four
//! vectors of eight documents, and a panel is scanned in two strips. For processors whose 512-bit units are slow or
//! lower the clock.

use std::arch::x86_64::{__m256i, _mm256_dpbusd_epi32, _mm256_set1_epi32, _mm256_setzero_si256};

use super::prefetch::Ahead;
use crate::arch::codes::{GROUP_BYTES, Hit, PANEL, Panel};
use crate::arch::query_tile::{BLOCK, Block, QueryTile};
use crate::arch::x86_64::avx2::dot_i8::{Scan, load};

/// Vectors of eight documents that are multiplied together; a panel has two such strips.
const VECTORS: usize = 4;

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let mut scan = Scan::new(panel);
    for block in 0..queries.blocks() {
        let block = queries.block(block);
        scan.start(&block);
        match block.len {
            1 => scan_part::<1>(&block, &mut scan),
            2 => scan_part::<2>(&block, &mut scan),
            3 => scan_part::<3>(&block, &mut scan),
            4 => scan_part::<4>(&block, &mut scan),
            5 => scan_part::<5>(&block, &mut scan),
            _ => scan_part::<BLOCK>(&block, &mut scan),
        }
        scan.finish(&block, hits);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn scan_part<const Q: usize>(block: &Block<'_>, scan: &mut Scan<'_, VECTORS>) {
    for strip in 0..PANEL / (8 * VECTORS) {
        let dots = if strip == 0 {
            dots::<Q, true>(block, scan.panel(), strip)
        } else {
            dots::<Q, false>(block, scan.panel(), strip)
        };
        scan.keep(0, strip, &dots);
    }
}

/// The inner products of `Q` queries with a strip of the panel; `FETCH` requests the next panel meanwhile.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dots<const Q: usize, const FETCH: bool>(
    block: &Block<'_>,
    panel: &Panel<'_>,
    strip: usize,
) -> [[__m256i; VECTORS]; Q] {
    let mut sums = [[_mm256_setzero_si256(); VECTORS]; Q];
    for q in 0..Q {
        sums[q] = [_mm256_set1_epi32(block.bounds.correction[q]); VECTORS];
    }
    let mut ahead = Ahead::new(panel, block);
    for (words, group) in block.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        if FETCH {
            ahead.step();
        }
        let mut documents = [_mm256_setzero_si256(); VECTORS];
        for v in 0..VECTORS {
            documents[v] = load(group, strip * VECTORS + v);
        }
        for q in 0..Q {
            let codes = _mm256_set1_epi32(words[q]);
            for v in 0..VECTORS {
                sums[q][v] = _mm256_dpbusd_epi32(sums[q][v], documents[v], codes);
            }
        }
    }
    sums
}
