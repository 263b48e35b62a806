//! Exact int8 inner products of a panel's hits on 256-bit vectors: one call of [`super::rows_i8`] per hit, whose
//! overhead is small compared with a product of a hundred coordinates and more.

use super::rows_i8::dot_rows_i8;
use crate::arch::codes::Hit;

#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn dot_hits_i8(queries: &[i8], rows: &[i8], stride: usize, hits: &[Hit], out: &mut [i32]) {
    for (out, hit) in out.iter_mut().zip(hits) {
        let query = &queries[hit.query as usize * stride..][..stride];
        dot_rows_i8(query, rows, stride, &[hit.lane], std::slice::from_mut(out));
    }
}
