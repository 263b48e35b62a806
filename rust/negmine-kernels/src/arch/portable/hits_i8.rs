//! Exact int8 inner products of a panel's hits, pair by pair in scalar code.

use crate::arch::codes::Hit;

/// [`crate::hits_i8::dot_hits_i8`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn dot_hits_i8(queries: &[i8], rows: &[i8], stride: usize, hits: &[Hit], out: &mut [i32]) {
    for (out, hit) in out.iter_mut().zip(hits) {
        let query = &queries[hit.query as usize * stride..][..stride];
        let row = &rows[hit.lane as usize * stride..][..stride];
        *out = query.iter().zip(row).map(|(q, d)| i32::from(*q) * i32::from(*d)).sum();
    }
}
