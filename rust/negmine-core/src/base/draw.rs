//! Weighted draws without replacement by Gumbel keys, with the probabilities of what was drawn.
//!
//! The n items of the highest keys `log w - ln(-ln u)` are a weighted sample without replacement (Efraimidis and
//! Spirakis: "Weighted random sampling with a reservoir", 2006, in logarithms). Given the keys of all other items, an
//! item is drawn if its own key exceeds the threshold T, the first key that was not taken. This has the probability
//! `p = 1 - exp(-exp(log w - T))`, which costs nothing to know. `1[drawn] / p` has mean 1, so weighting by `1 / p` is
//! unbiased for sums over all items; p is not the marginal probability.

use std::cmp::Ordering;

use super::Result;
use super::math::{exp, expm1, ln};
use super::memory::push;
use super::parallel::Run;
use super::philox::unit;
use super::sort::sort;

/// Below this, `1 - exp(-exp(x))` equals `exp(x)` in f64.
const SMALL: f64 = -37.0;

/// The minimum count of waiting entries before the first ones are selected again.
const WAITING: usize = 64;

/// The key of an item of that log-weight, from its draw.
#[must_use]
pub fn gumbel_key(log_weight: f64, draw: u64) -> f64 {
    log_weight - ln(-ln(unit(draw)))
}

/// The log-probability that an item of that log-weight is drawn, given the keys of the others: `threshold` is the first
/// key that was not taken, -inf if everything was.
///
/// The order of items whose log-weights lie below the range of f64 is certain, and so is their probability of 1.
#[must_use]
pub fn log_inclusion(log_weight: f64, threshold: f64) -> f64 {
    if threshold == f64::NEG_INFINITY {
        return 0.0;
    }
    let distance = log_weight - threshold;
    if distance < SMALL { distance } else { ln(-expm1(-exp(distance))) }
}

/// An item with its place in an order: higher keys first, then higher `tie`, then lower items.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Never NaN.
    pub key: f64,
    /// The order of equal keys; never NaN.
    pub tie: f64,
    /// Number of the item.
    pub item: u64,
}

impl Entry {
    /// An entry; zeros of either sign are one key.
    #[must_use]
    pub fn new(key: f64, tie: f64, item: u64) -> Self {
        Self { key: key + 0.0, tie: tie + 0.0, item }
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .key
            .total_cmp(&self.key)
            .then_with(|| other.tie.total_cmp(&self.tie))
            .then_with(|| self.item.cmp(&other.item))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// The first n entries of all that are offered; the result does not depend on the order of the offers.
#[derive(Debug)]
pub struct First {
    n: usize,
    /// Unsorted; the first `n + 1` of them are the result.
    entries: Vec<Entry>,
    /// Entry number n of the last cut; what comes after it cannot enter.
    last: Option<Entry>,
}

/// What a draw took.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// The first n entries, in order.
    pub entries: Vec<Entry>,
    /// The first key that was not taken; -inf if everything was.
    pub threshold: f64,
}

impl First {
    /// Takes the first `n`.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self { n, entries: Vec::new(), last: None }
    }

    /// Offers one entry. No item may be offered twice.
    ///
    /// # Errors
    /// Returns an error on lack of memory for it.
    #[inline]
    pub fn offer(&mut self, entry: Entry) -> Result<()> {
        if self.last.is_some_and(|last| entry > last) {
            return Ok(());
        }
        push(&mut self.entries, entry)?;
        if self.entries.len() / 2 > self.n.max(WAITING) {
            self.cut();
        }
        Ok(())
    }

    fn cut(&mut self) {
        if self.entries.len() > self.n {
            let (_, last, _) = self.entries.select_nth_unstable(self.n);
            self.last = Some(*last);
            self.entries.truncate(self.n + 1);
        }
    }

    /// The first entries, and the key that follows them.
    ///
    /// # Errors
    /// Returns an error on lack of memory, or an interrupt.
    pub fn finish(mut self, run: &Run<'_>) -> Result<Taken> {
        self.cut();
        sort(&mut self.entries, run)?;
        let threshold = self.entries.get(self.n).map_or(f64::NEG_INFINITY, |entry| entry.key);
        self.entries.truncate(self.n);
        Ok(Taken { entries: self.entries, threshold })
    }
}

#[cfg(test)]
mod tests {
    use negmine_kernels::Isa;
    use proptest::prelude::*;

    use super::*;
    use crate::base::philox::{Draws, Stream};

    fn run() -> Run<'static> {
        Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
    }

    fn taken(entries: impl IntoIterator<Item = Entry>, n: usize) -> Taken {
        let mut first = First::new(n);
        for entry in entries {
            first.offer(entry).unwrap();
        }
        first.finish(&run()).unwrap()
    }

    #[test]
    fn golden_probabilities() {
        // 1 - exp(-1), and numbers whose double exponential leaves the range of f64.
        assert!((exp(log_inclusion(0.5, 0.5)) - 0.632_120_558_828_557_7).abs() < 1e-15);
        assert_eq!(log_inclusion(-40.0, 0.0), -40.0);
        assert_eq!(log_inclusion(-800.0, 100.0), -900.0);
        assert_eq!(log_inclusion(800.0, 0.0), 0.0);
        assert_eq!(log_inclusion(-5.0, f64::NEG_INFINITY), 0.0);
        assert_eq!(log_inclusion(f64::NEG_INFINITY, f64::NEG_INFINITY), 0.0);
        assert_eq!(log_inclusion(f64::NEG_INFINITY, 0.0), f64::NEG_INFINITY);
        let [below, above] = [SMALL - 1e-9, SMALL + 1e-9].map(|distance| log_inclusion(distance, 0.0));
        assert!((above - below - 2e-9).abs() < 1e-13);
    }

    #[test]
    fn keys_are_ordered_before_ties_and_ties_before_items() {
        let entries = [(1.0, 0.0, 3), (0.0, 2.0, 4), (-0.0, 2.0, 2), (0.0, 5.0, 9)]
            .map(|(k, t, i)| Entry::new(k, t, i));
        let items: Vec<u64> = taken(entries, 4).entries.iter().map(|entry| entry.item).collect();
        assert_eq!(items, [3, 9, 2, 4]);
        assert_eq!(taken([], 4), Taken { entries: Vec::new(), threshold: f64::NEG_INFINITY });
        assert_eq!(taken(entries, 0), Taken { entries: Vec::new(), threshold: 1.0 });
    }

    proptest! {
        #[test]
        fn the_first_equal_a_full_sort(
            keys in prop::collection::vec((-3_i8..3, 0_u8..2), 0..300),
            n in 0_usize..90,
        ) {
            let mut all: Vec<Entry> = keys
                .iter()
                .enumerate()
                .map(|(item, (key, tie))| Entry::new(f64::from(*key), f64::from(*tie), item as u64))
                .collect();
            let got = taken(all.iter().copied(), n);
            let reversed = taken(all.iter().rev().copied(), n);
            all.sort_unstable();
            let threshold = all.get(n).map_or(f64::NEG_INFINITY, |entry| entry.key);
            all.truncate(n);
            prop_assert_eq!(&got, &Taken { entries: all, threshold });
            prop_assert_eq!(&got, &reversed);
        }
    }

    const WEIGHTS: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 10.0];
    const SEEDS: u32 = 100_000;

    /// The probability that each item is among the first `n`, by going through all orders.
    fn inclusion(n: usize) -> [f64; 5] {
        fn go(left: f64, chance: f64, picked: &mut Vec<usize>, n: usize, out: &mut [f64; 5]) {
            if n == 0 {
                for item in picked.iter() {
                    out[*item] += chance;
                }
                return;
            }
            for (item, weight) in WEIGHTS.into_iter().enumerate() {
                if !picked.contains(&item) {
                    picked.push(item);
                    go(left - weight, chance * weight / left, picked, n - 1, out);
                    picked.pop();
                }
            }
        }
        let mut out = [0.0; 5];
        go(20.0, 1.0, &mut Vec::new(), n, &mut out);
        out
    }

    /// Mean and standard error of `x` over all seeds, of its sums.
    fn mean(sums: [f64; 2]) -> (f64, f64) {
        let mean = sums[0] / f64::from(SEEDS);
        (mean, ((sums[1] / f64::from(SEEDS) - mean * mean).max(0.0) / f64::from(SEEDS)).sqrt())
    }

    #[test]
    fn probabilities_are_unbiased_and_their_means_are_frequencies() {
        for n in [1, 3] {
            // Per item: 1[drawn] / p, and p given the keys of the others, minus 1[drawn].
            let (mut inverse, mut differences, mut drawn) = ([[0.0; 2]; 5], [[0.0; 2]; 5], [0.0; 5]);
            let mut when_drawn = 0.0;
            for seed in 0..SEEDS {
                let draws = Draws::new(u64::from(seed), Stream::SelectItems);
                let keys: Vec<Entry> = (0..5)
                    .map(|item| gumbel_key(ln(WEIGHTS[item as usize]), draws.by_document(0, 0, item, None)))
                    .zip(0..)
                    .map(|(key, item)| Entry::new(key, 0.0, item))
                    .collect();
                let Taken { entries, threshold } = taken(keys, n);
                for item in 0..5 {
                    let took = entries.iter().any(|entry| entry.item == item as u64);
                    // For an item that was not drawn, the others' n-th key is the last one that was.
                    let threshold = if took { threshold } else { entries[n - 1].key };
                    let p = exp(log_inclusion(ln(WEIGHTS[item]), threshold));
                    let x = if took { 1.0 / p } else { 0.0 };
                    let y = p - f64::from(u8::from(took));
                    for (sums, value) in [(&mut inverse[item], x), (&mut differences[item], y)] {
                        sums[0] += value;
                        sums[1] += value * value;
                    }
                    drawn[item] += f64::from(u8::from(took));
                    when_drawn += if took && item == 0 { p } else { 0.0 };
                }
            }
            for (item, exact) in inclusion(n).into_iter().enumerate() {
                let (one, error) = mean(inverse[item]);
                assert!((one - 1.0).abs() < 4.0 * error, "{n} {item}: {one} +- {error}");
                let (zero, error) = mean(differences[item]);
                assert!(zero.abs() < 4.0 * error, "{n} {item}: {zero} +- {error}");
                let error = (exact * (1.0 - exact) / f64::from(SEEDS)).sqrt();
                assert!((drawn[item] / f64::from(SEEDS) - exact).abs() < 4.0 * error, "{n} {item}");
            }
            // The conditional probability is not the marginal one.
            let expected = if n == 1 { 0.095 } else { 0.319 };
            assert!((when_drawn / drawn[0] - expected).abs() < 0.003, "{n}: {}", when_drawn / drawn[0]);
        }
    }
}
