//! `SimHash`: signs of random projections (Charikar, STOC 2002), `tau` to a signature.
//!
//! Two rows at angle a share a signature of tau bits with probability (1 - a/pi)^tau. Projections are normal numbers
//! drawn by Philox from (seed, bit, coordinate) alone, so the bits of a smaller hash are the first bits of a larger
//! one, and rounded to f32; bits are the signs of canonical products with them.

use std::ops::Range;
use std::sync::Mutex;

use negmine_kernels::aligned::Aligned;
use negmine_kernels::isa::Isa;
use negmine_kernels::simhash::{self, MASKED, MAX_ROWS, MAX_TAU, Projections};

use crate::base::error::check_length;
use crate::base::limits::MAX_WIDTH;
use crate::base::math::normal_pair;
use crate::base::matrix::Rows;
use crate::base::memory::{with_capacity, zeros};
use crate::base::parallel::{Run, Ticker};
use crate::base::philox::{Draws, Stream, unit};
use crate::base::{Error, Result};

/// Rows of an item of work: some 40 us at width 64.
const ROWS_PER_ITEM: usize = 1024;

/// The most bits of a hash.
const MAX_BITS: usize = 65_536;

/// A hash of rows of one width.
#[derive(Clone, Debug)]
pub struct SimHash {
    projections: Projections,
    center: Option<Vec<f32>>,
}

impl SimHash {
    /// `m` bits in signatures of `tau`; `center` is subtracted from rows, in f32, before they are hashed.
    ///
    /// # Errors
    /// Returns an error on sizes out of range, `tau` that does not divide `m`, a center of another width or that is not
    /// finite, lack of memory for the projections, or an interrupt.
    pub fn new(
        m: usize,
        tau: usize,
        dim: usize,
        seed: u64,
        center: Option<Vec<f32>>,
        run: &Run<'_>,
    ) -> Result<Self> {
        if tau == 0 || tau > MAX_TAU {
            return Err(Error::Value { argument: "tau", rule: "from 1 to 31", got: tau.to_string() });
        }
        if m == 0 || m > MAX_BITS {
            return Err(Error::Value { argument: "m", rule: "from 1 to 65536", got: m.to_string() });
        }
        if !m.is_multiple_of(tau) {
            return Err(Error::Value {
                argument: "m",
                rule: "a multiple of `tau`",
                got: format!("m={m}, tau={tau}"),
            });
        }
        if dim == 0 || dim > MAX_WIDTH {
            return Err(Error::Width { argument: "dim", width: dim });
        }
        if let Some(center) = &center {
            check_length("center", dim, center.len())?;
            if let Some(column) = center.iter().position(|x| !x.is_finite()) {
                return Err(Error::NonFinite { argument: "center", row: 0, column });
            }
        }
        let rows = normals(m, dim, seed, run)?;
        let projections = Projections::checked(rows, dim, tau, &mut || run.tick(m, m))?;
        Ok(Self { projections, center })
    }

    /// The projections, bit after bit.
    #[must_use]
    pub fn projections(&self) -> &[f32] {
        self.projections.rows()
    }

    /// Width of the rows that are hashed.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.projections.width()
    }

    /// Signatures of a row.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.projections.groups()
    }

    /// Number of distinct signatures.
    #[must_use]
    pub fn buckets(&self) -> usize {
        1 << self.projections.tau()
    }

    /// The signatures of all rows, one row after the other. A row that `mask` excludes, or whose coordinates are all
    /// zero, has [`MASKED`]; excluded rows are not read.
    ///
    /// # Errors
    /// Returns an error on rows of another width, a mask of another length, NaN or infinity, or an interrupt.
    pub fn signatures(&self, rows: &Rows<'_>, mask: Option<&[bool]>, run: &Run<'_>) -> Result<Vec<u32>> {
        self.check(rows, mask)?;
        let mut out = zeros(rows.len().saturating_mul(self.groups()))?;
        let parts: Vec<_> = out.chunks_mut(ROWS_PER_ITEM * self.groups()).map(Mutex::new).collect();
        run.map(
            parts.len(),
            || self.hasher(),
            |hasher, item, ticker| {
                // Each part is locked once, by the one item that is its own.
                let mut part = parts[item].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let first = item * ROWS_PER_ITEM;
                hasher.hash(rows, mask, first..first + part.len() / self.groups(), run.isa, &mut part, ticker)
            },
        )?;
        Ok(out)
    }

    /// Validates that rows and mask fit the hash.
    pub(crate) fn check(&self, rows: &Rows<'_>, mask: Option<&[bool]>) -> Result<()> {
        if rows.width() != self.dim() {
            return Err(Error::Value {
                argument: rows.argument(),
                rule: "as wide as the hash",
                got: format!("width {} against dim={}", rows.width(), self.dim()),
            });
        }
        mask.map_or(Ok(()), |mask| check_length("mask", rows.len(), mask.len()))
    }

    /// The state of one worker.
    pub(crate) fn hasher(&self) -> Hasher<'_> {
        Hasher { hash: self, codes: self.projections.scratch(), rows: Vec::new(), words: Vec::new() }
    }

    /// Writes row `r`, with the center subtracted, to a buffer; values may be NaN or infinite.
    fn centered(&self, rows: &Rows<'_>, r: usize, isa: Isa, buffer: &mut [f32]) {
        rows.copy_row(isa, r, buffer);
        for (x, c) in buffer.iter_mut().zip(self.center.iter().flatten()) {
            *x -= c;
        }
    }

    /// Returns an error for a row with a value that is not finite, before or after the center is subtracted.
    fn check_row(&self, rows: &Rows<'_>, r: usize, isa: Isa) -> Result<()> {
        let mut buffer = vec![0.0; self.dim()];
        rows.finite_row(isa, r, &mut buffer)?;
        self.centered(rows, r, isa, &mut buffer);
        if buffer.iter().any(|x| !x.is_finite()) {
            return Err(Error::Value {
                argument: "center",
                rule: "so near that rows minus it fit float32",
                got: format!("one that row {r} of `{}` leaves float32 by", rows.argument()),
            });
        }
        Ok(())
    }
}

/// The buffers that hashing needs in addition to the hash.
pub(crate) struct Hasher<'a> {
    hash: &'a SimHash,
    codes: Aligned<u32>,
    /// Copies of rows that are not contiguous float32.
    rows: Vec<f32>,
    /// Signatures of rows that are not consecutive.
    words: Vec<u32>,
}

impl Hasher<'_> {
    /// Writes the signatures of a range of rows.
    pub(crate) fn hash(
        &mut self,
        rows: &Rows<'_>,
        mask: Option<&[bool]>,
        range: Range<usize>,
        isa: Isa,
        out: &mut [u32],
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let (groups, first) = (self.hash.groups(), range.start);
        if mask.is_some() {
            out.fill(MASKED);
        }
        let mut unmasked = range.filter(|r| mask.is_none_or(|mask| mask[*r]));
        loop {
            ticker.check()?;
            let mut places = [0; MAX_ROWS];
            let mut n = 0;
            for (place, row) in places.iter_mut().zip(&mut unmasked) {
                *place = row;
                n += 1;
            }
            let places = &places[..n];
            let (Some(start), Some(last)) = (places.first(), places.last()) else {
                return Ok(());
            };
            // Signatures of consecutive rows are written directly, others through a block.
            if last - start + 1 == n {
                self.write(rows, places, isa, &mut out[(start - first) * groups..][..n * groups])?;
                continue;
            }
            let mut words = std::mem::take(&mut self.words);
            words.resize(MAX_ROWS * groups, 0);
            self.write(rows, places, isa, &mut words[..n * groups])?;
            for (words, place) in words.chunks_exact(groups).zip(places) {
                out[(place - first) * groups..][..groups].copy_from_slice(words);
            }
            self.words = words;
        }
    }

    /// The signatures of the rows at some places.
    fn write(&mut self, rows: &Rows<'_>, places: &[usize], isa: Isa, out: &mut [u32]) -> Result<()> {
        let (hash, dim) = (self.hash, self.hash.dim());
        let mut read: [&[f32]; MAX_ROWS] = [&[]; MAX_ROWS];
        if let (Some(ready), None) = (rows.contiguous(), &hash.center) {
            for (slot, place) in read.iter_mut().zip(places) {
                *slot = &ready[place * dim..][..dim];
            }
        } else {
            self.rows.resize(MAX_ROWS * dim, 0.0);
            for (buffer, place) in self.rows.chunks_exact_mut(dim).zip(places) {
                hash.centered(rows, *place, isa, buffer);
            }
            for (slot, buffer) in read.iter_mut().zip(self.rows.chunks_exact(dim)) {
                *slot = buffer;
            }
        }
        let read = &read[..places.len()];
        let unsure = simhash::signatures(isa, &hash.projections, read, &mut self.codes, out);
        for (r, place) in places.iter().enumerate() {
            if unsure >> r & 1 != 0 {
                hash.check_row(rows, *place, isa)?;
            }
        }
        Ok(())
    }
}

/// Standard normal numbers: coordinates `4j..4j + 4` of bit `k` come from the Philox block (j + 1, 0, k, 0).
fn normals(m: usize, dim: usize, seed: u64, run: &Run<'_>) -> Result<Vec<f32>> {
    let draws = Draws::new(seed, Stream::Projections);
    let mut out = with_capacity(m * dim)?;
    for k in 0..m {
        run.tick(k, m)?;
        for j in 0..dim.div_ceil(4) {
            let [a, b, c, d] = draws.block([1 + j as u64, 0, k as u64, 0]).map(unit);
            let four = [normal_pair(a, b), normal_pair(c, d)];
            out.extend(four.as_flattened().iter().take(dim - 4 * j).map(|x| *x as f32));
        }
    }
    Ok(out)
}
