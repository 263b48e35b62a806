//! Sums of rows, in source code that every instruction set compiles.

/// [`crate::sums::add_row`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn add_row(sums: &mut [f64], row: &[f32], factor: f64) {
    for (sum, x) in sums.iter_mut().zip(row) {
        let product = f64::from(*x) * factor;
        *sum += product;
    }
}

/// [`crate::sums::add_codes`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn add_codes(sums: &mut [i32], codes: &[i8], factor: i16) {
    for (sum, code) in sums.iter_mut().zip(codes) {
        *sum = sum.wrapping_add(i32::from(*code) * i32::from(factor));
    }
}
