//! Rows by cluster.

/// The rows of every cluster, rising inside each.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    /// Rows of cluster `j` are `rows[offsets[j]..offsets[j + 1]]`.
    offsets: Vec<usize>,
    rows: Vec<u32>,
}

impl Groups {
    /// From the cluster of every row, each below `clusters`.
    pub(crate) fn new(labels: &[u32], clusters: usize) -> Self {
        let rows: Vec<u32> = (0..labels.len() as u32).collect();
        Self::of(&rows, |row| labels[row as usize], clusters)
    }

    /// From some rows, rising, and the cluster of each.
    pub(crate) fn of(some: &[u32], cluster: impl Fn(u32) -> u32, clusters: usize) -> Self {
        let mut offsets = vec![0; clusters + 1];
        for &row in some {
            offsets[cluster(row) as usize + 1] += 1;
        }
        for j in 0..clusters {
            offsets[j + 1] += offsets[j];
        }
        let mut next = offsets.clone();
        let mut rows = vec![0; some.len()];
        for &row in some {
            let next = &mut next[cluster(row) as usize];
            rows[*next] = row;
            *next += 1;
        }
        Self { offsets, rows }
    }

    /// One row in every cluster.
    pub(crate) fn single(rows: Vec<u32>) -> Self {
        Self { offsets: (0..=rows.len()).collect(), rows }
    }

    /// Number of clusters.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The rows of cluster `j`, rising.
    pub(crate) fn rows(&self, j: usize) -> &[u32] {
        &self.rows[self.offsets[j]..self.offsets[j + 1]]
    }
}
