//! Cost model of pruned assignment: whether to use leading coordinates, and how many.
//!
//! As for a search (`exact::pruning_choice`), the choice uses a sample: rows with a known best centroid, and the share
//! of centroids that a number of leading coordinates leaves above it. The number of rounds is known, so costs and gains
//! are known in advance.

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::cluster::centroids::as_rows;
use crate::scoring::Metric;
use crate::scoring::pruning_estimate::{Along, COORDINATES, LEAST_WIDTH, count_left, rotated, spread};
use crate::scoring::rotation::{Axes, MAX_ROTATED_WIDTH, Rotation, STEP, Segments};

use super::pruned_assign::ADDED;

/// Rows and centroids of an estimate.
const ROWS: usize = 32;
const CENTROIDS: usize = 256;

/// Rows for the estimate of the axes: 16,384 give no better axes for means of rows, and take three times as long.
const SAMPLE: usize = 4_096;

/// Pruning is used below this predicted share of the full width's cost: predictions are up to a third too optimistic on
/// clustered data.
const CLEARLY: f64 = 0.75;

/// The costs of a pair in addition to its products, in cycles of 512-bit products, fitted to times at 80 to 128
/// coordinates of 100,000 sentence embeddings and 1,024 centroids.
mod cycles {
    /// Floors, at full width and by leading coordinates.
    pub(super) const FLOORS: f64 = 0.6;
    /// A pair that is not ruled out.
    pub(super) const SURVIVOR: f64 = 80.0;
    /// A coordinate that is rotated, for every leading one and for all.
    pub(super) const ROTATED: f64 = 0.07;
    pub(super) const READ: f64 = 5.0;
    /// Every product of two coordinates of a sampled row, and the cube of the number of axes.
    pub(super) const SAMPLED: f64 = 0.1;
    pub(super) const AXES: f64 = 4.0;
}

/// The assignment problem of an estimate.
pub(crate) struct Choice<'a, 'c> {
    pub(crate) rows: &'a Rows<'c>,
    pub(crate) metric: Metric,
    /// The factor of coordinates before they are centered.
    pub(crate) unit: f64,
    pub(crate) centroids: &'a [f32],
    /// A good centroid of every row.
    pub(crate) labels: &'a [u32],
}

impl Choice<'_, '_> {
    /// A rotation and the number of its leading coordinates that save time over the given rounds, if any do.
    pub(crate) fn rotation(&self, rounds: usize, run: &Run<'_>) -> Result<Option<(Rotation, usize)>> {
        let (n, width) = (self.rows.len(), self.rows.width());
        let full = cost(width, 0.0);
        let pairs = n as f64 * (self.centroids.len() / width) as f64 * rounds as f64;
        let fits = (LEAST_WIDTH..=MAX_ROTATED_WIDTH).contains(&width);
        if !fits || (1.0 - CLEARLY) * full * pairs < preparing(n, width, STEP) {
            return Ok(None);
        }
        let Some(axes) = Axes::of(self.rows, self.metric, self.unit, SAMPLE, run)? else { return Ok(None) };
        let Some(plain) = axes.plain(run)? else { return Ok(None) };
        let survivors = self.survivors(&plain, run)?;
        let choices = survivors.iter().enumerate().map(|(i, &left)| ((i + 1) * STEP, left));
        let costs = choices.map(|(lead, left)| (lead, cost(lead + ADDED, left)));
        let best = costs.min_by(|a, b| a.1.total_cmp(&b.1)).filter(|&(lead, cost)| {
            cost <= CLEARLY * full && (full - cost) * pairs >= preparing(n, width, lead)
        });
        let Some((lead, _)) = best else { return Ok(None) };
        let Some(segments) = Segments::new(width, lead) else { return Ok(None) };
        Ok(axes.rotation(segments, run)?.map(|rotation| (rotation, segments.lead)))
    }

    /// The share of pairs that remain after each step of leading coordinates.
    fn survivors(&self, plain: &Rotation, run: &Run<'_>) -> Result<Vec<f64>> {
        let width = self.rows.width();
        let centroids = as_rows(self.centroids, width)?;
        let (some, others) = (spread(self.rows.len(), ROWS), spread(centroids.len(), CENTROIDS));
        let own: Vec<usize> = some.iter().map(|&r| self.labels[r] as usize).collect();
        let along = |rows: &Rows<'_>, which: &[usize]| rotated(rows, which, self.metric, plain, true, run);
        let (some, own, others) =
            (along(self.rows, &some)?, along(&centroids, &own)?, along(&centroids, &others)?);
        // The addend of the product with every row.
        let offset = |c: &Along| if self.metric == Metric::L2 { -f64::from(c.norm) / 2.0 } else { c.mean };
        let mut left = vec![0_usize; width / STEP];
        for (row, own) in some.iter().zip(&own) {
            let scores = others.iter().chain([own]).map(|c| row.dot(c) + offset(c));
            let best = scores.fold(f64::NEG_INFINITY, f64::max);
            for centroid in &others {
                count_left(&mut left, row, centroid, best - offset(centroid));
            }
        }
        let pairs = (some.len() * others.len()).max(1) as f64;
        Ok(left.into_iter().map(|left| left as f64 / pairs).collect())
    }
}

/// Cycles of a pair.
fn cost(width: usize, survivors: f64) -> f64 {
    COORDINATES * width as f64 / 64.0 + cycles::FLOORS + cycles::SURVIVOR * survivors
}

/// Cycles of the preparation.
fn preparing(rows: usize, width: usize, lead: usize) -> f64 {
    let (rows, width) = (rows as f64, width as f64);
    let axes = cycles::SAMPLED * rows.min(SAMPLE as f64) * width * width + cycles::AXES * width.powi(3);
    rows * width * (cycles::ROTATED * lead as f64 + cycles::READ) + axes
}
