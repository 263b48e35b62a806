//! Consecutive rows as lists, one for each user.

use std::ops::Range;

use crate::base::csr::CsrView;
use crate::base::{Error, Result};

/// Where each list of rows begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ragged {
    offsets: Vec<usize>,
}

impl Ragged {
    /// Lists of rows `offsets[i]..offsets[i + 1]` of `rows` rows.
    ///
    /// # Errors
    /// Offsets that do not start at 0, fall, or do not end at the number of rows.
    pub fn new(argument: &'static str, offsets: &[i64], rows: usize) -> Result<Self> {
        let lists = offsets.len().checked_sub(1).ok_or(Error::RaggedCsr { argument, row: 0 })?;
        // A row has no entry of its own here: what is checked is where lists begin and end.
        CsrView::new(argument, offsets, &vec![(); rows], lists)?;
        let offsets = offsets.iter().map(|offset| *offset as usize).collect();
        Ok(Self { offsets })
    }

    /// `lists` lists of `len` rows.
    #[must_use]
    pub fn uniform(lists: usize, len: usize) -> Self {
        Self { offsets: (0..=lists).map(|list| list * len).collect() }
    }

    /// Number of lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no lists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of all lists.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.offsets[self.len()]
    }

    /// The rows of a list.
    #[must_use]
    pub fn list(&self, i: usize) -> Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }

    /// An array of `width` numbers a row, as one slice for each list.
    ///
    /// # Panics
    /// Where the array has fewer rows.
    pub fn split<'a, T>(&self, array: &'a mut [T], width: usize) -> impl Iterator<Item = &'a mut [T]> {
        let mut rest = array;
        self.offsets.windows(2).map(move |pair| {
            let (list, after) = std::mem::take(&mut rest).split_at_mut((pair[1] - pair[0]) * width);
            rest = after;
            list
        })
    }
}
