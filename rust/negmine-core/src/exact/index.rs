//! The index: what is known about a corpus that somebody else keeps.

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::scoring::pack::Tile;
use crate::scoring::score::Metric;

use super::memory_plan::{Layout, Pruned};
use super::prepared::Prepared;

/// An exact index over rows that the caller keeps and hands in again with every call.
#[derive(Clone, Debug)]
pub struct ExactIndex {
    metric: Metric,
    rows: usize,
    width: usize,
    layout: Layout,
    /// Empty unless the layout is resident.
    tiles: Vec<Tile>,
    zero_rows: usize,
    /// What pruned scans have prepared.
    prepared: Prepared,
}

impl ExactIndex {
    /// Reads the corpus once: every row must be finite.
    ///
    /// # Errors
    /// A value that is not finite, or an interrupt.
    pub fn build(corpus: &Rows<'_>, metric: Metric, layout: Layout, run: &Run<'_>) -> Result<Self> {
        // Squared distances are scanned at full width.
        let pruned = if metric == Metric::L2 { Pruned::Off } else { layout.pruned };
        let mut index = Self {
            metric,
            rows: corpus.len(),
            width: corpus.width(),
            layout: Layout { tile_rows: layout.tile_rows.max(1), pruned, ..layout },
            tiles: Vec::new(),
            zero_rows: 0,
            prepared: Prepared::default(),
        };
        for documents in index.tile_ranges() {
            let tile = Tile::pack(corpus, documents, metric, layout.slack, run)?;
            index.zero_rows += tile.zero_rows();
            if layout.resident {
                index.tiles.push(tile);
            }
        }
        Ok(index)
    }

    /// The metric.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Number of documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no documents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Width of the rows.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Documents of norm zero, which score +0.0 against everything under cosine; 0 under other metrics.
    #[must_use]
    pub fn zero_rows(&self) -> usize {
        if self.metric == Metric::Cosine { self.zero_rows } else { 0 }
    }

    /// How the index is laid out.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes that the index keeps beside the caller's rows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tiles = if self.layout.resident { Tile::bytes(self.rows, self.width) } else { 0 };
        tiles + self.prepared.bytes()
    }

    pub(crate) fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The documents of every tile.
    pub(crate) fn tile_ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (rows, step) = (self.rows, self.layout.tile_rows);
        (0..rows).step_by(step).map(move |first| first..(first + step).min(rows))
    }
}
