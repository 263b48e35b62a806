//! The scan: tiles of documents against blocks of queries.
//!
//! A block of queries stays in the second cache while panels of documents stream past; each panel is multiplied with
//! the whole block. What the kernel cannot rule out goes to the query's [`QueryState`]. Many queries are divided among
//! threads by blocks; few queries against many documents by runs of documents as well, whose answers are then merged.
//! Neither division changes an answer: a state's answer is exact for whatever documents it has seen.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use negmine_kernels::dot_i8::{Hit, QueryTile, padded_width, scan_panel};
use negmine_kernels::isa::Isa;
use negmine_kernels::quantize::{largest_magnitude, quantize_row};

use crate::base::matrix::Rows;
use crate::base::order::Scored;
use crate::base::parallel::{Run, Ticker};
use crate::base::{Error, Result};
use crate::scoring::bound::QueryBound;
use crate::scoring::pack::{SquaredNorms, Tile};
use crate::scoring::score::{Metric, factor, unit_for};

use super::index::ExactIndex;
use super::initial_threshold::Guess;
use super::memory_plan::{BLOCK, PRUNED_BLOCK, ScanPlan};
use super::pruned_index::Lead;
use super::pruned_scan::{LeadBlock, Shared};
use super::pruning_choice::Prediction;
use super::query_state::{QueryState, Scorer};
use super::types::{Candidates, Counters, Outcome, Targets};

/// Pieces of work per thread at least, so that threads end together.
const ITEMS_PER_THREAD: usize = 4;

/// One panel in so many is scanned first, wherever it stands: a corpus in the order of its sources would otherwise
/// start with low thresholds.
const SAMPLE: usize = 16;

/// Panels of a scan that starts from guesses: with more of them, scanning again what a guess missed takes more than all
/// guesses save.
const GUESS_UP_TO: usize = 128;

/// Everything that the pieces of one scan share.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a, 'c, 'q, 'r> {
    pub(crate) index: &'a ExactIndex,
    pub(crate) corpus: &'a Rows<'c>,
    pub(crate) queries: &'a Rows<'q>,
    candidates: &'a Candidates<'r>,
    pub(crate) targets: &'a Targets,
    pub(crate) isa: Isa,
    /// Queries of a block.
    block: usize,
}

impl ExactIndex {
    /// The best documents of every result row.
    ///
    /// # Errors
    /// Shapes that do not fit the index, values that are not finite, or an interrupt.
    pub fn scan(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        candidates: &Candidates<'_>,
        targets: &Targets,
        run: &Run<'_>,
    ) -> Result<Outcome> {
        let scan = self.request(corpus, queries, candidates, targets, run.isa)?;
        let depth = targets.depth;
        let plan = self.layout().plan(self.len(), self.width(), queries.len(), depth, run.threads)?;
        if self.layout().resident { scan.resident(&plan, run) } else { scan.streamed(&plan, run) }
    }

    /// What a pair of such a scan is predicted to cost at full width and with leading coordinates; it is for people, and
    /// prepares what a scan would.
    ///
    /// # Errors
    /// As for a scan.
    pub fn predict(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        candidates: &Candidates<'_>,
        targets: &Targets,
        run: &Run<'_>,
    ) -> Result<Prediction> {
        self.prediction(&self.request(corpus, queries, candidates, targets, run.isa)?, run)
    }

    fn request<'a, 'c, 'q, 'r>(
        &'a self,
        corpus: &'a Rows<'c>,
        queries: &'a Rows<'q>,
        candidates: &'a Candidates<'r>,
        targets: &'a Targets,
        isa: Isa,
    ) -> Result<Scan<'a, 'c, 'q, 'r>> {
        if corpus.len() != self.len() || corpus.width() != self.width() {
            return Err(Error::Length { argument: "corpus", expected: self.len(), got: corpus.len() });
        }
        if queries.width() != self.width() {
            return Err(Error::WidthMismatch { queries: queries.width(), corpus: self.width() });
        }
        Ok(Scan { index: self, corpus, queries, candidates, targets, isa, block: BLOCK })
    }
}

impl<'a, 'c> Scan<'a, 'c, '_, '_> {
    fn blocks(&self) -> usize {
        self.queries.len().div_ceil(self.block)
    }

    /// All tiles are at hand: a block's state lives only while its piece is worked on.
    fn resident(&self, plan: &ScanPlan, run: &Run<'_>) -> Result<Outcome> {
        // Memory may allow fewer blocks at a time than there are threads.
        let threads = run.threads.min(plan.queries_at_once.div_ceil(BLOCK).max(1));
        let run = &Run {
            threads: if self.index.layout().memory_limit.is_some() { threads } else { run.threads },
            ..*run
        };
        let panels: Vec<(&Tile, usize)> = self.index.tiles().iter().flat_map(Tile::places).collect();
        let lead = if plan.pruned_bytes > 0 {
            self.index.lead_for(self, run)?
        } else {
            self.index.prepared().forget();
            None
        };
        let lead = lead.as_deref();
        let pruned = lead.is_some() && self.index.layout().memory_limit.is_none();
        let scan = &Self { block: if pruned { PRUNED_BLOCK } else { BLOCK }, ..*self };
        let blocks = scan.blocks();
        let wanted = if run.threads == 1 { 1 } else { run.threads * ITEMS_PER_THREAD };
        let panel_count = lead.map_or(panels.len(), Lead::panels);
        let runs = wanted.div_ceil(blocks.max(1)).clamp(1, panel_count.max(1));
        let per_run = panel_count.div_ceil(runs).max(1);
        // What a guess missed takes memory again.
        let guessing = panel_count <= GUESS_UP_TO && self.index.layout().memory_limit.is_none();
        let begun = Instant::now();
        let norms = SquaredNorms::new(self.index.tiles(), self.index.layout().tile_rows);
        let parts = run.map(
            blocks * runs,
            || Blocks { first: Block::new(self.index.width()), again: Block::new(self.index.width()) },
            |blocks, item, ticker| {
                let mut scorer = scan.scorer(norms);
                let begin = (item % runs * per_run).min(panel_count);
                let end = (begin + per_run).min(panel_count);
                blocks.answer(scan, scan.queries_of(item / runs), guessing, |block| {
                    match lead {
                        Some(lead) => block.scan_pruned(scan, lead, begin..end, &mut scorer, ticker)?,
                        None => block.scan(scan, &panels[begin..end], &mut scorer, ticker)?,
                    }
                    block.finish(&mut scorer, ticker)
                })
            },
        )?;
        let pairs = self.queries.len() as f64 * self.index.len() as f64;
        let seconds = begun.elapsed().as_secs_f64() * run.threads as f64;
        self.index.prepared().note(self.targets.depth, lead.is_some(), pairs, seconds);
        let mut outcome = Outcome::default();
        let mut parts = parts.into_iter();
        while let Some(mut all) = parts.next() {
            for more in parts.by_ref().take(runs - 1) {
                merge(&mut all, more, self.targets.depth);
            }
            outcome.counters.add([all.counters]);
            outcome.found.append(&mut all.found);
            outcome.zero_queries += all.zero_queries;
        }
        Ok(outcome)
    }

    /// Tiles are packed one after the other, and states live until the last: all of them, or as many as memory holds,
    /// and then the corpus is read once for each such group.
    fn streamed(&self, plan: &ScanPlan, run: &Run<'_>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let group = plan.queries_at_once.div_ceil(BLOCK).max(1);
        for first in (0..self.blocks()).step_by(group) {
            let blocks = group.min(self.blocks() - first);
            let blocks = run.map(
                blocks,
                || (),
                |(), item, _| {
                    let mut block = Block::new(self.index.width());
                    block.begin(self, self.queries_of(first + item))?;
                    Ok(Mutex::new(block))
                },
            )?;
            for documents in self.index.tile_ranges() {
                let (metric, slack) = (self.index.metric(), self.index.layout().slack);
                let tile = Tile::pack(self.corpus, documents, metric, slack, run)?;
                let panels: Vec<(&Tile, usize)> = tile.places().collect();
                let norms = SquaredNorms::new(std::slice::from_ref(&tile), self.index.layout().tile_rows);
                run.map(
                    blocks.len(),
                    || (),
                    |(), item, ticker| {
                        let mut block = blocks[item].lock().unwrap_or_else(PoisonError::into_inner);
                        let mut scorer = self.scorer(norms);
                        block.scan(self, &panels, &mut scorer, ticker)?;
                        block.finish(&mut scorer, ticker)
                    },
                )?;
            }
            for block in blocks {
                let part = block.into_inner().unwrap_or_else(PoisonError::into_inner).outcome();
                outcome.counters.add([part.counters]);
                outcome.found.extend(part.found);
                outcome.zero_queries += part.zero_queries;
            }
        }
        Ok(outcome)
    }

    /// The queries of block `b`.
    fn queries_of(&self, b: usize) -> Range<usize> {
        b * self.block..((b + 1) * self.block).min(self.queries.len())
    }

    fn scorer<'s>(&self, norms: SquaredNorms<'s>) -> Scorer<'s, 'c>
    where
        'a: 's,
    {
        Scorer::new(self.isa, self.index.metric(), self.corpus, norms)
    }

    /// The thresholds that some queries end with, scanned at full width.
    pub(crate) fn thresholds(&self, queries: &[usize], run: &Run<'_>) -> Result<Vec<f64>> {
        let panels: Vec<(&Tile, usize)> = self.index.tiles().iter().flat_map(Tile::places).collect();
        let norms = SquaredNorms::new(self.index.tiles(), self.index.layout().tile_rows);
        let parts = run.map(
            queries.len().div_ceil(SAMPLE),
            || Block::new(self.index.width()),
            |block, item, ticker| {
                let own = item * SAMPLE..((item + 1) * SAMPLE).min(queries.len());
                block.begin(self, queries[own].iter().copied())?;
                let mut scorer = self.scorer(norms);
                block.scan(self, &panels, &mut scorer, ticker)?;
                block.finish(&mut scorer, ticker)?;
                Ok(block.states.iter().map(QueryState::threshold).collect::<Vec<f64>>())
            },
        )?;
        Ok(parts.concat())
    }

    /// A score that the depth-th document of every result row reaches, from documents that were good before: scored
    /// again, under the rules as they are now. -inf where too few of them are left.
    fn start(&self, query: usize, q: &[f32], qq: f64) -> f64 {
        let Some(warm) = &self.targets.warm else { return f64::NEG_INFINITY };
        let metric = self.index.metric();
        let mut rows = warm.row(query).to_vec();
        rows.sort_unstable();
        rows.dedup();
        rows.retain(|&row| (row as usize) < self.corpus.len() && self.candidates.admits(query, row));
        let mut buffer = vec![0.0; q.len()];
        let mut scores: Vec<f64> = Vec::with_capacity(rows.len());
        for row in rows {
            let d = self.corpus.row(self.isa, row as usize, &mut buffer);
            let dd = metric.squared_norm(self.isa, d);
            scores.push(metric.finish(metric.sum(self.isa, q, d), qq, dd));
        }
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let own = self.targets.offsets[query]..self.targets.offsets[query + 1];
        self.targets.caps[own]
            .iter()
            .filter(|cap| !cap.is_nan())
            .map(|&cap| {
                let above = scores.partition_point(|&score| score > cap);
                let nth =
                    (self.targets.depth.max(1) - 1).checked_add(above).and_then(|place| scores.get(place));
                nth.copied().unwrap_or(f64::NEG_INFINITY)
            })
            .fold(f64::INFINITY, f64::min)
    }
}

/// A block of queries in the middle of a scan; its memory serves one block after another.
struct Block {
    tile: QueryTile,
    states: Vec<QueryState>,
    hits: Vec<Hit>,
    scanned: u64,
    refined: u64,
    guess: Guess,
    row: Vec<f32>,
    codes: Vec<i8>,
}

/// A block, and one for the queries that its guesses missed.
struct Blocks {
    first: Block,
    again: Block,
}

impl Blocks {
    /// What some queries find in one run of documents, which `whole` scans to its end.
    fn answer(
        &mut self,
        scan: &Scan<'_, '_, '_, '_>,
        queries: Range<usize>,
        guessing: bool,
        mut whole: impl FnMut(&mut Block) -> Result<()>,
    ) -> Result<Outcome> {
        let Self { first, again } = self;
        first.begin(scan, queries)?;
        whole(first)?;
        let missed = first.missed();
        if !missed.is_empty() {
            again.begin(scan, missed.iter().map(|place| first.states[*place].query()))?;
            whole(again)?;
            first.replace(&missed, again);
        }
        if guessing {
            first.guess.learn(&first.states);
        }
        Ok(first.outcome())
    }
}

impl Block {
    fn new(width: usize) -> Self {
        Self {
            tile: QueryTile::new(width),
            states: Vec::new(),
            hits: Vec::new(),
            scanned: 0,
            refined: 0,
            guess: Guess::default(),
            row: vec![0.0; width],
            codes: vec![0; padded_width(width)],
        }
    }

    /// Takes on some queries, which are quantised.
    fn begin(&mut self, scan: &Scan<'_, '_, '_, '_>, queries: impl Iterator<Item = usize>) -> Result<()> {
        let (isa, metric, slack) = (scan.isa, scan.index.metric(), scan.index.layout().slack);
        self.tile.clear();
        (self.scanned, self.refined) = (0, 0);
        for query in queries {
            let row = scan.queries.finite_row(isa, query, &mut self.row)?;
            let qq = metric.squared_norm(isa, row);
            let unit = if metric == Metric::Cosine { 1.0 } else { unit_for(largest_magnitude(isa, row)) };
            let code = quantize_row(isa, row, factor(metric, qq, unit), &mut self.codes);
            let bound = QueryBound::new(metric, slack, &code, unit, qq);
            let weights = bound.weights();
            if self.states.len() == self.tile.len() {
                self.states.push(QueryState::new(bound));
            }
            let start = scan.start(query, row, qq);
            self.states[self.tile.len()].begin(query, row, bound, scan.targets, start, &self.guess);
            self.tile.push(&self.codes, weights.error, weights.norm, 0.0, f32::NEG_INFINITY);
        }
        self.states.truncate(self.tile.len());
        Ok(())
    }

    /// Scans some panels; documents stay pending.
    fn scan(
        &mut self,
        scan: &Scan<'_, '_, '_, '_>,
        panels: &[(&Tile, usize)],
        scorer: &mut Scorer<'_, '_>,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let mut unit = f64::NAN;
        for p in sampled_first(panels.len()) {
            ticker.check()?;
            let (tile, p) = panels[p];
            let panel = &tile.panels()[p];
            if panel.unit != unit {
                unit = panel.unit;
                self.set_unit(unit);
            }
            self.hits.clear();
            scan_panel(scan.isa, &self.tile, tile.view(p), &mut self.hits);
            self.scanned += (panel.len * self.states.len()) as u64;
            for hits in self.hits.chunk_by(|a, b| a.query == b.query) {
                let query = hits[0].query as usize;
                let state = &mut self.states[query];
                let before = state.threshold();
                for hit in hits {
                    let lane = hit.lane as usize;
                    let interval = state.bound.interval(hit.dot, &panel.document(lane));
                    if state.take((panel.first + lane) as u32, interval, scan.candidates) {
                        state.sift(scorer)?;
                    }
                }
                if state.threshold() > before {
                    self.tile.set_threshold(query, state.bound.threshold(state.threshold(), unit));
                }
            }
        }
        Ok(())
    }

    /// Scans some panels of rotated documents; documents stay pending.
    fn scan_pruned(
        &mut self,
        scan: &Scan<'_, '_, '_, '_>,
        lead: &Lead,
        panels: Range<usize>,
        scorer: &mut Scorer<'_, '_>,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let mut rotated = LeadBlock::new(lead, scan.isa, &self.states);
        let mut shared = Shared { scorer, candidates: scan.candidates, depth: scan.targets.depth };
        let counters = rotated.scan(&mut self.states, panels, &mut shared, ticker)?;
        self.scanned += counters.scanned;
        self.refined += counters.refined;
        Ok(())
    }

    /// Scores whatever may still be of use; the documents seen so far are not wanted again.
    fn finish(&mut self, scorer: &mut Scorer<'_, '_>, ticker: &Ticker<'_>) -> Result<()> {
        for state in &mut self.states {
            ticker.check()?;
            state.finish(scorer)?;
        }
        Ok(())
    }

    /// The places of queries that are to be scanned again.
    fn missed(&mut self) -> Vec<usize> {
        let states = self.states.iter_mut().enumerate();
        states.filter_map(|(place, state)| state.missed().then_some(place)).collect()
    }

    /// Takes the queries of `again` at those places.
    fn replace(&mut self, places: &[usize], again: &mut Self) {
        for (&place, state) in places.iter().zip(&mut again.states) {
            std::mem::swap(&mut self.states[place], state);
        }
        self.scanned += again.scanned;
        self.refined += again.refined;
    }

    /// Thresholds and offsets as panels of another unit want them.
    fn set_unit(&mut self, unit: f64) {
        for (query, state) in self.states.iter().enumerate() {
            self.tile.set_threshold(query, state.bound.threshold(state.threshold(), unit));
            self.tile.set_offset_weight(query, state.bound.offset_weight(unit));
        }
    }

    fn outcome(&mut self) -> Outcome {
        let mut counters = Counters { scanned: self.scanned, refined: self.refined, ..Counters::default() };
        counters.add(self.states.iter().map(QueryState::counters));
        let zero_queries = self.states.iter().filter(|state| state.bound.is_zero_cosine()).count() as u64;
        Outcome {
            found: self.states.iter_mut().flat_map(QueryState::found).collect(),
            zero_queries,
            counters,
        }
    }
}

/// Places of `n` panels in an order that starts with a sample from everywhere.
pub(crate) fn sampled_first(n: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(SAMPLE).chain((0..n).filter(|p| p % SAMPLE != 0))
}

/// Joins the answers of one block of queries from further documents to those it has.
fn merge(all: &mut Outcome, more: Outcome, depth: usize) {
    all.counters.add([more.counters]);
    for (all, mut more) in all.found.iter_mut().zip(more.found) {
        all.above_cap += more.above_cap;
        all.best.append(&mut more.best);
        all.best.sort_unstable_by(Scored::rank);
        all.best.truncate(depth);
    }
}
