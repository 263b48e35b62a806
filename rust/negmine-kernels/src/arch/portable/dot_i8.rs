//! Panels of int8 codes in scalar code: the definition of their layout, and the reference scan that every other scan
//! must equal.

use crate::arch::codes::{GROUP, GROUP_BYTES, Hit, PANEL, Panel, append};
use crate::arch::query_tile::{Bounds, QueryTile};

/// [`crate::dot_i8::pack_panel`]: the definition of the layout.
pub(crate) fn pack_panel(rows: &[i8], padded: usize, out: &mut [u8]) {
    pack_rest_of_panel(rows, padded, 0, out);
}

/// Packs the groups from `first_group` on.
pub(crate) fn pack_rest_of_panel(rows: &[i8], padded: usize, first_group: usize, out: &mut [u8]) {
    for (g, group) in out.as_chunks_mut::<GROUP_BYTES>().0.iter_mut().enumerate().skip(first_group) {
        for (lane, document) in group.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            for (d, byte) in document.iter_mut().enumerate() {
                *byte = rows[lane * padded + g * GROUP + d].wrapping_add(-128) as u8;
            }
        }
    }
}

/// [`crate::dot_i8::scan_panel`]: the reference implementation.
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    for block in (0..queries.blocks()).map(|block| queries.block(block)) {
        let bounds = block.bounds;
        for q in 0..block.len {
            let mut dots = [0; PANEL];
            for (words, group) in block.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
                let codes = words[q].to_le_bytes().map(|byte| i32::from(byte as i8));
                for (dot, document) in dots.iter_mut().zip(group.as_chunks::<GROUP>().0) {
                    for (code, byte) in codes.iter().zip(document) {
                        *dot += code * (i32::from(*byte) - 128);
                    }
                }
            }
            let mut survivors = 0;
            for (lane, dot) in dots.iter().enumerate() {
                survivors |= u64::from(is_hit(bounds, q, panel, lane, *dot)) << lane;
            }
            append(hits, block.first + q, survivors & panel.valid, &dots);
        }
    }
}

/// Whether the bound of query `q` of a block and of a document is not below the query's threshold.
#[inline]
pub(crate) fn is_hit(bounds: &Bounds, q: usize, panel: &Panel<'_>, lane: usize, dot: i32) -> bool {
    let mut high = bounds.norm_weight[q] * panel.norm[lane];
    if let Some(offset) = panel.offset {
        high = bounds.offset_weight[q].mul_add(offset[lane], high);
    }
    high = bounds.error_weight[q].mul_add(panel.error[lane], high);
    high = (dot as f32).mul_add(panel.scale[lane], high);
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN is in doubt, and doubt is a hit")]
    let hit = !(high < bounds.threshold[q]);
    hit
}
