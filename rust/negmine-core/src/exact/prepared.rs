//! What pruned scans of an index have prepared, decided and measured.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::scoring::rotation::{Axes, STEP};

use super::pruned_index::Lead;

/// Below this predicted share of the full width's cost a pruned scan is used. Predictions are good to a tenth on sentence
/// embeddings and up to a third too hopeful on clustered data; there the first pruned scan's own time ends the attempt,
/// and packing has then cost a tenth of what was spent before, as it waits until savings repay it.
pub(crate) const CLEARLY: f64 = 0.9;

/// Pairs of a scan whose time means something.
const LEAST_MEASURED: f64 = 1e7;

/// Decisions that are kept.
pub(crate) const VERDICTS: usize = 64;

/// What pruned scans of an index have prepared; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared {
    /// Held while something is prepared, which may call back into the caller: nobody may wait for it who holds what
    /// the caller needs.
    pub(crate) parts: Arc<Mutex<Parts>>,
    pub(crate) bytes: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) axes: Option<Arc<Axes>>,
    pub(crate) lead: Option<Arc<Lead>>,
    /// Pairs that were scanned at full width so far.
    pub(crate) pairs: f64,
    /// Predictions by depth.
    pub(crate) verdicts: Vec<(usize, Arc<Prediction>)>,
    /// Seconds a pair by depth, of the last scan at full width and of the last pruned one.
    measured: Vec<(usize, [Option<f64>; 2])>,
}

impl Parts {
    /// Whether pruning was tried at that depth and did not pay: predictions can be too hopeful.
    pub(crate) fn disappointed(&self, depth: usize) -> bool {
        let own = self.measured.iter().find(|(other, _)| *other == depth);
        own.is_some_and(|(_, times)| matches!(times, [Some(full), Some(pruned)] if pruned > full))
    }
}

impl Prepared {
    /// Notes what a scan took, in seconds of one thread; it decides how later ones go, never what they answer.
    pub(crate) fn note(&self, depth: usize, pruned: bool, pairs: f64, seconds: f64) {
        let Ok(mut parts) = self.parts.try_lock() else { return };
        if pairs < LEAST_MEASURED {
            return;
        }
        let place = parts.measured.iter().position(|(other, _)| *other == depth);
        let place = place.unwrap_or_else(|| {
            parts.measured.truncate(VERDICTS - 1);
            parts.measured.insert(0, (depth, [None; 2]));
            0
        });
        parts.measured[place].1[usize::from(pruned)] = Some(seconds / pairs);
    }

    /// Gives back what is kept, for a call whose memory limit leaves no room for it, unless it is in use: whoever holds
    /// it may wait for this very call (a callback), or be gone (a fork).
    pub(crate) fn forget(&self) {
        let Ok(mut parts) = self.parts.try_lock() else { return };
        *parts = Parts::default();
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What a pair is predicted to cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// At full width.
    pub full: f64,
    /// With so many leading coordinates.
    pub pruned: Vec<(usize, f64)>,
}

impl Prediction {
    /// The cheapest number of leading coordinates and its cost.
    #[must_use]
    pub fn best(&self) -> Option<(usize, f64)> {
        self.pruned.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The same, where it is clearly cheaper than the full width.
    #[must_use]
    pub fn chosen(&self) -> Option<(usize, f64)> {
        self.best().filter(|(_, cost)| *cost <= CLEARLY * self.full)
    }

    pub(crate) fn at(&self, lead: usize) -> f64 {
        let cost = self.pruned.iter().filter(|(width, _)| width.abs_diff(lead) < STEP).map(|(_, cost)| *cost);
        cost.min_by(f64::total_cmp).unwrap_or(f64::INFINITY)
    }
}
