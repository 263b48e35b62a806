//! Bindings of clustering: k-means and balanced clusters.

use negmine_core::cluster::{Balanced, Clustering, KMeans, Quality};
use negmine_kernels::aligned::zeros;
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

use crate::convert::{RowsArg, matrix, metric};
use crate::{call, errors};

/// Labels that are converted between two checks for an interrupt.
const LABELS: usize = 1 << 20;

/// Labels, centroids, inertia and rounds.
type ClusterArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray2<f32>>, f64, usize);

fn arrays(py: Python<'_>, found: Clustering, clusters: usize) -> PyResult<ClusterArrays<'_>> {
    let labels = call::run(py, 1, None, |run| {
        let mut labels = zeros(found.labels.len());
        for (part, out) in found.labels.chunks(LABELS).zip(labels.chunks_mut(LABELS)) {
            run.tick(0, 1)?;
            part.iter().zip(out).for_each(|(label, out)| *out = i64::from(*label));
        }
        Ok(labels)
    })?;
    let width = found.centroids.len() / clusters.max(1);
    let centroids = matrix(py, found.centroids, clusters, width)?;
    Ok((PyArray1::from_vec(py, labels), centroids, found.inertia, found.iterations))
}

/// k-means with exact assignment.
#[pyfunction]
pub(crate) fn kmeans<'py>(
    py: Python<'py>,
    embeddings: RowsArg<'py>,
    n_clusters: usize,
    metric_name: &str,
    max_iterations: usize,
    seed: u64,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<ClusterArrays<'py>> {
    let rows = embeddings.rows(py, "embeddings")?;
    let request =
        KMeans { clusters: n_clusters, iterations: max_iterations, metric: metric(py, metric_name)?, seed };
    let found = call::run(py, num_threads, progress.as_ref(), |run| request.fit(&rows, run))?;
    arrays(py, found, n_clusters)
}

/// Clusters of sizes that differ by at most one, in tree order.
#[pyfunction]
pub(crate) fn balanced_clusters<'py>(
    py: Python<'py>,
    embeddings: RowsArg<'py>,
    n_clusters: usize,
    quality: &str,
    seed: u64,
    num_threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<ClusterArrays<'py>> {
    let rows = embeddings.rows(py, "embeddings")?;
    let quality = match quality {
        "fast" => Quality::Fast,
        "default" => Quality::Default,
        "high" => Quality::High,
        other => {
            return Err(errors::value_error(
                py,
                format!("`quality` must be \"fast\", \"default\" or \"high\"; got {other:?}."),
            ));
        }
    };
    let request = Balanced { clusters: n_clusters, quality, seed };
    let found = call::run(py, num_threads, progress.as_ref(), |run| request.fit(&rows, run))?;
    arrays(py, found, n_clusters)
}
