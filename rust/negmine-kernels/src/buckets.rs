//! Scatter and gather of rows by signature, the kernels of behavior tables (SDIM: Cao and others, arXiv 2205.10249).
//!
//! A table has, for each group and bucket, a cell of `width` f32 columns. [`scatter`] adds every row to the cell that
//! each of its signatures names; [`gather`] adds up, for every row, the cells that its signatures name, and multiplies
//! by the row's factor. A signature outside the buckets is skipped. Columns are independent and every sum has one
//! accumulator: rows in ascending order in [`scatter`], groups in ascending order in [`gather`], never fused, so
//! vectors of any length give the same bits. NaN and infinity follow IEEE arithmetic.
//!
//! Why this shape: a table of 16 groups, 8 buckets and 64 columns fills the L1 cache, and a row touches one cell of
//! each group, so the work is one load, one addition and one store per vector, without dependencies.

pub use crate::arch::portable::buckets::{Shape, Signatures};
use crate::dispatch;
use crate::isa::Isa;

/// Adds row `i` of `values`, times `factors[i]` where there are factors, to its cells, and 1 to their counts, unless
/// `counts` is empty.
///
/// # Panics
/// If lengths do not fit the shape, or this processor lacks `isa`.
pub fn scatter(
    isa: Isa,
    shape: Shape,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
    counts: &mut [u32],
) {
    assert!(!shape.is_empty() && table.len() == shape.len(), "a table of the shape");
    assert_eq!(values.len(), signatures.len() * shape.width, "a value for each row of signatures");
    assert!(factors.is_none_or(|factors| factors.len() == signatures.len()), "a factor for each row");
    assert!(counts.is_empty() || counts.len() == shape.cells(), "a count for each cell");
    dispatch::scatter(isa, shape, signatures, values, factors, table, counts);
}

/// Writes the sum of the cells of row `i`, times `factors[i]`, for all rows.
///
/// # Panics
/// If lengths do not fit the shape, or this processor lacks `isa`.
pub fn gather(
    isa: Isa,
    shape: Shape,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    assert!(!shape.is_empty() && table.len() == shape.len(), "a table of the shape");
    assert_eq!(out.len(), signatures.len() * shape.width, "a place for each row of signatures");
    assert!(factors.is_none_or(|factors| factors.len() == signatures.len()), "a factor for each row");
    dispatch::gather(isa, shape, signatures, table, factors, out);
}
