//! Ranks among the rows that a sorted list leaves out.

use negmine_kernels::{Isa, complement};

/// Entries per rank from which a search for each rank is faster than a comparison with all entries.
const SEARCH_FROM: usize = 64;

/// The row of one rank: the `rank`-th row, from 0, that the ascending list `excluded` does not hold.
#[must_use]
pub fn row_of_rank<T: Copy + Into<i64>>(excluded: &[T], rank: u64) -> u64 {
    rank + partition_point(excluded.len(), |e| precedes(excluded, e, rank)) as u64
}

/// Replaces ascending ranks by their rows, which are below 2^32.
pub fn rows_of_ranks(isa: Isa, excluded: &[i64], ranks: &mut [u32]) {
    if excluded.len() / SEARCH_FROM <= ranks.len() {
        complement::rows_of_ranks(isa, excluded, ranks);
        return;
    }
    let mut e = 0;
    for rank in ranks {
        let own = u64::from(*rank);
        e += partition_point(excluded.len() - e, |more| precedes(excluded, e + more, own));
        *rank += e as u32;
    }
}

/// Whether entry `e` precedes the row of a rank: entry e has e excluded rows before it, so its own rank is not above.
fn precedes<T: Copy + Into<i64>>(excluded: &[T], e: usize, rank: u64) -> bool {
    excluded[e].into() as u64 - e as u64 <= rank
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_number_the_other_rows(rows in prop::collection::btree_set(0_i64..600, 0..500)) {
            let excluded: Vec<i64> = rows.iter().copied().collect();
            let left = (0..600).filter(|row| !rows.contains(row));
            for (rank, row) in left.enumerate() {
                prop_assert_eq!(row_of_rank(&excluded, rank as u64), row as u64);
            }
            let all: Vec<u32> = (0..600).filter(|row| !rows.contains(&i64::from(*row))).collect();
            for every in [1, 7, 599] {
                let mut ranks: Vec<u32> = (0..all.len() as u32).step_by(every).collect();
                rows_of_ranks(Isa::active().unwrap(), &excluded, &mut ranks);
                let expected: Vec<u32> = all.iter().copied().step_by(every).collect();
                prop_assert_eq!(ranks, expected);
            }
        }
    }
}
