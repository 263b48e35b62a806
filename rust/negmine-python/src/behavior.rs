//! Bindings of behavior sequences: tables, and attention by hashing.

use negmine_core::base::csr::Offsets;
use negmine_core::behavior::{self, Counts, CountsMut, Histories, Normalize, Shape, Table, TableMut, Update};
use numpy::{
    PyArray1, PyArray2, PyArray3, PyArrayDyn, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3, PyReadonlyArray4, PyReadwriteArray3, PyReadwriteArray4,
};
use pyo3::prelude::*;

use crate::convert::{RowsArg, matrix};
use crate::sketch::SimHash;
use crate::{call, errors};

fn normalize(py: Python<'_>, name: &str) -> PyResult<Normalize> {
    Ok(match name {
        "l2" => Normalize::L2,
        "mean" => Normalize::Mean,
        "sum" => Normalize::Sum,
        "ratio" => Normalize::Ratio,
        other => {
            return Err(errors::value_error(
                py,
                format!("`normalize` must be 'l2', 'mean', 'sum' or 'ratio'; got {other:?}."),
            ));
        }
    })
}

fn lists(py: Python<'_>, offsets: &PyReadonlyArray1<'_, i64>, rows: usize) -> PyResult<Offsets> {
    Offsets::new("offsets", offsets.as_slice()?, rows).map_err(|error| errors::raise(py, &error))
}

fn shape(dim: &[usize]) -> Shape {
    Shape { groups: dim[1], buckets: dim[2], width: dim[3] }
}

/// Counts of a table, whole or decayed.
#[derive(FromPyObject)]
pub(crate) enum CountsArg<'py> {
    Whole(PyReadonlyArray3<'py, u32>),
    Decayed(PyReadonlyArray3<'py, f32>),
}

/// Counts that can be written.
#[derive(FromPyObject)]
pub(crate) enum CountsMutArg<'py> {
    Whole(PyReadwriteArray3<'py, u32>),
    Decayed(PyReadwriteArray3<'py, f32>),
}

/// Adds rows to tables, or subtracts them, in place.
#[pyfunction]
pub(crate) fn table_update(
    py: Python<'_>,
    mut sums: PyReadwriteArray4<'_, f32>,
    mut counts: CountsMutArg<'_>,
    signatures: PyReadonlyArray2<'_, u32>,
    values: PyReadonlyArray2<'_, f32>,
    offsets: PyReadonlyArray1<'_, i64>,
    users: PyReadonlyArray1<'_, i64>,
    remove: bool,
    num_threads: usize,
) -> PyResult<()> {
    let lists = lists(py, &offsets, signatures.as_array().nrows())?;
    let (n, shape) = (sums.as_array().shape()[0], shape(sums.as_array().shape()));
    let counts = match &mut counts {
        CountsMutArg::Whole(counts) => CountsMut::Whole(counts.as_slice_mut()?),
        CountsMutArg::Decayed(counts) => CountsMut::Decayed(counts.as_slice_mut()?),
    };
    let table = TableMut::new(shape, n, sums.as_slice_mut()?, counts);
    let table = table.map_err(|error| errors::raise(py, &error))?;
    let update = if remove { Update::Remove } else { Update::Append };
    let (signatures, values, users) = (signatures.as_slice()?, values.as_slice()?, users.as_slice()?);
    call::run(py, num_threads, None, |run| table.update(update, signatures, values, &lists, users, run))
}

/// The values that candidates read from tables, (candidates, width).
#[pyfunction]
pub(crate) fn table_query<'py>(
    py: Python<'py>,
    sums: PyReadonlyArray4<'_, f32>,
    counts: CountsArg<'_>,
    signatures: PyReadonlyArray2<'_, u32>,
    offsets: PyReadonlyArray1<'_, i64>,
    users: PyReadonlyArray1<'_, i64>,
    normalize_name: &str,
    skip_empty: bool,
    num_threads: usize,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let rows = signatures.as_array().nrows();
    let lists = lists(py, &offsets, rows)?;
    let (n, shape) = (sums.as_array().shape()[0], shape(sums.as_array().shape()));
    let counts = match &counts {
        CountsArg::Whole(counts) => Counts::Whole(counts.as_slice()?),
        CountsArg::Decayed(counts) => Counts::Decayed(counts.as_slice()?),
    };
    let table = Table::new(shape, n, sums.as_slice()?, counts).map_err(|error| errors::raise(py, &error))?;
    let pooling = (normalize(py, normalize_name)?, skip_empty);
    let (signatures, users) = (signatures.as_slice()?, users.as_slice()?);
    let out = call::run(py, num_threads, None, |run| table.query(signatures, &lists, users, pooling, run))?;
    matrix(py, out, rows, shape.width)
}

/// The state from which the backward pass of `sdim_forward` starts.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct SdimPass {
    kept: behavior::Kept,
    n_lists: usize,
}

#[pymethods]
impl SdimPass {
    /// The gradient of the values, (`n_lists`, behaviors, width), from that of the output, (candidates, width).
    fn backward<'py>(
        &self,
        py: Python<'py>,
        gradient: PyReadonlyArray2<'_, f32>,
        num_threads: usize,
    ) -> PyResult<Bound<'py, PyArray3<f32>>> {
        let gradient = gradient.as_slice()?;
        let out = call::run(py, num_threads, None, |run| self.kept.backward(gradient, run))?;
        let per_list = self.kept.behaviors().checked_div(self.n_lists).unwrap_or(0);
        PyArray1::from_vec(py, out).reshape([self.n_lists, per_list, self.kept.width()])
    }
}

/// Attention of candidates to `n_lists` histories of one length each, (candidates, width) as an array of `shape`, and
/// with `keep` the state for the backward pass.
#[pyfunction]
pub(crate) fn sdim_forward<'py>(
    py: Python<'py>,
    hash: &SimHash,
    behaviors: RowsArg<'_>,
    mask: Option<PyReadonlyArray1<'_, bool>>,
    values: PyReadonlyArray2<'_, f32>,
    candidates: RowsArg<'_>,
    n_lists: usize,
    shape: Vec<usize>,
    normalize_name: &str,
    skip_empty: bool,
    keep: bool,
    num_threads: usize,
) -> PyResult<(Bound<'py, PyArrayDyn<f32>>, Option<SdimPass>)> {
    let keys = behaviors.rows(py, "behaviors")?;
    let candidates = candidates.rows(py, "candidates")?;
    let pooling = (normalize(py, normalize_name)?, skip_empty);
    let per_list = |rows: usize| Offsets::uniform(n_lists, rows.checked_div(n_lists).unwrap_or(0));
    let histories = Histories {
        keys: &keys,
        mask: mask.as_ref().map(|mask| mask.as_slice()).transpose()?,
        values: values.as_slice()?,
        width: values.as_array().ncols(),
        behaviors: &per_list(keys.len()),
        candidates: &candidates,
        of_candidates: &per_list(candidates.len()),
    };
    let found = call::run(py, num_threads, None, |run| histories.forward(&hash.inner, pooling, keep, run))?;
    let kept = found.kept.map(|kept| SdimPass { kept, n_lists });
    Ok((PyArray1::from_vec(py, found.output).reshape(shape)?, kept))
}

/// The `k` nearest behaviors of each candidate's list by Hamming distance, (candidates, k), -1 beyond the end.
#[pyfunction]
pub(crate) fn nearest<'py>(
    py: Python<'py>,
    candidates: PyReadonlyArray2<'_, u32>,
    behaviors: PyReadonlyArray2<'_, u32>,
    n_lists: usize,
    k: usize,
    num_threads: usize,
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    let (n, groups) = candidates.as_array().dim();
    let per_list = |rows: usize| Offsets::uniform(n_lists, rows.checked_div(n_lists).unwrap_or(0));
    let (of_candidates, of_behaviors) = (per_list(n), per_list(behaviors.as_array().nrows()));
    let candidates = (candidates.as_slice()?, &of_candidates);
    let behaviors = (behaviors.as_slice()?, &of_behaviors);
    let rows =
        call::run(py, num_threads, None, |run| behavior::nearest(groups, candidates, behaviors, k, run))?;
    matrix(py, rows, n, k)
}
