//! Pruned k-means assignment: a few leading rotated coordinates rule out most centroids of a row.
//!
//! Rows are centered and rotated once (`scoring::rotation`), centroids every round, and the first coordinates of both
//! are multiplied in int8. The remaining coordinates are bounded by norms, and centroids that the bound cannot rule out
//! are multiplied at full width. The storage differs from that of a pruned search: rows, which are many, keep only
//! their leading codes, and centroids, which are few, are sorted again each round.
//!
//! **Bound.** Let X and C be a row and a centroid, divided by their norms under cosine and multiplied with one power of
//! two otherwise, x = X - mean, c = C - mean, z and y their computed leading coordinates. `rotation` derives
//!
//! ```text
//! x.c  <=  z.y  +  tail(x) tail(c)  +  rho |x| |c|
//! ```
//!
//! A score is x.c + a(X) + b(C): under cosine X.C itself, otherwise half of the corresponding squared-distance score,
//! with
//!
//! ```text
//! a(X) = X.mean - mean.mean - XX / 2          b(C) = C.mean - CC / 2              (without the squares under cosine)
//! ```
//!
//! Tails and b(C) differ so much from centroid to centroid that the kernel's floor, which takes the greatest of a
//! panel, would rule out little. But both terms are products as well: with t = tail / 2, a constant g and a base B,
//!
//! ```text
//! z' = (z, t(x), t(x), t(x), t(x), g, g, g, g)       y' = (y, t(c), ..., h, ...)       h = (b(C) - B) / 4g
//! z'.y'  =  z.y  +  tail(x) tail(c)  +  b(C) - B
//! ```
//!
//! where t and h are rounded up. So z' and y' are quantized as a whole, and `bound` gives z'.y' <= z^.y^ + u e + v n.
//! As |c| (1 - r) <= |y| + tail(c) <= sqrt(2) n, the rotation's term goes to the last one. What the kernel's f32 loses
//! is at most 2^-22 of the sum of the magnitudes, and |z^.y^| <= u (n + e): weights are widened by `rounding`, four
//! times that. a(X) and B are off by less than `canonical` of (|X| + |mean|)^2 and of |B|; the canonical score under
//! cosine likewise, and under squared distances it is off by less than `canonical` of itself.
//!
//! Coordinates are below 1 in magnitude, so what underflows in centering and rotating changes a product by less than D
//! times `underflow`; the kernel's own, after the division by a row's scale, is allowed for once more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use negmine_kernels::aligned::Aligned;
use negmine_kernels::canonical;
use negmine_kernels::dot_i8::{PANEL, Panel, QueryTile, pack_panel, packed_len};
use negmine_kernels::quantize::{largest_magnitude, quantize_row, quantize_row_among, round_down, round_up};

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::scoring::bound::PerLane;
use crate::scoring::prefix_bound::tail;
use crate::scoring::rotation::{OF_NORM, Rotation, TOGETHER, center};
use crate::scoring::score::factor;
use crate::scoring::{Metric, Slack};

use crate::cluster::centroids::as_rows;

/// Copies of half a tail, and of a share of the offset, that follow the leading coordinates: with fewer they would be
/// larger than those, and coarsen the codes of all.
const COPIES: usize = 4;
pub(crate) const ADDED: usize = 2 * COPIES;

/// Equal centroids may differ later, and h must stay finite.
const LEAST_SHARE: f64 = 1.0 / (1_u64 << 20) as f64;

/// Rows, by their leading coordinates.
pub(crate) struct LeadRows {
    rotation: Rotation,
    /// Leading coordinates.
    lead: usize,
    metric: Metric,
    slack: Slack,
    /// g
    share: f32,
    /// Rows by blocks, as the kernel wants them.
    tiles: Vec<Mutex<QueryTile>>,
    sides: Vec<Side>,
}

/// A row's terms of the bound that are not in a tile.
#[derive(Clone, Copy)]
struct Side {
    /// 1 over the scale of the codes.
    inverse: f64,
    /// a(X), and its largest error.
    shift: f64,
}

/// Rows as they are rotated.
struct Buffers {
    row: Vec<f32>,
    centered: Vec<f32>,
    rotated: Vec<f32>,
    /// X.mean and XX of each.
    products: Vec<(f64, f64)>,
}

impl Buffers {
    fn new(width: usize, lead: usize, rows: usize) -> Self {
        let (centered, rotated) = (vec![0.0; width * rows], vec![0.0; lead * rows]);
        Self { row: vec![0.0; width], centered, rotated, products: Vec::new() }
    }

    /// Centers and rotates some rows.
    fn rotate(
        &mut self,
        rows: &Rows<'_>,
        some: std::ops::Range<usize>,
        metric: Metric,
        rotation: &Rotation,
        lead: usize,
        run: &Run<'_>,
    ) {
        let width = rows.width();
        self.products.clear();
        for (r, centered) in some.zip(self.centered.chunks_exact_mut(width)) {
            let row = rows.row(run.isa, r, &mut self.row);
            let squared = canonical::dot_with(run.isa, row, row);
            let factor = factor(metric, squared, rotation.unit());
            center(row, factor, rotation.mean(), centered);
            let mean = canonical::dot_with(run.isa, row, rotation.mean());
            self.products.push((mean * factor, squared * factor * factor));
        }
        let n = self.products.len();
        rotation.apply(&self.centered[..n * width], lead, &mut self.rotated);
    }

    /// X.mean and XX of row `i`, at least |x|, and its tail.
    fn measure(&self, i: usize, rotation: &Rotation, lead: usize, slack: Slack, run: &Run<'_>) -> Measured {
        let width = rotation.width();
        let (centered, y) =
            (&self.centered[i * width..(i + 1) * width], &self.rotated[i * lead..(i + 1) * lead]);
        let norm = canonical::dot_with(run.isa, centered, centered).sqrt() * (1.0 + OF_NORM);
        let square = canonical::dot_with(run.isa, y, y);
        let (mean, squared) = self.products[i];
        Measured { mean, squared, norm, tail: tail(norm, square, rotation.deviation(lead, slack)) }
    }
}

/// The measurements of a row.
#[derive(Clone, Copy)]
struct Measured {
    /// X.mean
    mean: f64,
    /// XX
    squared: f64,
    /// At least |x|.
    norm: f64,
    tail: f64,
}

impl LeadRows {
    /// Rotates and quantizes finite rows, in blocks of `block`, for centroids like these.
    pub(crate) fn new(
        rows: &Rows<'_>,
        metric: Metric,
        (rotation, lead): (Rotation, usize),
        centroids: &[f32],
        block: usize,
        run: &Run<'_>,
    ) -> Result<Self> {
        let (tiles, sides) = (Vec::new(), Vec::new());
        let mut all = Self { rotation, lead, metric, slack: Slack::CERTIFIED, share: 0.0, tiles, sides };
        let (_, measured) = all.rotate(centroids, run)?;
        let (least, greatest) = all.offsets(&measured);
        let norm = measured.iter().map(|one| one.norm).fold(0.0, f64::max);
        // The shares are about as large as the other coordinates, for rows and for centroids.
        all.share = (greatest - least).sqrt().max(norm / 8.0).max(LEAST_SHARE) as f32 / 2.0;
        let parts = run.map(
            rows.len().div_ceil(block),
            || (Buffers::new(rows.width(), lead, block), vec![0.0; lead + ADDED], vec![0; lead + ADDED]),
            |(buffers, row, codes), item, ticker| {
                ticker.check()?;
                let some = item * block..((item + 1) * block).min(rows.len());
                let mut tile = QueryTile::new(lead + ADDED);
                let mut sides = Vec::with_capacity(block);
                buffers.rotate(rows, some.clone(), metric, &all.rotation, lead, run);
                for i in 0..some.len() {
                    sides.push(all.push(&mut tile, buffers, i, (row, codes), run));
                }
                Ok((Mutex::new(tile), sides))
            },
        )?;
        let (tiles, sides): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Ok(Self { tiles, sides: run.concat(sides)?, ..all })
    }

    /// Appends row `i` of the buffers to a tile.
    fn push(
        &self,
        tile: &mut QueryTile,
        buffers: &Buffers,
        i: usize,
        (row, codes): (&mut [f32], &mut [i8]),
        run: &Run<'_>,
    ) -> Side {
        let (slack, mean, lead) = (self.slack, self.rotation.mean(), self.lead);
        let one = buffers.measure(i, &self.rotation, lead, slack, run);
        row[..lead].copy_from_slice(&buffers.rotated[i * lead..(i + 1) * lead]);
        row[lead..lead + COPIES].fill(half(one.tail));
        row[lead + COPIES..].fill(self.share);
        let code = quantize_row(run.isa, row, 1.0, codes);
        let scale = if code.scale == 0.0 { 1.0 } else { f64::from(code.scale) };
        let (inverse, error) = (1.0 / scale, f64::from(code.error));
        let code_norm = f64::from(code.norm) + error;
        let spread =
            1.5 * one.norm * self.rotation.rho(lead, slack) / (1.0 - self.rotation.deviation(lead, slack));
        let of_error = code_norm * (1.0 + slack.rounding);
        let of_norm = (error + spread) * (1.0 + slack.rounding) + code_norm * slack.rounding;
        let [of_error, of_norm] = [of_error, of_norm].map(|weight| round_up(weight * inverse));
        tile.push(codes, of_error, of_norm, 0.0, f32::NEG_INFINITY);
        let means = canonical::dot_with(run.isa, mean, mean);
        let most = one.squared.sqrt() + means.sqrt();
        Side { inverse, shift: one.mean - means - self.half_square(&one) + slack.canonical * most * most }
    }

    /// The rows of block `block`.
    pub(crate) fn tile(&self, block: usize) -> MutexGuard<'_, QueryTile> {
        self.tiles[block].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kernel's threshold for "may score at least `score`" with row `r` and such a base; -inf if f32 is too coarse
    /// to decide.
    pub(crate) fn threshold(&self, r: usize, score: f64, base: f64) -> f32 {
        let Side { inverse, shift } = self.sides[r];
        if score == f64::NEG_INFINITY {
            return f32::NEG_INFINITY;
        }
        let unit = self.rotation.unit();
        let product = if self.metric == Metric::L2 { score * unit * unit / 2.0 } else { score };
        let least = product - shift - base - (product.abs() + base.abs()) * self.slack.canonical;
        let underflow = self.rotation.width() as f64 * self.slack.underflow;
        let scaled = (least - underflow) * inverse - underflow;
        if scaled.is_nan() { f32::NEG_INFINITY } else { round_down(scaled) }
    }

    /// Rotates and packs centroids.
    pub(crate) fn pack(&self, centroids: &[f32], run: &Run<'_>) -> Result<LeadCentroids> {
        let (rotated, measured) = self.rotate(centroids, run)?;
        let (least, greatest) = self.offsets(&measured);
        let base = f64::midpoint(least, greatest);
        let width = self.lead + ADDED;
        let bytes = packed_len(width);
        let mut codes = Aligned::zeroed(measured.len().div_ceil(PANEL) * bytes);
        let mut rows = vec![0.0; PANEL * width];
        let mut panel_codes = vec![0; bytes];
        let mut panels = Vec::new();
        let leads = rotated.chunks(PANEL * self.lead).zip(measured.chunks(PANEL));
        for ((leads, measured), out) in leads.zip(codes.chunks_exact_mut(bytes)) {
            run.tick(0, 1)?;
            let filled = &mut rows[..measured.len() * width];
            for ((row, lead), one) in
                filled.chunks_exact_mut(width).zip(leads.chunks_exact(self.lead)).zip(measured)
            {
                row[..self.lead].copy_from_slice(lead);
                row[self.lead..self.lead + COPIES].fill(half(one.tail));
                let share = (self.offset(one) - base) / (COPIES as f64 * f64::from(self.share));
                row[self.lead + COPIES..].fill(round_up(share + share.abs() * self.slack.canonical));
            }
            let largest = largest_magnitude(run.isa, filled);
            panel_codes.fill(0);
            let mut panel = LeadPanel { len: measured.len(), ..LeadPanel::default() };
            let rows = filled.chunks_exact(width).zip(panel_codes.chunks_exact_mut(width));
            for (lane, (row, codes)) in rows.enumerate() {
                let code = quantize_row_among(run.isa, row, largest, codes);
                panel.scale[lane] = code.scale;
                panel.error[lane] = code.error;
                panel.norm[lane] = code.norm;
            }
            pack_panel(run.isa, &panel_codes, width, out);
            panels.push(panel);
        }
        Ok(LeadCentroids { base, codes, bytes, panels })
    }

    /// The leading coordinates of centroids, and what is measured of each.
    fn rotate(&self, centroids: &[f32], run: &Run<'_>) -> Result<(Vec<f32>, Vec<Measured>)> {
        let (rotation, lead) = (&self.rotation, self.lead);
        let rows = as_rows(centroids, rotation.width())?;
        let parts = run.map(
            rows.len().div_ceil(TOGETHER),
            || Buffers::new(rotation.width(), lead, TOGETHER),
            |buffers, item, ticker| {
                ticker.check()?;
                let some = item * TOGETHER..((item + 1) * TOGETHER).min(rows.len());
                let n = some.len();
                buffers.rotate(&rows, some, self.metric, rotation, lead, run);
                let measured = (0..n).map(|i| buffers.measure(i, rotation, lead, self.slack, run));
                Ok((buffers.rotated[..n * lead].to_vec(), measured.collect::<Vec<Measured>>()))
            },
        )?;
        let (rotated, measured): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Ok((run.concat(rotated)?, run.concat(measured)?))
    }

    /// XX / 2 or CC / 2, if the metric has the term.
    fn half_square(&self, one: &Measured) -> f64 {
        if self.metric == Metric::L2 { one.squared / 2.0 } else { 0.0 }
    }

    /// b(C)
    fn offset(&self, one: &Measured) -> f64 {
        one.mean - self.half_square(one)
    }

    /// The least and the greatest offset.
    fn offsets(&self, measured: &[Measured]) -> (f64, f64) {
        let offsets = measured.iter().map(|one| self.offset(one));
        offsets.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), offset| (a.min(offset), b.max(offset)))
    }
}

/// Half a tail, so that four products add up to one product of tails.
fn half(tail: f64) -> f32 {
    round_up(tail / 2.0)
}

/// Centroids, by their leading coordinates.
pub(crate) struct LeadCentroids {
    /// B
    pub(crate) base: f64,
    codes: Aligned<u8>,
    bytes: usize,
    panels: Vec<LeadPanel>,
}

/// The centroids' terms of the bound in a panel.
struct LeadPanel {
    scale: PerLane,
    error: PerLane,
    norm: PerLane,
    len: usize,
}

impl Default for LeadPanel {
    fn default() -> Self {
        Self { scale: [0.0; PANEL], error: [0.0; PANEL], norm: [0.0; PANEL], len: 0 }
    }
}

impl LeadCentroids {
    pub(crate) fn panels(&self) -> usize {
        self.panels.len()
    }

    /// Panel `p` in the kernel's form.
    pub(crate) fn view(&self, p: usize) -> Panel<'_> {
        let panel = &self.panels[p];
        Panel {
            codes: &self.codes[p * self.bytes..(p + 1) * self.bytes],
            scale: &panel.scale,
            error: &panel.error,
            norm: &panel.norm,
            offset: None,
            valid: u64::MAX >> (PANEL - panel.len),
        }
    }
}
