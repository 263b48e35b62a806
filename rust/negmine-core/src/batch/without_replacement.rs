//! Sampling without replacement: batches of distinct items, each of which can be computed independently.
//!
//! Batch `b` of `p` items out of `n` is positions `b p .. (b + 1) p` of an endless sequence of permutations, one after
//! the other. A batch that crosses the end of a permutation could hold an item twice; if a permutation begins inside a
//! batch, the items that the batch already holds are skipped and follow right after it. This moves only the first `p`
//! positions of a permutation, and only the last `p` of the previous one decide how, so with `2 p <= n` no earlier
//! permutation matters. A larger batch is the complement of a smaller one. At any border between batches, the draw
//! counts of any two items differ by at most one.

use std::collections::HashSet;

use super::permutation::Permutation;
use crate::base::Result;
use crate::base::parallel::Pace;
use crate::base::philox::Draws;

/// Batches of `p` items out of `n`, with `p <= n`.
#[derive(Clone, Copy, Debug)]
pub(super) struct WithoutReplacement<'a> {
    pub(super) draws: &'a Draws,
    /// The first word of every permutation's key: another number gives other batches.
    pub(super) key: u64,
    pub(super) n: u64,
    pub(super) p: u64,
}

impl WithoutReplacement<'_> {
    /// The items of a batch, and how often each was drawn before.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub(super) fn batch(&self, batch: u128, pace: &mut Pace<'_>) -> Result<Vec<(u64, u128)>> {
        if self.p == self.n {
            return Ok((0..self.n).map(|item| (item, batch)).collect());
        }
        if 2 * self.p <= self.n {
            return self.consecutive(batch, pace);
        }
        let left = Self { p: self.n - self.p, ..*self };
        let out = set(left.consecutive(batch, pace)?.into_iter().map(|(item, _)| item), pace)?;
        let (cycle, at) = left.position(batch);
        let again = set(left.items(cycle, 0..at, pace)?, pace)?;
        let mut items = Vec::with_capacity(self.p as usize);
        for item in 0..self.n {
            pace.step(8)?;
            if !out.contains(&item) {
                items.push((item, batch - cycle - u128::from(again.contains(&item))));
            }
        }
        Ok(items)
    }

    /// The permutation in which a batch begins, and where.
    fn position(&self, batch: u128) -> (u128, u64) {
        let (n, p) = (u128::from(self.n), u128::from(self.p));
        let rest = batch % n * p;
        (batch / n * p + rest / n, (rest % n) as u64)
    }

    /// A batch of at most half the items.
    fn consecutive(&self, batch: u128, pace: &mut Pace<'_>) -> Result<Vec<(u64, u128)>> {
        let (cycle, at) = self.position(batch);
        let end = (at + self.p).min(self.n);
        let first = self.items(cycle, at..end, pace)?.into_iter().map(|item| (item, cycle));
        let over = at + self.p - end;
        if over == 0 {
            return Ok(first.collect());
        }
        let second = self.items(cycle + 1, 0..over, pace)?.into_iter().map(|item| (item, cycle + 1));
        Ok(first.chain(second).collect())
    }

    fn permutation(&self, cycle: u128) -> Permutation {
        Permutation::keyed(self.n, self.draws, [self.key, (cycle >> 64) as u64, cycle as u64])
    }

    /// Items of a permutation in the order in which they are drawn.
    fn items(&self, cycle: u128, places: std::ops::Range<u64>, pace: &mut Pace<'_>) -> Result<Vec<u64>> {
        let mut paced = |items: &mut dyn Iterator<Item = u64>| {
            items.map(|item| pace.step(8).map(|()| item)).collect::<Result<Vec<u64>>>()
        };
        let order = self.permutation(cycle);
        let (n, p) = (u128::from(self.n), u128::from(self.p));
        // The number of items of the batch in which this permutation begins that belong to the previous permutation.
        let before = (cycle % p * (n % p) % p) as u64;
        if places.start >= self.p || before == 0 {
            return paced(&mut places.map(|position| order.index(position)));
        }
        let last = self.permutation(cycle.wrapping_sub(1));
        let held = paced(&mut (self.n - before..self.n).map(|position| last.index(position)))?;
        let held = set(held, pace)?;
        let mut head = Vec::with_capacity(2 * self.p as usize);
        let mut passed = Vec::new();
        let mut next = 0;
        while (head.len() as u64) < self.p - before {
            pace.step(16)?;
            let item = order.index(next);
            if held.contains(&item) {
                passed.push(item);
            } else {
                head.push(item);
            }
            next += 1;
        }
        head.append(&mut passed);
        let mut items = Vec::with_capacity((places.end - places.start) as usize);
        for position in places {
            pace.step(8)?;
            items.push(head.get(position as usize).copied().unwrap_or_else(|| order.index(position)));
        }
        Ok(items)
    }
}

fn set(items: impl IntoIterator<Item = u64>, pace: &mut Pace<'_>) -> Result<HashSet<u64>> {
    items.into_iter().map(|item| pace.step(16).map(|()| item)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use negmine_kernels::isa::Isa;

    use super::*;
    use crate::base::parallel::Run;
    use crate::base::philox::Stream;

    fn batch_of(all: &WithoutReplacement<'_>, batch: u128) -> Vec<(u64, u128)> {
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
        all.batch(batch, &mut Pace::new(&run)).unwrap()
    }

    proptest! {
        #[test]
        fn batches_are_distinct_and_even(n in 1_u64..40, seed: u64, key in 0_u64..5, cut in 0.0..1.0_f64) {
            let draws = Draws::new(seed, Stream::Classes);
            let p = 1 + (cut * n as f64) as u64;
            let batches = WithoutReplacement { draws: &draws, key, n, p };
            let mut times = vec![0_u128; n as usize];
            for batch in 0..3 * n {
                let items = batch_of(&batches, u128::from(batch));
                prop_assert_eq!(items.len() as u64, p);
                let distinct: HashSet<u64> = items.iter().map(|(item, _)| *item).collect();
                prop_assert_eq!(distinct.len() as u64, p);
                for (item, before) in items {
                    prop_assert_eq!(times[item as usize], before);
                    times[item as usize] += 1;
                }
                let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
                prop_assert!(most - least <= 1, "batch {batch}: {times:?}");
            }
        }

        #[test]
        fn any_batch_is_drawn(n in 1_u64..1 << 40, cut in 0.0..1.0_f64, batch: u128) {
            let draws = Draws::new(1, Stream::Classes);
            let p = (1 + (cut * 30.0) as u64).min(n);
            let items = batch_of(&WithoutReplacement { draws: &draws, key: 0, n, p }, batch >> 1);
            let distinct: HashSet<u64> = items.iter().map(|(item, _)| *item).collect();
            prop_assert_eq!(distinct.len() as u64, p);
            prop_assert!(distinct.iter().all(|item| *item < n));
        }
    }
}
