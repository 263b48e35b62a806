//! k-means: rows go to the nearest centroid, centroids to the mean of their rows (Lloyd, IEEE Trans. Inf. Theory 28,
//! 1982); under cosine rows have length 1 and "nearest" is the angle (spherical k-means: Dhillon and Modha, Machine
//! Learning 42, 2001).
//!
//! It starts from distinct rows, drawn by number. Assignment is exact (`assign`), so that a round is a pure function of
//! the labels before it. A cluster that lost all its rows gets the one that scores lowest with its own centroid, ties
//! by row, from a cluster that keeps another; so no cluster is ever empty. It ends after a number of rounds, or when a
//! round changes no label.

use crate::base::csr::Lists;
use crate::base::matrix::Rows;
use crate::base::order::total_order;
use crate::base::parallel::{Pace, Run};
use crate::base::philox::{Draws, Stream};
use crate::base::sort::sort;
use crate::base::stages::{stage, still};
use crate::base::{Error, Result};
use crate::cluster::centroids::{Clustering, Lengths, finish, means};
use crate::cluster::members::members;
use crate::scoring::Metric;

use super::assign::Points;

/// Draws of initial rows of which only the lowest are kept, at least.
const DRAWN: usize = 1 << 16;

/// The parameters of a k-means clustering.
#[derive(Clone, Copy, Debug)]
pub struct KMeans {
    /// Number of clusters, at least 1 and at most the number of rows.
    pub clusters: usize,
    /// The most rounds of assignment, at least 1.
    pub iterations: usize,
    /// `Cosine` or `L2`.
    pub metric: Metric,
    /// Seed of the draws of initial rows.
    pub seed: u64,
}

/// Validates that the rows can fill the number of clusters.
pub(crate) fn check_clusters(clusters: usize, rows: usize) -> Result<()> {
    if clusters == 0 || clusters > rows {
        let rule = "at least 1 and at most the number of rows";
        return Err(Error::Value {
            argument: "n_clusters",
            rule,
            got: format!("{clusters} for {rows} rows"),
        });
    }
    Ok(())
}

impl KMeans {
    /// Clusters `rows`.
    ///
    /// # Errors
    /// Returns an error on more clusters than rows or none, values that are not finite, or an interrupt.
    pub fn fit(&self, rows: &Rows<'_>, run: &Run<'_>) -> Result<Clustering> {
        check_clusters(self.clusters, rows.len())?;
        let stages = self.iterations + 2;
        let lengths = stage(run, 0, stages, |run| Lengths::read(rows, self.metric, run))?;
        let mut points = still(run, 1, stages, |run| Points::new(rows, self.metric, &lengths, run))?;
        let mut centroids = still(run, 1, stages, |run| self.start(rows, &lengths, run))?;
        let mut labels: Option<Vec<u32>> = None;
        let mut iterations = 0;
        while iterations < self.iterations {
            iterations += 1;
            let before = labels.take();
            let mut after =
                stage(run, iterations, stages, |run| points.assign(&centroids, before.as_deref(), run))?;
            let same = still(run, iterations + 1, stages, |run| {
                fill_empty(&points, self.clusters, &centroids, &mut after, run)?;
                let same = before.as_ref() == Some(&after);
                if !same && iterations < self.iterations {
                    centroids = means(rows, &lengths, &members(&after, self.clusters, run)?, run)?;
                    if iterations == 1 {
                        points.shorten(&centroids, &after, self.iterations - 1, run)?;
                    }
                }
                Ok::<bool, Error>(same)
            })?;
            labels = Some(after);
            if same {
                break;
            }
        }
        let labels = labels.unwrap_or_default();
        stage(run, stages - 1, stages, |run| {
            finish(rows, self.metric, &lengths, labels, self.clusters, iterations, run)
        })
    }

    /// The rows with the lowest draws, as centroids.
    fn start(&self, rows: &Rows<'_>, lengths: &Lengths, run: &Run<'_>) -> Result<Vec<f32>> {
        let draws = Draws::new(self.seed, Stream::Seeding);
        let mut drawn: Vec<(u64, u32)> = Vec::new();
        let lowest = |drawn: &mut Vec<(u64, u32)>| {
            if self.clusters < drawn.len() {
                drawn.select_nth_unstable(self.clusters);
                drawn.truncate(self.clusters);
            }
        };
        let mut pace = Pace::new(run);
        for row in 0..rows.len() as u32 {
            pace.step(8)?;
            drawn.push((draws.by_document(0, 0, row.into(), None), row));
            if drawn.len() == DRAWN.max(2 * self.clusters) {
                lowest(&mut drawn);
            }
        }
        lowest(&mut drawn);
        drawn.sort_unstable_by_key(|&(_, row)| row);
        // The mean of a single row is the row itself.
        means(rows, lengths, &Lists::single(drawn.into_iter().map(|(_, row)| row).collect()), run)
    }
}

/// Gives every cluster without rows the worst placed row of a cluster that keeps another.
fn fill_empty(
    points: &Points<'_, '_>,
    clusters: usize,
    centroids: &[f32],
    labels: &mut [u32],
    run: &Run<'_>,
) -> Result<()> {
    let mut pace = Pace::new(run);
    let mut sizes = vec![0_usize; clusters];
    for &label in labels.iter() {
        pace.step(1)?;
        sizes[label as usize] += 1;
    }
    if !sizes.contains(&0) {
        return Ok(());
    }
    let scores = points.own_scores(centroids, labels, run)?;
    let mut worst: Vec<(i64, u32)> = scores.into_iter().map(total_order).zip(0..).collect();
    sort(&mut worst, run)?;
    let mut worst = worst.into_iter().map(|(_, row)| row);
    for empty in 0..clusters {
        if sizes[empty] > 0 {
            continue;
        }
        pace.step(1)?;
        // There are at least as many rows as clusters, so some cluster has two, and its rows are still to come.
        if let Some(row) = worst.find(|&row| sizes[labels[row as usize] as usize] > 1) {
            sizes[labels[row as usize] as usize] -= 1;
            labels[row as usize] = empty as u32;
            sizes[empty] = 1;
        }
    }
    Ok(())
}
