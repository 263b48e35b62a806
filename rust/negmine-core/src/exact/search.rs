//! Exact top-k search without mining rules.

use crate::base::Result;
use crate::base::csr::{CsrView, Lists};
use crate::base::error::check_length;
use crate::base::key_ranges::KeyRanges;
use crate::base::matrix::Rows;
use crate::base::padded::Padded;
use crate::base::parallel::Run;

use super::index::ExactIndex;
use super::types::{Candidates, Outcome, Targets};

/// Queries whose exclusions are read between two checks for an interrupt.
const QUERIES_PER_CHECK: usize = 1024;

/// The parameters of a search.
#[derive(Clone, Copy, Debug)]
pub struct SearchRequest<'a> {
    /// Documents per query.
    pub k: usize,
    /// Per query, the rows that are never results, in ascending order.
    pub exclude: Option<CsrView<'a>>,
    /// No score above this.
    pub max_score: Option<f64>,
    /// Rules of keys, all of which must admit a document.
    pub eligible: &'a [KeyRanges<'a>],
}

impl ExactIndex {
    /// The best `k` documents of every query.
    ///
    /// # Errors
    /// Returns an error on arrays that do not fit each other, values that are not finite, or an interrupt.
    pub fn search(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        request: &SearchRequest<'_>,
        run: &Run<'_>,
    ) -> Result<Outcome> {
        if let Some(exclude) = request.exclude {
            check_length("exclude", queries.len(), exclude.len())?;
        }
        let steps = self.steps(queries.len());
        let mut banned = Lists::default();
        for i in 0..queries.len() {
            if i.is_multiple_of(QUERIES_PER_CHECK) {
                run.tick(0, steps)?;
            }
            let Some(exclude) = request.exclude else {
                banned.push_row([]);
                continue;
            };
            exclude.check_row("exclude", i, self.len(), false)?;
            banned.push_row(exclude.row(i).iter().map(|&row| row as u32));
        }
        for ranges in request.eligible {
            ranges.check(queries.len(), self.len())?;
        }
        let candidates =
            Candidates { banned: &banned, groups: None, eligible: request.eligible, picked: None };
        let cap = request.max_score.unwrap_or(f64::INFINITY);
        let targets = Targets::one_per_query(queries.len(), cap, request.k.min(self.len()));
        self.scan(corpus, queries, &candidates, &targets, run)
    }

    /// The best `k` documents of every query as arrays of width `k`, padded if fewer exist.
    ///
    /// # Errors
    /// As for [`ExactIndex::search`], or on lack of memory for the arrays.
    pub fn top_k(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        request: &SearchRequest<'_>,
        run: &Run<'_>,
    ) -> Result<Padded> {
        let found = self.search(corpus, queries, request, run)?.found;
        let steps = self.steps(queries.len());
        run.part(steps..steps, steps, |run| {
            Padded::from_lists(request.k, found.into_iter().map(|found| found.best), run)
        })
    }
}
