//! Rows moved toward or away from other rows: by interpolation, by an angle, or to a cosine.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::canonical;

use crate::base::error::check_length;
use crate::base::math::cos_sin;
use crate::base::matrix::Rows;
use crate::base::memory::zeros;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

use super::vectors::{dot, normalize, write};

/// Rows of a piece of work.
const ROWS_PER_ITEM: usize = 256;

/// A row whose part orthogonal to another row is at most this share of it is parallel to that row: a few units of the
/// rounding of float32, whose direction means nothing.
const PARALLEL: f64 = 1.0 / (1_u64 << 22) as f64;

/// How row x is moved toward row y.
#[derive(Clone, Copy, Debug)]
pub enum Motion {
    /// `(1 - alpha) x + alpha y`.
    Alpha(f64),
    /// Rotated by so many radians, as long as before.
    Angle(f64),
    /// The part of x that is orthogonal to y, and as much of y as gives this cosine, in (-1, 1).
    Cosine(f64),
}

/// Moved rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// The rows, row-major.
    pub values: Vec<f32>,
    /// Number of rows that have no direction to move in: rows of zeros, and rows parallel to theirs.
    pub degenerate: u64,
}

/// Moves row i of `x` toward row `partners[i]` of `toward`; rows without a partner, -1, stay. With `unit_norm`, all
/// rows of the result are divided by their norms, except rows of zeros.
///
/// # Errors
/// Returns an error on arrays that do not fit each other, values that are not finite, moved rows beyond float32, lack
/// of memory, or an interrupt.
pub fn move_rows(
    x: &Rows<'_>,
    toward: &Rows<'_>,
    partners: &[i64],
    motion: Motion,
    unit_norm: bool,
    run: &Run<'_>,
) -> Result<Moved> {
    let width = x.width();
    check_length("toward", width, toward.width())?;
    check_length("partners", x.len(), partners.len())?;
    let mut values = zeros(x.len().saturating_mul(width))?;
    let slots: Vec<_> = values.chunks_mut(ROWS_PER_ITEM * width).map(Mutex::new).collect();
    let degenerate = run.map(
        slots.len(),
        || (vec![0.0; width], vec![0.0; width], vec![0.0; width]),
        |(own, other, made), item, _| {
            let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
            let mut degenerate = 0;
            for (row, out) in (item * ROWS_PER_ITEM..).zip(slot.chunks_exact_mut(width)) {
                let from = x.finite_row(run.isa, row, own)?;
                out.copy_from_slice(from);
                if partners[row] >= 0 {
                    let partner = usize::try_from(partners[row]).ok().filter(|row| *row < toward.len());
                    let partner = partner.ok_or(Error::RowOutOfRange {
                        argument: "partners",
                        row: partners[row],
                        rows: toward.len(),
                    })?;
                    let to = toward.finite_row(run.isa, partner, other)?;
                    let norms = Norms {
                        xx: canonical::dot_with(run.isa, from, from),
                        xy: canonical::dot_with(run.isa, from, to),
                        yy: canonical::dot_with(run.isa, to, to),
                    };
                    if !motion.apply(from, to, norms, made) {
                        degenerate += 1;
                    } else if !write(made, out) {
                        return Err(Error::Value {
                            argument: "x",
                            rule: "finite in float32 after the move",
                            got: format!("a larger value in row {row}"),
                        });
                    }
                }
                if unit_norm {
                    normalize(run.isa, out);
                }
            }
            Ok(degenerate)
        },
    )?;
    drop(slots);
    Ok(Moved { values, degenerate: degenerate.iter().sum() })
}

/// Canonical inner products of two rows.
#[derive(Clone, Copy)]
struct Norms {
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Motion {
    /// Moves x toward y; false if it has no direction to move in.
    fn apply(self, x: &[f32], y: &[f32], of: Norms, made: &mut [f64]) -> bool {
        // `a x + b y`
        let combine = |made: &mut [f64], a: f64, b: f64| {
            for ((slot, x), y) in made.iter_mut().zip(x).zip(y) {
                *slot = a * f64::from(*x) + b * f64::from(*y);
            }
        };
        if let Self::Alpha(alpha) = self {
            combine(made, 1.0 - alpha, alpha);
            return true;
        }
        if of.xx == 0.0 || of.yy == 0.0 {
            return false;
        }
        match self {
            Self::Alpha(_) => {}
            Self::Angle(angle) => {
                // The part of y orthogonal to x; then x and it, at the length of x.
                combine(made, -of.xy / of.xx, 1.0);
                let norm = dot(made, made).sqrt();
                if norm <= PARALLEL * of.yy.sqrt() {
                    return false;
                }
                let [cosine, sine] = cos_sin(angle);
                let scale = of.xx.sqrt() * sine / norm;
                for (slot, x) in made.iter_mut().zip(x) {
                    *slot = cosine * f64::from(*x) + scale * *slot;
                }
            }
            Self::Cosine(cosine) => {
                combine(made, 1.0, -of.xy / of.yy);
                let norm = dot(made, made).sqrt();
                if norm <= PARALLEL * of.xx.sqrt() {
                    return false;
                }
                let scale = cosine / (1.0 - cosine * cosine).sqrt() * norm / of.yy.sqrt();
                for (slot, y) in made.iter_mut().zip(y) {
                    *slot += scale * f64::from(*y);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use negmine_kernels::isa::Isa;

    use super::*;
    use crate::base::matrix::Elements;

    fn moved(x: &Array2<f32>, y: &Array2<f32>, motion: Motion) -> Result<Moved> {
        let partners: Vec<i64> = (0..x.nrows() as i64).collect();
        let (x, y) =
            (Rows::new("x", Elements::F32(x.view()))?, Rows::new("toward", Elements::F32(y.view()))?);
        move_rows(
            &x,
            &y,
            &partners,
            motion,
            false,
            &Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false },
        )
    }

    #[test]
    fn golden_moves() {
        let tilted = moved(&array![[0.6, 0.8]], &array![[1.0, 0.0]], Motion::Angle(0.2)).unwrap();
        for (got, expected) in tilted.values.iter().zip([0.746_975, 0.664_852]) {
            assert!((got - expected).abs() < 1e-6, "{got}");
        }
        let perpendicular =
            moved(&array![[1.0, 2.0, 2.0]], &array![[1.0, 1.0, 0.0]], Motion::Cosine(0.0)).unwrap();
        assert_eq!(perpendicular.values, [-0.5, 0.5, 2.0]);
        let repelled = moved(&array![[0.6, 0.8]], &array![[0.8, 0.6]], Motion::Alpha(-0.5)).unwrap();
        for (got, expected) in repelled.values.iter().zip([0.5, 0.9]) {
            assert!((got - expected).abs() < 1e-6, "{got}");
        }
    }

    #[test]
    fn rows_without_a_direction_stay_and_are_counted() {
        let (x, y) =
            (array![[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]], array![[1.0, 0.0], [0.0, 0.0], [-6.0, -8.0]]);
        for motion in [Motion::Angle(0.5), Motion::Cosine(0.5)] {
            let moved = moved(&x, &y, motion).unwrap();
            assert_eq!((moved.values, moved.degenerate), (x.iter().copied().collect(), 3));
        }
        assert_eq!(moved(&x, &y, Motion::Alpha(0.5)).unwrap().degenerate, 0);
    }

    #[test]
    fn what_float32_cannot_hold_is_an_error() {
        let error =
            moved(&array![[3e38_f32, 0.0]], &array![[-3e38_f32, 0.0]], Motion::Alpha(-1.0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`x` must be finite in float32 after the move; got a larger value in row 0."
        );
    }
}
