//! The documents that one query may have.

use crate::base::Result;
use crate::base::key_ranges::{KeyRanges, all_admit};
use crate::base::parallel::Ticker;

/// Documents looked through between two checks for an interrupt.
const DOCUMENTS_PER_CHECK: usize = 1 << 14;

/// The documents that a query may have: all but the forbidden ones, as far as keys admit them.
#[derive(Clone, Copy)]
pub(super) struct Allowed<'a> {
    /// Number of documents.
    pub(super) documents: usize,
    /// Documents that the query may not have, ascending.
    pub(super) forbidden: &'a [i64],
    /// Rules of keys, all of which must admit a document.
    pub(super) eligible: &'a [KeyRanges<'a>],
    /// The query, for the rules of keys.
    pub(super) query: usize,
}

impl Allowed<'_> {
    /// Whether the query may have a document.
    pub(super) fn admits(&self, row: i64) -> bool {
        self.forbidden.binary_search(&row).is_err() && all_admit(self.eligible, self.query, row as usize)
    }

    /// All documents that the query may have, in row order.
    pub(super) fn rows(&self, ticker: &Ticker<'_>) -> Result<Vec<u32>> {
        let mut rows = Vec::new();
        for first in (0..self.documents).step_by(DOCUMENTS_PER_CHECK) {
            ticker.check()?;
            let some = first..(first + DOCUMENTS_PER_CHECK).min(self.documents);
            rows.extend(some.filter(|&row| self.admits(row as i64)).map(|row| row as u32));
        }
        Ok(rows)
    }
}
