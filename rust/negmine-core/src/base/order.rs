//! The one order of answers: score descending, then row ascending.

use std::cmp::Ordering;

/// A document and its canonical score, which is never NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Canonical score, higher is closer.
    pub score: f64,
    /// Document row.
    pub row: u32,
}

impl Scored {
    /// `Less` where `self` stands before `other`.
    #[must_use]
    pub fn rank(&self, other: &Self) -> Ordering {
        // Zeros of either sign are equal scores, so total_cmp would not do.
        other.score.partial_cmp(&self.score).unwrap_or(Ordering::Equal).then_with(|| self.row.cmp(&other.row))
    }
}

/// The best `k` of whatever is offered, whatever the order in which it comes.
#[derive(Clone, Debug)]
pub struct Best {
    k: usize,
    /// Unsorted; at most `2 k` long, of which the best `k` are the answer.
    items: Vec<Scored>,
    /// The k-th of the last cut: what does not stand before it cannot enter.
    last: Option<Scored>,
}

impl Best {
    /// Holds the best `k`.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self { k, items: Vec::new(), last: None }
    }

    /// Offers one document. No row may be offered twice.
    pub fn offer(&mut self, scored: Scored) {
        if self.k == 0 || self.last.is_some_and(|last| scored.rank(&last) != Ordering::Less) {
            return;
        }
        self.items.push(scored);
        if self.items.len() >= 2 * self.k {
            self.cut();
        }
    }

    /// The score that a further document must reach to enter, once `k` are held: the k-th best so far.
    pub fn threshold(&mut self) -> Option<f64> {
        if self.items.len() > self.k || (self.last.is_none() && self.items.len() == self.k) {
            self.cut();
        }
        self.last.map(|last| last.score)
    }

    /// Forgets everything and holds the best `k` of what comes.
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

    /// The answer so far, best first.
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
                best.offer(scored);
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
    }
}
