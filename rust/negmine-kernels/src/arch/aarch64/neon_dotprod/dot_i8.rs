//! The int8 panel scan with `sdot`.
//!
//! As [`crate::arch::aarch64::neon::dot_i8`] in all but the products: one instruction multiplies four documents by four
//! dimensions with a word of a register that holds the words of four queries. Six queries by four vectors of four
//! documents are 24 accumulators, with four registers for documents, two for queries and two to spare; a panel is
//! scanned in four strips, and a group costs six loads and four `eor` for 24 products.

use std::arch::aarch64::{
    int8x16_t, int32x4_t, vcombine_s32, vdup_n_s32, vdupq_n_s32, vld1_s32, vld1q_s32, vreinterpretq_s8_s32,
};

use super::sdot;
use crate::arch::aarch64::neon::dot_i8::{Scan, load};
use crate::arch::codes::{GROUP_BYTES, Hit, PANEL, Panel};
use crate::arch::query_tile::{BLOCK, Block, QueryTile};

/// Vectors that are multiplied together; a panel has four such strips.
const VECTORS: usize = 4;

#[target_feature(enable = "neon,dotprod")]
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let mut scan = Scan::new(panel);
    for block in 0..queries.blocks() {
        let block = queries.block(block);
        scan.start(&block);
        match block.len {
            1 => scan_block::<1>(&block, &mut scan),
            2 => scan_block::<2>(&block, &mut scan),
            3 => scan_block::<3>(&block, &mut scan),
            4 => scan_block::<4>(&block, &mut scan),
            5 => scan_block::<5>(&block, &mut scan),
            _ => scan_block::<BLOCK>(&block, &mut scan),
        }
        scan.finish(&block, hits);
    }
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn scan_block<const Q: usize>(block: &Block<'_>, scan: &mut Scan<'_, VECTORS>) {
    for strip in 0..PANEL / (4 * VECTORS) {
        let dots = dots::<Q>(block, scan.panel(), strip);
        scan.keep::<Q>(strip, &dots);
    }
}

/// The inner products of the first `Q` queries with a strip of the panel; those of the others are 0.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dots<const Q: usize>(block: &Block<'_>, panel: &Panel<'_>, strip: usize) -> [[int32x4_t; VECTORS]; BLOCK] {
    let mut sums = [[vdupq_n_s32(0); VECTORS]; BLOCK];
    for (words, group) in block.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        let documents = load(group, strip);
        let [four, two] = load_words(words);
        // The number of the word is part of the instruction.
        sums[0] = add_products::<0>(sums[0], documents, four);
        if Q > 1 {
            sums[1] = add_products::<1>(sums[1], documents, four);
        }
        if Q > 2 {
            sums[2] = add_products::<2>(sums[2], documents, four);
        }
        if Q > 3 {
            sums[3] = add_products::<3>(sums[3], documents, four);
        }
        if Q > 4 {
            sums[4] = add_products::<0>(sums[4], documents, two);
        }
        if Q > 5 {
            sums[5] = add_products::<1>(sums[5], documents, two);
        }
    }
    sums
}

/// Adds the products of a strip's documents with word `WORD` of `codes`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_products<const WORD: usize>(
    sums: [int32x4_t; VECTORS],
    documents: [int8x16_t; VECTORS],
    codes: int8x16_t,
) -> [int32x4_t; VECTORS] {
    let ([a, b, c, d], [e, f, g, h]) = (sums, documents);
    [
        sdot::<WORD>(a, e, codes),
        sdot::<WORD>(b, f, codes),
        sdot::<WORD>(c, g, codes),
        sdot::<WORD>(d, h, codes),
    ]
}

/// The words of a block's queries, four and two.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn load_words(words: &[i32; BLOCK]) -> [int8x16_t; 2] {
    // SAFETY: the reference covers the 16 and the 8 bytes that are read; the loads need no alignment.
    let (four, two) = unsafe { (vld1q_s32(words.as_ptr()), vld1_s32(words[4..].as_ptr())) };
    [vreinterpretq_s8_s32(four), vreinterpretq_s8_s32(vcombine_s32(two, vdup_n_s32(0)))]
}
