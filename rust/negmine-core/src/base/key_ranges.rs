//! Eligibility: a key per document, and the ranges of keys that each query admits.

use super::csr::CsrView;
use super::error::check_length;
use super::{Error, Result};

/// A key per document and inclusive ranges of keys per query.
#[derive(Clone, Copy, Debug)]
pub struct KeyRanges<'a> {
    /// Key of every document.
    pub keys: &'a [i64],
    /// Ranges of query `i` are `offsets[i]..offsets[i + 1]`, ascending and disjoint; without offsets, every query has
    /// one, which may be empty.
    pub offsets: Option<&'a [i64]>,
    /// Lowest key of every range.
    pub lowest: &'a [i64],
    /// Highest key of every range.
    pub highest: &'a [i64],
}

/// The keys that a query admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// None.
    None,
    /// This one.
    One(i64),
    /// A range of several keys, or several ranges.
    Several,
}

impl KeyRanges<'_> {
    /// Checks the lengths, and that the ranges of a query are ascending and disjoint.
    ///
    /// # Errors
    /// Returns an error that names the array that does not fit.
    pub fn check(&self, queries: usize, documents: usize) -> Result<()> {
        check_length("eligible.keys", documents, self.keys.len())?;
        check_length("eligible.highest", self.lowest.len(), self.highest.len())?;
        let Some(offsets) = self.offsets else {
            return check_length("eligible.lowest", queries, self.lowest.len());
        };
        let ranges = CsrView::new("eligible", offsets, self.lowest, queries)?;
        for query in 0..queries {
            let range = ranges.range(query);
            let (lowest, highest) = (&self.lowest[range.clone()], &self.highest[range]);
            let ends = lowest.iter().zip(highest);
            let disjoint = highest.iter().zip(lowest.iter().skip(1)).all(|(high, low)| high < low);
            if !disjoint || ends.into_iter().any(|(low, high)| low > high) {
                return Err(Error::Value {
                    argument: "eligible",
                    rule: "ranges that are ascending and disjoint",
                    got: format!("others for query {query}"),
                });
            }
        }
        Ok(())
    }

    /// The ranges of a query.
    fn of(&self, query: usize) -> (&[i64], &[i64]) {
        let range = self
            .offsets
            .map_or(query..query + 1, |offsets| offsets[query] as usize..offsets[query + 1] as usize);
        (&self.lowest[range.clone()], &self.highest[range])
    }

    /// The keys that a query admits.
    pub(crate) fn admitted_keys(&self, query: usize) -> Admitted {
        match self.of(query) {
            ([], _) => Admitted::None,
            ([low], [high]) if low > high => Admitted::None,
            ([low], [high]) if low == high => Admitted::One(*low),
            _ => Admitted::Several,
        }
    }

    /// Whether a query admits a key.
    #[must_use]
    #[inline]
    pub fn admits(&self, query: usize, key: i64) -> bool {
        if self.offsets.is_none() {
            return self.lowest[query] <= key && key <= self.highest[query];
        }
        let (lowest, highest) = self.of(query);
        let after = lowest.partition_point(|low| *low <= key);
        after > 0 && key <= highest[after - 1]
    }

    /// The parts of items sorted by key that a query admits.
    pub fn admitted<'b, T>(
        &self,
        query: usize,
        sorted: &'b [T],
        key: impl Fn(&T) -> i64,
    ) -> impl Iterator<Item = &'b [T]> {
        let (lowest, highest) = self.of(query);
        lowest.iter().zip(highest).map(move |(&low, &high)| {
            let begin = sorted.partition_point(|item| key(item) < low);
            let end = sorted.partition_point(|item| key(item) <= high);
            &sorted[begin..end.max(begin)]
        })
    }
}

/// Whether a query admits document `row` under all of several rules.
#[must_use]
#[inline]
pub fn all_admit(rules: &[KeyRanges<'_>], query: usize, row: usize) -> bool {
    rules.iter().all(|ranges| ranges.admits(query, ranges.keys[row]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges<'a>(
        keys: &'a [i64],
        offsets: &'a [i64],
        lowest: &'a [i64],
        highest: &'a [i64],
    ) -> KeyRanges<'a> {
        KeyRanges { keys, offsets: Some(offsets), lowest, highest }
    }

    #[test]
    fn ranges_must_be_ascending_and_disjoint() {
        let keys = [1, 2, 3];
        assert!(ranges(&keys, &[0, 2], &[1, 3], &[1, 3]).check(1, 3).is_ok());
        assert!(ranges(&keys, &[0, 0], &[], &[]).check(1, 3).is_ok());
        for (lowest, highest) in [([1, 3], [3, 3]), ([3, 1], [3, 1]), ([2, 3], [1, 3])] {
            assert!(ranges(&keys, &[0, 2], &lowest, &highest).check(1, 3).is_err(), "{lowest:?} {highest:?}");
        }
        assert!(ranges(&keys, &[0, 1], &[1, 3], &[1, 3]).check(1, 3).is_err());
        assert!(ranges(&keys, &[0, 2], &[1, 3], &[1]).check(1, 3).is_err());
        assert!(KeyRanges { keys: &keys, offsets: None, lowest: &[2], highest: &[1] }.check(1, 3).is_ok());
    }

    proptest! {
        #[test]
        fn sorted_parts_hold_exactly_what_is_admitted(
            mut keys in prop::collection::vec(-4_i64..12, 0..30),
            mut bounds in prop::collection::btree_set(-4_i64..12, 0..8),
        ) {
            if bounds.len() % 2 == 1 {
                bounds.pop_last();
            }
            let bounds: Vec<i64> = bounds.into_iter().collect();
            let lowest: Vec<i64> = bounds.iter().copied().step_by(2).collect();
            let highest: Vec<i64> = bounds.iter().copied().skip(1).step_by(2).collect();
            let offsets = [0, lowest.len() as i64];
            keys.sort_unstable();
            let rule = ranges(&keys, &offsets, &lowest, &highest);
            prop_assert!(rule.check(1, keys.len()).is_ok());
            let inside = |key: &i64| lowest.iter().zip(&highest).any(|(low, high)| low <= key && key <= high);
            let expected: Vec<i64> = keys.iter().copied().filter(inside).collect();
            let parts: Vec<i64> = rule.admitted(0, &keys, |key| *key).flatten().copied().collect();
            prop_assert_eq!(&parts, &expected);
            for (row, key) in keys.iter().enumerate() {
                prop_assert_eq!(rule.admits(0, *key), inside(key));
                prop_assert_eq!(all_admit(&[rule, rule], 0, row), inside(key));
            }
        }
    }
}
