//! Lists of rows by cluster.

use crate::base::Result;
use crate::base::csr::Lists;
use crate::base::parallel::Run;

/// The rows of every cluster, ascending inside each.
pub(crate) type Members = Lists<u32>;

/// Lists from the cluster of every row, each below `clusters`.
pub(crate) fn members(labels: &[u32], clusters: usize, run: &Run<'_>) -> Result<Members> {
    Lists::grouped(0..labels.len() as u32, clusters, |row| labels[row as usize] as usize, run)
}

/// Lists from some rows, ascending, and the cluster of each.
pub(crate) fn members_among(rows: &[u32], labels: &[u32], clusters: usize, run: &Run<'_>) -> Result<Members> {
    Lists::grouped(rows.iter().copied(), clusters, |row| labels[row as usize] as usize, run)
}
