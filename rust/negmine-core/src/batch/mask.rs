//! False-negative masks of a batch: the documents that must not count as a query's negatives, which are its positives,
//! excluded documents, documents of a group with a positive, and ineligible documents. Documents are compared by id, so
//! a positive is found even if it is in the batch as another query's document, twice, or on another rank.
//!
//! Every array has the length of the batch: the lists of its queries, the groups and keys of its documents.

use crate::base::Result;
use crate::base::csr::{CsrView, Lists};
use crate::base::error::{check_length, try_with_capacity};
use crate::base::key_ranges::KeyRanges;
use crate::base::parallel::{Pace, Run};
use crate::base::sort::sort;

/// A batch and the rules of its queries.
#[derive(Clone, Copy, Debug)]
pub struct BatchRules<'a> {
    /// Rows of the queries; -1 is none, which has no negatives.
    pub queries: &'a [i64],
    /// Rows of the documents; -1 is no document, and never counts as a negative.
    pub documents: &'a [i64],
    /// Positives of every query of the batch, in ascending order.
    pub positives: CsrView<'a>,
    /// Excluded documents of every query of the batch, in ascending order.
    pub exclude: Option<CsrView<'a>>,
    /// Groups of the documents, and of the entries of `positives`; -1 is no group.
    pub groups: Option<(&'a [i64], &'a [i64])>,
    /// Rules of keys, all of which must admit a document.
    pub eligible: &'a [KeyRanges<'a>],
}

/// A batch whose documents can be found by row and by group.
#[derive(Debug)]
pub struct InBatch<'a> {
    rules: BatchRules<'a>,
    by_row: Vec<(i64, usize)>,
    by_group: Vec<(i64, usize)>,
}

/// Documents of one query between two checks for an interrupt.
const STRIDE: usize = 1 << 16;

impl<'a> InBatch<'a> {
    /// Checks the rules and sorts the documents.
    ///
    /// # Errors
    /// Returns an error on lengths that differ, lists that are not ascending, lack of memory, or an interrupt.
    pub fn new(rules: BatchRules<'a>, run: &Run<'_>) -> Result<Self> {
        let mut pace = Pace::new(run);
        let mut check_rows = |argument: &'static str, lists: CsrView<'_>, outside: bool| {
            (0..lists.len()).try_for_each(|query| {
                pace.step(1 + lists.range(query).len())?;
                lists.check_row(argument, query, usize::MAX >> 1, outside)
            })
        };
        let (queries, documents) = (rules.queries.len(), rules.documents.len());
        check_length("positives", queries, rules.positives.len())?;
        check_rows("positives", rules.positives, true)?;
        if let Some(exclude) = rules.exclude {
            check_length("exclude", queries, exclude.len())?;
            check_rows("exclude", exclude, false)?;
        }
        let sorted = |values: &[i64]| {
            let mut pairs: Vec<(i64, usize)> =
                values.iter().enumerate().filter(|(_, value)| **value >= 0).map(|(i, v)| (*v, i)).collect();
            sort(&mut pairs, run).map(|()| pairs)
        };
        let mut by_group = Vec::new();
        if let Some((of_documents, of_positives)) = rules.groups {
            check_length("groups", documents, of_documents.len())?;
            check_length("groups", rules.positives.entries(), of_positives.len())?;
            by_group = sorted(of_documents)?;
        }
        rules.eligible.iter().try_for_each(|ranges| ranges.check(queries, documents))?;
        Ok(Self { by_row: sorted(rules.documents)?, rules, by_group })
    }

    /// The dense mask, row-major: for each query, whether each document must not count as a negative.
    ///
    /// # Errors
    /// Returns an error on a mask that does not fit in memory, or an interrupt.
    pub fn dense(&self, run: &Run<'_>) -> Result<Vec<bool>> {
        let width = self.rules.documents.len();
        let entries = self.rules.queries.len() as u128 * width as u128;
        let mut out = try_with_capacity(
            "document_indices",
            entries,
            "Use `false_negative_pairs`, which returns the same result as a sparse list.",
        )?;
        let mut pace = Pace::new(run);
        for query in 0..self.rules.queries.len() {
            let begin = out.len();
            while out.len() < begin + width {
                pace.step(STRIDE.min(width) / 16)?;
                out.resize((out.len() + STRIDE).min(begin + width), false);
            }
            let row = &mut out[begin..];
            self.mark(query, &mut pace, |place| row[place] = true)?;
        }
        Ok(out)
    }

    /// For each query, the places of documents that must not count as negatives, in ascending order.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub fn lists(&self, run: &Run<'_>) -> Result<Lists<i64>> {
        let mut out = Lists::default();
        let mut places = Vec::new();
        let mut pace = Pace::new(run);
        for query in 0..self.rules.queries.len() {
            places.clear();
            self.mark(query, &mut pace, |place| places.push(place as i64))?;
            if places.len() > STRIDE {
                sort(&mut places, run)?;
            } else {
                places.sort_unstable();
            }
            places.dedup();
            out.push_row(places.iter().copied());
        }
        Ok(out)
    }

    /// Calls `masked` with the places of the query's masked documents; a place may occur more than once.
    fn mark(&self, query: usize, pace: &mut Pace<'_>, mut masked: impl FnMut(usize)) -> Result<()> {
        let rules = &self.rules;
        pace.step(1)?;
        if rules.queries[query] < 0 {
            return scan(rules.documents, |_| true, pace, &mut masked);
        }
        if self.by_row.len() < rules.documents.len() {
            scan(rules.documents, |row| row < 0, pace, &mut masked)?;
        }
        for ranges in rules.eligible {
            scan(ranges.keys, |key| !ranges.admits(query, key), pace, &mut masked)?;
        }
        for lists in [Some(rules.positives), rules.exclude].into_iter().flatten() {
            let listed = lists.row(query);
            if listed.len() <= self.by_row.len() {
                for row in listed {
                    pace.step(8 + each(&self.by_row, *row, &mut masked))?;
                }
            } else {
                for (row, place) in &self.by_row {
                    pace.step(8)?;
                    if listed.binary_search(row).is_ok() {
                        masked(*place);
                    }
                }
            }
        }
        if let Some((_, of_positives)) = rules.groups {
            for group in of_positives[rules.positives.range(query)].iter().filter(|group| **group >= 0) {
                pace.step(8 + each(&self.by_group, *group, &mut masked))?;
            }
        }
        Ok(())
    }
}

/// Calls `masked` with the places of the values for which `is` holds.
fn scan(
    values: &[i64],
    is: impl Fn(i64) -> bool,
    pace: &mut Pace<'_>,
    masked: &mut impl FnMut(usize),
) -> Result<()> {
    for (part, values) in values.chunks(STRIDE).enumerate() {
        pace.step(values.len())?;
        let places = values.iter().enumerate().filter(|(_, value)| is(**value));
        places.for_each(|(place, _)| masked(part * STRIDE + place));
    }
    Ok(())
}

/// Calls `masked` with the places of `value` in a sorted table; returns their number.
fn each(sorted: &[(i64, usize)], value: i64, masked: &mut impl FnMut(usize)) -> usize {
    let first = sorted.partition_point(|(other, _)| *other < value);
    let equal = sorted[first..].iter().take_while(|(other, _)| *other == value);
    equal.map(|(_, place)| masked(*place)).count()
}
