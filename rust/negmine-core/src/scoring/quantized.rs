//! Int8 codes of rows for first passes outside this crate, with the numbers that their certified bound needs.
//!
//! The codes and norms are those of `bound`, with one power of two per row. The numbers are returned as f64 in the
//! caller's units (under cosine, in units of normed rows), where the powers of two lose nothing.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::quantize::{largest_magnitude, quantize_row};

use crate::base::matrix::Rows;
use crate::base::memory::{with_capacity, zeros};
use crate::base::parallel::Run;
use crate::base::{Error, Result};

use super::score::{Metric, factor, unit_for};

/// Rows of one item of work.
const ROWS_PER_ITEM: usize = 64;

/// The stride of the codes is a multiple of it, since integer matrix products on many devices need one.
const STRIDE: usize = 16;

/// Rows as int8 codes. With the scale s, the codes i and the error e of a row, `x = s i + e`.
#[derive(Clone, Debug, Default)]
pub struct QuantizedRows {
    /// Codes in [-127, 127], one row after another, padded with zeros up to the stride.
    pub codes: Vec<i8>,
    /// Codes per row, the padding included.
    pub stride: usize,
    /// Scales.
    pub scales: Vec<f64>,
    /// At least the norm of every row's error.
    pub errors: Vec<f64>,
    /// At least the norm of every row.
    pub norms: Vec<f64>,
    /// The canonical squared norm of every row, in the caller's units; 0 under `Ip`.
    pub squared_norms: Vec<f64>,
}

/// Quantizes the given rows, in the given order.
///
/// # Errors
/// Returns an error on a row out of range, a value that is not finite, lack of memory, or an interrupt.
pub fn quantize_rows(
    metric: Metric,
    rows: &Rows<'_>,
    indices: &[i64],
    run: &Run<'_>,
) -> Result<QuantizedRows> {
    if let Some(&row) = indices.iter().find(|&&row| row < 0 || row >= rows.len() as i64) {
        return Err(Error::RowOutOfRange { argument: "indices", row, rows: rows.len() });
    }
    let stride = rows.width().next_multiple_of(STRIDE);
    let mut codes = zeros(indices.len() * stride)?;
    let slots: Vec<_> = codes.chunks_mut(ROWS_PER_ITEM * stride).map(Mutex::new).collect();
    let parts = run.map(
        slots.len(),
        || vec![0.0; rows.width()],
        |buffer, item, ticker| {
            ticker.check()?;
            let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
            let own = indices[item * ROWS_PER_ITEM..].iter().zip(slot.chunks_exact_mut(stride));
            own.map(|(&row, codes)| quantized(metric, rows, row as usize, buffer, codes, run)).collect()
        },
    )?;
    drop(slots);
    let mut out = QuantizedRows { codes, stride, ..QuantizedRows::default() };
    for column in [&mut out.scales, &mut out.errors, &mut out.norms, &mut out.squared_norms] {
        *column = with_capacity(indices.len())?;
    }
    for [scale, error, norm, squared_norm] in parts.into_iter().flat_map(|part: Vec<[f64; 4]>| part) {
        out.scales.push(scale);
        out.errors.push(error);
        out.norms.push(norm);
        out.squared_norms.push(squared_norm);
    }
    Ok(out)
}

/// Writes the codes of one row; returns scale, error, norm and squared norm.
fn quantized(
    metric: Metric,
    rows: &Rows<'_>,
    row: usize,
    buffer: &mut [f32],
    codes: &mut [i8],
    run: &Run<'_>,
) -> Result<[f64; 4]> {
    let x = rows.finite_row(run.isa, row, buffer)?;
    let squared_norm = metric.squared_norm(run.isa, x);
    let unit = if metric == Metric::Cosine { 1.0 } else { unit_for(largest_magnitude(run.isa, x)) };
    let code = quantize_row(run.isa, x, factor(metric, squared_norm, unit), codes);
    // Units are powers of two, so nothing is rounded.
    let back = 1.0 / unit;
    Ok([
        f64::from(code.scale) * back,
        f64::from(code.error) * back,
        f64::from(code.norm) * back,
        squared_norm,
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

    use ndarray::Array2;
    use negmine_kernels::isa::Isa;

    use super::*;
    use crate::base::matrix::Elements;

    fn quantize(metric: Metric, values: &Array2<f32>, indices: &[i64]) -> Result<QuantizedRows> {
        let rows = Rows::new("rows", Elements::F32(values.view())).unwrap();
        quantize_rows(
            metric,
            &rows,
            indices,
            &Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false },
        )
    }

    #[test]
    fn codes_are_as_near_as_their_errors_say() {
        let values = Array2::from_shape_fn((200, 19), |(r, c)| {
            ((r * 31 + c * 17) % 23) as f32 * 2.0_f32.powi((r % 40) as i32 * 6 - 120)
                - if r % 7 == 0 { 0.0 } else { 1.0 }
        });
        let indices: Vec<i64> = (0..200).rev().collect();
        for metric in [Metric::Cosine, Metric::Ip, Metric::L2] {
            let found = quantize(metric, &values, &indices).unwrap();
            assert_eq!(found.stride, 32);
            for (place, &row) in indices.iter().enumerate() {
                let row = values.row(row as usize);
                let squared: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
                let norm = if metric == Metric::Cosine { squared.sqrt().max(f64::MIN_POSITIVE) } else { 1.0 };
                let codes = &found.codes[place * 32..][..32];
                let error: f64 = row
                    .iter()
                    .zip(codes)
                    .map(|(&x, &code)| (f64::from(x) / norm - found.scales[place] * f64::from(code)).powi(2))
                    .sum();
                assert!(error.sqrt() <= found.errors[place] * (1.0 + 1e-9) + 1e-12 * found.norms[place]);
                assert!(squared.sqrt() / norm <= found.norms[place] * (1.0 + 1e-9));
                assert!(codes[19..].iter().all(|&code| code == 0));
            }
        }
    }

    #[test]
    fn rows_out_of_range_and_not_finite_are_refused() {
        let mut values = Array2::zeros((3, 2));
        for row in [-1, 3] {
            let error = quantize(Metric::Ip, &values, &[0, row]).unwrap_err();
            assert!(matches!(error, Error::RowOutOfRange { row: found, .. } if found == row));
        }
        values[[1, 1]] = f32::NAN;
        assert!(quantize(Metric::Ip, &values, &[1]).is_err());
        assert_eq!(quantize(Metric::Ip, &values, &[2, 0]).unwrap().scales, [0.0, 0.0]);
    }
}
