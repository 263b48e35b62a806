//! Tables of bucket sums: the scalar definition of scatter and gather, which also handles the columns that fill no
//! vector.

use std::ops::Range;

/// The shape of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of signatures that are read per row, which is the number of groups of the table.
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

/// Signatures in memory: the first `groups` of every `stride` are read.
#[derive(Clone, Copy, Debug)]
pub struct Signatures<'a> {
    words: &'a [u32],
    stride: usize,
}

impl<'a> Signatures<'a> {
    /// Rows of `stride` signatures, of which only those from `first` on are looked at.
    ///
    /// # Panics
    /// If the words are no whole rows, or `first` lies beyond one.
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
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
    pub(crate) fn row(&self, i: usize) -> &'a [u32] {
        &self.words[i * self.stride..]
    }

    /// Some of the rows.
    #[cfg(target_arch = "x86_64")]
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

/// [`crate::buckets::scatter`] for some of the columns: the definition, which vector bodies also use for columns that
/// fill no block.
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

/// [`crate::buckets::gather`] for some of the columns: the definition, which vector bodies also use for columns that
/// fill no block.
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
