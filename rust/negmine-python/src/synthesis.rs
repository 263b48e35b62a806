//! Bindings of new vectors from given ones, and of the law of shares that divides them.

use negmine_core::base::csr::CsrView;
use negmine_core::base::share::Shares;
use negmine_core::synthesis::{self, Motion, Shell};
use numpy::{PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::convert::{RowsArg, matrix};
use crate::{call, errors};

/// Whole numbers that sum to `n`, in proportion to shares.
#[pyfunction]
pub(crate) fn share_out<'py>(
    py: Python<'py>,
    n: u64,
    shares: PyReadonlyArray1<'_, f64>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let shares = Shares { shares: shares.as_slice()?, given: &[], minimum: 0, caps: &[] };
    let numbers = shares.share_out(n).map_err(|error| errors::raise(py, &error))?;
    Ok(PyArray1::from_iter(py, numbers.into_iter().map(|number| number as i64)))
}

/// Choices and gaps of the rows of a class.
type DrawArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray2<f32>>);

/// One number below `choices`, and `width` numbers in (0, 1), for each of `n` rows of a class.
#[pyfunction]
pub(crate) fn oversample_draws(
    py: Python<'_>,
    seed: u64,
    number: u64,
    first: u64,
    n: usize,
    width: usize,
    choices: u64,
) -> PyResult<DrawArrays<'_>> {
    let drawn =
        call::run(py, 1, None, |run| synthesis::row_draws(seed, number, first, n, width, choices, run))?;
    Ok((PyArray1::from_vec(py, drawn.choice), matrix(py, drawn.gap, n, width)?))
}

/// The share of rows of a class that lie between their parents.
#[pyfunction]
pub(crate) fn interpolated_share(seed: u64, number: u64) -> f64 {
    synthesis::interpolated_share(seed, number)
}

/// Interpolates between pairs of rows.
#[pyfunction]
pub(crate) fn interpolate<'py>(
    py: Python<'py>,
    x: RowsArg<'_>,
    parents: PyReadonlyArray2<'_, i64>,
    step: PyReadonlyArray2<'_, f32>,
    unit_norm: bool,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<(Bound<'py, PyArray2<f32>>, u64)> {
    let x = x.rows(py, "X")?;
    let (pairs, odd) = parents.as_slice()?.as_chunks::<2>();
    if !odd.is_empty() || parents.shape()[1] != 2 {
        return Err(errors::value_error(py, "`parents` must have two columns.".to_owned()));
    }
    let step = step.as_slice()?;
    let made = call::run(py, num_threads, progress.as_ref(), |run| {
        synthesis::interpolate(&x, pairs, step, unit_norm, run)
    })?;
    Ok((matrix(py, made.values, pairs.len(), x.width())?, made.zero_sums))
}

/// The mean distance of two members of each group of rows.
#[pyfunction]
pub(crate) fn mean_distances<'py>(
    py: Python<'py>,
    x: RowsArg<'_>,
    offsets: PyReadonlyArray1<'_, i64>,
    members: PyReadonlyArray1<'_, i64>,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let x = x.rows(py, "X")?;
    let n_groups = offsets.len().saturating_sub(1);
    let groups = CsrView::new("groups", offsets.as_slice()?, members.as_slice()?, n_groups)
        .map_err(|error| errors::raise(py, &error))?;
    let means =
        call::run(py, num_threads, progress.as_ref(), |run| synthesis::mean_distances(&x, groups, run))?;
    Ok(PyArray1::from_vec(py, means))
}

/// Draws vectors at given cosines to anchors, anchor after anchor.
#[pyfunction]
pub(crate) fn shell<'py>(
    py: Python<'py>,
    anchors: RowsArg<'_>,
    low: f64,
    high: f64,
    num_points: usize,
    max_distance: Option<f64>,
    seed: u64,
    num_threads: usize,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let anchors = anchors.rows(py, "anchors")?;
    let shell = Shell { low, high, max_distance, seed };
    let values = call::run(py, num_threads, None, |run| shell.draw(&anchors, num_points, run))?;
    matrix(py, values, anchors.len() * num_points, anchors.width())
}

/// Moves rows toward their partners, by one of three numbers.
#[pyfunction]
pub(crate) fn move_rows<'py>(
    py: Python<'py>,
    x: RowsArg<'_>,
    toward: RowsArg<'_>,
    partners: PyReadonlyArray1<'_, i64>,
    by: &str,
    amount: f64,
    unit_norm: bool,
    num_threads: usize,
) -> PyResult<(Bound<'py, PyArray2<f32>>, u64)> {
    let (x, toward) = (x.rows(py, "x")?, toward.rows(py, "toward")?);
    let motion = match by {
        "alpha" => Motion::Alpha(amount),
        "angle" => Motion::Angle(amount),
        "cosine" => Motion::Cosine(amount),
        other => return Err(errors::value_error(py, format!("`by` must be a known word; got {other:?}."))),
    };
    let partners = partners.as_slice()?;
    let moved = call::run(py, num_threads, None, |run| {
        synthesis::move_rows(&x, &toward, partners, motion, unit_norm, run)
    })?;
    Ok((matrix(py, moved.values, x.len(), x.width())?, moved.degenerate))
}
