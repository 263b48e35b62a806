//! Exact int8 inner products of a tile of queries with a panel of documents, and the hits that the bound cannot rule
//! out.
//!
//! For every query and document, `dot` is the exact i32 inner product of their codes, and
//!
//! ```text
//! high = fma(dot, scale, fma(error_weight, error, base))         in f32, dot rounded once to f32
//! base = norm_weight * norm                                      without an offset
//!        fma(offset_weight, offset, norm_weight * norm)          with one
//! ```
//!
//! A document is a hit unless `high < threshold`: equality and NaN (infinity times zero) are hits, so doubt never
//! drops a document. Every instruction set performs these operations in this order, so hits agree bit for bit.
//!
//! **Overflow.** Codes lie in [-127, 127] and documents are stored as `code + 128`, at most 255; a sum of `width`
//! products is at most 255 * 127 * 65,536 < 2^31 in magnitude, which gives [`MAX_WIDTH`]. (Partial sums wrap, and only
//! the last one must be in range.)
//!
//! **Layout.** A panel holds 64 documents. Its codes are grouped by four dimensions: 256 bytes per group, four per
//! document, so that one 64-byte vector holds sixteen documents and one instruction multiplies them with four codes of
//! a query, broadcast as one 32-bit word. Documents are unsigned because the instruction of x86-64 wants one side
//! unsigned; the shift by 128 is undone once per query, by where its accumulators start, and on 64-bit ARM, where both
//! sides are signed, in registers. Queries are stored in blocks of six, group by group, so that a kernel reads only two
//! streams. Six queries by four vectors of documents are 24 accumulators: ten loads feed 24 dot products, so the
//! multipliers are the limit.
//!
//! Lengths are checked once per call. Panels are read fastest where each starts at a multiple of 64 bytes, and where
//! the next panel of the scan follows in memory: it is fetched while the current one is multiplied.

use crate::arch::codes::GROUP_BYTES;
pub use crate::arch::codes::{GROUP, Hit, MAX_WIDTH, PANEL, Panel, packed_len, padded_width};
pub use crate::arch::query_tile::QueryTile;
use crate::dispatch;
use crate::isa::Isa;

/// Interleaves the codes of 64 documents into a panel.
///
/// `rows` holds [`PANEL`] rows of [`padded_width`]`(width)` codes in [-127, 127], one after the other; the codes beyond
/// `width` and the rows that are missing must be 0. `out` has [`packed_len`]`(width)` bytes.
///
/// # Panics
/// If a length is not as stated, or this processor lacks `isa`.
pub fn pack_panel(isa: Isa, rows: &[i8], width: usize, out: &mut [u8]) {
    assert!(width <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
    assert_eq!(rows.len(), packed_len(width), "64 rows of the padded width");
    assert_eq!(out.len(), packed_len(width), "a panel of the padded width");
    dispatch::pack_panel(isa, rows, padded_width(width), out);
}

/// Appends to `hits` every document of the panel that the bound cannot rule out for a query of the tile, by query and
/// then by lane. The module's documentation gives the formula.
///
/// # Panics
/// If the panel's codes do not have [`packed_len`] bytes for the tile's width, or this processor lacks `isa`.
pub fn scan_panel(isa: Isa, queries: &QueryTile, panel: Panel<'_>, hits: &mut Vec<Hit>) {
    assert_eq!(panel.codes.len(), queries.groups() * GROUP_BYTES, "a panel of the tile's width");
    dispatch::scan_panel(isa, queries, &panel, hits);
}

/// The exact inner product of a query with one document of a panel, from `packed` as [`pack_panel`] writes it and the
/// document's place in it: for single pairs, where a scan would multiply all 64 documents.
///
/// # Panics
/// If `query` does not have a code for every padded dimension of the panel, or `lane` is not below [`PANEL`].
#[must_use]
pub fn dot_packed(query: &[i8], packed: &[u8], lane: usize) -> i32 {
    assert_eq!(packed.len(), query.len() * PANEL, "a panel of the query's padded width");
    assert!(lane < PANEL, "a place in the panel");
    let of_lane = lane * GROUP..(lane + 1) * GROUP;
    let groups = query.chunks_exact(GROUP).zip(packed.chunks_exact(GROUP_BYTES));
    groups
        .map(|(query, group)| {
            let codes = group[of_lane.clone()].iter().map(|&code| i32::from(code) - 128);
            query.iter().zip(codes).map(|(&q, d)| i32::from(q) * d).sum::<i32>()
        })
        .sum()
}
