//! Bindings of strings: stable hashes, and the table that finds the row of a label.

use negmine_core::base::csr::CsrView;
use negmine_core::base::strings::StringTable as Table;
use negmine_core::base::xxh64;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::{call, errors};

/// `negmine._core.labels.Strings`: offsets and UTF-8 bytes.
#[derive(FromPyObject)]
pub(crate) struct StringsArg<'py> {
    offsets: PyReadonlyArray1<'py, i64>,
    items: PyReadonlyArray1<'py, u8>,
}

impl StringsArg<'_> {
    pub(crate) fn view(&self, py: Python<'_>, argument: &'static str) -> PyResult<CsrView<'_, u8>> {
        let (offsets, items) = (self.offsets.as_slice()?, self.items.as_slice()?);
        CsrView::new(argument, offsets, items, offsets.len().saturating_sub(1))
            .map_err(|error| errors::raise(py, &error))
    }
}

/// The stable hash of strings.
#[pyfunction]
pub(crate) fn hash_strings<'py>(
    py: Python<'py>,
    strings: StringsArg<'_>,
) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let strings = strings.view(py, "strings")?;
    Ok(PyArray1::from_vec(py, call::run(py, 1, None, |run| xxh64::hash_strings(strings, run))?))
}

/// Rows of strings by content.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct StringTable {
    inner: Table,
}

#[pymethods]
impl StringTable {
    #[new]
    fn new(py: Python<'_>, strings: StringsArg<'_>) -> PyResult<Self> {
        let strings = strings.view(py, "labels")?;
        Ok(Self { inner: call::run(py, 1, None, |run| Table::build(strings, run))? })
    }

    /// The first row of `known`, the strings of the table, that holds each wanted string; -1 if none does.
    fn find<'py>(
        &self,
        py: Python<'py>,
        known: StringsArg<'_>,
        wanted: StringsArg<'_>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let (known, wanted) = (known.view(py, "labels")?, wanted.view(py, "labels")?);
        Ok(PyArray1::from_vec(py, call::run(py, 1, None, |run| self.inner.find(known, wanted, run))?))
    }
}
