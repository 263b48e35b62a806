//! Coarse cells: documents near a common pivot are adjacent, so that a query can scan likely documents first.
//!
//! The speed of a pruned scan depends on its thresholds: at 100,000 documents and k = 10, four times as many pairs
//! survive the lead while thresholds increase as when they are known in advance. A query therefore starts with the
//! panels of the cells whose pivots have the highest scores. Pivots are documents taken at equal steps, which needs no
//! iteration; cells never change a result, only the order in which documents are scanned.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// The most pivots: their products with a query must cost little compared with a scan.
const MOST_PIVOTS: usize = 512;

/// The approximate number of documents per cell, if that gives few enough pivots.
const ROWS_PER_CELL: usize = 256;

/// Pivots, by their leading rotated coordinates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    width: usize,
    /// Row-major.
    pivots: Vec<f32>,
    /// Half the squared norm of each.
    halves: Vec<f32>,
    /// Places of the documents of each cell.
    places: Vec<Range<usize>>,
}

impl Cells {
    /// The rows of a corpus that serve as pivots.
    pub(crate) fn pivot_rows(rows: usize) -> impl Iterator<Item = usize> {
        let pivots = (rows / ROWS_PER_CELL).clamp(1, MOST_PIVOTS);
        (0..pivots).map(move |i| i * rows / pivots)
    }

    /// Cells from the leading coordinates of the pivots.
    pub(crate) fn new(width: usize, pivots: Vec<f32>) -> Self {
        let halves = pivots.chunks_exact(width).map(|p| p.iter().map(|x| x * x).sum::<f32>() / 2.0).collect();
        Self { width, pivots, halves, places: Vec::new() }
    }

    /// Inner products of rows with every pivot.
    fn products(&self, rows: &[f32], out: &mut Vec<f32>) {
        let (n, pivots) = (rows.len() / self.width, self.halves.len());
        out.resize(n * pivots, 0.0);
        let x = MatRef::from_row_major_slice(rows, n, self.width);
        let p = MatRef::from_row_major_slice(&self.pivots, pivots, self.width);
        let out = MatMut::from_row_major_slice_mut(out, n, pivots);
        matmul(out, Accum::Replace, x, p.transpose(), 1.0, Par::Seq);
    }

    /// The nearest pivot of every row.
    pub(crate) fn nearest(&self, rows: &[f32], products: &mut Vec<f32>) -> Vec<u16> {
        self.products(rows, products);
        let nearest = |products: &[f32]| {
            let mut best = (f32::NEG_INFINITY, 0);
            for (i, (product, half)) in products.iter().zip(&self.halves).enumerate() {
                if product - half > best.0 {
                    best = (product - half, i as u16);
                }
            }
            best.1
        };
        products.chunks_exact(self.halves.len()).map(nearest).collect()
    }

    /// Records the places of the documents of each cell, from the cells of all places, in ascending order.
    pub(crate) fn place(&mut self, cells: impl Iterator<Item = u16>) {
        self.places = vec![0..0; self.halves.len()];
        for (place, cell) in cells.enumerate() {
            let places = &mut self.places[usize::from(cell)];
            *places = if places.end == 0 { place..place + 1 } else { places.start..place + 1 };
        }
    }

    /// For every row the places of likely documents, the likeliest cell first.
    pub(crate) fn likely(&self, rows: &[f32]) -> Vec<Vec<Range<usize>>> {
        let mut products = Vec::new();
        self.products(rows, &mut products);
        let likely = |products: &[f32]| {
            let mut order: Vec<usize> = (0..products.len()).collect();
            let most = order.len().min(MOST_LIKELY);
            order.select_nth_unstable_by(most - 1, |&a, &b| products[b].total_cmp(&products[a]));
            order.truncate(most);
            order.sort_unstable_by(|&a, &b| products[b].total_cmp(&products[a]));
            order.into_iter().map(|cell| self.places[cell].clone()).collect()
        };
        products.chunks_exact(self.halves.len()).map(likely).collect()
    }
}

/// The most cells that a query starts with.
const MOST_LIKELY: usize = 64;
