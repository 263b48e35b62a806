//! Compressed sparse rows (CSR): ragged lists as offsets and entries, borrowed from the caller or owned, or offsets
//! alone.

use std::ops::Range;

use super::memory::reserve;
use super::parallel::{Pace, Run};
use super::{Error, Result};

/// Checks that the offsets of `rows` lists start at 0, never decrease, and end at the number of entries.
fn check_offsets(argument: &'static str, offsets: &[i64], rows: usize, entries: usize) -> Result<()> {
    if offsets.len() != rows + 1 {
        return Err(Error::Length { argument, expected: rows, got: offsets.len().saturating_sub(1) });
    }
    if offsets[0] != 0 {
        return Err(Error::RaggedCsr { argument, row: 0 });
    }
    if let Some(row) = offsets.windows(2).position(|w| w[0] > w[1]) {
        return Err(Error::RaggedCsr { argument, row });
    }
    if offsets[rows] != entries as i64 {
        return Err(Error::RaggedCsr { argument, row: rows.saturating_sub(1) });
    }
    Ok(())
}

/// Borrowed CSR as the caller passes it: the entries of row `i` are `items[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Copy, Debug)]
pub struct CsrView<'a, T = i64> {
    offsets: &'a [i64],
    items: &'a [T],
}

impl<'a, T> CsrView<'a, T> {
    /// Checks the offsets; the entries may be anything.
    ///
    /// # Errors
    /// Returns an error on a wrong number of rows, or offsets that do not start at 0, decrease, or do not end at the
    /// number of entries.
    pub fn new(argument: &'static str, offsets: &'a [i64], items: &'a [T], rows: usize) -> Result<Self> {
        check_offsets(argument, offsets, rows, items.len())?;
        Ok(Self { offsets, items })
    }

    /// Lists that passed [`Self::new`] before, for calls that must not read all offsets again. Offsets that have changed
    /// since may cause a panic.
    #[must_use]
    pub fn of_checked(offsets: &'a [i64], items: &'a [T]) -> Self {
        Self { offsets, items }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of entries of all rows.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.items.len()
    }

    /// Where row `i` begins and ends among the entries.
    #[must_use]
    pub fn range(&self, i: usize) -> Range<usize> {
        self.offsets[i] as usize..self.offsets[i + 1] as usize
    }

    /// The row that holds entry number `place`.
    #[must_use]
    pub fn holding(&self, place: usize) -> usize {
        self.offsets.partition_point(|begin| *begin <= place as i64) - 1
    }

    /// The entries of row `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.items[self.range(i)]
    }

    /// The positions where rows begin, and the position where the last one ends.
    #[must_use]
    pub fn offsets(&self) -> &'a [i64] {
        self.offsets
    }

    /// All entries, row after row.
    #[must_use]
    pub fn items(&self) -> &'a [T] {
        self.items
    }
}

impl CsrView<'_> {
    /// Checks that the entries of every row are strictly ascending row numbers below `limit`; with `outside`, a row may
    /// begin with any number of -1.
    ///
    /// # Errors
    /// Returns an error on the first row that is unsorted, repeats a number, or holds one out of range.
    pub fn check_rows(&self, argument: &'static str, limit: usize, outside: bool) -> Result<()> {
        (0..self.len()).try_for_each(|i| self.check_row(argument, i, limit, outside))
    }

    /// Checks row `i` alone in the same way.
    ///
    /// # Errors
    /// As above.
    pub fn check_row(&self, argument: &'static str, i: usize, limit: usize, outside: bool) -> Result<()> {
        let row = self.row(i);
        // Not by bisection, which would skip what stands before a later -1.
        let inside = if outside { row.iter().take_while(|&&j| j == -1).count() } else { 0 };
        for (position, &j) in row.iter().enumerate().skip(inside) {
            if j < 0 || j >= limit as i64 {
                return Err(Error::RowOutOfRange { argument, row: j, rows: limit });
            }
            if position > inside && row[position - 1] >= j {
                return Err(Error::UnsortedCsr { argument, row: i });
            }
        }
        Ok(())
    }
}

/// Offsets of consecutive lists: the positions where each list begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets(Vec<usize>);

impl Default for Offsets {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl Offsets {
    /// List `i` holds the entries `offsets[i]..offsets[i + 1]` of all `entries`.
    ///
    /// # Errors
    /// Returns an error on offsets that do not start at 0, decrease, or do not end at the number of entries.
    pub fn new(argument: &'static str, offsets: &[i64], entries: usize) -> Result<Self> {
        let lists = offsets.len().checked_sub(1).ok_or(Error::RaggedCsr { argument, row: 0 })?;
        check_offsets(argument, offsets, lists, entries)?;
        Ok(Self(offsets.iter().map(|offset| *offset as usize).collect()))
    }

    /// `lists` lists of `len` entries.
    #[must_use]
    pub fn uniform(lists: usize, len: usize) -> Self {
        Self((0..=lists).map(|list| list * len).collect())
    }

    /// Number of lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len() - 1
    }

    /// Whether there are no lists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of entries of all lists.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.0[self.len()]
    }

    /// Where list `i` begins and ends among the entries.
    #[inline]
    #[must_use]
    pub fn range(&self, i: usize) -> Range<usize> {
        self.0[i]..self.0[i + 1]
    }

    /// Where every list begins and ends among the entries, in order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.windows(2).map(|ends| ends[0]..ends[1])
    }

    /// Splits an array of `width` numbers per entry into one slice per list.
    ///
    /// # Panics
    /// If the array has fewer entries.
    pub fn split<'a, T>(&self, array: &'a mut [T], width: usize) -> impl Iterator<Item = &'a mut [T]> {
        let mut rest = array;
        self.ranges().map(move |range| {
            let (list, after) = std::mem::take(&mut rest).split_at_mut(range.len() * width);
            rest = after;
            list
        })
    }
}

/// Owned lists.
#[derive(Clone, Debug)]
pub struct Lists<T> {
    offsets: Offsets,
    items: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { offsets: Offsets::default(), items: Vec::new() }
    }
}

impl<T: Copy + Default> Lists<T> {
    /// Items by their label, which is below `labels`; a list keeps the order of its items.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub(crate) fn grouped(
        items: impl Iterator<Item = T> + Clone,
        labels: usize,
        label: impl Fn(T) -> usize,
        run: &Run<'_>,
    ) -> Result<Self> {
        let mut pace = Pace::new(run);
        let mut offsets = vec![0; labels + 1];
        for item in items.clone() {
            pace.step(1)?;
            offsets[label(item) + 1] += 1;
        }
        for j in 0..labels {
            offsets[j + 1] += offsets[j];
        }
        let mut next = offsets.clone();
        let mut out = vec![T::default(); offsets[labels]];
        for item in items {
            pace.step(2)?;
            let next = &mut next[label(item)];
            out[*next] = item;
            *next += 1;
        }
        Ok(Self { offsets: Offsets(offsets), items: out })
    }
}

impl<T> Lists<T> {
    /// One item in every list.
    pub(crate) fn single(items: Vec<T>) -> Self {
        Self { offsets: Offsets::uniform(items.len(), 1), items }
    }

    /// Appends a row.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = T>) {
        self.items.extend(row);
        self.offsets.0.push(self.items.len());
    }

    /// Appends all rows of other lists.
    ///
    /// # Errors
    /// Returns an error on lack of memory for them.
    pub(crate) fn append(&mut self, mut other: Self) -> Result<()> {
        reserve(&mut self.items, other.items.len())?;
        reserve(&mut self.offsets.0, other.len())?;
        let before = self.items.len();
        self.offsets.0.extend(other.offsets.0[1..].iter().map(|offset| before + offset));
        self.items.append(&mut other.items);
        Ok(())
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries of row `i`.
    #[inline]
    #[must_use]
    pub fn row(&self, i: usize) -> &[T] {
        &self.items[self.range(i)]
    }

    /// Where row `i` begins and ends among the entries.
    #[inline]
    #[must_use]
    pub fn range(&self, i: usize) -> Range<usize> {
        self.offsets.range(i)
    }

    /// Where rows begin and end.
    #[must_use]
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// All entries, row after row.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// All entries, row after row.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leading_entries_may_be_outside() {
        let is_accepted = |items: &[i64], outside| {
            let offsets = [0, items.len() as i64];
            CsrView::new("lists", &offsets, items, 1).unwrap().check_rows("lists", 9, outside).is_ok()
        };
        for (items, inside, outside) in [
            (&[0, 3, 8][..], true, true),
            (&[-1, -1, 0, 3], false, true),
            (&[-1], false, true),
            (&[3, -1, 4], false, false),
            (&[7, -1, 2], false, false),
            (&[3, -1], false, false),
            (&[-1, 3, -1], false, false),
            (&[-2, 3], false, false),
        ] {
            assert_eq!((is_accepted(items, false), is_accepted(items, true)), (inside, outside), "{items:?}");
        }
    }
}
