//! Vectors at given cosines to an anchor and as long as it: a cosine is drawn, then a direction orthogonal to the
//! anchor, so that nothing is rejected.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::canonical;

use crate::base::math::normal_pair;
use crate::base::matrix::Rows;
use crate::base::memory::zeros;
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream, unit};
use crate::base::{Error, Result};

use super::vectors::{dot, write};

/// Vectors of a piece of work.
const VECTORS_PER_ITEM: usize = 64;

/// A shell around every anchor.
#[derive(Clone, Copy, Debug)]
pub struct Shell {
    /// The lowest cosine.
    pub low: f64,
    /// The highest cosine.
    pub high: f64,
    /// The most that a vector may be away from its anchor.
    pub max_distance: Option<f64>,
    /// Seed of the draws.
    pub seed: u64,
}

impl Shell {
    /// Draws `n` vectors around each anchor: row-major, anchor after anchor.
    ///
    /// Vector p uses the blocks of four numbers from `p ceil((1 + 2 ceil(width / 2)) / 4)` on.
    ///
    /// # Errors
    /// Returns an error on a width below 2, an anchor that is zero or whose shell is empty, values that are not finite,
    /// lack of memory, or an interrupt.
    pub fn draw(&self, anchors: &Rows<'_>, n: usize, run: &Run<'_>) -> Result<Vec<f32>> {
        let width = anchors.width();
        if width < 2 {
            return Err(value("at least 2 wide", width.to_string()));
        }
        let mut buffer = vec![0.0; width];
        for row in 0..anchors.len() {
            let anchor = anchors.finite_row(run.isa, row, &mut buffer)?;
            self.lowest(row, canonical::dot_with(run.isa, anchor, anchor))?;
        }
        let mut values = zeros(anchors.len().saturating_mul(n).saturating_mul(width))?;
        let slots: Vec<_> = values.chunks_mut(VECTORS_PER_ITEM * width).map(Mutex::new).collect();
        run.map(
            slots.len(),
            || (vec![0.0; width], vec![0.0; width], vec![0.0; width + 1]),
            |(buffer, direction, normals), item, _| {
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                for (place, out) in (item * VECTORS_PER_ITEM..).zip(slot.chunks_exact_mut(width)) {
                    let (row, p) = (place / n, place % n);
                    let anchor = anchors.finite_row(run.isa, row, buffer)?;
                    let squared_norm = canonical::dot_with(run.isa, anchor, anchor);
                    let norm = squared_norm.sqrt();
                    for (slot, value) in direction.iter_mut().zip(anchor) {
                        *slot = f64::from(*value) / norm;
                    }
                    let share = self.numbers(row, p, normals);
                    let low = self.lowest(row, squared_norm)?;
                    let made = &mut normals[..width];
                    place_at(low + share * (self.high - low), norm, direction, made);
                    if !write(made, out) {
                        let rule = "small enough that its shell is finite in float32";
                        return Err(value(rule, format!("row {row}")));
                    }
                }
                Ok(())
            },
        )?;
        drop(slots);
        Ok(values)
    }

    /// The lowest cosine around the anchor of that row.
    fn lowest(&self, row: usize, squared_norm: f64) -> Result<f64> {
        if squared_norm == 0.0 {
            return Err(value("other than zero", format!("a row of zeros, row {row}")));
        }
        let near =
            self.max_distance.map_or(-1.0, |distance| 1.0 - distance * distance / (2.0 * squared_norm));
        let low = self.low.max(near);
        if low > self.high {
            return Err(Error::Value {
                argument: "max_distance",
                rule: "large enough that a shell is not empty",
                got: format!(
                    "cosines of at least {low} within that distance of row {row}, above `high`, {}",
                    self.high
                ),
            });
        }
        Ok(low)
    }

    /// The numbers of vector `p` around an anchor: one uniform number, and normal ones into `normals`.
    fn numbers(&self, anchor: usize, p: usize, normals: &mut [f64]) -> f64 {
        let draws = Draws::new(self.seed, Stream::Shell);
        // `normals` is one longer than the width, so that an odd width has room for the last pair.
        let pairs = normals.len() / 2;
        let blocks = (1 + 2 * pairs).div_ceil(4);
        let mut share = 0.0;
        let mut first = 0.0;
        for t in 0..blocks {
            let block = draws.block([1 + (p * blocks + t) as u64, 0, anchor as u64, 0]).map(unit);
            for (i, number) in block.into_iter().enumerate() {
                match 4 * t + i {
                    0 => share = number,
                    place if place > 2 * pairs => break,
                    place if place % 2 == 1 => first = number,
                    place => normals[place - 2..place].copy_from_slice(&normal_pair(first, number)),
                }
            }
        }
        share
    }
}

/// Turns a vector of normal numbers into one of that norm at that cosine to a unit vector.
fn place_at(cosine: f64, norm: f64, unit: &[f64], vector: &mut [f64]) {
    make_orthogonal(vector, unit);
    let sine = (1.0 - cosine * cosine).max(0.0).sqrt();
    for (slot, along) in vector.iter_mut().zip(unit) {
        *slot = norm * (cosine * along + sine * *slot);
    }
}

/// Makes a vector orthogonal to a unit vector, and of unit length. Twice, because the first pass may cancel.
fn make_orthogonal(vector: &mut [f64], unit: &[f64]) {
    for _ in 0..2 {
        let along = dot(vector, unit);
        for (slot, unit) in vector.iter_mut().zip(unit) {
            *slot -= along * unit;
        }
        let norm = dot(vector, vector).sqrt();
        for slot in &mut *vector {
            *slot /= norm;
        }
    }
}

fn value(rule: &'static str, got: String) -> Error {
    Error::Value { argument: "anchors", rule, got }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use negmine_kernels::isa::Isa;

    use super::*;
    use crate::base::matrix::Elements;

    fn drawn(shell: Shell, x: &Array2<f32>, n: usize, threads: usize) -> Result<Vec<f32>> {
        let rows = Rows::new("anchors", Elements::F32(x.view()))?;
        shell.draw(&rows, n, &Run { threads, isa: Isa::active().unwrap(), poll: &|_, _| false })
    }

    #[test]
    fn golden_distance_of_a_shell() {
        let shell = Shell { low: 0.6, high: 0.6, max_distance: None, seed: 0 };
        for v in drawn(shell, &array![[3.0, 4.0]], 5, 1).unwrap().chunks(2) {
            let away = [f64::from(v[0]) - 3.0, f64::from(v[1]) - 4.0];
            let distance = dot(&away, &away).sqrt();
            assert!((distance - 4.472_136).abs() < 2e-6, "{distance}");
        }
        let near = Shell { low: -1.0, high: 1.0, max_distance: Some(3.0), ..shell };
        assert!((near.lowest(0, 25.0).unwrap() - 0.82).abs() < 1e-15);
    }

    #[test]
    fn threads_and_the_number_of_vectors_change_nothing() {
        let shell = Shell { low: -0.2, high: 0.9, max_distance: None, seed: 3 };
        for width in [2, 3, 4, 5, 6, 7, 9] {
            let x = Array2::from_shape_fn((3, width), |(i, j)| (1 + i * 7 + j * 3) as f32);
            let many = drawn(shell, &x, 100, 3).unwrap();
            let few = drawn(shell, &x, 2, 1).unwrap();
            assert_eq!(many[100 * width..102 * width], few[2 * width..4 * width]);
        }
    }

    #[test]
    fn empty_shells_are_errors() {
        let shell = Shell { low: 0.0, high: 0.5, max_distance: Some(0.1), seed: 3 };
        let error = drawn(shell, &array![[3.0, 4.0]], 1, 1).unwrap_err().to_string();
        assert!(error.contains("row 0"), "{error}");
        assert!(drawn(Shell { max_distance: None, ..shell }, &array![[0.0, 0.0]], 0, 1).is_err());
        assert!(drawn(Shell { max_distance: None, ..shell }, &array![[1.0]], 1, 1).is_err());
        let large = array![[f32::MAX, f32::MAX]];
        assert!(drawn(Shell { max_distance: None, ..shell }, &large, 20, 1).is_err());
    }
}
