//! Lists of numbers per row, as offsets and entries.

use super::{Error, Result};

/// Borrowed CSR as it comes over the border: entries of row `i` are `items[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Copy, Debug)]
pub struct CsrView<'a> {
    offsets: &'a [i64],
    items: &'a [i64],
}

impl<'a> CsrView<'a> {
    /// Checks the offsets; the entries may be anything.
    ///
    /// # Errors
    /// A wrong number of rows, or offsets that do not start at 0, fall, or do not end at the number of entries.
    pub fn new(argument: &'static str, offsets: &'a [i64], items: &'a [i64], rows: usize) -> Result<Self> {
        if offsets.len() != rows + 1 {
            return Err(Error::Length { argument, expected: rows, got: offsets.len().saturating_sub(1) });
        }
        if offsets[0] != 0 {
            return Err(Error::RaggedCsr { argument, row: 0 });
        }
        if let Some(row) = offsets.windows(2).position(|w| w[0] > w[1]) {
            return Err(Error::RaggedCsr { argument, row });
        }
        if offsets[rows] != items.len() as i64 {
            return Err(Error::RaggedCsr { argument, row: rows.saturating_sub(1) });
        }
        Ok(Self { offsets, items })
    }

    /// Checks that the entries of every row rise strictly and are row numbers below `limit`; with `outside`, a row may
    /// begin with any number of -1.
    ///
    /// # Errors
    /// The first row that is unsorted, repeats a number, or holds one out of range.
    pub fn check_rows(&self, argument: &'static str, limit: usize, outside: bool) -> Result<()> {
        for i in 0..self.len() {
            let row = self.row(i);
            let inside = if outside { row.partition_point(|&j| j == -1) } else { 0 };
            for (position, &j) in row.iter().enumerate().skip(inside) {
                if j < 0 || j >= limit as i64 {
                    return Err(Error::RowOutOfRange { argument, row: j, rows: limit });
                }
                if position > inside && row[position - 1] >= j {
                    return Err(Error::UnsortedCsr { argument, row: i });
                }
            }
        }
        Ok(())
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
    pub fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i] as usize..self.offsets[i + 1] as usize
    }

    /// The row that holds entry number `place`.
    #[must_use]
    pub fn holding(&self, place: usize) -> usize {
        self.offsets.partition_point(|begin| *begin <= place as i64) - 1
    }

    /// The entries of row `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> &'a [i64] {
        &self.items[self.range(i)]
    }
}

/// Owned CSR that is built row by row.
#[derive(Clone, Debug)]
pub struct Lists<T> {
    offsets: Vec<usize>,
    items: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { offsets: vec![0], items: Vec::new() }
    }
}

impl<T> Lists<T> {
    /// Appends a row.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = T>) {
        self.items.extend(row);
        self.offsets.push(self.items.len());
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

    /// The entries of row `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> &[T] {
        &self.items[self.range(i)]
    }

    /// Where row `i` begins and ends among the entries.
    #[must_use]
    pub fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }

    /// All entries, row after row.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }
}
