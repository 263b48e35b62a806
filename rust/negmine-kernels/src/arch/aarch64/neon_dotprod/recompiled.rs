//! Kernels whose portable source is compiled again with dotprod; the compiler finds `sdot` in it.

use crate::arch::codes::Hit;
use crate::arch::portable::{hits_i8, rows_i8};

/// [`crate::rows_i8::dot_rows_i8`].
#[target_feature(enable = "neon,dotprod")]
pub(crate) fn dot_rows_i8(query: &[i8], codes: &[i8], stride: usize, rows: &[u32], out: &mut [i32]) {
    rows_i8::dot_rows_i8(query, codes, stride, rows, out);
}

/// [`crate::hits_i8::dot_hits_i8`].
#[target_feature(enable = "neon,dotprod")]
pub(crate) fn dot_hits_i8(queries: &[i8], rows: &[i8], stride: usize, hits: &[Hit], out: &mut [i32]) {
    hits_i8::dot_hits_i8(queries, rows, stride, hits, out);
}
