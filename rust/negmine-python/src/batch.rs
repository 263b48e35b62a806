//! Batches: orders and plans out.

use negmine_core::batch::Permutation;
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::call;

/// Positions `start..stop` of an epoch's permutation of `n` elements.
#[pyfunction]
pub(crate) fn epoch_permutation(
    py: Python<'_>,
    n: u64,
    seed: u64,
    epoch: u64,
    start: u64,
    stop: u64,
) -> PyResult<Bound<'_, PyArray1<i64>>> {
    let order = call::run(py, 1, None, |run| {
        let mut order = vec![0; stop.saturating_sub(start) as usize];
        Permutation::new(n, seed, epoch).fill(start, &mut order, run)?;
        Ok(order)
    })?;
    Ok(PyArray1::from_vec(py, order))
}
