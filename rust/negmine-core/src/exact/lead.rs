//! The pruned form of a corpus: rotated documents, the leading coordinates in panels for the first pass, the others
//! row by row to refine what it leaves; and both sides of the bound that they need.
//!
//! **Bound.** With z, y the rotated query and document, a hat for what int8 codes stand for, `u` at least |z^|, `v` at
//! least |z - z^|, `e` at least |y - y^| and `n` at least |y|, each segment that has been multiplied costs `u e + v n`,
//! as in `bound`; what has not been costs `tail(q) tail(c)`, and the rotation `rho |q| |c|` (`rotate` derives both). The constant q.mean is moved into the threshold. The canonical score of the pair is off by `canonical`
//! of |q| |d|, and |d| <= |c| + |mean|.
//!
//! The kernel of the first pass has three terms a document: the error, the norm of the lead and, as its offset, the
//! tail. Since |c| (1 - r) <= |y| + tail(c), the rotation's term is spread over the last two.
//!
//! **Order.** Documents stand by cell (`cells`), and in a cell by the tail that their lead leaves, so that a panel's are
//! alike: most queries have hits in few panels, and the kernel's floor rules the others out at once. The refining rows of
//! a panel lie together, are read once a block of queries and stay in the first cache.
//!
//! Units: documents by the corpus's power of two (`Axes::unit`), queries by their own. Coordinates are below 2 and 1, so
//! what underflows in centring and rotating changes a product by less than D times `underflow` of the kernel's units.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::canonical;
use negmine_kernels::dot_i8::{PANEL, Panel, pack_panel, packed_len, padded_width};
use negmine_kernels::isa::Isa;
use negmine_kernels::memory::{Aligned, prefetch};
use negmine_kernels::quantize::{RowCode, quantize_row, round_down, round_up};
use negmine_kernels::rows_i8::ROW_ALIGNMENT;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;

use super::bound::{PerLane, QueryBound, Slack};
use super::cells::Cells;
use super::pack::factor;
use super::rotate::{Rotation, Segments, TOGETHER, centre};
use super::score::Metric;

/// What a document costs beside its codes: its bound, and four f32 of its panel.
const BYTES_PER_DOCUMENT: usize = size_of::<Document>() + 16;

/// What one segment's codes are worth.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    scale: f32,
    error: f32,
    norm: f32,
}

impl From<RowCode> for Part {
    fn from(code: RowCode) -> Self {
        Self { scale: code.scale, error: code.error, norm: code.norm }
    }
}

/// A document's side of the bound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Document {
    parts: [Part; 3],
    /// What the lead leaves, and what lead and middle leave.
    tails: [f32; 2],
    /// At least |c|.
    norm: f32,
    /// Row in the caller's corpus.
    pub(crate) row: u32,
    /// Squared norm, as the metric wants it.
    pub(crate) dd: f64,
}

/// What a panel's kernel reads beside the codes.
#[derive(Clone, Debug)]
struct PanelBounds {
    scale: PerLane,
    error: PerLane,
    norm: PerLane,
    tail: PerLane,
}

/// A corpus, rotated and packed.
#[derive(Debug)]
pub(crate) struct Lead {
    pub(crate) rotation: Rotation,
    pub(crate) segments: Segments,
    slack: Slack,
    codes: Aligned<u8>,
    /// Codes of the middle and of the rest, row by row, each at a stride of whole cache lines.
    pub(crate) refine: [Aligned<i8>; 2],
    panels: Vec<PanelBounds>,
    documents: Vec<Document>,
    pub(crate) cells: Cells,
}

/// Bytes from one row of a segment to the next.
pub(crate) fn stride(width: usize) -> usize {
    width.next_multiple_of(ROW_ALIGNMENT)
}

/// Bytes that a query takes beside its state: as it is rotated, and its codes.
pub(crate) fn query_bytes(width: usize) -> usize {
    2 * width * size_of::<f32>() + stride(width) + 2 * ROW_ALIGNMENT + size_of::<LeadQuery>()
}

struct Buffers {
    row: Vec<f32>,
    centred: Vec<f32>,
    rotated: Vec<f32>,
    codes: Vec<i8>,
}

impl Buffers {
    fn new(segments: Segments, rows: usize) -> Self {
        let width = segments.width();
        Self {
            row: vec![0.0; width],
            centred: vec![0.0; width * rows],
            rotated: vec![0.0; width * rows],
            codes: vec![0; padded_width(segments.lead) * PANEL],
        }
    }
}

/// Where one panel's refining rows are written.
type Slot<'a> = (&'a mut [u8], [&'a mut [i8]; 2]);

impl Lead {
    /// Bytes of `rows` documents.
    pub(crate) fn bytes(rows: usize, segments: Segments) -> usize {
        let refine = stride(segments.middle) + stride(segments.rest);
        let panels = rows.div_ceil(PANEL);
        panels * (packed_len(segments.lead) + PANEL * (refine + BYTES_PER_DOCUMENT))
            + segments.width().pow(2) * size_of::<f32>()
    }

    /// Rotates and packs a corpus whose rows are known to be finite.
    ///
    /// # Errors
    /// A value that is not finite after all, or an interrupt.
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
        let mut codes = Aligned::zeroed(panels * lead_bytes);
        let mut refine = strides.map(|stride| Aligned::zeroed(panels * PANEL * stride));
        let [middle, rest] = &mut refine;
        // Segments may be empty, and chunks of nothing are not allowed.
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
        let mut all = Self {
            rotation,
            segments,
            slack,
            codes,
            refine,
            panels: Vec::with_capacity(panels),
            documents: Vec::with_capacity(order.len()),
            cells,
        };
        for (panel, documents) in packed {
            all.panels.push(panel);
            all.documents.extend(documents);
        }
        Ok(all)
    }

    /// Bytes of this one.
    pub(crate) fn own_bytes(&self) -> usize {
        Self::bytes(self.documents.len(), self.segments)
    }

    pub(crate) fn panels(&self) -> usize {
        self.panels.len()
    }

    /// The documents of panel `p`.
    pub(crate) fn documents(&self, p: usize) -> &[Document] {
        &self.documents[p * PANEL..((p + 1) * PANEL).min(self.documents.len())]
    }

    /// The refining rows of panel `p`.
    pub(crate) fn refining(&self, p: usize, segment: usize) -> &[i8] {
        let bytes = PANEL * stride([self.segments.middle, self.segments.rest][segment]);
        &self.refine[segment][p * bytes..(p + 1) * bytes]
    }

    /// Asks for what refines panel `p`, which will be read once its lead has been multiplied.
    pub(crate) fn prefetch(&self, p: usize) {
        prefetch(self.refining(p, 0));
    }

    /// Panel `p` as the kernel takes it.
    pub(crate) fn view(&self, p: usize) -> Panel<'_> {
        let bytes = packed_len(self.segments.lead);
        let panel = &self.panels[p];
        Panel {
            codes: &self.codes[p * bytes..(p + 1) * bytes],
            scale: &panel.scale,
            error: &panel.error,
            norm: &panel.norm,
            offset: Some(&panel.tail),
            valid: u64::MAX >> (PANEL - self.documents(p).len()),
        }
    }
}

/// Rows by cell, and in a cell in the order of what the lead leaves of them.
fn by_cell(
    corpus: &Rows<'_>,
    metric: Metric,
    rotation: &Rotation,
    segments: Segments,
    run: &Run<'_>,
) -> Result<(Vec<u32>, Cells)> {
    let width = segments.width();
    let rotated = |rows: &[usize], buffers: &mut Buffers| -> Result<()> {
        for (&r, centred) in rows.iter().zip(buffers.centred.chunks_exact_mut(width)) {
            let row = corpus.finite_row(run.isa, r, &mut buffers.row)?;
            let factor = factor(metric, metric.squared_norm(run.isa, row), rotation.unit());
            centre(row, factor, rotation.mean(), centred);
        }
        rotation.apply(&buffers.centred[..rows.len() * width], segments.lead, &mut buffers.rotated);
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
            let left = buffers.centred.chunks_exact(width).zip(lead.chunks_exact(segments.lead));
            let left = left.map(|(c, y)| (square(c) - square(y)) as f32);
            Ok(cells.nearest(lead, products).into_iter().zip(left).collect::<Vec<(u16, f32)>>())
        },
    )?;
    let keys: Vec<(u16, f32)> = parts.concat();
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| {
        let (x, y) = (keys[a as usize], keys[b as usize]);
        x.0.cmp(&y.0).then(x.1.total_cmp(&y.1)).then(a.cmp(&b))
    });
    cells.place(order.iter().map(|&r| keys[r as usize].0));
    Ok((order, cells))
}

/// Tails after the lead and after the middle, for either side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tails {
    segments: Segments,
    /// r after the lead, after the middle, and after all.
    deviations: [f64; 3],
    /// What the rotation costs a product in each step, over |q| |c|.
    rho: [f64; 3],
}

impl Tails {
    pub(crate) fn new(rotation: &Rotation, segments: Segments, slack: Slack) -> Self {
        let ends = [segments.lead, segments.lead + segments.middle, segments.width()];
        let deviations = ends.map(|m| rotation.deviation(m, slack));
        Self { segments, deviations, rho: ends.map(|m| rotation.rho(m, slack)) }
    }

    /// From |x|, at least, and the squared norms of its segments; f64 sums lose nothing beside the f32 of `norm`.
    fn of(&self, norm: f64, squares: [f64; 3]) -> [f64; 2] {
        let mut left = [0.0; 2];
        let mut square = 0.0;
        for i in 0..2 {
            square += squares[i];
            let deviation = 2.0 * self.deviations[i] * norm * square.sqrt();
            let tail = norm * norm * (1.0 + ABOVE) - square * (1.0 - ABOVE) + deviation;
            left[i] = if self.done_after(i) { 0.0 } else { tail.max(0.0).sqrt() * (1.0 + ABOVE) };
        }
        left
    }

    /// Whether no coordinate is left after the lead or after the middle.
    fn done_after(&self, i: usize) -> bool {
        i == 1 && self.segments.rest == 0
    }
}

/// Above the relative rounding of a few f64 operations and of canonical sums.
const ABOVE: f64 = 1.0 / (1_u64 << 38) as f64;

/// Above the relative rounding of a row to f32, which its measured norm has gone through.
const OF_NORM: f64 = 1.0 / (1_u64 << 23) as f64;

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
    ) -> Result<(PanelBounds, Vec<Document>)> {
        let (isa, width, segments) = (run.isa, rotation.width(), tails.segments);
        let mut documents = Vec::with_capacity(rows.len());
        for (&r, centred) in rows.iter().zip(self.centred.chunks_exact_mut(width)) {
            let row = corpus.finite_row(isa, r as usize, &mut self.row)?;
            let dd = metric.squared_norm(isa, row);
            centre(row, factor(metric, dd, rotation.unit()), rotation.mean(), centred);
            documents.push(Document { row: r, dd, ..Document::default() });
        }
        rotation.apply(&self.centred[..rows.len() * width], width, &mut self.rotated);
        self.codes.fill(0);
        let zeros = PerLane::from([0.0; PANEL]);
        let mut panel = PanelBounds { scale: zeros, error: zeros, norm: zeros, tail: zeros };
        let padded = padded_width(segments.lead);
        let strides = [stride(segments.middle), stride(segments.rest)];
        for (lane, document) in documents.iter_mut().enumerate() {
            let centred = &self.centred[lane * width..(lane + 1) * width];
            let [y, middle, rest] = split(&self.rotated[lane * width..(lane + 1) * width], segments);
            let norm = canonical::dot_with(isa, centred, centred).sqrt() * (1.0 + OF_NORM);
            let squares = [y, middle, rest].map(|y| canonical::dot_with(isa, y, y));
            document.norm = round_up(norm);
            document.tails = tails.of(norm, squares).map(round_up);
            let lead = quantize_row(isa, y, 1.0, &mut self.codes[lane * padded..(lane + 1) * padded]);
            let [a, b] = refine;
            let middle = quantize_row(isa, middle, 1.0, &mut a[lane * strides[0]..(lane + 1) * strides[0]]);
            let rest = quantize_row(isa, rest, 1.0, &mut b[lane * strides[1]..(lane + 1) * strides[1]]);
            document.parts = [lead, middle, rest].map(Part::from);
            panel.scale[lane] = lead.scale;
            panel.error[lane] = lead.error;
            panel.norm[lane] = lead.norm;
            panel.tail[lane] = document.tails[0];
        }
        pack_panel(isa, &self.codes, segments.lead, lead);
        Ok((panel, documents))
    }
}

/// A rotated row, cut.
fn split(row: &[f32], segments: Segments) -> [&[f32]; 3] {
    let (lead, others) = row.split_at(segments.lead);
    let (middle, rest) = others.split_at(segments.middle);
    [lead, middle, rest]
}

/// A query's side of the bound, one number for each step of refinement where it has three.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeadQuery {
    scales: [f64; 3],
    /// At least |z^| of every segment.
    codes: [f64; 3],
    errors: [f64; 3],
    /// What lead, and lead and middle, leave of the query.
    tails: [f64; 2],
    /// What |c| is multiplied with in each step: the rotation and the canonical score's rounding.
    rotation: [f64; 3],
    /// Added once: the rounding that goes with |q| |mean|.
    constant: f64,
    /// q.mean.
    mean: f64,
    /// What a score is multiplied with.
    unit: f64,
    slack: Slack,
    /// 1 over the scale of the lead, and what the kernel's norms are widened by.
    inverse: f64,
    spread: f64,
    width: f64,
}

/// Codes of a query, segment by segment, for [`LeadQuery::new`] to fill.
pub(crate) type SegmentCodes<'a> = [&'a mut [i8]; 3];

impl LeadQuery {
    /// From a query as it is and rotated; writes the codes.
    pub(crate) fn new(
        lead: &Lead,
        isa: Isa,
        row: &[f32],
        bound: &QueryBound,
        rotated: &[f32],
        codes: SegmentCodes<'_>,
    ) -> Self {
        let (slack, rotation, norm) = (lead.slack, &lead.rotation, bound.norm());
        let mean = canonical::dot_with(isa, row, rotation.mean()) * bound.factor();
        let tails = Tails::new(rotation, lead.segments, slack);
        let parts = split(rotated, lead.segments);
        let squares = parts.map(|z| canonical::dot_with(isa, z, z));
        let mut coded = [RowCode::default(); 3];
        for ((coded, z), codes) in coded.iter_mut().zip(parts).zip(codes) {
            *coded = quantize_row(isa, z, 1.0, codes);
        }
        let means = canonical::dot_with(isa, rotation.mean(), rotation.mean()).sqrt();
        let costs = tails.rho.map(|cost| (cost + slack.canonical) * norm);
        let scales = coded.map(|code| if code.scale == 0.0 { 1.0 } else { f64::from(code.scale) });
        Self {
            scales,
            codes: coded.map(|code| f64::from(code.norm) + f64::from(code.error)),
            errors: coded.map(|code| f64::from(code.error)),
            tails: tails.of(norm, squares),
            rotation: costs,
            constant: slack.canonical * norm * means,
            mean,
            unit: bound.unit() * rotation.unit(),
            slack,
            inverse: 1.0 / scales[0],
            // |c| <= (|y| + tail) / (1 - r)
            spread: costs[0] / (1.0 - tails.deviations[0]),
            width: rotation.width() as f64,
        }
    }

    /// The kernel's weights of a document's error, norm and tail.
    pub(crate) fn weights(&self) -> [f32; 3] {
        let rounding = self.slack.rounding;
        let error = self.codes[0] * (1.0 + rounding);
        let norm = self.errors[0] * (1.0 + rounding) + self.codes[0] * rounding + self.spread;
        let tail = self.tails[0] * (1.0 + rounding) + self.spread;
        [error, norm, tail].map(|weight| round_up(weight * self.inverse))
    }

    /// What z.y must reach where the score must reach `score`.
    pub(crate) fn least_product(&self, score: f64) -> f64 {
        let product = score * self.unit;
        product - product.abs() * self.slack.canonical - self.constant - self.mean
    }

    /// The kernel's threshold for "may score at least `score`"; -inf where f32 cannot tell.
    pub(crate) fn threshold(&self, score: f64) -> f32 {
        if score == f64::NEG_INFINITY {
            return f32::NEG_INFINITY;
        }
        let scaled = self.least_product(score) * self.inverse - self.width * self.slack.underflow;
        if scaled.is_nan() { f32::NEG_INFINITY } else { round_down(scaled) }
    }

    /// z.y and what it may be off by, from the products of the lead's codes and of the middle's.
    #[inline]
    pub(crate) fn after_middle(&self, document: &Document, dots: [i32; 2]) -> (f64, f64) {
        let (mut product, mut lost) = (0.0, 0.0);
        for (i, dot) in dots.into_iter().enumerate() {
            let part = &document.parts[i];
            product += self.scales[i] * f64::from(part.scale) * f64::from(dot);
            lost += self.codes[i] * f64::from(part.error) + self.errors[i] * f64::from(part.norm);
        }
        lost += self.tails[1] * f64::from(document.tails[1]) + self.rotation[1] * f64::from(document.norm);
        (product, lost + self.width * self.slack.underflow)
    }

    /// The interval that holds the canonical score of a document with those exact products of codes.
    #[inline]
    pub(crate) fn interval(&self, document: &Document, dots: [i32; 3]) -> (f64, f64) {
        let (mut product, mut lost) = (self.mean, self.constant);
        for (i, dot) in dots.into_iter().enumerate() {
            let part = &document.parts[i];
            product += self.scales[i] * f64::from(part.scale) * f64::from(dot);
            lost += self.codes[i] * f64::from(part.error) + self.errors[i] * f64::from(part.norm);
        }
        lost += self.rotation[2] * f64::from(document.norm) + self.width * self.slack.underflow;
        ((product - lost) / self.unit, (product + lost) / self.unit)
    }
}
