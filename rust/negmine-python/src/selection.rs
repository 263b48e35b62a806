//! Bindings of selection, and of the draws of contexts.

use negmine_core::base::philox::{Draws, Stream};
use negmine_core::selection::{Law, Selection, Target};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::convert::RowsArg;
use crate::{call, errors};

/// The shares of groups: a word, or numbers.
#[derive(FromPyObject)]
pub(crate) enum TargetArg<'py> {
    Named(String),
    Shares(PyReadonlyArray1<'py, f64>),
}

/// The fields of `negmine.selection.selecting.Request`.
#[derive(FromPyObject)]
pub(crate) struct SelectionArg<'py> {
    items: usize,
    scores: Option<PyReadonlyArray1<'py, f64>>,
    groups: Option<PyReadonlyArray1<'py, i64>>,
    n_groups: usize,
    target: TargetArg<'py>,
    given: PyReadonlyArray1<'py, i64>,
    minimum: u64,
    within: String,
    temperature: f64,
    diversity: Option<f64>,
    embeddings: Option<RowsArg<'py>>,
    replace: bool,
    seed: u64,
    epoch: u64,
    query: u64,
}

/// What was chosen: items, quotas, log-probabilities.
type SelectedArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>);

/// Chooses items by quotas for groups and a law within each group.
#[pyfunction]
pub(crate) fn select_items<'py>(
    py: Python<'py>,
    num: u64,
    request: SelectionArg<'_>,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<SelectedArrays<'py>> {
    let unknown = |argument: &str, got: &str| {
        Err(errors::value_error(py, format!("`{argument}` must be a known word; got {got:?}.")))
    };
    let target = match &request.target {
        TargetArg::Named(name) if name == "proportional" => Target::Proportional,
        TargetArg::Named(name) if name == "balanced" => Target::Balanced,
        TargetArg::Named(name) => return unknown("target", name),
        TargetArg::Shares(shares) => Target::Shares(shares.as_slice()?),
    };
    let embeddings = request.embeddings.as_ref().map(|rows| rows.rows(py, "embeddings")).transpose()?;
    let temperature = request.temperature;
    let law = match (request.within.as_str(), request.diversity, &embeddings) {
        ("top", Some(lambda), Some(embeddings)) => Law::Diverse { lambda, embeddings },
        ("top", ..) => Law::Top,
        ("softmax", ..) => Law::Softmax { temperature },
        ("systematic", ..) => Law::Systematic { temperature },
        ("random", ..) => Law::Random,
        (other, ..) => return unknown("within", other),
    };
    let selection = Selection {
        items: request.items,
        scores: request.scores.as_ref().map(PyReadonlyArray1::as_slice).transpose()?,
        labels: request.groups.as_ref().map(PyReadonlyArray1::as_slice).transpose()?,
        groups: request.n_groups,
        target,
        given: request.given.as_slice()?,
        minimum: request.minimum,
        law,
        replace: request.replace,
        seed: request.seed,
        epoch: request.epoch,
        query: request.query,
    };
    let selected = call::run(py, num_threads, progress.as_ref(), |run| selection.select(num, run))?;
    Ok((
        PyArray1::from_vec(py, selected.indices),
        PyArray1::from_vec(py, selected.quotas),
        PyArray1::from_vec(py, selected.log_prob),
    ))
}

/// The first `n` draws of one context.
#[pyfunction]
pub(crate) fn context_draws(
    py: Python<'_>,
    seed: u64,
    epoch: u64,
    query: u64,
    n: usize,
) -> PyResult<Bound<'_, PyArray1<u64>>> {
    numbers(py, Stream::PackContext, seed, epoch, query, n)
}

/// The first `n` draws of one step of a memory of examples.
#[pyfunction]
pub(crate) fn memory_draws(
    py: Python<'_>,
    seed: u64,
    epoch: u64,
    step: u64,
    n: usize,
) -> PyResult<Bound<'_, PyArray1<u64>>> {
    numbers(py, Stream::Memory, seed, epoch, step, n)
}

fn numbers(
    py: Python<'_>,
    stream: Stream,
    seed: u64,
    epoch: u64,
    query: u64,
    n: usize,
) -> PyResult<Bound<'_, PyArray1<u64>>> {
    let draws = Draws::new(seed, stream).numbers(epoch, query, n);
    Ok(PyArray1::from_vec(py, draws.map_err(|error| errors::raise(py, &error))?))
}
