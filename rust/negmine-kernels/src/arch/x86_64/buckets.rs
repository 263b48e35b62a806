//! Scatter and gather of rows by signature, in one source for vectors of any length.
//!
//! Accumulator: f32, one for each cell and column, in the order that `crate::buckets` defines, never fused. Columns are
//! taken 64 at a time, then by two vectors and by one; columns that fill no vector go through the portable code.
//!
//! [`scatter`] takes tiles of 64 rows. For each group the signatures of a tile are collected as bytes; a comparison
//! with a bucket's number gives its rows as a mask, and its cell stays in registers while they are added: one load and
//! one addition a vector. Row by row a cell is also stored, and a 512-bit store takes two cycles. Tiles of few rows,
//! and tables of so many buckets that a tile has few rows for each, go row by row: there a row's columns stay in
//! registers. Both ways give the same order, since rows ascend in both.

use std::ops::Range;

use crate::arch::portable::buckets::{Shape, Signatures, gather_columns, scatter_columns};

/// Columns of a wide block.
const BLOCK: usize = 64;

/// Rows of a tile.
const TILE: usize = 64;

/// Groups whose bytes are collected at a time.
const GROUPS: usize = 16;

/// The signature of a row that is in no bucket, as a byte.
const NONE: u8 = u8::MAX;

/// The most buckets of a table that is filled by tiles, and rows for each bucket that a tile must have, at least.
/// Measured on a Zen 4 processor at widths 32, 64 and 128.
const MOST_BUCKETS: usize = 16;
const ROWS_PER_BUCKET: usize = 3;

/// The signatures of a tile, group by group.
pub(super) type Bytes = [[u8; TILE]; GROUPS];

/// Operations on vectors of f32.
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(super) trait Lanes: Copy {
    /// The vector type.
    type Vector: Copy;
    /// Number of lanes of a vector.
    const LANES: usize;

    fn zero(self) -> Self::Vector;
    fn splat(self, x: f32) -> Self::Vector;
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Reads the first numbers of a slice, which has as many.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// Reads numbers from a place on.
    ///
    /// # Safety
    /// The slice must hold these numbers.
    unsafe fn load_at(self, from: &[f32], place: usize) -> Self::Vector;
    fn store(self, to: &mut [f32], vector: Self::Vector);
    /// One bit for each byte that is `byte`.
    fn equal(self, bytes: &[u8; TILE], byte: u8) -> u64;

    /// Collects the signatures of a tile as bytes; rows beyond its last have [`NONE`].
    #[inline(always)]
    fn collect(
        self,
        signatures: Signatures<'_>,
        rows: Range<usize>,
        first: usize,
        groups: usize,
        bytes: &mut Bytes,
    ) {
        *bytes = [[NONE; TILE]; GROUPS];
        for (place, row) in rows.enumerate() {
            for (bytes, word) in bytes.iter_mut().zip(&signatures.row(row)[first..first + groups]) {
                bytes[place] = (*word).min(u32::from(NONE)) as u8;
            }
        }
    }
}

/// [`crate::buckets::scatter`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(super) fn scatter<L: Lanes, const WIDE: usize>(
    lanes: L,
    shape: Shape,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
    counts: &mut [u32],
) {
    let rows = signatures.len();
    for first in (0..rows).step_by(TILE) {
        let tile = Tile { lanes, shape, signatures, rows: first..rows.min(first + TILE), values, factors };
        let n = tile.rows.len();
        if shape.buckets <= MOST_BUCKETS && n >= ROWS_PER_BUCKET * shape.buckets {
            tile.by_bucket::<WIDE>(table, counts);
        } else {
            tile.by_row::<WIDE>(table, counts);
        }
    }
}

/// A tile of rows to add.
struct Tile<'a, L> {
    lanes: L,
    shape: Shape,
    signatures: Signatures<'a>,
    rows: Range<usize>,
    values: &'a [f32],
    factors: Option<&'a [f32]>,
}

#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
impl<L: Lanes> Tile<'_, L> {
    #[inline(always)]
    fn by_bucket<const WIDE: usize>(&self, table: &mut [f32], counts: &mut [u32]) {
        let Shape { groups, buckets, width } = self.shape;
        let mut bytes = [[NONE; TILE]; GROUPS];
        for first in (0..groups).step_by(GROUPS) {
            let groups = first..groups.min(first + GROUPS);
            self.lanes.collect(self.signatures, self.rows.clone(), first, groups.len(), &mut bytes);
            if !counts.is_empty() {
                let counts = counts[first * buckets..].chunks_exact_mut(buckets);
                for (counts, bytes) in counts.zip(&bytes[..groups.len()]) {
                    for (bucket, count) in (0..).zip(counts) {
                        *count = count.wrapping_add(self.lanes.equal(bytes, bucket).count_ones());
                    }
                }
            }
            let table = &mut table[first * buckets * width..groups.end * buckets * width];
            let mut column = 0;
            while column + BLOCK <= width {
                self.columns::<WIDE>(&bytes, column, table);
                column += BLOCK;
            }
            while column + 2 * L::LANES <= width {
                self.columns::<2>(&bytes, column, table);
                column += 2 * L::LANES;
            }
            while column + L::LANES <= width {
                self.columns::<1>(&bytes, column, table);
                column += L::LANES;
            }
        }
        let columns = width / L::LANES * L::LANES..width;
        if !columns.is_empty() {
            self.rest(columns, table, &mut []);
        }
    }

    /// Adds `N` vectors of columns to the cells of some groups.
    #[inline(always)]
    fn columns<const N: usize>(&self, bytes: &Bytes, column: usize, table: &mut [f32]) {
        let (lanes, Shape { buckets, width, .. }) = (self.lanes, self.shape);
        let values = &self.values[self.rows.start * width..self.rows.end * width];
        let factors = self.factors.map(|factors| &factors[self.rows.clone()]);
        for (bytes, group) in bytes.iter().zip(table.chunks_exact_mut(buckets * width)) {
            for (bucket, cell) in (0..).zip(group.chunks_exact_mut(width)) {
                let mut left = lanes.equal(bytes, bucket);
                if left == 0 {
                    continue;
                }
                let cell = &mut cell[column..column + N * L::LANES];
                let mut sums = [lanes.zero(); N];
                for v in 0..N {
                    sums[v] = lanes.load(&cell[v * L::LANES..]);
                }
                while left != 0 {
                    let row = left.trailing_zeros() as usize;
                    let x = &values[row * width + column..][..N * L::LANES];
                    for v in 0..N {
                        let mut x = lanes.load(&x[v * L::LANES..]);
                        if let Some(factors) = factors {
                            x = lanes.multiply(x, lanes.splat(factors[row]));
                        }
                        sums[v] = lanes.add(sums[v], x);
                    }
                    left &= left - 1;
                }
                for v in 0..N {
                    lanes.store(&mut cell[v * L::LANES..], sums[v]);
                }
            }
        }
    }

    #[inline(always)]
    fn by_row<const WIDE: usize>(&self, table: &mut [f32], counts: &mut [u32]) {
        let Shape { groups, buckets, width } = self.shape;
        let whole = width / BLOCK * BLOCK;
        for column in (0..whole).step_by(BLOCK) {
            for row in self.rows.clone() {
                let mut x = [self.lanes.zero(); WIDE];
                let from = &self.values[row * width + column..][..BLOCK];
                for v in 0..WIDE {
                    x[v] = self.lanes.load(&from[v * L::LANES..]);
                    if let Some(factors) = self.factors {
                        x[v] = self.lanes.multiply(x[v], self.lanes.splat(factors[row]));
                    }
                }
                let (mut group, mut cell) = (column, 0);
                for &signature in &self.signatures.row(row)[..groups] {
                    if (signature as usize) < buckets {
                        if column == 0
                            && let Some(count) = counts.get_mut(cell + signature as usize)
                        {
                            *count = count.wrapping_add(1);
                        }
                        let to = &mut table[group + signature as usize * width..][..BLOCK];
                        for v in 0..WIDE {
                            let sum = self.lanes.add(self.lanes.load(&to[v * L::LANES..]), x[v]);
                            self.lanes.store(&mut to[v * L::LANES..], sum);
                        }
                    }
                    group += buckets * width;
                    cell += buckets;
                }
            }
        }
        if whole < width {
            // Rows that were counted with the first block are not counted again.
            self.rest(whole..width, table, if whole == 0 { counts } else { &mut [] });
        }
    }

    /// Adds the columns that fill no vector.
    #[inline(always)]
    fn rest(&self, columns: Range<usize>, table: &mut [f32], counts: &mut [u32]) {
        let rows = self.rows.clone();
        let values = &self.values[rows.start * self.shape.width..rows.end * self.shape.width];
        let factors = self.factors.map(|factors| &factors[rows.clone()]);
        scatter_columns(self.shape, columns, self.signatures.part(rows), values, factors, table, counts);
    }
}

/// [`crate::buckets::gather`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(super) fn gather<L: Lanes, const WIDE: usize>(
    lanes: L,
    shape: Shape,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    let width = shape.width;
    let mut column = 0;
    while column + WIDE * L::LANES <= width {
        gather_block::<L, WIDE>(lanes, shape, column, signatures, table, factors, out);
        column += WIDE * L::LANES;
    }
    while column + 2 * L::LANES <= width {
        gather_block::<L, 2>(lanes, shape, column, signatures, table, factors, out);
        column += 2 * L::LANES;
    }
    while column + L::LANES <= width {
        gather_block::<L, 1>(lanes, shape, column, signatures, table, factors, out);
        column += L::LANES;
    }
    if column < width {
        gather_columns(shape, column..width, signatures, table, factors, out);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
fn gather_block<L: Lanes, const N: usize>(
    lanes: L,
    shape: Shape,
    column: usize,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    let Shape { groups, buckets, width } = shape;
    assert!(table.len() == shape.len() && column + N * L::LANES <= width, "columns of the table");
    for (i, out) in out.chunks_exact_mut(width).enumerate() {
        let mut sum = [lanes.zero(); N];
        let signatures = &signatures.row(i)[..groups];
        if signatures.iter().fold(0, |most, signature| most.max(*signature)) < buckets as u32 {
            let mut group = column;
            for &signature in signatures {
                for v in 0..N {
                    // SAFETY: the signature is below the number of buckets, so its cell is one of this group's, and the
                    // columns lie inside a cell; the table has all groups.
                    let cell =
                        unsafe { lanes.load_at(table, group + signature as usize * width + v * L::LANES) };
                    sum[v] = lanes.add(sum[v], cell);
                }
                group += buckets * width;
            }
        } else {
            for (group, &signature) in table.chunks_exact(buckets * width).zip(signatures) {
                if (signature as usize) < buckets {
                    let cell = &group[signature as usize * width + column..][..N * L::LANES];
                    for v in 0..N {
                        sum[v] = lanes.add(sum[v], lanes.load(&cell[v * L::LANES..]));
                    }
                }
            }
        }
        let out = &mut out[column..column + N * L::LANES];
        for v in 0..N {
            if let Some(factors) = factors {
                sum[v] = lanes.multiply(sum[v], lanes.splat(factors[i]));
            }
            lanes.store(&mut out[v * L::LANES..], sum[v]);
        }
    }
}
