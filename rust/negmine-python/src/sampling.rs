//! Bindings of random negatives and coins.

use negmine_core::sampling::coins::coins;
use negmine_core::sampling::{Alias, Sampler, Source};
use numpy::{PyArray1, PyArray2, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::convert::{CsrArg, EligibleArg, matrix};
use crate::{call, errors};

/// The class and the weights, from which a table is made again.
type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyArray1<f64>>,));

/// A table that draws from weights.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct AliasTable(pub(crate) Alias);

#[pymethods]
impl AliasTable {
    #[new]
    fn new(py: Python<'_>, weights: PyReadonlyArray1<'_, f64>) -> PyResult<Self> {
        let weights = weights.as_slice()?;
        call::run(py, 1, None, |run| Alias::new(weights, run)).map(Self)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        // Weights are parts of the largest one, so that the table of these is the same.
        let class = py.import("negmine._native")?.getattr("AliasTable")?;
        Ok((class, (PyArray1::from_slice(py, self.0.weights()),)))
    }
}

/// A source of documents: a table of weights, or lists.
#[derive(FromPyObject)]
enum SourceArg<'py> {
    Weighted(Bound<'py, AliasTable>),
    Lists(CsrArg<'py>),
}

/// The fields of `negmine.sampling.sampler.Law`.
#[derive(FromPyObject)]
pub(crate) struct SamplerArg<'py> {
    n_documents: usize,
    forbidden: CsrArg<'py>,
    eligible: Option<EligibleArg<'py>>,
    /// None is the uniform source.
    sources: Vec<Option<SourceArg<'py>>>,
    shares: Vec<f64>,
    replace: bool,
    seed: u64,
}

/// Rows (padded with -1), `log_q` (padded with NaN), sources (padded with -1), and counts.
type SampledArrays<'py> = (
    Bound<'py, PyArray2<i64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<i8>>,
    Bound<'py, PyArray1<i32>>,
);

impl SamplerArg<'_> {
    /// Calls `work` with the sampler of these fields, whose lists are `checked` or not.
    fn with<T>(
        &self,
        py: Python<'_>,
        checked: bool,
        work: impl FnOnce(&Sampler<'_>) -> PyResult<T>,
    ) -> PyResult<T> {
        let known = self.forbidden.len()?;
        let eligible = EligibleArg::view(self.eligible.as_ref())?;
        let sources = self.sources.iter().map(|source| {
            Ok(match source {
                Some(SourceArg::Weighted(table)) => Source::Weighted(&table.get().0),
                Some(SourceArg::Lists(lists)) => {
                    Source::Lists(lists.view_again(py, "sources", known, checked)?)
                }
                None => Source::Uniform,
            })
        });
        let sources = sources.collect::<PyResult<Vec<_>>>()?;
        work(&Sampler {
            documents: self.n_documents,
            forbidden: self.forbidden.view_again(py, "forbidden", known, checked)?,
            eligible: &eligible,
            sources: &sources,
            shares: &self.shares,
            replace: self.replace,
            seed: self.seed,
        })
    }
}

/// Checks that the arrays of a sampler fit each other; `sample_negatives` takes it for granted.
#[pyfunction]
pub(crate) fn check_sampler(py: Python<'_>, sampler: SamplerArg<'_>) -> PyResult<()> {
    sampler.with(py, false, |core| core.check().map_err(|error| errors::raise(py, &error)))
}

/// Draws random negatives for some queries; with `rows`, the draws belong to these numbers.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the arguments of one Python function")]
pub(crate) fn sample_negatives<'py>(
    py: Python<'py>,
    sampler: SamplerArg<'py>,
    queries: PyReadonlyArray1<'py, i64>,
    rows: Option<PyReadonlyArray1<'py, i64>>,
    n: usize,
    epoch: u64,
    offset: u64,
    num_threads: usize,
) -> PyResult<SampledArrays<'py>> {
    let queries = queries.as_slice()?;
    let rows = rows.as_ref().map(PyReadonlyArray1::as_slice).transpose()?;
    let sampled = sampler.with(py, true, |core| {
        call::run(py, num_threads, None, |run| core.sample(queries, rows, n, epoch, offset, run))
    })?;
    Ok((
        matrix(py, sampled.indices, queries.len(), n)?,
        matrix(py, sampled.log_q, queries.len(), n)?,
        matrix(py, sampled.source, queries.len(), n)?,
        PyArray1::from_vec(py, sampled.counts),
    ))
}

/// Whether the coin of each row shows heads.
#[pyfunction]
pub(crate) fn coin<'py>(
    py: Python<'py>,
    rows: PyReadonlyArray1<'py, i64>,
    p: PyReadonlyArray1<'py, f64>,
    seed: u64,
    epoch: u64,
) -> PyResult<Bound<'py, PyArray1<bool>>> {
    let heads = coins(rows.as_slice()?, p.as_slice()?, seed, epoch);
    heads.map(|heads| PyArray1::from_vec(py, heads)).map_err(|error| errors::raise(py, &error))
}
