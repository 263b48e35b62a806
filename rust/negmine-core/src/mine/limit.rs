//! Deferred acceptance (Gale and Shapley 1962), for the limit of `cap` result rows per document.
//!
//! Rows propose in their policy's order; a document keeps its best `cap` proposals by (score, then lower result row).
//! The row-optimal stable assignment is unique, so the order in which rows propose does not matter.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use crate::base::Result;
use crate::base::parallel::{Pace, Run};
use crate::base::philox::{Draws, Stream};

use super::order::{LogProbs, Order};
use super::reason::Reason;
use super::select::{Choice, Chosen, PoolView};

/// A proposal that a document holds; greater is better for the document.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Proposal {
    score: f64,
    row: usize,
    rank: usize,
}

impl Eq for Proposal {}

impl Ord for Proposal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal).then_with(|| other.row.cmp(&self.row))
    }
}

impl PartialOrd for Proposal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Chooses from every result row so that no document serves more than `cap` of them.
///
/// # Errors
/// Returns an error on arrays that do not fit each other, or an interrupt.
pub fn limit_per_document(pool: &PoolView<'_>, cap: usize, choice: &Choice, run: &Run<'_>) -> Result<Chosen> {
    pool.check()?;
    let draws = Draws::new(choice.seed, Stream::Select);
    let orders: Vec<Order> = run.map(
        pool.len(),
        || (),
        |(), r, ticker| {
            ticker.check()?;
            choice.policy.order(&pool.row(r), choice.n, &draws, choice.epoch)
        },
    )?;
    let mut held: HashMap<i64, BinaryHeap<Reverse<Proposal>>> = HashMap::new();
    let mut next = vec![0_usize; pool.len()];
    let mut holds = vec![0_usize; pool.len()];
    let mut refused = vec![false; pool.len()];
    let mut waiting: Vec<usize> = (0..pool.len()).rev().collect();
    let mut pace = Pace::new(run);
    while let Some(r) = waiting.pop() {
        pace.step(1)?;
        let Order::Ranks(ranks, _) = &orders[r] else { continue };
        let row = pool.row(r);
        while holds[r] < choice.n && next[r] < ranks.len() {
            pace.step(32)?;
            let rank = ranks[next[r]];
            next[r] += 1;
            let keeps = held.entry(row.indices[rank]).or_default();
            keeps.push(Reverse(Proposal { score: row.scores[rank], row: r, rank }));
            holds[r] += 1;
            if keeps.len() > cap
                && let Some(Reverse(loser)) = keeps.pop()
            {
                holds[loser.row] -= 1;
                refused[loser.row] = true;
                if loser.row != r {
                    waiting.push(loser.row);
                }
            }
        }
    }
    let mut chosen = Chosen {
        ranks: vec![Vec::new(); pool.len()],
        // Whether a document is taken depends on the rows that compete for it, so its probability is not known.
        log_probs: vec![LogProbs::Same(f64::NAN); pool.len()],
        reasons: Vec::with_capacity(pool.len()),
    };
    for Reverse(proposal) in held.into_values().flatten() {
        pace.step(4)?;
        chosen.ranks[proposal.row].push(proposal.rank);
    }
    for (r, ranks) in chosen.ranks.iter_mut().enumerate() {
        pace.step(8 * ranks.len())?;
        ranks.sort_unstable();
        chosen.reasons.push(match pool.reason(r, &orders[r], &choice.policy) {
            _ if ranks.len() >= choice.n => Reason::None,
            Reason::NoPositive => Reason::NoPositive,
            _ if refused[r] => Reason::DocumentLimit,
            other => other,
        });
    }
    Ok(chosen)
}
