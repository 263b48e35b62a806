//! Attention over histories by hashing (SDIM: Cao and others, arXiv 2205.10249), with forward and backward pass in one
//! call each.
//!
//! Forward: hash behaviors and candidates, fill a table, read it. Backward, with the kept signatures: bits have no
//! gradient, so the gradient of a candidate goes to the cells it read (the mirror of reading), through the
//! normalization of each cell, and from there to the behaviors in it (the mirror of filling).

use std::sync::{Mutex, PoisonError};

use negmine_kernels::aligned::Aligned;
use negmine_kernels::buckets::{Shape, Signatures, gather, scatter};
use negmine_kernels::canonical;
use negmine_kernels::isa::Isa;

use super::table::{LEAST_NORM, Reader, UserTable, check_values, pieces, rows_at_once};
use super::{Counts, Normalize};
use crate::base::csr::Offsets;
use crate::base::error::check_length;
use crate::base::matrix::Rows;
use crate::base::memory::{aligned_zeros, zeros};
use crate::base::parallel::{Run, Ticker};
use crate::base::{Error, Result};
use crate::sketch::SimHash;
use crate::sketch::simhash::Hasher;

/// Behaviors that are hashed and added before the next ones: their values are still in the L1 and L2 caches then.
const TILE: usize = 64;

/// The normalization of a bucket, and whether empty buckets count.
pub type Pooling = (Normalize, bool);

/// Histories and their candidates: list `i` of candidates attends to list `i` of behaviors.
#[derive(Clone, Copy, Debug)]
pub struct Histories<'a> {
    /// Keys of behaviors, which are hashed.
    pub keys: &'a Rows<'a>,
    /// Whether each behavior is present; absent ones are not read.
    pub mask: Option<&'a [bool]>,
    /// Values that are pooled, (behaviors, width), contiguous.
    pub values: &'a [f32],
    /// Columns of `values`.
    pub width: usize,
    /// Lists of behaviors.
    pub behaviors: &'a Offsets,
    /// Keys of candidates, which are hashed.
    pub candidates: &'a Rows<'a>,
    /// Lists of candidates.
    pub of_candidates: &'a Offsets,
}

/// The result of the forward pass.
#[derive(Clone, Debug)]
pub struct Forward {
    /// (candidates, width)
    pub output: Vec<f32>,
    /// The state for the backward pass, if requested.
    pub kept: Option<Kept>,
}

/// The state from which the backward pass starts.
#[derive(Clone, Debug)]
pub struct Kept {
    shape: Shape,
    pooling: Pooling,
    behaviors: Offsets,
    of_candidates: Offsets,
    /// Signatures of behaviors, then of candidates.
    signatures: [Vec<u32>; 2],
    /// (lists, groups, buckets, width)
    sums: Aligned<f32>,
    /// (lists, groups, buckets)
    counts: Vec<u32>,
}

impl Histories<'_> {
    fn check(&self, hash: &SimHash) -> Result<()> {
        hash.check(self.keys, self.mask)?;
        hash.check(self.candidates, None)?;
        if self.width == 0 {
            return Err(Error::Width { argument: "values", width: 0 });
        }
        check_length("behaviors", self.behaviors.entries(), self.keys.len())?;
        check_length("values", self.keys.len() * self.width, self.values.len())?;
        check_length("candidates", self.of_candidates.entries(), self.candidates.len())?;
        check_length("candidates", self.behaviors.len(), self.of_candidates.len())
    }

    /// Pools every history for each of its candidates; `keep` keeps the state for the backward pass. Each list is
    /// processed by one thread.
    ///
    /// # Errors
    /// Returns an error on rows or values with NaN or infinity, lengths that do not fit, or an interrupt.
    pub fn forward(&self, hash: &SimHash, pooling: Pooling, keep: bool, run: &Run<'_>) -> Result<Forward> {
        self.check(hash)?;
        let shape = Shape { groups: hash.groups(), buckets: hash.buckets(), width: self.width };
        let mut output = zeros(self.candidates.len().saturating_mul(self.width))?;
        let mut kept = if keep { Some(self.kept(shape, pooling)?) } else { None };
        let items = self.items(shape, &mut output, kept.as_mut());
        // Rows that are finite as keys need no second check as values.
        let checked = self.keys.contiguous().is_some_and(|keys| std::ptr::eq(keys, self.values));
        run.map(
            items.len(),
            || Worker { hasher: hash.hasher(), reader: Reader::new(shape), own: Own::default() },
            |worker, list, ticker| {
                let mut item = items[list].lock().unwrap_or_else(PoisonError::into_inner);
                let Item { output, kept } = &mut *item;
                let (rows, candidates) = (self.behaviors.range(list), self.of_candidates.range(list));
                let to = match kept {
                    Some(kept) => kept.reborrow(),
                    None => worker.own.cleared(shape, candidates.len().min(rows_at_once(shape))),
                };
                for tile in pieces(rows.clone(), TILE) {
                    let start = tile.start;
                    // Signatures that are not kept are overwritten by the next tile.
                    let place = if keep { (start - rows.start) * shape.groups } else { 0 };
                    let words = &mut to.keys[place..][..tile.len() * shape.groups];
                    worker.hasher.hash(self.keys, self.mask, tile.clone(), run.isa, words, ticker)?;
                    let values = &self.values[start * self.width..tile.end * self.width];
                    if !checked {
                        check_values(shape, words, values, start, run.isa)?;
                    }
                    let words = Signatures::new(words, shape.groups, 0);
                    scatter(run.isa, shape, words, values, None, to.sums, to.counts);
                }
                let table = UserTable { shape, sums: to.sums, counts: Counts::Whole(to.counts) };
                for piece in pieces(candidates.clone(), rows_at_once(shape)) {
                    let begin = piece.start - candidates.start;
                    let place = if keep { begin * shape.groups } else { 0 };
                    let words = &mut to.candidates[place..][..piece.len() * shape.groups];
                    let output = &mut output[begin * shape.width..][..piece.len() * shape.width];
                    worker.hasher.hash(self.candidates, None, piece, run.isa, words, ticker)?;
                    worker.reader.read(table, words, pooling, run.isa, output);
                }
                Ok(())
            },
        )?;
        drop(items);
        Ok(Forward { output, kept })
    }

    fn kept(&self, shape: Shape, pooling: Pooling) -> Result<Kept> {
        let lists = self.behaviors.len();
        Ok(Kept {
            shape,
            pooling,
            behaviors: self.behaviors.clone(),
            of_candidates: self.of_candidates.clone(),
            signatures: [
                zeros(self.keys.len().saturating_mul(shape.groups))?,
                zeros(self.candidates.len().saturating_mul(shape.groups))?,
            ],
            sums: aligned_zeros(lists.saturating_mul(shape.len()))?,
            counts: zeros(lists.saturating_mul(shape.cells()))?,
        })
    }

    /// Each list's own share of the arrays.
    fn items<'b>(
        &self,
        shape: Shape,
        output: &'b mut [f32],
        kept: Option<&'b mut Kept>,
    ) -> Vec<Mutex<Item<'b>>> {
        let Self { behaviors, of_candidates, .. } = self;
        let output = of_candidates.split(output, shape.width);
        let Some(kept) = kept else {
            return output.map(|output| Mutex::new(Item { output, kept: None })).collect();
        };
        let [keys, candidates] = &mut kept.signatures;
        let keys = behaviors.split(keys, shape.groups);
        let candidates = of_candidates.split(candidates, shape.groups);
        let sums = kept.sums.chunks_exact_mut(shape.len());
        let tables = sums.zip(kept.counts.chunks_exact_mut(shape.cells()));
        keys.zip(candidates)
            .zip(output)
            .zip(tables)
            .map(|(((keys, candidates), output), (sums, counts))| {
                Mutex::new(Item { output, kept: Some(Filled { keys, candidates, sums, counts }) })
            })
            .collect()
    }
}

/// The output slices of one list.
struct Item<'a> {
    output: &'a mut [f32],
    kept: Option<Filled<'a>>,
}

/// The intermediate buffers of one list.
struct Filled<'a> {
    keys: &'a mut [u32],
    candidates: &'a mut [u32],
    sums: &'a mut [f32],
    counts: &'a mut [u32],
}

impl Filled<'_> {
    fn reborrow(&mut self) -> Filled<'_> {
        Filled { keys: self.keys, candidates: self.candidates, sums: self.sums, counts: self.counts }
    }
}

/// The state of one worker.
struct Worker<'a> {
    hasher: Hasher<'a>,
    reader: Reader,
    own: Own,
}

/// The buffers of a worker for intermediate values that are not kept.
#[derive(Default)]
struct Own {
    keys: Vec<u32>,
    candidates: Vec<u32>,
    sums: Aligned<f32>,
    counts: Vec<u32>,
}

impl Own {
    /// An empty table, and buffers for signatures.
    fn cleared(&mut self, shape: Shape, candidates: usize) -> Filled<'_> {
        if self.sums.is_empty() {
            self.sums = Aligned::zeroed(shape.len());
        } else {
            self.sums.fill(0.0);
        }
        self.counts.clear();
        self.counts.resize(shape.cells(), 0);
        self.keys.resize(TILE * shape.groups, 0);
        self.candidates.resize(candidates * shape.groups, 0);
        Filled {
            keys: &mut self.keys,
            candidates: &mut self.candidates,
            sums: &mut self.sums,
            counts: &mut self.counts,
        }
    }
}

impl Kept {
    /// Number of rows of the gradient that [`Kept::backward`] returns.
    #[must_use]
    pub fn behaviors(&self) -> usize {
        self.behaviors.entries()
    }

    /// Number of columns of that gradient, and of the gradient that it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.width
    }

    /// The gradient of the values, (behaviors, width), from that of the output, (candidates, width).
    ///
    /// # Errors
    /// Returns an error on a gradient of another length, or an interrupt.
    pub fn backward(&self, gradient: &[f32], run: &Run<'_>) -> Result<Vec<f32>> {
        let shape = self.shape;
        check_length("gradient", self.of_candidates.entries() * shape.width, gradient.len())?;
        let mut out = zeros(self.behaviors.entries().saturating_mul(shape.width))?;
        let items: Vec<_> = self.behaviors.split(&mut out, shape.width).map(Mutex::new).collect();
        run.map(
            items.len(),
            || Aligned::zeroed(shape.len()),
            |cells, list, ticker| {
                let mut out = items[list].lock().unwrap_or_else(PoisonError::into_inner);
                self.list(list, gradient, run.isa, cells, &mut out, ticker)
            },
        )?;
        drop(items);
        Ok(out)
    }

    fn list(
        &self,
        list: usize,
        gradient: &[f32],
        isa: Isa,
        cells: &mut [f32],
        out: &mut [f32],
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let shape = self.shape;
        let table = UserTable {
            shape,
            sums: &self.sums[list * shape.len()..][..shape.len()],
            counts: Counts::Whole(&self.counts[list * shape.cells()..][..shape.cells()]),
        };
        let at_once = rows_at_once(shape);
        cells.fill(0.0);
        for rows in pieces(self.of_candidates.range(list), at_once) {
            ticker.check()?;
            let words = &self.signatures[1][rows.start * shape.groups..rows.end * shape.groups];
            let gradient = &gradient[rows.start * shape.width..rows.end * shape.width];
            let factors = table.factors(words, self.pooling);
            let words = Signatures::new(words, shape.groups, 0);
            scatter(isa, shape, words, gradient, Some(&factors), cells, &mut []);
        }
        for (cell, gradient) in cells.chunks_exact_mut(shape.width).enumerate() {
            if cell.is_multiple_of(at_once) {
                ticker.check()?;
            }
            through_cell(&table, cell, self.pooling.0, isa, gradient);
        }
        let behaviors = self.behaviors.range(list);
        for rows in pieces(behaviors.clone(), at_once) {
            ticker.check()?;
            let words = &self.signatures[0][rows.start * shape.groups..rows.end * shape.groups];
            let words = Signatures::new(words, shape.groups, 0);
            let out = &mut out[(rows.start - behaviors.start) * shape.width..][..rows.len() * shape.width];
            gather(isa, shape, words, cells, None, out);
        }
        Ok(())
    }
}

/// The gradient of a cell's sum from the gradient of what is read from it, in place.
fn through_cell(table: &UserTable<'_>, cell: usize, normalize: Normalize, isa: Isa, gradient: &mut [f32]) {
    let norm = match normalize {
        Normalize::Sum | Normalize::Ratio => return,
        Normalize::L2 => table.norm(isa, cell),
        Normalize::Mean => 0.0,
    };
    let sum = table.sum(cell);
    let scale = table.scale_of(cell, normalize, norm);
    // With n = s / |s|, the gradient of n is (1 - n n') / |s|; a norm below the least one counts as a constant.
    let along = if norm > LEAST_NORM { canonical::dot_with(isa, sum, gradient) * scale * scale } else { 0.0 };
    for (to, s) in gradient.iter_mut().zip(sum) {
        *to = ((f64::from(*to) - f64::from(*s) * along) * scale) as f32;
    }
}
