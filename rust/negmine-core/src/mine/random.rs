//! Random negatives in addition to the mined ones: uniform over the candidates of rules 1 to 5 (STAR's static and
//! random mix, Zhan et al., SIGIR 2021).
//!
//! The draws depend on the rules alone. The caller provides scores, for one round of pairs at a time, so every source
//! of candidates gets the same draws.

use crate::base::complement::row_of_rank;
use crate::base::error::check_length;
use crate::base::memory::reserve;
use crate::base::order::Scored;
use crate::base::padded::Padded;
use crate::base::parallel::{Run, Ticker};
use crate::base::philox::{Draws, Stream, below};
use crate::base::{Error, Result};

use super::eligible::{Ruled, Rules};

/// Draws per requested document before a row gives up.
const DRAWS_PER_DOCUMENT: usize = 64;

/// Draws between two checks for an interrupt: below a millisecond.
const DRAWS_PER_CHECK: u64 = 1024;

/// Documents searched for a query's candidates between two such checks.
const DOCUMENTS_PER_CHECK: usize = 1 << 14;

/// Result rows of one query that share a list of its candidates.
const ROWS_PER_ITEM: usize = 1024;

/// Scores of (query, document) pairs: as many as there are pairs, NaN where a score is unknown.
pub type ScorePairs<'a> = dyn FnMut(&[i64], &[i64]) -> Result<Vec<f64>> + 'a;

/// The inputs of the draws of every result row.
#[derive(Clone, Copy, Debug)]
pub struct RandomRequest<'a> {
    /// The candidate rules.
    pub rules: Rules<'a>,
    /// Query of every result row, counted from the first of the call.
    pub query_indices: &'a [i64],
    /// Positive of every result row, where draws depend on it (`reference="each"`).
    pub positive_indices: Option<&'a [i64]>,
    /// Highest admitted score of every result row; NaN if the row gets no negatives.
    pub cap_scores: &'a [f64],
    /// Lowest admitted score of every result row.
    pub floor_scores: &'a [f64],
    /// The documents that were already chosen, row-major and padded with -1.
    pub chosen: &'a [i64],
    /// Row of the first query in every draw.
    pub query_offset: u64,
    /// Documents to draw per result row.
    pub n: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Epoch of the draws.
    pub epoch: u64,
}

/// Draws up to `n` documents per result row, in the order drawn, with their scores. Documents whose score is known to
/// lie above the cap or below the floor are skipped.
///
/// # Errors
/// Returns an error on arrays that do not fit each other, an error of `score`, or an interrupt.
pub fn random_negatives(
    documents: usize,
    request: &RandomRequest<'_>,
    score: &mut ScorePairs<'_>,
    run: &Run<'_>,
) -> Result<Padded> {
    let rows = request.check()?;
    let ruled = run.part(0..0, rows, |run| request.rules.resolve(documents, run))?;
    let draws = Draws::new(request.seed, Stream::NumRandom);
    let mut drawn: Vec<Vec<Scored>> = vec![Vec::new(); rows];
    let mut active: Vec<(usize, u64)> =
        (0..rows).filter(|&r| request.n > 0 && !request.cap_scores[r].is_nan()).map(|r| (r, 0)).collect();
    while !active.is_empty() {
        let finished = rows - active.len();
        let proposals = run.part(finished..finished, rows, |run| {
            request.round(&active, &ruled, documents, &drawn, &draws, run)
        })?;
        let mut queries = Vec::new();
        let mut proposed = Vec::new();
        for (&(r, _), proposal) in active.iter().zip(&proposals) {
            reserve(&mut queries, proposal.rows.len())?;
            reserve(&mut proposed, proposal.rows.len())?;
            queries.extend(proposal.rows.iter().map(|_| request.query_indices[r]));
            proposed.extend(proposal.rows.iter().map(|&row| i64::from(row)));
        }
        let mut scores = scores_of(&queries, &proposed, score)?.into_iter();
        let mut next = Vec::new();
        for (&(r, _), proposal) in active.iter().zip(proposals) {
            reserve(&mut drawn[r], proposal.rows.len())?;
            let found = proposal.rows.iter().zip(scores.by_ref());
            drawn[r].extend(
                found
                    .map(|(&row, score)| Scored { score, row })
                    .filter(|scored| request.admits(r, scored.score)),
            );
            if !proposal.is_last && drawn[r].len() < request.n {
                next.push((r, proposal.next));
            }
        }
        active = next;
    }
    Padded::from_lists(request.n, drawn.into_iter(), run)
}

/// The scores of pairs, as many as there are pairs.
pub(super) fn scores_of(queries: &[i64], documents: &[i64], score: &mut ScorePairs<'_>) -> Result<Vec<f64>> {
    let scores = if documents.is_empty() { Vec::new() } else { score(queries, documents)? };
    check_length("scores", documents.len(), scores.len())?;
    Ok(scores)
}

/// Documents that a row draws next.
struct Proposal {
    rows: Vec<u32>,
    /// Number of the draw after the last of these.
    next: u64,
    /// Whether no later draw could add a document.
    is_last: bool,
}

impl RandomRequest<'_> {
    /// Checks the lengths of the arrays against each other; returns the number of result rows.
    pub(super) fn check(&self) -> Result<usize> {
        let rows = self.query_indices.len();
        check_length("cap_scores", rows, self.cap_scores.len())?;
        check_length("floor_scores", rows, self.floor_scores.len())?;
        if let Some(positive_indices) = self.positive_indices {
            check_length("positive_indices", rows, positive_indices.len())?;
        }
        let queries = self.rules.positives.len();
        if let Some(&row) = self.query_indices.iter().find(|&&i| i < 0 || i >= queries as i64) {
            return Err(Error::RowOutOfRange { argument: "query_indices", row, rows: queries });
        }
        check_length("chosen", rows * self.chosen_width(), self.chosen.len())?;
        Ok(rows)
    }

    fn chosen_width(&self) -> usize {
        self.chosen.len().checked_div(self.query_indices.len()).unwrap_or(0)
    }

    /// The documents that were already chosen for row `r`, padded with -1.
    pub(super) fn chosen(&self, r: usize) -> &[i64] {
        &self.chosen[r * self.chosen_width()..(r + 1) * self.chosen_width()]
    }

    /// Whether row `r` takes a document of that score, which may be unknown.
    pub(super) fn admits(&self, r: usize, score: f64) -> bool {
        score.is_nan() || (score <= self.cap_scores[r] && score >= self.floor_scores[r])
    }

    /// The next draws of every active row. Rows of one query share its candidates, and there may be as many such rows
    /// as the query has positives.
    fn round(
        &self,
        active: &[(usize, u64)],
        ruled: &Ruled<'_>,
        documents: usize,
        drawn: &[Vec<Scored>],
        draws: &Draws,
        run: &Run<'_>,
    ) -> Result<Vec<Proposal>> {
        let query = |r: usize| self.query_indices[r];
        let of_query = active.chunk_by(|a, b| query(a.0) == query(b.0));
        let items: Vec<&[(usize, u64)]> = of_query.flat_map(|rows| rows.chunks(ROWS_PER_ITEM)).collect();
        let proposals = run.map(
            items.len(),
            || (),
            |(), item, ticker| {
                let Some(&(first, _)) = items[item].first() else { return Ok(Vec::new()) };
                let numbered = Numbered::new(ruled, query(first) as usize, documents, ticker)?;
                let propose = |&(r, first): &(usize, u64)| {
                    ticker.check()?;
                    self.propose(r, first, &numbered, &drawn[r], draws, || ticker.check())
                };
                items[item].iter().map(propose).collect::<Result<Vec<Proposal>>>()
            },
        )?;
        Ok(proposals.into_iter().flatten().collect())
    }

    /// The documents of row `r` from draw `first` on, as many as it still lacks; repeats are skipped.
    fn propose(
        &self,
        r: usize,
        first: u64,
        numbered: &Numbered,
        drawn: &[Scored],
        draws: &Draws,
        mut check: impl FnMut() -> Result<()>,
    ) -> Result<Proposal> {
        let query = self.query_offset + self.query_indices[r] as u64;
        let positive = self.positive_indices.map(|rows| rows[r]);
        let chosen = self.chosen(r);
        let (lacking, last) = (self.n - drawn.len(), (DRAWS_PER_DOCUMENT * self.n) as u64);
        let mut rows: Vec<u32> = Vec::with_capacity(lacking);
        let mut t = first;
        let all = numbered.count <= drawn.len() as u64;
        while !all && t < last && rows.len() < lacking {
            if t % DRAWS_PER_CHECK == DRAWS_PER_CHECK - 1 {
                check()?;
            }
            let x = draws.by_number(self.epoch, query, positive, t);
            let row = numbered.row(below(x, numbered.count));
            t += 1;
            let repeats = rows.contains(&row) || drawn.iter().any(|other| other.row == row);
            if !repeats && !chosen.contains(&i64::from(row)) {
                rows.push(row);
            }
        }
        Ok(Proposal { rows, next: t, is_last: all || t == last })
    }
}

/// The candidates of one query, numbered in row order.
struct Numbered {
    count: u64,
    rows: Rank,
}

enum Rank {
    /// All rows except these: candidate number c is the c-th row that is not listed.
    AllBut(Vec<u32>),
    /// These rows.
    Only(Vec<u32>),
}

impl Numbered {
    fn new(ruled: &Ruled<'_>, i: usize, documents: usize, ticker: &Ticker<'_>) -> Result<Self> {
        let candidates = ruled.candidates();
        if !candidates.eligible.is_empty() {
            let mut rows = Vec::new();
            for first in (0..documents).step_by(DOCUMENTS_PER_CHECK) {
                ticker.check()?;
                let some = first as u32..(first + DOCUMENTS_PER_CHECK).min(documents) as u32;
                rows.extend(some.filter(|&row| candidates.admits(i, row)));
            }
            return Ok(Self { count: rows.len() as u64, rows: Rank::Only(rows) });
        }
        let excluded = ruled.excluded_rows(i);
        Ok(Self { count: (documents - excluded.len()) as u64, rows: Rank::AllBut(excluded) })
    }

    fn row(&self, number: u64) -> u32 {
        match &self.rows {
            Rank::Only(rows) => rows[number as usize],
            Rank::AllBut(excluded) => row_of_rank(excluded, number) as u32,
        }
    }
}
