//! Balanced clustering: bisection and refinement into clusters whose sizes differ by at most one, in tree order.

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::base::stages::{stage, still};
use crate::cluster::centroids::{Clustering, Lengths, finish};
use crate::cluster::kmeans::lloyd::check_clusters;
use crate::scoring::Metric;

use super::bisect::bisect;
use super::quantized_rows::Codes;
use super::refine::{Quality, refine, stages};

/// The parameters of a balanced clustering.
#[derive(Clone, Copy, Debug)]
pub struct Balanced {
    /// Number of clusters, at least 1 and at most the number of rows.
    pub clusters: usize,
    /// The trade-off between time and quality.
    pub quality: Quality,
    /// Seed of the draws of initial rows of splits.
    pub seed: u64,
}

impl Balanced {
    /// Clusters `rows` by their directions.
    ///
    /// # Errors
    /// Returns an error on more clusters than rows or none, values that are not finite, or an interrupt.
    pub fn fit(&self, rows: &Rows<'_>, run: &Run<'_>) -> Result<Clustering> {
        check_clusters(self.clusters, rows.len())?;
        // Clusters of one row, or one cluster of all rows, cannot be refined.
        let alone = self.clusters == 1 || rows.len() / self.clusters < 2;
        let quality = if alone { Quality::Fast } else { self.quality };
        let metric = Metric::Cosine;
        let stages = 3 + stages(quality);
        let lengths = stage(run, 0, stages, |run| Lengths::read(rows, metric, run))?;
        let codes = still(run, 1, stages, |run| Codes::new(rows, &lengths, run))?;
        let halved = stage(run, 1, stages, |run| bisect(&codes, self.clusters, self.seed, run))?;
        let done = |labels, run: &Run<'_>| finish(rows, metric, &lengths, labels, self.clusters, 0, run);
        if quality == Quality::Fast {
            return stage(run, stages - 1, stages, |run| done(halved, run));
        }
        let refined = refine(&codes, self.clusters, halved.clone(), quality, (2, stages), run)?;
        stage(run, stages - 1, stages, |run| {
            // Refinement optimizes quantized rows; the better result is chosen on the rows themselves.
            let (refined, halved) = (done(refined, run)?, done(halved, run)?);
            Ok(if refined.inertia <= halved.inertia { refined } else { halved })
        })
    }
}
