//! Ranks of what a sorted list leaves out, and distinct uniform ranks.

use std::collections::HashSet;

use crate::base::philox::below;

/// The row of complement rank `rank`: the `rank`-th row, from 0, that the ascending list `excluded` does not hold.
#[must_use]
#[inline]
pub fn row_of_rank(excluded: &[i64], rank: u64) -> u64 {
    // Entry e has e excluded rows before it: it precedes the result if and only if its rank is not above.
    let before = partition_point(excluded.len(), |e| excluded[e] as u64 - e as u64 <= rank);
    rank + before as u64
}

/// The first of `0..n` for which `is` does not hold; it holds for all before.
fn partition_point(n: usize, is: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = usize::midpoint(low, high);
        if is(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Up to this number of distinct ranks, a list is searched instead of a set.
const FEW: usize = 32;

/// `n` distinct ranks below `count`, uniformly over all sets, by Floyd's algorithm; all of them if there are no more.
///
/// Bentley and Floyd: "A sample of brilliance", CACM 1987. Their order is not uniform, so they are sorted. `draw(t)` is
/// draw number `t`.
pub fn distinct(count: u64, n: usize, draw: impl Fn(u64) -> u64, ranks: &mut Vec<u64>) {
    ranks.clear();
    let n = (n as u64).min(count);
    if n == count {
        ranks.extend(0..count);
        return;
    }
    let mut seen: HashSet<u64> = HashSet::new();
    for (t, last) in (count - n..count).enumerate() {
        let rank = below(draw(t as u64), last + 1);
        let repeats = if n as usize <= FEW { ranks.contains(&rank) } else { !seen.insert(rank) };
        let rank = if repeats { last } else { rank };
        if repeats && n as usize > FEW {
            seen.insert(rank);
        }
        ranks.push(rank);
    }
    ranks.sort_unstable();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::philox::{Draws, Stream};

    proptest! {
        #[test]
        fn ranks_number_what_is_left(rows in prop::collection::btree_set(0_i64..60, 0..60)) {
            let excluded: Vec<i64> = rows.iter().copied().collect();
            let left = (0..60).filter(|row| !rows.contains(row));
            for (rank, row) in left.enumerate() {
                prop_assert_eq!(row_of_rank(&excluded, rank as u64), row as u64);
            }
        }

        #[test]
        fn ranks_are_distinct_and_as_many_as_exist(count in 0_u64..90, n in 0_usize..90, seed: u64) {
            let draws = Draws::new(seed, Stream::Sampler);
            let mut ranks = Vec::new();
            distinct(count, n, |t| draws.by_number(0, 0, None, t), &mut ranks);
            prop_assert_eq!(ranks.len() as u64, count.min(n as u64));
            prop_assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(ranks.iter().all(|rank| *rank < count));
        }
    }

    #[test]
    fn every_set_is_as_likely() {
        // 3 of 6: 20 sets, 20,000 draws, 19 degrees of freedom; the 99.99 % quantile of chi-square is 53.
        let mut seen = std::collections::HashMap::new();
        let draws = Draws::new(7, Stream::Sampler);
        let mut ranks = Vec::new();
        for query in 0..20_000 {
            distinct(6, 3, |t| draws.by_number(0, query, None, t), &mut ranks);
            *seen.entry(ranks.clone()).or_insert(0.0_f64) += 1.0;
        }
        assert_eq!(seen.len(), 20);
        let chi: f64 = seen.values().map(|count| (count - 1000.0) * (count - 1000.0) / 1000.0).sum();
        assert!(chi < 53.0, "{chi}");
    }
}
