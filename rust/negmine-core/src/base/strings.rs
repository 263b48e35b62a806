//! Hash table of strings: which row holds a string first.
//!
//! Open addressing with linear probing. A slot holds a row and the upper half of its hash, so that most other strings
//! are passed without a look at their bytes. Rows enter in ascending order, so the table does not depend on threads.

use super::csr::CsrView;
use super::limits::MAX_ROWS;
use super::memory::{push, with_capacity, zeros};
use super::parallel::Run;
use super::xxh64::hash_strings;
use super::{Error, Result};

/// Rows between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 1 << 14;

/// Bits of the hash that a slot keeps.
const UPPER: u64 = !(u32::MAX as u64);

/// An index of strings by their content. It does not hold their bytes.
#[derive(Debug)]
pub struct StringTable {
    /// The upper half of a hash, then the row plus 1; 0 if the slot is empty.
    slots: Vec<u64>,
    rows: usize,
}

impl StringTable {
    /// Indexes strings.
    ///
    /// # Errors
    /// Returns an error on too many rows, lack of memory, or an interrupt.
    pub fn build(strings: CsrView<'_, u8>, run: &Run<'_>) -> Result<Self> {
        let rows = strings.len();
        if rows >= MAX_ROWS {
            return Err(Error::TooManyRows { argument: "labels", rows });
        }
        let hashes = hash_strings(strings, run)?;
        // At most four in five slots will be taken.
        let mut table = Self { slots: zeros((rows + rows / 4 + 1).next_power_of_two())?, rows };
        for (row, hash) in hashes.into_iter().enumerate() {
            if row % ROWS_PER_CHECK == 0 {
                run.tick(row, rows)?;
            }
            let slot = table.slot(strings, hash, strings.row(row));
            if table.slots[slot] == 0 {
                table.slots[slot] = (hash & UPPER) | (row as u64 + 1);
            }
        }
        Ok(table)
    }

    /// The first row of `known`, the strings of [`Self::build`], that holds each wanted string; -1 if none does.
    ///
    /// # Errors
    /// Returns an error on other strings than those indexed, lack of memory, or an interrupt.
    pub fn find(&self, known: CsrView<'_, u8>, wanted: CsrView<'_, u8>, run: &Run<'_>) -> Result<Vec<i64>> {
        super::error::check_length("labels", self.rows, known.len())?;
        let hashes = hash_strings(wanted, run)?;
        let mut found = with_capacity(wanted.len())?;
        for (row, hash) in hashes.into_iter().enumerate() {
            if row % ROWS_PER_CHECK == 0 {
                run.tick(row, wanted.len())?;
            }
            push(&mut found, row_of(self.slots[self.slot(known, hash, wanted.row(row))]))?;
        }
        Ok(found)
    }

    /// The slot that holds a string, or the empty slot where it belongs.
    fn slot(&self, known: CsrView<'_, u8>, hash: u64, string: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.slots[slot];
            let same = || (entry ^ hash) & UPPER == 0 && known.row(row_of(entry) as usize) == string;
            if entry == 0 || same() {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// The row in a slot; -1 for an empty slot.
fn row_of(slot: u64) -> i64 {
    (slot & !UPPER) as i64 - 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use negmine_kernels::isa::Isa;
    use proptest::prelude::*;

    use super::*;

    fn layout(strings: &[String]) -> (Vec<i64>, Vec<u8>) {
        let mut offsets = vec![0];
        let mut bytes = Vec::new();
        for string in strings {
            bytes.extend_from_slice(string.as_bytes());
            offsets.push(bytes.len() as i64);
        }
        (offsets, bytes)
    }

    proptest! {
        #[test]
        fn rows_are_those_of_a_hash_map(
            known in prop::collection::vec("[ab]{0,3}|x[0-9]{2}", 0..80),
            wanted in prop::collection::vec("[abc]{0,3}|x[0-9]{2}", 0..80),
        ) {
            let run = Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false };
            let ((offsets, bytes), (other, text)) = (layout(&known), layout(&wanted));
            let rows = CsrView::new("labels", &offsets, &bytes, known.len()).unwrap();
            let others = CsrView::new("labels", &other, &text, wanted.len()).unwrap();
            let table = StringTable::build(rows, &run).unwrap();
            let mut map = HashMap::new();
            for (row, string) in known.iter().enumerate() {
                map.entry(string).or_insert(row as i64);
            }
            let found: Vec<i64> = wanted.iter().map(|string| map.get(string).copied().unwrap_or(-1)).collect();
            prop_assert_eq!(table.find(rows, others, &run).unwrap(), found);
        }
    }
}
