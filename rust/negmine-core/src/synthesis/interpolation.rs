//! Rows on the line through two rows, as SMOTE makes them.
//!
//! Chawla, Bowyer, Hall, Kegelmeyer: "SMOTE: Synthetic Minority Over-sampling Technique", JAIR 2002.

use std::sync::{Mutex, PoisonError};

use crate::base::error::check_length;
use crate::base::matrix::Rows;
use crate::base::memory::zeros;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

use super::vectors::normalize;

/// Rows of a piece of work.
const ROWS_PER_ITEM: usize = 256;

/// Interpolated rows, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpolated {
    /// The rows.
    pub values: Vec<f32>,
    /// Number of rows whose sum was zero, so that they have no direction.
    pub zero_sums: u64,
}

/// Rows `a + step (b - a)` for pairs of parents `a, b`, rounded to float32 once; the step is one number per row, or one
/// per coordinate. With `unit_norm` they are divided by their norms, and a zero sum becomes the first parent.
///
/// # Errors
/// Returns an error on arrays that do not fit each other, parents out of range, values that are not finite, lack of
/// memory, or an interrupt.
pub fn interpolate(
    rows: &Rows<'_>,
    parents: &[[i64; 2]],
    step: &[f32],
    unit_norm: bool,
    run: &Run<'_>,
) -> Result<Interpolated> {
    let width = rows.width();
    let steps = if step.len() == parents.len() { 1 } else { width };
    check_length("step", parents.len() * steps, step.len())?;
    let mut values = zeros(parents.len().saturating_mul(width))?;
    let slots: Vec<_> = values.chunks_mut(ROWS_PER_ITEM * width).map(Mutex::new).collect();
    let zero_sums = run.map(
        slots.len(),
        || [vec![0.0; width], vec![0.0; width]],
        |[a, b], item, _| {
            let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
            let mut zero_sums = 0;
            for (row, out) in (item * ROWS_PER_ITEM..).zip(slot.chunks_exact_mut(width)) {
                let [first, second] = parents[row];
                let a = rows.finite_row(run.isa, place(first, rows)?, a)?;
                let b = rows.finite_row(run.isa, place(second, rows)?, b)?;
                match &step[row * steps..(row + 1) * steps] {
                    [step] => blend(a, b, |_| *step, out),
                    step => blend(a, b, |column| step[column], out),
                }
                if unit_norm && !normalize(run.isa, out) {
                    zero_sums += 1;
                    out.copy_from_slice(a);
                    normalize(run.isa, out);
                }
            }
            Ok(zero_sums)
        },
    )?;
    drop(slots);
    Ok(Interpolated { values, zero_sums: zero_sums.iter().sum() })
}

/// Writes `a + step (b - a)`, computed in float64.
#[inline]
fn blend(a: &[f32], b: &[f32], step: impl Fn(usize) -> f32, out: &mut [f32]) {
    for (column, ((slot, a), b)) in out.iter_mut().zip(a).zip(b).enumerate() {
        let (a, b) = (f64::from(*a), f64::from(*b));
        *slot = (a + f64::from(step(column)) * (b - a)) as f32;
    }
}

fn place(row: i64, rows: &Rows<'_>) -> Result<usize> {
    usize::try_from(row).ok().filter(|row| *row < rows.len()).ok_or(Error::RowOutOfRange {
        argument: "parents",
        row,
        rows: rows.len(),
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use negmine_kernels::isa::Isa;

    use super::*;
    use crate::base::matrix::Elements;

    fn made(parents: &[[i64; 2]], step: &[f32], unit_norm: bool) -> Result<Interpolated> {
        let x = array![[1.0_f32, 0.0], [0.0, 1.0], [-1.0, 0.0]];
        let rows = Rows::new("X", Elements::F32(x.view()))?;
        interpolate(
            &rows,
            parents,
            step,
            unit_norm,
            &Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false },
        )
    }

    #[test]
    fn rows_lie_on_the_line_of_their_parents() {
        assert_eq!(made(&[[0, 1], [1, 2]], &[0.25, -0.5], false).unwrap().values, [0.75, 0.25, 0.5, 1.5]);
        assert_eq!(made(&[[0, 1]], &[0.25, 0.5], false).unwrap().values, [0.75, 0.5]);
    }

    #[test]
    fn a_zero_sum_becomes_the_first_parent() {
        let made = made(&[[0, 2], [0, 1]], &[0.5, 0.5], true).unwrap();
        let half = 0.5_f64.sqrt() as f32;
        assert_eq!((made.values, made.zero_sums), (vec![1.0, 0.0, half, half], 1));
    }

    #[test]
    fn parents_and_steps_are_checked() {
        let rows = |row| Error::RowOutOfRange { argument: "parents", row, rows: 3 };
        assert_eq!(made(&[[0, 3]], &[0.5], false), Err(rows(3)));
        assert_eq!(made(&[[-1, 0]], &[0.5], false), Err(rows(-1)));
        assert!(made(&[[0, 1]], &[0.5, 0.5, 0.5], false).is_err());
    }
}
