//! Bindings of the exact index: build, search, candidate pools, scores of pairs, codes for other first passes, and
//! near-duplicates by cosine.

use negmine_core::base::csr::CsrView;
use negmine_core::exact::{self, ScanPlan, ScanSize, SearchRequest, near_groups};
use negmine_core::mine::pool;
use negmine_core::scoring;
use negmine_core::scoring::pack_file::PackFile;
use numpy::{PyArray1, PyArray2, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{
    CsrArg, EligibleArg, LinkArrays, PaddedArrays, RowsArg, link_arrays, matrix, metric, padded,
};
use crate::mine::{PoolArg, pool_dict};
use crate::row_files::RowFiles;
use crate::{call, errors};

/// An index over the caller's array, to which it keeps a reference.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct ExactIndex {
    inner: exact::ExactIndex,
    /// The caller's array, as `RowsArg` reads it; it is never copied.
    corpus: Py<PyAny>,
}

impl ExactIndex {
    pub(crate) fn core(&self) -> &exact::ExactIndex {
        &self.inner
    }

    pub(crate) fn corpus<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.corpus.bind(py)
    }
}

#[pymethods]
impl ExactIndex {
    /// `tile_rows` and `pruned`, which forces that many leading coordinates or full width with 0, are for tests and
    /// benchmarks.
    #[new]
    #[pyo3(signature = (corpus, metric_name, tile_rows, memory_limit, num_threads, progress, pruned=None))]
    fn new(
        py: Python<'_>,
        corpus: Bound<'_, PyAny>,
        metric_name: &str,
        tile_rows: Option<usize>,
        memory_limit: Option<usize>,
        num_threads: usize,
        progress: Option<Py<PyAny>>,
        pruned: Option<usize>,
    ) -> PyResult<Self> {
        let metric = metric(py, metric_name)?;
        let reference = corpus.clone().unbind();
        let corpus: RowsArg<'_> = corpus.extract()?;
        let corpus = corpus.rows(py, "corpus")?;
        let tile_rows = tile_rows.unwrap_or(exact::memory_plan::TILE_ROWS);
        let layout = exact::Layout::for_corpus(corpus.len(), corpus.width(), tile_rows, memory_limit)
            .map_err(|error| errors::raise(py, &error))?;
        let pruned = match pruned {
            None => exact::Pruned::Auto,
            Some(0) => exact::Pruned::Off,
            Some(lead) => exact::Pruned::Forced(lead),
        };
        let layout = exact::Layout { pruned, ..layout };
        let inner = call::run(py, num_threads, progress.as_ref(), |run| {
            exact::ExactIndex::build(&corpus, metric, layout, run)
        })?;
        Ok(Self { inner, corpus: reference })
    }

    /// An index over rows of files whose packed documents lie in files as well, each with the byte at which they begin;
    /// `zero_rows` of them have norm zero.
    #[staticmethod]
    fn of_packs(
        py: Python<'_>,
        corpus: Bound<'_, RowFiles>,
        packs: Vec<(String, u64)>,
        zero_rows: usize,
        metric_name: &str,
        tile_rows: Option<usize>,
        memory_limit: Option<usize>,
        num_threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let metric = metric(py, metric_name)?;
        let reference = corpus.clone().into_any().unbind();
        let files = corpus.get().rows();
        let opened = packs.iter().enumerate().map(|(i, (path, offset))| {
            PackFile::open(path, *offset, files.range(i).len(), files.width(), metric)
        });
        let opened = opened.collect::<Result<Vec<_>, _>>().map_err(|error| errors::raise(py, &error))?;
        let packs = exact::Packs::new(opened, zero_rows, files.width(), metric);
        let rows = RowsArg::Files(corpus.clone());
        let rows = rows.rows(py, "shards")?;
        let tile_rows = tile_rows.unwrap_or(exact::memory_plan::TILE_ROWS);
        let layout = exact::Layout::for_corpus(packs.padded_rows(), files.width(), tile_rows, memory_limit)
            .map_err(|error| errors::raise(py, &error))?;
        let inner = call::run(py, num_threads, progress.as_ref(), |run| {
            exact::ExactIndex::of_packs(&rows, packs, metric, layout, run)
        })?;
        Ok(Self { inner, corpus: reference })
    }

    /// Bytes of packed documents in files; bytes of them that were read, and the seconds that took; pairs that were
    /// scanned in a streamed corpus, and the seconds of one thread that took.
    #[getter]
    fn work(&self) -> (usize, u64, f64, u64, f64) {
        let Some(packs) = self.inner.packs() else { return (0, 0, 0.0, 0, 0.0) };
        let exact::packs::Totals { bytes, read_seconds, pairs, scan_seconds } = packs.totals();
        (packs.bytes(), bytes, read_seconds, pairs, scan_seconds)
    }

    /// Documents of norm zero, under cosine.
    #[getter]
    fn zero_rows(&self) -> usize {
        self.inner.zero_rows()
    }

    /// Bytes kept in addition to the caller's rows.
    #[getter]
    fn nbytes(&self) -> usize {
        self.inner.bytes()
    }

    /// The memory plan of a scan: bytes of packed documents, of queries, and of the result; queries at once; passes;
    /// the most bytes of rotated documents.
    fn plan(
        &self,
        py: Python<'_>,
        n_queries: usize,
        k: usize,
        num_threads: usize,
    ) -> PyResult<(usize, usize, usize, usize, usize, usize)> {
        let size = ScanSize { queries: n_queries, result_rows: n_queries, depth: k, threads: num_threads };
        let plan = self.inner.plan(&size).map_err(|error| errors::raise(py, &error))?;
        let ScanPlan {
            packed_bytes, query_bytes, answer_bytes, queries_at_once, passes, pruned_bytes, ..
        } = plan;
        Ok((packed_bytes, query_bytes, answer_bytes, queries_at_once, passes, pruned_bytes))
    }

    /// The best `k` of every query: rows, f64 scores, counts.
    #[pyo3(signature = (queries, k, exclude, max_score, eligible, num_threads, progress))]
    fn search<'py>(
        &self,
        py: Python<'py>,
        queries: RowsArg<'py>,
        k: usize,
        exclude: Option<CsrArg<'py>>,
        max_score: Option<f64>,
        eligible: Option<EligibleArg<'py>>,
        num_threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<PaddedArrays<'py>> {
        let corpus: RowsArg<'_> = self.corpus.bind(py).extract()?;
        let (corpus, queries) = (corpus.rows(py, "corpus")?, queries.rows(py, "queries")?);
        let exclude = exclude.as_ref().map(|csr| csr.view(py, "exclude", queries.len())).transpose()?;
        let eligible = EligibleArg::view(eligible.as_ref())?;
        let request = SearchRequest { k, exclude, max_score, eligible: &eligible };
        let found = call::run(py, num_threads, progress.as_ref(), |run| {
            self.inner.top_k(&corpus, &queries, &request, run)
        })?;
        padded(py, found)
    }

    /// The candidate pool, as a dictionary of arrays.
    fn candidates<'py>(
        &self,
        py: Python<'py>,
        queries: RowsArg<'py>,
        request: PoolArg<'py>,
        num_threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let corpus: RowsArg<'_> = self.corpus.bind(py).extract()?;
        let (corpus, queries) = (corpus.rows(py, "corpus")?, queries.rows(py, "queries")?);
        let eligible = request.eligible()?;
        let request = request.view(py, queries.len(), &eligible)?;
        let pool = call::run(py, num_threads, progress.as_ref(), |run| {
            pool::candidates(&self.inner, &corpus, &queries, &request, run)
                .map_err(|error| corpus.explain(error))
        })?;
        pool_dict(py, pool)
    }

    /// Canonical f64 scores of given pairs with documents of the index, in CSR order; each is checked against the
    /// indexed document.
    fn score_pairs<'py>(
        &self,
        py: Python<'py>,
        queries: RowsArg<'py>,
        pairs: CsrArg<'py>,
        num_threads: usize,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let corpus: RowsArg<'_> = self.corpus.bind(py).extract()?;
        let (corpus, queries) = (corpus.rows(py, "corpus")?, queries.rows(py, "queries")?);
        let pairs = pairs.view(py, "pairs", queries.len())?;
        let scores = call::run(py, num_threads, None, |run| {
            self.inner.score_pairs(&corpus, &queries, pairs, run).map_err(|error| corpus.explain(error))
        })?;
        Ok(PyArray1::from_vec(py, scores))
    }
}

/// Returns an error for -1, which elsewhere means a document outside the corpus.
fn refuse_outside(py: Python<'_>, pairs: CsrView<'_>) -> PyResult<()> {
    match pairs.items().iter().find(|&&j| j < 0) {
        Some(row) => {
            Err(errors::value_error(py, format!("`pairs` must hold row numbers of documents; got {row}.")))
        }
        None => Ok(()),
    }
}

/// Canonical f64 scores of given pairs, in CSR order.
#[pyfunction]
pub(crate) fn score_pairs<'py>(
    py: Python<'py>,
    queries: RowsArg<'py>,
    documents: RowsArg<'py>,
    pairs: CsrArg<'py>,
    metric_name: &str,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let metric = metric(py, metric_name)?;
    let (queries, documents) = (queries.rows(py, "queries")?, documents.rows(py, "documents")?);
    let pairs = pairs.view(py, "pairs", queries.len())?;
    refuse_outside(py, pairs)?;
    let scores = call::run(py, num_threads, progress.as_ref(), |run| {
        scoring::score::score_pairs(metric, &queries, &documents, pairs, run)
    })?;
    Ok(PyArray1::from_vec(py, scores))
}

/// Codes, scales, bounds of errors, bounds of norms, and squared norms of some rows.
type QuantizedArrays<'py> = (
    Bound<'py, PyArray2<i8>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
);

/// Int8 codes of some rows, with the numbers that their certified bound needs.
#[pyfunction]
pub(crate) fn quantize_rows<'py>(
    py: Python<'py>,
    rows: RowsArg<'py>,
    indices: PyReadonlyArray1<'py, i64>,
    metric_name: &str,
    num_threads: usize,
) -> PyResult<QuantizedArrays<'py>> {
    let metric = metric(py, metric_name)?;
    let rows = rows.rows(py, "rows")?;
    let indices = indices.as_slice()?;
    let found = call::run(py, num_threads, None, |run| {
        scoring::quantized::quantize_rows(metric, &rows, indices, run)
    })?;
    Ok((
        matrix(py, found.codes, indices.len(), found.stride)?,
        PyArray1::from_vec(py, found.scales),
        PyArray1::from_vec(py, found.errors),
        PyArray1::from_vec(py, found.norms),
        PyArray1::from_vec(py, found.squared_norms),
    ))
}

/// Near-duplicates among embeddings, by cosine.
#[pyfunction]
pub(crate) fn cosine_duplicates<'py>(
    py: Python<'py>,
    embeddings: RowsArg<'_>,
    threshold: f32,
    memory_limit: Option<usize>,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<LinkArrays<'py>> {
    let rows = embeddings.rows(py, "embeddings")?;
    let found = call::run(py, num_threads, progress.as_ref(), |run| {
        near_groups(&rows, threshold, memory_limit, run)
    })?;
    Ok(link_arrays(py, found.groups, &found.links))
}
