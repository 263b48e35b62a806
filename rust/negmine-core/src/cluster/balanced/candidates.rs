//! Candidate lists of the refinement: the clusters that each row may join, with scores.
//!
//! A score is the inner product of a row with a cluster's mean, in integers times two scales. The row's own share of
//! the mean is subtracted from the score with its own cluster (Hartigan's correction); otherwise scores favor the
//! current cluster. Clusters have prices, and a row's list holds the clusters of the highest score minus price: lists
//! by score alone would miss clusters that have room.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};

use negmine_kernels::aligned::Aligned;
use negmine_kernels::dot_i8::{
    Hit, PANEL, Panel, QueryTile, pack_panel, packed_len, padded_width, scan_panel,
};
use negmine_kernels::isa::Isa;
use negmine_kernels::rows_i8::dot_rows_i8;

use crate::base::Result;
use crate::base::order::{from_sortable_bits, sortable_bits};
use crate::base::parallel::{Pace, Run};

use super::centroids_i8::{Centers, unit_of};
use super::quantized_rows::Codes;

/// Clusters of a row's list.
pub(crate) const DEPTH: usize = 16;

/// Rows of a block, as in a scan.
const BLOCK: usize = 96;

/// A cluster that a row may join.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) cluster: u32,
    pub(crate) score: f32,
}

/// The clusters that every row may join, in any order.
pub(crate) struct Lists {
    depth: usize,
    entries: Vec<Entry>,
}

impl Lists {
    /// Lists of each row's own cluster and its neighbors in the tree, without scores.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub(crate) fn around(labels: &[u32], clusters: usize, run: &Run<'_>) -> Result<Self> {
        let mut pace = Pace::new(run);
        let depth = DEPTH.min(clusters);
        let mut entries = Vec::with_capacity(labels.len() * depth);
        for &label in labels {
            pace.step(depth)?;
            let first = (label as usize).saturating_sub(depth / 2).min(clusters - depth);
            let around = first..first + depth;
            entries.extend(around.map(|cluster| Entry { cluster: cluster as u32, score: 0.0 }));
        }
        Ok(Self { depth, entries })
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() / self.depth
    }

    /// The lists, one per row.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Entry]> {
        self.entries.chunks_exact(self.depth)
    }

    /// The list of row `r`.
    pub(crate) fn row(&self, r: u32) -> &[Entry] {
        &self.entries[r as usize * self.depth..][..self.depth]
    }
}

impl Lists {
    /// Scores the entries with the current centers.
    pub(crate) fn rescore(
        &mut self,
        codes: &Codes,
        centers: &Centers,
        labels: &[u32],
        run: &Run<'_>,
    ) -> Result<()> {
        let depth = self.depth;
        let slots: Vec<_> = self.entries.chunks_mut(BLOCK * depth).map(Mutex::new).collect();
        run.map(
            slots.len(),
            || (Vec::new(), vec![0; depth]),
            |(clusters, dots), item, ticker| {
                ticker.check()?;
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                for (i, list) in slot.chunks_exact_mut(depth).enumerate() {
                    let r = (item * BLOCK + i) as u32;
                    clusters.clear();
                    clusters.extend(list.iter().map(|entry| entry.cluster));
                    dot_rows_i8(run.isa, codes.row(r), &centers.codes, centers.stride, clusters, dots);
                    let unit = unit_of(codes, r);
                    for (entry, &dot) in list.iter_mut().zip(&*dots) {
                        entry.score = centers.score(unit, labels[r as usize], entry.cluster, dot);
                    }
                }
                Ok(())
            },
        )?;
        Ok(())
    }
}

/// Centers in panels, with prices that ascend from panel to panel: the kernel rules out a whole panel by its extremes.
struct Panels {
    order: Vec<u32>,
    codes: Aligned<u8>,
    bytes: usize,
    scales: Vec<[f32; PANEL]>,
    offsets: Vec<[f32; PANEL]>,
}

const NOTHING: [f32; PANEL] = [0.0; PANEL];

impl Panels {
    fn new(centers: &Centers, prices: &[f32], width: usize, run: &Run<'_>) -> Result<Self> {
        let (clusters, bytes) = (prices.len(), packed_len(width));
        let mut order: Vec<u32> = (0..clusters as u32).collect();
        order.sort_by(|&a, &b| prices[a as usize].total_cmp(&prices[b as usize]));
        let mut codes = Aligned::zeroed(clusters.div_ceil(PANEL) * bytes);
        let (mut all_scales, mut all_offsets) = (Vec::new(), Vec::new());
        let padded = padded_width(width);
        let mut rows = vec![0; bytes];
        for (own, out) in order.chunks(PANEL).zip(codes.chunks_exact_mut(bytes)) {
            run.tick(0, 1)?;
            // Places without a center repeat the last one's numbers, so that they widen no range.
            let last = own[own.len() - 1] as usize;
            let (mut scales, mut offsets) = ([centers.scales[last]; PANEL], [-prices[last]; PANEL]);
            rows.fill(0);
            for (lane, &j) in own.iter().enumerate() {
                let j = j as usize;
                let codes = &centers.codes[j * centers.stride..][..width];
                rows[lane * padded..][..width].copy_from_slice(codes);
                scales[lane] = centers.scales[j];
                offsets[lane] = -prices[j];
            }
            pack_panel(run.isa, &rows, width, out);
            all_scales.push(scales);
            all_offsets.push(offsets);
        }
        Ok(Self { order, codes, bytes, scales: all_scales, offsets: all_offsets })
    }

    /// The clusters of panel `p`.
    fn clusters(&self, p: usize) -> &[u32] {
        &self.order[p * PANEL..self.order.len().min((p + 1) * PANEL)]
    }

    fn view(&self, p: usize) -> Panel<'_> {
        Panel {
            codes: &self.codes[p * self.bytes..(p + 1) * self.bytes],
            scale: &self.scales[p],
            error: &NOTHING,
            norm: &NOTHING,
            offset: Some(&self.offsets[p]),
            valid: u64::MAX >> (PANEL - self.clusters(p).len()),
        }
    }
}

/// A cluster that a row may join: a key that increases with score minus price and decreases with the cluster number,
/// and the score.
type Valued = (u64, f32);

fn valued(value: f32, entry: Entry) -> Valued {
    (u64::from(sortable_bits(value)) << 32 | u64::from(!entry.cluster), entry.score)
}

fn entry((key, score): Valued) -> Entry {
    Entry { cluster: !(key as u32), score }
}

/// Keeps the best `depth` of at least that many; returns the value that a further one must reach.
fn cut(best: &mut Vec<Valued>, depth: usize) -> f32 {
    if best.len() > depth {
        best.select_nth_unstable_by_key(depth - 1, |&(key, _)| Reverse(key));
        best.truncate(depth);
    }
    from_sortable_bits(best.iter().fold(u64::MAX, |least, (key, _)| least.min(*key)).wrapping_shr(32) as u32)
}

/// The state of one searching thread, with one place per row of a block.
struct Searcher {
    tile: QueryTile,
    hits: Vec<Hit>,
    best: Vec<Vec<Valued>>,
    /// The unit of the codes, and the factor of values before the kernel compares them with products of codes.
    units: Vec<(f32, f32)>,
}

impl Lists {
    /// Replaces every list, which is scored, by the best clusters of all.
    pub(crate) fn search(
        &mut self,
        codes: &Codes,
        centers: &Centers,
        prices: &[f32],
        labels: &[u32],
        run: &Run<'_>,
    ) -> Result<()> {
        let depth = self.depth;
        if depth == prices.len() {
            return Ok(());
        }
        let panels = Panels::new(centers, prices, codes.width(), run)?;
        let slots: Vec<_> = self.entries.chunks_mut(BLOCK * depth).map(Mutex::new).collect();
        run.map(
            slots.len(),
            || Searcher {
                tile: QueryTile::new(codes.width()),
                hits: Vec::new(),
                best: (0..BLOCK).map(|_| Vec::with_capacity(2 * depth)).collect(),
                units: Vec::new(),
            },
            |searcher, item, ticker| {
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                let first = item * BLOCK;
                searcher.start(&slot, depth, codes, prices, first);
                for p in 0..panels.scales.len() {
                    ticker.check()?;
                    searcher.hits.clear();
                    scan_panel(run.isa, &searcher.tile, panels.view(p), &mut searcher.hits);
                    searcher.take(&slot, panels.clusters(p), centers, prices, &labels[first..]);
                }
                for (list, best) in slot.chunks_exact_mut(depth).zip(&mut searcher.best) {
                    cut(best, depth);
                    for (own, found) in list.iter_mut().zip(best) {
                        *own = entry(*found);
                    }
                }
                Ok(())
            },
        )?;
        Ok(())
    }
}

impl Searcher {
    /// The rows of a block, with the lists that they have.
    fn start(&mut self, lists: &[Entry], depth: usize, codes: &Codes, prices: &[f32], first: usize) {
        self.tile.clear();
        self.units.clear();
        for (i, list) in lists.chunks_exact(depth).enumerate() {
            let r = (first + i) as u32;
            let unit = unit_of(codes, r);
            let weight = if unit > 0.0 { 1.0 / unit } else { 1.0 };
            let best = &mut self.best[i];
            best.clear();
            best.extend(list.iter().map(|own| valued(own.score - prices[own.cluster as usize], *own)));
            self.tile.push(codes.row(r), 0.0, 0.0, weight, cut(best, depth) * weight);
            self.units.push((unit, weight));
        }
    }

    /// Takes the hits of a panel of clusters, except those that the lists already hold.
    fn take(&mut self, lists: &[Entry], clusters: &[u32], centers: &Centers, prices: &[f32], labels: &[u32]) {
        let depth = lists.len() / self.units.len().max(1);
        for hit in &self.hits {
            let i = hit.query as usize;
            let cluster = clusters[hit.lane as usize];
            if lists[i * depth..(i + 1) * depth].iter().any(|entry| entry.cluster == cluster) {
                continue;
            }
            let (unit, weight) = self.units[i];
            let score = centers.score(unit, labels[i], cluster, hit.dot);
            let best = &mut self.best[i];
            best.push(valued(score - prices[cluster as usize], Entry { cluster, score }));
            if best.len() == 2 * depth {
                self.tile.set_threshold(i, cut(best, depth) * weight);
            }
        }
    }
}

/// The cluster with room that row `r` scores highest with, the lowest of several.
pub(crate) fn best_free(codes: &Codes, centers: &Centers, free: &[usize], r: u32, isa: Isa) -> usize {
    let open: Vec<u32> = (0..free.len() as u32).filter(|&j| free[j as usize] > 0).collect();
    let mut dots = vec![0; open.len()];
    dot_rows_i8(isa, codes.row(r), &centers.codes, centers.stride, &open, &mut dots);
    let mut best = (f32::NEG_INFINITY, 0);
    for (&cluster, &dot) in open.iter().zip(&dots) {
        let score = dot as f32 * centers.scales[cluster as usize];
        if score > best.0 {
            best = (score, cluster as usize);
        }
    }
    best.1
}
