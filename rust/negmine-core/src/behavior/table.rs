//! Tables of bucket sums and counts (BSE, "behavior sequence encoding", in SDIM: Cao and others, arXiv 2205.10249), one
//! per user.
//!
//! Sums are stored without normalization and normalized when they are read, so appending, removing and decaying keep
//! their exact meaning. A sum has one accumulator, rows in the order in which they come, and does not depend on the
//! number of threads. Removing subtracts, which leaves a rounding error of up to 2^-24 of the greatest sum per removal.
//! A cell that becomes empty is set to zero; to remove other rounding errors, the caller rebuilds a user's table from
//! time to time.
//!
//! Counts are u32 until a table is decayed and f32 after; a decayed table does not know the remaining share of a
//! behavior, so nothing can be removed from it.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use negmine_kernels::aligned::Aligned;
use negmine_kernels::buckets::{Shape, Signatures, gather, scatter};
use negmine_kernels::canonical;
use negmine_kernels::isa::Isa;
use negmine_kernels::quantize::first_non_finite;

use crate::base::csr::Offsets;
use crate::base::error::check_length;
use crate::base::memory::zeros;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

/// Candidates of an item of work: some 20 us at 16 groups and width 64.
const CANDIDATES_PER_ITEM: usize = 512;

/// Smaller norms are replaced by this one, as in torch's `normalize`.
pub(super) const LEAST_NORM: f64 = 1e-12;

/// The value that a candidate reads from the cell of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    /// The sum over its norm: the paper's form.
    L2,
    /// The sum over its count.
    Mean,
    /// The sum.
    Sum,
    /// The sums of all groups over their counts.
    Ratio,
}

/// Number of rows in each cell.
#[derive(Clone, Copy, Debug)]
pub enum Counts<'a> {
    /// Integer counts.
    Whole(&'a [u32]),
    /// Counts after decay.
    Decayed(&'a [f32]),
}

impl Counts<'_> {
    /// The count of a cell.
    #[must_use]
    pub fn get(self, cell: usize) -> f64 {
        match self {
            Self::Whole(counts) => f64::from(counts[cell]),
            Self::Decayed(counts) => f64::from(counts[cell]),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Whole(counts) => counts.len(),
            Self::Decayed(counts) => counts.len(),
        }
    }

    pub(super) fn part(self, cells: std::ops::Range<usize>) -> Self {
        match self {
            Self::Whole(counts) => Self::Whole(&counts[cells]),
            Self::Decayed(counts) => Self::Decayed(&counts[cells]),
        }
    }
}

/// Counts that can be written.
#[derive(Debug)]
pub enum CountsMut<'a> {
    /// Integer counts.
    Whole(&'a mut [u32]),
    /// Counts after decay.
    Decayed(&'a mut [f32]),
}

impl<'a> CountsMut<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Whole(counts) => counts.len(),
            Self::Decayed(counts) => counts.len(),
        }
    }

    fn chunks(self, cells: usize) -> Vec<CountsMut<'a>> {
        match self {
            Self::Whole(counts) => counts.chunks_mut(cells).map(CountsMut::Whole).collect(),
            Self::Decayed(counts) => counts.chunks_mut(cells).map(CountsMut::Decayed).collect(),
        }
    }
}

/// The tables of some users, borrowed: sums (users, groups, buckets, width), counts (users, groups, buckets).
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    shape: Shape,
    sums: &'a [f32],
    counts: Counts<'a>,
}

/// Tables that can be written.
#[derive(Debug)]
pub struct TableMut<'a> {
    shape: Shape,
    sums: &'a mut [f32],
    counts: CountsMut<'a>,
}

/// The operation on rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Rows are added.
    Append,
    /// Rows are subtracted.
    Remove,
}

impl<'a> TableMut<'a> {
    /// Wraps the tables of `users` users.
    ///
    /// # Errors
    /// Returns an error on lengths that do not fit the shape.
    pub fn new(shape: Shape, users: usize, sums: &'a mut [f32], counts: CountsMut<'a>) -> Result<Self> {
        check_shape(shape)?;
        check_length("sums", users * shape.len(), sums.len())?;
        check_length("counts", users * shape.cells(), counts.len())?;
        Ok(Self { shape, sums, counts })
    }

    /// Adds the rows of list `i` to the table of user `users[i]`, or subtracts them; users are strictly ascending. On
    /// an error, except an interrupt, the tables are unchanged.
    ///
    /// # Errors
    /// Returns an error on lengths that do not fit, users that are not ascending or do not exist, a removal from a cell
    /// that does not hold as many rows, or from a decayed table, or an interrupt.
    pub fn update(
        self,
        update: Update,
        signatures: &[u32],
        values: &[f32],
        lists: &Offsets,
        users: &[i64],
        run: &Run<'_>,
    ) -> Result<()> {
        let shape = self.shape;
        let all = self.sums.len() / shape.len();
        check_length("users", lists.len(), users.len())?;
        check_length("signatures", lists.entries() * shape.groups, signatures.len())?;
        check_length("values", lists.entries() * shape.width, values.len())?;
        check_users(users, all)?;
        for rows in pieces(0..lists.entries(), rows_at_once(shape)) {
            run.tick(0, lists.len())?;
            let words = &signatures[rows.start * shape.groups..rows.end * shape.groups];
            let values = &values[rows.start * shape.width..rows.end * shape.width];
            check_values(shape, words, values, rows.start, run.isa)?;
        }
        if update == Update::Remove {
            self.check_removal(signatures, lists, users, run)?;
        }
        // A user is one item if there are enough users; otherwise each group of a user is one.
        let parts = if lists.len() < run.threads { shape.groups } else { 1 };
        let part = Shape { groups: shape.groups / parts, ..shape };
        let mut tables: Vec<Option<(&mut [f32], CountsMut<'_>)>> =
            self.sums.chunks_mut(part.len()).zip(self.counts.chunks(part.cells())).map(Some).collect();
        let items: Vec<_> = (0..lists.len() * parts)
            .map(|item| Mutex::new(tables[users[item / parts] as usize * parts + item % parts].take()))
            .collect();
        run.map(items.len(), Vec::new, |negated: &mut Vec<f32>, item, ticker| {
            let Some((sums, mut counts)) = items[item].lock().unwrap_or_else(PoisonError::into_inner).take()
            else {
                return Ok(());
            };
            for rows in pieces(lists.range(item / parts), rows_at_once(part)) {
                ticker.check()?;
                let words = &signatures[rows.start * shape.groups..rows.end * shape.groups];
                let words = Signatures::new(words, shape.groups, item % parts * part.groups);
                let values = &values[rows.start * shape.width..rows.end * shape.width];
                let negative = update == Update::Remove;
                negated.resize(if negative { rows.len() } else { 0 }, -1.0);
                let factors = negative.then_some(&negated[..]);
                match &mut counts {
                    CountsMut::Whole(counts) if !negative => {
                        scatter(run.isa, part, words, values, factors, sums, counts);
                    }
                    counts => {
                        scatter(run.isa, part, words, values, factors, sums, &mut []);
                        count(part, words, sums, counts);
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Returns an error if more rows are to be removed than a cell holds.
    fn check_removal(&self, signatures: &[u32], lists: &Offsets, users: &[i64], run: &Run<'_>) -> Result<()> {
        let shape = self.shape;
        let CountsMut::Whole(counts) = &self.counts else {
            return Err(Error::Value {
                argument: "table",
                rule: "one that was never decayed, for what decay has left of a behavior is not known",
                got: "a decayed table".to_owned(),
            });
        };
        let mut removed = vec![0_u32; shape.cells()];
        for (list, user) in users.iter().enumerate() {
            removed.fill(0);
            run.tick(0, lists.len())?;
            for rows in pieces(lists.range(list), rows_at_once(shape)) {
                run.tick(0, lists.len())?;
                let words = &signatures[rows.start * shape.groups..rows.end * shape.groups];
                for row in words.chunks_exact(shape.groups) {
                    for cell in cells(shape, row) {
                        removed[cell] += 1;
                    }
                }
            }
            let counts = &counts[*user as usize * shape.cells()..][..shape.cells()];
            if removed.iter().zip(counts).any(|(removed, count)| removed > count) {
                return Err(Error::Value {
                    argument: "behaviors",
                    rule: "behaviors that the table holds",
                    got: format!("more in a bucket of user {user} than are in it"),
                });
            }
        }
        Ok(())
    }
}

/// Numbers that are read and written between two checks for an interrupt: some milliseconds.
const NUMBERS_AT_ONCE: usize = 1 << 22;

/// Rows that are added or read between two checks for an interrupt.
pub(super) fn rows_at_once(shape: Shape) -> usize {
    (NUMBERS_AT_ONCE / (shape.groups * shape.width).max(1)).clamp(16, 4096)
}

/// Splits a range into pieces of at most `at_once`.
pub(super) fn pieces(range: Range<usize>, at_once: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(at_once).map(move |start| start..range.end.min(start + at_once))
}

/// The cells of a row.
fn cells(shape: Shape, row: &[u32]) -> impl Iterator<Item = usize> {
    let known = row.iter().enumerate().filter(move |(_, word)| (**word as usize) < shape.buckets);
    known.map(move |(group, word)| group * shape.buckets + *word as usize)
}

/// Returns an error for NaN and infinity among the values of rows that have a signature; `first` is the number of the
/// first row.
pub(super) fn check_values(
    shape: Shape,
    words: &[u32],
    values: &[f32],
    first: usize,
    isa: Isa,
) -> Result<()> {
    if first_non_finite(isa, values).is_none() {
        return Ok(());
    }
    let rows = words.chunks_exact(shape.groups).zip(values.chunks_exact(shape.width));
    for (i, (words, row)) in rows.enumerate() {
        if let (Some(_), Some(column)) = (cells(shape, words).next(), first_non_finite(isa, row)) {
            return Err(Error::NonFinite { argument: "values", row: first + i, column });
        }
    }
    Ok(())
}

/// Counts what was taken away from whole counts, or added to decayed ones.
fn count(shape: Shape, words: Signatures<'_>, sums: &mut [f32], counts: &mut CountsMut<'_>) {
    let hits = words.rows(shape.groups).flat_map(|row| cells(shape, row));
    match counts {
        CountsMut::Whole(counts) => {
            hits.for_each(|cell| counts[cell] -= 1);
            for (sum, count) in sums.chunks_exact_mut(shape.width).zip(counts.iter()) {
                if *count == 0 {
                    sum.fill(0.0);
                }
            }
        }
        CountsMut::Decayed(counts) => hits.for_each(|cell| counts[cell] += 1.0),
    }
}

fn check_shape(shape: Shape) -> Result<()> {
    if shape.is_empty() {
        return Err(Error::Value {
            argument: "values",
            rule: "at least 1 wide",
            got: format!("width {}", shape.width),
        });
    }
    Ok(())
}

fn check_users(users: &[i64], all: usize) -> Result<()> {
    if let Some(&row) = users.iter().find(|user| **user < 0 || **user >= all as i64) {
        return Err(Error::RowOutOfRange { argument: "users", row, rows: all });
    }
    if let Some([before, user]) = users.array_windows().find(|[before, user]| before >= user) {
        let got = format!("{user} after {before}");
        return Err(Error::Value { argument: "users", rule: "strictly ascending", got });
    }
    Ok(())
}

impl<'a> Table<'a> {
    /// Wraps the tables of `users` users.
    ///
    /// # Errors
    /// Returns an error on lengths that do not fit the shape.
    pub fn new(shape: Shape, users: usize, sums: &'a [f32], counts: Counts<'a>) -> Result<Self> {
        check_shape(shape)?;
        check_length("sums", users * shape.len(), sums.len())?;
        check_length("counts", users * shape.cells(), counts.len())?;
        Ok(Self { shape, sums, counts })
    }

    /// The values that each candidate of list `i` reads from the table of user `users[i]`, (rows, width). A candidate
    /// without signatures reads zeros, and so does an empty bucket; with `skip_empty` the average is over the other
    /// groups.
    ///
    /// # Errors
    /// Returns an error on lengths that do not fit, users that are not ascending or do not exist, or an interrupt.
    pub fn query(
        &self,
        signatures: &[u32],
        lists: &Offsets,
        users: &[i64],
        pooling: (Normalize, bool),
        run: &Run<'_>,
    ) -> Result<Vec<f32>> {
        let shape = self.shape;
        check_length("users", lists.len(), users.len())?;
        check_length("signatures", lists.entries() * shape.groups, signatures.len())?;
        check_users(users, self.sums.len() / shape.len())?;
        let mut out = zeros(lists.entries().saturating_mul(shape.width))?;
        let mut items = Vec::new();
        let mut rest = &mut out[..];
        for (list, user) in users.iter().enumerate() {
            let rows = lists.range(list);
            for start in rows.clone().step_by(CANDIDATES_PER_ITEM) {
                let rows = start..rows.end.min(start + CANDIDATES_PER_ITEM);
                let (part, after) = rest.split_at_mut(rows.len() * shape.width);
                rest = after;
                items.push((*user as usize, rows, Mutex::new(part)));
            }
        }
        run.map(
            items.len(),
            || Reader::new(shape),
            |reader, item, _| {
                let (user, rows, part) = &items[item];
                let words = &signatures[rows.start * shape.groups..rows.end * shape.groups];
                let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
                reader.read(self.user(*user), words, pooling, run.isa, &mut part);
                Ok(())
            },
        )?;
        Ok(out)
    }

    /// The table of one user.
    pub(super) fn user(&self, user: usize) -> UserTable<'a> {
        let cells = self.shape.cells();
        UserTable {
            shape: self.shape,
            sums: &self.sums[user * self.shape.len()..][..self.shape.len()],
            counts: self.counts.part(user * cells..(user + 1) * cells),
        }
    }
}

/// The table of one user.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserTable<'a> {
    pub(super) shape: Shape,
    pub(super) sums: &'a [f32],
    pub(super) counts: Counts<'a>,
}

impl UserTable<'_> {
    /// The factor of each candidate: one over the divisor of its groups.
    pub(super) fn factors(&self, words: &[u32], (normalize, skip_empty): (Normalize, bool)) -> Vec<f32> {
        let Shape { groups, .. } = self.shape;
        if normalize != Normalize::Ratio && !skip_empty {
            return vec![1.0 / groups as f32; words.len() / groups];
        }
        let factor = |row: &[u32]| {
            let hits = cells(self.shape, row).map(|cell| self.counts.get(cell));
            let total: f64 = match normalize {
                Normalize::Ratio => hits.sum(),
                _ => hits.filter(|count| *count > 0.0).count() as f64,
            };
            if total > 0.0 { (1.0 / total) as f32 } else { 0.0 }
        };
        words.chunks_exact(groups).map(factor).collect()
    }

    /// The factor of the sum of a cell when it is read.
    fn cell_scale(&self, isa: Isa, cell: usize, normalize: Normalize) -> f64 {
        let norm = if normalize == Normalize::L2 { self.norm(isa, cell) } else { 0.0 };
        self.scale_of(cell, normalize, norm)
    }

    /// The factor of the sum of a cell whose norm is known.
    pub(super) fn scale_of(&self, cell: usize, normalize: Normalize, norm: f64) -> f64 {
        match normalize {
            Normalize::L2 => 1.0 / norm.max(LEAST_NORM),
            Normalize::Mean if self.counts.get(cell) > 0.0 => 1.0 / self.counts.get(cell),
            _ => 1.0,
        }
    }

    pub(super) fn norm(&self, isa: Isa, cell: usize) -> f64 {
        let sum = self.sum(cell);
        canonical::dot_with(isa, sum, sum).sqrt()
    }

    pub(super) fn sum(&self, cell: usize) -> &[f32] {
        &self.sums[cell * self.shape.width..][..self.shape.width]
    }
}

/// The normalized table of one worker.
pub(super) struct Reader {
    cells: Aligned<f32>,
    ready: Vec<bool>,
}

impl Reader {
    pub(super) fn new(shape: Shape) -> Self {
        Self { cells: Aligned::zeroed(shape.len()), ready: vec![false; shape.cells()] }
    }

    /// Reads the candidates of one user.
    pub(super) fn read(
        &mut self,
        table: UserTable<'_>,
        words: &[u32],
        pooling: (Normalize, bool),
        isa: Isa,
        out: &mut [f32],
    ) {
        let shape = table.shape;
        let factors = table.factors(words, pooling);
        let signatures = Signatures::new(words, shape.groups, 0);
        let source = match pooling.0 {
            Normalize::Sum | Normalize::Ratio => table.sums,
            normalize => {
                // A few candidates touch a few cells, and only those are normalized.
                let whole = words.len() >= shape.cells();
                self.ready.fill(whole);
                if !whole {
                    for row in words.chunks_exact(shape.groups) {
                        for cell in cells(shape, row) {
                            self.ready[cell] = true;
                        }
                    }
                }
                for (cell, to) in self.cells.chunks_exact_mut(shape.width).enumerate() {
                    if self.ready[cell] {
                        let scale = table.cell_scale(isa, cell, normalize) as f32;
                        for (to, x) in to.iter_mut().zip(table.sum(cell)) {
                            *to = x * scale;
                        }
                    }
                }
                &self.cells
            }
        };
        gather(isa, shape, signatures, source, Some(&factors), out);
    }
}
