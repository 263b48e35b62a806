//! Packing of documents into int8 codes in panels of 64, with the numbers that their bound needs.
//!
//! A tile is the unit of packing: a run of panels in one buffer on huge pages. A corpus that is kept packed is a list
//! of tiles; a streamed corpus is packed tile by tile, and every tile is discarded after its scan.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use negmine_kernels::aligned::Aligned;
use negmine_kernels::dot_i8::{PANEL, Panel, dot_packed, pack_panel, packed_len, padded_width};
use negmine_kernels::quantize::{largest_magnitude, quantize_row};

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::memory::{aligned_zeros, ensure_available};
use crate::base::parallel::Run;

use super::bound::{DocumentBound, PerLane, Slack, offset};
use super::score::{Metric, factor, unit_for};

/// Bytes of a document in addition to its codes: three f32 and, under two metrics, a squared norm and an offset.
const BYTES_PER_DOCUMENT: usize = 24;

/// Temporary bytes of packing in addition to the tile: buffers, and bounds before they are stored.
const SPARE: usize = 8 << 20;

/// One of this many panels is scanned first, as a sample of the whole tile: a corpus in the order of its sources would
/// otherwise start with low thresholds.
const SAMPLE: usize = 16;

/// Consecutive documents, packed.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    width: usize,
    codes: Aligned<u8>,
    panels: Vec<PanelBounds>,
}

/// The numbers of one panel; the last panel of a tile may hold fewer than 64 documents.
#[derive(Clone, Debug)]
pub(crate) struct PanelBounds {
    pub(crate) scale: PerLane,
    pub(crate) error: PerLane,
    pub(crate) norm: PerLane,
    /// Under `L2` only.
    pub(crate) offset: Option<Box<PerLane>>,
    /// Squared norms, in the caller's units; under `Cosine` and `L2` only.
    pub(crate) squared_norms: Vec<f64>,
    /// The factor of coordinates.
    pub(crate) unit: f64,
    /// First document.
    pub(crate) first: usize,
    /// Documents.
    pub(crate) len: usize,
}

/// Documents of some tiles, by row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedRows<'a> {
    tiles: &'a [Tile],
    /// The first row.
    first: usize,
    /// Rows of every tile but the last; `None` if tiles differ.
    step: Option<usize>,
}

impl<'a> PackedRows<'a> {
    /// Documents of consecutive tiles of `step` rows, or of tiles whose rows differ.
    pub(crate) fn new(tiles: &'a [Tile], step: Option<usize>) -> Self {
        Self { tiles, first: tiles.first().map_or(0, Tile::first), step }
    }

    /// Documents of one tile.
    pub(crate) fn one(tile: &'a Tile) -> Self {
        Self::new(std::slice::from_ref(tile), Some(usize::MAX))
    }

    /// Whether there is no document.
    pub(crate) fn is_empty(&self) -> bool {
        self.tiles.is_empty()
    }

    /// All panels, in order.
    pub(crate) fn panels(&self) -> Vec<(&'a Tile, usize)> {
        self.tiles.iter().flat_map(Tile::places).collect()
    }

    /// The smallest power of two that a panel's coordinates were multiplied with.
    pub(crate) fn least_unit(&self) -> f64 {
        let panels = self.tiles.iter().flat_map(Tile::panels);
        panels.map(|panel| panel.unit).fold(f64::INFINITY, f64::min)
    }

    /// The squared norm of one row; 0 under `Ip`.
    #[inline]
    pub(crate) fn squared_norm(&self, row: u32) -> f64 {
        let (tile, panel, lane) = self.place(row);
        tile.panels[panel].squared_norm(lane)
    }

    /// One row's terms of the bound, and the exact inner product of its codes with a query's.
    pub(crate) fn bound(&self, row: u32, query: &[i8]) -> (DocumentBound, i32) {
        let (tile, panel, lane) = self.place(row);
        (tile.panels[panel].document(lane), dot_packed(query, tile.view(panel).codes, lane))
    }

    #[inline]
    fn place(&self, row: u32) -> (&'a Tile, usize, usize) {
        let place = row as usize - self.first;
        let (tile, place) = if let Some(step) = self.step {
            (&self.tiles[place / step], place % step)
        } else {
            let next = self.tiles.partition_point(|tile| tile.first() <= row as usize);
            let tile = &self.tiles[next - 1];
            (tile, row as usize - tile.first())
        };
        (tile, place / PANEL, place % PANEL)
    }
}

/// The row of every document, if documents are not rows in order.
type RowOf<'a> = &'a (dyn Fn(usize) -> usize + Sync);

/// The buffers of one packing thread.
struct Buffers {
    panel: Vec<f32>,
    codes: Vec<i8>,
}

impl Tile {
    /// Bytes of a tile of `rows` documents.
    pub(crate) fn bytes(rows: usize, width: usize) -> usize {
        rows.div_ceil(PANEL) * (packed_len(width) + PANEL * BYTES_PER_DOCUMENT)
    }

    /// Packs `documents`, which are all checked to be finite.
    ///
    /// # Errors
    /// Returns an error on a value that is not finite, lack of memory, or an interrupt.
    pub(crate) fn pack(
        corpus: &Rows<'_>,
        documents: Range<usize>,
        metric: Metric,
        slack: Slack,
        run: &Run<'_>,
    ) -> Result<Self> {
        Self::pack_rows(corpus, documents, None, metric, slack, run)
    }

    /// Packs some rows of a corpus: document `i` is the row `row_of(i)`.
    ///
    /// # Errors
    /// As for [`Tile::pack`].
    pub(crate) fn pack_some(
        corpus: &Rows<'_>,
        documents: Range<usize>,
        row_of: &(dyn Fn(usize) -> usize + Sync),
        metric: Metric,
        slack: Slack,
        run: &Run<'_>,
    ) -> Result<Self> {
        Self::pack_rows(corpus, documents, Some(row_of), metric, slack, run)
    }

    fn pack_rows(
        corpus: &Rows<'_>,
        documents: Range<usize>,
        row_of: Option<RowOf<'_>>,
        metric: Metric,
        slack: Slack,
        run: &Run<'_>,
    ) -> Result<Self> {
        let width = corpus.width();
        ensure_available(Self::bytes(documents.len(), width).saturating_add(SPARE))?;
        let mut codes = aligned_zeros(documents.len().div_ceil(PANEL) * packed_len(width))?;
        let slots: Vec<_> = codes.chunks_exact_mut(packed_len(width)).map(Mutex::new).collect();
        let panels = run.map(
            slots.len(),
            || Buffers::new(width),
            |buffers, item, ticker| {
                ticker.check()?;
                let first = documents.start + item * PANEL;
                let len = PANEL.min(documents.end - first);
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                buffers.pack(corpus, row_of, metric, slack, run, first..first + len, &mut slot)
            },
        )?;
        drop(slots);
        Ok(Self { width, codes, panels })
    }

    /// A tile of panels that were packed before.
    pub(crate) fn new(width: usize, codes: Aligned<u8>, panels: Vec<PanelBounds>) -> Self {
        Self { width, codes, panels }
    }

    /// The first document; 0 without documents.
    fn first(&self) -> usize {
        self.panels.first().map_or(0, |panel| panel.first)
    }

    /// The panels and their numbers.
    pub(crate) fn panels(&self) -> &[PanelBounds] {
        &self.panels
    }

    /// Every panel, as this tile and a number, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&Self, usize)> {
        (0..self.panels.len()).map(move |p| (self, p))
    }

    /// Panel `p` in the kernel's form.
    pub(crate) fn view(&self, p: usize) -> Panel<'_> {
        let bytes = packed_len(self.width);
        let panel = &self.panels[p];
        Panel {
            codes: &self.codes[p * bytes..(p + 1) * bytes],
            scale: &panel.scale,
            error: &panel.error,
            norm: &panel.norm,
            offset: panel.offset.as_deref(),
            valid: u64::MAX >> (PANEL - panel.len),
        }
    }

    /// Documents of norm zero; not counted under `Ip`.
    pub(crate) fn zero_rows(&self) -> usize {
        let zeros = |panel: &PanelBounds| panel.squared_norms.iter().filter(|&&dd| dd == 0.0).count();
        self.panels.iter().map(zeros).sum()
    }
}

impl Buffers {
    fn new(width: usize) -> Self {
        Self { panel: vec![0.0; width * PANEL], codes: vec![0; padded_width(width) * PANEL] }
    }

    #[expect(clippy::too_many_arguments, reason = "the rows, their order, and how they are packed")]
    fn pack(
        &mut self,
        corpus: &Rows<'_>,
        row_of: Option<RowOf<'_>>,
        metric: Metric,
        slack: Slack,
        run: &Run<'_>,
        documents: Range<usize>,
        out: &mut [u8],
    ) -> Result<PanelBounds> {
        let (isa, width) = (run.isa, corpus.width());
        let rows = &mut self.panel[..documents.len() * width];
        match row_of {
            None => corpus.finite_rows(isa, documents.start, rows)?,
            Some(row_of) => {
                for (document, copy) in documents.clone().zip(rows.chunks_exact_mut(width)) {
                    corpus.finite_rows(isa, row_of(document), copy)?;
                }
            }
        }
        let largest = largest_magnitude(isa, rows);
        let unit = if metric == Metric::Cosine { 1.0 } else { unit_for(largest) };
        let mut panel = PanelBounds {
            scale: [0.0; PANEL],
            error: [0.0; PANEL],
            norm: [0.0; PANEL],
            offset: (metric == Metric::L2).then(|| Box::new([0.0; PANEL])),
            squared_norms: Vec::with_capacity(if metric == Metric::Ip { 0 } else { documents.len() }),
            unit,
            first: documents.start,
            len: documents.len(),
        };
        self.codes.fill(0);
        let rows = self.panel.chunks_exact(width).zip(self.codes.chunks_exact_mut(padded_width(width)));
        for (lane, (row, codes)) in rows.take(documents.len()).enumerate() {
            let dd = metric.squared_norm(isa, row);
            let code = quantize_row(isa, row, factor(metric, dd, unit), codes);
            panel.scale[lane] = code.scale;
            panel.error[lane] = code.error;
            panel.norm[lane] = code.norm;
            if let Some(offsets) = &mut panel.offset {
                offsets[lane] = offset(dd, unit, slack);
            }
            if metric != Metric::Ip {
                panel.squared_norms.push(dd);
            }
        }
        pack_panel(isa, &self.codes, width, out);
        Ok(panel)
    }
}

impl PanelBounds {
    /// One document's terms of the bound.
    pub(crate) fn document(&self, lane: usize) -> DocumentBound {
        // Units are powers of two, so nothing is rounded.
        let back = 1.0 / self.unit;
        DocumentBound {
            scale: f64::from(self.scale[lane]) * back,
            error: f64::from(self.error[lane]) * back,
            norm: f64::from(self.norm[lane]) * back,
            dd: self.squared_norm(lane),
        }
    }

    /// Squared norm of one document; 0 under `Ip`, which does not need it.
    pub(crate) fn squared_norm(&self, lane: usize) -> f64 {
        self.squared_norms.get(lane).copied().unwrap_or(0.0)
    }
}

/// Places of `n` panels in an order that starts with a sample of the whole range.
pub(crate) fn sampled_first(n: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(SAMPLE).chain((0..n).filter(|p| p % SAMPLE != 0))
}
