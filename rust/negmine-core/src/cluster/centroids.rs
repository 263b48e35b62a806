//! Centroids and inertia of clusters: means of rows, and the distances of rows to them.
//!
//! Rows are divided by their norms under cosine, in f64, by multiplication with the inverse; a row of zeros stays zero.
//! A mean is a sum in f64 over the cluster's rows in ascending order, divided by their number and rounded to f32 once.
//! One cluster is summed by one thread, so nothing depends on the schedule.

use ndarray::ArrayView2;
use negmine_kernels::isa::Isa;
use negmine_kernels::sums::add_row;

use crate::base::matrix::{Elements, Rows};
use crate::base::parallel::{Pace, Run};
use crate::base::{Error, Result};
use crate::scoring::Metric;

use super::members::{Members, members};

/// Number of rows of a cluster that are prefetched.
const AHEAD: usize = 4;

/// The most clusters of a piece of work, and its approximate number of rows.
const CLUSTERS_PER_ITEM: usize = 64;

/// Rows of a piece of work.
const ROWS_PER_ITEM: usize = 1_024;

/// A finished clustering.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// The cluster of every row.
    pub labels: Vec<u32>,
    /// The mean of every cluster, row-major.
    pub centroids: Vec<f32>,
    /// Mean squared distance of the rows, normed under cosine, to the mean of their cluster.
    pub inertia: f64,
    /// Rounds of assignment that were made.
    pub iterations: usize,
}

/// The norms of the clustered rows, and the factors that bring rows to their working length.
pub(crate) struct Lengths {
    /// Squared norms.
    pub(crate) squared: Vec<f64>,
    /// The factor of coordinates: the inverse norm under cosine, otherwise 1.
    pub(crate) factors: Vec<f64>,
}

impl Lengths {
    /// Reads every row once; all must be finite.
    pub(crate) fn read(rows: &Rows<'_>, metric: Metric, run: &Run<'_>) -> Result<Self> {
        let blocks = run.map(
            rows.len().div_ceil(ROWS_PER_ITEM),
            || vec![0.0; rows.width()],
            |buffer, item, ticker| {
                ticker.check()?;
                let own = item * ROWS_PER_ITEM..((item + 1) * ROWS_PER_ITEM).min(rows.len());
                own.map(|r| Ok(metric.squared_norm(run.isa, rows.finite_row(run.isa, r, buffer)?)))
                    .collect::<Result<Vec<f64>>>()
            },
        )?;
        let squared = run.concat(blocks)?;
        let factor = |&qq: &f64| match metric {
            Metric::Cosine if qq == 0.0 => 0.0,
            Metric::Cosine => 1.0 / qq.sqrt(),
            Metric::Ip | Metric::L2 => 1.0,
        };
        let mut factors = Vec::with_capacity(squared.len());
        for squared in squared.chunks(ROWS_PER_ITEM) {
            run.tick(rows.len(), rows.len())?;
            factors.extend(squared.iter().map(factor));
        }
        Ok(Self { squared, factors })
    }
}

/// The mean of every cluster, row-major; zeros for a cluster without rows.
pub(crate) fn means(rows: &Rows<'_>, lengths: &Lengths, groups: &Members, run: &Run<'_>) -> Result<Vec<f32>> {
    let width = rows.width();
    let per_item = (groups.len() / (4 * run.threads)).clamp(1, CLUSTERS_PER_ITEM);
    let parts = run.map(
        groups.len().div_ceil(per_item),
        || (vec![0.0; width], vec![0.0; width]),
        |(buffer, sums), item, ticker| {
            let mut means = Vec::with_capacity(per_item * width);
            for j in item * per_item..((item + 1) * per_item).min(groups.len()) {
                let own = groups.row(j);
                sums.fill(0.0);
                for (place, &r) in own.iter().enumerate() {
                    if place % ROWS_PER_ITEM == 0 {
                        ticker.check()?;
                    }
                    if let Some(&next) = own.get(place + AHEAD) {
                        rows.prefetch(next as usize);
                    }
                    let row = rows.row(run.isa, r as usize, buffer);
                    add_row(run.isa, sums, row, lengths.factors[r as usize]);
                }
                let n = own.len().max(1) as f64;
                means.extend(sums.iter().map(|sum| (sum / n) as f32));
            }
            Ok(means)
        },
    )?;
    run.concat(parts)
}

/// Row-major centroids as rows.
pub(crate) fn as_rows(centroids: &[f32], width: usize) -> Result<Rows<'_>> {
    let shape = (centroids.len() / width, width);
    let view = ArrayView2::from_shape(shape, centroids);
    let view = view.map_err(|_| Error::Length {
        argument: "centroids",
        expected: shape.0 * shape.1,
        got: centroids.len(),
    })?;
    Rows::new("centroids", Elements::F32(view))
}

/// The squared norm of every centroid.
pub(crate) fn norms(centroids: &[f32], width: usize, metric: Metric, run: &Run<'_>) -> Result<Vec<f64>> {
    let mut pace = Pace::new(run);
    let norm = |centroid: &[f32]| pace.step(width).map(|()| metric.squared_norm(run.isa, centroid));
    centroids.chunks_exact(width).map(norm).collect()
}

/// Mean squared distance of every row to the centroid of its cluster.
pub(crate) fn inertia(
    rows: &Rows<'_>,
    metric: Metric,
    lengths: &Lengths,
    labels: &[u32],
    centroids: &[f32],
    run: &Run<'_>,
) -> Result<f64> {
    let width = rows.width();
    let norms = norms(centroids, width, metric, run)?;
    let parts = run.map(
        rows.len().div_ceil(ROWS_PER_ITEM),
        || vec![0.0; width],
        |buffer, item, ticker| {
            ticker.check()?;
            let mut sum = 0.0;
            let first = item * ROWS_PER_ITEM;
            for (r, &label) in (first..).zip(labels[first..].iter().take(ROWS_PER_ITEM)) {
                let j = label as usize;
                let row = rows.row(run.isa, r, buffer);
                let centroid = &centroids[j * width..(j + 1) * width];
                sum += squared_distance(run.isa, metric, row, centroid, (lengths.factors[r], norms[j]));
            }
            Ok(sum)
        },
    )?;
    Ok(if rows.is_empty() { 0.0 } else { parts.iter().sum::<f64>() / rows.len() as f64 })
}

/// Squared distance of a row, brought to its working length, and a centroid with that squared norm.
fn squared_distance(
    isa: Isa,
    metric: Metric,
    row: &[f32],
    centroid: &[f32],
    (factor, norm): (f64, f64),
) -> f64 {
    let sum = metric.sum(isa, row, centroid);
    match metric {
        Metric::L2 => sum,
        // A row of zeros stays zero; every other one has length 1.
        _ if factor == 0.0 => norm,
        _ => (1.0 - 2.0 * sum * factor + norm).max(0.0),
    }
}

/// Labels with their means and inertia.
pub(crate) fn finish(
    rows: &Rows<'_>,
    metric: Metric,
    lengths: &Lengths,
    labels: Vec<u32>,
    clusters: usize,
    iterations: usize,
    run: &Run<'_>,
) -> Result<Clustering> {
    let centroids = means(rows, lengths, &members(&labels, clusters, run)?, run)?;
    let inertia = inertia(rows, metric, lengths, &labels, &centroids, run)?;
    Ok(Clustering { labels, centroids, inertia, iterations })
}
