//! Candidate pools from ranked lists: what another retriever or scorer found, under the same rules as a scan.
//!
//! A list holds some documents of a query with their scores. Rules, caps, floors and ranks apply to its entries; the
//! candidates that it does not hold are counted as unlisted.

use crate::base::csr::CsrView;
use crate::base::error::check_length;
use crate::base::memory::with_capacity;
use crate::base::order::Scored;
use crate::base::parallel::Run;
use crate::base::{Error, Result};
use crate::exact::result_rows::ResultRows;
use crate::exact::{Counters, Found, Outcome};

use super::pool::{Pool, PoolRequest, Prepared};

/// Queries whose lists are read between two checks for an interrupt.
const QUERIES_PER_ITEM: usize = 256;

/// Entries of one list between two such checks.
const ENTRIES_PER_CHECK: usize = 1 << 16;

/// Lists of scored documents, one per query.
#[derive(Clone, Copy, Debug)]
pub struct ScoredLists<'a> {
    /// Rows of documents, each at most once per query.
    pub documents: CsrView<'a>,
    /// Their scores, which are finite.
    pub scores: &'a [f64],
    /// Number of documents of the corpus.
    pub n_documents: usize,
}

/// Builds the pool from lists.
///
/// # Errors
/// Returns an error on arrays that do not fit each other, rows out of range, lack of memory, or an interrupt.
pub fn candidates(lists: &ScoredLists<'_>, request: &PoolRequest<'_>, run: &Run<'_>) -> Result<Pool> {
    let queries = lists.documents.len();
    check_length("positives", queries, request.rules.positives.len())?;
    check_length("scores", lists.documents.entries(), lists.scores.len())?;
    let positive_scores = lists.positive_scores(request)?;
    let prepared = Prepared::with_scores(lists.n_documents, request, positive_scores, run)?;
    let parts = run.map(queries.div_ceil(QUERIES_PER_ITEM), ResultRows::default, |rows, item, ticker| {
        let mut part = (Vec::new(), Vec::new());
        for query in item * QUERIES_PER_ITEM..((item + 1) * QUERIES_PER_ITEM).min(queries) {
            let (found, listed) = lists.read(query, &prepared, request, rows, || ticker.check())?;
            part.0.extend(found);
            part.1.push(listed);
        }
        Ok(part)
    })?;
    let (mut found, mut listed) = (Vec::new(), Vec::new());
    for part in parts {
        found.extend(part.0);
        listed.extend(part.1);
    }
    let outcome = Outcome { found, counters: Counters::default(), ..Outcome::default() };
    prepared.pool(outcome, Some(&listed), request, lists.n_documents, || run.tick(queries, queries))
}

impl ScoredLists<'_> {
    /// The results of a query's result rows, and the number of candidates in its list.
    fn read(
        &self,
        query: usize,
        prepared: &Prepared,
        request: &PoolRequest<'_>,
        rows: &mut ResultRows,
        check: impl Fn() -> Result<()>,
    ) -> Result<(Vec<Found>, u64)> {
        let targets = prepared.targets();
        let own = targets.offsets[query]..targets.offsets[query + 1];
        rows.begin(&targets.caps[own.clone()], &targets.floors[own], targets.depth)?;
        let candidates = prepared.candidates(&request.rules);
        let mut listed = 0;
        for (place, entry) in self.documents.range(query).enumerate() {
            if place % ENTRIES_PER_CHECK == 0 {
                check()?;
            }
            let row = self.documents.items()[entry];
            let Some(row) = u32::try_from(row).ok().filter(|&row| (row as usize) < self.n_documents) else {
                return Err(Error::RowOutOfRange { argument: "indices", row, rows: self.n_documents });
            };
            if candidates.admits(query, row) {
                listed += 1;
                rows.offer(Scored { score: self.scores[entry], row })?;
            }
        }
        Ok((rows.found()?, listed))
    }

    /// The score of every positive: the given one, else that of its list; NaN if both are missing.
    fn positive_scores(&self, request: &PoolRequest<'_>) -> Result<Vec<f64>> {
        let positives = request.rules.positives;
        let mut scores = with_capacity(positives.entries())?;
        scores.resize(positives.entries(), f64::NAN);
        for query in 0..positives.len() {
            let own = &mut scores[positives.range(query)];
            for entry in self.documents.range(query) {
                if let Ok(place) = positives.row(query).binary_search(&self.documents.items()[entry]) {
                    own[place] = self.scores[entry];
                }
            }
        }
        if let Some(given) = request.given_scores {
            check_length("positive_scores", scores.len(), given.len())?;
            for (score, &given) in scores.iter_mut().zip(given).filter(|(_, given)| !given.is_nan()) {
                *score = given;
            }
        }
        Ok(scores)
    }
}
