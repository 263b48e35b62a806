//! Selection of negatives from a pool, a pure function of the pool, the policy, the seed and the epoch.

use crate::base::error::check_length;
use crate::base::memory::with_capacity;
use crate::base::padded::Padded;
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream};
use crate::base::{Error, Result};

use super::order::{LogProbs, Order};
use super::policy::{Policy, PoolRow};
use super::reason::Reason;

/// Result rows of a piece of work.
const ROWS_PER_ITEM: usize = 256;

/// A pool as borrowed arrays.
#[derive(Clone, Copy, Debug)]
pub struct PoolView<'a> {
    /// Width of `indices` and `scores`.
    pub width: usize,
    /// Row numbers of documents, row-major.
    pub indices: &'a [i64],
    /// Scores, row-major.
    pub scores: &'a [f64],
    /// Documents per result row.
    pub counts: &'a [i32],
    /// Why a row is not full.
    pub reasons: &'a [u8],
    /// Global query row of every result row.
    pub query_indices: &'a [i64],
    /// Positive of every result row; used by draws only under `each`.
    pub positive_indices: &'a [i64],
    /// The reference of the margins.
    pub reference_scores: &'a [f64],
    /// Whether result rows are (query, positive) pairs.
    pub each: bool,
    /// Labels of the documents, row-major, for quotas.
    pub labels: Option<&'a [i64]>,
}

/// The parameters of a selection.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Negatives per result row.
    pub n: usize,
    /// The policy.
    pub policy: Policy,
    /// Seed of the draws.
    pub seed: u64,
    /// Epoch of the draws.
    pub epoch: u64,
}

/// Chosen ranks per result row, in ascending order, and the reasons why rows are short.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    /// Ranks within the pool.
    pub ranks: Vec<Vec<usize>>,
    /// Log-probabilities that these documents are taken, given the draws of the others.
    pub log_probs: Vec<LogProbs>,
    /// Why a row has fewer than `n`.
    pub reasons: Vec<Reason>,
}

impl Chosen {
    /// The documents of the chosen ranks, as arrays of width `n`, and their log-probabilities, padded with NaN.
    ///
    /// # Errors
    /// Returns an error on lack of memory, or an interrupt.
    pub fn documents(&self, pool: &PoolView<'_>, n: usize, run: &Run<'_>) -> Result<(Padded, Vec<f64>)> {
        let rows = self.ranks.len();
        let mut documents = Padded::with_capacity(rows, n)?;
        let mut log_probs = with_capacity(rows.saturating_mul(n))?;
        for (r, ranks) in self.ranks.iter().enumerate() {
            if r.is_multiple_of(ROWS_PER_ITEM) {
                run.tick(r, rows)?;
            }
            let row = pool.row(r);
            documents.push_row(ranks.iter().map(|&rank| (row.indices[rank], row.scores[rank])));
            match &self.log_probs[r] {
                LogProbs::Same(value) => log_probs.resize(r * n + ranks.len(), *value),
                LogProbs::Each(values) => log_probs.extend(values),
            }
            log_probs.resize((r + 1) * n, f64::NAN);
        }
        Ok((documents, log_probs))
    }

    /// Appends what one row takes of an order.
    fn take(&mut self, order: Order, n: usize) {
        let (ranks, log_probs) = match order {
            Order::Ranks(mut ranks, log_probs) => {
                ranks.truncate(n);
                by_rank(ranks, log_probs)
            }
            Order::NoReference => (Vec::new(), LogProbs::Same(f64::NAN)),
        };
        self.ranks.push(ranks);
        self.log_probs.push(log_probs);
    }
}

/// Ranks in ascending order, with their log-probabilities.
fn by_rank(mut ranks: Vec<usize>, log_probs: LogProbs) -> (Vec<usize>, LogProbs) {
    let LogProbs::Each(values) = log_probs else {
        ranks.sort_unstable();
        return (ranks, log_probs);
    };
    let mut pairs: Vec<(usize, f64)> = ranks.into_iter().zip(values).collect();
    pairs.sort_unstable_by_key(|pair| pair.0);
    let (ranks, values) = pairs.into_iter().unzip();
    (ranks, LogProbs::Each(values))
}

impl<'a> PoolView<'a> {
    /// Checks that the arrays fit each other.
    ///
    /// # Errors
    /// Returns an error on a length that differs, or a count outside 0..=width.
    pub fn check(&self) -> Result<()> {
        let rows = self.counts.len();
        let lengths = [
            ("indices", rows * self.width, self.indices.len()),
            ("scores", rows * self.width, self.scores.len()),
            ("reasons", rows, self.reasons.len()),
            ("query_indices", rows, self.query_indices.len()),
            ("positive_indices", rows, self.positive_indices.len()),
            ("reference_scores", rows, self.reference_scores.len()),
        ];
        for (argument, expected, got) in lengths {
            check_length(argument, expected, got)?;
        }
        if let Some(labels) = self.labels {
            check_length("labels", rows * self.width, labels.len())?;
        }
        match self.counts.iter().find(|&&count| count < 0 || count as usize > self.width) {
            Some(count) => Err(Error::Value {
                argument: "counts",
                rule: "between 0 and the pool's width",
                got: count.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// Number of result rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are no result rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// One result row.
    #[must_use]
    pub fn row(&self, r: usize) -> PoolRow<'a> {
        let span = r * self.width..r * self.width + self.counts[r] as usize;
        PoolRow {
            indices: &self.indices[span.clone()],
            scores: &self.scores[span.clone()],
            labels: self.labels.map_or(&[], |labels| &labels[span]),
            reference: self.reference_scores[r],
            query: self.query_indices[r] as u64,
            positive: self.each.then(|| self.positive_indices[r]),
        }
    }

    /// Why row `r` has fewer negatives than requested, if no document limit applies.
    #[must_use]
    pub fn reason(&self, r: usize, order: &Order, policy: &Policy) -> Reason {
        match order {
            Order::NoReference => return Reason::NoPositive,
            Order::Ranks(ranks, _) if ranks.len() < self.counts[r] as usize => return policy.omission(),
            Order::Ranks(..) => {}
        }
        match Reason::from_number(self.reasons[r]) {
            Reason::None => Reason::RankWindow,
            own => own,
        }
    }
}

/// Chooses from every result row.
///
/// # Errors
/// Returns an error on arrays that do not fit each other, or an interrupt.
pub fn select(pool: &PoolView<'_>, choice: &Choice, run: &Run<'_>) -> Result<Chosen> {
    pool.check()?;
    let draws = Draws::new(choice.seed, Stream::Select);
    let parts = run.map(
        pool.len().div_ceil(ROWS_PER_ITEM),
        || (),
        |(), item, ticker| {
            let mut chosen = Chosen::default();
            for r in item * ROWS_PER_ITEM..((item + 1) * ROWS_PER_ITEM).min(pool.len()) {
                ticker.check()?;
                let order = choice.policy.order(&pool.row(r), choice.n, &draws, choice.epoch)?;
                let short = !matches!(&order, Order::Ranks(ranks, _) if ranks.len() >= choice.n);
                chosen.reasons.push(if short {
                    pool.reason(r, &order, &choice.policy)
                } else {
                    Reason::None
                });
                chosen.take(order, choice.n);
            }
            Ok(chosen)
        },
    )?;
    let mut all = Chosen::default();
    for part in parts {
        all.ranks.extend(part.ranks);
        all.log_probs.extend(part.log_probs);
        all.reasons.extend(part.reasons);
    }
    Ok(all)
}
