//! The exact index over a corpus that the caller owns.

use std::ops::Range;
use std::sync::Arc;

use crate::base::error::check_length;
use crate::base::matrix::Rows;
use crate::base::memory::push;
use crate::base::parallel::Run;
use crate::base::{Error, Result};
use crate::scoring::pack::Tile;
use crate::scoring::score::Metric;

use super::memory_plan::{Layout, Pruned, ScanPlan, ScanSize};
use super::packs::Packs;
use super::prepared::Prepared;
use super::tiles::Tiles;

/// An exact index over rows that the caller owns and passes again with every call.
#[derive(Clone, Debug)]
pub struct ExactIndex {
    metric: Metric,
    rows: usize,
    width: usize,
    layout: Layout,
    /// None unless the layout is resident.
    tiles: Tiles,
    /// Files of packed documents, if there are any; otherwise documents are packed from the caller's rows.
    packs: Option<Arc<Packs>>,
    zero_rows: usize,
    /// The prepared data of pruned scans.
    prepared: Prepared,
}

impl ExactIndex {
    /// Reads the corpus once: every row must be finite. Progress counts documents.
    ///
    /// # Errors
    /// Returns an error on a value that is not finite, lack of memory, or an interrupt.
    pub fn build(corpus: &Rows<'_>, metric: Metric, layout: Layout, run: &Run<'_>) -> Result<Self> {
        let mut index = Self::empty(corpus, metric, layout);
        let mut tiles = Vec::new();
        index.zero_rows = index.pack(corpus, layout.resident.then_some(&mut tiles), run)?;
        if layout.resident {
            index.tiles.keep(&Arc::new(tiles));
        }
        Ok(index)
    }

    /// An index whose packed documents lie in files, which have been checked when they were written. They are read into
    /// memory if the layout is resident; otherwise some of them are, which measures the rate. Scans are never pruned:
    /// rotated documents would be built from rows in no order. Progress counts documents.
    ///
    /// # Errors
    /// Returns an error on packs that do not fit the corpus, a file that cannot be read, lack of memory, or an
    /// interrupt.
    pub fn of_packs(
        corpus: &Rows<'_>,
        packs: Packs,
        metric: Metric,
        layout: Layout,
        run: &Run<'_>,
    ) -> Result<Self> {
        check_length("packs", corpus.len(), packs.rows())?;
        let packs = Arc::new(packs);
        let mut index = Self::empty(corpus, metric, Layout { pruned: Pruned::Off, ..layout });
        index.zero_rows = packs.zero_rows();
        index.packs = Some(Arc::clone(&packs));
        if layout.resident {
            let mut tiles = Vec::new();
            index.pack(corpus, Some(&mut tiles), run)?;
            index.tiles.keep(&Arc::new(tiles));
        } else {
            packs.measure(index.layout.tile_rows, run)?;
        }
        Ok(index)
    }

    fn empty(corpus: &Rows<'_>, metric: Metric, layout: Layout) -> Self {
        // Squared distances are scanned at full width.
        let pruned = if metric == Metric::L2 { Pruned::Off } else { layout.pruned };
        Self {
            metric,
            rows: corpus.len(),
            width: corpus.width(),
            layout: Layout { tile_rows: layout.tile_rows.max(1), pruned, ..layout },
            tiles: Tiles::default(),
            packs: None,
            zero_rows: 0,
            prepared: Prepared::default(),
        }
    }

    /// Packs all documents tile by tile, and keeps the tiles if `keep` is given; returns the number of rows of norm
    /// zero.
    fn pack(&self, corpus: &Rows<'_>, mut keep: Option<&mut Vec<Tile>>, run: &Run<'_>) -> Result<usize> {
        let mut zero_rows = 0;
        for documents in self.tile_ranges(self.layout.tile_rows) {
            let steps = documents.clone();
            let tile = run.part(steps, self.rows, |run| self.tile(corpus, documents, run))?;
            zero_rows += tile.zero_rows();
            if let Some(tiles) = &mut keep {
                push(tiles, tile)?;
            }
        }
        Ok(zero_rows)
    }

    /// Some documents, packed: read from the file that holds them, or packed from the caller's rows.
    pub(crate) fn tile(&self, corpus: &Rows<'_>, documents: Range<usize>, run: &Run<'_>) -> Result<Tile> {
        match &self.packs {
            Some(packs) => packs.read(documents, run),
            None => Tile::pack(corpus, documents, self.metric, self.layout.slack, run),
        }
    }

    /// All documents, packed: the kept tiles, or newly packed ones if the tiles had to be released. `steps` are the
    /// progress of the call.
    pub(crate) fn all_tiles(&self, corpus: &Rows<'_>, steps: usize, run: &Run<'_>) -> Result<Arc<Vec<Tile>>> {
        if let Some(tiles) = self.tiles.get() {
            return Ok(tiles);
        }
        let mut tiles = Vec::new();
        run.part(0..0, steps, |run| self.pack(corpus, Some(&mut tiles), run))?;
        let tiles = Arc::new(tiles);
        self.tiles.keep(&tiles);
        Ok(tiles)
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

    /// Files of packed documents.
    #[must_use]
    pub fn packs(&self) -> Option<&Packs> {
        self.packs.as_deref()
    }

    /// The memory plan of a scan.
    ///
    /// # Errors
    /// As for [`Layout::plan`].
    pub fn plan(&self, size: &ScanSize) -> Result<ScanPlan> {
        self.layout.plan(self.packed_len(), self.width, size)
    }

    /// Documents as they take memory: those of a file fill whole panels.
    fn packed_len(&self) -> usize {
        self.packs.as_ref().map_or(self.rows, |packs| packs.padded_rows())
    }

    /// The memory layout of the index.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes that the index keeps in addition to the caller's rows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tiles = if self.tiles.get().is_some() { Tile::bytes(self.packed_len(), self.width) } else { 0 };
        tiles + self.prepared.bytes()
    }

    /// Documents that are kept packed, if any are.
    pub(crate) fn kept_tiles(&self) -> Option<Arc<Vec<Tile>>> {
        self.tiles.get()
    }

    /// Releases the kept data, for a call whose memory limit has no room for it.
    pub(crate) fn release(&self) {
        self.prepared.forget();
        self.tiles.release();
    }

    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The documents of every tile of `step` rows; tiles of files are whole panels.
    pub(crate) fn tile_ranges(&self, step: usize) -> Vec<Range<usize>> {
        if let Some(packs) = &self.packs {
            return packs.tile_ranges(step);
        }
        (0..self.rows).step_by(step).map(|first| first..(first + step).min(self.rows)).collect()
    }

    /// Translates an error of a call on the index: a row that is not finite has changed, since all rows were finite
    /// when the index was built. If rows lie in files, the error names the file.
    pub(crate) fn of_changed_corpus(corpus: &Rows<'_>, error: Error) -> Error {
        corpus.explain(match error {
            Error::NonFinite { argument, row, .. } | Error::BeyondFloat32 { argument, row, .. }
                if argument == corpus.argument() =>
            {
                Error::CorpusChanged { row }
            }
            other => other,
        })
    }
}
