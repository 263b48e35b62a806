//! Sums of rows.

use crate::arch::portable::sums;

/// [`crate::sums::add_row`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn add_row(sums: &mut [f64], row: &[f32], factor: f64) {
    sums::add_row(sums, row, factor);
}

/// [`crate::sums::add_codes`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn add_codes(sums: &mut [i32], codes: &[i8], factor: i16) {
    sums::add_codes(sums, codes, factor);
}
