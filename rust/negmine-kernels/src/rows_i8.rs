//! Exact int8 inner products of one query with scattered rows.
//!
//! The pruned pass refines its survivors with these: rows are row-major, far apart in memory and known in advance, so
//! the kernel prefetches a few rows ahead and is bound by how many cache misses the processor keeps in flight.
//!
//! Accumulator: i32; integer sums have no order, and at most [`MAX_WIDTH`] products of codes in [-127, 127] fit. Rows
//! are signed; the dot-product instruction of x86-64 wants one side unsigned, so rows are shifted by 128 in registers
//! and the result is corrected by 128 times the query's sum.

use crate::arch::codes::MAX_WIDTH;
pub use crate::arch::codes::ROW_ALIGNMENT;
use crate::dispatch;
use crate::isa::Isa;

/// `out[i]` becomes the inner product of `query` with row `rows[i]` of `codes`.
///
/// Row `r` is `codes[r * stride..][..query.len()]`; `stride` is a multiple of [`ROW_ALIGNMENT`], and what follows a
/// row's codes up to the stride may hold anything. Codes lie in [-127, 127]; a query of another range, or a row
/// with a code of -128, gives a wrong result on some instruction sets, no worse.
///
/// # Panics
/// If `stride` is not a multiple of 64 or below the query's width, the width is above [`MAX_WIDTH`], a row is not
/// in `codes`, `rows` and `out` differ in length, or this processor lacks `isa`.
pub fn dot_rows_i8(isa: Isa, query: &[i8], codes: &[i8], stride: usize, rows: &[u32], out: &mut [i32]) {
    assert!(query.len() <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
    assert!(stride.is_multiple_of(ROW_ALIGNMENT), "a stride of whole cache lines");
    assert!(query.len() <= stride, "a stride of at least the width");
    assert_eq!(rows.len(), out.len(), "as many results as rows");
    if query.is_empty() {
        out.fill(0);
        return;
    }
    let last = rows.iter().max().map_or(0, |row| *row as usize + 1);
    assert!(last <= codes.len() / stride, "rows inside the codes");
    dispatch::dot_rows_i8(isa, query, codes, stride, rows, out);
}
