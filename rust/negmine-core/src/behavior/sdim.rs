//! Attention over histories by hashing, forwards and backwards, in one call.
//!
//! Forwards: hash behaviours and candidates, fill a table, read it. Backwards, with the signatures kept: bits carry no
//! gradient, so what a candidate sends back goes to the cells it read (the mirror of reading), through the
//! normalisation of each cell, and from there to the behaviours in it (the mirror of filling).

use std::sync::{Mutex, PoisonError};

use negmine_kernels::buckets::{Shape, Signatures, gather, scatter};
use negmine_kernels::canonical;
use negmine_kernels::isa::Isa;

use super::table::{LEAST_NORM, Reader, UserTable, check_values};
use super::{Counts, Normalize, Ragged, SimHash};
use crate::base::error::check_length;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

/// Behaviours that are hashed and added before the next ones: their values are still in the first caches then.
const TILE: usize = 64;

/// What a bucket is divided by, and whether empty ones count.
pub type Pooling = (Normalize, bool);

/// Some histories and the candidates that look at them: list `i` of the one goes with list `i` of the other.
#[derive(Clone, Copy, Debug)]
pub struct Histories<'a> {
    /// What is hashed of behaviours.
    pub keys: &'a Rows<'a>,
    /// Behaviours that are there; the others are not read.
    pub mask: Option<&'a [bool]>,
    /// What is pooled, (behaviours, width), contiguous.
    pub values: &'a [f32],
    /// Columns of `values`.
    pub width: usize,
    /// Lists of behaviours.
    pub behaviors: &'a Ragged,
    /// What is hashed of candidates.
    pub candidates: &'a Rows<'a>,
    /// Lists of candidates.
    pub of_candidates: &'a Ragged,
}

/// What the forward pass gives, and what the backward pass needs.
#[derive(Clone, Debug, Default)]
pub struct Forward {
    /// (candidates, width)
    pub output: Vec<f32>,
    /// Signatures of behaviours, then of candidates.
    pub signatures: [Vec<u32>; 2],
    /// (lists, groups, buckets, width)
    pub sums: Vec<f32>,
    /// (lists, groups, buckets)
    pub counts: Vec<u32>,
}

impl Histories<'_> {
    fn check(&self, hash: &SimHash) -> Result<()> {
        hash.check(self.keys, self.mask)?;
        hash.check(self.candidates, None)?;
        if self.width == 0 {
            return Err(Error::Width { argument: "values", width: 0 });
        }
        check_length("behaviours", self.behaviors.rows(), self.keys.len())?;
        check_length("values", self.keys.len() * self.width, self.values.len())?;
        check_length("candidates", self.of_candidates.rows(), self.candidates.len())?;
        check_length("candidates", self.behaviors.len(), self.of_candidates.len())
    }

    /// Pools every history for each of its candidates. Lists are handed to threads; each has one owner.
    ///
    /// # Errors
    /// Rows or values with NaN or infinity, lengths that do not fit, or an interrupt.
    pub fn forward(&self, hash: &SimHash, pooling: Pooling, run: &Run<'_>) -> Result<Forward> {
        self.check(hash)?;
        let shape = Shape { groups: hash.groups(), buckets: hash.buckets(), width: self.width };
        let lists = self.behaviors.len();
        let mut all = Forward {
            output: vec![0.0; self.candidates.len() * self.width],
            signatures: [
                vec![0; self.keys.len() * shape.groups],
                vec![0; self.candidates.len() * shape.groups],
            ],
            sums: vec![0.0; lists * shape.len()],
            counts: vec![0; lists * shape.cells()],
        };
        let items = self.items(shape, &mut all);
        run.map(
            lists,
            || (hash.hasher(), Reader::new(shape)),
            |(hasher, reader), list, ticker| {
                let mut item = items[list].lock().unwrap_or_else(PoisonError::into_inner);
                let item = &mut *item;
                let rows = self.behaviors.list(list);
                for start in rows.clone().step_by(TILE) {
                    ticker.check()?;
                    let tile = start..rows.end.min(start + TILE);
                    let words =
                        &mut item.keys[(start - rows.start) * shape.groups..][..tile.len() * shape.groups];
                    hasher.hash(self.keys, self.mask, tile.clone(), run, words)?;
                    let values = &self.values[start * self.width..tile.end * self.width];
                    check_values(shape, words, values, start, run.isa)?;
                    let words = Signatures::new(words, shape.groups, 0);
                    scatter(run.isa, shape, words, values, None, item.sums, item.counts);
                }
                hasher.hash(self.candidates, None, self.of_candidates.list(list), run, item.candidates)?;
                let table = UserTable { shape, sums: item.sums, counts: Counts::Whole(item.counts) };
                reader.read(table, item.candidates, pooling, run.isa, item.output);
                Ok(())
            },
        )?;
        drop(items);
        Ok(all)
    }

    /// Each list's own share of the arrays.
    fn items<'b>(&self, shape: Shape, all: &'b mut Forward) -> Vec<Mutex<Item<'b>>> {
        let Self { behaviors, of_candidates, .. } = self;
        let [keys, candidates] = &mut all.signatures;
        let keys = behaviors.split(keys, shape.groups);
        let candidates = of_candidates.split(candidates, shape.groups);
        let output = of_candidates.split(&mut all.output, shape.width);
        let tables = all.sums.chunks_exact_mut(shape.len()).zip(all.counts.chunks_exact_mut(shape.cells()));
        keys.zip(candidates)
            .zip(output)
            .zip(tables)
            .map(|(((keys, candidates), output), (sums, counts))| {
                Mutex::new(Item { keys, candidates, output, sums, counts })
            })
            .collect()
    }
}

/// What one list writes.
struct Item<'a> {
    keys: &'a mut [u32],
    candidates: &'a mut [u32],
    output: &'a mut [f32],
    sums: &'a mut [f32],
    counts: &'a mut [u32],
}

/// What a backward pass starts from.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a> {
    /// The shape of a list's table.
    pub shape: Shape,
    /// What the forward pass kept: signatures of behaviours and of candidates, sums and counts.
    pub signatures: [&'a [u32]; 2],
    /// (lists, groups, buckets, width)
    pub sums: &'a [f32],
    /// (lists, groups, buckets)
    pub counts: &'a [u32],
    /// Lists of behaviours.
    pub behaviors: &'a Ragged,
    /// Lists of candidates.
    pub of_candidates: &'a Ragged,
    /// The gradient of the output, (candidates, width).
    pub gradient: &'a [f32],
}

impl Backward<'_> {
    /// The gradient of the values, (behaviours, width).
    ///
    /// # Errors
    /// Lengths that do not fit, or an interrupt.
    pub fn values(&self, pooling: Pooling, run: &Run<'_>) -> Result<Vec<f32>> {
        let shape = self.shape;
        let lists = self.behaviors.len();
        if shape.is_empty() {
            return Err(Error::Width { argument: "values", width: shape.width });
        }
        check_length("signatures", self.behaviors.rows() * shape.groups, self.signatures[0].len())?;
        check_length("signatures", self.of_candidates.rows() * shape.groups, self.signatures[1].len())?;
        check_length("candidates", lists, self.of_candidates.len())?;
        check_length("sums", lists * shape.len(), self.sums.len())?;
        check_length("counts", lists * shape.cells(), self.counts.len())?;
        check_length("gradient", self.of_candidates.rows() * shape.width, self.gradient.len())?;
        let mut out = vec![0.0; self.behaviors.rows() * shape.width];
        let items: Vec<_> = self.behaviors.split(&mut out, shape.width).map(Mutex::new).collect();
        run.map(
            lists,
            || vec![0.0; shape.len()],
            |cells, list, _| {
                let mut out = items[list].lock().unwrap_or_else(PoisonError::into_inner);
                self.list(list, pooling, run.isa, cells, &mut out);
                Ok(())
            },
        )?;
        drop(items);
        Ok(out)
    }

    fn list(&self, list: usize, pooling: Pooling, isa: Isa, cells: &mut [f32], out: &mut [f32]) {
        let shape = self.shape;
        let table = UserTable {
            shape,
            sums: &self.sums[list * shape.len()..][..shape.len()],
            counts: Counts::Whole(&self.counts[list * shape.cells()..][..shape.cells()]),
        };
        let rows = self.of_candidates.list(list);
        let words = &self.signatures[1][rows.start * shape.groups..rows.end * shape.groups];
        let gradient = &self.gradient[rows.start * shape.width..rows.end * shape.width];
        let factors = table.factors(words, pooling);
        cells.fill(0.0);
        scatter(
            isa,
            shape,
            Signatures::new(words, shape.groups, 0),
            gradient,
            Some(&factors),
            cells,
            &mut [],
        );
        for (cell, gradient) in cells.chunks_exact_mut(shape.width).enumerate() {
            through_cell(&table, cell, pooling.0, isa, gradient);
        }
        let rows = self.behaviors.list(list);
        let words = &self.signatures[0][rows.start * shape.groups..rows.end * shape.groups];
        gather(isa, shape, Signatures::new(words, shape.groups, 0), cells, None, out);
    }
}

/// The gradient of a cell's sum from the gradient of what is read from it, in place.
fn through_cell(table: &UserTable<'_>, cell: usize, normalize: Normalize, isa: Isa, gradient: &mut [f32]) {
    if matches!(normalize, Normalize::Sum | Normalize::Ratio) {
        return;
    }
    let scale = table.cell_scale(isa, cell, normalize);
    let sum = table.sum(cell);
    // With n = s / |s|, the gradient of n is (1 - n n') / |s|; a norm below the least one counts as a constant.
    let along = if normalize == Normalize::L2 && table.norm(isa, cell) > LEAST_NORM {
        canonical::dot_with(isa, sum, gradient) * scale * scale
    } else {
        0.0
    };
    for (to, s) in gradient.iter_mut().zip(sum) {
        *to = ((f64::from(*to) - f64::from(*s) * along) * scale) as f32;
    }
}
