//! Systematic sampling: equally spaced points on the cumulative weights, all moved by one draw.
//!
//! Madow: "On the theory of systematic sampling, II", Annals of Mathematical Statistics 20, 1949. Weights are
//! `exp(score / temperature)`; without replacement inclusion probabilities are `min(1, c w)`, with `c` such that they
//! sum to the number of items that are chosen.

use super::groups::ITEMS_PER_CHECK;
use crate::base::Result;
use crate::base::draw::Entry;
use crate::base::math::{exp, ln};
use crate::base::memory::with_capacity;
use crate::base::parallel::Run;
use crate::base::sort::sort;

/// An item, and the logarithm of its expected number of times among the chosen ones.
pub(super) type Chosen = (u32, f64);

/// Chooses `n` of more items, all distinct, in ascending order: an item of expectation pi is chosen if one of the points
/// `u, u + 1, ...` lies in its piece of the cumulative expectations.
pub(super) fn distinct(
    items: &[u32],
    score: impl Fn(u32) -> f64,
    temperature: f64,
    n: usize,
    u: f64,
    run: &Run<'_>,
) -> Result<Vec<Chosen>> {
    let mut order = with_capacity(items.len())?;
    for part in items.chunks(ITEMS_PER_CHECK) {
        run.tick(0, 1)?;
        order.extend(part.iter().map(|item| Entry::new(score(*item), 0.0, u64::from(*item))));
    }
    sort(&mut order, run)?;
    // Whether the expectations of the items from `certain` on are below 1 depends on the sum of their weights, in units
    // of the first of them. No weight then leaves the range of f64.
    let mut sum = 1.0;
    let mut found = (0, sum);
    for place in (0..order.len() - 1).rev() {
        if place % ITEMS_PER_CHECK == 0 {
            run.tick(0, 1)?;
        }
        sum = 1.0 + exp((order[place + 1].key - order[place].key) / temperature) * sum;
        if place < n && (n - place) as f64 <= sum {
            found = (place, sum);
        }
    }
    let (certain, sum) = found;
    let left = (n - certain) as f64;
    let best = order[certain];
    let log_weight = |item: u32| (score(item) - best.key) / temperature;
    let is_certain = |item: u32| Entry::new(score(item), 0.0, u64::from(item)) < best;
    let log_expected = |item: u32| (ln(left / sum) + log_weight(item)).min(0.0);

    let mut chosen = with_capacity(n)?;
    let (mut reached, mut point) = (0.0, u);
    for (place, &item) in items.iter().enumerate() {
        if place % ITEMS_PER_CHECK == 0 {
            run.tick(0, 1)?;
        }
        if is_certain(item) {
            chosen.push((item, 0.0));
            continue;
        }
        reached += left * exp(log_weight(item)) / sum;
        // At most one point per item: rounding could carry a piece of length 1 beyond it.
        if point < reached && point < left {
            chosen.push((item, log_expected(item)));
            point += 1.0;
        }
    }
    // Rounding can leave the end of the last piece below the last point.
    for &item in items.iter().rev() {
        if chosen.len() >= n {
            break;
        }
        let place = chosen.binary_search_by_key(&item, |(chosen, _)| *chosen);
        if let (Err(place), true) = (place, exp(log_weight(item)) > 0.0) {
            chosen.insert(place, (item, log_expected(item)));
        }
    }
    Ok(chosen)
}

/// Cumulative weights of items, in units of the largest one.
pub(super) struct Cumulative<'a> {
    items: &'a [u32],
    sums: Vec<f64>,
}

impl<'a> Cumulative<'a> {
    pub(super) fn new(items: &'a [u32], log_weight: impl Fn(u32) -> f64, run: &Run<'_>) -> Result<Self> {
        let mut sums = with_capacity(items.len())?;
        let mut sum = 0.0;
        for part in items.chunks(ITEMS_PER_CHECK) {
            run.tick(0, 1)?;
            sums.extend(part.iter().map(|item| {
                sum += exp(log_weight(*item));
                sum
            }));
        }
        Ok(Self { items, sums })
    }

    fn total(&self) -> f64 {
        self.sums.last().copied().unwrap_or(0.0)
    }

    /// The logarithm of the sum of all weights.
    pub(super) fn log_total(&self) -> f64 {
        ln(self.total())
    }

    /// The item whose piece holds the part `u` of all weights.
    pub(super) fn at(&self, u: f64) -> u32 {
        let end = self.total();
        let place = self.sums.partition_point(|sum| *sum <= u * end);
        // Rounding can reach the end, where the last item of a weight above 0 lies.
        let place =
            if place == self.sums.len() { self.sums.partition_point(|sum| *sum < end) } else { place };
        self.items[place]
    }

    /// Chooses `n` items, ascending and with repeats: one for each of the points `u, u + 1, ...` of `n` in all.
    pub(super) fn points(&self, n: usize, u: f64) -> impl Iterator<Item = u32> {
        (0..n).map(move |t| self.at((u + t as f64) / n as f64))
    }
}
