//! Assignment: the nearest centroid of every row, exactly.
//!
//! It is exact search for one document with the roles turned: rows are many and never change, centroids are few and
//! change every round. So rows are quantised once, and a round packs the centroids and multiplies block after block of
//! rows with all their panels. Every product gives an interval that holds the canonical score (`exact::bound`). The
//! interval of the centroid that a row had before gives a threshold at the cost of one product; what reaches it raises
//! it further. Where one centroid is left its score need not be known; where several are, they are scored canonically
//! and the lowest of the best is taken.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::dot_i8::{Hit, PANEL, QueryTile, scan_panel};
use negmine_kernels::hits_i8::dot_hits_i8;
use negmine_kernels::memory::Aligned;
use negmine_kernels::quantize::{RowCode, largest_magnitude, quantize_row};
use negmine_kernels::rows_i8::ROW_ALIGNMENT;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::{Run, Ticker};
use crate::exact::bound::{QueryBound, unit_for};
use crate::exact::pack::{Tile, factor};
use crate::exact::{Metric, Slack};

use super::means::{Lengths, as_rows};

/// Rows of a block: a multiple of the kernel's six; at width 768 half of a 256 KiB second cache.
const BLOCK: usize = 96;

/// Rows, quantised.
pub(crate) struct Points<'a, 'c> {
    rows: &'a Rows<'c>,
    metric: Metric,
    stride: usize,
    codes: Aligned<i8>,
    bounds: Vec<(RowCode, f64)>,
    squared: &'a [f64],
}

/// Centroids as the kernels want them: in panels, and row by row.
struct Packed<'a> {
    /// Row-major.
    centroids: &'a [f32],
    tile: Tile,
    codes: Aligned<i8>,
}

/// A centroid whose score may be the best of a row of the block.
struct Pending {
    place: u32,
    cluster: u32,
    high: f64,
}

/// What one thread assigns with.
struct Block {
    tile: QueryTile,
    bounds: Vec<QueryBound>,
    lows: Vec<f64>,
    hits: Vec<Hit>,
    dots: Vec<i32>,
    pending: Vec<Pending>,
    row: Vec<f32>,
}

impl<'a, 'c> Points<'a, 'c> {
    /// Quantises rows that are known to be finite.
    pub(crate) fn new(
        rows: &'a Rows<'c>,
        metric: Metric,
        lengths: &'a Lengths,
        run: &Run<'_>,
    ) -> Result<Self> {
        let stride = rows.width().next_multiple_of(ROW_ALIGNMENT);
        let mut codes = Aligned::zeroed(rows.len() * stride);
        let slots: Vec<_> = codes.chunks_mut((BLOCK * stride).max(1)).map(Mutex::new).collect();
        let bounds = run.map(
            slots.len(),
            || vec![0.0; rows.width()],
            |buffer, item, ticker| {
                ticker.check()?;
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                let mut bounds = Vec::with_capacity(BLOCK);
                for (i, codes) in slot.chunks_exact_mut(stride).enumerate() {
                    let r = item * BLOCK + i;
                    let row = rows.finite_row(run.isa, r, buffer)?;
                    let own = if metric == Metric::Cosine {
                        1.0
                    } else {
                        unit_for(largest_magnitude(run.isa, row))
                    };
                    bounds.push((
                        quantize_row(run.isa, row, factor(metric, lengths.squared[r], own), codes),
                        own,
                    ));
                }
                Ok(bounds)
            },
        )?;
        drop(slots);
        Ok(Self { rows, metric, stride, codes, bounds: bounds.concat(), squared: &lengths.squared })
    }

    /// The nearest centroid of every row, ties by the lower number; `before` are labels to start from.
    pub(crate) fn assign(
        &self,
        centroids: &[f32],
        before: Option<&[u32]>,
        run: &Run<'_>,
    ) -> Result<Vec<u32>> {
        let packed = self.pack(centroids, run)?;
        let blocks = run.map(
            self.rows.len().div_ceil(BLOCK),
            || Block::new(self.rows.width()),
            |block, item, ticker| {
                let first = item * BLOCK;
                block.start(self, first..(first + BLOCK).min(self.rows.len()));
                if let Some(before) = before {
                    block.warm(self, &packed, first, before, run);
                }
                block.scan(&packed, run, ticker)?;
                Ok(block.settle(self, &packed, first, run))
            },
        )?;
        Ok(blocks.concat())
    }

    /// Canonical scores of every row with its own centroid.
    pub(crate) fn own_scores(&self, centroids: &[f32], labels: &[u32], run: &Run<'_>) -> Result<Vec<f64>> {
        let width = self.rows.width();
        let norms: Vec<f64> =
            centroids.chunks_exact(width).map(|c| self.metric.squared_norm(run.isa, c)).collect();
        let blocks = run.map(
            labels.len().div_ceil(BLOCK),
            || vec![0.0; width],
            |buffer, item, ticker| {
                ticker.check()?;
                let own = item * BLOCK..((item + 1) * BLOCK).min(labels.len());
                let score = |r: usize| {
                    let j = labels[r] as usize;
                    let row = self.rows.row(run.isa, r, buffer);
                    let sum = self.metric.sum(run.isa, row, &centroids[j * width..(j + 1) * width]);
                    self.metric.finish(sum, self.squared[r], norms[j])
                };
                Ok(own.map(score).collect::<Vec<f64>>())
            },
        )?;
        Ok(blocks.concat())
    }

    fn pack<'b>(&self, centroids: &'b [f32], run: &Run<'_>) -> Result<Packed<'b>> {
        let width = self.rows.width();
        let rows = as_rows(centroids, width)?;
        let tile = Tile::pack(&rows, 0..rows.len(), self.metric, Slack::CERTIFIED, run)?;
        let mut codes = Aligned::zeroed(rows.len() * self.stride);
        for (j, (row, codes)) in
            centroids.chunks_exact(width).zip(codes.chunks_exact_mut(self.stride)).enumerate()
        {
            // As the tile quantised it.
            let panel = &tile.panels()[j / PANEL];
            quantize_row(run.isa, row, factor(self.metric, panel.squared_norm(j % PANEL), panel.unit), codes);
        }
        Ok(Packed { centroids, tile, codes })
    }
}

impl Block {
    fn new(width: usize) -> Self {
        Self {
            tile: QueryTile::new(width),
            bounds: Vec::new(),
            lows: Vec::new(),
            hits: Vec::new(),
            dots: Vec::new(),
            pending: Vec::new(),
            row: vec![0.0; width],
        }
    }

    fn start(&mut self, points: &Points<'_, '_>, rows: std::ops::Range<usize>) {
        self.tile.clear();
        self.bounds.clear();
        self.pending.clear();
        self.lows.clear();
        self.lows.resize(rows.len(), f64::NEG_INFINITY);
        for r in rows {
            let (code, unit) = &points.bounds[r];
            let bound = QueryBound::new(points.metric, Slack::CERTIFIED, code, *unit, points.squared[r]);
            let weights = bound.weights();
            let codes = &points.codes[r * points.stride..][..points.rows.width()];
            self.tile.push(codes, weights.error, weights.norm, 0.0, f32::NEG_INFINITY);
            self.bounds.push(bound);
        }
    }

    /// What the centroids of before are certain to score.
    fn warm(
        &mut self,
        points: &Points<'_, '_>,
        packed: &Packed<'_>,
        first: usize,
        before: &[u32],
        run: &Run<'_>,
    ) {
        let n = self.lows.len();
        self.hits.clear();
        let hit = |i: usize| Hit { query: i as u32, lane: before[first + i], dot: 0 };
        self.hits.extend((0..n).map(hit));
        self.dots.clear();
        self.dots.resize(n, 0);
        let codes = &points.codes[first * points.stride..(first + n) * points.stride];
        dot_hits_i8(run.isa, codes, &packed.codes, points.stride, &self.hits, &mut self.dots);
        for ((hit, &dot), (low, bound)) in
            self.hits.iter().zip(&self.dots).zip(self.lows.iter_mut().zip(&self.bounds))
        {
            let panel = &packed.tile.panels()[hit.lane as usize / PANEL];
            *low = bound.interval(dot, &panel.document(hit.lane as usize % PANEL), panel.unit).0;
        }
    }

    /// Multiplies the block with every panel and keeps what may be the best.
    fn scan(&mut self, packed: &Packed<'_>, run: &Run<'_>, ticker: &Ticker<'_>) -> Result<()> {
        let mut unit = f64::NAN;
        for (p, panel) in packed.tile.panels().iter().enumerate() {
            ticker.check()?;
            if panel.unit != unit {
                unit = panel.unit;
                for (i, (bound, &low)) in self.bounds.iter().zip(&self.lows).enumerate() {
                    self.tile.set_threshold(i, bound.threshold(low, unit));
                    self.tile.set_offset_weight(i, bound.offset_weight(unit));
                }
            }
            self.hits.clear();
            scan_panel(run.isa, &self.tile, packed.tile.view(p), &mut self.hits);
            for hit in &self.hits {
                let (i, lane) = (hit.query as usize, hit.lane as usize);
                let (low, high) = self.bounds[i].interval(hit.dot, &panel.document(lane), unit);
                if high < self.lows[i] {
                    continue;
                }
                self.pending.push(Pending { place: hit.query, cluster: (panel.first + lane) as u32, high });
                if low > self.lows[i] {
                    self.lows[i] = low;
                    self.tile.set_threshold(i, self.bounds[i].threshold(low, unit));
                }
            }
        }
        Ok(())
    }

    /// The best of what is left of every row.
    fn settle(
        &mut self,
        points: &Points<'_, '_>,
        packed: &Packed<'_>,
        first: usize,
        run: &Run<'_>,
    ) -> Vec<u32> {
        let lows = &self.lows;
        self.pending.retain(|pending| pending.high >= lows[pending.place as usize]);
        // Stable: the centroids of a row stay rising.
        self.pending.sort_by_key(|pending| pending.place);
        let mut labels = vec![0; self.lows.len()];
        for left in self.pending.chunk_by(|a, b| a.place == b.place) {
            let place = left[0].place as usize;
            labels[place] = match left {
                [only] => only.cluster,
                _ => best(points, packed, first + place, left, &mut self.row, run),
            };
        }
        labels
    }
}

/// The centroid of the highest canonical score, the lowest of several.
fn best(
    points: &Points<'_, '_>,
    packed: &Packed<'_>,
    r: usize,
    left: &[Pending],
    buffer: &mut [f32],
    run: &Run<'_>,
) -> u32 {
    let (metric, squared) = (points.metric, points.squared[r]);
    let row = points.rows.row(run.isa, r, buffer);
    let mut best = (f64::NEG_INFINITY, u32::MAX);
    let width = row.len();
    for together in left.chunks(4) {
        let rows = [0, 1, 2, 3].map(|i: usize| {
            let j = together[i.min(together.len() - 1)].cluster as usize;
            &packed.centroids[j * width..(j + 1) * width]
        });
        for (pending, sum) in together.iter().zip(metric.sum_many(run.isa, row, rows)) {
            let panel = &packed.tile.panels()[pending.cluster as usize / PANEL];
            let score = metric.finish(sum, squared, panel.squared_norm(pending.cluster as usize % PANEL));
            if score > best.0 || best.1 == u32::MAX {
                best = (score, pending.cluster);
            }
        }
    }
    best.1
}
