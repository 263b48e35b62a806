//! The first pass: exact int8 inner products of a tile of queries with a panel of documents, and the survivors.
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
//! products is at most 255 * 127 * 65,536 < 2^31 in magnitude, hence [`MAX_WIDTH`]. (Partial sums wrap, and only the
//! last one must be in range.)
//!
//! **Layout.** A panel holds 64 documents. Its codes are grouped by four dimensions: 256 bytes a group, four a
//! document, so that one 64-byte vector holds sixteen documents and one instruction multiplies them with four codes
//! of a query, broadcast as one 32-bit word. Documents are unsigned because the instruction wants one side unsigned;
//! the shift by 128 is undone once per query, by where its accumulators start. Queries are stored in blocks of six,
//! group by group, so that a kernel walks two streams and nothing else. Six queries by four vectors of documents are
//! 24 accumulators: ten loads feed 24 dot products, so the multipliers are what limits.
//!
//! Lengths are checked once per call. Panels are read fastest where each starts at a multiple of 64 bytes, and where the
//! next one to be scanned follows in memory: it is fetched while this one is multiplied.

use crate::dispatch;
use crate::isa::Isa;
pub use crate::query_tile::QueryTile;
pub use crate::rows_i8::dot_rows_i8;

/// Documents of a panel.
pub const PANEL: usize = 64;

/// Dimensions of a group.
pub const GROUP: usize = 4;

/// The widest row: beyond it a sum of products might leave the range of i32.
pub const MAX_WIDTH: usize = 65_536;

/// Bytes of a group of a panel.
pub(crate) const GROUP_BYTES: usize = PANEL * GROUP;

/// The width rounded up to whole groups.
#[must_use]
pub const fn padded_width(width: usize) -> usize {
    width.next_multiple_of(GROUP)
}

/// Bytes of a panel of documents of that width.
#[must_use]
pub const fn packed_len(width: usize) -> usize {
    padded_width(width) * PANEL
}

/// Interleaves the codes of 64 documents into a panel.
///
/// `rows` holds [`PANEL`] rows of [`padded_width`]`(width)` codes in [-127, 127], one after the other; the codes beyond
/// `width` and the rows that are missing must be 0. `out` has [`packed_len`]`(width)` bytes.
///
/// # Panics
/// Where a length is not as stated, or this processor lacks `isa`.
pub fn pack_panel(isa: Isa, rows: &[i8], width: usize, out: &mut [u8]) {
    assert!(width <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
    assert_eq!(rows.len(), packed_len(width), "64 rows of the padded width");
    assert_eq!(out.len(), packed_len(width), "a panel of the padded width");
    dispatch::pack_panel(isa, rows, padded_width(width), out);
}

/// The scalar form of [`pack_panel`], and the definition of the layout.
pub(crate) fn pack_panel_scalar(rows: &[i8], padded: usize, out: &mut [u8]) {
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

/// Sixty-four packed documents and what their bound needs.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// The codes, as [`pack_panel`] writes them.
    pub codes: &'a [u8],
    /// The scale of each document's codes.
    pub scale: &'a [f32; PANEL],
    /// What the query's error weight is multiplied with: the norm of the document's quantisation error.
    pub error: &'a [f32; PANEL],
    /// What the query's norm weight is multiplied with: the norm of the document.
    pub norm: &'a [f32; PANEL],
    /// What the query's offset weight is multiplied with, where the metric has such a term.
    pub offset: Option<&'a [f32; PANEL]>,
    /// Bit `lane` is set where there is a document.
    pub valid: u64,
}

/// A document that the bound cannot rule out for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The query's place in the tile.
    pub query: u32,
    /// The document's place in the panel.
    pub lane: u32,
    /// The exact inner product of their codes.
    pub dot: i32,
}

/// Appends to `hits` every document of the panel that the bound cannot rule out for a query of the tile, by query and
/// then by lane. The module's documentation gives the formula.
///
/// # Panics
/// Where the panel's codes do not have [`packed_len`] bytes for the tile's width, or this processor lacks `isa`.
pub fn scan_panel(isa: Isa, queries: &QueryTile, panel: Panel<'_>, hits: &mut Vec<Hit>) {
    assert_eq!(panel.codes.len(), queries.groups() * GROUP_BYTES, "a panel of the tile's width");
    dispatch::scan_panel(isa, queries, &panel, hits);
}

/// The scalar form of [`scan_panel`]: the oracle.
pub(crate) fn scan_panel_scalar(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
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
                let mut high = bounds.norm_weight[q] * panel.norm[lane];
                if let Some(offset) = panel.offset {
                    high = bounds.offset_weight[q].mul_add(offset[lane], high);
                }
                high = bounds.error_weight[q].mul_add(panel.error[lane], high);
                high = (*dot as f32).mul_add(panel.scale[lane], high);
                #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN is in doubt, and doubt is a hit")]
                let hit = !(high < bounds.threshold[q]);
                survivors |= u64::from(hit) << lane;
            }
            append(hits, block.first + q, survivors & panel.valid, &dots);
        }
    }
}

/// Appends the lanes of `mask`, rising.
#[inline]
pub(crate) fn append(hits: &mut Vec<Hit>, query: usize, mut mask: u64, dots: &[i32; PANEL]) {
    hits.reserve(mask.count_ones() as usize);
    while mask != 0 {
        let lane = mask.trailing_zeros();
        hits.push(Hit { query: query as u32, lane, dot: dots[lane as usize % PANEL] });
        mask &= mask - 1;
    }
}
