//! Bindings of the deterministic transcendental functions.

use negmine_core::base::math;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::call;

/// Exponential function of every value.
#[pyfunction]
pub(crate) fn exp<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'_, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let values = values.as_slice()?;
    Ok(PyArray1::from_vec(py, call::run(py, 1, None, |run| math::map(values, math::exp, run))?))
}

/// Natural logarithm of every value.
#[pyfunction]
pub(crate) fn ln<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'_, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let values = values.as_slice()?;
    Ok(PyArray1::from_vec(py, call::run(py, 1, None, |run| math::map(values, math::ln, run))?))
}
