//! The pruned scan of a block of queries: lead, middle, rest, and only then the query's state.
//!
//! Every query starts with the panels of its likeliest cells, alone, so that its threshold is good when the whole block
//! is multiplied with one panel after the other; what it saw at the start it skips later. What the kernel cannot rule
//! out is refined, a panel's hits together: with the middle coordinates, then with the rest, each time against the
//! query's threshold. What is left goes to the [`QueryState`] with an interval about as narrow as the full-width
//! kernel's, so that everything after that is the same as without pruning, and so are the answers.

use std::ops::Range;

use negmine_kernels::dot_i8::{Hit, PANEL, QueryTile, scan_panel};
use negmine_kernels::hits_i8::dot_hits_i8;
use negmine_kernels::isa::Isa;

use crate::base::Result;
use crate::base::parallel::Ticker;

use super::lead::{Lead, LeadQuery, stride};
use super::request::{Candidates, Counters};
use super::rotate::centre;
use super::scan::{pause, sampled_first};
use super::state::{QueryState, Scorer};

/// Panels that a query starts with. Measured at 100,000 documents and k = 10: with 8, 16, 24 and 40 of them 449, 461, 461
/// and 457 Gop/s.
const START_PANELS: usize = 16;

/// Panels of the start after which the threshold is raised.
const RAISE_AFTER: [usize; 4] = [1, 3, 8, 16];

/// The rotated side of a block of queries.
pub(crate) struct LeadBlock<'a> {
    lead: &'a Lead,
    isa: Isa,
    tile: QueryTile,
    queries: Vec<LeadQuery>,
    /// Codes of the lead, the middle and the rest, one row a query.
    codes: [Vec<i8>; 3],
    /// Places of likely documents of every query, the likeliest first.
    likely: Vec<Vec<Range<usize>>>,
    /// Per query, a bit for every panel that it has seen.
    seen: Vec<Vec<u64>>,
    hits: Vec<Hit>,
    left: Vec<Hit>,
    dots: Vec<i32>,
    middles: Vec<i32>,
}

/// What the pieces of a scan share.
pub(crate) struct Shared<'s, 'c, 'r> {
    pub(crate) scorer: Scorer<'s, 'c>,
    pub(crate) candidates: &'r Candidates<'r>,
}

impl<'a> LeadBlock<'a> {
    /// Rotates and quantises the block's queries.
    pub(crate) fn new(lead: &'a Lead, isa: Isa, states: &[QueryState]) -> Self {
        let (width, segments) = (lead.segments.width(), lead.segments);
        let mut rows = vec![0.0; width * states.len()];
        let zeros = vec![0.0; width];
        for (state, row) in states.iter().zip(rows.chunks_exact_mut(width)) {
            centre(state.row(), state.bound.factor(), &zeros, row);
        }
        let mut rotated = vec![0.0; rows.len()];
        lead.rotation.apply(&rows, width, &mut rotated);
        let strides = [segments.lead, stride(segments.middle), stride(segments.rest)];
        let mut codes = strides.map(|stride| vec![0; stride * states.len()]);
        let mut tile = QueryTile::new(segments.lead);
        let mut queries = Vec::with_capacity(states.len());
        let mut leads = Vec::with_capacity(segments.lead * states.len());
        for (i, (state, rotated)) in states.iter().zip(rotated.chunks_exact(width)).enumerate() {
            let [a, b, c] = strides.map(|stride| i * stride..(i + 1) * stride);
            let [first, middle, rest] = &mut codes;
            let own = [&mut first[a.clone()], &mut middle[b], &mut rest[c]];
            let query = LeadQuery::new(lead, isa, state.row(), &state.bound, rotated, own);
            let [error, norm, tail] = query.weights();
            tile.push(&first[a], error, norm, tail, f32::NEG_INFINITY);
            queries.push(query);
            leads.extend_from_slice(&rotated[..segments.lead]);
        }
        let likely = lead.cells.likely(&leads);
        let seen = vec![vec![0; lead.panels().div_ceil(64)]; states.len()];
        let (hits, left, dots, middles) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { lead, isa, tile, queries, codes, likely, seen, hits, left, dots, middles }
    }

    /// Scans some panels; documents stay pending. How much work it was.
    pub(crate) fn scan(
        &mut self,
        states: &mut [QueryState],
        panels: Range<usize>,
        shared: &mut Shared<'_, '_, '_>,
        ticker: &Ticker<'_>,
    ) -> Result<Counters> {
        let mut counters = Counters::default();
        counters.refined += self.start(states, &panels, shared, ticker)?;
        self.renew(states);
        for (done, p) in sampled_first(panels.len()).enumerate() {
            ticker.check()?;
            if pause(done, states, &mut shared.scorer)? {
                self.renew(states);
            }
            let p = panels.start + p;
            self.lead.prefetch(p);
            let mut hits = std::mem::take(&mut self.hits);
            hits.clear();
            scan_panel(self.isa, &self.tile, self.lead.view(p), &mut hits);
            hits.retain(|hit| self.seen[hit.query as usize][p / 64] & (1 << (p % 64)) == 0);
            counters.scanned += (self.lead.documents(p).len() * states.len()) as u64;
            counters.refined += hits.len() as u64;
            self.refine(states, p, &hits, shared)?;
            self.hits = hits;
        }
        Ok(counters)
    }

    /// Every query's likeliest panels: panel by panel, so that each is fetched once, with the queries that want it.
    fn start(
        &mut self,
        states: &mut [QueryState],
        panels: &Range<usize>,
        shared: &mut Shared<'_, '_, '_>,
        ticker: &Ticker<'_>,
    ) -> Result<u64> {
        let mut wanted: Vec<(u32, u32)> = Vec::new();
        for (q, likely) in std::mem::take(&mut self.likely).into_iter().enumerate() {
            let places = likely.into_iter().filter(|places| !places.is_empty());
            let likely = places.flat_map(|places| places.start / PANEL..places.end.div_ceil(PANEL));
            let seen = &mut self.seen[q];
            let fresh = likely.filter(|p| panels.contains(p)).filter(|p| {
                let fresh = seen[p / 64] & (1 << (p % 64)) == 0;
                seen[p / 64] |= 1 << (p % 64);
                fresh
            });
            wanted.extend(fresh.take(START_PANELS).map(|p| (p as u32, q as u32)));
        }
        wanted.sort_unstable();
        let mut refined = 0;
        let mut panels_of = vec![0; states.len()];
        let width = self.lead.segments.lead;
        let mut tile = QueryTile::new(width);
        for wanted in wanted.chunk_by(|a, b| a.0 == b.0) {
            ticker.check()?;
            let p = wanted[0].0 as usize;
            self.lead.prefetch(p);
            tile.clear();
            for &(_, q) in wanted {
                let (q, query) = (q as usize, &self.queries[q as usize]);
                let [error, norm, tail] = query.weights();
                let codes = &self.codes[0][q * width..(q + 1) * width];
                tile.push(codes, error, norm, tail, query.threshold(states[q].threshold()));
            }
            let mut hits = std::mem::take(&mut self.hits);
            hits.clear();
            scan_panel(self.isa, &tile, self.lead.view(p), &mut hits);
            for hit in &mut hits {
                hit.query = wanted[hit.query as usize].1;
            }
            refined += hits.len() as u64;
            self.refine(states, p, &hits, shared)?;
            self.hits = hits;
            for &(_, q) in wanted {
                let q = q as usize;
                panels_of[q] += 1;
                if RAISE_AFTER.contains(&panels_of[q]) {
                    states[q].sift(&mut shared.scorer)?;
                }
            }
        }
        states.iter_mut().try_for_each(|state| state.sift(&mut shared.scorer))?;
        Ok(refined)
    }

    /// The hits of panel `p`.
    fn refine(
        &mut self,
        states: &mut [QueryState],
        p: usize,
        hits: &[Hit],
        shared: &mut Shared<'_, '_, '_>,
    ) -> Result<()> {
        let (lead, segments) = (self.lead, self.lead.segments);
        let documents = lead.documents(p);
        self.dots.resize(hits.len(), 0);
        let middle = stride(segments.middle);
        dot_hits_i8(self.isa, &self.codes[1], lead.refining(p, 0), middle, hits, &mut self.dots);
        self.left.clear();
        self.middles.clear();
        let (mut q, mut least) = (usize::MAX, 0.0);
        for (hit, &dot) in hits.iter().zip(&self.dots) {
            if q != hit.query as usize {
                q = hit.query as usize;
                least = self.queries[q].least_product(states[q].threshold());
            }
            let document = &documents[hit.lane as usize];
            let (product, lost) = self.queries[q].after_middle(document, [hit.dot, dot]);
            #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "doubt never drops a document")]
            if !(product + lost < least) {
                self.left.push(*hit);
                self.middles.push(dot);
            }
        }
        self.dots.clear();
        self.dots.resize(self.left.len(), 0);
        if segments.rest > 0 {
            let rest = stride(segments.rest);
            dot_hits_i8(self.isa, &self.codes[2], lead.refining(p, 1), rest, &self.left, &mut self.dots);
        }
        for ((hit, &middle), &rest) in self.left.iter().zip(&self.middles).zip(&self.dots) {
            let q = hit.query as usize;
            let (state, query) = (&mut states[q], &self.queries[q]);
            let document = &documents[hit.lane as usize];
            let interval = query.interval(document, [hit.dot, middle, rest]);
            if state.take(document.row, interval, document.dd, shared.candidates) {
                state.sift(&mut shared.scorer)?;
                self.tile.set_threshold(q, query.threshold(state.threshold()));
            }
        }
        Ok(())
    }

    /// Thresholds as the states have them now.
    fn renew(&mut self, states: &[QueryState]) {
        for (q, (state, query)) in states.iter().zip(&self.queries).enumerate() {
            self.tile.set_threshold(q, query.threshold(state.threshold()));
        }
    }
}
