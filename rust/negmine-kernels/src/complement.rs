//! Ranks among the rows that a sorted list leaves out, turned into rows.
//!
//! Entry `e` of the ascending list has `e` excluded rows before it, so it precedes the row of a rank if
//! `excluded[e] - e` is not above the rank. A vector of ascending ranks is compared with one entry after the other: each
//! entry counts for all of its ranks at once, without a branch, and the number of entries up to the highest rank is where
//! the next vector begins. Counts are integers, so every instruction set gives the same rows, and all of them share one
//! source that the compiler vectorizes.

use crate::dispatch;
use crate::isa::Isa;

/// Replaces ascending ranks by their rows: the row of a rank is the `rank`-th, from 0, that the ascending list
/// `excluded` does not hold. Rows are below 2^32.
///
/// # Panics
/// If this processor lacks `isa`.
pub fn rows_of_ranks(isa: Isa, excluded: &[i64], ranks: &mut [u32]) {
    dispatch::rows_of_ranks(isa, excluded, ranks);
}
