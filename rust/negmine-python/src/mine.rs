//! Bindings of mining: candidate pools, selection, and random negatives.

use negmine_core::base::Error;
use negmine_core::base::key_ranges::KeyRanges;
use negmine_core::mine::eligible::Rules;
use negmine_core::mine::limit as core_limit;
use negmine_core::mine::lists::{self, ScoredLists};
use negmine_core::mine::random::{self, RandomRequest};
use negmine_core::mine::select::{self as core_select, Choice, PoolView};
use negmine_core::mine::weighted::{self, Weighted};
use negmine_core::mine::{CapRules, Policy, Pool, PoolRequest, Reason, Reference};
use numpy::{PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{CsrArg, EligibleArg, matrix, padded};
use crate::sampling::AliasTable;
use crate::{call, errors};

/// The fields of `negmine.search.Rules`.
#[derive(FromPyObject)]
pub(crate) struct RulesArg<'py> {
    positives: CsrArg<'py>,
    exclude: Option<CsrArg<'py>>,
    self_rows: Option<PyReadonlyArray1<'py, i64>>,
    groups: Option<PyReadonlyArray1<'py, i64>>,
    eligible: Option<EligibleArg<'py>>,
}

impl RulesArg<'_> {
    /// The rules of keys, which a view borrows.
    pub(crate) fn eligible(&self) -> PyResult<Vec<KeyRanges<'_>>> {
        EligibleArg::view(self.eligible.as_ref())
    }

    /// The rules of as many queries as have positives.
    pub(crate) fn view_all<'a>(
        &'a self,
        py: Python<'_>,
        eligible: &'a [KeyRanges<'a>],
    ) -> PyResult<Rules<'a>> {
        self.view(py, self.positives.len()?, eligible)
    }

    pub(crate) fn view<'a>(
        &'a self,
        py: Python<'_>,
        queries: usize,
        eligible: &'a [KeyRanges<'a>],
    ) -> PyResult<Rules<'a>> {
        Ok(Rules {
            positives: self.positives.view(py, "positives", queries)?,
            exclude: self.exclude.as_ref().map(|csr| csr.view(py, "exclude", queries)).transpose()?,
            self_rows: self.self_rows.as_ref().map(PyReadonlyArray1::as_slice).transpose()?,
            groups: self.groups.as_ref().map(PyReadonlyArray1::as_slice).transpose()?,
            eligible,
        })
    }
}

/// The fields of `negmine.search.PoolRequest`.
#[derive(FromPyObject)]
pub(crate) struct PoolArg<'py> {
    rules: RulesArg<'py>,
    given_scores: Option<PyReadonlyArray1<'py, f64>>,
    max_score: Option<f64>,
    absolute_margin: Option<f64>,
    relative_margin: Option<f64>,
    min_score: Option<f64>,
    absolute_floor: Option<f64>,
    relative_floor: Option<f64>,
    reference: String,
    range_min: usize,
    range_max: usize,
    warm_start: Option<PyReadonlyArray2<'py, i64>>,
}

impl PoolArg<'_> {
    /// The rules of keys, which a view borrows.
    pub(crate) fn eligible(&self) -> PyResult<Vec<KeyRanges<'_>>> {
        self.rules.eligible()
    }

    pub(crate) fn view<'a>(
        &'a self,
        py: Python<'_>,
        queries: usize,
        eligible: &'a [KeyRanges<'a>],
    ) -> PyResult<PoolRequest<'a>> {
        let reference = match self.reference.as_str() {
            "min" => Reference::Min,
            "max" => Reference::Max,
            "mean" => Reference::Mean,
            "each" => Reference::Each,
            other => {
                return Err(errors::value_error(
                    py,
                    format!("`reference` must be \"min\", \"max\", \"mean\" or \"each\"; got {other:?}."),
                ));
            }
        };
        Ok(PoolRequest {
            rules: self.rules.view(py, queries, eligible)?,
            given_scores: self.given_scores.as_ref().map(PyReadonlyArray1::as_slice).transpose()?,
            caps: CapRules {
                max_score: self.max_score,
                absolute_margin: self.absolute_margin,
                relative_margin: self.relative_margin,
                min_score: self.min_score,
                absolute_floor: self.absolute_floor,
                relative_floor: self.relative_floor,
                reference,
            },
            range_min: self.range_min,
            range_max: self.range_max,
            warm_start: self.warm_start.as_ref().map(PyReadonlyArray2::as_slice).transpose()?,
        })
    }
}

/// A pool as a dictionary of arrays, by the names of its fields.
pub(crate) fn pool_dict(py: Python<'_>, pool: Pool) -> PyResult<Bound<'_, PyDict>> {
    let (n, width) = (pool.len(), pool.width);
    let out = PyDict::new(py);
    out.set_item("indices", matrix(py, pool.indices, n, width)?)?;
    out.set_item("scores", matrix(py, pool.scores, n, width)?)?;
    out.set_item("counts", PyArray1::from_vec(py, pool.counts))?;
    out.set_item("reasons", reasons(py, &pool.reasons))?;
    out.set_item("query_indices", PyArray1::from_vec(py, pool.query_indices))?;
    out.set_item("positive_indices", PyArray1::from_vec(py, pool.positive_indices))?;
    out.set_item("reference_scores", PyArray1::from_vec(py, pool.reference_scores))?;
    out.set_item("cap_scores", PyArray1::from_vec(py, pool.cap_scores))?;
    out.set_item("floor_scores", PyArray1::from_vec(py, pool.floor_scores))?;
    out.set_item("positive_scores", PyArray1::from_vec(py, pool.positive_scores))?;
    out.set_item("zero_queries", pool.zero_queries)?;
    let counters = PyDict::new(py);
    counters.set_item("scanned", pool.counters.scanned)?;
    counters.set_item("refined", pool.counters.refined)?;
    counters.set_item("survivors", pool.counters.survivors)?;
    counters.set_item("rescored", pool.counters.rescored)?;
    out.set_item("counters", counters)?;
    let report = PyDict::new(py);
    let [max_score, absolute, relative] = pool.report.above;
    let columns = [
        ("positives", pool.report.positives),
        ("excluded", pool.report.excluded),
        ("self", pool.report.itself),
        ("group", pool.report.group),
        ("ineligible", pool.report.ineligible),
        ("above_max_score", max_score),
        ("above_absolute_margin", absolute),
        ("above_relative_margin", relative),
        ("unlisted", pool.report.unlisted),
    ];
    for (name, column) in columns {
        report.set_item(name, PyArray1::from_vec(py, column))?;
    }
    out.set_item("report", report)?;
    Ok(out)
}

fn reasons<'py>(py: Python<'py>, reasons: &[Reason]) -> Bound<'py, PyArray1<u8>> {
    PyArray1::from_vec(py, reasons.iter().map(|&reason| reason as u8).collect())
}

/// The fields of `negmine.mining.CandidatePool` that selection needs.
#[derive(FromPyObject)]
pub(crate) struct PoolArrays<'py> {
    indices: PyReadonlyArray2<'py, i64>,
    scores: PyReadonlyArray2<'py, f64>,
    counts: PyReadonlyArray1<'py, i32>,
    reasons: PyReadonlyArray1<'py, u8>,
    query_indices: PyReadonlyArray1<'py, i64>,
    positive_indices: PyReadonlyArray1<'py, i64>,
    reference_scores: PyReadonlyArray1<'py, f64>,
    each: bool,
}

impl PoolArrays<'_> {
    fn view<'a>(&'a self, labels: Option<&'a PyReadonlyArray2<'_, i64>>) -> PyResult<PoolView<'a>> {
        Ok(PoolView {
            width: self.indices.as_array().ncols(),
            indices: self.indices.as_slice()?,
            scores: self.scores.as_slice()?,
            counts: self.counts.as_slice()?,
            reasons: self.reasons.as_slice()?,
            query_indices: self.query_indices.as_slice()?,
            positive_indices: self.positive_indices.as_slice()?,
            reference_scores: self.reference_scores.as_slice()?,
            each: self.each,
            labels: labels.map(PyReadonlyArray2::as_slice).transpose()?,
        })
    }
}

/// Rows (padded with -1), scores (padded with -inf), log-probabilities (padded with NaN), counts and reasons of every
/// result row.
type ChosenArrays<'py> = (
    Bound<'py, PyArray2<i64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<i32>>,
    Bound<'py, PyArray1<u8>>,
);

/// Chooses `num_negatives` of every row of a pool; with a limit, no document serves more rows than that. `labels` are
/// those of the pool's documents, for quotas.
#[pyfunction]
#[pyo3(signature = (pool, num_negatives, limit_per_document, policy, labels, seed, epoch, num_threads))]
pub(crate) fn select<'py>(
    py: Python<'py>,
    pool: PoolArrays<'py>,
    num_negatives: usize,
    limit_per_document: Option<usize>,
    policy: (String, Vec<f64>),
    labels: Option<PyReadonlyArray2<'py, i64>>,
    seed: u64,
    epoch: u64,
    num_threads: usize,
) -> PyResult<ChosenArrays<'py>> {
    let pool = pool.view(labels.as_ref())?;
    let (name, numbers) = policy;
    let policy = Policy::from_parts(&name, &numbers).ok_or_else(|| {
        errors::value_error(
            py,
            format!("`sampling` must be a policy that the core has; got {name:?} of {numbers:?}."),
        )
    })?;
    let choice = Choice { n: num_negatives, policy, seed, epoch };
    let (chosen, (documents, log_probs)) = call::run(py, num_threads, None, |run| {
        let chosen = match limit_per_document {
            Some(limit) => core_limit::limit_per_document(&pool, limit, &choice, run),
            None => core_select::select(&pool, &choice, run),
        }?;
        let documents = chosen.documents(&pool, num_negatives, run)?;
        Ok((chosen, documents))
    })?;
    let log_probs = matrix(py, log_probs, chosen.ranks.len(), num_negatives)?;
    let (indices, scores, counts) = padded(py, documents)?;
    Ok((indices, scores, log_probs, counts, reasons(py, &chosen.reasons)))
}

/// The candidate pool of ranked lists, as a dictionary of arrays.
#[pyfunction]
pub(crate) fn list_candidates<'py>(
    py: Python<'py>,
    documents: CsrArg<'py>,
    scores: PyReadonlyArray1<'py, f64>,
    n_documents: usize,
    request: PoolArg<'py>,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let queries = documents.len()?;
    let lists = ScoredLists {
        documents: documents.view(py, "indices", queries)?,
        scores: scores.as_slice()?,
        n_documents,
    };
    let eligible = request.eligible()?;
    let request = request.view(py, queries, &eligible)?;
    let pool = call::run(py, num_threads, progress.as_ref(), |run| lists::candidates(&lists, &request, run))?;
    pool_dict(py, pool)
}

/// Rows (padded with -1), scores (padded with -inf), log-probabilities (padded with NaN) where there are weights, and
/// counts of every result row.
type RandomArrays<'py> = (
    Bound<'py, PyArray2<i64>>,
    Bound<'py, PyArray2<f64>>,
    Option<Bound<'py, PyArray2<f64>>>,
    Bound<'py, PyArray1<i32>>,
);

/// Draws random negatives in addition to the chosen ones, in proportion to `weights` if there are any. `score` is called
/// as `score(query_indices, document_indices)` and returns an f64 array.
#[pyfunction]
#[pyo3(signature = (
    n_documents, rules, query_indices, positive_indices, cap_scores, floor_scores, chosen, query_offset, n, weights, seed,
    epoch, score, num_threads
))]
pub(crate) fn random_negatives<'py>(
    py: Python<'py>,
    n_documents: usize,
    rules: RulesArg<'py>,
    query_indices: PyReadonlyArray1<'py, i64>,
    positive_indices: Option<PyReadonlyArray1<'py, i64>>,
    cap_scores: PyReadonlyArray1<'py, f64>,
    floor_scores: PyReadonlyArray1<'py, f64>,
    chosen: PyReadonlyArray2<'py, i64>,
    query_offset: u64,
    n: usize,
    weights: Option<Bound<'py, AliasTable>>,
    seed: u64,
    epoch: u64,
    score: Py<PyAny>,
    num_threads: usize,
) -> PyResult<RandomArrays<'py>> {
    let eligible = rules.eligible()?;
    let request = RandomRequest {
        rules: rules.view_all(py, &eligible)?,
        query_indices: query_indices.as_slice()?,
        positive_indices: positive_indices.as_ref().map(PyReadonlyArray1::as_slice).transpose()?,
        cap_scores: cap_scores.as_slice()?,
        floor_scores: floor_scores.as_slice()?,
        chosen: chosen.as_slice()?,
        query_offset,
        n,
        seed,
        epoch,
    };
    let weights = weights.as_ref().map(|table| &table.get().0);
    let rows = request.query_indices.len();
    let mut raised = None;
    let drawn = call::run(py, num_threads, None, |run| {
        let mut scores = |queries: &[i64], documents: &[i64]| {
            let called = Python::attach(|py| {
                let pairs = (PyArray1::from_slice(py, queries), PyArray1::from_slice(py, documents));
                let scores: PyReadonlyArray1<'_, f64> = score.call1(py, pairs)?.extract(py)?;
                Ok(scores.as_slice()?.to_vec())
            });
            called.map_err(|error: PyErr| {
                raised = Some(error);
                Error::Interrupted
            })
        };
        Ok(match weights {
            Some(weights) => {
                let Weighted { documents, log_probs } =
                    weighted::weighted_negatives(n_documents, &request, weights, &mut scores, run)?;
                (documents, Some(log_probs))
            }
            None => (random::random_negatives(n_documents, &request, &mut scores, run)?, None),
        })
    });
    if let Some(error) = raised {
        return Err(error);
    }
    let (documents, log_probs) = drawn?;
    let (indices, scores, counts) = padded(py, documents)?;
    let log_probs = log_probs.map(|log_probs| matrix(py, log_probs, rows, n)).transpose()?;
    Ok((indices, scores, log_probs, counts))
}
