//! The pruned form of a corpus: rotated documents, with the leading coordinates in panels for the first pass, the other
//! coordinates row by row to refine its hits, and the documents' terms of the bound (`scoring::prefix_bound`).
//!
//! **Order.** Documents are sorted by cell (`coarse_cells`), and within a cell by the tail after their lead, so that
//! the documents of a panel are similar: most queries have hits in few panels, and the kernel's floor rules the others
//! out at once. The refining rows of a panel are adjacent, are read once per block of queries, and stay in the L1
//! cache.
//!
//! Units: documents by the corpus's power of two (`Axes::unit`), queries by their own. Coordinates are below 2 and 1,
//! so what underflows in centering and rotating changes a product by less than D times `underflow` of the kernel's
//! units.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::aligned::{Aligned, prefetch};
use negmine_kernels::canonical;
use negmine_kernels::dot_i8::{PANEL, Panel, pack_panel, packed_len, padded_width};
use negmine_kernels::quantize::{largest_magnitude, quantize_row, quantize_row_among, round_up};
use negmine_kernels::rows_i8::ROW_ALIGNMENT;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::memory::{aligned_zeros, with_capacity};
use crate::base::order::sortable_bits;
use crate::base::parallel::Run;
use crate::base::sort::sort;
use crate::scoring::bound::{PerLane, Slack};
use crate::scoring::prefix_bound::{LeadPanel, LeadQuery, Tails, split};
use crate::scoring::rotation::{OF_NORM, Rotation, Segments, TOGETHER, center};
use crate::scoring::score::{Metric, factor};

use super::coarse_cells::Cells;

/// A corpus, rotated and packed.
#[derive(Debug)]
pub(crate) struct Lead {
    pub(crate) rotation: Rotation,
    pub(crate) segments: Segments,
    pub(crate) slack: Slack,
    rows: usize,
    codes: Aligned<u8>,
    /// Codes of the middle and of the rest, row by row, each at a stride of whole cache lines.
    pub(crate) refine: [Aligned<i8>; 2],
    panels: Vec<LeadPanel>,
    pub(crate) cells: Cells,
}

/// Bytes from one row of a segment to the next.
pub(crate) fn stride(width: usize) -> usize {
    width.next_multiple_of(ROW_ALIGNMENT)
}

/// Bytes of a query in addition to its state: its rotated row and its codes.
pub(crate) fn query_bytes(width: usize) -> usize {
    2 * width * size_of::<f32>() + stride(width) + 2 * ROW_ALIGNMENT + size_of::<LeadQuery>()
}

struct Buffers {
    row: Vec<f32>,
    centered: Vec<f32>,
    rotated: Vec<f32>,
    codes: Vec<i8>,
}

impl Buffers {
    fn new(segments: Segments, rows: usize) -> Self {
        let width = segments.width();
        Self {
            row: vec![0.0; width],
            centered: vec![0.0; width * rows],
            rotated: vec![0.0; width * rows],
            codes: vec![0; padded_width(segments.lead) * PANEL],
        }
    }
}

/// The output slices of one panel's refining rows.
type Slot<'a> = (&'a mut [u8], [&'a mut [i8]; 2]);

impl Lead {
    /// Bytes of `rows` documents.
    pub(crate) fn bytes(rows: usize, segments: Segments) -> usize {
        let refine = stride(segments.middle) + stride(segments.rest);
        let panels = rows.div_ceil(PANEL);
        panels * (packed_len(segments.lead) + PANEL * refine + size_of::<LeadPanel>())
            + segments.width().pow(2) * size_of::<f32>()
    }

    /// Rotates and packs a corpus whose rows are known to be finite.
    ///
    /// # Errors
    /// Returns an error on a value that is not finite after all, lack of memory, or an interrupt.
    pub(crate) fn pack(
        corpus: &Rows<'_>,
        metric: Metric,
        rotation: Rotation,
        segments: Segments,
        slack: Slack,
        run: &Run<'_>,
    ) -> Result<Self> {
        let (order, cells) = by_cell(corpus, metric, &rotation, segments, run)?;
        let panels = order.len().div_ceil(PANEL);
        let lead_bytes = packed_len(segments.lead);
        let strides = [stride(segments.middle), stride(segments.rest)];
        let mut codes = aligned_zeros(panels * lead_bytes)?;
        let mut refine =
            [aligned_zeros(panels * PANEL * strides[0])?, aligned_zeros(panels * PANEL * strides[1])?];
        let [middle, rest] = &mut refine;
        // Segments may be empty, and chunks of length 0 are not allowed.
        let mut middle = middle.chunks_mut((PANEL * strides[0]).max(1));
        let mut rest = rest.chunks_mut((PANEL * strides[1]).max(1));
        let slots: Vec<Mutex<Slot<'_>>> = codes
            .chunks_mut(lead_bytes)
            .map(|lead| Mutex::new((lead, [middle.next(), rest.next()].map(Option::unwrap_or_default))))
            .collect();
        let tails = Tails::new(&rotation, segments, slack);
        let packed = run.map(
            panels,
            || Buffers::new(segments, PANEL),
            |buffers, item, ticker| {
                ticker.check()?;
                let rows = &order[item * PANEL..((item + 1) * PANEL).min(order.len())];
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                buffers.pack(corpus, metric, &rotation, &tails, rows, run, &mut slot)
            },
        )?;
        drop(slots);
        let rows = order.len();
        Ok(Self { rotation, segments, slack, rows, codes, refine, panels: packed, cells })
    }

    /// Bytes of this corpus.
    pub(crate) fn own_bytes(&self) -> usize {
        Self::bytes(self.rows, self.segments)
    }

    pub(crate) fn panels(&self) -> usize {
        self.panels.len()
    }

    /// Documents of panel `p`.
    pub(crate) fn len(&self, p: usize) -> usize {
        PANEL.min(self.rows - p * PANEL)
    }

    /// The documents' terms of the bound in panel `p`.
    pub(crate) fn panel(&self, p: usize) -> &LeadPanel {
        &self.panels[p]
    }

    /// The refining rows of panel `p`.
    pub(crate) fn refining(&self, p: usize, segment: usize) -> &[i8] {
        let bytes = PANEL * stride([self.segments.middle, self.segments.rest][segment]);
        &self.refine[segment][p * bytes..(p + 1) * bytes]
    }

    /// Prefetches the refining rows of panel `p`, which will be read once its lead has been multiplied.
    pub(crate) fn prefetch(&self, p: usize) {
        prefetch(self.refining(p, 0));
        prefetch(self.refining(p, 1));
    }

    /// Panel `p` in the kernel's form; writes `errors` and `norms`.
    pub(crate) fn view<'a>(&'a self, p: usize, [errors, norms]: &'a mut [PerLane; 2]) -> Panel<'a> {
        let bytes = packed_len(self.segments.lead);
        let panel = &self.panels[p];
        panel.write_lead(errors, norms);
        Panel {
            codes: &self.codes[p * bytes..(p + 1) * bytes],
            scale: &panel.scales[0],
            error: errors,
            norm: norms,
            offset: Some(&panel.tails[0]),
            valid: u64::MAX >> (PANEL - self.len(p)),
        }
    }
}

/// Rows by cell, and within a cell by the tail after the lead.
fn by_cell(
    corpus: &Rows<'_>,
    metric: Metric,
    rotation: &Rotation,
    segments: Segments,
    run: &Run<'_>,
) -> Result<(Vec<u32>, Cells)> {
    let width = segments.width();
    let rotated = |rows: &[usize], buffers: &mut Buffers| -> Result<()> {
        for (&r, centered) in rows.iter().zip(buffers.centered.chunks_exact_mut(width)) {
            let row = corpus.finite_row(run.isa, r, &mut buffers.row)?;
            let factor = factor(metric, metric.squared_norm(run.isa, row), rotation.unit());
            center(row, factor, rotation.mean(), centered);
        }
        rotation.apply(&buffers.centered[..rows.len() * width], segments.lead, &mut buffers.rotated);
        Ok(())
    };
    let pivots: Vec<usize> = Cells::pivot_rows(corpus.len()).collect();
    let pivots = run.map(
        pivots.len().div_ceil(TOGETHER),
        || Buffers::new(segments, TOGETHER),
        |buffers, item, _| {
            let rows = &pivots[item * TOGETHER..((item + 1) * TOGETHER).min(pivots.len())];
            rotated(rows, buffers)?;
            Ok(buffers.rotated[..rows.len() * segments.lead].to_vec())
        },
    )?;
    let mut cells = Cells::new(segments.lead, pivots.concat());
    let parts = run.map(
        corpus.len().div_ceil(TOGETHER),
        || (Buffers::new(segments, TOGETHER), Vec::new()),
        |(buffers, products), item, ticker| {
            ticker.check()?;
            let rows: Vec<usize> = (item * TOGETHER..((item + 1) * TOGETHER).min(corpus.len())).collect();
            rotated(&rows, buffers)?;
            let lead = &buffers.rotated[..rows.len() * segments.lead];
            let square = |x: &[f32]| canonical::dot_with(run.isa, x, x);
            let left = buffers.centered.chunks_exact(width).zip(lead.chunks_exact(segments.lead));
            let left = left.map(|(c, y)| sortable_bits((square(c) - square(y)) as f32));
            let nearest = cells.nearest(lead, products).into_iter().zip(left).zip(rows);
            Ok(nearest.map(|((cell, left), row)| (cell, left, row as u32)).collect::<Vec<(u16, u32, u32)>>())
        },
    )?;
    let mut order = with_capacity(corpus.len())?;
    order.extend(parts.into_iter().flatten());
    sort(&mut order, run)?;
    cells.place(order.iter().map(|&(cell, ..)| cell));
    let mut rows = with_capacity(order.len())?;
    rows.extend(order.into_iter().map(|(.., row)| row));
    Ok((rows, cells))
}

impl Buffers {
    #[expect(clippy::too_many_arguments, reason = "what a panel is made of")]
    fn pack(
        &mut self,
        corpus: &Rows<'_>,
        metric: Metric,
        rotation: &Rotation,
        tails: &Tails,
        rows: &[u32],
        run: &Run<'_>,
        (lead, refine): &mut Slot<'_>,
    ) -> Result<LeadPanel> {
        let (isa, width, segments) = (run.isa, rotation.width(), tails.segments());
        for (&r, centered) in rows.iter().zip(self.centered.chunks_exact_mut(width)) {
            let row = corpus.finite_row(isa, r as usize, &mut self.row)?;
            let factor = factor(metric, metric.squared_norm(isa, row), rotation.unit());
            center(row, factor, rotation.mean(), centered);
        }
        rotation.apply(&self.centered[..rows.len() * width], width, &mut self.rotated);
        self.codes.fill(0);
        let mut panel = LeadPanel::default();
        let padded = padded_width(segments.lead);
        let strides = [stride(segments.middle), stride(segments.rest)];
        let leads = self.rotated.chunks_exact(width).take(rows.len()).map(|row| &row[..segments.lead]);
        let largest = leads.map(|y| largest_magnitude(isa, y)).fold(0.0, f32::max);
        for (lane, &row) in rows.iter().enumerate() {
            let centered = &self.centered[lane * width..(lane + 1) * width];
            let [y, middle, rest] = split(&self.rotated[lane * width..(lane + 1) * width], segments);
            let norm = canonical::dot_with(isa, centered, centered).sqrt() * (1.0 + OF_NORM);
            let squares = [y, middle, rest].map(|y| canonical::dot_with(isa, y, y));
            let codes = &mut self.codes[lane * padded..(lane + 1) * padded];
            let lead = quantize_row_among(isa, y, largest, codes);
            let [a, b] = refine;
            let middle = quantize_row(isa, middle, 1.0, &mut a[lane * strides[0]..(lane + 1) * strides[0]]);
            let rest = quantize_row(isa, rest, 1.0, &mut b[lane * strides[1]..(lane + 1) * strides[1]]);
            panel.set(lane, row, [lead, middle, rest], tails.of(norm, squares), round_up(norm));
        }
        pack_panel(isa, &self.codes, segments.lead, lead);
        Ok(panel)
    }
}
