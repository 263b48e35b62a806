//! Sums of rows.

use crate::sums::{add_codes_inline, add_row_inline};

/// [`crate::sums::add_row`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn add_row(sums: &mut [f64], row: &[f32], factor: f64) {
    add_row_inline(sums, row, factor);
}

/// [`crate::sums::add_codes`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn add_codes(sums: &mut [i32], codes: &[i8], factor: i16) {
    add_codes_inline(sums, codes, factor);
}
