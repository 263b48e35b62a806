//! Bindings of corrupted triples.

use negmine_core::sampling::{Anchor, Corruptor, Known, SideSource};
use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::convert::{CsrArg, matrix};
use crate::sampling::AliasTable;
use crate::{call, errors};

/// A source of one side: a table of weights, or `negmine.sampling.corruption.AnchoredLists`.
#[derive(FromPyObject)]
enum SourceArg<'py> {
    Weighted(Bound<'py, AliasTable>),
    Lists(AnchoredListsArg<'py>),
}

/// The fields of `negmine.sampling.corruption.AnchoredLists`.
#[derive(FromPyObject)]
struct AnchoredListsArg<'py> {
    lists: CsrArg<'py>,
    anchor: String,
    numbers: Option<PyReadonlyArray1<'py, i64>>,
}

/// The fields of `negmine.sampling.corruption.Side`.
#[derive(FromPyObject)]
struct SideArg<'py> {
    known: CsrArg<'py>,
    numbers: PyReadonlyArray1<'py, i64>,
    /// None is the uniform source.
    sources: Vec<Option<SourceArg<'py>>>,
}

/// The fields of `negmine.sampling.corruption.Law`.
#[derive(FromPyObject)]
pub(crate) struct CorruptorArg<'py> {
    n_entities: usize,
    triples: PyReadonlyArray2<'py, i64>,
    heads: SideArg<'py>,
    tails: SideArg<'py>,
    head_share: PyReadonlyArray1<'py, f64>,
    shares: Vec<f64>,
    replace: bool,
    seed: u64,
}

/// Triples (padded with -1), counts, and `log_q` (padded with NaN).
type CorruptedArrays<'py> = (Bound<'py, PyArray3<i64>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray2<f64>>);

impl SideArg<'_> {
    fn known(&self, py: Python<'_>, checked: bool) -> PyResult<Known<'_>> {
        let lists = self.known.view_again(py, "known", self.known.len()?, checked)?;
        Ok(Known { lists, numbers: self.numbers.as_slice()? })
    }

    fn sources(&self, py: Python<'_>, checked: bool) -> PyResult<Vec<SideSource<'_>>> {
        let sources = self.sources.iter().map(|source| {
            Ok(match source {
                None => SideSource::Uniform,
                Some(SourceArg::Weighted(table)) => SideSource::Weighted(&table.get().0),
                Some(SourceArg::Lists(arg)) => SideSource::Lists {
                    lists: arg.lists.view_again(py, "sources", arg.lists.len()?, checked)?,
                    anchor: match arg.anchor.as_str() {
                        "kept" => Anchor::Kept,
                        "replaced" => Anchor::Replaced,
                        _ => Anchor::Relation,
                    },
                    numbers: arg.numbers.as_ref().map(PyReadonlyArray1::as_slice).transpose()?,
                },
            })
        });
        sources.collect()
    }
}

impl CorruptorArg<'_> {
    /// Calls `work` with the corruptor of these fields, whose lists are `checked` or not.
    fn with<T>(
        &self,
        py: Python<'_>,
        checked: bool,
        work: impl FnOnce(&Corruptor<'_>) -> PyResult<T>,
    ) -> PyResult<T> {
        let (heads, tails) = (self.heads.sources(py, checked)?, self.tails.sources(py, checked)?);
        let (triples, rest) = self.triples.as_slice()?.as_chunks::<3>();
        if !rest.is_empty() {
            return Err(errors::value_error(py, "`triples` must have three columns.".to_owned()));
        }
        work(&Corruptor {
            entities: self.n_entities,
            triples,
            known: [self.heads.known(py, checked)?, self.tails.known(py, checked)?],
            head_share: self.head_share.as_slice()?,
            sources: [&heads, &tails],
            shares: &self.shares,
            replace: self.replace,
            seed: self.seed,
        })
    }
}

/// Checks that the arrays of a corruptor fit each other; `corrupt_triples` takes it for granted.
#[pyfunction]
pub(crate) fn check_corruptor(py: Python<'_>, corruptor: CorruptorArg<'_>) -> PyResult<()> {
    corruptor.with(py, false, |core| core.check().map_err(|error| errors::raise(py, &error)))
}

/// Corrupts some triples.
#[pyfunction]
pub(crate) fn corrupt_triples<'py>(
    py: Python<'py>,
    corruptor: CorruptorArg<'py>,
    rows: PyReadonlyArray1<'py, i64>,
    n: usize,
    epoch: u64,
    offset: u64,
    num_threads: usize,
) -> PyResult<CorruptedArrays<'py>> {
    let rows = rows.as_slice()?;
    let corrupted = corruptor.with(py, true, |core| {
        call::run(py, num_threads, None, |run| core.corrupt(rows, n, epoch, offset, run))
    })?;
    Ok((
        PyArray1::from_vec(py, corrupted.triples).reshape([rows.len(), n, 3])?,
        PyArray1::from_vec(py, corrupted.counts),
        matrix(py, corrupted.log_q, rows.len(), n)?,
    ))
}
