//! What one query keeps while documents stream past.
//!
//! A document that the kernel cannot rule out is pending, with the interval that holds its score. The low ends of the
//! best intervals raise the threshold as they come; where too many documents are left, as in flat distributions, those
//! that look best are scored canonically. What is left is scored at the end, best first. A streamed corpus ends with
//! every tile, so that a tile's rows are never wanted again. A state and its memory serve one query after another.

use crate::base::Result;
use crate::base::memory::{push, reserve};
use crate::base::order::{Highest, Scored};
use crate::scoring::bound::QueryBound;

use super::initial_threshold::Guess;
use super::rescore::{Pending, Scorer};
use super::result_rows::ResultRows;
use super::types::{Candidates, Counters, Found, Targets};

/// Fewest pending documents that are worth a look before the tile ends.
const MIN_TRIGGER: usize = 128;

/// Pending documents, as a multiple of the trigger, that are not kept waiting.
const MANY: usize = 8;

/// Documents scored at the end of a tile before the threshold is looked at again: at least so many, and a share of the
/// depth, since looking takes time in proportion to it.
const BATCH: usize = 4;
const BATCH_SHARE: usize = 64;

/// One query and what it has found.
pub(crate) struct QueryState {
    /// Row of the query.
    query: usize,
    q: Vec<f32>,
    pub(crate) bound: QueryBound,
    rows: ResultRows,
    depth: usize,
    floor: f64,
    /// Documents that score below it are of no use to any result row; +inf where none asks for documents.
    threshold: f64,
    /// What the threshold started from without a proof; -inf where it is proved.
    guess: f64,
    /// A score that the row of the lowest cap must end with, as documents that were good before reach it; -inf without.
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

/// Bytes that one query's state takes at most: codes, row, pending documents, and the best so far.
pub(crate) fn bytes(width: usize, depth: usize) -> usize {
    let pending = 2 * MANY * MIN_TRIGGER.max(2 * depth) * size_of::<Pending>();
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

    /// Takes on a query whose result rows want nothing that scores below `start`, and probably nothing below the guess.
    pub(crate) fn begin(
        &mut self,
        query: usize,
        q: &[f32],
        bound: QueryBound,
        targets: &Targets,
        start: f64,
        guess: &Guess,
    ) -> Result<()> {
        let caps = &targets.caps[targets.offsets[query]..targets.offsets[query + 1]];
        self.rows.begin(caps, targets.depth, targets.floor)?;
        self.query = query;
        self.q.clear();
        self.q.extend_from_slice(q);
        self.bound = bound;
        self.depth = targets.depth;
        self.floor = targets.floor;
        self.start = start;
        self.highest_cap = self.rows.highest_cap().unwrap_or(f64::NEG_INFINITY);
        self.lowest_cap = self.rows.lowest_cap().unwrap_or(f64::INFINITY);
        // A floor above the cap does not hide what is to be counted above the cap.
        let least = |cap| targets.floor.max(start).min(cap);
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

    /// The query as the caller has it.
    pub(crate) fn row(&self) -> &[f32] {
        &self.q
    }

    /// A document that scores below this is of no use.
    pub(crate) fn threshold(&self) -> f64 {
        self.threshold
    }

    /// A score that the row of the lowest cap must end with, as documents that were good before reach it; -inf without.
    pub(crate) fn start(&self) -> f64 {
        self.start
    }

    /// Takes a document that the kernel could not rule out. True where it is time to prune.
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
            // Documents below the floor are among the pending ones, and their low ends are no threshold.
            if self.lows.offer(low)? && self.lows.lowest() >= self.floor {
                self.threshold = self.threshold.max(self.lows.lowest());
            }
        }
        Ok(self.pending.len() + self.straddling.len() >= self.trigger)
    }

    /// Drops what the threshold rules out by now; scores documents only where too many are left.
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

    /// Scores what looks best, so that the threshold rises, and drops what that rules out.
    fn rescore_promising(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.score_straddling(scorer)?;
        // Only what probably lies above the threshold can raise it. (Twice the middle of an interval orders like it.)
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

    /// Scores whatever may still be of use; nothing stays pending.
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

    /// Whether a result row's answer ends below the guess: then it may lack documents, and the query is to be scanned
    /// again without one.
    pub(crate) fn missed(&mut self) -> bool {
        let guess = self.guess;
        let holds = |last: f64| last >= guess;
        guess > f64::NEG_INFINITY && !self.rows.threshold().is_some_and(holds)
    }

    /// How far below the lowest cap the answer ends, as a share of the cap; infinite where it is not full, none where
    /// there is no cap.
    pub(crate) fn share_below_cap(&self) -> Option<f64> {
        let share = if self.rows.are_full() {
            (self.lowest_cap - self.threshold) / self.lowest_cap.abs()
        } else {
            f64::INFINITY
        };
        (self.lowest_cap.is_finite() && self.depth > 0).then_some(share)
    }

    /// How much work it was; pairs scanned are counted elsewhere.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// What every result row found.
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

    /// Scores what may lie above a cap. That is never in vain: whether it does must be known in the end.
    fn score_straddling(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        let mut straddling = std::mem::take(&mut self.straddling);
        scorer.expect(&straddling);
        self.score(&straddling, straddling.len(), scorer)?;
        straddling.clear();
        self.straddling = straddling;
        Ok(())
    }

    /// Scores the first `n` documents; those behind them will be next.
    fn score(&mut self, documents: &[Pending], n: usize, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.counters.rescored += n as u64;
        for &scored in scorer.score(&self.q, self.bound.qq, documents, n)? {
            self.rows.offer(scored)?;
        }
        // What scores below the lowest of the result rows' thresholds is of use to none.
        self.threshold = self.threshold.max(self.rows.threshold().unwrap_or(f64::NEG_INFINITY));
        Ok(())
    }
}
