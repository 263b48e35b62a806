//! What one query keeps while documents stream past.
//!
//! A document that the kernel cannot rule out is pending, with the interval that holds its score. Now and then the low
//! ends of the best intervals raise the threshold and rule others out; where too many are left, as in flat distributions,
//! those that look best are scored canonically. What is left is scored at the end, best first. A streamed corpus ends
//! with every tile, so that a tile's rows are never wanted again.

use negmine_kernels::isa::Isa;

use crate::base::matrix::Rows;
use crate::base::order::{Best, Scored};
use crate::base::{Error, Result};

use super::bound::QueryBound;
use super::request::{Candidates, Counters, Found, Targets};
use super::score::Metric;

/// Fewest pending documents that are worth a look before the tile ends.
const MIN_TRIGGER: usize = 128;

/// Documents that are scored together; the kernel interleaves them.
const TOGETHER: usize = 4;

/// Scattered rows come from memory: they are asked for this many documents ahead.
const AHEAD: usize = 8;

/// Pending documents, as a multiple of the trigger, that are not kept waiting.
const MANY: usize = 8;

/// Documents scored at the end of a tile before the threshold is looked at again.
const BATCH: usize = 16;

/// A document whose score is known to lie in [low, high].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    row: u32,
    low: f64,
    high: f64,
}

/// The documents that a query's rows are scored from.
pub(crate) struct Scorer<'a, 'c> {
    isa: Isa,
    metric: Metric,
    corpus: &'a Rows<'c>,
    /// One row buffer for each document scored together.
    buffers: [Vec<f32>; TOGETHER],
    // What a query needs for a moment; kept here, as queries are many and short-lived.
    scores: Vec<Scored>,
    promising: Vec<Pending>,
    certain: Vec<f64>,
}

impl<'a, 'c> Scorer<'a, 'c> {
    pub(crate) fn new(isa: Isa, metric: Metric, corpus: &'a Rows<'c>) -> Self {
        Self {
            isa,
            metric,
            corpus,
            buffers: std::array::from_fn(|_| vec![0.0; corpus.width()]),
            scores: Vec::new(),
            promising: Vec::new(),
            certain: Vec::new(),
        }
    }

    /// Canonical scores of documents, each held to its certified interval.
    fn score(&mut self, q: &[f32], qq: f64, documents: &[Pending]) -> Result<&[Scored]> {
        self.scores.clear();
        for ahead in documents.iter().take(AHEAD) {
            self.corpus.prefetch(ahead.row as usize);
        }
        for (chunk, together) in documents.chunks(TOGETHER).enumerate() {
            for ahead in documents.iter().skip(chunk * TOGETHER + AHEAD).take(TOGETHER) {
                self.corpus.prefetch(ahead.row as usize);
            }
            let [a, b, c, d] = &mut self.buffers;
            let row = |i: usize| together[i.min(together.len() - 1)].row as usize;
            let rows = [
                self.corpus.row(self.isa, row(0), a),
                self.corpus.row(self.isa, row(1), b),
                self.corpus.row(self.isa, row(2), c),
                self.corpus.row(self.isa, row(3), d),
            ];
            let sums = self.metric.sum_many(self.isa, q, rows);
            for ((document, row), sum) in together.iter().zip(rows).zip(sums) {
                // Only cosine needs the norm, and the row is at hand.
                let dd =
                    if self.metric == Metric::Cosine { self.metric.squared_norm(self.isa, row) } else { 0.0 };
                let score = self.metric.finish(sum, qq, dd);
                if !(document.low <= score && score <= document.high) {
                    return Err(Error::CorpusChanged { row: document.row as usize });
                }
                self.scores.push(Scored { score, row: document.row });
            }
        }
        Ok(&self.scores)
    }
}

/// One result row of a query.
struct Target {
    cap: f64,
    best: Best,
    above_cap: u64,
}

/// One query and what it has found.
pub(crate) struct QueryState {
    /// Row of the query.
    query: usize,
    q: Vec<f32>,
    pub(crate) bound: QueryBound,
    targets: Vec<Target>,
    depth: usize,
    floor: f64,
    /// Documents that score below it are of no use to any result row; +inf where none asks for documents.
    threshold: f64,
    /// Documents above every cap need no canonical score to be counted.
    highest_cap: f64,
    lowest_cap: f64,
    /// May be dropped once the threshold has passed them.
    pending: Vec<Pending>,
    /// May lie above a cap: must be scored, and cannot raise the threshold before.
    straddling: Vec<Pending>,
    trigger: usize,
    counters: Counters,
}

/// Bytes that one query's state takes at most: codes, row, pending documents, and the best so far.
pub(crate) fn bytes(width: usize, depth: usize) -> usize {
    let pending = 2 * MANY * MIN_TRIGGER.max(2 * depth) * size_of::<Pending>();
    size_of::<QueryState>() + 6 * width + pending + 4 * depth * size_of::<Scored>()
}

impl QueryState {
    /// A query whose result rows want nothing that scores below `start`.
    pub(crate) fn new(query: usize, q: Vec<f32>, bound: QueryBound, targets: &Targets, start: f64) -> Self {
        let caps = &targets.caps[targets.offsets[query]..targets.offsets[query + 1]];
        let admitted = || caps.iter().copied().filter(|cap| !cap.is_nan());
        let highest_cap = admitted().fold(f64::NEG_INFINITY, f64::max);
        let lowest_cap = admitted().fold(f64::INFINITY, f64::min);
        let asks = admitted().next().is_some();
        Self {
            query,
            q,
            bound,
            targets: caps
                .iter()
                .map(|&cap| Target { cap, best: Best::new(targets.depth), above_cap: 0 })
                .collect(),
            depth: targets.depth,
            floor: targets.floor,
            // A floor above the cap does not hide what is to be counted above the cap.
            threshold: if asks { targets.floor.max(start).min(lowest_cap) } else { f64::INFINITY },
            highest_cap,
            lowest_cap,
            pending: Vec::new(),
            straddling: Vec::new(),
            trigger: MIN_TRIGGER.max(2 * targets.depth),
            counters: Counters::default(),
        }
    }

    /// The query as the caller has it.
    pub(crate) fn row(&self) -> &[f32] {
        &self.q
    }

    /// A document that scores below this is of no use.
    pub(crate) fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Takes a document that the kernel could not rule out. True where it is time to sift.
    pub(crate) fn take(&mut self, row: u32, (low, high): (f64, f64), candidates: &Candidates<'_>) -> bool {
        self.counters.survivors += 1;
        if high < self.threshold || self.threshold == f64::INFINITY || !candidates.admits(self.query, row) {
            return false;
        }
        if self.bound.is_zero() {
            self.add(Scored { score: 0.0, row });
            return false;
        }
        if low > self.highest_cap {
            for target in &mut self.targets {
                target.above_cap += u64::from(low > target.cap);
            }
            return false;
        }
        let document = Pending { row, low, high };
        if high > self.lowest_cap {
            self.straddling.push(document);
        } else {
            if self.pending.capacity() == 0 {
                self.pending.reserve_exact(MIN_TRIGGER);
            }
            self.pending.push(document);
        }
        self.pending.len() + self.straddling.len() >= self.trigger
    }

    /// Raises the threshold by what is certain without looking at a row, and drops what that rules out; scores documents
    /// only where too many are left.
    pub(crate) fn sift(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.raise_by_lows(&mut scorer.certain);
        self.drop_ruled_out();
        let trigger = self.least_trigger();
        if self.pending.len() > 2 * trigger {
            self.settle(scorer)?;
        } else if self.straddling.len() > trigger / 2 {
            self.score_straddling(scorer)?;
        }
        self.trigger = trigger.max(2 * (self.pending.len() + self.straddling.len()));
        Ok(())
    }

    /// Scores what looks best, so that the threshold rises, and drops what that rules out.
    fn settle(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.score_straddling(scorer)?;
        // Only what probably lies above the threshold can raise it. (Twice the middle of an interval orders like it.)
        let middle = |document: &Pending| document.low + document.high;
        let twice = 2.0 * self.threshold;
        let mut promising = std::mem::take(&mut scorer.promising);
        promising.clear();
        promising.extend(self.pending.extract_if(.., |document| middle(document) >= twice));
        if promising.len() > self.depth && self.depth > 0 {
            promising.select_nth_unstable_by(self.depth - 1, |a, b| middle(b).total_cmp(&middle(a)));
            self.pending.extend(promising.drain(self.depth..));
        }
        self.score(&promising, scorer)?;
        scorer.promising = promising;
        self.drop_ruled_out();
        if self.pending.len() > MANY * self.least_trigger() {
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
        for batch in pending.chunks(BATCH) {
            if batch[0].high < self.threshold {
                break;
            }
            self.score(batch, scorer)?;
        }
        pending.clear();
        self.pending = pending;
        Ok(())
    }

    /// How much work it was; pairs scanned are counted elsewhere.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// What every result row found.
    pub(crate) fn into_found(self) -> impl Iterator<Item = Found> {
        self.targets
            .into_iter()
            .map(|target| Found { best: target.best.into_sorted(), above_cap: target.above_cap })
    }

    fn least_trigger(&self) -> usize {
        MIN_TRIGGER.max(2 * self.depth)
    }

    fn drop_ruled_out(&mut self) {
        let threshold = self.threshold;
        self.pending.retain(|document| document.high >= threshold);
    }

    /// The depth-th best of what a result row holds and of the low ends of pending documents, all of which pass its cap.
    fn raise_by_lows(&mut self, certain: &mut Vec<f64>) {
        if self.depth == 0 {
            return;
        }
        let mut lowest = f64::INFINITY;
        for target in self.targets.iter().filter(|target| !target.cap.is_nan()) {
            certain.clear();
            certain.extend(self.pending.iter().map(|document| document.low));
            certain.extend(target.best.scores());
            if certain.len() < self.depth {
                return;
            }
            let (_, nth, _) = certain.select_nth_unstable_by(self.depth - 1, |a, b| b.total_cmp(a));
            lowest = lowest.min(*nth);
        }
        // Documents below the floor are among the pending ones, and their low ends are no threshold.
        if lowest >= self.floor && lowest < f64::INFINITY {
            self.threshold = self.threshold.max(lowest);
        }
    }

    /// Scores what may lie above a cap. That is never in vain: whether it does must be known in the end.
    fn score_straddling(&mut self, scorer: &mut Scorer<'_, '_>) -> Result<()> {
        let mut straddling = std::mem::take(&mut self.straddling);
        self.score(&straddling, scorer)?;
        straddling.clear();
        self.straddling = straddling;
        Ok(())
    }

    fn score(&mut self, documents: &[Pending], scorer: &mut Scorer<'_, '_>) -> Result<()> {
        self.counters.rescored += documents.len() as u64;
        for &scored in scorer.score(&self.q, self.bound.qq, documents)? {
            self.add(scored);
        }
        self.raise_threshold();
        Ok(())
    }

    fn add(&mut self, scored: Scored) {
        for target in &mut self.targets {
            if scored.score > target.cap {
                target.above_cap += 1;
            } else if scored.score <= target.cap && scored.score >= self.floor {
                target.best.offer(scored);
            }
        }
    }

    /// The lowest of the result rows' thresholds: what scores below it is of use to none.
    fn raise_threshold(&mut self) {
        let thresholds = self
            .targets
            .iter_mut()
            .filter(|target| !target.cap.is_nan())
            .map(|target| target.best.threshold().unwrap_or(f64::NEG_INFINITY));
        self.threshold = self.threshold.max(thresholds.fold(f64::INFINITY, f64::min));
    }
}
