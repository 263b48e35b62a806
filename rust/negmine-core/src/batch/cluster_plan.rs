//! Batches of whole clusters (NGAME: Dahiya et al., WSDM 2023, whose released sampler shuffles the list of clusters and
//! cuts it): points of one cluster share hard labels, so the positives of the other rows of a batch are hard negatives
//! without a search.
//!
//! An epoch's permutation comes first: its head is the share that is drawn at random, and the rest keeps its order
//! inside the clusters, so that a border between batches cuts a cluster at a different place in every epoch. A cluster
//! that is larger than a batch is cut into equal parts, which are shuffled on their own.

use super::permutation::Permutation;
use crate::base::csr::{Lists, Offsets};
use crate::base::parallel::{Pace, Run};
use crate::base::philox::{Draws, Stream, below};
use crate::base::{Error, Result};

/// Labels that are checked between two checks for an interrupt.
const LABELS: usize = 1 << 16;

/// How clusters become batches.
#[derive(Clone, Copy, Debug)]
pub struct ClusterBatches<'a> {
    /// Cluster of every row, below `clusters`.
    pub labels: &'a [i64],
    /// Clusters.
    pub clusters: usize,
    /// Rows of a batch.
    pub batch: usize,
    /// Batches of a step.
    pub batches_per_step: usize,
    /// Rows of a batch that are drawn from all rows.
    pub random: usize,
    /// Whether a step holds neighbors in the order of clusters.
    pub tree: bool,
    /// Batches that are emitted: full ones, the last step filled up or left out.
    pub emitted: usize,
    /// The seed.
    pub seed: u64,
}

/// Groups rows by label; returns the offsets of the groups, and the rows, ascending inside a group.
///
/// # Errors
/// Returns an error on a label out of range, or an interrupt.
pub fn group(labels: &[i64], groups: usize, run: &Run<'_>) -> Result<(Vec<i64>, Vec<i64>)> {
    check_labels(labels, groups, run)?;
    let label = |row: i64| labels[row as usize] as usize;
    let groups = Lists::grouped(0..labels.len() as i64, groups, label, run)?;
    let ends = groups.offsets().ranges().map(|range| range.end as i64);
    Ok((std::iter::once(0).chain(ends).collect(), groups.into_items()))
}

fn check_labels(labels: &[i64], groups: usize, run: &Run<'_>) -> Result<()> {
    let mut pace = Pace::new(run);
    for labels in labels.chunks(LABELS) {
        pace.step(labels.len())?;
        if let Some(&row) = labels.iter().find(|label| **label < 0 || **label >= groups as i64) {
            return Err(Error::RowOutOfRange { argument: "labels", row, rows: groups });
        }
    }
    Ok(())
}

impl ClusterBatches<'_> {
    /// Rows of all batches of an epoch.
    ///
    /// # Errors
    /// Returns an error on a batch of no rows, a step larger than the data, a label out of range, or an interrupt.
    pub fn epoch(&self, epoch: u64, run: &Run<'_>) -> Result<Vec<i64>> {
        let n = self.labels.len();
        let step = self.batch * self.batches_per_step;
        if step == 0 || step > n || self.random > self.batch {
            return Err(Error::Value {
                argument: "batch_size",
                rule: "at least 1, and batch_size x batches_per_step at most the number of rows",
                got: format!("{step} rows a step of {n}"),
            });
        }
        check_labels(self.labels, self.clusters, run)?;
        let mut order = vec![0; n];
        Permutation::new(n as u64, self.seed, epoch).fill(0, &mut order, run)?;
        let drawn: usize = (0..n.div_ceil(self.batch)).map(|batch| self.drawn(batch)).sum();
        let (random, rest) = order.split_at(drawn);
        let label = |row: i64| self.labels[row as usize] as usize;
        let groups = Lists::grouped(rest.iter().copied(), self.clusters, label, run)?;
        let rows = groups.items();
        let mut pace = Pace::new(run);
        let parts = self.parts(groups.offsets(), &mut pace)?;
        let draws = Draws::new(self.seed, Stream::ClusterOrder);
        let clustered = if self.tree {
            self.by_neighbors(&parts, rows, &draws, epoch, &mut pace)?
        } else {
            let order = Permutation::keyed(parts.len() as u64, &draws, [0, 0, epoch]);
            let mut out = Vec::with_capacity(rows.len());
            for place in 0..order.len() {
                let part = parts[order.index(place) as usize].clone();
                pace.step(16 + part.len())?;
                out.extend_from_slice(&rows[part]);
            }
            out
        };
        self.joined(&clustered, random, &mut pace)
    }

    /// Rows of a batch before the last step is filled up or left out.
    fn len(&self, batch: usize) -> usize {
        self.batch.min(self.labels.len() - batch * self.batch)
    }

    /// Number of those rows that are drawn from all rows.
    fn drawn(&self, batch: usize) -> usize {
        self.random * self.len(batch) / self.batch
    }

    /// Clusters as ranges of rows, those too large for a batch in parts whose sizes differ by at most one.
    fn parts(&self, clusters: &Offsets, pace: &mut Pace<'_>) -> Result<Vec<std::ops::Range<usize>>> {
        let room = (self.batch - self.random).max(1);
        let mut parts = Vec::with_capacity(clusters.len());
        for range in clusters.ranges() {
            let (begin, size) = (range.start, range.len());
            let pieces = size.div_ceil(room);
            pace.step(4 + 4 * pieces)?;
            parts.extend((0..pieces).map(|i| begin + size * i / pieces..begin + size * (i + 1) / pieces));
        }
        Ok(parts)
    }

    /// Steps of neighboring clusters in another order, the clusters of each step shuffled. Clusters form a circle that
    /// is cut at a random one, so that the borders of steps lie elsewhere in every epoch.
    fn by_neighbors(
        &self,
        parts: &[std::ops::Range<usize>],
        rows: &[i64],
        draws: &Draws,
        epoch: u64,
        pace: &mut Pace<'_>,
    ) -> Result<Vec<i64>> {
        let batches = self.labels.len().div_ceil(self.batch);
        let mut sizes: Vec<usize> = (0..batches)
            .step_by(self.batches_per_step)
            .map(|first| {
                (first..batches.min(first + self.batches_per_step)).map(|b| self.len(b) - self.drawn(b)).sum()
            })
            .collect();
        // A short last step stays the last.
        let short = !self.labels.len().is_multiple_of(self.batch * self.batches_per_step);
        let last = if short { sizes.pop() } else { None };
        let order = Permutation::keyed(sizes.len() as u64, draws, [1, 0, epoch]);
        let first = match parts.len() {
            0 => 0,
            count => below(draws.block([1, 4, 0, epoch])[0], count as u64) as usize,
        };
        let mut circle = Vec::with_capacity(rows.len());
        // The positions where clusters begin on the circle.
        let mut begins = Vec::with_capacity(parts.len() + 1);
        begins.push(0);
        for part in parts[first..].iter().chain(&parts[..first]) {
            pace.step(8 + part.len())?;
            circle.extend_from_slice(&rows[part.clone()]);
            begins.push(begins[begins.len() - 1] + part.len());
        }
        let full = sizes.first().copied().unwrap_or(0);
        let mut out = Vec::with_capacity(rows.len());
        let chunks = (0..order.len()).map(|place| order.index(place) as usize);
        for step in chunks.chain(last.map(|_| sizes.len())) {
            let (begin, end) = (step * full, (step * full + full).min(circle.len()));
            if begin == end {
                continue;
            }
            let cuts = begins.partition_point(|at| *at <= begin)..begins.partition_point(|at| *at < end);
            let borders: Vec<usize> =
                [begin].into_iter().chain(begins[cuts].iter().copied()).chain([end]).collect();
            pace.step(64)?;
            let shuffled = Permutation::keyed(borders.len() as u64 - 1, draws, [3, step as u64, epoch]);
            for place in 0..shuffled.len() {
                let piece = shuffled.index(place) as usize;
                pace.step(16 + borders[piece + 1] - borders[piece])?;
                out.extend_from_slice(&circle[borders[piece]..borders[piece + 1]]);
            }
        }
        Ok(out)
    }

    /// Batches of clustered rows with their share of random ones; a last step that is short is filled with the first
    /// rows of the epoch or left out.
    fn joined(&self, clustered: &[i64], random: &[i64], pace: &mut Pace<'_>) -> Result<Vec<i64>> {
        let n = self.labels.len();
        let mut out = Vec::with_capacity(n.max(self.emitted * self.batch));
        let (mut clustered, mut random) = (clustered, random);
        for batch in 0..n.div_ceil(self.batch) {
            let drawn = self.drawn(batch);
            pace.step(16 + self.len(batch))?;
            let (own, other) = clustered.split_at(self.len(batch) - drawn);
            let (few, others) = random.split_at(drawn);
            out.extend_from_slice(own);
            out.extend_from_slice(few);
            (clustered, random) = (other, others);
        }
        let needed = self.emitted * self.batch;
        if needed > n {
            out.extend_from_within(..needed - n);
        }
        out.truncate(needed);
        Ok(out)
    }
}
