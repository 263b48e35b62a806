//! Bindings of batches: permutations, samplers, masks, and plans without duplicates.

use negmine_core::base::key_ranges::KeyRanges;
use negmine_core::batch::{
    BatchRules, Binning, ClassBatches, ClusterBatches, Column, Columns, EpochSteps, Id, InBatch,
    MixtureSteps, NoDuplicates, Parts, Permutation, Policy, Remainder, TopicBatches, rows_of_steps,
};
use negmine_kernels::aligned::zeros;
use numpy::{PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::convert::{CsrArg, EligibleArg, matrix};
use crate::{call, errors};

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
        let mut order = zeros(stop.saturating_sub(start) as usize);
        Permutation::new(n, seed, epoch).fill(start, &mut order, run)?;
        Ok(order)
    })?;
    Ok(PyArray1::from_vec(py, order))
}

/// Lists as arrays: the offsets, and the entries.
type ListArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

/// Groups rows by label; returns the offsets of the groups, and the rows.
#[pyfunction]
pub(crate) fn group_rows<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'_, i64>,
    groups: usize,
) -> PyResult<ListArrays<'py>> {
    let labels = labels.as_slice()?;
    let (offsets, rows) = call::run(py, 1, None, |run| negmine_core::batch::group(labels, groups, run))?;
    Ok((PyArray1::from_vec(py, offsets), PyArray1::from_vec(py, rows)))
}

/// Batches of whole clusters, one epoch.
#[pyfunction]
pub(crate) fn cluster_batches<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'_, i64>,
    clusters: usize,
    batch: usize,
    batches_per_step: usize,
    random: usize,
    tree: bool,
    emitted: usize,
    seed: u64,
    epoch: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let labels = labels.as_slice()?;
    let plan = ClusterBatches { labels, clusters, batch, batches_per_step, random, tree, emitted, seed };
    let rows = call::run(py, 1, None, |run| plan.epoch(epoch, run))?;
    Ok(PyArray1::from_vec(py, rows))
}

/// How source steps pickle: the constructor and its arguments.
type Reduced<'py> = (Bound<'py, PyAny>, (Vec<f64>, u64));

/// How often each source of a mixture comes up.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct SourceSteps {
    shares: Vec<f64>,
    steps: u64,
    core: MixtureSteps,
}

/// The steps of one epoch of a mixture.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct SourceStepsOfEpoch(EpochSteps);

#[pymethods]
impl SourceSteps {
    #[new]
    fn new(py: Python<'_>, shares: Vec<f64>, steps: u64) -> PyResult<Self> {
        let core = call::run(py, 1, None, |run| MixtureSteps::new(&shares, steps, run))?;
        Ok(Self { shares, steps, core })
    }

    /// Mean steps an epoch of each source.
    #[getter]
    fn mean(&self) -> Vec<f64> {
        self.core.mean().to_vec()
    }

    /// The steps of an epoch; `last` is those of an epoch before, if that is known.
    fn epoch(
        &self,
        py: Python<'_>,
        epoch: u64,
        last: Option<Bound<'_, SourceStepsOfEpoch>>,
    ) -> PyResult<SourceStepsOfEpoch> {
        let last = last.as_ref().map(|last| &last.get().0);
        call::run(py, 1, None, |run| self.core.epoch(epoch, last, run)).map(SourceStepsOfEpoch)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let class = py.import("negmine._native")?.getattr("SourceSteps")?;
        Ok((class, (self.shares.clone(), self.steps)))
    }
}

#[pymethods]
impl SourceStepsOfEpoch {
    /// Steps of each source in the epoch.
    #[getter]
    fn now<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_vec(py, self.0.now.iter().map(|steps| *steps as i64).collect())
    }

    /// Steps of each source in all epochs before.
    #[getter]
    fn before(&self) -> Vec<u128> {
        self.0.before()
    }
}

/// Rows of each source in each step of an epoch: steps by sources.
#[pyfunction]
pub(crate) fn mixture_rows(
    py: Python<'_>,
    shares: Vec<f64>,
    steps: usize,
    width: u64,
) -> PyResult<Bound<'_, PyArray2<i64>>> {
    let counts = call::run(py, 1, None, |run| rows_of_steps(&shares, steps, width, run))?;
    matrix(py, counts, steps, shares.len())
}

/// Batches of topics, `start..stop` of an epoch.
#[pyfunction]
pub(crate) fn topic_batches<'py>(
    py: Python<'py>,
    clusters: CsrArg<'_>,
    n_clusters: usize,
    batch: usize,
    share: usize,
    random: usize,
    by_size: bool,
    seed: u64,
    epoch: u64,
    start: u64,
    stop: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let clusters = clusters.view(py, "clusters", n_clusters)?;
    let plan = TopicBatches { clusters, batch, share, random, by_size, seed };
    let rows = call::run(py, 1, None, |run| plan.batches(epoch, start..stop, run))?;
    Ok(PyArray1::from_vec(py, rows))
}

/// Class-balanced batches, `start..stop` of an epoch of `batches`.
#[pyfunction]
pub(crate) fn class_batches<'py>(
    py: Python<'py>,
    classes: CsrArg<'_>,
    n_classes: usize,
    per_batch: usize,
    per_class: usize,
    batches: u64,
    seed: u64,
    epoch: u64,
    start: u64,
    stop: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let classes = classes.view(py, "labels", n_classes)?;
    let plan = ClassBatches { classes, per_batch, per_class, batches, seed };
    let rows = call::run(py, 1, None, |run| plan.batches(epoch, start..stop, run))?;
    Ok(PyArray1::from_vec(py, rows))
}

/// One pair per query, drawn by its margin.
#[pyfunction]
pub(crate) fn sample_balanced_margins<'py>(
    py: Python<'py>,
    margins: PyReadonlyArray1<'_, f64>,
    pairs: CsrArg<'_>,
    n_queries: usize,
    bins: usize,
    binning: &str,
    seed: u64,
    epoch: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let pairs = pairs.view(py, "offsets", n_queries)?;
    let margins = margins.as_slice()?;
    let binning = match binning {
        "width" => Binning::Width,
        "quantile" => Binning::Quantile,
        "tempered" => Binning::Tempered,
        other => {
            return Err(errors::value_error(py, format!("`binning` must be a known word; got {other:?}.")));
        }
    };
    let chosen = call::run(py, 1, None, |run| {
        negmine_core::batch::sample_balanced_margins(margins, pairs, bins, binning, seed, epoch, run)
    })?;
    Ok(PyArray1::from_vec(py, chosen))
}

/// The fields of `negmine.batches.false_negatives.Rules`.
#[derive(FromPyObject)]
pub(crate) struct MaskArg<'py> {
    queries: PyReadonlyArray1<'py, i64>,
    documents: PyReadonlyArray1<'py, i64>,
    positives: CsrArg<'py>,
    exclude: Option<CsrArg<'py>>,
    groups: Option<(PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, i64>)>,
    eligible: Option<EligibleArg<'py>>,
}

impl MaskArg<'_> {
    /// The rules of keys, which a view borrows.
    fn eligible(&self) -> PyResult<Vec<KeyRanges<'_>>> {
        EligibleArg::view(self.eligible.as_ref())
    }

    fn view<'a>(&'a self, py: Python<'_>, eligible: &'a [KeyRanges<'a>]) -> PyResult<BatchRules<'a>> {
        let queries = self.queries.as_slice()?;
        let exclude = match &self.exclude {
            Some(exclude) => Some(exclude.view(py, "exclude", queries.len())?),
            None => None,
        };
        let groups = match &self.groups {
            Some((documents, positives)) => Some((documents.as_slice()?, positives.as_slice()?)),
            None => None,
        };
        Ok(BatchRules {
            queries,
            documents: self.documents.as_slice()?,
            positives: self.positives.view(py, "positives", queries.len())?,
            exclude,
            groups,
            eligible,
        })
    }
}

/// The documents of a batch that must not count as negatives, as a boolean matrix.
#[pyfunction]
pub(crate) fn false_negative_mask<'py>(
    py: Python<'py>,
    rules: MaskArg<'_>,
) -> PyResult<Bound<'py, PyArray2<bool>>> {
    let eligible = rules.eligible()?;
    let batch = rules.view(py, &eligible)?;
    let mask = call::run(py, 1, None, |run| InBatch::new(batch, run)?.dense(run))?;
    matrix(py, mask, rules.queries.len()?, rules.documents.len()?)
}

/// The documents of a batch that must not count as negatives, as lists: the offsets, and the places.
#[pyfunction]
pub(crate) fn false_negative_pairs<'py>(py: Python<'py>, rules: MaskArg<'_>) -> PyResult<ListArrays<'py>> {
    let eligible = rules.eligible()?;
    let batch = rules.view(py, &eligible)?;
    let lists = call::run(py, 1, None, |run| InBatch::new(batch, run)?.lists(run))?;
    let offsets = (0..lists.len()).map(|query| lists.range(query).start as i64);
    let offsets: Vec<i64> = offsets.chain([lists.items().len() as i64]).collect();
    Ok((PyArray1::from_vec(py, offsets), PyArray1::from_vec(py, lists.into_items())))
}

/// The fields of `negmine.batches.no_duplicates.Columns`.
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

fn policy(conflicts: &str) -> Policy {
    match conflicts {
        "drop" => Policy::Drop,
        "spread" => Policy::Spread,
        _ => Policy::Extend,
    }
}

fn remainder(name: &str) -> Remainder {
    match name {
        "drop" => Remainder::Drop,
        "short" => Remainder::Short,
        _ => Remainder::Pad,
    }
}

/// The rows of an epoch, the offsets of its steps, and whether the packing of the build was used.
type EpochArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, bool);

#[pymethods]
impl NoDuplicatePlan {
    #[new]
    fn new(
        py: Python<'_>,
        columns: ColumnsArg<'_>,
        size: usize,
        conflicts: &str,
        remainder: &str,
        seed: u64,
        progress: Option<Py<PyAny>>,
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
        let (policy, remainder) = (policy(conflicts), self::remainder(remainder));
        call::run(py, 1, progress.as_ref(), |run| {
            NoDuplicates::new(&read, size, policy, remainder, seed, run)
        })
        .map(Self)
    }

    /// Number of steps that hold all rows except those that are left out.
    #[getter]
    fn steps(&self) -> usize {
        self.0.steps()
    }

    /// The number of steps below which no packing exists, as far as that was proved.
    #[getter]
    fn needed(&self) -> usize {
        self.0.needed()
    }

    /// Number of steps that an epoch emits.
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

    /// Pairs that conflict in some steps, and rows beyond their id's share of the steps.
    fn together(
        &self,
        py: Python<'_>,
        rows: PyReadonlyArray1<'_, i64>,
        offsets: PyReadonlyArray1<'_, i64>,
    ) -> PyResult<(u64, u64)> {
        let (rows, offsets) = (rows.as_slice()?, offsets.as_slice()?);
        call::run(py, 1, None, |run| self.0.together(rows, offsets, run))
    }

    /// Counts the same pairs and rows in the packing of the build.
    #[getter]
    fn together_in_base(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        call::run(py, 1, None, |run| self.0.together_in_base(run))
    }

    /// The pickled state: the ids that can conflict and the packing of the build, about 8 bytes per row and 4 per
    /// occurrence.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, State<'py>)> {
        let parts = self.0.parts();
        let restore = py.import("negmine._native")?.getattr("restore_no_duplicate_plan")?;
        let arrays = [parts.row_offsets, parts.row_ids, parts.base].map(|part| PyArray1::from_vec(py, part));
        let caps = parts.caps.map(|caps| PyArray1::from_vec(py, caps));
        let remainder = match parts.remainder {
            Remainder::Pad => "pad",
            Remainder::Drop => "drop",
            Remainder::Short => "short",
        };
        let conflicts = match parts.policy {
            Policy::Drop => "drop",
            Policy::Spread => "spread",
            Policy::Extend => "extend",
        };
        let steps = (parts.steps, parts.size);
        Ok((restore, (arrays.into(), caps, steps, conflicts, remainder, parts.seed)))
    }
}

type State<'py> = (
    (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u32>>),
    Option<Bound<'py, PyArray1<u32>>>,
    (usize, usize),
    &'static str,
    &'static str,
    u64,
);

/// Restores a pickled plan.
#[pyfunction]
pub(crate) fn restore_no_duplicate_plan(
    py: Python<'_>,
    arrays: (PyReadonlyArray1<'_, u32>, PyReadonlyArray1<'_, u32>, PyReadonlyArray1<'_, u32>),
    caps: Option<PyReadonlyArray1<'_, u32>>,
    sizes: (usize, usize),
    conflicts: &str,
    remainder: &str,
    seed: u64,
) -> PyResult<NoDuplicatePlan> {
    let ((row_offsets, row_ids, base), (steps, size)) = (arrays, sizes);
    let parts = Parts {
        row_offsets: row_offsets.as_slice()?.to_vec(),
        row_ids: row_ids.as_slice()?.to_vec(),
        base: base.as_slice()?.to_vec(),
        caps: caps.map(|caps| caps.as_slice().map(<[u32]>::to_vec)).transpose()?,
        steps,
        size,
        policy: policy(conflicts),
        remainder: self::remainder(remainder),
        seed,
    };
    call::run(py, 1, None, |run| NoDuplicates::restored(parts, run)).map(NoDuplicatePlan)
}
