//! How much work a packing may cost: searches end by a count of what they looked at, not by a clock, so that a plan is
//! the same on any machine.

use std::cell::Cell;

use crate::base::Result;
use crate::base::parallel::Run;

/// What one call may look at, in ids of rows and rows that hold them: some five seconds.
const MOST: u64 = 1 << 32;

/// As much again for each row: a tenth of a microsecond or two.
const MOST_A_ROW: u64 = 1 << 8;

/// Counts the work of one call, and asks between its pieces whether the call should stop.
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

    /// Counts ids and rows that were looked at.
    #[inline]
    pub(super) fn look(&self, items: usize) {
        self.spent.set(self.spent.get() + items as u64);
    }

    /// What was looked at so far.
    #[cfg(test)]
    pub(super) fn spent(&self) -> u64 {
        self.spent.get()
    }

    /// Whether searches must be short from now on.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.get() >= self.most
    }

    /// How long a search may be of which `most` is the length at other times.
    pub(super) fn allowed(&self, most: usize) -> usize {
        if self.is_spent() { most / 16 } else { most }
    }

    /// Reports the part of the work that may have been done, and returns an error if the caller wishes to stop.
    ///
    /// # Errors
    /// An interrupt.
    pub(super) fn check(&self) -> Result<()> {
        self.run.tick(self.spent.get().min(self.most - 1) as usize, self.most as usize)
    }
}
