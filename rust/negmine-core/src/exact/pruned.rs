//! The pruned scan of a block of queries: lead, middle, rest, and only then the query's state.
//!
//! A panel's lead is multiplied with the whole block. What the kernel cannot rule out is refined panel by panel, query
//! by query: with the middle coordinates, then with the rest, each time against the query's threshold. What is left goes
//! to the [`QueryState`] with an interval about as narrow as the full-width kernel's, so that everything after that
//! is the same as without pruning, and so are the answers.

use negmine_kernels::dot_i8::{Hit, QueryTile, scan_panel};
use negmine_kernels::isa::Isa;
use negmine_kernels::rows_i8::dot_rows_i8;

use crate::base::Result;
use crate::base::parallel::Ticker;

use super::lead::{Lead, LeadQuery, stride};
use super::request::{Candidates, Counters};
use super::rotate::centre;
use super::scan::{Pace, sampled_first};
use super::state::{QueryState, Scorer};

/// The rotated side of a block of queries.
pub(crate) struct LeadBlock<'a> {
    lead: &'a Lead,
    isa: Isa,
    tile: QueryTile,
    queries: Vec<LeadQuery>,
    /// Codes of the middle and of the rest, one row a query.
    codes: [Vec<i8>; 2],
    hits: Vec<Hit>,
    left: Vec<Left>,
    places: Vec<u32>,
    dots: Vec<i32>,
}

/// A document of the panel that one query has to look at again.
#[derive(Clone, Copy)]
struct Left {
    lane: u32,
    dots: [i32; 2],
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
        let strides = [stride(segments.middle), stride(segments.rest)];
        let mut codes = strides.map(|stride| vec![0; stride * states.len()]);
        let mut tile = QueryTile::new(segments.lead);
        let mut first = vec![0; segments.lead];
        let mut queries = Vec::with_capacity(states.len());
        for (i, (state, rotated)) in states.iter().zip(rotated.chunks_exact(width)).enumerate() {
            let [middle, rest] = &mut codes;
            let own = [
                &mut first[..],
                &mut middle[i * strides[0]..(i + 1) * strides[0]],
                &mut rest[i * strides[1]..(i + 1) * strides[1]],
            ];
            let query = LeadQuery::new(lead, isa, state.row(), &state.bound, rotated, own);
            let [error, norm, tail] = query.weights();
            tile.push(&first, error, norm, tail, f32::NEG_INFINITY);
            queries.push(query);
        }
        let (hits, left, places, dots) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { lead, isa, tile, queries, codes, hits, left, places, dots }
    }

    /// Scans some panels; documents stay pending. How much work it was.
    pub(crate) fn scan(
        &mut self,
        states: &mut [QueryState],
        candidates: &Candidates<'_>,
        panels: std::ops::Range<usize>,
        scorer: &mut Scorer<'_, '_>,
        ticker: &Ticker<'_>,
    ) -> Result<Counters> {
        let mut counters = Counters::default();
        self.renew(states);
        for (done, p) in sampled_first(panels.len()).enumerate() {
            ticker.check()?;
            if Pace::after(done).apply(states, scorer)? {
                self.renew(states);
            }
            let p = panels.start + p;
            let mut hits = std::mem::take(&mut self.hits);
            hits.clear();
            scan_panel(self.isa, &self.tile, self.lead.view(p), &mut hits);
            counters.scanned += (self.lead.documents(p).len() * states.len()) as u64;
            counters.refined += hits.len() as u64;
            for hits in hits.chunk_by(|a, b| a.query == b.query) {
                self.refine(&mut states[hits[0].query as usize], candidates, p, hits, scorer)?;
            }
            self.hits = hits;
        }
        Ok(counters)
    }

    /// The hits of one query in panel `p`.
    fn refine(
        &mut self,
        state: &mut QueryState,
        candidates: &Candidates<'_>,
        p: usize,
        hits: &[Hit],
        scorer: &mut Scorer<'_, '_>,
    ) -> Result<()> {
        let q = hits[0].query as usize;
        let query = &self.queries[q];
        let documents = self.lead.documents(p);
        let segments = self.lead.segments;

        self.places.clear();
        self.places.extend(hits.iter().map(|hit| hit.lane));
        self.dots.resize(hits.len().max(self.dots.len()), 0);
        let own = stride(segments.middle);
        let codes = &self.codes[0][q * own..][..segments.middle];
        let dots = &mut self.dots[..hits.len()];
        dot_rows_i8(self.isa, codes, self.lead.refining(p, 0), own, &self.places, dots);
        let least = query.least_product(state.threshold());
        self.left.clear();
        for (hit, &dot) in hits.iter().zip(dots.iter()) {
            let (product, lost) = query.after_middle(&documents[hit.lane as usize], [hit.dot, dot]);
            // Negated, so that a NaN is kept.
            #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "doubt never drops a document")]
            if !(product + lost < least) {
                self.left.push(Left { lane: hit.lane, dots: [hit.dot, dot] });
            }
        }
        if self.left.is_empty() {
            return Ok(());
        }

        self.places.clear();
        self.places.extend(self.left.iter().map(|left| left.lane));
        let dots = &mut self.dots[..self.left.len()];
        if segments.rest == 0 {
            dots.fill(0);
        } else {
            let own = stride(segments.rest);
            let codes = &self.codes[1][q * own..][..segments.rest];
            dot_rows_i8(self.isa, codes, self.lead.refining(p, 1), own, &self.places, dots);
        }
        for (left, &dot) in self.left.iter().zip(dots.iter()) {
            let document = &documents[left.lane as usize];
            let interval = query.interval(document, [left.dots[0], left.dots[1], dot]);
            if state.take(document.row, interval, document.dd, candidates) {
                state.sift(scorer)?;
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
