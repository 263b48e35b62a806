//! Shared state of the pruned scans of an index: prepared data, decisions, and measured times.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::scoring::rotation::{Axes, STEP};

use super::pruned_index::Lead;

/// Below this predicted share of the full width's cost a pruned scan is used. Predictions are within a tenth on
/// sentence embeddings and up to a third too optimistic on clustered data; there, the measured time of the first pruned
/// scan ends the attempt, and packing has then cost a tenth of the time spent before, as it waits until savings repay
/// it.
pub(crate) const CLEARLY: f64 = 0.9;

/// The least number of pairs of a scan whose time is meaningful.
const LEAST_MEASURED: f64 = 1e7;

/// The most decisions that are kept.
pub(crate) const VERDICTS: usize = 64;

/// The prepared data of the pruned scans of an index; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared {
    /// Locked during a preparation, which may call back into the caller: a thread that holds a resource of the caller
    /// must not wait for this lock.
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
    /// Whether pruning was tried at that depth and did not pay: predictions can be too optimistic.
    pub(crate) fn disappointed(&self, depth: usize) -> bool {
        let own = self.measured.iter().find(|(other, _)| *other == depth);
        own.is_some_and(|(_, times)| matches!(times, [Some(full), Some(pruned)] if pruned > full))
    }
}

impl Prepared {
    /// Records the time of a scan, in seconds of one thread; it affects the speed of later scans, never their results.
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

    /// Releases the kept data, for a call whose memory limit has no room for it, unless it is in use: its user may be
    /// waiting for this call (a callback), or may no longer exist (a fork).
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

/// The predicted cost of a pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The cost at full width.
    pub full: f64,
    /// The cost with each number of leading coordinates.
    pub pruned: Vec<(usize, f64)>,
}

impl Prediction {
    /// The number of leading coordinates with the least cost, and that cost.
    #[must_use]
    pub fn best(&self) -> Option<(usize, f64)> {
        self.pruned.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The best number of leading coordinates and its cost, if that is clearly below the cost of the full width.
    #[must_use]
    pub fn chosen(&self) -> Option<(usize, f64)> {
        self.best().filter(|(_, cost)| *cost <= CLEARLY * self.full)
    }

    pub(crate) fn at(&self, lead: usize) -> f64 {
        let cost = self.pruned.iter().filter(|(width, _)| width.abs_diff(lead) < STEP).map(|(_, cost)| *cost);
        cost.min_by(f64::total_cmp).unwrap_or(f64::INFINITY)
    }
}
