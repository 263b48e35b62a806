//! Candidate pools from an external first pass.

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::exact::ExactIndex;
use crate::exact::offers::{Offered, Offers, Sides};

use super::pool::{Pool, PoolRequest, Prepared};

/// A request whose candidates are offered by a first pass of the caller's own.
pub struct PoolOffers {
    prepared: Prepared,
    states: Offers,
}

impl PoolOffers {
    /// States that have seen no document.
    ///
    /// # Errors
    /// As for [`candidates`](super::pool::candidates).
    pub fn begin(
        index: &ExactIndex,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        request: &PoolRequest<'_>,
        run: &Run<'_>,
    ) -> Result<Self> {
        let prepared = Prepared::new(index, corpus, queries, request, run)?;
        let candidates = prepared.candidates(&request.rules);
        let targets = prepared.targets();
        let states = Offers::begin(Sides { index, corpus, queries, candidates: &candidates, targets }, run)?;
        Ok(Self { prepared, states })
    }

    /// The score below which a document cannot enter the pools of each query.
    #[must_use]
    pub fn thresholds(&self) -> Vec<f64> {
        self.states.thresholds()
    }

    /// Takes pairs that a first pass could not rule out; each at most once over all calls.
    ///
    /// # Errors
    /// Returns an error on rows out of range, a score outside its interval, or an interrupt.
    pub fn offer(
        &self,
        index: &ExactIndex,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        request: &PoolRequest<'_>,
        offered: &Offered<'_>,
        run: &Run<'_>,
    ) -> Result<()> {
        let candidates = self.prepared.candidates(&request.rules);
        let targets = self.prepared.targets();
        self.states.offer(Sides { index, corpus, queries, candidates: &candidates, targets }, offered, run)
    }

    /// Scores every pending document that may still enter a pool, and returns the pools.
    ///
    /// # Errors
    /// Returns an error on a score outside its interval, or an interrupt.
    pub fn finish(
        self,
        index: &ExactIndex,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        request: &PoolRequest<'_>,
        run: &Run<'_>,
    ) -> Result<Pool> {
        let Self { prepared, states } = self;
        let candidates = prepared.candidates(&request.rules);
        let targets = prepared.targets();
        let outcome =
            states.finish(Sides { index, corpus, queries, candidates: &candidates, targets }, run)?;
        prepared.pool(outcome, None, request, index.len(), || Ok(()))
    }
}
