//! Sums of rows, for the means of clusters.
//!
//! Both kernels add a multiple of one row to an accumulator, coordinate by coordinate: there is no reduction, so
//! nothing depends on how coordinates are spread over vectors. In f64 a product is rounded before it is added (never
//! fused), and integers wrap nowhere as long as the caller keeps its sums in range; so every instruction set gives the
//! same bits, and all of them share one source that the compiler vectorizes.

use crate::dispatch;
use crate::isa::Isa;

/// `sums[j] += row[j] * factor` in f64, multiplied and then added.
///
/// # Panics
/// If the lengths differ, or this processor lacks `isa`.
pub fn add_row(isa: Isa, sums: &mut [f64], row: &[f32], factor: f64) {
    assert_eq!(sums.len(), row.len(), "a sum for each coordinate");
    dispatch::add_row(isa, sums, row, factor);
}

/// `sums[j] += codes[j] * factor` in i32, wrapping.
///
/// # Panics
/// If the lengths differ, or this processor lacks `isa`.
pub fn add_codes(isa: Isa, sums: &mut [i32], codes: &[i8], factor: i16) {
    assert_eq!(sums.len(), codes.len(), "a sum for each coordinate");
    dispatch::add_codes(isa, sums, codes, factor);
}
