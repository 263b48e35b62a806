//! Topic-aware batches (TAS-Balanced: Hofstätter et al., SIGIR 2021, section 3): a batch is filled with queries of one
//! or a few random clusters, so that its in-batch negatives share its topic.
//!
//! The published method has no epochs and draws clusters and queries without end; here batch `b` of an epoch is a pure
//! function of (seed, epoch, b). Within a batch clusters are drawn without replacement, and so are the queries of a
//! cluster: no row is in a batch twice.

use std::collections::HashSet;
use std::ops::Range;

use super::permutation::Permutation;
use crate::base::csr::CsrView;
use crate::base::parallel::{Pace, Run};
use crate::base::philox::{Draws, Stream};
use crate::base::{Error, Result};

/// How topics become batches.
#[derive(Clone, Copy, Debug)]
pub struct TopicBatches<'a> {
    /// Rows of each cluster, each row in one; none is empty.
    pub clusters: CsrView<'a>,
    /// Rows of a batch.
    pub batch: usize,
    /// The most rows of one cluster in a batch, while other clusters have rows.
    pub share: usize,
    /// Rows of a batch that are drawn from all rows instead of by cluster.
    pub random: usize,
    /// Whether clusters are drawn in proportion to their size, instead of equally often.
    pub by_size: bool,
    /// The seed.
    pub seed: u64,
}

impl TopicBatches<'_> {
    /// Rows of some batches of an epoch.
    ///
    /// # Errors
    /// Returns an error on a batch of no rows or of more than there are, or an interrupt.
    pub fn batches(&self, epoch: u64, batches: Range<u64>, run: &Run<'_>) -> Result<Vec<i64>> {
        let n = self.clusters.entries();
        if self.batch == 0 || self.batch > n || self.share == 0 || self.random > self.batch {
            return Err(Error::Value {
                argument: "batch_size",
                rule: "between 1 and the number of rows",
                got: format!("{} of {n} rows", self.batch),
            });
        }
        let draws = Draws::new(self.seed, Stream::Topics);
        let total = (batches.end.saturating_sub(batches.start)) as usize;
        let mut pace = Pace::new(run);
        let mut out = Vec::with_capacity(total * self.batch);
        for batch in batches {
            self.fill(&draws, epoch, batch, &mut out, &mut pace)?;
        }
        Ok(out)
    }

    fn fill(
        &self,
        draws: &Draws,
        epoch: u64,
        batch: u64,
        out: &mut Vec<i64>,
        pace: &mut Pace<'_>,
    ) -> Result<()> {
        let begin = out.len();
        if self.random < self.batch {
            self.take_topics(draws, epoch, batch, out, pace)?;
        }
        if self.random == 0 {
            return Ok(());
        }
        let mut by_topic = HashSet::with_capacity(out.len() - begin);
        for row in &out[begin..] {
            pace.step(16)?;
            by_topic.insert(*row);
        }
        let order = Permutation::keyed(
            self.clusters.entries() as u64,
            draws,
            [1 + self.clusters.len() as u64, batch, epoch],
        );
        let end = out.len() + self.random;
        for place in 0..order.len() {
            if out.len() == end {
                break;
            }
            pace.step(16)?;
            let row = order.index(place) as i64;
            if !by_topic.contains(&row) {
                out.push(row);
            }
        }
        Ok(())
    }

    /// Appends the rows of a batch that are drawn by cluster.
    fn take_topics(
        &self,
        draws: &Draws,
        epoch: u64,
        batch: u64,
        out: &mut Vec<i64>,
        pace: &mut Pace<'_>,
    ) -> Result<()> {
        let mut missing = self.batch - self.random;
        let mut drawn = Vec::new();
        self.draw(draws, epoch, batch, pace, |cluster, pace| {
            let size = self.clusters.row(cluster).len();
            let taken = self.share.min(size).min(missing);
            self.take(draws, [1 + cluster as u64, batch, epoch], cluster, 0..taken, out, pace)?;
            drawn.push(cluster);
            missing -= taken;
            Ok(missing > 0)
        })?;
        // There are too few clusters, so their further rows are taken.
        for cluster in drawn {
            let size = self.clusters.row(cluster).len();
            let first = self.share.min(size);
            let taken = missing.min(size - first);
            self.take(draws, [1 + cluster as u64, batch, epoch], cluster, first..first + taken, out, pace)?;
            missing -= taken;
        }
        Ok(())
    }

    /// Rows of a cluster in the order of a batch.
    fn take(
        &self,
        draws: &Draws,
        key: [u64; 3],
        cluster: usize,
        places: Range<usize>,
        out: &mut Vec<i64>,
        pace: &mut Pace<'_>,
    ) -> Result<()> {
        pace.step(64)?;
        if places.is_empty() {
            return Ok(());
        }
        let rows = self.clusters.row(cluster);
        let order = Permutation::keyed(rows.len() as u64, draws, key);
        for place in places {
            pace.step(8)?;
            out.push(rows[order.index(place as u64) as usize]);
        }
        Ok(())
    }

    /// Different clusters in random order, until `take` says no or there is none left.
    fn draw(
        &self,
        draws: &Draws,
        epoch: u64,
        batch: u64,
        pace: &mut Pace<'_>,
        mut take: impl FnMut(usize, &mut Pace<'_>) -> Result<bool>,
    ) -> Result<()> {
        let key = [0, batch, epoch];
        if !self.by_size {
            let order = Permutation::keyed(self.clusters.len() as u64, draws, key);
            for place in 0..order.len() {
                if !take(order.index(place) as usize, pace)? {
                    return Ok(());
                }
            }
            return Ok(());
        }
        // The clusters of random rows, in random order: successive draws by size.
        let order = Permutation::keyed(self.clusters.entries() as u64, draws, key);
        let mut seen = HashSet::new();
        for place in 0..order.len() {
            pace.step(32)?;
            let cluster = self.clusters.holding(order.index(place) as usize);
            if seen.insert(cluster) && !take(cluster, pace)? {
                return Ok(());
            }
        }
        Ok(())
    }
}
