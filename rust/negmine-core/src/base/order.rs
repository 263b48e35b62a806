//! Top-k selection and ordering: results by score descending, then row ascending; the highest of many numbers; bits
//! that order like floats.

use std::cmp::Ordering;

use super::Result;
use super::memory::push;

/// A document and its canonical score, which is never NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Canonical score, higher is closer.
    pub score: f64,
    /// Document row.
    pub row: u32,
}

impl Scored {
    /// `Less` if `self` comes before `other`.
    #[must_use]
    pub fn rank(&self, other: &Self) -> Ordering {
        // Zeros of either sign are equal scores, so total_cmp would not do.
        other.score.partial_cmp(&self.score).unwrap_or(Ordering::Equal).then_with(|| self.row.cmp(&other.row))
    }
}

/// The best `k` of all offered documents; the result does not depend on the order of the offers.
#[derive(Clone, Debug, Default)]
pub struct Best {
    k: usize,
    /// Unsorted; at most `2 k` items, of which the best `k` are the result.
    items: Vec<Scored>,
    /// The k-th item of the last cut; a document that does not come before it cannot enter.
    last: Option<Scored>,
}

impl Best {
    /// Holds the best `k`.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self { k, items: Vec::new(), last: None }
    }

    /// Offers one document. No row may be offered twice.
    ///
    /// # Errors
    /// Returns an error on lack of memory for it.
    #[inline]
    pub fn offer(&mut self, scored: Scored) -> Result<()> {
        if self.k == 0 || self.last.is_some_and(|last| scored.rank(&last) != Ordering::Less) {
            return Ok(());
        }
        push(&mut self.items, scored)?;
        if self.items.len() / 2 >= self.k {
            self.cut();
        }
        Ok(())
    }

    /// The score that a further document must reach to enter, once `k` are held: the k-th best so far.
    pub fn threshold(&mut self) -> Option<f64> {
        if self.items.len() > self.k || (self.last.is_none() && self.items.len() == self.k) {
            self.cut();
        }
        self.last.map(|last| last.score)
    }

    /// Removes all items; from now on holds the best `k` of the following offers.
    pub fn clear(&mut self, k: usize) {
        self.k = k;
        self.items.clear();
        self.last = None;
    }

    /// Whether `k` are held.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.k
    }

    /// The result so far, best first.
    pub fn sorted(&mut self) -> &[Scored] {
        self.items.sort_unstable_by(Scored::rank);
        self.items.truncate(self.k);
        &self.items
    }

    fn cut(&mut self) {
        if self.k == 0 || self.items.len() < self.k {
            return;
        }
        self.items.select_nth_unstable_by(self.k - 1, Scored::rank);
        self.items.truncate(self.k);
        self.last = self.items.last().copied();
    }
}

/// The `depth` highest of many numbers.
#[derive(Debug)]
pub(crate) struct Highest {
    depth: usize,
    /// Unsorted; those beyond `depth` wait for the next cut.
    values: Vec<f64>,
    /// The lowest of the `depth` highest as of the last cut.
    last: f64,
}

/// The minimum count of waiting numbers before the highest are selected again.
const WAITING: usize = 4;

impl Default for Highest {
    fn default() -> Self {
        Self { depth: 0, values: Vec::new(), last: f64::NEG_INFINITY }
    }
}

impl Highest {
    /// Bytes that the `depth` highest take at most.
    pub(crate) fn bytes(depth: usize) -> usize {
        (2 * depth + WAITING) * size_of::<f64>()
    }

    /// The lowest of the `depth` highest, as of the last cut; -inf before the first.
    #[inline]
    pub(crate) fn lowest(&self) -> f64 {
        self.last
    }

    pub(crate) fn clear(&mut self, depth: usize) {
        self.depth = depth;
        self.values.clear();
        self.last = f64::NEG_INFINITY;
    }

    /// Takes a number; returns true if `last` may have increased. NaN, of which nothing is certain, is ignored.
    ///
    /// # Errors
    /// Returns an error on lack of memory for it.
    #[inline]
    pub(crate) fn offer(&mut self, value: f64) -> Result<bool> {
        if self.depth == 0 || value.is_nan() || value <= self.last {
            return Ok(false);
        }
        push(&mut self.values, value)?;
        let full = self.depth.saturating_add(self.depth / 2 + WAITING);
        let first = self.values.len() == self.depth && self.last == f64::NEG_INFINITY;
        if !first && self.values.len() < full {
            return Ok(false);
        }
        let (_, last, _) = self.values.select_nth_unstable_by(self.depth - 1, |a, b| b.total_cmp(a));
        self.last = *last;
        self.values.truncate(self.depth);
        Ok(true)
    }
}

/// A number whose order is that of `f64::total_cmp`.
pub(crate) fn total_order(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// Bits that order like the number, which must not be NaN.
#[inline]
pub(crate) fn sortable_bits(x: f32) -> u32 {
    let bits = x.to_bits();
    if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits }
}

/// The number that has these bits.
#[inline]
pub(crate) fn from_sortable_bits(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & 0x7fff_ffff } else { !bits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn best_equals_a_full_sort(scores in prop::collection::vec(-3_i8..3, 0..60), k in 0_usize..12) {
            let mut best = Best::new(k);
            let mut all = Vec::new();
            for (row, &score) in scores.iter().enumerate() {
                let scored = Scored { score: f64::from(score), row: row as u32 };
                all.push(scored);
                best.offer(scored).unwrap();
                if row % 3 == 0 {
                    let threshold = best.threshold();
                    all.sort_by(Scored::rank);
                    let expected = if k > 0 { all.get(k - 1).map(|s| s.score) } else { None };
                    prop_assert_eq!(threshold, expected);
                }
            }
            all.sort_by(Scored::rank);
            all.truncate(k);
            prop_assert_eq!(best.sorted(), all);
        }

        #[test]
        fn the_lowest_of_the_highest_is_reached_by_so_many(
            values in prop::collection::vec(prop_oneof![-3.0_f64..3.0, Just(f64::NEG_INFINITY), Just(f64::NAN)], 0..80),
            depth in 0_usize..12,
        ) {
            let mut highest = Highest::default();
            highest.clear(depth);
            for (i, &value) in values.iter().enumerate() {
                let before = highest.last;
                let cut = highest.offer(value).unwrap();
                prop_assert!(highest.last >= before && (cut || highest.last == before));
                let mut sorted: Vec<f64> = values[..=i].iter().copied().filter(|value| !value.is_nan()).collect();
                sorted.sort_by(|a, b| b.total_cmp(a));
                let exact = if depth == 0 { f64::NEG_INFINITY } else { *sorted.get(depth - 1).unwrap_or(&f64::NEG_INFINITY) };
                prop_assert!(highest.last <= exact);
                prop_assert!(!cut || highest.last == exact);
            }
        }
    }
}
