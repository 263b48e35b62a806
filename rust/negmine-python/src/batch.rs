//! Batches: orders and plans out.

use negmine_core::batch::{Column, Columns, Id, NoDuplicates, Parts, Permutation, Remainder};
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2};
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

/// `negmine.batches.Columns`.
#[derive(FromPyObject)]
pub(crate) struct ColumnsArg<'py> {
    anchors: PyReadonlyArray2<'py, i64>,
    positives: PyReadonlyArray2<'py, i64>,
    negatives: PyReadonlyArray2<'py, i64>,
    n_anchors: usize,
    n_documents: usize,
    strict: bool,
}

fn column<'a>(argument: &'static str, array: &'a PyReadonlyArray2<'_, i64>) -> PyResult<Column<'a>> {
    Ok(Column { argument, ids: array.as_slice()?, width: array.as_array().ncols() })
}

/// A plan of batches without duplicates.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct NoDuplicatePlan(NoDuplicates);

/// The rows of an epoch, where its steps begin, and whether the packing of the build was used.
type EpochArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, bool);

#[pymethods]
impl NoDuplicatePlan {
    #[new]
    fn new(
        py: Python<'_>,
        columns: ColumnsArg<'_>,
        size: usize,
        drop_remainder: bool,
        seed: u64,
    ) -> PyResult<Self> {
        let read = Columns {
            rows: columns.anchors.as_array().nrows(),
            anchors: column("anchors", &columns.anchors)?,
            positives: column("positives", &columns.positives)?,
            negatives: column("negatives", &columns.negatives)?,
            n_anchors: columns.n_anchors,
            n_documents: columns.n_documents,
            strict: columns.strict,
        };
        let remainder = if drop_remainder { Remainder::Drop } else { Remainder::Pad };
        call::run(py, 1, None, |run| NoDuplicates::new(&read, size, remainder, seed, run)).map(Self)
    }

    /// Steps that hold all rows.
    #[getter]
    fn steps(&self) -> usize {
        self.0.steps()
    }

    /// Steps that an epoch emits.
    #[getter]
    fn emitted(&self) -> usize {
        self.0.emitted()
    }

    /// The lower bound: steps, the space and the number of the id behind it, and its exclusive and shared holders.
    #[getter]
    fn bound(&self) -> (usize, Option<(&'static str, usize)>, usize, usize) {
        let bound = self.0.bound();
        let id = bound.id.map(|id| match id {
            Id::Anchor(number) => ("anchors", number),
            Id::Document(number) => ("documents", number),
        });
        (bound.steps, id, bound.exclusive, bound.shared)
    }

    fn epoch<'py>(&self, py: Python<'py>, epoch: u64) -> PyResult<EpochArrays<'py>> {
        let found = call::run(py, 1, None, |run| self.0.epoch(epoch, run))?;
        Ok((PyArray1::from_vec(py, found.rows), PyArray1::from_vec(py, found.offsets), found.from_base))
    }

    /// Pickles as the ids that can conflict and the packing of the build, about 8 bytes a row and 4 an occurrence.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, State<'py>)> {
        let parts = self.0.parts();
        let restore = py.import("negmine._native")?.getattr("restore_no_duplicate_plan")?;
        let arrays = [parts.row_offsets, parts.row_ids, parts.base].map(|part| PyArray1::from_vec(py, part));
        let [row_offsets, row_ids, base] = arrays;
        let drop_remainder = parts.remainder == Remainder::Drop;
        Ok((restore, (row_offsets, row_ids, base, parts.steps, parts.size, drop_remainder, parts.seed)))
    }
}

type State<'py> = (
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    usize,
    usize,
    bool,
    u64,
);

/// The plan that was pickled.
#[pyfunction]
pub(crate) fn restore_no_duplicate_plan(
    py: Python<'_>,
    row_offsets: PyReadonlyArray1<'_, u32>,
    row_ids: PyReadonlyArray1<'_, u32>,
    base: PyReadonlyArray1<'_, u32>,
    steps: usize,
    size: usize,
    drop_remainder: bool,
    seed: u64,
) -> PyResult<NoDuplicatePlan> {
    let parts = Parts {
        row_offsets: row_offsets.as_slice()?.to_vec(),
        row_ids: row_ids.as_slice()?.to_vec(),
        base: base.as_slice()?.to_vec(),
        steps,
        size,
        remainder: if drop_remainder { Remainder::Drop } else { Remainder::Pad },
        seed,
    };
    call::run(py, 1, None, |_| NoDuplicates::restored(parts)).map(NoDuplicatePlan)
}
