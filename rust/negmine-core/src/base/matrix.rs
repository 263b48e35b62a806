//! Borrowed rows of any supported element type and any strides, read as f32.
//!
//! Rows are widened only when they are read: a float16 memmap larger than memory is read row by row. f16, bf16, int8
//! and uint8 widen exactly; f64 is rounded to f32 once, here.

use std::sync::{Arc, OnceLock};

use ndarray::{ArrayView2, ArrayView3};
use negmine_kernels::aligned::{Plain, prefetch};
use negmine_kernels::isa::Isa;
use negmine_kernels::{quantize, widen};

use super::file_rows::FileRows;
use super::limits::{MAX_ROWS, MAX_WIDTH};
use super::stored::{ByteOrder, Wide};
use super::{Error, Result};

/// The elements of a matrix, in the caller's memory layout.
#[derive(Clone, Debug)]
pub enum Elements<'a> {
    /// float32
    F32(ArrayView2<'a, f32>),
    /// float64, rounded to float32 once
    F64(ArrayView2<'a, f64>),
    /// float16, as bits
    F16(ArrayView2<'a, u16>),
    /// bfloat16, as bits
    Bf16(ArrayView2<'a, u16>),
    /// int8
    I8(ArrayView2<'a, i8>),
    /// uint8
    U8(ArrayView2<'a, u8>),
    /// Elements that are misaligned, or in the other byte order: (rows, width, bytes of an element).
    Bytes(ArrayView3<'a, u8>, Wide, ByteOrder),
    /// Rows of files. A row that cannot be read is NaN, which every user of rows refuses; the error is kept for
    /// [`Rows::explain`].
    Files(&'a FileRows, Arc<OnceLock<Error>>),
}

impl Elements<'_> {
    /// The same elements, for a shorter time.
    fn view(&self) -> Elements<'_> {
        match self {
            Self::F32(a) => Elements::F32(a.view()),
            Self::F64(a) => Elements::F64(a.view()),
            Self::F16(a) => Elements::F16(a.view()),
            Self::Bf16(a) => Elements::Bf16(a.view()),
            Self::I8(a) => Elements::I8(a.view()),
            Self::U8(a) => Elements::U8(a.view()),
            Self::Bytes(a, wide, order) => Elements::Bytes(a.view(), *wide, *order),
            Self::Files(files, failure) => Elements::Files(files, Arc::clone(failure)),
        }
    }
}

/// Element `(r, c)` of such a matrix.
fn element(a: &ArrayView3<'_, u8>, wide: Wide, order: ByteOrder, r: usize, c: usize) -> f64 {
    let mut bytes = [0; 8];
    let size = wide.size();
    for (place, byte) in bytes[..size].iter_mut().enumerate() {
        let from = if order == ByteOrder::Native { place } else { size - 1 - place };
        *byte = a[(r, c, from)];
    }
    wide.read(bytes)
}

/// A matrix that the caller owns, with the name that errors use.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    argument: &'static str,
    elements: Elements<'a>,
    shape: (usize, usize),
    /// The rows of the elements that these are, if they are not all of them.
    picked: Option<&'a [u32]>,
}

impl<'a> Rows<'a> {
    /// Wraps `elements`, called `argument` in errors.
    ///
    /// # Errors
    /// Returns an error on width 0 or above [`MAX_WIDTH`]; more than [`MAX_ROWS`] rows.
    pub fn new(argument: &'static str, elements: Elements<'a>) -> Result<Self> {
        let shape = match &elements {
            Elements::F32(a) => a.dim(),
            Elements::F64(a) => a.dim(),
            Elements::F16(a) | Elements::Bf16(a) => a.dim(),
            Elements::I8(a) => a.dim(),
            Elements::U8(a) => a.dim(),
            Elements::Bytes(a, wide, _) => {
                if a.dim().2 != wide.size() {
                    return Err(Error::Length { argument, expected: wide.size(), got: a.dim().2 });
                }
                (a.dim().0, a.dim().1)
            }
            Elements::Files(files, _) => (files.len(), files.width()),
        };
        if shape.1 == 0 || shape.1 > MAX_WIDTH {
            return Err(Error::Width { argument, width: shape.1 });
        }
        if shape.0 > MAX_ROWS {
            return Err(Error::TooManyRows { argument, rows: shape.0 });
        }
        Ok(Self { argument, elements, shape, picked: None })
    }

    /// Some of the rows, in the given order; errors number them in this order.
    ///
    /// # Panics
    /// If rows were picked before.
    #[must_use]
    pub fn pick<'b>(&'b self, rows: &'b [u32]) -> Rows<'b> {
        assert!(self.picked.is_none(), "rows are picked once");
        Rows {
            argument: self.argument,
            elements: self.elements.view(),
            shape: (rows.len(), self.shape.1),
            picked: Some(rows),
        }
    }

    /// The row of the elements that row `r` is.
    fn place(&self, r: usize) -> usize {
        self.picked.map_or(r, |rows| rows[r] as usize)
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.0
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.0 == 0
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.1
    }

    /// The name that errors use.
    #[must_use]
    pub fn argument(&self) -> &'static str {
        self.argument
    }

    /// All rows as one slice, if they are float32 and contiguous.
    #[must_use]
    pub fn contiguous(&self) -> Option<&[f32]> {
        match &self.elements {
            Elements::F32(a) if self.picked.is_none() => a.to_slice(),
            _ => None,
        }
    }

    /// Row `r` as f32: borrowed if it is contiguous float32, otherwise widened into `buffer` (as wide as the matrix).
    pub fn row<'b>(&'b self, isa: Isa, r: usize, buffer: &'b mut [f32]) -> &'b [f32] {
        let r = self.place(r);
        match &self.elements {
            Elements::F32(a) => {
                let row = a.row(r);
                if let Some(slice) = row.to_slice() {
                    return slice;
                }
                fill(buffer, row.iter().copied());
            }
            // The one place where float64 is rounded.
            Elements::F64(a) => fill(buffer, a.row(r).iter().map(|&x| x as f32)),
            Elements::F16(a) => widen_row(a, r, buffer, |bits, out| widen::widen_f16(isa, bits, out)),
            Elements::Bf16(a) => widen_row(a, r, buffer, |bits, out| widen::widen_bf16(isa, bits, out)),
            Elements::I8(a) => fill(buffer, a.row(r).iter().map(|&x| f32::from(x))),
            Elements::U8(a) => fill(buffer, a.row(r).iter().map(|&x| f32::from(x))),
            Elements::Bytes(a, wide, order) => {
                fill(buffer, (0..self.width()).map(|c| element(a, *wide, *order, r, c) as f32));
            }
            Elements::Files(files, failure) => {
                if let Err(error) = files.read(isa, r, &mut buffer[..self.shape.1]) {
                    failure.get_or_init(|| error);
                    buffer.fill(f32::NAN);
                }
            }
        }
        buffer
    }

    /// Writes row `r` as f32.
    pub fn copy_row(&self, isa: Isa, r: usize, out: &mut [f32]) {
        match &self.elements {
            Elements::F32(a) => match a.row(self.place(r)).to_slice() {
                Some(row) => out.copy_from_slice(row),
                None => fill(out, a.row(self.place(r)).iter().copied()),
            },
            _ => {
                self.row(isa, r, out);
            }
        }
    }

    /// Prefetches row `r`, which will be read soon.
    pub fn prefetch(&self, r: usize) {
        let r = self.place(r);
        match &self.elements {
            Elements::F32(a) => prefetch_row(a, r),
            Elements::F64(a) => prefetch_row(a, r),
            Elements::F16(a) | Elements::Bf16(a) => prefetch_row(a, r),
            Elements::I8(a) => prefetch_row(a, r),
            Elements::U8(a) => prefetch_row(a, r),
            // Such rows are read so rarely that a prefetch gains nothing.
            Elements::Bytes(..) => {}
            Elements::Files(files, _) => files.will_need(r),
        }
    }

    /// Row `r` as [`Rows::row`] gives it; an error if it holds a value that has no finite f32.
    ///
    /// # Errors
    /// Returns an error on NaN, infinity, or a float64 beyond float32: row and column are named.
    pub fn finite_row<'b>(&'b self, isa: Isa, r: usize, buffer: &'b mut [f32]) -> Result<&'b [f32]> {
        let row = self.row(isa, r, buffer);
        match quantize::first_non_finite(isa, row) {
            None => Ok(row),
            Some(column) => Err(self.not_finite(r, column)),
        }
    }

    /// Writes the rows from `first` on that fill `out`, one after the other; an error if one holds a value that has no
    /// finite f32. Files are read in one piece.
    ///
    /// # Errors
    /// As for [`Rows::finite_row`].
    pub fn finite_rows(&self, isa: Isa, first: usize, out: &mut [f32]) -> Result<()> {
        let width = self.width();
        let files = match &self.elements {
            Elements::Files(files, _) if self.picked.is_none() => Some(files),
            _ => None,
        };
        if let Some(files) = files {
            files.read(isa, first, out)?;
        }
        for (row, copy) in (first..).zip(out.chunks_exact_mut(width)) {
            if files.is_none() {
                self.copy_row(isa, row, copy);
            }
            if let Some(column) = quantize::first_non_finite(isa, copy) {
                return Err(self.not_finite(row, column));
            }
        }
        Ok(())
    }

    /// The error that caused `error`, if a file could not be read; otherwise an error about a row names its file.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        let Elements::Files(files, failure) = &self.elements else { return error };
        match (failure.get(), error) {
            (Some(cause), Error::CorpusChanged { .. } | Error::NonFinite { .. }) => cause.clone(),
            (None, Error::CorpusChanged { row }) => {
                let change = format!("document row {row} is another one");
                Error::FileChanged { file: files.path_of(self.place(row)).to_owned(), change }
            }
            (_, error) => error,
        }
    }

    fn not_finite(&self, row: usize, column: usize) -> Error {
        let argument = self.argument;
        match &self.elements {
            Elements::Files(_, failure) if failure.get().is_some() => {
                failure.get().cloned().unwrap_or(Error::NonFinite { argument, row, column })
            }
            Elements::Files(files, _) if files.is_finite_f64(self.place(row), column) => {
                Error::BeyondFloat32 { argument, row, column }
            }
            Elements::F64(a) if a[(self.place(row), column)].is_finite() => {
                Error::BeyondFloat32 { argument, row, column }
            }
            _ => Error::NonFinite { argument, row, column },
        }
    }
}

fn prefetch_row<T: Plain>(a: &ArrayView2<'_, T>, r: usize) {
    if let Some(row) = a.row(r).to_slice() {
        prefetch(row);
    }
}

fn fill(buffer: &mut [f32], values: impl Iterator<Item = f32>) {
    for (slot, value) in buffer.iter_mut().zip(values) {
        *slot = value;
    }
}

fn widen_row(a: &ArrayView2<'_, u16>, r: usize, buffer: &mut [f32], widen: impl Fn(&[u16], &mut [f32])) {
    let row = a.row(r);
    if let Some(bits) = row.to_slice() {
        widen(bits, buffer);
    } else {
        let bits: Vec<u16> = row.iter().copied().collect();
        widen(&bits, buffer);
    }
}
