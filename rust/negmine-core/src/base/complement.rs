//! Ranks among the rows that a sorted list leaves out.

/// The row of one rank: the `rank`-th row, from 0, that the ascending list `excluded` does not hold.
#[must_use]
pub fn row_of_rank<T: Copy + Into<i64>>(excluded: &[T], rank: u64) -> u64 {
    rank + partition_point(excluded.len(), |e| precedes(excluded, e, rank)) as u64
}

/// Replaces ascending ranks by their rows.
pub fn rows_of_ranks<T: Copy + Into<i64>>(excluded: &[T], ranks: &mut [u64]) {
    let mut e = 0;
    if excluded.len() / 16 > ranks.len() {
        for rank in ranks {
            e += partition_point(excluded.len() - e, |more| precedes(excluded, e + more, *rank));
            *rank += e as u64;
        }
        return;
    }
    for rank in ranks {
        while e < excluded.len() && precedes(excluded, e, *rank) {
            e += 1;
        }
        *rank += e as u64;
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
    }
}
