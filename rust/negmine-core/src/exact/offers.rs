//! Exact search from an external first pass, which offers (query, document) pairs with score intervals.
//!
//! A first pass outside this crate (a GPU, another machine, a test) computes an interval per (query, document) pair and
//! offers the pairs that it cannot rule out. The query states are those of the scan, so the results equal those of the
//! scan, bit for bit.

use std::sync::{Mutex, MutexGuard, PoisonError};

use negmine_kernels::dot_i8::padded_width;

use crate::base::error::check_length;
use crate::base::matrix::Rows;
use crate::base::memory::with_capacity;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

use super::index::ExactIndex;
use super::query_state::QueryState;
use super::types::{Candidates, Counters, Outcome, Targets};

/// Pairs that a first pass could not rule out, with intervals that hold their scores; NaN if no bound is known.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// Query of every pair.
    pub queries: &'a [i64],
    /// Document of every pair.
    pub documents: &'a [i64],
    /// Lower ends.
    pub low: &'a [f64],
    /// Upper ends.
    pub high: &'a [f64],
}

impl Offered<'_> {
    fn check(&self, queries: usize, documents: usize) -> Result<()> {
        for (argument, length) in
            [("document_indices", self.documents.len()), ("low", self.low.len()), ("high", self.high.len())]
        {
            check_length(argument, self.queries.len(), length)?;
        }
        for (argument, rows, count) in
            [("query_indices", self.queries, queries), ("document_indices", self.documents, documents)]
        {
            if let Some(&row) = rows.iter().find(|&&row| row < 0 || row >= count as i64) {
                return Err(Error::RowOutOfRange { argument, row, rows: count });
            }
        }
        Ok(())
    }

    /// The interval of pair `i` in the form that a query state takes.
    fn interval(&self, i: usize) -> (f64, f64) {
        let (low, high) = (self.low[i], self.high[i]);
        (if low.is_nan() { f64::NEG_INFINITY } else { low }, if high.is_nan() { f64::INFINITY } else { high })
    }
}

/// The states of all queries of one request.
pub struct Offers {
    states: Vec<Mutex<QueryState>>,
}

/// The data that the states of a request refer to; they must be the same in every call.
#[derive(Clone, Copy)]
pub struct Sides<'a, 'c, 'q, 'r> {
    /// The index.
    pub index: &'a ExactIndex,
    /// The documents that were indexed.
    pub corpus: &'a Rows<'c>,
    /// The queries.
    pub queries: &'a Rows<'q>,
    /// The candidate rules.
    pub candidates: &'a Candidates<'r>,
    /// The result rows.
    pub targets: &'a Targets,
}

impl Offers {
    /// States that have seen no document.
    ///
    /// # Errors
    /// Returns an error on shapes that do not fit the index, values that are not finite, lack of memory, or an
    /// interrupt.
    pub fn begin(sides: Sides<'_, '_, '_, '_>, run: &Run<'_>) -> Result<Self> {
        let Sides { index, corpus, queries, candidates, targets } = sides;
        index.check_sides(corpus, queries)?;
        let tiles = index.kept_tiles();
        let packed = index.packed_rows(tiles.as_deref());
        let scan = index.request(corpus, queries, candidates, targets, packed, run);
        let width = index.width();
        let states = run.map(
            queries.len(),
            || (vec![0.0; width], vec![0; padded_width(width)]),
            |(row, codes), query, ticker| {
                ticker.check()?;
                Ok(Mutex::new(scan.state(query, row, codes)?))
            },
        )?;
        Ok(Self { states })
    }

    /// The score below which a document cannot enter the results of each query; +inf if a query needs no documents.
    #[must_use]
    pub fn thresholds(&self) -> Vec<f64> {
        self.states.iter().map(|state| lock(state).threshold()).collect()
    }

    /// Takes pairs, each at most once over all calls.
    ///
    /// # Errors
    /// Returns an error on rows out of range, lengths that differ, a score outside its interval, lack of memory, or an
    /// interrupt.
    pub fn offer(&self, sides: Sides<'_, '_, '_, '_>, offered: &Offered<'_>, run: &Run<'_>) -> Result<()> {
        let Sides { index, corpus, queries, candidates, targets } = sides;
        index.check_sides(corpus, queries)?;
        offered.check(self.states.len(), index.len())?;
        let mut order = with_capacity(offered.queries.len())?;
        order.extend(0..offered.queries.len());
        order.sort_by_key(|&i| offered.queries[i]);
        let of_query: Vec<&[usize]> =
            order.chunk_by(|&a, &b| offered.queries[a] == offered.queries[b]).collect();
        let tiles = index.kept_tiles();
        let packed = index.packed_rows(tiles.as_deref());
        let scan = index.request(corpus, queries, candidates, targets, packed, run);
        run.map(
            of_query.len(),
            || (),
            |(), item, ticker| {
                let mut scorer = scan.scorer(packed, ticker);
                let mut state = lock(&self.states[offered.queries[of_query[item][0]] as usize]);
                for &i in of_query[item] {
                    ticker.check()?;
                    if state.take(offered.documents[i] as u32, offered.interval(i), candidates)? {
                        state.prune_pending(&mut scorer)?;
                    }
                }
                Ok(())
            },
        )?;
        Ok(())
    }

    /// Scores every pending document that may still enter a result, and returns the outcome.
    ///
    /// # Errors
    /// Returns an error on a score outside its interval, lack of memory, or an interrupt.
    pub fn finish(self, sides: Sides<'_, '_, '_, '_>, run: &Run<'_>) -> Result<Outcome> {
        let Sides { index, corpus, queries, candidates, targets } = sides;
        index.check_sides(corpus, queries)?;
        let tiles = index.kept_tiles();
        let packed = index.packed_rows(tiles.as_deref());
        let scan = index.request(corpus, queries, candidates, targets, packed, run);
        let parts = run.map(
            self.states.len(),
            || (),
            |(), query, ticker| {
                ticker.check()?;
                let mut state = lock(&self.states[query]);
                state.finish(&mut scan.scorer(packed, ticker))?;
                Ok((state.found()?, state.counters(), state.start(), state.bound.is_zero_cosine()))
            },
        )?;
        let mut outcome = Outcome { found: with_capacity(targets.caps.len())?, ..Outcome::default() };
        let mut counters = Counters::default();
        for (found, own, start, is_zero) in parts {
            outcome.found.extend(found);
            counters.add([own]);
            outcome.starts.push(start);
            outcome.zero_queries += u64::from(is_zero);
        }
        outcome.counters = counters;
        scan.check_starts(&outcome)?;
        Ok(outcome)
    }
}

fn lock(state: &Mutex<QueryState>) -> MutexGuard<'_, QueryState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
