//! Work limits of a packing: searches end after a number of examined items, not after a time, so that a plan is the
//! same on every machine.

use std::cell::Cell;

use crate::base::Result;
use crate::base::parallel::Run;

/// The most items that one call may examine, in ids of rows and rows of ids: some five seconds.
const MOST: u64 = 1 << 32;

/// Additional items per row: one or two tenths of a microsecond.
const MOST_A_ROW: u64 = 1 << 8;

/// Counts the work of one call, and checks for an interrupt between its pieces.
pub(super) struct Effort<'a> {
    run: &'a Run<'a>,
    most: u64,
    spent: Cell<u64>,
}

impl<'a> Effort<'a> {
    /// The effort that a call on `rows` rows may make.
    pub(super) fn new(rows: usize, run: &'a Run<'a>) -> Self {
        Self { run, most: MOST + MOST_A_ROW * rows as u64, spent: Cell::new(0) }
    }

    /// How the call runs.
    pub(super) fn run(&self) -> &Run<'a> {
        self.run
    }

    /// Counts examined ids and rows.
    #[inline]
    pub(super) fn look(&self, items: usize) {
        self.spent.set(self.spent.get() + items as u64);
    }

    /// Number of items that were examined so far.
    #[cfg(test)]
    pub(super) fn spent(&self) -> u64 {
        self.spent.get()
    }

    /// Whether searches must be short from now on.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.get() >= self.most
    }

    /// The allowed length of a search whose usual length is `most`.
    pub(super) fn allowed(&self, most: usize) -> usize {
        if self.is_spent() { most / 16 } else { most }
    }

    /// Reports the part of the work that may have been done, and returns an error if the caller wishes to stop.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub(super) fn check(&self) -> Result<()> {
        self.run.tick(self.spent.get().min(self.most - 1) as usize, self.most as usize)
    }
}
