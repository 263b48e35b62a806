//! The conflict graph of rows: which rows may not share a step. Ids by row and rows by id, the most frequent id first.

use crate::base::error::check_length;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

/// A table of ids, row after row; -1 is no id.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// The name of the argument.
    pub argument: &'static str,
    /// `width` numbers per row.
    pub ids: &'a [i64],
    /// Numbers per row.
    pub width: usize,
}

/// The ids in the rows of a data set, as numbers below `n_anchors` and `n_documents`.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// Rows.
    pub rows: usize,
    /// Anchors: exclusive, with their own id space.
    pub anchors: Column<'a>,
    /// Positives: exclusive.
    pub positives: Column<'a>,
    /// Negatives: shared among themselves unless `strict`.
    pub negatives: Column<'a>,
    /// Number of anchor ids.
    pub n_anchors: usize,
    /// Number of document ids.
    pub n_documents: usize,
    /// Whether negatives are exclusive too.
    pub strict: bool,
}

/// An id as the caller numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// Of the anchors.
    Anchor(usize),
    /// Of the documents.
    Document(usize),
}

/// The least number of steps that one id forces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Steps.
    pub steps: usize,
    /// The id, if it forces more steps than the number of rows does.
    pub id: Option<Id>,
    /// Rows that hold the id as an anchor or a positive.
    pub exclusive: usize,
    /// Rows that hold it as a negative only.
    pub shared: usize,
}

/// The ids by which rows can conflict, numbered by descending frequency, without ids of a single row and without
/// negatives that are no row's positive.
#[derive(Clone, Debug)]
pub(super) struct Conflicts {
    row_offsets: Vec<u32>,
    /// Ids of a row in ascending order, each doubled, plus 1 if it is exclusive.
    row_ids: Vec<u32>,
    id_offsets: Vec<u32>,
    /// Rows of an id, the exclusive ones first.
    holders: Vec<u32>,
    exclusive: Vec<u32>,
    names: Vec<Id>,
}

/// Rows between two checks for an interrupt.
const POLL_EVERY: usize = 1 << 14;

/// The most rows and occurrences of ids.
const MOST: usize = (u32::MAX >> 1) as usize;

impl Conflicts {
    /// Reads the columns.
    ///
    /// # Errors
    /// Returns an error on columns of another length, numbers out of range, or too many of them, or an interrupt.
    pub(super) fn new(columns: &Columns<'_>, run: &Run<'_>) -> Result<Self> {
        let n = columns.rows;
        let spaces = [(columns.anchors, 0), (columns.positives, 1), (columns.negatives, 1)];
        let sizes = [columns.n_anchors, columns.n_documents];
        let mut occurrences = 0;
        for (column, space) in spaces {
            check_length(column.argument, n * column.width, column.ids.len())?;
            occurrences += column.ids.len();
            if let Some(&row) = column.ids.iter().find(|&&id| id < -1 || id >= sizes[space] as i64) {
                return Err(Error::RowOutOfRange { argument: column.argument, row, rows: sizes[space] });
            }
        }
        for (argument, count) in [
            ("anchors", n),
            ("negatives", occurrences),
            ("positives", columns.n_anchors + columns.n_documents),
        ] {
            if count > MOST {
                return Err(Error::Value {
                    argument,
                    rule: "at most 2^31 - 1 in number",
                    got: count.to_string(),
                });
            }
        }
        // Every id of a row once, exclusive if any of its places is.
        let mut row_offsets = Vec::with_capacity(n + 1);
        let mut row_ids: Vec<u32> = Vec::with_capacity(occurrences);
        let mut counts = vec![[0_u32; 2]; columns.n_anchors + columns.n_documents];
        row_offsets.push(0);
        let mut own: Vec<u32> = Vec::new();
        for row in 0..n {
            if row.is_multiple_of(POLL_EVERY) {
                run.tick(row, n)?;
            }
            own.clear();
            for (place, (column, space)) in spaces.into_iter().enumerate() {
                let shared = u32::from(place == 2 && !columns.strict);
                let ids = &column.ids[row * column.width..][..column.width];
                let base = space * columns.n_anchors;
                own.extend(
                    ids.iter().filter(|id| **id >= 0).map(|id| ((base + *id as usize) as u32) << 1 | shared),
                );
            }
            own.sort_unstable();
            own.dedup_by_key(|item| *item >> 1);
            for item in &own {
                counts[(item >> 1) as usize][(item & 1) as usize] += 1;
            }
            row_ids.extend_from_slice(&own);
            row_offsets.push(row_ids.len() as u32);
        }
        Self::renumbered(&row_offsets, &row_ids, &counts, columns.n_anchors, run)
    }

    fn renumbered(
        offsets: &[u32],
        all: &[u32],
        counts: &[[u32; 2]],
        n_anchors: usize,
        run: &Run<'_>,
    ) -> Result<Self> {
        const NONE: u32 = u32::MAX;
        let held = |id: u32| counts[id as usize].iter().sum::<u32>();
        let mut order: Vec<u32> =
            (0..counts.len() as u32).filter(|id| counts[*id as usize][0] > 0 && held(*id) > 1).collect();
        order.sort_by_key(|id| std::cmp::Reverse(held(*id)));
        let mut number = vec![NONE; counts.len()];
        let mut id_offsets = vec![0_u32];
        let mut exclusive = Vec::with_capacity(order.len());
        let mut ends = Vec::with_capacity(order.len());
        let mut total = 0;
        for (new, old) in order.iter().enumerate() {
            number[*old as usize] = new as u32;
            exclusive.push(counts[*old as usize][0]);
            ends.push([total, total + counts[*old as usize][0]]);
            total += held(*old);
            id_offsets.push(total);
        }
        let mut holders = vec![0; total as usize];
        let mut row_ids = Vec::with_capacity(total as usize);
        let mut row_offsets = vec![0];
        for (row, ends_of_row) in offsets.windows(2).enumerate() {
            if row.is_multiple_of(POLL_EVERY) {
                run.tick(row, offsets.len() - 1)?;
            }
            let first = row_ids.len();
            for item in &all[ends_of_row[0] as usize..ends_of_row[1] as usize] {
                let new = number[(item >> 1) as usize];
                if new != NONE {
                    let shared = item & 1;
                    row_ids.push(new << 1 | (1 - shared));
                    let end = &mut ends[new as usize][shared as usize];
                    holders[*end as usize] = row as u32;
                    *end += 1;
                }
            }
            row_ids[first..].sort_unstable();
            row_offsets.push(row_ids.len() as u32);
        }
        let names = order
            .into_iter()
            .map(|old| match (old as usize).checked_sub(n_anchors) {
                None => Id::Anchor(old as usize),
                Some(document) => Id::Document(document),
            })
            .collect();
        Ok(Self { row_offsets, row_ids, id_offsets, holders, exclusive, names })
    }

    /// The offsets and ids of the rows, from which [`Self::restored`] rebuilds the value.
    pub(super) fn parts(&self) -> (&[u32], &[u32]) {
        (&self.row_offsets, &self.row_ids)
    }

    /// Rebuilds the value from its parts, without the caller's names of ids.
    ///
    /// # Errors
    /// Returns an error on parts that do not fit each other, or an interrupt.
    pub(super) fn restored(row_offsets: Vec<u32>, row_ids: Vec<u32>, run: &Run<'_>) -> Result<Self> {
        let ids = row_ids.iter().map(|item| (item >> 1) as usize + 1).max().unwrap_or(0);
        let fits = row_offsets.first() == Some(&0)
            && row_offsets.is_sorted()
            && row_offsets.last().map(|end| *end as usize) == Some(row_ids.len())
            && ids <= row_ids.len();
        if !fits {
            return Err(Error::RaggedCsr { argument: "row_offsets", row: 0 });
        }
        let mut counts = vec![[0_u32; 2]; ids];
        for item in &row_ids {
            counts[(item >> 1) as usize][1 - (item & 1) as usize] += 1;
        }
        let mut id_offsets = vec![0];
        let mut ends = Vec::with_capacity(ids);
        let mut total = 0;
        for [exclusive, shared] in &counts {
            ends.push([total, total + exclusive]);
            total += exclusive + shared;
            id_offsets.push(total);
        }
        let mut holders = vec![0; row_ids.len()];
        for (row, span) in row_offsets.windows(2).enumerate() {
            if row.is_multiple_of(POLL_EVERY) {
                run.tick(row, row_offsets.len() - 1)?;
            }
            for item in &row_ids[span[0] as usize..span[1] as usize] {
                let end = &mut ends[(item >> 1) as usize][1 - (item & 1) as usize];
                holders[*end as usize] = row as u32;
                *end += 1;
            }
        }
        let exclusive = counts.iter().map(|[exclusive, _]| *exclusive).collect();
        Ok(Self { row_offsets, row_ids, id_offsets, holders, exclusive, names: Vec::new() })
    }

    /// Rows.
    pub(super) fn rows(&self) -> usize {
        self.row_offsets.len() - 1
    }

    /// Ids.
    pub(super) fn ids(&self) -> usize {
        self.exclusive.len()
    }

    /// The ids of a row in ascending order, and whether the row holds them exclusively.
    #[inline]
    pub(super) fn of_row(&self, row: u32) -> impl Iterator<Item = (u32, bool)> + '_ {
        let (begin, end) = (self.row_offsets[row as usize], self.row_offsets[row as usize + 1]);
        self.row_ids[begin as usize..end as usize].iter().map(|item| (item >> 1, item & 1 == 1))
    }

    /// The rows that hold an id exclusively, and those that share it.
    #[inline]
    pub(super) fn holders(&self, id: u32) -> (&[u32], &[u32]) {
        let (begin, end) = (self.id_offsets[id as usize], self.id_offsets[id as usize + 1]);
        self.holders[begin as usize..end as usize].split_at(self.exclusive[id as usize] as usize)
    }

    /// Rows that hold an id.
    #[inline]
    pub(super) fn frequency(&self, id: u32) -> usize {
        (self.id_offsets[id as usize + 1] - self.id_offsets[id as usize]) as usize
    }

    /// For the first ids, the number of rows of a step that may share the id: an even share if `steps` steps cannot
    /// keep its rows apart, 0 if they can.
    pub(super) fn caps(&self, steps: usize, size: usize) -> Vec<u32> {
        let frequent = (0..self.ids() as u32).take_while(|id| self.frequency(*id) > steps);
        frequent
            .map(|id| {
                let (exclusive, shared) = self.holders(id);
                let needed = exclusive.len() + shared.len().div_ceil(size);
                if needed > steps { self.frequency(id).div_ceil(steps) as u32 } else { 0 }
            })
            .collect()
    }

    /// A lower bound of the number of steps of at most `size` rows, from single ids and the number of rows.
    pub(super) fn bound(&self, size: usize) -> Bound {
        let mut bound = Bound { steps: self.rows().div_ceil(size), id: None, exclusive: 0, shared: 0 };
        for id in 0..self.ids() as u32 {
            let (exclusive, shared) = self.holders(id);
            let steps = exclusive.len() + shared.len().div_ceil(size);
            if steps > bound.steps {
                let name = self.names.get(id as usize).copied();
                bound = Bound { steps, id: name, exclusive: exclusive.len(), shared: shared.len() };
            }
        }
        bound
    }
}
