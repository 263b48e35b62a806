//! The state of one query during a scan: its threshold, pending documents, and the best results.
//!
//! A document that the kernel cannot rule out is pending, with the interval that holds its score. The low ends of the
//! best intervals raise the threshold at once; if too many documents remain, as with flat distributions, the most
//! promising ones are scored canonically. The remaining documents are scored at the end, best first. A streamed corpus
//! is scored at the end of every tile, so that a tile's rows are never needed again. The memory of a state is reused
//! for the next query.

use crate::base::Result;
use crate::base::memory::{push, reserve};
use crate::base::order::{Highest, Scored};
use crate::scoring::bound::QueryBound;

use super::initial_threshold::Guess;
use super::rescore::{Pending, Scorer};
use super::result_rows::ResultRows;
use super::types::{Candidates, Counters, Found, Targets};

/// The fewest pending documents for a check before the tile ends.
const MIN_TRIGGER: usize = 128;

/// The multiple of the trigger at which pending documents are scored without delay.
const MANY: usize = 8;

/// Documents scored at the end of a tile between two updates of the threshold: at least this number, plus a share of
/// the depth, since an update takes time in proportion to the depth.
const BATCH: usize = 4;
const BATCH_SHARE: usize = 64;

/// One query and its results so far.
pub(crate) struct QueryState {
    /// Row of the query.
    query: usize,
    q: Vec<f32>,
    pub(crate) bound: QueryBound,
    rows: ResultRows,
    depth: usize,
    floor: f64,
    /// Documents that score below it cannot enter any result row; +inf if no row needs documents.
    threshold: f64,
    /// The guess that the threshold started from; -inf if the threshold is proved.
    guess: f64,
    /// A score that the result row of the lowest cap must reach, since earlier good documents reach it; -inf if there
    /// is none.
    start: f64,
    /// Documents above every cap need no canonical score to be counted.
    highest_cap: f64,
    lowest_cap: f64,
    /// May be dropped once the threshold has passed them.
    pending: Vec<Pending>,
    /// May lie above a cap: must be scored, and cannot raise the threshold before.
    straddling: Vec<Pending>,
    /// The low ends of documents that pass every cap: so many of them score at least that.
    lows: Highest,
    trigger: usize,
    counters: Counters,
}

/// Bytes that one query's state takes at most, of a search among `rows` documents: codes, row, pending documents, and
/// the best so far.
pub(crate) fn bytes(rows: usize, width: usize, depth: usize) -> usize {
    // A vector may have twice the capacity that it needs.
    let pending = 2 * (MANY * MIN_TRIGGER.max(2 * depth)).min(rows) * size_of::<Pending>();
    size_of::<QueryState>() + 6 * width + pending + Highest::bytes(depth) + 4 * depth * size_of::<Scored>()
}

impl QueryState {
    /// A state that has no query yet but the bound of its first.
    pub(crate) fn new(bound: QueryBound) -> Self {
        Self {
            query: 0,
            q: Vec::new(),
            bound,
            rows: ResultRows::default(),
            depth: 0,
            floor: f64::NEG_INFINITY,
            threshold: f64::INFINITY,
            guess: f64::NEG_INFINITY,
            start: f64::NEG_INFINITY,
            highest_cap: f64::NEG_INFINITY,
            lowest_cap: f64::INFINITY,
            pending: Vec::new(),
            straddling: Vec::new(),
            lows: Highest::default(),
            trigger: 0,
            counters: Counters::default(),
        }
    }

    /// Starts a query whose result rows need no document that scores below `start`, and probably none below the guess.
    pub(crate) fn begin(
        &mut self,
        query: usize,
        q: &[f32],
        bound: QueryBound,
        targets: &Targets,
        start: f64,
        guess: &Guess,
    ) -> Result<()> {
        let rows = targets.rows_of(query);
        self.rows.begin(&targets.caps[rows.clone()], &targets.floors[rows], targets.depth)?;
        self.query = query;
        self.q.clear();
        self.q.extend_from_slice(q);
        self.bound = bound;
        self.depth = targets.depth;
        self.floor = self.rows.floor();
        self.start = start;
        self.highest_cap = self.rows.highest_cap().unwrap_or(f64::NEG_INFINITY);
        self.lowest_cap = self.rows.lowest_cap().unwrap_or(f64::INFINITY);
        // A floor above the cap must not hide documents that are counted above the cap.
        let least = |cap| self.floor.max(start).min(cap);
        self.threshold = self.rows.lowest_cap().map_or(f64::INFINITY, least);
        self.guess = guess.threshold(self.lowest_cap);
        if self.guess > self.threshold {
            self.threshold = self.guess;
        } else {
            self.guess = f64::NEG_INFINITY;
        }
        self.pending.clear();
        self.straddling.clear();
        self.lows.clear(targets.depth);
        self.trigger = self.least_trigger();
        self.counters = Counters::default();
        Ok(())
    }

    /// The query's number.
    pub(crate) fn query(&self) -> usize {
        self.query
    }

    /// The query's row in the caller's units.
    pub(crate) fn row(&self) -> &[f32] {
        &self.q
    }

    /// The score below which a document cannot enter a result.
    pub(crate) fn threshold(&self) -> f64 {
        self.threshold
    }

    /// A score that the result row of the lowest cap must reach, since earlier good documents reach it; -inf if there
    /// is none.
    pub(crate) fn start(&self) -> f64 {
        self.start
    }

    /// Takes a document that the kernel could not rule out. Returns true if it is time to prune.
    #[inline]
    pub(crate) fn take(
        &mut self,
        row: u32,
        (low, high): (f64, f64),
        candidates: &Candidates<'_>,
    ) -> Result<bool> {
        self.counters.survivors += 1;
        if high < self.threshold || self.threshold == f64::INFINITY || !candidates.admits(self.query, row) {
            return Ok(false);
        }
        if self.bound.is_zero() {
            self.rows.offer(Scored { score: 0.0, row })?;
            return Ok(false);
        }
        if low > self.highest_cap {
            self.rows.count_above();
            return Ok(false);
        }
        let document = Pending { row, low, high };
        if high > self.lowest_cap {
            push(&mut self.straddling, document)?;
        } else {
            push(&mut self.pending, document)?;
            // Documents below the floors are among the pending ones, and their low ends are no threshold.
            if self.lows.offer(low)? && self.lows.lowest() >= self.floor {
                self.threshold = self.threshold.max(self.lows.lowest());
            }
        }
        Ok(self.pending.len() + self.straddling.len() >= self.trigger)
    }

    /// Drops documents that the threshold rules out; scores documents only if too many remain.
    pub(crate) fn prune_pending(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.drop_ruled_out();
        let trigger = self.least_trigger();
        if self.pending.len() > trigger.saturating_mul(2) {
            self.rescore_promising(scorer)?;
        } else if self.straddling.len() > trigger / 2 {
            self.score_straddling(scorer)?;
        }
        self.trigger = trigger.max(2 * (self.pending.len() + self.straddling.len()));
        Ok(())
    }

    /// Scores the most promising documents, to raise the threshold, and drops those that it then rules out.
    fn rescore_promising(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.score_straddling(scorer)?;
        // Only documents that probably lie above the threshold can raise it. (Twice the middle of an interval orders
        // like it.)
        let middle = |document: &Pending| document.low + document.high;
        let twice = 2.0 * self.threshold;
        let mut promising = std::mem::take(&mut scorer.promising);
        promising.clear();
        reserve(&mut promising, self.pending.len())?;
        promising.extend(self.pending.extract_if(.., |document| middle(document) >= twice));
        if promising.len() > self.depth && self.depth > 0 {
            promising.select_nth_unstable_by(self.depth - 1, |a, b| middle(b).total_cmp(&middle(a)));
            self.pending.extend(promising.drain(self.depth..));
        }
        scorer.expect(&promising);
        self.score(&promising, promising.len(), scorer)?;
        scorer.promising = promising;
        self.drop_ruled_out();
        if self.pending.len() > self.least_trigger().saturating_mul(MANY) {
            // So many intervals overlap that waiting would only use memory.
            self.finish(scorer)?;
        }
        Ok(())
    }

    /// Scores every document that may still enter a result; no document stays pending.
    pub(crate) fn finish(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.score_straddling(scorer)?;
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|document| document.high >= self.threshold);
        pending.sort_unstable_by(|a, b| b.high.total_cmp(&a.high).then(a.row.cmp(&b.row)));
        scorer.expect(&pending);
        let mut left = &pending[..];
        while left.first().is_some_and(|document| document.high >= self.threshold) {
            let n = BATCH.max(self.depth / BATCH_SHARE).min(left.len());
            self.score(left, n, scorer)?;
            left = &left[n..];
        }
        pending.clear();
        self.pending = pending;
        Ok(())
    }

    /// Whether the results of a result row end below the guess: then documents may be missing, and the query must be
    /// scanned again without a guess.
    pub(crate) fn missed(&mut self) -> bool {
        let guess = self.guess;
        let holds = |last: f64| last >= guess;
        guess > f64::NEG_INFINITY && !self.rows.threshold().is_some_and(holds)
    }

    /// The distance between the lowest cap and the end of its results, as a share of the cap; infinite if the row is
    /// not full, `None` if there is no cap.
    pub(crate) fn share_below_cap(&self) -> Option<f64> {
        let share = if self.rows.are_full() {
            (self.lowest_cap - self.threshold) / self.lowest_cap.abs()
        } else {
            f64::INFINITY
        };
        (self.lowest_cap.is_finite() && self.depth > 0).then_some(share)
    }

    /// Counts of the work; scanned pairs are counted elsewhere.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// The results of every result row.
    pub(crate) fn found(&mut self) -> Result<Vec<Found>> {
        self.rows.found()
    }

    fn least_trigger(&self) -> usize {
        MIN_TRIGGER.max(self.depth.saturating_mul(2))
    }

    fn drop_ruled_out(&mut self) {
        let threshold = self.threshold;
        self.pending.retain(|document| document.high >= threshold);
    }

    /// Scores documents that may lie above a cap. This work is always needed: the final counts must know whether they
    /// do.
    fn score_straddling(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        let mut straddling = std::mem::take(&mut self.straddling);
        scorer.expect(&straddling);
        self.score(&straddling, straddling.len(), scorer)?;
        straddling.clear();
        self.straddling = straddling;
        Ok(())
    }

    /// Scores the first `n` documents, and prefetches those after them.
    fn score(&mut self, documents: &[Pending], n: usize, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.counters.rescored += n as u64;
        for &scored in scorer.score(&self.q, self.bound.qq, documents, n)? {
            self.rows.offer(scored)?;
        }
        // A document that scores below the lowest threshold of all result rows cannot enter any of them.
        self.threshold = self.threshold.max(self.rows.threshold().unwrap_or(f64::NEG_INFINITY));
        Ok(())
    }
}
