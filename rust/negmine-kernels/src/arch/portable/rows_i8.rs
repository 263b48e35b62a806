//! Exact int8 inner products with scattered rows, row by row in scalar code.

/// [`crate::rows_i8::dot_rows_i8`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn dot_rows_i8(query: &[i8], codes: &[i8], stride: usize, rows: &[u32], out: &mut [i32]) {
    for (out, row) in out.iter_mut().zip(rows) {
        let row = &codes[*row as usize * stride..][..query.len()];
        *out = query.iter().zip(row).map(|(q, d)| i32::from(*q) * i32::from(*d)).sum();
    }
}
