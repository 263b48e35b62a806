//! Rows into buckets and back, in this instruction set's vectors.

use crate::buckets::{Shape, Signatures, gather_inline, scatter_inline};

/// [`crate::buckets::scatter`].
#[target_feature(enable = "avx2")]
pub(crate) fn scatter(
    shape: Shape,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
) {
    scatter_inline(shape, signatures, values, factors, table);
}

/// [`crate::buckets::gather`].
#[target_feature(enable = "avx2")]
pub(crate) fn gather(
    shape: Shape,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    gather_inline(shape, signatures, table, factors, out);
}
