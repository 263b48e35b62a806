//! The exact scan: tiles of documents against blocks of queries.
//!
//! A block of queries stays in the L2 cache while panels of documents stream past; each panel is multiplied with the
//! whole block. Pairs that the kernel cannot rule out go to the query's `QueryState`. Many queries are divided among
//! threads by blocks; few queries against many documents by runs of documents as well, whose results are then merged.
//! Neither division changes a result: the results of a state are exact for every set of documents that it has scanned.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use negmine_kernels::dot_i8::PANEL;

use crate::base::matrix::Rows;
use crate::base::memory::with_capacity;
use crate::base::parallel::Run;
use crate::base::{Error, Result};
use crate::scoring::pack::{PackedRows, Tile};
use crate::scoring::score::ScorePairs;

use super::block::{Block, Blocks, Scan};
use super::groups::groups;
use super::index::ExactIndex;
use super::memory_plan::{BLOCK, PRUNED_BLOCK, ScanPlan, ScanSize, wide_block};
use super::merge::merge;
use super::pairs::PairScorer;
use super::prepared::Prediction;
use super::pruned_index::Lead;
use super::types::{Candidates, Outcome, Targets};

/// Pieces of work per thread at least, so that threads end together.
const ITEMS_PER_THREAD: usize = 4;

/// Panels of a scan that starts from guesses: with more of them, repeated scans after missed guesses take more time
/// than all guesses save.
const GUESS_UP_TO: usize = 128;

impl ExactIndex {
    /// The best documents of every result row.
    ///
    /// # Errors
    /// Returns an error on shapes that do not fit the index, values that are not finite, or an interrupt.
    pub fn scan(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        candidates: &Candidates<'_>,
        targets: &Targets,
        run: &Run<'_>,
    ) -> Result<Outcome> {
        self.check_sides(corpus, queries)?;
        // Documents of a group are packed again, from rows all over the files.
        let groups = match self.packs() {
            Some(_) => None,
            None => groups(candidates.eligible, queries.len(), run)?,
        };
        match groups.filter(|groups| self.has_room_for(groups, targets, run.threads)) {
            Some(groups) => self
                .scan_groups(corpus, queries, candidates, targets, &groups, run)
                .map_err(|error| Self::of_changed_corpus(corpus, error)),
            None => self.scan_all(corpus, queries, candidates, targets, run),
        }
    }

    /// The same, of all pairs.
    pub(crate) fn scan_all(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        candidates: &Candidates<'_>,
        targets: &Targets,
        run: &Run<'_>,
    ) -> Result<Outcome> {
        let size = ScanSize {
            queries: queries.len(),
            result_rows: targets.caps.len(),
            depth: targets.depth,
            threads: run.threads,
        };
        let plan = self.plan(&size)?;
        let scanned = || {
            let steps = self.steps(queries.len());
            let tiles = if plan.resident { Some(self.all_tiles(corpus, steps, run)?) } else { None };
            let packed = self.packed_rows(tiles.as_deref());
            let scan = self.request(corpus, queries, candidates, targets, packed, run);
            let outcome = if plan.resident {
                scan.resident(&plan, run)
            } else {
                self.release();
                scan.streamed(&plan, run)
            }?;
            scan.check_starts(&outcome)?;
            Ok(outcome)
        };
        scanned().map_err(|error| Self::of_changed_corpus(corpus, error))
    }

    /// The predicted cost of a pair of such a scan at full width and with leading coordinates, for reports; the call
    /// also does the preparation of a scan.
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
        self.check_sides(corpus, queries)?;
        let tiles = self.kept_tiles();
        let packed = self.packed_rows(tiles.as_deref());
        self.prediction(&self.request(corpus, queries, candidates, targets, packed, run), run)
    }

    /// Steps that the progress of a scan counts: a step is a panel of documents for one query.
    pub(crate) fn steps(&self, queries: usize) -> usize {
        queries.saturating_mul(self.len().div_ceil(PANEL))
    }

    /// The packed documents, if they are kept packed.
    pub(crate) fn packed_rows<'a>(&self, tiles: Option<&'a Vec<Tile>>) -> PackedRows<'a> {
        let step = self.packs().is_none().then_some(self.layout().tile_rows);
        PackedRows::new(tiles.map_or(&[], |tiles| &tiles[..]), step)
    }

    pub(crate) fn check_sides(&self, corpus: &Rows<'_>, queries: &Rows<'_>) -> Result<()> {
        if corpus.len() != self.len() || corpus.width() != self.width() {
            return Err(Error::Length { argument: "corpus", expected: self.len(), got: corpus.len() });
        }
        if queries.width() != self.width() {
            return Err(Error::WidthMismatch { queries: queries.width(), corpus: self.width() });
        }
        Ok(())
    }

    pub(crate) fn request<'a, 'c, 'q, 'r>(
        &'a self,
        corpus: &'a Rows<'c>,
        queries: &'a Rows<'q>,
        candidates: &'a Candidates<'r>,
        targets: &'a Targets,
        packed: PackedRows<'a>,
        run: &Run<'_>,
    ) -> Scan<'a, 'c, 'q, 'r> {
        Scan { index: self, corpus, queries, candidates, targets, packed, isa: run.isa, block: BLOCK }
    }
}

impl Scan<'_, '_, '_, '_> {
    fn blocks(&self) -> usize {
        self.queries.len().div_ceil(self.block)
    }

    /// Scans with all tiles in memory: the state of a block lives only during its piece of work.
    fn resident(&self, plan: &ScanPlan, run: &Run<'_>) -> Result<Outcome> {
        // Memory may allow fewer blocks at a time than there are threads.
        let threads = run.threads.min(plan.queries_at_once.div_ceil(BLOCK).max(1));
        let run = &Run {
            threads: if self.index.layout().memory_limit.is_some() { threads } else { run.threads },
            ..*run
        };
        let panels = self.packed.panels();
        let steps = self.index.steps(self.queries.len());
        let lead = if plan.pruned_bytes > 0 {
            match run.part(0..0, steps, |run| self.index.lead_for(self, run)) {
                // The scan is possible without it.
                Err(Error::Allocation { .. }) => None,
                lead => lead?,
            }
        } else {
            self.index.prepared().forget();
            None
        };
        let lead = lead.as_deref();
        let pruned = lead.is_some() && self.index.layout().memory_limit.is_none();
        let block = match (pruned, self.index.layout().memory_limit) {
            (true, _) => PRUNED_BLOCK,
            (false, None) => wide_block(self.queries.width()),
            (false, Some(_)) => BLOCK,
        };
        let scan = &Self { block, ..*self };
        let blocks = scan.blocks();
        let needed = if run.threads == 1 { 1 } else { run.threads * ITEMS_PER_THREAD };
        let panel_count = lead.map_or(panels.len(), Lead::panels);
        let runs = needed.div_ceil(blocks.max(1)).clamp(1, panel_count.max(1));
        let per_run = panel_count.div_ceil(runs).max(1);
        // A repeated scan after a missed guess takes additional memory.
        let guessing = panel_count <= GUESS_UP_TO && self.index.layout().memory_limit.is_none();
        let started = Instant::now();
        let parts = run.part(0..steps, steps, |run| {
            run.map(
                blocks * runs,
                || Blocks { first: Block::new(self.index.width()), again: Block::new(self.index.width()) },
                |blocks, item, ticker| {
                    let mut scorer = scan.scorer(scan.packed, ticker);
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
            )
        })?;
        let pairs = self.queries.len() as f64 * self.index.len() as f64;
        let seconds = started.elapsed().as_secs_f64() * run.threads as f64;
        self.index.prepared().note(self.targets.depth, lead.is_some(), pairs, seconds);
        let mut outcome = Outcome { found: with_capacity(self.targets.caps.len())?, ..Outcome::default() };
        let mut parts = parts.into_iter();
        while let Some(mut all) = parts.next() {
            for more in parts.by_ref().take(runs - 1) {
                merge(&mut all, more, self.targets.depth);
            }
            outcome.counters.add([all.counters]);
            outcome.found.append(&mut all.found);
            outcome.starts.append(&mut all.starts);
            outcome.zero_queries += all.zero_queries;
        }
        Ok(outcome)
    }

    /// Scans tiles that are packed one after the other. States live until the last tile: all of them, or groups of as
    /// many as memory holds; the corpus is read once per group.
    fn streamed(&self, plan: &ScanPlan, run: &Run<'_>) -> Result<Outcome> {
        let mut outcome = Outcome { found: with_capacity(self.targets.caps.len())?, ..Outcome::default() };
        let group = plan.queries_at_once.div_ceil(BLOCK).max(1);
        let steps = self.index.steps(self.queries.len());
        for first in (0..self.blocks()).step_by(group) {
            let blocks = group.min(self.blocks() - first);
            let begin = self.queries_of(first).start;
            let queries = self.queries_of(first + blocks - 1).end - begin;
            let step = |document: usize| self.index.steps(begin) + queries * document.div_ceil(PANEL);
            let blocks = run.part(step(0)..step(0), steps, |run| self.begin(first..first + blocks, run))?;
            if let Some(packs) = self.index.packs() {
                packs.each_tile(plan.tile_rows, step, steps, run, |tile, documents, run| {
                    let begun = Instant::now();
                    self.scan_tile(tile, &blocks, run)?;
                    packs.note_scan(queries * documents.len(), begun, run.threads);
                    Ok(())
                })?;
            } else {
                for documents in self.index.tile_ranges(plan.tile_rows) {
                    let (begin, end) = (step(documents.start), step(documents.end));
                    let packed = begin.midpoint(end);
                    let tile =
                        run.part(begin..packed, steps, |run| self.index.tile(self.corpus, documents, run))?;
                    run.part(packed..end, steps, |run| self.scan_tile(&tile, &blocks, run))?;
                }
            }
            for block in blocks {
                let part = block.into_inner().unwrap_or_else(PoisonError::into_inner).outcome()?;
                outcome.counters.add([part.counters]);
                outcome.found.extend(part.found);
                outcome.starts.extend(part.starts);
                outcome.zero_queries += part.zero_queries;
            }
        }
        Ok(outcome)
    }

    /// Blocks that have seen no document yet.
    fn begin(&self, blocks: Range<usize>, run: &Run<'_>) -> Result<Vec<Mutex<Block>>> {
        run.map(
            blocks.len(),
            || (),
            |(), item, _| {
                let mut block = Block::new(self.index.width());
                block.begin(self, self.queries_of(blocks.start + item))?;
                Ok(Mutex::new(block))
            },
        )
    }

    /// Scans one tile of a streamed corpus; no document stays pending.
    fn scan_tile(&self, tile: &Tile, blocks: &[Mutex<Block>], run: &Run<'_>) -> Result<()> {
        let packed = PackedRows::one(tile);
        let panels = packed.panels();
        run.map(
            blocks.len(),
            || (),
            |(), item, ticker| {
                let mut block = blocks[item].lock().unwrap_or_else(PoisonError::into_inner);
                let mut scorer = self.scorer(packed, ticker);
                block.scan(self, &panels, &mut scorer, ticker)?;
                block.finish(&mut scorer, ticker)
            },
        )?;
        Ok(())
    }

    /// Returns an error for a result that ends below the score that earlier documents reached when the scan began: one
    /// of these documents has changed, since no document in the result has.
    pub(crate) fn check_starts(&self, outcome: &Outcome) -> Result<()> {
        let Some(warm) = &self.targets.warm else { return Ok(()) };
        if self.targets.depth == 0 {
            return Ok(());
        }
        for (query, &start) in outcome.starts.iter().enumerate() {
            let rows = self.targets.rows_of(query);
            let asks = rows.filter(|&row| !self.targets.caps[row].is_nan());
            let lowest = asks.min_by(|&a, &b| self.targets.caps[a].total_cmp(&self.targets.caps[b]));
            let Some(row) = lowest.filter(|&row| start >= self.targets.floors[row] && start.is_finite())
            else {
                continue;
            };
            let last = outcome.found[row].best.get(self.targets.depth - 1);
            if last.is_none_or(|last| last.score < start) {
                return Err(self.changed_among(query, warm.row(query))?);
            }
        }
        Ok(())
    }

    /// The error that names the first of some documents that has changed.
    fn changed_among(&self, query: usize, rows: &[u32]) -> Result<Error> {
        let mut buffer = vec![0.0; self.queries.width()];
        let mut scorer = PairScorer::new(self.index, self.corpus, self.packed, self.isa);
        scorer.begin(self.queries.finite_row(self.isa, query, &mut buffer)?);
        let known = rows.iter().copied().filter(|&row| (row as usize) < self.index.len());
        let changed = known.clone().find_map(|row| scorer.score(row).err());
        let first = known.min().unwrap_or(0);
        Ok(changed.unwrap_or(Error::CorpusChanged { row: first as usize }))
    }
}
