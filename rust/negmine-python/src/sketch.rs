//! Bindings of sketches: `MinHash` and `SimHash` signatures, and near-duplicates.

use negmine_core::base::csr::CsrView;
use negmine_core::sketch::{
    self, Bands, Evidence, MinHash, Shingles, Signatures, Unit, distinct_sets as distinct, near_duplicates,
};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::convert::{LinkArrays, RowsArg, link_arrays, matrix};
use crate::strings::StringsArg;
use crate::{call, errors};

/// `negmine.sketches.minhash.Sets`: the offsets of the sets, and their tokens.
#[derive(FromPyObject)]
pub(crate) struct SetsArg<'py> {
    offsets: PyReadonlyArray1<'py, i64>,
    tokens: PyReadonlyArray1<'py, u64>,
}

impl SetsArg<'_> {
    fn view(&self, py: Python<'_>) -> PyResult<CsrView<'_, u64>> {
        view(py, "sets", &self.offsets, &self.tokens)
    }
}

fn view<'a, T: numpy::Element>(
    py: Python<'_>,
    argument: &'static str,
    offsets: &'a PyReadonlyArray1<'_, i64>,
    items: &'a PyReadonlyArray1<'_, T>,
) -> PyResult<CsrView<'a, T>> {
    let (offsets, items) = (offsets.as_slice()?, items.as_slice()?);
    CsrView::new(argument, offsets, items, offsets.len().saturating_sub(1))
        .map_err(|error| errors::raise(py, &error))
}

/// The fields of `negmine.sketches.MinHash`.
#[derive(FromPyObject)]
pub(crate) struct MinHashArg {
    num_hashes: usize,
    hashes_per_word: usize,
    bits_per_hash: Option<usize>,
    seed: u64,
}

impl MinHashArg {
    fn core(&self) -> MinHash {
        MinHash {
            minima: self.num_hashes,
            tau: self.hashes_per_word,
            bits: self.bits_per_hash,
            seed: self.seed,
        }
    }
}

/// Signatures of sets.
#[pyfunction]
pub(crate) fn minhash_signatures<'py>(
    py: Python<'py>,
    minhash: MinHashArg,
    sets: SetsArg<'_>,
    prehashed: bool,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (core, sets) = (minhash.core(), sets.view(py)?);
    let (n, words) = (sets.len(), core.words());
    if core.bits.is_none() && core.tau == 1 {
        core.check().map_err(|error| errors::raise(py, &error))?;
        // NumPy requests huge pages for large arrays: with pages of 4 KiB, every eighth set touches a new page, which
        // takes as long as a small set.
        let out = PyArray2::<u32>::zeros(py, [n, words], false);
        let mut all = out.readwrite();
        let slice = all.as_slice_mut()?;
        call::run(py, num_threads, progress.as_ref(), |run| core.minima_into(sets, prehashed, slice, run))?;
        drop(all);
        return Ok(out.into_any());
    }
    let found = call::run(py, num_threads, progress.as_ref(), |run| core.signatures(sets, prehashed, run))?;
    Ok(match found {
        Signatures::U8(all) => matrix(py, all, n, words)?.into_any(),
        Signatures::U16(all) => matrix(py, all, n, words)?.into_any(),
        Signatures::U32(all) => matrix(py, all, n, words)?.into_any(),
        Signatures::U64(all) => matrix(py, all, n, words)?.into_any(),
    })
}

/// The minima of one set, straight from the formula.
#[pyfunction]
pub(crate) fn minhash_definition<'py>(
    py: Python<'py>,
    minhash: MinHashArg,
    tokens: PyReadonlyArray1<'_, u64>,
    prehashed: bool,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    Ok(PyArray1::from_vec(py, minhash.core().definition(prehashed, tokens.as_slice()?)))
}

/// The offsets of the sets, and their tokens.
type SetArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<u64>>);

/// Texts as sets of shingles, in ascending order and without repeats.
#[pyfunction]
pub(crate) fn shingle_sets<'py>(
    py: Python<'py>,
    texts: StringsArg<'_>,
    words: bool,
    width: usize,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<SetArrays<'py>> {
    let texts = texts.view(py, "texts")?;
    let shingles = Shingles { unit: if words { Unit::Words } else { Unit::Characters }, width };
    let (offsets, tokens) = call::run(py, num_threads, progress.as_ref(), |run| shingles.sets(texts, run))?;
    Ok((PyArray1::from_vec(py, offsets), PyArray1::from_vec(py, tokens)))
}

/// Sets in ascending order and without repeats.
#[pyfunction]
pub(crate) fn distinct_sets<'py>(
    py: Python<'py>,
    sets: SetsArg<'_>,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<SetArrays<'py>> {
    let sets = sets.view(py)?;
    let (offsets, tokens) = call::run(py, num_threads, progress.as_ref(), |run| distinct(sets, run))?;
    Ok((PyArray1::from_vec(py, offsets), PyArray1::from_vec(py, tokens)))
}

/// The number of bands, and of words per band, for a threshold.
#[pyfunction]
pub(crate) fn lsh_bands(
    py: Python<'_>,
    threshold: f64,
    words: usize,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<(usize, usize)> {
    let cut = call::run(py, num_threads, progress.as_ref(), |run| Bands::choose(threshold, words, run))?;
    Ok((cut.bands, cut.rows))
}

/// Near-duplicates among signatures, verified by their sets if those are given.
#[pyfunction]
pub(crate) fn lsh_duplicates<'py>(
    py: Python<'py>,
    signatures: PyReadonlyArray2<'_, u32>,
    bands: usize,
    rows: usize,
    threshold: f64,
    sets: Option<SetsArg<'_>>,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<(LinkArrays<'py>, u64)> {
    let words = signatures.as_array().ncols();
    if bands.saturating_mul(rows) > words {
        return Err(errors::value_error(
            py,
            format!("`bands` must fit the signature; got {bands} of {rows} in {words}."),
        ));
    }
    let all = signatures.as_slice()?;
    let evidence = match &sets {
        Some(sets) => Evidence::Sets(sets.view(py)?),
        None => Evidence::Signatures,
    };
    let cut = Bands { bands, rows };
    let found = call::run(py, num_threads, progress.as_ref(), |run| {
        near_duplicates(all, words, cut, threshold, evidence, run)
    })?;
    Ok((link_arrays(py, found.groups, &found.links), found.verified))
}

/// `SimHash`: signs of random projections.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct SimHash {
    pub(crate) inner: sketch::SimHash,
}

#[pymethods]
impl SimHash {
    #[new]
    fn new(
        py: Python<'_>,
        m: usize,
        tau: usize,
        dim: usize,
        seed: u64,
        center: Option<PyReadonlyArray1<'_, f32>>,
    ) -> PyResult<Self> {
        let center = center.map(|center| center.as_slice().map(<[f32]>::to_vec)).transpose()?;
        let inner = call::run(py, 1, None, |run| sketch::SimHash::new(m, tau, dim, seed, center, run))?;
        Ok(Self { inner })
    }

    /// The projections, (m, dim).
    #[getter]
    fn projections<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows = self.inner.projections().to_vec();
        let bits = rows.len() / self.inner.dim();
        matrix(py, rows, bits, self.inner.dim())
    }

    fn signatures<'py>(
        &self,
        py: Python<'py>,
        rows: RowsArg<'_>,
        argument: &str,
        mask: Option<PyReadonlyArray1<'_, bool>>,
        num_threads: usize,
    ) -> PyResult<Bound<'py, PyArray2<u32>>> {
        let rows = rows.rows(py, name(argument))?;
        let mask = mask.as_ref().map(|mask| mask.as_slice()).transpose()?;
        let words = call::run(py, num_threads, None, |run| self.inner.signatures(&rows, mask, run))?;
        matrix(py, words, rows.len(), self.inner.groups())
    }
}

/// The static name of an argument that an error of the core may contain.
fn name(argument: &str) -> &'static str {
    match argument {
        "behaviors" => "behaviors",
        "candidates" => "candidates",
        _ => "x",
    }
}
