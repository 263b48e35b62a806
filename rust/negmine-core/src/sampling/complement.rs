//! Ranks of what a sorted list leaves out, and distinct uniform ranks.

use crate::base::philox::below;

use super::seen::Seen;

/// Replaces ascending ranks by rows: rank `r` is the `r`-th row, from 0, that the ascending list `excluded` does not
/// hold.
pub fn rows_of_ranks(excluded: &[i64], ranks: &mut [u64]) {
    // Entry e has e excluded rows before it: it precedes a row if and only if its rank is not above that of the row.
    let before = |e: usize, rank: u64| excluded[e] as u64 - e as u64 <= rank;
    let mut e = 0;
    if excluded.len() / 16 > ranks.len() {
        for rank in ranks {
            e += partition_point(excluded.len() - e, |more| before(e + more, *rank));
            *rank += e as u64;
        }
        return;
    }
    for rank in ranks {
        while e < excluded.len() && before(e, *rank) {
            e += 1;
        }
        *rank += e as u64;
    }
}

/// The row of one rank.
#[must_use]
pub fn row_of_rank(excluded: &[i64], rank: u64) -> u64 {
    rank + partition_point(excluded.len(), |e| excluded[e] as u64 - e as u64 <= rank) as u64
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

/// `n` distinct ranks below `count`, uniformly over all sets, by Floyd's algorithm; all of them if there are no more.
///
/// Bentley and Floyd: "A sample of brilliance", CACM 1987. Their order is not uniform, so they are sorted. `block(b)` are
/// draws number `4 b` to `4 b + 3`.
pub fn distinct(
    count: u64,
    n: usize,
    block: impl Fn(u64) -> [u64; 4],
    seen: &mut Seen,
    ranks: &mut Vec<u64>,
) {
    ranks.clear();
    let n = (n as u64).min(count);
    if n == count {
        ranks.extend(0..count);
        return;
    }
    seen.clear(n as usize);
    let mut numbers = [0; 4];
    for (t, last) in (count - n..count).enumerate() {
        if t.is_multiple_of(4) {
            numbers = block(t as u64 / 4);
        }
        let mut rank = below(numbers[t % 4], last + 1);
        if !seen.insert(rank) {
            rank = last;
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
            let mut ranks: Vec<u64> = (0..60 - rows.len() as u64).collect();
            let mut few: Vec<u64> = ranks.iter().copied().take(1).collect();
            let one = few.clone();
            rows_of_ranks(&excluded, &mut ranks);
            rows_of_ranks(&excluded, &mut few);
            let all: Vec<u64> = (0..60_i64).filter(|row| !rows.contains(row)).map(|row| row as u64).collect();
            prop_assert_eq!(&ranks, &all);
            prop_assert_eq!(few.len(), one.len());
            prop_assert!(few.iter().all(|row| all.first() == Some(row)));
        }

        #[test]
        fn ranks_are_distinct_and_as_many_as_exist(count in 0_u64..90, n in 0_usize..90, seed: u64) {
            let draws = Draws::new(seed, Stream::Sampler);
            let mut ranks = Vec::new();
            distinct(count, n, |b| draws.block([1 + b, 0, 0, 0]), &mut Seen::default(), &mut ranks);
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
            distinct(6, 3, |b| draws.block([1 + b, 0, query, 0]), &mut Seen::default(), &mut ranks);
            *seen.entry(ranks.clone()).or_insert(0.0_f64) += 1.0;
        }
        assert_eq!(seen.len(), 20);
        let chi: f64 = seen.values().map(|count| (count - 1000.0) * (count - 1000.0) / 1000.0).sum();
        assert!(chi < 53.0, "{chi}");
    }
}
