//! The pruned scan of a block of queries: the bound of lead, middle and rest coordinates, then the query's state.
//!
//! Every query first scans the panels of its likeliest cells, alone, so that its threshold is high when the whole block
//! is multiplied with one panel after the other; it skips these panels later. Pairs that the kernel cannot rule out are
//! refined, all hits of a panel together: with the middle coordinates, then with the rest, each time against the
//! query's threshold. The remaining pairs go to the [`QueryState`] with an interval about as narrow as that of the
//! full-width kernel, so all later steps, and the results, are the same as without pruning.

use std::ops::Range;

use negmine_kernels::dot_i8::{Hit, PANEL, QueryTile, scan_panel};
use negmine_kernels::hits_i8::dot_hits_i8;
use negmine_kernels::isa::Isa;

use crate::base::Result;
use crate::base::parallel::Ticker;
use crate::scoring::bound::PerLane;
use crate::scoring::pack::sampled_first;
use crate::scoring::prefix_bound::{LeadQuery, Tails};
use crate::scoring::rotation::center;

use super::pruned_index::{Lead, stride};
use super::query_state::QueryState;
use super::rescore::Scorer;
use super::types::{Candidates, Counters};

/// The number of panels that a query starts with. Measured at 100,000 documents with 4, 8, 16, 24 and 32 of them: 730,
/// 725, 715, 698 and 699 Gop/s at k = 1, 569, 557, 565, 549 and 549 at k = 10, 310, 323, 327, 332 and 315 at k = 100.
fn start_panels(depth: usize) -> usize {
    (4 + depth / 5).min(24)
}

/// The rotated side of a block of queries.
pub(crate) struct LeadBlock<'a> {
    lead: &'a Lead,
    isa: Isa,
    tile: QueryTile,
    queries: Vec<LeadQuery>,
    /// Codes of the lead, the middle and the rest, one row per query.
    codes: [Vec<i8>; 3],
    /// Places of likely documents of every query, the likeliest first.
    likely: Vec<Vec<Range<usize>>>,
    /// Pairs of a panel and a query that has scanned it, in ascending order.
    seen: Vec<(u32, u32)>,
    hits: Vec<Hit>,
    left: Vec<Hit>,
    dots: Vec<i32>,
    middles: Vec<i32>,
    /// Errors and norms of a panel.
    lanes: [PerLane; 2],
}

/// A threshold that no bound reaches: in units of the lead's step, which is at least 2^-60, terms are below 1e25. The
/// kernel's floor can still be computed with it.
const NOTHING: f32 = 1e30;

/// The data that the pieces of a scan share.
pub(crate) struct Shared<'m, 's, 'c, 'r> {
    pub(crate) scorer: &'m mut Scorer<'s, 'c>,
    pub(crate) candidates: &'r Candidates<'r>,
    pub(crate) depth: usize,
}

impl<'a> LeadBlock<'a> {
    /// Rotates and quantizes the block's queries.
    pub(crate) fn new(lead: &'a Lead, isa: Isa, states: &[QueryState]) -> Self {
        let (width, segments) = (lead.segments.width(), lead.segments);
        let mut rows = vec![0.0; width * states.len()];
        let zeros = vec![0.0; width];
        for (state, row) in states.iter().zip(rows.chunks_exact_mut(width)) {
            center(state.row(), state.bound.factor(), &zeros, row);
        }
        let mut rotated = vec![0.0; rows.len()];
        lead.rotation.apply(&rows, width, &mut rotated);
        let strides = [segments.lead, stride(segments.middle), stride(segments.rest)];
        let mut codes = strides.map(|stride| vec![0; stride * states.len()]);
        let mut tile = QueryTile::new(segments.lead);
        let tails = Tails::new(&lead.rotation, segments, lead.slack);
        let mut queries = Vec::with_capacity(states.len());
        let mut leads = Vec::with_capacity(segments.lead * states.len());
        for (i, (state, rotated)) in states.iter().zip(rotated.chunks_exact(width)).enumerate() {
            let [a, b, c] = strides.map(|stride| i * stride..(i + 1) * stride);
            let [first, middle, rest] = &mut codes;
            let own = [&mut first[a.clone()], &mut middle[b], &mut rest[c]];
            let query = LeadQuery::new(&lead.rotation, &tails, isa, state.row(), &state.bound, rotated, own);
            let [error, norm, tail] = query.weights();
            tile.push(&first[a], error, norm, tail, f32::NEG_INFINITY);
            queries.push(query);
            leads.extend_from_slice(&rotated[..segments.lead]);
        }
        let likely = lead.cells.likely(&leads);
        Self {
            lead,
            isa,
            tile,
            queries,
            codes,
            likely,
            seen: Vec::new(),
            hits: Vec::new(),
            left: Vec::new(),
            dots: Vec::new(),
            middles: Vec::new(),
            lanes: [[0.0; PANEL]; 2],
        }
    }

    /// Scans some panels; documents stay pending. Returns counts of the work.
    pub(crate) fn scan(
        &mut self,
        states: &mut [QueryState],
        panels: Range<usize>,
        shared: &mut Shared<'_, '_, '_, '_>,
        ticker: &Ticker<'_>,
    ) -> Result<Counters> {
        let mut counters = Counters::default();
        self.renew(states);
        counters.refined += self.start(states, &panels, shared, ticker)?;
        let mut kept = Vec::new();
        for p in sampled_first(panels.len()) {
            ticker.check()?;
            let p = panels.start + p;
            let seen = self.seen.partition_point(|pair| (pair.0 as usize) < p);
            let seen = self.seen[seen..].iter().take_while(|pair| pair.0 as usize == p);
            kept.extend(seen.map(|&(_, q)| (q as usize, self.tile.threshold(q as usize))));
            for &(q, _) in &kept {
                self.tile.set_threshold(q, NOTHING);
            }
            let hits = self.hits(p, None);
            for (q, threshold) in kept.drain(..) {
                self.tile.set_threshold(q, threshold);
            }
            counters.scanned += (self.lead.len(p) * states.len()) as u64;
            counters.refined += hits.len() as u64;
            self.refine(states, p, hits, shared)?;
        }
        Ok(counters)
    }

    /// The hits of panel `p` for all queries, or for the queries of a tile.
    fn hits(&mut self, p: usize, some: Option<&QueryTile>) -> Vec<Hit> {
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        self.lead.prefetch(p);
        scan_panel(self.isa, some.unwrap_or(&self.tile), self.lead.view(p, &mut self.lanes), &mut hits);
        hits
    }

    /// Scans every query's likeliest panels: panel by panel, so that each is fetched once, with the queries that start
    /// with it.
    fn start(
        &mut self,
        states: &mut [QueryState],
        panels: &Range<usize>,
        shared: &mut Shared<'_, '_, '_, '_>,
        ticker: &Ticker<'_>,
    ) -> Result<u64> {
        let start = start_panels(shared.depth);
        let mut needed: Vec<(u32, u32)> = Vec::new();
        for (q, likely) in std::mem::take(&mut self.likely).into_iter().enumerate() {
            let places = likely.into_iter().filter(|places| !places.is_empty());
            let likely = places.flat_map(|places| places.start / PANEL..places.end.div_ceil(PANEL));
            let first = needed.len();
            for p in likely.filter(|p| panels.contains(p)) {
                if needed.len() - first == start {
                    break;
                }
                let pair = (p as u32, q as u32);
                if !needed[first..].contains(&pair) {
                    needed.push(pair);
                }
            }
        }
        needed.sort_unstable();
        let mut refined = 0;
        let width = self.lead.segments.lead;
        let mut tile = QueryTile::new(width);
        for needed in needed.chunk_by(|a, b| a.0 == b.0) {
            ticker.check()?;
            tile.clear();
            for &(_, q) in needed {
                let q = q as usize;
                let [error, norm, tail] = self.queries[q].weights();
                let codes = &self.codes[0][q * width..(q + 1) * width];
                tile.push(codes, error, norm, tail, self.tile.threshold(q));
            }
            let p = needed[0].0 as usize;
            let mut hits = self.hits(p, Some(&tile));
            for hit in &mut hits {
                hit.query = needed[hit.query as usize].1;
            }
            refined += hits.len() as u64;
            self.refine(states, p, hits, shared)?;
        }
        self.seen = needed;
        Ok(refined)
    }

    /// The hits of panel `p`.
    fn refine(
        &mut self,
        states: &mut [QueryState],
        p: usize,
        hits: Vec<Hit>,
        shared: &mut Shared<'_, '_, '_, '_>,
    ) -> Result<()> {
        let (lead, segments) = (self.lead, self.lead.segments);
        let panel = lead.panel(p);
        self.dots.resize(hits.len(), 0);
        let middle = stride(segments.middle);
        dot_hits_i8(self.isa, &self.codes[1], lead.refining(p, 0), middle, &hits, &mut self.dots);
        self.keep(p, &hits);
        self.hits = hits;
        self.dots.clear();
        self.dots.resize(self.left.len(), 0);
        if segments.rest > 0 {
            let rest = stride(segments.rest);
            dot_hits_i8(self.isa, &self.codes[2], lead.refining(p, 1), rest, &self.left, &mut self.dots);
        }
        let mut others = self.middles.iter().zip(&self.dots);
        for left in self.left.chunk_by(|a, b| a.query == b.query) {
            let q = left[0].query as usize;
            let (query, state) = (&self.queries[q], &mut states[q]);
            let before = state.threshold();
            for (hit, (&middle, &rest)) in left.iter().zip(&mut others) {
                let lane = hit.lane as usize;
                let interval = query.interval(panel, lane, [hit.dot, middle, rest]);
                if state.take(panel.rows[lane], interval, shared.candidates)? {
                    state.prune_pending(shared.scorer)?;
                }
            }
            if state.threshold() > before {
                self.tile.set_threshold(q, query.threshold(state.threshold()));
            }
        }
        Ok(())
    }

    /// Keeps the hits that the middle, whose products are in `dots`, does not rule out.
    fn keep(&mut self, p: usize, hits: &[Hit]) {
        let panel = self.lead.panel(p);
        self.left.resize(hits.len(), Hit { query: 0, lane: 0, dot: 0 });
        self.middles.resize(hits.len(), 0);
        let mut left = 0;
        for (hits, dots) in runs(hits, &self.dots) {
            let q = hits[0].query as usize;
            let (bound, threshold) = (self.queries[q].in_panel(panel), self.tile.threshold(q));
            for (hit, &dot) in hits.iter().zip(dots) {
                // The code has no branch, since the processor could not predict it.
                self.left[left] = *hit;
                self.middles[left] = dot;
                let high = bound.high(panel, hit.lane as usize % PANEL, hit.dot, dot);
                #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "doubt never drops a document")]
                let keep = !(high < threshold);
                left += usize::from(keep);
            }
        }
        self.left.truncate(left);
    }

    /// Updates thresholds from the states.
    fn renew(&mut self, states: &[QueryState]) {
        for (q, (state, query)) in states.iter().zip(&self.queries).enumerate() {
            self.tile.set_threshold(q, query.threshold(state.threshold()));
        }
    }
}

/// Runs of hits of one query, each with its part of `dots`.
fn runs<'h>(hits: &'h [Hit], mut dots: &'h [i32]) -> impl Iterator<Item = (&'h [Hit], &'h [i32])> {
    hits.chunk_by(|a, b| a.query == b.query).map(move |run| {
        let (own, rest) = dots.split_at(run.len());
        dots = rest;
        (run, own)
    })
}
