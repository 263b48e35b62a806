//! The certified bound of a pruned scan: from inner products of the codes of some leading rotated coordinates to an
//! interval that holds the canonical score.
//!
//! **Bound.** With z, y the rotated query and document, a hat for the values of int8 codes, `u` at least |z^|, `v` at
//! least |z - z^|, `e` at least |y - y^| and `n` at least |y|, each segment that has been multiplied costs `u e + v n`,
//! as in `bound`; the other segments together cost `tail(q) tail(c)`, and the rotation `rho |q| |c|` (`rotation`
//! derives both). The constant q.mean is moved into the threshold. The canonical score of the pair is off by
//! `canonical` of |q| |d|, and |d| <= |c| + |mean|.
//!
//! The kernel of the first pass has three terms per document: the error, the norm of the lead and, as its offset, the
//! tail. Since |c| (1 - r) <= |y| + tail(c), the rotation's term is spread over the last two.
//!
//! **Per panel.** A document keeps its scales and tails. Errors over scales, norms of segments and |c| are similar in a
//! panel, so it keeps the greatest of each: with 64 documents that widens the final interval by some per cent, and
//! takes 24 bytes per document instead of 80.

use negmine_kernels::canonical;
use negmine_kernels::dot_i8::PANEL;
use negmine_kernels::isa::Isa;
use negmine_kernels::quantize::{RowCode, quantize_row, round_down, round_up};

use super::bound::{PerLane, QueryBound, Slack};
use super::rotation::{Rotation, Segments};

/// A query's segment whose codes have a smaller step is left to its error: in units of the lead's step, other terms of
/// the bound, which are about 1, would leave the range of f32.
const LEAST_STEP: f32 = 1.0 / (1_u64 << 60) as f32;

/// The documents' terms of the bound in a panel.
#[derive(Clone, Debug)]
pub(crate) struct LeadPanel {
    /// Scale of every segment's codes; that of the lead is one for all, so that the floor of the first pass is sharp.
    pub(crate) scales: [PerLane; 3],
    /// Tails after the lead, and after lead and middle.
    pub(crate) tails: [PerLane; 2],
    /// Rows in the caller's corpus.
    pub(crate) rows: [u32; PANEL],
    /// Upper bounds of the errors over the scales.
    errors: [f32; 3],
    /// At least the norm of every segment.
    norms: [f32; 3],
    /// At least |c|.
    norm: f32,
}

impl Default for LeadPanel {
    fn default() -> Self {
        Self {
            scales: [[0.0; PANEL]; 3],
            tails: [[0.0; PANEL]; 2],
            rows: [0; PANEL],
            errors: [0.0; 3],
            norms: [0.0; 3],
            norm: 0.0,
        }
    }
}

/// Above the relative rounding of two f32 operations.
const OF_RATIO: f64 = 1.0 / (1_u64 << 22) as f64;

impl LeadPanel {
    /// Records one document: the codes of its segments, its tails, and an upper bound of |c|.
    pub(crate) fn set(&mut self, lane: usize, row: u32, coded: [RowCode; 3], tails: [f64; 2], norm: f32) {
        self.rows[lane] = row;
        self.norm = self.norm.max(norm);
        for (tail, lanes) in tails.into_iter().zip(&mut self.tails) {
            lanes[lane] = round_up(tail);
        }
        for (i, code) in coded.into_iter().enumerate() {
            // Codes that are all zero may have any scale.
            let scale = if code.scale == 0.0 { code.error } else { code.scale };
            self.scales[i][lane] = scale;
            self.norms[i] = self.norms[i].max(code.norm);
            if scale > 0.0 {
                let ratio = f64::from(code.error) / f64::from(scale) * (1.0 + OF_RATIO);
                self.errors[i] = self.errors[i].max(round_up(ratio));
            }
        }
    }

    /// Writes errors and norms of the lead, one per lane.
    pub(crate) fn write_lead(&self, errors: &mut PerLane, norms: &mut PerLane) {
        for (error, scale) in errors.iter_mut().zip(&self.scales[0]) {
            *error = self.errors[0] * scale;
        }
        norms.fill(self.norms[0]);
    }
}

/// Tails after the lead and after the middle, for either side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tails {
    segments: Segments,
    slack: Slack,
    /// r after the lead, after the middle, and after all.
    deviations: [f64; 3],
    /// The rotation's error in a product at each step, over |q| |c|.
    rho: [f64; 3],
}

impl Tails {
    pub(crate) fn new(rotation: &Rotation, segments: Segments, slack: Slack) -> Self {
        let ends = [segments.lead, segments.lead + segments.middle, segments.width()];
        let deviations = ends.map(|m| rotation.deviation(m, slack));
        Self { segments, slack, deviations, rho: ends.map(|m| rotation.rho(m, slack)) }
    }

    pub(crate) fn segments(&self) -> Segments {
        self.segments
    }

    /// Tails from an upper bound of |x| and the squared norms of its segments; the rounding of f64 sums is negligible
    /// next to the f32 rounding of `norm`.
    pub(crate) fn of(&self, norm: f64, squares: [f64; 3]) -> [f64; 2] {
        let mut left = [0.0; 2];
        let mut square = 0.0;
        for i in 0..2 {
            square += squares[i];
            left[i] = if self.done_after(i) { 0.0 } else { tail(norm, square, self.deviations[i]) };
        }
        left
    }

    /// Whether no coordinates remain after the lead or after the middle.
    fn done_after(&self, i: usize) -> bool {
        i == 1 && self.segments.rest == 0
    }
}

/// Above the relative rounding of a few f64 operations and of canonical sums.
const ABOVE: f64 = 1.0 / (1_u64 << 38) as f64;

/// The tail of a row after some rotated coordinates with the given squared norm and deviation; `norm` is at least |x|.
pub(crate) fn tail(norm: f64, square: f64, deviation: f64) -> f64 {
    let hidden = 2.0 * deviation * norm * square.sqrt();
    let tail = norm * norm * (1.0 + ABOVE) - square * (1.0 - ABOVE) + hidden;
    tail.max(0.0).sqrt() * (1.0 + ABOVE)
}

/// A query's terms of the bound; arrays of three hold one number per step of refinement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeadQuery {
    scales: [f64; 3],
    /// At least |z^| of every segment.
    codes: [f64; 3],
    errors: [f64; 3],
    /// The query's tail after the lead.
    tail: f64,
    /// The factor of |c| after the last step: the rotation and the rounding of the canonical score.
    rotation: f64,
    /// Added once: the rounding that goes with |q| |mean|.
    constant: f64,
    /// q.mean.
    mean: f64,
    /// The inverse of the factor of scores; both are powers of two.
    inverse_unit: f64,
    slack: Slack,
    /// The inverse of the scale of the lead, and the factor that widens the kernel's norms.
    inverse: f64,
    spread: f64,
    width: f64,
    middle: AfterMiddle,
}

/// The f32 weights of the bound after the middle, in the units of the lead.
#[derive(Clone, Copy, Debug)]
struct AfterMiddle {
    /// The scale of the middle.
    scale: f32,
    errors: [f32; 2],
    norms: [f32; 2],
    tail: f32,
    /// The weight of |c|.
    rotation: f32,
}

/// Codes of a query, segment by segment, for [`LeadQuery::new`] to fill.
pub(crate) type SegmentCodes<'a> = [&'a mut [i8]; 3];

impl LeadQuery {
    /// The bound of a query, from its original and its rotated row; writes the codes.
    pub(crate) fn new(
        rotation: &Rotation,
        tails: &Tails,
        isa: Isa,
        row: &[f32],
        bound: &QueryBound,
        rotated: &[f32],
        codes: SegmentCodes<'_>,
    ) -> Self {
        let (slack, norm) = (tails.slack, bound.norm());
        let mean = canonical::dot_with(isa, row, rotation.mean()) * bound.factor();
        let parts = split(rotated, tails.segments);
        let squares = parts.map(|z| canonical::dot_with(isa, z, z));
        let mut coded = [RowCode::default(); 3];
        for ((coded, z), codes) in coded.iter_mut().zip(parts).zip(codes) {
            *coded = quantize_row(isa, z, 1.0, codes);
            if coded.scale < LEAST_STEP {
                *coded = RowCode { error: coded.norm, norm: coded.norm, ..RowCode::default() };
                codes.fill(0);
            }
        }
        let means = canonical::dot_with(isa, rotation.mean(), rotation.mean()).sqrt();
        let costs = tails.rho.map(|cost| (cost + slack.canonical) * norm);
        let scales = coded.map(|code| if code.scale == 0.0 { 1.0 } else { f64::from(code.scale) });
        let inverse = 1.0 / scales[0];
        let codes = coded.map(|code| f64::from(code.norm) + f64::from(code.error));
        let errors = coded.map(|code| f64::from(code.error));
        let left = tails.of(norm, squares);
        let up = |weight: f64| round_up(weight * inverse);
        let middle = AfterMiddle {
            scale: (scales[1] * inverse) as f32,
            errors: [0, 1].map(|i| up(codes[i] * (1.0 + slack.rounding))),
            norms: [0, 1].map(|i| up(errors[i] * (1.0 + slack.rounding) + codes[i] * slack.rounding)),
            tail: up(left[1] * (1.0 + slack.rounding)),
            rotation: up(costs[1] * (1.0 + slack.rounding)),
        };
        Self {
            scales,
            codes,
            errors,
            tail: left[0],
            rotation: costs[2],
            constant: slack.canonical * norm * means,
            mean,
            inverse_unit: 1.0 / (bound.unit() * rotation.unit()),
            slack,
            inverse,
            middle,
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
        let tail = self.tail * (1.0 + rounding) + self.spread;
        [error, norm, tail].map(|weight| round_up(weight * self.inverse))
    }

    /// The least z.y with which the score can reach `score`.
    fn least_product(&self, score: f64) -> f64 {
        let product = score / self.inverse_unit;
        product - product.abs() * self.slack.canonical - self.constant - self.mean
    }

    /// The kernel's threshold for "may score at least `score`"; -inf if f32 is too coarse to decide.
    pub(crate) fn threshold(&self, score: f64) -> f32 {
        if score == f64::NEG_INFINITY {
            return f32::NEG_INFINITY;
        }
        let underflow = self.width * self.slack.underflow;
        let scaled = (self.least_product(score) - underflow) * self.inverse - underflow;
        if scaled.is_nan() { f32::NEG_INFINITY } else { round_down(scaled) }
    }

    /// The bound after the middle in one panel.
    #[inline]
    pub(crate) fn in_panel(&self, panel: &LeadPanel) -> InPanel {
        let middle = &self.middle;
        InPanel {
            scale: middle.scale,
            errors: [0, 1].map(|i| middle.errors[i] * panel.errors[i]),
            tail: middle.tail,
            rest: middle.norms[0] * panel.norms[0]
                + middle.norms[1] * panel.norms[1]
                + middle.rotation * panel.norm,
        }
    }

    /// The interval that holds the canonical score of a document with those exact products of codes.
    #[inline]
    pub(crate) fn interval(&self, panel: &LeadPanel, lane: usize, dots: [i32; 3]) -> (f64, f64) {
        let (mut product, mut lost) = (self.mean, self.constant);
        for (i, dot) in dots.into_iter().enumerate() {
            let scale = f64::from(panel.scales[i][lane]);
            product += self.scales[i] * scale * f64::from(dot);
            lost += self.codes[i] * (f64::from(panel.errors[i]) * scale)
                + self.errors[i] * f64::from(panel.norms[i]);
        }
        lost += self.rotation * f64::from(panel.norm) + self.width * self.slack.underflow;
        ((product - lost) * self.inverse_unit, (product + lost) * self.inverse_unit)
    }
}

/// A query's f32 bound after the middle in one panel; compared with the threshold of the first pass.
///
/// Two conversions, a scale that was rounded and nine operations lose at most 2^-20 of the sum of the magnitudes, which
/// is what `rounding` adds to every weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InPanel {
    scale: f32,
    /// The factors of the scales of lead and middle.
    errors: [f32; 2],
    tail: f32,
    rest: f32,
}

impl InPanel {
    /// An upper bound of the contribution of the remaining coordinates.
    #[inline]
    pub(crate) fn high(&self, panel: &LeadPanel, lane: usize, lead: i32, middle: i32) -> f32 {
        panel.scales[0][lane] * (lead as f32 + self.errors[0])
            + panel.scales[1][lane] * (self.scale * middle as f32 + self.errors[1])
            + self.tail * panel.tails[1][lane]
            + self.rest
    }
}

/// The three segments of a rotated row.
pub(crate) fn split(row: &[f32], segments: Segments) -> [&[f32]; 3] {
    let (lead, others) = row.split_at(segments.lead);
    let (middle, rest) = others.split_at(segments.middle);
    [lead, middle, rest]
}

#[cfg(test)]
mod tests {
    use negmine_kernels::quantize::quantize_row_among;

    use crate::base::parallel::Run;
    use crate::scoring::score::Metric;

    use super::*;

    const WIDTH: usize = 16;

    fn product(a: &[i8], b: &[i8]) -> i32 {
        a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    }

    #[test]
    fn bounds_hold_however_little_a_query_has_along_the_leading_axes() {
        let (isa, slack) = (Isa::active().unwrap(), Slack::CERTIFIED);
        let run = Run { threads: 1, isa, poll: &|_, _| false };
        let identity = (0..WIDTH * WIDTH).map(|i| f32::from(u8::from(i.is_multiple_of(WIDTH + 1)))).collect();
        let rotation = Rotation::new(1.0, vec![0.0; WIDTH], identity, &run).unwrap().unwrap();
        let segments = Segments::new(WIDTH, 4).unwrap();
        let tails = Tails::new(&rotation, segments, slack);
        // A document with very little along an axis of the middle, in steps that are as small.
        let mut d = [0.0; WIDTH];
        (d[0], d[13]) = (1.0, -1e-9);
        let [y, rest, _] = split(&d, segments);
        let mut known = [[0; WIDTH]; 2];
        let lead = quantize_row_among(isa, y, 1.0, &mut known[0][..4]);
        let middle = quantize_row(isa, rest, 1.0, &mut known[1][..12]);
        let squares = [y, rest, &[]].map(|y| canonical::dot(y, y));
        let mut panel = LeadPanel::default();
        panel.set(0, 0, [lead, middle, RowCode::default()], tails.of(1.001, squares), 1.001);
        for exponent in 0..46 {
            let mut q = [0.0; WIDTH];
            (q[0], q[13]) = (10.0_f32.powi(-exponent), 1.0);
            let score = canonical::dot(&q, &d);
            let bound = QueryBound::of(Metric::Ip, slack, isa, &q, &mut [0; WIDTH]);
            let rotated = q.map(|x| (f64::from(x) * bound.factor()) as f32);
            let mut codes = [[0; WIDTH]; 3];
            let [a, b, c] = &mut codes;
            let own = [&mut a[..4], &mut b[..12], &mut c[..0]];
            let query = LeadQuery::new(&rotation, &tails, isa, &q, &bound, &rotated, own);
            let dots = [0, 1].map(|i| product(&codes[i], &known[i]));
            let high = query.in_panel(&panel).high(&panel, 0, dots[0], dots[1]);
            assert!(high >= query.threshold(score), "{high} at 1e-{exponent}");
            let (low, high) = query.interval(&panel, 0, [dots[0], dots[1], 0]);
            assert!(low <= score && score <= high, "{low} to {high} at 1e-{exponent}");
            // All terms of the first pass are far below the threshold that no bound reaches.
            assert!(query.weights().iter().all(|weight| *weight < 1e25));
        }
    }
}
