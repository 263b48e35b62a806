//! Adding rows into buckets by signature, and reading buckets back: what a table of behaviours is made of.
//!
//! A table has, for each group and bucket, a cell of `width` f32 columns. [`scatter`] adds every row to the cell that
//! each of its signatures names; [`gather`] adds up, for every row, the cells that its signatures name, and multiplies
//! by the row's factor. A signature that is no bucket is passed over. Columns are independent and every sum has one
//! accumulator: rows rising in [`scatter`], groups rising in [`gather`], never fused, so vectors of any length give the
//! same bits. NaN and infinity follow IEEE arithmetic.
//!
//! Why this shape: a table of 16 groups, 8 buckets and 64 columns fills the first cache, and a row touches one cell of
//! each group, so the work is one load, one addition and one store a vector, with nothing to wait for.

use std::ops::Range;

use crate::dispatch;
use crate::isa::Isa;

/// The shape of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Signatures of a row that are read, and groups of the table.
    pub groups: usize,
    /// Cells of a group.
    pub buckets: usize,
    /// Columns of a cell.
    pub width: usize,
}

impl Shape {
    /// Cells of the table.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.groups * self.buckets
    }

    /// Numbers in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells() * self.width
    }

    /// Whether the table holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Signatures as they lie: the first `groups` of every `stride` are read.
#[derive(Clone, Copy, Debug)]
pub struct Signatures<'a> {
    words: &'a [u32],
    stride: usize,
}

impl<'a> Signatures<'a> {
    /// Rows of `stride` signatures, of which only those from `first` on are looked at.
    ///
    /// # Panics
    /// Where the words are no whole rows, or `first` lies beyond one.
    #[must_use]
    pub fn new(words: &'a [u32], stride: usize, first: usize) -> Self {
        assert!(
            stride > 0 && first < stride && words.len().is_multiple_of(stride),
            "whole rows of signatures"
        );
        Self { words: words.get(first..).unwrap_or_default(), stride }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len().div_ceil(self.stride)
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The signatures of a row, from the first that is looked at on.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
    pub(crate) fn row(&self, i: usize) -> &'a [u32] {
        &self.words[i * self.stride..]
    }

    /// Some of the rows.
    #[inline]
    pub(crate) fn part(self, rows: Range<usize>) -> Self {
        let end = self.words.len().min(rows.end * self.stride);
        Self { words: &self.words[(rows.start * self.stride).min(end)..end], stride: self.stride }
    }

    /// The first `groups` signatures that are looked at of each row.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
    pub fn rows(&self, groups: usize) -> impl Iterator<Item = &'a [u32]> {
        self.words.chunks(self.stride).map(move |row| &row[..groups])
    }
}

/// Adds row `i` of `values`, times `factors[i]` where there are factors, to its cells, and 1 to their counts, unless
/// `counts` is empty.
///
/// # Panics
/// Where lengths do not fit the shape, or this processor lacks `isa`.
pub fn scatter(
    isa: Isa,
    shape: Shape,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
    counts: &mut [u32],
) {
    assert!(!shape.is_empty() && table.len() == shape.len(), "a table of the shape");
    assert_eq!(values.len(), signatures.len() * shape.width, "a value for each row of signatures");
    assert!(factors.is_none_or(|factors| factors.len() == signatures.len()), "a factor for each row");
    assert!(counts.is_empty() || counts.len() == shape.cells(), "a count for each cell");
    dispatch::scatter(isa, shape, signatures, values, factors, table, counts);
}

/// Writes the sum of the cells of row `i`, times `factors[i]`, for all rows.
///
/// # Panics
/// Where lengths do not fit the shape, or this processor lacks `isa`.
pub fn gather(
    isa: Isa,
    shape: Shape,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    assert!(!shape.is_empty() && table.len() == shape.len(), "a table of the shape");
    assert_eq!(out.len(), signatures.len() * shape.width, "a place for each row of signatures");
    assert!(factors.is_none_or(|factors| factors.len() == signatures.len()), "a factor for each row");
    dispatch::gather(isa, shape, signatures, table, factors, out);
}

/// [`scatter`] for some of the columns: the definition, and what vector bodies do with columns that fill no block.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn scatter_columns(
    shape: Shape,
    columns: Range<usize>,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
    counts: &mut [u32],
) {
    let Shape { groups, buckets, width } = shape;
    for (i, (signatures, row)) in signatures.rows(groups).zip(values.chunks_exact(width)).enumerate() {
        let row = &row[columns.clone()];
        let cells = (0..).step_by(buckets);
        for ((group, &signature), cell) in table.chunks_exact_mut(buckets * width).zip(signatures).zip(cells)
        {
            if (signature as usize) < buckets {
                if let Some(count) = counts.get_mut(cell + signature as usize) {
                    *count = count.wrapping_add(1);
                }
                let cell = &mut group[signature as usize * width..][columns.clone()];
                let lanes = cell.iter_mut().zip(row);
                match factors {
                    None => lanes.for_each(|(to, x)| *to += x),
                    Some(factors) => lanes.for_each(|(to, x)| *to += x * factors[i]),
                }
            }
        }
    }
}

/// [`gather`] for some of the columns, likewise.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn gather_columns(
    shape: Shape,
    columns: Range<usize>,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    let Shape { groups, buckets, width } = shape;
    for (i, (signatures, out)) in signatures.rows(groups).zip(out.chunks_exact_mut(width)).enumerate() {
        let out = &mut out[columns.clone()];
        out.fill(0.0);
        for (group, &signature) in table.chunks_exact(buckets * width).zip(signatures) {
            if (signature as usize) < buckets {
                let cell = &group[signature as usize * width..][columns.clone()];
                out.iter_mut().zip(cell).for_each(|(to, x)| *to += x);
            }
        }
        if let Some(factors) = factors {
            for to in out {
                *to *= factors[i];
            }
        }
    }
}
