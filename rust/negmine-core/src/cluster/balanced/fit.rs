//! Balanced clusters: sizes that differ by at most one, in tree order.

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

/// What a balanced clustering is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Balanced {
    /// Number of clusters, at least 1 and at most the number of rows.
    pub clusters: usize,
    /// How much time goes into it.
    pub quality: Quality,
    /// Of the rows that splits start from.
    pub seed: u64,
}

impl Balanced {
    /// Clusters `rows` by their directions.
    ///
    /// # Errors
    /// More clusters than rows or none, values that are not finite, or an interrupt.
    pub fn fit(&self, rows: &Rows<'_>, run: &Run<'_>) -> Result<Clustering> {
        check_clusters(self.clusters, rows.len())?;
        // A cluster of one or of all has nothing to refine.
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
            // Refinement goes by whole numbers; what counts are the rows.
            let (refined, halved) = (done(refined, run)?, done(halved, run)?);
            Ok(if refined.inertia <= halved.inertia { refined } else { halved })
        })
    }
}
