//! Blocks of queries in a scan: their state, and the data that all blocks share.

use std::ops::Range;

use negmine_kernels::dot_i8::{Hit, QueryTile, padded_width, scan_panel};
use negmine_kernels::isa::Isa;

use crate::base::matrix::Rows;
use crate::base::memory::reserve;
use crate::base::parallel::{Run, Ticker};
use crate::base::{Error, Result};
use crate::scoring::bound::QueryBound;
use crate::scoring::pack::{PackedRows, Tile, sampled_first};

use super::index::ExactIndex;
use super::initial_threshold::Guess;
use super::pruned_index::Lead;
use super::pruned_scan::{LeadBlock, Shared};
use super::query_state::QueryState;
use super::rescore::Scorer;
use super::types::{Candidates, Counters, Outcome, Targets};

/// Queries of a piece of work if only thresholds are computed.
const TOGETHER: usize = 16;

/// The data that all pieces of one scan share.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a, 'c, 'q, 'r> {
    pub(crate) index: &'a ExactIndex,
    pub(crate) corpus: &'a Rows<'c>,
    pub(crate) queries: &'a Rows<'q>,
    pub(crate) candidates: &'a Candidates<'r>,
    pub(crate) targets: &'a Targets,
    /// All documents, if they are packed at the same time.
    pub(crate) packed: PackedRows<'a>,
    pub(crate) isa: Isa,
    /// Queries of a block.
    pub(crate) block: usize,
}

impl<'a, 'c> Scan<'a, 'c, '_, '_> {
    /// The queries of block `b`.
    pub(crate) fn queries_of(&self, b: usize) -> Range<usize> {
        b * self.block..((b + 1) * self.block).min(self.queries.len())
    }

    pub(crate) fn scorer<'s>(&self, packed: PackedRows<'s>, ticker: &'s Ticker<'s>) -> Scorer<'s, 'c>
    where
        'a: 's,
    {
        Scorer::new(self.isa, self.index.metric(), self.corpus, packed, ticker)
    }

    /// The final thresholds of some queries, scanned at full width.
    pub(crate) fn thresholds(&self, queries: &[usize], run: &Run<'_>) -> Result<Vec<f64>> {
        let panels = self.packed.panels();
        let parts = run.map(
            queries.len().div_ceil(TOGETHER),
            || Block::new(self.index.width()),
            |block, item, ticker| {
                let own = item * TOGETHER..((item + 1) * TOGETHER).min(queries.len());
                block.begin(self, queries[own].iter().copied())?;
                let mut scorer = self.scorer(self.packed, ticker);
                block.scan(self, &panels, &mut scorer, ticker)?;
                block.finish(&mut scorer, ticker)?;
                Ok(block.states.iter().map(QueryState::threshold).collect::<Vec<f64>>())
            },
        )?;
        Ok(parts.concat())
    }

    /// The state of one query, which has seen no document.
    pub(crate) fn state(&self, query: usize, row: &mut [f32], codes: &mut [i8]) -> Result<QueryState> {
        let row = self.queries.finite_row(self.isa, query, row)?;
        let (metric, slack) = (self.index.metric(), self.index.layout().slack);
        let bound = QueryBound::of(metric, slack, self.isa, row, codes);
        let start = self.start(query, row, bound.qq)?;
        let mut state = QueryState::new(bound);
        state.begin(query, row, bound, self.targets, start, &Guess::default())?;
        Ok(state)
    }

    /// A score that the depth-th document of every result row reaches, from earlier good documents, which are scored
    /// again under the current rules; -inf if too few of them remain candidates.
    fn start(&self, query: usize, q: &[f32], qq: f64) -> Result<f64> {
        let Some(warm) = &self.targets.warm else { return Ok(f64::NEG_INFINITY) };
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
            let score = metric.finish(metric.sum(self.isa, q, d), qq, dd);
            if !score.is_finite() {
                return Err(Error::CorpusChanged { row: row as usize });
            }
            scores.push(score);
        }
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let own = self.targets.rows_of(query);
        // A row with a higher cap has at least as many documents that are at least as good.
        let lowest = self.targets.caps[own].iter().copied().filter(|cap| !cap.is_nan()).reduce(f64::min);
        let Some(cap) = lowest else { return Ok(f64::INFINITY) };
        let above = scores.partition_point(|&score| score > cap);
        let nth = (self.targets.depth.max(1) - 1).checked_add(above).and_then(|place| scores.get(place));
        Ok(nth.copied().unwrap_or(f64::NEG_INFINITY))
    }
}

/// A block of queries in a scan; its memory is reused for the next block.
pub(crate) struct Block {
    tile: QueryTile,
    states: Vec<QueryState>,
    hits: Vec<Hit>,
    scanned: u64,
    refined: u64,
    guess: Guess,
    row: Vec<f32>,
    codes: Vec<i8>,
}

/// A block, and a second one for the queries that its guesses missed.
pub(crate) struct Blocks {
    pub(crate) first: Block,
    pub(crate) again: Block,
}

impl Blocks {
    /// The result of some queries in one run of documents, which `whole` scans to its end.
    pub(crate) fn answer(
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
            first.guess.learn(first.states.iter().filter_map(QueryState::share_below_cap));
        }
        first.outcome()
    }
}

impl Block {
    pub(crate) fn new(width: usize) -> Self {
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

    /// Starts with some queries, which it quantizes.
    pub(crate) fn begin(
        &mut self,
        scan: &Scan<'_, '_, '_, '_>,
        queries: impl Iterator<Item = usize>,
    ) -> Result<()> {
        let (isa, metric, slack) = (scan.isa, scan.index.metric(), scan.index.layout().slack);
        self.tile.clear();
        (self.scanned, self.refined) = (0, 0);
        for query in queries {
            let row = scan.queries.finite_row(isa, query, &mut self.row)?;
            let bound = QueryBound::of(metric, slack, isa, row, &mut self.codes);
            let weights = bound.weights();
            if self.states.len() == self.tile.len() {
                self.states.push(QueryState::new(bound));
            }
            let start = scan.start(query, row, bound.qq)?;
            self.states[self.tile.len()].begin(query, row, bound, scan.targets, start, &self.guess)?;
            self.tile.push(&self.codes, weights.error, weights.norm, 0.0, f32::NEG_INFINITY);
        }
        self.states.truncate(self.tile.len());
        Ok(())
    }

    /// Scans some panels; documents stay pending.
    pub(crate) fn scan(
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
                    if state.take((panel.first + lane) as u32, interval, scan.candidates)? {
                        state.prune_pending(scorer)?;
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
    pub(crate) fn scan_pruned(
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

    /// Scores every pending document that may still enter a result; the documents seen so far are not needed again.
    pub(crate) fn finish(&mut self, scorer: &mut Scorer<'_, '_>, ticker: &Ticker<'_>) -> Result<()> {
        for state in &mut self.states {
            ticker.check()?;
            state.finish(scorer)?;
        }
        Ok(())
    }

    /// The places of queries that must be scanned again.
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

    /// Converts thresholds and offsets to the unit of the next panels.
    fn set_unit(&mut self, unit: f64) {
        for (query, state) in self.states.iter().enumerate() {
            self.tile.set_threshold(query, state.bound.threshold(state.threshold(), unit));
            self.tile.set_offset_weight(query, state.bound.offset_weight(unit));
        }
    }

    pub(crate) fn outcome(&mut self) -> Result<Outcome> {
        let mut counters = Counters { scanned: self.scanned, refined: self.refined, ..Counters::default() };
        counters.add(self.states.iter().map(QueryState::counters));
        let zero_queries = self.states.iter().filter(|state| state.bound.is_zero_cosine()).count() as u64;
        let mut found = Vec::new();
        for state in &mut self.states {
            let rows = state.found()?;
            reserve(&mut found, rows.len())?;
            found.extend(rows);
        }
        let starts = self.states.iter().map(QueryState::start).collect();
        Ok(Outcome { found, zero_queries, counters, starts })
    }
}
