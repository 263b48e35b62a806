//! Exact int8 inner products of (query, document) pairs that a panel's scan left: the next coordinates of both.
//!
//! Queries and documents lie row by row at one stride of whole cache lines. A panel leaves a few documents for each of
//! many queries, so a call a query would cost more than its products; here one call takes the panel's hits as they
//! come, and four of them at a time share one reduction.
//!
//! Accumulator: i32; integer sums have no order. The whole stride is multiplied: codes lie in [-127, 127], and a query's
//! codes beyond its width must be 0 (then a document's may be anything in that range).

use crate::dispatch;
use crate::dot_i8::{Hit, MAX_WIDTH};
use crate::isa::Isa;
use crate::rows_i8::ROW_ALIGNMENT;

/// `out[i]` becomes the inner product of query `hits[i].query` of `queries` with row `hits[i].lane` of `rows`.
///
/// # Panics
/// Where `stride` is 0, not a multiple of 64, or above [`MAX_WIDTH`], a hit is outside, `hits` and `out` differ in
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

/// The scalar form of [`dot_hits_i8`].
pub(crate) fn dot_hits_i8_scalar(queries: &[i8], rows: &[i8], stride: usize, hits: &[Hit], out: &mut [i32]) {
    for (out, hit) in out.iter_mut().zip(hits) {
        let query = &queries[hit.query as usize * stride..][..stride];
        let row = &rows[hit.lane as usize * stride..][..stride];
        *out = query.iter().zip(row).map(|(q, d)| i32::from(*q) * i32::from(*d)).sum();
    }
}
