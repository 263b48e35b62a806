//! Bindings of candidate pools from an external first pass.

use std::sync::Mutex;

use negmine_core::exact::offers::Offered;
use negmine_core::mine::offers::PoolOffers;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::RowsArg;
use crate::exact::ExactIndex;
use crate::mine::{PoolArg, pool_dict};
use crate::{call, errors};

/// The states of a request, with references to all of its inputs.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct Offers {
    inner: Mutex<Option<PoolOffers>>,
    index: Py<ExactIndex>,
    queries: Py<PyAny>,
    request: Py<PyAny>,
}

#[pymethods]
impl Offers {
    #[new]
    fn new(
        py: Python<'_>,
        index: Py<ExactIndex>,
        queries: Bound<'_, PyAny>,
        request: Bound<'_, PyAny>,
        num_threads: usize,
    ) -> PyResult<Self> {
        let made =
            Self { inner: Mutex::new(None), index, queries: queries.unbind(), request: request.unbind() };
        let states = made.with(py, |offers, index, corpus, queries, request| {
            debug_assert!(offers.is_none());
            call::run(py, num_threads, None, |run| {
                PoolOffers::begin(index, corpus, queries, request, run).map_err(|error| corpus.explain(error))
            })
        })?;
        Ok(Self { inner: Mutex::new(Some(states)), ..made })
    }

    /// The score below which a document cannot enter the pools of each query.
    fn thresholds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let inner = self.inner.try_lock().map_err(|_| busy(py))?;
        let states = inner.as_ref().ok_or_else(|| finished(py))?;
        Ok(PyArray1::from_vec(py, states.thresholds()))
    }

    /// Takes pairs that could not be ruled out, with intervals that hold their scores.
    fn offer(
        &self,
        py: Python<'_>,
        query_indices: PyReadonlyArray1<'_, i64>,
        document_indices: PyReadonlyArray1<'_, i64>,
        low: PyReadonlyArray1<'_, f64>,
        high: PyReadonlyArray1<'_, f64>,
        num_threads: usize,
    ) -> PyResult<()> {
        let offered = Offered {
            queries: query_indices.as_slice()?,
            documents: document_indices.as_slice()?,
            low: low.as_slice()?,
            high: high.as_slice()?,
        };
        self.with(py, |offers, index, corpus, queries, request| {
            let states = offers.as_ref().ok_or_else(|| finished(py))?;
            call::run(py, num_threads, None, |run| {
                states
                    .offer(index, corpus, queries, request, &offered, run)
                    .map_err(|error| corpus.explain(error))
            })
        })
    }

    /// Scores every pending document that may still enter a pool; returns the pools, as a dictionary of arrays.
    fn finish<'py>(&self, py: Python<'py>, num_threads: usize) -> PyResult<Bound<'py, PyDict>> {
        let pool = self.with(py, |offers, index, corpus, queries, request| {
            let states = offers.take().ok_or_else(|| finished(py))?;
            call::run(py, num_threads, None, |run| {
                states.finish(index, corpus, queries, request, run).map_err(|error| corpus.explain(error))
            })
        })?;
        pool_dict(py, pool)
    }
}

impl Offers {
    /// Reads the inputs that the states refer to, and passes them to `work` together with the states.
    fn with<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(
            &mut Option<PoolOffers>,
            &negmine_core::exact::ExactIndex,
            &negmine_core::base::matrix::Rows<'_>,
            &negmine_core::base::matrix::Rows<'_>,
            &negmine_core::mine::PoolRequest<'_>,
        ) -> PyResult<T>,
    ) -> PyResult<T> {
        let index = self.index.get();
        let corpus: RowsArg<'_> = index.corpus(py).extract()?;
        let queries: RowsArg<'_> = self.queries.bind(py).extract()?;
        let request: PoolArg<'_> = self.request.bind(py).extract()?;
        let (corpus, queries) = (corpus.rows(py, "corpus")?, queries.rows(py, "queries")?);
        let eligible = request.eligible()?;
        let request = request.view(py, queries.len(), &eligible)?;
        let mut inner = self.inner.try_lock().map_err(|_| {
            errors::value_error(
                py,
                "`Offers` must be used by one thread at a time; got two calls.".to_owned(),
            )
        })?;
        work(&mut inner, index.core(), &corpus, &queries, &request)
    }
}

fn finished(py: Python<'_>) -> PyErr {
    errors::value_error(py, "`Offers` must not be used after `finish`; make new ones.".to_owned())
}

/// The error for a second thread, which must not wait: it would hold the interpreter, which the first one needs to
/// return.
fn busy(py: Python<'_>) -> PyErr {
    errors::value_error(py, "`Offers` must be used by one thread at a time; got two calls.".to_owned())
}
