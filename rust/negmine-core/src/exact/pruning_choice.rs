//! Cost model of pruned search: whether to prune, and with how many leading coordinates.
//!
//! Pruning saves time if few axes hold most of the variance: it doubles the full-width rate on sentence embeddings, and
//! is a loss on isotropic data. The gain is therefore estimated, on the call's queries under the call's rules: some
//! queries are scanned at full width, which gives their final thresholds; then the share of pairs that the bound cannot
//! rule out at these thresholds, s(d'), is counted on a sample of documents for every d' of a grid, and the cost of a
//! pair is predicted.
//!
//! Packing costs as much as scanning some thousands of queries. It happens in the call in which the savings that
//! pruning would have had so far, this call included, exceed its cost: for every sequence of later calls, the total is
//! at most twice the least possible. Prepared data and decisions are kept; a second caller meanwhile scans at full
//! width and does not wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::Result;
use crate::base::error::check_length;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::scoring::pruning_estimate::{COORDINATES, LEAST_WIDTH, count_left, rotated, spread};
use crate::scoring::rotation::{Axes, Rotation, STEP, Segments};
use crate::scoring::score::Metric;

use super::block::Scan;
use super::index::ExactIndex;
use super::memory_plan::Pruned;
use super::prepared::{CLEARLY, Parts, Prediction, VERDICTS};
use super::pruned_index::Lead;

/// Queries and documents of an estimate.
const QUERIES: usize = 64;
const DOCUMENTS: usize = 2_048;

/// Documents for the estimate of the axes.
const SAMPLE: usize = 16_384;

/// Smaller corpora are never rotated: a scan of them takes less time than an estimate.
const LEAST_ROWS: usize = 16_384;

/// The costs of a pair, in cycles of 512-bit products, fitted to times on the processor over the grid on 100,000
/// sentence embeddings.
mod cycles {
    /// Hits that are found, that were scanned already, or that reach the floor of a panel.
    pub(super) const PRUNED: f64 = 0.3;
    /// A query's start and rotation, however many documents there are: at 9,000 they cost more than pruning saves.
    pub(super) const START: f64 = 50_000.0;
    /// A pair that is not ruled out at the final threshold of its query; one or two times as many additional pairs
    /// remain before that threshold is reached.
    pub(super) const SURVIVOR: f64 = 120.0;
    /// The costs that both kinds of scan share, per document of the depth: selection and canonical scores.
    pub(super) const SHARED: f64 = 0.6;
    pub(super) const DEPTH: f64 = 4_300.0;
}

impl ExactIndex {
    /// The rotated form of the corpus that a scan should use, if any.
    pub(crate) fn lead_for(&self, scan: &Scan<'_, '_, '_, '_>, run: &Run<'_>) -> Result<Option<Arc<Lead>>> {
        let layout = self.layout();
        if self.is_empty() || layout.pruned == Pruned::Off {
            return Ok(None);
        }
        if let Pruned::Forced(width) = layout.pruned {
            let Ok(mut parts) = self.prepared().parts.try_lock() else { return Ok(None) };
            return self.packed(&mut parts, scan, width, run);
        }
        if self.width() < LEAST_WIDTH || self.len() < LEAST_ROWS || scan.queries.len() < QUERIES {
            return Ok(None);
        }
        let Ok(mut parts) = self.prepared().parts.try_lock() else { return Ok(None) };
        if parts.disappointed(scan.targets.depth) {
            return Ok(None);
        }
        let verdict = parts.verdicts.iter().find(|(depth, _)| *depth == scan.targets.depth);
        let mut verdict = verdict.map(|(_, prediction)| Arc::clone(prediction));
        if parts.lead.is_none() {
            parts.pairs += scan.queries.len() as f64 * self.len() as f64;
            // The upper bound assumes that pruning saves three quarters.
            let most = verdict.as_ref().map_or(0.75 * cost(self.width(), 0.0, 0.0), |v| saving(v));
            if most * parts.pairs < self.packing_cycles() {
                return Ok(None);
            }
        }
        if verdict.is_none() {
            let prediction = Arc::new(self.estimate(&mut parts, scan, run)?);
            parts.verdicts.truncate(VERDICTS - 1);
            parts.verdicts.insert(0, (scan.targets.depth, Arc::clone(&prediction)));
            verdict = Some(prediction);
        }
        let Some(verdict) = verdict else { return Ok(None) };
        if let Some(lead) = &parts.lead {
            let pays = verdict.at(lead.segments.lead) <= CLEARLY * verdict.full;
            return Ok(pays.then(|| Arc::clone(lead)));
        }
        match verdict.chosen() {
            Some((width, _)) if saving(&verdict) * parts.pairs >= self.packing_cycles() => {
                self.packed(&mut parts, scan, width, run)
            }
            _ => Ok(None),
        }
    }

    /// Packs the corpus by a rotation that the caller provides, for scans that are forced to prune; returns false if
    /// the rows have no more than `lead` coordinates, or if a scan is in a preparation.
    ///
    /// # Errors
    /// Returns an error on a value that is not finite, an interrupt, or a rotation of another width.
    pub fn rotate_by(
        &self,
        corpus: &Rows<'_>,
        rotation: Rotation,
        lead: usize,
        run: &Run<'_>,
    ) -> Result<bool> {
        check_length("rotation", self.width(), rotation.width())?;
        let Some(segments) = Segments::new(self.width(), lead) else { return Ok(false) };
        let lead = Lead::pack(corpus, self.metric(), rotation, segments, self.layout().slack, run)?;
        let Ok(mut parts) = self.prepared().parts.try_lock() else { return Ok(false) };
        self.prepared().bytes.store(lead.own_bytes(), Ordering::Relaxed);
        parts.lead = Some(Arc::new(lead));
        Ok(true)
    }

    /// The cost of packing, in cycles: 0.6 to 0.8 s for 100,000 rows of width 384, and the axes' cube.
    fn packing_cycles(&self) -> f64 {
        let width = self.width() as f64;
        self.len() as f64 * width * (0.11 * width + 25.0) + 20.0 * width.powi(3)
    }

    fn packed(
        &self,
        parts: &mut Parts,
        scan: &Scan<'_, '_, '_, '_>,
        width: usize,
        run: &Run<'_>,
    ) -> Result<Option<Arc<Lead>>> {
        if let Some(lead) = &parts.lead {
            return Ok(Some(Arc::clone(lead)));
        }
        let Some(segments) = Segments::new(self.width(), width) else { return Ok(None) };
        let Some(axes) = self.axes(parts, scan, run)? else { return Ok(None) };
        let Some(rotation) = axes.rotation(segments, run)? else { return Ok(None) };
        let lead = Lead::pack(scan.corpus, self.metric(), rotation, segments, self.layout().slack, run)?;
        let lead = Arc::new(lead);
        self.prepared().bytes.store(lead.own_bytes(), Ordering::Relaxed);
        parts.lead = Some(Arc::clone(&lead));
        Ok(Some(lead))
    }

    fn axes(
        &self,
        parts: &mut Parts,
        scan: &Scan<'_, '_, '_, '_>,
        run: &Run<'_>,
    ) -> Result<Option<Arc<Axes>>> {
        if parts.axes.is_none() {
            let unit = scan.packed.least_unit();
            parts.axes = Axes::of(scan.corpus, self.metric(), unit, SAMPLE, run)?.map(Arc::new);
        }
        Ok(parts.axes.clone())
    }

    /// The predicted cost of a pair of this call; only at full width if pruning is impossible.
    pub(crate) fn prediction(&self, scan: &Scan<'_, '_, '_, '_>, run: &Run<'_>) -> Result<Prediction> {
        let mut own = Parts::default();
        let mut kept = self.prepared().parts.try_lock();
        self.estimate(kept.as_deref_mut().unwrap_or(&mut own), scan, run)
    }

    fn estimate(&self, parts: &mut Parts, scan: &Scan<'_, '_, '_, '_>, run: &Run<'_>) -> Result<Prediction> {
        let shared = scan.targets.depth as f64 / self.len() as f64;
        let mut prediction = Prediction { full: cost(self.width(), 0.0, shared), pruned: Vec::new() };
        if self.metric() == Metric::L2
            || scan.packed.is_empty()
            || Segments::choices(self.width()).next().is_none()
        {
            return Ok(prediction);
        }
        let axes = self.axes(parts, scan, run)?;
        let Some(axes) = axes else { return Ok(prediction) };
        let Some(rotation) = axes.plain(run)? else { return Ok(prediction) };
        let queries: Vec<usize> = spread(scan.queries.len(), QUERIES);
        let thresholds = scan.thresholds(&queries, run)?;
        let documents = spread(self.len(), DOCUMENTS);
        let y = rotated(scan.corpus, &documents, self.metric(), &rotation, true, run)?;
        let z = rotated(scan.queries, &queries, self.metric(), &rotation, false, run)?;
        let mut left = vec![0_usize; self.width() / STEP];
        for (z, &threshold) in z.iter().zip(&thresholds) {
            let least = threshold * rotation.unit() * z.unit - z.mean;
            for y in &y {
                count_left(&mut left, z, y, least);
            }
        }
        let pairs = (y.len() * z.len()).max(1) as f64;
        let start = cycles::PRUNED + cycles::START / self.len() as f64;
        for cut in Segments::choices(self.width()) {
            let left = left[cut.lead / STEP - 1] as f64 / pairs;
            prediction.pruned.push((cut.lead, cost(cut.lead, left, shared) + start));
        }
        Ok(prediction)
    }
}

/// Cycles of a pair.
fn cost(width: usize, survivors: f64, depth_share: f64) -> f64 {
    COORDINATES * width as f64 / 64.0
        + cycles::SURVIVOR * survivors
        + cycles::SHARED
        + cycles::DEPTH * depth_share
}

/// Cycles that pruning saves per pair.
fn saving(prediction: &Prediction) -> f64 {
    prediction.best().map_or(0.0, |(_, cost)| prediction.full - cost)
}
