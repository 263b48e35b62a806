//! Padded arrays: lists of scored documents as arrays of one width.

use super::Result;
use super::memory::with_capacity;
use super::order::Scored;
use super::parallel::Run;

/// Rows copied between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 64;

/// Document rows padded with -1 and scores padded with -inf, row-major, and the count of documents per row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Padded {
    /// Width of `indices` and `scores`.
    pub width: usize,
    /// Document rows.
    pub indices: Vec<i64>,
    /// Scores.
    pub scores: Vec<f64>,
    /// Documents per row.
    pub counts: Vec<i32>,
}

impl Padded {
    /// An empty value with memory for `rows` rows.
    ///
    /// # Errors
    /// Returns an error on lack of memory.
    pub fn with_capacity(rows: usize, width: usize) -> Result<Self> {
        let entries = rows.saturating_mul(width);
        let (indices, scores) = (with_capacity(entries)?, with_capacity(entries)?);
        Ok(Self { width, indices, scores, counts: with_capacity(rows)? })
    }

    /// Lists of at most `width` documents.
    ///
    /// # Errors
    /// Returns an error on lack of memory, or an interrupt.
    pub fn from_lists(
        width: usize,
        lists: impl ExactSizeIterator<Item = Vec<Scored>>,
        run: &Run<'_>,
    ) -> Result<Self> {
        let rows = lists.len();
        let mut padded = Self::with_capacity(rows, width)?;
        for (row, list) in lists.enumerate() {
            if row.is_multiple_of(ROWS_PER_CHECK) {
                run.tick(rows, rows)?;
            }
            padded.push_row(list.iter().map(|scored| (i64::from(scored.row), scored.score)));
        }
        Ok(padded)
    }

    /// Appends a row of at most `width` documents.
    pub fn push_row(&mut self, row: impl Iterator<Item = (i64, f64)>) {
        let begin = self.indices.len();
        for (index, score) in row {
            self.indices.push(index);
            self.scores.push(score);
        }
        self.counts.push((self.indices.len() - begin) as i32);
        self.indices.resize(begin + self.width, -1);
        self.scores.resize(begin + self.width, f64::NEG_INFINITY);
    }
}
