//! Maximal marginal relevance: Carbonell and Goldstein, "The use of MMR", SIGIR 1998, by exact greedy choice.
//!
//! The value of an item is `lambda score - (1 - lambda) m`, where m is its largest cosine with the items chosen so far.
//! Values only decrease once one item has been chosen. An old value is therefore a bound, and most items are never
//! compared with most of those chosen.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::memory::with_capacity;
use crate::base::parallel::Ticker;
use crate::scoring::Metric;
use negmine_kernels::isa::Isa;

/// Items looked at between two checks for an interrupt.
const PER_CHECK: usize = 64;

/// What one group's choice needs.
pub(super) struct Diverse<'a, 'd> {
    /// The weight of the score; the rest is that of the cosine.
    pub(super) lambda: f64,
    pub(super) embeddings: &'a Rows<'d>,
    /// Squared norms of all rows.
    pub(super) norms: &'a [f64],
    pub(super) isa: Isa,
}

/// A candidate that waits for being chosen.
struct Waiting {
    /// The value with respect to the first `compared` of the chosen items, or a bound if that is 0.
    value: f64,
    item: u32,
    compared: usize,
    /// The largest cosine with these.
    nearest: f64,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value).then_with(|| other.item.cmp(&self.item))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl Diverse<'_, '_> {
    /// Chooses `n` of the items, in the order of their choice; ties go to the lower row.
    pub(super) fn choose(
        &self,
        items: &[u32],
        score: impl Fn(u32) -> f64,
        n: usize,
        ticker: &Ticker<'_>,
    ) -> Result<Vec<u32>> {
        let mut chosen: Vec<u32> = with_capacity(n)?;
        let first = items.iter().copied().reduce(|best, item| {
            if self.value(score(item), 0.0) > self.value(score(best), 0.0) { item } else { best }
        });
        let (Some(first), true) = (first, n > 0) else { return Ok(chosen) };
        chosen.push(first);
        let mut waiting = with_capacity(items.len() - 1)?;
        waiting.extend(items.iter().filter(|item| **item != first).map(|&item| Waiting {
            // No cosine is below -1.
            value: self.value(score(item), -1.0),
            item,
            compared: 0,
            nearest: -1.0,
        }));
        let mut waiting = BinaryHeap::from(waiting);
        let mut buffers = [0; 2].map(|_: u8| vec![0.0; self.embeddings.width()]);
        let mut looked = 0_usize;
        while chosen.len() < n {
            let Some(mut best) = waiting.pop() else { break };
            if best.compared == chosen.len() {
                chosen.push(best.item);
                continue;
            }
            for &other in &chosen[best.compared..] {
                if looked.is_multiple_of(PER_CHECK) {
                    ticker.check()?;
                }
                looked += 1;
                best.nearest = best.nearest.max(self.cosine(best.item, other, &mut buffers));
            }
            best.compared = chosen.len();
            best.value = self.value(score(best.item), best.nearest);
            waiting.push(best);
        }
        Ok(chosen)
    }

    fn value(&self, score: f64, nearest: f64) -> f64 {
        // Adding 0 makes zeros of either sign one value.
        self.lambda * score - (1.0 - self.lambda) * nearest + 0.0
    }

    fn cosine(&self, a: u32, b: u32, buffers: &mut [Vec<f32>; 2]) -> f64 {
        let [left, right] = buffers;
        let (a, b) = (a as usize, b as usize);
        let sum = Metric::Cosine.sum(
            self.isa,
            self.embeddings.row(self.isa, a, left),
            self.embeddings.row(self.isa, b, right),
        );
        Metric::Cosine.finish(sum, self.norms[a], self.norms[b])
    }
}
