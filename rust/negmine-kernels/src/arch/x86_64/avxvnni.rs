//! The int8 panel scan with `vpdpbusd` on 256-bit vectors, in the AVX-VNNI encoding with its sixteen registers.
//!
//! For processors that have this encoding and no AVX-512; none has run it yet, only its loops with the other encoding.
//! As `super::vnni256`, but three queries by four vectors of eight documents: twelve accumulators, three queries, one
//! vector of documents.

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

#[cfg(test)]
mod tests {
    use super::scan_panel;
    use crate::arch::codes::{PANEL, Panel, packed_len};
    use crate::arch::portable::dot_i8;
    use crate::arch::query_tile::QueryTile;
    use crate::isa::Isa;

    /// `Isa::Vnni256` picks the other encoding where a processor has both, so this one is tested here.
    #[test]
    fn finds_what_the_scalar_form_finds() {
        if !(Isa::Avx2.is_available() && is_x86_feature_detected!("avxvnni")) {
            return;
        }
        for (width, queries) in [(0, 1), (3, 2), (16, 3), (97, 4), (384, 13)] {
            let number = |i: usize| i.wrapping_mul(0x9e37_79b9) >> 7;
            let codes: Vec<u8> = (0..packed_len(width)).map(|i| (number(i) % 255 + 1) as u8).collect();
            let mut tile = QueryTile::new(width);
            for q in 0..queries {
                let query: Vec<i8> = (0..width).map(|i| (number(i + 7_919 * q) % 255) as u8 as i8).collect();
                let query: Vec<i8> = query.iter().map(|code| (*code).max(-127)).collect();
                tile.push(&query, 1.0, 1.0, 0.0, 1_000.0 * q as f32);
            }
            let (scale, error, norm) = ([1.0; PANEL], [0.5; PANEL], [2.0; PANEL]);
            let panel =
                Panel { codes: &codes, scale: &scale, error: &error, norm: &norm, offset: None, valid: !0 };
            let (mut expected, mut hits) = (Vec::new(), Vec::new());
            dot_i8::scan_panel(&tile, &panel, &mut expected);
            // SAFETY: the features were detected above: AVX2, FMA and F16C as `Isa::Avx2`, and AVX-VNNI.
            unsafe { scan_panel(&tile, &panel, &mut hits) };
            assert!(hits == expected, "width {width}, {queries} queries");
        }
    }
}
