//! Exact k-means assignment: the nearest centroid of every row.
//!
//! Assignment is exact search for one document with exchanged roles: rows are many and never change, centroids are few
//! and change every round. Rows are therefore quantized once, and a round packs the centroids and multiplies block
//! after block of rows with all their panels. Every product gives an interval that holds the canonical score
//! (`scoring::bound`). The score of the centroid that a row had before is a threshold; a centroid that reaches it
//! raises it further. If one centroid remains, its score is not needed; if several remain, they are scored canonically
//! and the lowest number of the best is taken.
//!
//! From the second round on, with thresholds as good as that, a few rotated coordinates rule out nearly every centroid
//! (`pruned_assign`), if `pruning_choice` predicts a gain; only the remaining centroids are multiplied at full width.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::aligned::Aligned;
use negmine_kernels::dot_i8::{Hit, PANEL, QueryTile, scan_panel};
use negmine_kernels::hits_i8::dot_hits_i8;
use negmine_kernels::quantize::{RowCode, largest_magnitude, quantize_row};
use negmine_kernels::rows_i8::ROW_ALIGNMENT;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::{Pace, Run, Ticker};
use crate::cluster::centroids::{Lengths, as_rows, norms};
use crate::scoring::bound::{DocumentBound, QueryBound};
use crate::scoring::pack::Tile;
use crate::scoring::score::{factor, unit_for};
use crate::scoring::{Metric, Rotation, Slack};

use super::pruned_assign::{LeadCentroids, LeadRows};
use super::pruning_choice::Choice;

/// Rows of a block: a multiple of the kernel's six; at width 768 half of a 256 KiB L2 cache.
const BLOCK: usize = 96;

/// Centroids that are tried first for a row without a label: without them every centroid of the first panel may be the
/// best.
const GUESSES: usize = 16;

/// Rows, quantized.
pub(crate) struct Points<'a, 'c> {
    rows: &'a Rows<'c>,
    metric: Metric,
    stride: usize,
    codes: Aligned<i8>,
    bounds: Vec<(RowCode, f64)>,
    squared: &'a [f64],
    /// Leading coordinates of the rows, if they save time.
    lead: Option<LeadRows>,
}

/// Centroids in the layouts of the kernels: in panels, and row by row.
struct Packed<'a> {
    /// Row-major.
    centroids: &'a [f32],
    tile: Tile,
    codes: Aligned<i8>,
    /// The centroids' terms of the bound, which the tile holds by panels.
    documents: Vec<DocumentBound>,
}

/// A centroid whose score may be the best of a row of the block.
struct Pending {
    place: u32,
    cluster: u32,
    high: f64,
}

/// The state of one assigning thread.
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
    /// Quantizes rows that are known to be finite.
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
        Ok(Self {
            rows,
            metric,
            stride,
            codes,
            bounds: run.concat(bounds)?,
            squared: &lengths.squared,
            lead: None,
        })
    }

    /// Uses leading coordinates for `rounds` further assignments, if that saves time; `labels` belong to centroids like
    /// these.
    pub(crate) fn shorten(
        &mut self,
        centroids: &[f32],
        labels: &[u32],
        rounds: usize,
        run: &Run<'_>,
    ) -> Result<()> {
        let unit = self.bounds.iter().map(|(_, unit)| *unit).fold(f64::INFINITY, f64::min);
        let choice = Choice { rows: self.rows, metric: self.metric, unit, centroids, labels };
        match choice.rotation(rounds, run)? {
            Some(rotation) => self.shorten_by(rotation, centroids, run),
            None => Ok(()),
        }
    }

    /// Uses the given number of leading coordinates of a rotation for further assignments.
    pub(crate) fn shorten_by(
        &mut self,
        rotation: (Rotation, usize),
        centroids: &[f32],
        run: &Run<'_>,
    ) -> Result<()> {
        self.lead = Some(LeadRows::new(self.rows, self.metric, rotation, centroids, BLOCK, run)?);
        Ok(())
    }

    /// The nearest centroid of every row, ties by the lower number; `before` are labels to start from.
    pub(crate) fn assign(
        &self,
        centroids: &[f32],
        before: Option<&[u32]>,
        run: &Run<'_>,
    ) -> Result<Vec<u32>> {
        let packed = self.pack(centroids, run)?;
        // Without initial labels nothing could be ruled out.
        let lead = self.lead.as_ref().filter(|_| before.is_some());
        let lead = lead.map(|lead| Ok((lead, lead.pack(centroids, run)?))).transpose()?;
        let blocks = run.map(
            self.rows.len().div_ceil(BLOCK),
            || Block::new(self.rows.width()),
            |block, item, ticker| {
                let first = item * BLOCK;
                block.start(self, first..(first + BLOCK).min(self.rows.len()));
                match before {
                    Some(before) => block.warm(self, &packed, first, before, run),
                    None => block.guess(self, &packed, first, run),
                }
                match &lead {
                    Some((rows, centroids)) => {
                        block.scan_lead(self, rows, centroids, &packed, first, run, ticker)?;
                    }
                    None => block.scan(self, &packed, first, run, ticker)?,
                }
                block.best_labels(self, &packed, first, run, ticker)
            },
        )?;
        run.concat(blocks)
    }

    /// Canonical scores of every row with its own centroid.
    pub(crate) fn own_scores(&self, centroids: &[f32], labels: &[u32], run: &Run<'_>) -> Result<Vec<f64>> {
        let width = self.rows.width();
        let norms = norms(centroids, width, self.metric, run)?;
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
        run.concat(blocks)
    }

    /// The canonical score of a row with a centroid.
    fn score(&self, packed: &Packed<'_>, r: usize, cluster: u32, buffer: &mut [f32], run: &Run<'_>) -> f64 {
        let row = self.rows.row(run.isa, r, buffer);
        let centroid = &packed.centroids[cluster as usize * row.len()..][..row.len()];
        let sum = self.metric.sum(run.isa, row, centroid);
        self.metric.finish(sum, self.squared[r], packed.documents[cluster as usize].dd)
    }

    fn pack<'b>(&self, centroids: &'b [f32], run: &Run<'_>) -> Result<Packed<'b>> {
        let width = self.rows.width();
        let rows = as_rows(centroids, width)?;
        let tile = Tile::pack(&rows, 0..rows.len(), self.metric, Slack::CERTIFIED, run)?;
        let mut codes = Aligned::zeroed(rows.len() * self.stride);
        let mut pace = Pace::new(run);
        for (j, (row, codes)) in
            centroids.chunks_exact(width).zip(codes.chunks_exact_mut(self.stride)).enumerate()
        {
            pace.step(width)?;
            // The codes are those of the tile.
            let panel = &tile.panels()[j / PANEL];
            quantize_row(run.isa, row, factor(self.metric, panel.squared_norm(j % PANEL), panel.unit), codes);
        }
        let panels = tile.panels().iter();
        let documents = panels.flat_map(|panel| (0..panel.len).map(|lane| panel.document(lane))).collect();
        Ok(Packed { centroids, tile, codes, documents })
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
        self.bounds.clear();
        self.pending.clear();
        self.lows.clear();
        self.lows.resize(rows.len(), f64::NEG_INFINITY);
        for r in rows {
            let (code, unit) = &points.bounds[r];
            let bound = QueryBound::new(points.metric, Slack::CERTIFIED, code, *unit, points.squared[r]);
            self.bounds.push(bound);
        }
    }

    /// Scores the previous centroids of the rows, exactly: a sharp threshold rules out more work than reading the rows
    /// costs.
    fn warm(
        &mut self,
        points: &Points<'_, '_>,
        packed: &Packed<'_>,
        first: usize,
        before: &[u32],
        run: &Run<'_>,
    ) {
        for (r, low) in (first..).zip(&mut self.lows) {
            *low = points.score(packed, r, before[r], &mut self.row, run);
        }
    }

    /// Sets thresholds from the certain scores of the best of a few centroids.
    fn guess(&mut self, points: &Points<'_, '_>, packed: &Packed<'_>, first: usize, run: &Run<'_>) {
        let (n, clusters) = (self.lows.len(), packed.documents.len());
        let guesses = GUESSES.min(clusters);
        let guess = |i: usize| Hit {
            query: (i / guesses) as u32,
            lane: (i % guesses * clusters / guesses) as u32,
            dot: 0,
        };
        self.hits.clear();
        self.hits.extend((0..n * guesses).map(guess));
        self.dots.resize(self.hits.len(), 0);
        let codes = &points.codes[first * points.stride..(first + n) * points.stride];
        dot_hits_i8(run.isa, codes, &packed.codes, points.stride, &self.hits, &mut self.dots);
        for (hit, &dot) in self.hits.iter().zip(&self.dots) {
            let i = hit.query as usize;
            let low = self.bounds[i].interval(dot, &packed.documents[hit.lane as usize]).0;
            self.lows[i] = self.lows[i].max(low);
        }
    }

    /// Multiplies the block with every panel and keeps centroids that may be the best.
    fn scan(
        &mut self,
        points: &Points<'_, '_>,
        packed: &Packed<'_>,
        first: usize,
        run: &Run<'_>,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        self.tile.clear();
        for (r, bound) in (first..).zip(&self.bounds) {
            let weights = bound.weights();
            let codes = &points.codes[r * points.stride..][..points.rows.width()];
            self.tile.push(codes, weights.error, weights.norm, 0.0, f32::NEG_INFINITY);
        }
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
                let cluster = panel.first + lane;
                let interval = self.bounds[i].interval(hit.dot, &packed.documents[cluster]);
                if take(&mut self.pending, &mut self.lows[i], hit.query, cluster as u32, interval) {
                    self.tile.set_threshold(i, self.bounds[i].threshold(self.lows[i], unit));
                }
            }
        }
        Ok(())
    }

    /// Scans by leading coordinates; centroids that they cannot rule out are multiplied at full width.
    #[expect(clippy::too_many_arguments, reason = "both sides of two bounds")]
    fn scan_lead(
        &mut self,
        points: &Points<'_, '_>,
        rows: &LeadRows,
        centroids: &LeadCentroids,
        packed: &Packed<'_>,
        first: usize,
        run: &Run<'_>,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let mut tile = rows.tile(first / BLOCK);
        for (i, &low) in self.lows.iter().enumerate() {
            tile.set_threshold(i, rows.threshold(first + i, low, centroids.base));
        }
        let codes = &points.codes[first * points.stride..(first + self.lows.len()) * points.stride];
        for p in 0..centroids.panels() {
            ticker.check()?;
            self.hits.clear();
            scan_panel(run.isa, &tile, centroids.view(p), &mut self.hits);
            for hit in &mut self.hits {
                hit.lane += (p * PANEL) as u32;
            }
            self.dots.resize(self.hits.len(), 0);
            dot_hits_i8(run.isa, codes, &packed.codes, points.stride, &self.hits, &mut self.dots);
            for (hit, &dot) in self.hits.iter().zip(&self.dots) {
                let (i, cluster) = (hit.query as usize, hit.lane as usize);
                let interval = self.bounds[i].interval(dot, &packed.documents[cluster]);
                if take(&mut self.pending, &mut self.lows[i], hit.query, hit.lane, interval) {
                    tile.set_threshold(i, rows.threshold(first + i, self.lows[i], centroids.base));
                }
            }
        }
        Ok(())
    }

    /// The best of the remaining centroids of every row.
    fn best_labels(
        &mut self,
        points: &Points<'_, '_>,
        packed: &Packed<'_>,
        first: usize,
        run: &Run<'_>,
        ticker: &Ticker<'_>,
    ) -> Result<Vec<u32>> {
        let lows = &self.lows;
        self.pending.retain(|pending| pending.high >= lows[pending.place as usize]);
        self.pending.sort_unstable_by_key(|pending| (pending.place, pending.cluster));
        for left in self.pending.chunk_by(|a, b| a.place == b.place).filter(|left| left.len() > 1) {
            points.rows.prefetch(first + left[0].place as usize);
        }
        let mut labels = vec![0; self.lows.len()];
        for left in self.pending.chunk_by(|a, b| a.place == b.place) {
            let place = left[0].place as usize;
            labels[place] = if let [only] = left {
                only.cluster
            } else {
                ticker.check()?;
                best(points, packed, first + place, left, &mut self.row, run)
            };
        }
        Ok(labels)
    }
}

/// Keeps a centroid that may be the best of a row whose best is certain to score `low`; returns whether it raises
/// `low`.
fn take(
    pending: &mut Vec<Pending>,
    low: &mut f64,
    place: u32,
    cluster: u32,
    (least, high): (f64, f64),
) -> bool {
    if high < *low {
        return false;
    }
    pending.push(Pending { place, cluster, high });
    let raised = least > *low;
    if raised {
        *low = least;
    }
    raised
}

/// The centroid of the highest canonical score; of equal scores, the lowest number.
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
    let centroid = |j: u32| &packed.centroids[j as usize * width..(j as usize + 1) * width];
    for together in left.chunks(4) {
        let sums = if let [a, b] = together {
            // Two pairs take half of the work of four.
            [
                metric.sum(run.isa, row, centroid(a.cluster)),
                metric.sum(run.isa, row, centroid(b.cluster)),
                0.0,
                0.0,
            ]
        } else {
            let last = together.len() - 1;
            metric.sum_many(
                run.isa,
                row,
                [0, 1, 2, 3].map(|i: usize| centroid(together[i.min(last)].cluster)),
            )
        };
        for (pending, sum) in together.iter().zip(sums) {
            let score = metric.finish(sum, squared, packed.documents[pending.cluster as usize].dd);
            if score > best.0 || best.1 == u32::MAX {
                best = (score, pending.cluster);
            }
        }
    }
    best.1
}
