//! `SimHash`: signs of random projections (Charikar, STOC 2002), `tau` to a signature.
//!
//! Two rows at angle a share a signature of tau bits with probability (1 - a/pi)^tau. Projections are normal numbers
//! drawn by Philox from (seed, bit, coordinate) alone, so the bits of a smaller hash are the first bits of a larger
//! one, and rounded to f32; bits are the signs of canonical products with them.

use std::sync::Mutex;

use negmine_kernels::simhash::{self, MASKED, MAX_TAU, Projections, ROWS};

use crate::base::error::check_length;
use crate::base::math::normal_pair;
use crate::base::matrix::{MAX_WIDTH, Rows};
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream, unit};
use crate::base::{Error, Result};

/// Rows of an item of work: some 50 us at width 64.
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
    /// Sizes out of range, `tau` that does not divide `m`, a centre of another width or that is not finite.
    pub fn new(m: usize, tau: usize, dim: usize, seed: u64, center: Option<Vec<f32>>) -> Result<Self> {
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
        Ok(Self { projections: Projections::new(normals(m, dim, seed), dim, tau), center })
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

    /// Signatures that there are.
    #[must_use]
    pub fn buckets(&self) -> usize {
        1 << self.projections.tau()
    }

    /// The signatures of all rows, one row after the other. A row that `mask` leaves out, or whose coordinates are all
    /// zero, has [`MASKED`]; what is left out is not read.
    ///
    /// # Errors
    /// Rows of another width, a mask of another length, NaN or infinity, or an interrupt.
    pub fn signatures(&self, rows: &Rows<'_>, mask: Option<&[bool]>, run: &Run<'_>) -> Result<Vec<u32>> {
        self.check(rows, mask)?;
        let mut out = vec![0; rows.len() * self.groups()];
        let parts: Vec<_> = out.chunks_mut(ROWS_PER_ITEM * self.groups()).map(Mutex::new).collect();
        run.map(
            parts.len(),
            || self.hasher(),
            |hasher, item, _| {
                // Each part is locked once, by the one item that is its own.
                let mut part = parts[item].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let first = item * ROWS_PER_ITEM;
                hasher.hash(rows, mask, first..first + part.len() / self.groups(), run, &mut part)
            },
        )?;
        Ok(out)
    }

    /// Refuses rows that do not fit the hash.
    pub(super) fn check(&self, rows: &Rows<'_>, mask: Option<&[bool]>) -> Result<()> {
        if rows.width() != self.dim() {
            return Err(Error::Value {
                argument: rows.argument(),
                rule: "as wide as the hash",
                got: format!("width {} against dim={}", rows.width(), self.dim()),
            });
        }
        mask.map_or(Ok(()), |mask| check_length("mask", rows.len(), mask.len()))
    }

    /// A worker's own state.
    pub(super) fn hasher(&self) -> Hasher<'_> {
        let scratch = Scratch { rows: vec![0.0; ROWS * self.dim()], wide: vec![0.0; self.dim()] };
        Hasher { hash: self, scratch, block: vec![0; ROWS * self.groups()] }
    }
}

/// What hashing needs besides the hash.
pub(super) struct Hasher<'a> {
    hash: &'a SimHash,
    scratch: Scratch,
    block: Vec<u32>,
}

/// Eight rows that do not lie ready, and one more.
struct Scratch {
    rows: Vec<f32>,
    wide: Vec<f32>,
}

impl Hasher<'_> {
    /// Writes the signatures of a range of rows.
    pub(super) fn hash(
        &mut self,
        rows: &Rows<'_>,
        mask: Option<&[bool]>,
        range: std::ops::Range<usize>,
        run: &Run<'_>,
        out: &mut [u32],
    ) -> Result<()> {
        let groups = self.hash.groups();
        let first = range.start;
        let mut wanted = range.filter(|r| mask.is_none_or(|mask| mask[*r]));
        if mask.is_some() {
            out.fill(MASKED);
        }
        loop {
            let mut places = [0; ROWS];
            let mut n = 0;
            for (place, row) in places.iter_mut().zip(&mut wanted) {
                *place = row;
                n += 1;
            }
            if n == 0 {
                return Ok(());
            }
            let last = places[n - 1];
            places[n..].fill(last);
            // Consecutive rows are written where they belong, others by way of a block.
            let straight = n == ROWS && last - places[0] + 1 == ROWS;
            let target = if straight {
                &mut out[(places[0] - first) * groups..][..ROWS * groups]
            } else {
                &mut self.block[..]
            };
            let rows = self.hash.read(rows, places, run, &mut self.scratch)?;
            simhash::signatures(run.isa, &self.hash.projections, rows, target);
            if !straight {
                for (block, place) in self.block.chunks_exact(groups).zip(&places[..n]) {
                    out[(place - first) * groups..][..groups].copy_from_slice(block);
                }
            }
        }
    }
}

impl SimHash {
    /// The rows at some places, checked and with the centre subtracted.
    fn read<'b>(
        &self,
        rows: &'b Rows<'_>,
        places: [usize; ROWS],
        run: &Run<'_>,
        scratch: &'b mut Scratch,
    ) -> Result<[&'b [f32]; ROWS]> {
        let mut read: [&[f32]; ROWS] = [&[]; ROWS];
        let buffers = scratch.rows.chunks_exact_mut(self.dim());
        for ((slot, row), buffer) in read.iter_mut().zip(places).zip(buffers) {
            let Some(center) = &self.center else {
                *slot = rows.finite_row(run.isa, row, buffer)?;
                continue;
            };
            let values = rows.finite_row(run.isa, row, &mut scratch.wide)?;
            for ((to, x), c) in buffer.iter_mut().zip(values).zip(center) {
                *to = x - c;
            }
            if buffer.iter().any(|x| !x.is_finite()) {
                return Err(Error::Value {
                    argument: "center",
                    rule: "so near that rows minus it fit float32",
                    got: format!("one that row {row} of `{}` leaves float32 by", rows.argument()),
                });
            }
            *slot = buffer;
        }
        Ok(read)
    }
}

/// Standard normal numbers: coordinates `4j..4j + 4` of bit `k` come from the Philox block (j + 1, 0, k, 0).
fn normals(m: usize, dim: usize, seed: u64) -> Vec<f32> {
    let draws = Draws::new(seed, Stream::Projections);
    let mut out = Vec::with_capacity(m * dim);
    for k in 0..m {
        for j in 0..dim.div_ceil(4) {
            let [a, b, c, d] = draws.block([1 + j as u64, 0, k as u64, 0]).map(unit);
            let four = [normal_pair(a, b), normal_pair(c, d)];
            out.extend(four.as_flattened().iter().take(dim - 4 * j).map(|x| *x as f32));
        }
    }
    out
}
