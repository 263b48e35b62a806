//! Quotas: numbers of documents per label, by rank within a label.

use crate::base::Result;
use crate::base::math::ln;
use crate::base::philox::unit;
use crate::base::share::{Shares, normalized};

use super::order::{LogProbs, Order};

/// How many documents of each label a row takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Share of every label from 0 on; documents of other labels only fill up.
    pub shares: Vec<f64>,
    /// Whether a row stays short where a label has too few documents.
    pub strict: bool,
    /// How shares become whole numbers.
    pub rounding: Rounding,
}

/// How shares of n documents become whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// By largest remainders, ties by place: the same numbers in every row.
    Place,
    /// Slot t of n takes the label whose cumulative share holds (u + t) / n, with one u per row and epoch.
    Draw,
}

/// The least probability of an interval of u that holds a draw.
const LEAST: f64 = f64::EPSILON / 2.0;

impl Quota {
    /// Orders a pool by its labels: the documents of the quotas by rank, then all others by rank, unless `strict`.
    pub(super) fn order(&self, labels: &[i64], n: usize, draw: impl Fn() -> u64) -> Result<Order> {
        if self.rounding == Rounding::Place {
            let numbers =
                Shares { shares: &self.shares, given: &[], minimum: 0, caps: &[] }.share_out(n as u64)?;
            return Ok(Order::certain(self.ranks(labels, &numbers)));
        }
        let cumulative = self.cumulative()?;
        let u = unit(draw());
        let ranks = self.ranks(labels, &numbers(&cumulative, n, u));
        let mut probabilities = vec![0.0; labels.len()];
        for [low, high] in intervals(&cumulative, n) {
            let of_interval = self.ranks(labels, &numbers(&cumulative, n, f64::midpoint(low, high)));
            for &rank in of_interval.iter().take(n) {
                probabilities[rank] += high - low;
            }
        }
        let log_prob = |&rank: &usize| ln(probabilities[rank].clamp(LEAST, 1.0));
        let log_probs = ranks.iter().take(n).map(log_prob).collect();
        Ok(Order::Ranks(ranks, LogProbs::Each(log_probs)))
    }

    fn ranks(&self, labels: &[i64], numbers: &[u64]) -> Vec<usize> {
        let mut left = numbers.to_vec();
        let mut takes = |rank: &usize| {
            let number = usize::try_from(labels[*rank]).ok().and_then(|label| left.get_mut(label));
            number.is_some_and(|number| {
                let takes = *number > 0;
                *number -= u64::from(takes);
                takes
            })
        };
        let (mut picks, fillers): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(&mut takes);
        if !self.strict {
            picks.extend(fillers);
        }
        picks
    }

    /// Cumulative shares; the last is 1.
    fn cumulative(&self) -> Result<Vec<f64>> {
        let shares = normalized(&self.shares)?;
        let total = shares.iter().fold(0.0, |sum, share| sum + share);
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = shares
            .iter()
            .map(|share| {
                sum += share;
                sum / total
            })
            .collect();
        // Labels of share 0 after the last one have no part of (0, 1).
        let last = shares.iter().rposition(|share| *share > 0.0).unwrap_or(0);
        cumulative[last..].fill(1.0);
        Ok(cumulative)
    }
}

/// Number of slots per label at one u.
fn numbers(cumulative: &[f64], n: usize, u: f64) -> Vec<u64> {
    let mut numbers = vec![0; cumulative.len()];
    for t in 0..n {
        let x = (u + t as f64) / n as f64;
        let label = cumulative.partition_point(|end| *end <= x).min(cumulative.len() - 1);
        numbers[label] += 1;
    }
    numbers
}

/// The intervals of u within which the numbers are the same.
fn intervals(cumulative: &[f64], n: usize) -> Vec<[f64; 2]> {
    let mut ends: Vec<f64> = cumulative.iter().map(|end| (end * n as f64).fract()).collect();
    ends.extend([0.0, 1.0]);
    ends.sort_unstable_by(f64::total_cmp);
    ends.windows(2).map(|pair| [pair[0], pair[1]]).filter(|[low, high]| low < high).collect()
}
