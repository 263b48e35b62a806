//! Exact int8 inner products of the (query, document) pairs that a panel's scan could not rule out, over their next
//! coordinates.
//!
//! Queries and documents lie row by row at one stride of whole cache lines. A panel leaves a few documents for each of
//! many queries, so one call per query would cost more than its products; here one call takes all hits of the panel,
//! and groups of four share one reduction.
//!
//! Accumulator: i32; integer sums have no order. The whole stride is multiplied: codes lie in [-127, 127], and a
//! query's codes beyond its width must be 0 (then a document's may be anything in that range).

use crate::arch::codes::{Hit, MAX_WIDTH, ROW_ALIGNMENT};
use crate::dispatch;
use crate::isa::Isa;

/// `out[i]` becomes the inner product of query `hits[i].query` of `queries` with row `hits[i].lane` of `rows`.
///
/// # Panics
/// If `stride` is 0, not a multiple of 64, or above [`MAX_WIDTH`], a hit is outside, `hits` and `out` differ in
/// length, or this processor lacks `isa`.
pub fn dot_hits_i8(isa: Isa, queries: &[i8], rows: &[i8], stride: usize, hits: &[Hit], out: &mut [i32]) {
    assert!(stride.is_multiple_of(ROW_ALIGNMENT) && stride > 0, "a stride of whole cache lines");
    assert!(stride <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
    assert_eq!(hits.len(), out.len(), "as many results as hits");
    let (mut query, mut lane) = (0, 0);
    for hit in hits {
        query = query.max(hit.query as usize + 1);
        lane = lane.max(hit.lane as usize + 1);
    }
    assert!(query <= queries.len() / stride, "hits on the queries there are");
    assert!(lane <= rows.len() / stride, "hits on the rows there are");
    dispatch::dot_hits_i8(isa, queries, rows, stride, hits, out);
}
