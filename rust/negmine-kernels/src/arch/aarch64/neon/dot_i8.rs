//! The int8 panel scan without a dot-product instruction, and what both scans on 128-bit vectors share.
//!
//! Accumulator: i32, one a document, started at 0: both sides are signed here, so documents lose their shift by 128 in
//! registers and no correction is needed; integer sums have no order. The bound is f32 and as `crate::dot_i8` defines
//! it, NaN kept. The panel has `groups * 256` bytes (checked by the caller).
//!
//! Products: `smull` and `smull2` give products in i16, `addp` adds neighbors, which fit since 2 * 127 * 127 < 2^15,
//! and `sadalp` adds neighbors of these to the sums: four instructions for sixteen products.
//!
//! Why this shape: six queries by two vectors of four documents are twelve accumulators, and thirty-two registers also
//! hold the documents, six queries and products under way. The shift costs one `eor` a vector.

use std::arch::aarch64::{
    float32x4_t, int8x16_t, int32x4_t, vaddq_f32, vaddvq_f32, vdupq_n_s32, vdupq_n_u8, veorq_u8, vget_low_s8,
    vld1q_f32, vld1q_u8, vmaxq_f32, vmaxq_s32, vmaxvq_f32, vmaxvq_s32, vminq_f32, vminvq_f32, vmull_high_s8,
    vmull_s8, vpadalq_s16, vpaddq_s16, vreinterpretq_s8_s32, vreinterpretq_s8_u8, vst1q_s32,
};

use crate::arch::codes::{GROUP_BYTES, Hit, PANEL, Panel, append, bits};
use crate::arch::portable::dot_i8::is_hit;
use crate::arch::query_tile::{BLOCK, Block, PLACES, QueryTile};
use crate::arch::summary::{Range, Summary};

/// Documents of a vector.
const LANES: usize = 4;

/// Vectors that are multiplied together.
const VECTORS: usize = 2;

#[target_feature(enable = "neon")]
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
#[target_feature(enable = "neon")]
fn scan_block<const Q: usize>(block: &Block<'_>, scan: &mut Scan<'_, VECTORS>) {
    for strip in 0..PANEL / (LANES * VECTORS) {
        let dots = dots::<Q>(block, scan.panel(), strip);
        scan.keep::<Q>(strip, &dots);
    }
}

/// The inner products of the first `Q` queries with a strip of the panel; those of the others are 0.
#[inline]
#[target_feature(enable = "neon")]
fn dots<const Q: usize>(block: &Block<'_>, panel: &Panel<'_>, strip: usize) -> [[int32x4_t; VECTORS]; BLOCK] {
    let mut sums = [[vdupq_n_s32(0); VECTORS]; BLOCK];
    for (words, group) in block.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        let documents: [int8x16_t; VECTORS] = load(group, strip);
        for q in 0..Q {
            let codes = vreinterpretq_s8_s32(vdupq_n_s32(words[q]));
            for v in 0..VECTORS {
                sums[q][v] = add_products(sums[q][v], documents[v], codes);
            }
        }
    }
    sums
}

/// Adds to each of four sums four products of codes in [-127, 127].
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn add_products(sums: int32x4_t, documents: int8x16_t, codes: int8x16_t) -> int32x4_t {
    let low = vmull_s8(vget_low_s8(documents), vget_low_s8(codes));
    let high = vmull_high_s8(documents, codes);
    vpadalq_s16(sums, vpaddq_s16(low, high))
}

/// The documents of a strip of a group, without their shift.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load<const V: usize>(group: &[u8; GROUP_BYTES], strip: usize) -> [int8x16_t; V] {
    let mut documents = [vreinterpretq_s8_s32(vdupq_n_s32(0)); V];
    for v in 0..V {
        let part = &group.as_chunks::<16>().0[strip * V + v];
        // SAFETY: the reference covers the 16 bytes that are read; the load needs no alignment.
        let shifted = unsafe { vld1q_u8(part.as_ptr()) };
        documents[v] = vreinterpretq_s8_u8(veorq_u8(shifted, vdupq_n_u8(0x80)));
    }
    documents
}

/// All of a scan on 128-bit vectors but the inner products, which come in strips of `V` vectors of documents.
pub(crate) struct Scan<'a, const V: usize> {
    panel: &'a Panel<'a>,
    summary: Summary,
    floors: [f32; PLACES],
    /// For each query of the block the strips with a document at or above its floor, as bits.
    reached: [u32; BLOCK],
    /// The inner products in those strips.
    dots: [[i32; PANEL]; BLOCK],
}

impl<'a, const V: usize> Scan<'a, V> {
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn new(panel: &'a Panel<'a>) -> Self {
        let offset = match panel.offset {
            Some(offset) => range(offset),
            None => Range::default(),
        };
        let summary = Summary::new(range(panel.scale), range(panel.error), range(panel.norm), offset);
        Scan { panel, summary, floors: [0.0; PLACES], reached: [0; BLOCK], dots: [[0; PANEL]; BLOCK] }
    }

    pub(crate) fn panel(&self) -> &'a Panel<'a> {
        self.panel
    }

    /// Begins a block.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn start(&mut self, block: &Block<'_>) {
        self.floors = self.summary.floors(block.bounds);
        self.reached = [0; BLOCK];
    }

    /// Keeps the inner products of the first `Q` queries with a strip, for queries whose floor one reaches.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn keep<const Q: usize>(&mut self, strip: usize, dots: &[[int32x4_t; V]; BLOCK]) {
        for q in 0..Q {
            let mut greatest = dots[q][0];
            for v in 1..V {
                greatest = vmaxq_s32(greatest, dots[q][v]);
            }
            if vmaxvq_s32(greatest) as f32 >= self.floors[q] {
                self.reached[q] |= 1 << strip;
                let kept = self.dots[q].as_chunks_mut::<LANES>().0[strip * V..].iter_mut();
                for (part, dots) in kept.zip(dots[q]) {
                    // SAFETY: the reference covers the 16 bytes that are written; the store needs no alignment.
                    unsafe { vst1q_s32(part.as_mut_ptr(), dots) };
                }
            }
        }
    }

    /// Ends a block: appends the documents whose bound is not below the query's threshold.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn finish(&mut self, block: &Block<'_>, hits: &mut Vec<Hit>) {
        for q in 0..block.len {
            let mut survivors = 0;
            for strip in bits(self.reached[q]) {
                for lane in strip * V * LANES..(strip + 1) * V * LANES {
                    let hit = is_hit(block.bounds, q, self.panel, lane, self.dots[q][lane]);
                    survivors |= u64::from(hit) << lane;
                }
            }
            append(hits, block.first + q, survivors & self.panel.valid, &self.dots[q]);
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn range(values: &[f32; PANEL]) -> Range {
    let first = part(values, 0);
    let (mut least, mut greatest, mut sum) = (first, first, first);
    for at in 1..PANEL / LANES {
        let values = part(values, at);
        least = vminq_f32(least, values);
        greatest = vmaxq_f32(greatest, values);
        // An infinity or a NaN stays in a sum.
        sum = vaddq_f32(sum, values);
    }
    let greatest = if vaddvq_f32(sum).is_finite() { vmaxvq_f32(greatest) } else { f32::NAN };
    Range { least: vminvq_f32(least), greatest }
}

#[inline]
#[target_feature(enable = "neon")]
fn part(values: &[f32; PANEL], at: usize) -> float32x4_t {
    let part = &values.as_chunks::<LANES>().0[at];
    // SAFETY: the reference covers the 16 bytes that are read; the load needs no alignment.
    unsafe { vld1q_f32(part.as_ptr()) }
}
