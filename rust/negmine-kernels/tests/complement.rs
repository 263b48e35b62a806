//! Rows of ranks are those of a search through all rows, on every instruction set.

mod common;

use common::for_each_isa;
use negmine_kernels::complement::rows_of_ranks;
use proptest::prelude::*;

proptest! {
    #[test]
    fn ranks_number_the_rows_that_are_left(
        excluded in prop::collection::btree_set(0_i64..300, 0..300), every in 1_usize..40,
    ) {
        let left: Vec<u32> = (0..300).filter(|row| !excluded.contains(&i64::from(*row))).collect();
        let excluded: Vec<i64> = excluded.into_iter().collect();
        let expected: Vec<u32> = left.iter().copied().step_by(every).collect();
        for_each_isa(|isa| {
            let mut ranks: Vec<u32> = (0..left.len() as u32).step_by(every).collect();
            rows_of_ranks(isa, &excluded, &mut ranks);
            assert_eq!(ranks, expected, "{isa}");
        });
    }
}

#[test]
fn the_highest_rows_fit() {
    let last = i64::from(u32::MAX);
    for_each_isa(|isa| {
        let mut ranks = [0, u32::MAX - 3, u32::MAX - 2];
        rows_of_ranks(isa, &[1, last - 2], &mut ranks);
        assert_eq!(ranks, [0, u32::MAX - 1, u32::MAX], "{isa}");
        rows_of_ranks(isa, &[1], &mut []);
    });
}
