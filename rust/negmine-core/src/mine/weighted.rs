//! Random negatives in proportion to weights, without replacement, such as popular documents: the candidates of rules 1
//! to 5 in the order in which clocks at the rates of their weights first ring, as far as cap and floor admit them.
//!
//! The order depends on the rules and the weights alone, so every source of candidates gets the same one. Given the
//! clocks of all others, a document is drawn if it rings before the first admitted document that is not drawn. The
//! probability of this needs no sum over the admitted documents, so caps and floors do not hide it.

use crate::base::Result;
use crate::base::error::check_length;
use crate::base::memory::{reserve, with_capacity};
use crate::base::order::Scored;
use crate::base::padded::Padded;
use crate::base::parallel::{Run, Ticker};
use crate::base::philox::{Draws, Stream};
use crate::sampling::Alias;
use crate::sampling::clocks::{Clocks, FirstRing};

use super::eligible::Ruled;
use super::random::{RandomRequest, ScorePairs, scores_of};

/// Result rows of one query that share its excluded documents.
const ROWS_PER_ITEM: usize = 64;

/// Pairs that are scored at once, unless one row has more.
const PAIRS_PER_ROUND: usize = 1 << 20;

/// A row that caps or floors leave short looks at this many times as many documents in its next round.
const GROWTH: usize = 4;

/// Drawn documents, and the log-probability that each is drawn, given the clocks of the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weighted {
    /// The documents of every result row, in the order drawn, with their scores.
    pub documents: Padded,
    /// Log-probabilities, padded with NaN, row-major.
    pub log_probs: Vec<f64>,
}

/// Draws `n` documents per result row in proportion to `weights`, in the order drawn, or as many as there are of weight
/// above 0. Documents whose score is known to lie above the cap or below the floor are passed over.
///
/// # Errors
/// Returns an error on arrays that do not fit each other, an error of `score`, lack of memory, or an interrupt.
pub fn weighted_negatives(
    documents: usize,
    request: &RandomRequest<'_>,
    weights: &Alias,
    score: &mut ScorePairs<'_>,
    run: &Run<'_>,
) -> Result<Weighted> {
    let rows = request.check()?;
    check_length("random_weights", documents, weights.len())?;
    let ruled = run.part(0..0, rows, |run| request.rules.resolve(documents, run))?;
    let draws = Draws::new(request.seed, Stream::NumRandom);
    let draw = Draw { request, weights, ruled: &ruled, draws: &draws };
    let mut drawn: Vec<Drawn> = with_capacity(rows)?;
    drawn.resize_with(rows, Drawn::default);
    let mut active: Vec<usize> =
        (0..rows).filter(|&r| request.n > 0 && !request.cap_scores[r].is_nan()).collect();
    while !active.is_empty() {
        let finished = rows - active.len();
        let mut rest = &active[..];
        while !rest.is_empty() {
            let (some, others) = rest.split_at(draw.rows_of_a_round(rest, &drawn));
            rest = others;
            let found = run.part(finished..finished, rows, |run| draw.round(some, &drawn, run))?;
            draw.add(some, found, &mut drawn, score)?;
        }
        active.retain(|&r| !drawn[r].is_complete);
    }
    padded(request.n, drawn, run)
}

/// What all rounds share.
struct Draw<'a> {
    request: &'a RandomRequest<'a>,
    weights: &'a Alias,
    ruled: &'a Ruled<'a>,
    draws: &'a Draws,
}

/// The documents of a row so far.
#[derive(Clone, Default)]
struct Drawn {
    /// Number of documents that were looked at, the first to ring.
    looked_at: usize,
    /// Those within cap and floor, with their scores.
    taken: Vec<(FirstRing, f64)>,
    /// The first ring of a document within cap and floor that is not taken; infinity if there is none.
    end: f64,
    is_complete: bool,
}

/// The documents that a row looks at next, and the time of the first ring after these.
type Found = (Vec<FirstRing>, f64);

impl Draw<'_> {
    /// The number of documents, from the first on, that row `r` has looked at after its next round. A row without caps
    /// and floors takes the first `n`; others must also find the first one that is not taken.
    fn goal(&self, r: usize, looked_at: usize) -> usize {
        let n = self.request.n;
        let goal = match looked_at {
            0 if self.takes_all(r) => n,
            0 => n + 1,
            _ => looked_at.saturating_mul(GROWTH),
        };
        goal.min(self.weights.len())
    }

    fn takes_all(&self, r: usize) -> bool {
        self.request.cap_scores[r] == f64::INFINITY && self.request.floor_scores[r] == f64::NEG_INFINITY
    }

    /// How many of the rows, at least one, are looked at together.
    fn rows_of_a_round(&self, rows: &[usize], drawn: &[Drawn]) -> usize {
        let mut pairs = 0;
        let fit = rows.iter().take_while(|&&r| {
            let looked_at = drawn[r].looked_at;
            pairs += self.goal(r, looked_at) - looked_at;
            pairs <= PAIRS_PER_ROUND
        });
        fit.count().max(1)
    }

    /// The documents that rows look at next.
    fn round(&self, rows: &[usize], drawn: &[Drawn], run: &Run<'_>) -> Result<Vec<Found>> {
        let query = |r: usize| self.request.query_indices[r];
        let of_query = rows.chunk_by(|&a, &b| query(a) == query(b));
        let items: Vec<&[usize]> = of_query.flat_map(|rows| rows.chunks(ROWS_PER_ITEM)).collect();
        let found = run.map(
            items.len(),
            || (),
            |(), item, ticker| {
                let Some(&first) = items[item].first() else { return Ok(Vec::new()) };
                let excluded = self.ruled.excluded_rows(query(first) as usize);
                let look = |&r: &usize| self.look(r, drawn[r].looked_at, &excluded, ticker);
                items[item].iter().map(look).collect::<Result<Vec<Found>>>()
            },
        )?;
        Ok(found.into_iter().flatten().collect())
    }

    fn look(&self, r: usize, looked_at: usize, excluded: &[u32], ticker: &Ticker<'_>) -> Result<Found> {
        ticker.check()?;
        let query = self.request.query_indices[r];
        let mut forbidden: Vec<i64> = with_capacity(excluded.len() + self.request.chosen(r).len())?;
        forbidden.extend(excluded.iter().map(|&row| i64::from(row)));
        forbidden.extend(self.request.chosen(r).iter().filter(|&&row| row >= 0));
        forbidden.sort_unstable();
        forbidden.dedup();
        let clocks = Clocks {
            weights: self.weights,
            forbidden: &forbidden,
            eligible: self.ruled.candidates().eligible,
            query: query as usize,
            draws: self.draws,
            epoch: self.request.epoch,
            global_query: self.request.query_offset + query as u64,
            lane: self.request.positive_indices.map_or(0, |rows| (rows[r] + 1) as u64),
        };
        let (mut rings, end) = clocks.first(self.goal(r, looked_at), self.request.n, ticker)?;
        rings.drain(..looked_at.min(rings.len()));
        Ok((rings, end))
    }

    /// Scores what rows looked at, and takes what cap and floor admit.
    fn add(
        &self,
        rows: &[usize],
        found: Vec<Found>,
        drawn: &mut [Drawn],
        score: &mut ScorePairs<'_>,
    ) -> Result<()> {
        let (mut queries, mut documents) = (Vec::new(), Vec::new());
        for (&r, (rings, _)) in rows.iter().zip(&found) {
            reserve(&mut queries, rings.len())?;
            reserve(&mut documents, rings.len())?;
            queries.extend(rings.iter().map(|_| self.request.query_indices[r]));
            documents.extend(rings.iter().map(|ring| i64::from(ring.row)));
        }
        let mut scores = scores_of(&queries, &documents, score)?.into_iter();
        for (&r, (rings, end)) in rows.iter().zip(found) {
            let Drawn { looked_at, taken, end: first_left, is_complete } = &mut drawn[r];
            *looked_at += rings.len();
            let scored = rings.into_iter().zip(scores.by_ref());
            taken.extend(scored.filter(|&(_, score)| self.request.admits(r, score)));
            if let Some(left) = taken.get(self.request.n) {
                (*first_left, *is_complete) = (left.0.time, true);
            } else if self.takes_all(r) || end == f64::INFINITY {
                (*first_left, *is_complete) = (end, true);
            }
            taken.truncate(self.request.n);
        }
        Ok(())
    }
}

fn padded(n: usize, drawn: Vec<Drawn>, run: &Run<'_>) -> Result<Weighted> {
    let mut log_probs: Vec<f64> = with_capacity(drawn.len().saturating_mul(n))?;
    for Drawn { taken, end, .. } in &drawn {
        let row_end = log_probs.len() + n;
        log_probs.extend(taken.iter().map(|(ring, _)| ring.log_inclusion(*end)));
        log_probs.resize(row_end, f64::NAN);
    }
    let scored =
        |one: Drawn| one.taken.iter().map(|&(ring, score)| Scored { score, row: ring.row }).collect();
    Ok(Weighted { documents: Padded::from_lists(n, drawn.into_iter().map(scored), run)?, log_probs })
}
