//! Rows as integers, for deterministic balanced clustering: int8 codes with an integer factor per row.
//!
//! A row of length 1 is about `unit * factor * codes`, with int8 codes, a factor of eleven bits, and one unit for all
//! rows. Scores are then products of codes, and centroids are sums of `factor * codes`: integers, whose sums have no
//! order, so that every thread count and instruction set finds the same clusters. The representation is not exact: a
//! direction is off by half a step per coordinate, the length by up to 2^-12 of that of the longest row. Balanced
//! clusters are not an optimum that a bound could certify, and their quality is measured on the rows themselves.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::aligned::Aligned;
use negmine_kernels::isa::Isa;
use negmine_kernels::quantize::quantize_row;
use negmine_kernels::rows_i8::ROW_ALIGNMENT;
use negmine_kernels::sums::add_codes;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::{Pace, Run};

use crate::cluster::centroids::Lengths;

/// The largest factor.
const LARGEST: f64 = 2_047.0;

/// Rows whose sum fits i32: 8,192 * 2,047 * 127 < 2^31.
const ROWS_IN_I32: usize = 8_192;

/// Rows of a piece of work.
const ROWS_PER_ITEM: usize = 256;

/// Rows as integers.
pub(crate) struct Codes {
    width: usize,
    stride: usize,
    all: Aligned<i8>,
    factors: Vec<i16>,
    /// The value of one unit.
    pub(crate) unit: f64,
}

impl Codes {
    /// Quantizes rows, normed by `lengths`.
    pub(crate) fn new(rows: &Rows<'_>, lengths: &Lengths, run: &Run<'_>) -> Result<Self> {
        let stride = rows.width().next_multiple_of(ROW_ALIGNMENT);
        let mut codes = Aligned::zeroed(rows.len() * stride);
        let slots: Vec<_> = codes.chunks_mut(ROWS_PER_ITEM * stride).map(Mutex::new).collect();
        let scales = run.map(
            slots.len(),
            || vec![0.0; rows.width()],
            |buffer, item, ticker| {
                ticker.check()?;
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                let codes = slot.chunks_exact_mut(stride).enumerate();
                Ok(codes
                    .map(|(i, codes)| {
                        let r = item * ROWS_PER_ITEM + i;
                        let row = rows.row(run.isa, r, buffer);
                        f64::from(quantize_row(run.isa, row, lengths.factors[r], codes).scale)
                    })
                    .collect::<Vec<f64>>())
            },
        )?;
        drop(slots);
        let scales = run.concat(scales)?;
        let unit = scales.iter().copied().fold(0.0, f64::max) / LARGEST;
        let factor = |scale: &f64| if unit == 0.0 { 0 } else { (scale / unit).round_ties_even() as i16 };
        let mut factors = Vec::with_capacity(scales.len());
        for scales in scales.chunks(ROWS_PER_ITEM) {
            run.tick(0, 1)?;
            factors.extend(scales.iter().map(factor));
        }
        Ok(Self { width: rows.width(), stride, all: codes, factors, unit })
    }

    /// Some of the rows.
    pub(crate) fn only(&self, rows: &[u32], run: &Run<'_>) -> Result<Self> {
        let mut pace = Pace::new(run);
        let mut all = Aligned::zeroed(rows.len() * self.stride);
        for (codes, &row) in all.chunks_exact_mut(self.stride).zip(rows) {
            pace.step(4 + self.width / 16)?;
            codes[..self.width].copy_from_slice(self.row(row));
        }
        let factors = rows.iter().map(|&row| self.factor(row)).collect();
        Ok(Self { width: self.width, stride: self.stride, all, factors, unit: self.unit })
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.factors.len()
    }

    /// Width of the rows.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Bytes from one row to the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The codes of all rows, at the stride; beyond the width they are 0.
    pub(crate) fn all(&self) -> &[i8] {
        &self.all
    }

    /// The codes of row `r`.
    pub(crate) fn row(&self, r: u32) -> &[i8] {
        &self.all[r as usize * self.stride..][..self.width]
    }

    /// The factor of row `r`.
    pub(crate) fn factor(&self, r: u32) -> i16 {
        self.factors[r as usize]
    }
}

/// A sum of rows.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    total: Vec<i64>,
    /// The sum of the rows that were not added to the total yet, and their number.
    recent: Vec<i32>,
    rows: usize,
}

impl Sum {
    pub(crate) fn new(width: usize) -> Self {
        Self { total: vec![0; width], recent: vec![0; width], rows: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.total.fill(0);
        self.recent.fill(0);
        self.rows = 0;
    }

    /// Adds row `r`.
    pub(crate) fn add(&mut self, isa: Isa, codes: &Codes, r: u32) {
        self.change(isa, codes, r, codes.factor(r));
    }

    /// Subtracts row `r`.
    pub(crate) fn subtract(&mut self, isa: Isa, codes: &Codes, r: u32) {
        self.change(isa, codes, r, -codes.factor(r));
    }

    fn change(&mut self, isa: Isa, codes: &Codes, r: u32, factor: i16) {
        if self.rows == ROWS_IN_I32 {
            self.flush();
        }
        add_codes(isa, &mut self.recent, codes.row(r), factor);
        self.rows += 1;
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: &mut Self) {
        for (a, b) in self.total.iter_mut().zip(other.total()) {
            *a += b;
        }
    }

    /// The sum.
    pub(crate) fn total(&mut self) -> &[i64] {
        self.flush();
        &self.total
    }

    fn flush(&mut self) {
        for (total, recent) in self.total.iter_mut().zip(&mut self.recent) {
            *total += i64::from(*recent);
            *recent = 0;
        }
        self.rows = 0;
    }
}

/// The Euclidean norm, in a fixed order.
pub(crate) fn norm(x: &[i64]) -> f64 {
    x.iter().map(|&x| x as f64 * x as f64).sum::<f64>().sqrt()
}
