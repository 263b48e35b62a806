//! The certified bound (Cauchy and Schwarz): from an int8 inner product to an interval that holds the canonical score.
//!
//! **Derivation.** A row x is stored as codes i in [-127, 127] with an f32 scale s, so x = s i + e, where e is measured
//! against the *stored* scale: rounding the scale costs nothing. Then
//!
//! ```text
//! q.d = (s_q i_q + e_q).d = s_q i_q.(s_d i_d + e_d) + e_q.d
//! |q.d - s_q s_d (i_q.i_d)|  <=  ||s_q i_q|| ||e_d||  +  ||e_q|| ||d||            (Cauchy and Schwarz, twice)
//! ```
//!
//! The integer product is exact. Norms are measured in f64 and rounded up to f32, so with `u = ||q|| + ||e_q||` (at
//! least `||s_q i_q||`), `v = ||e_q||`, `e = ||e_d||`, `n = ||d||` the interval is `s_q s_d dot -+ (u e + v n)`.
//!
//! **Units.** Under cosine every row is divided by its norm as it is quantized. Under the other metrics a panel and a
//! query are multiplied by powers of two that bring their largest coordinate near 1, so that magnitudes of 1e-30 or
//! 1e30 never meet the ends of f32; only rows 2^-126 below their panel's largest do, and `underflow` covers them.
//!
//! **The kernel's side** works in f32 and divides everything by the query's scale: a document is a hit unless
//! `dot s_d + (u/s_q) e + (v/s_q) n + (w/s_q) o < t`. Converting `dot` and up to four fused operations lose at most
//! 2^-22 of the sum of the magnitudes, and `|dot| s_d <= (u/s_q)(n + e)`; weights are widened by `rounding`, a multiple
//! of that. Thresholds are rounded down, weights and norms up.
//!
//! **The canonical score** is itself rounded: at most D 2^-53 of ||q|| ||d||, less than `canonical`. Clamping a cosine
//! to [-1, 1] moves it towards the exact one, which lies there, so the interval still holds it.
//!
//! **Squared distances.** -(q-d)^2 = 2 q.d - dd - qq. The kernel compares q.d - dd/2 with (T + qq)/2; dd/2 enters as
//! the offset o, moved up by `rounding`. The canonical form never subtracts large numbers; the interval does, which
//! makes it wider but keeps it valid.
//!
//! **Rotation.** Where rows are rotated first, `gamma`, `eta` and `rho` of [`Slack`] bound the error of that:
//! `rotation` derives them.

use negmine_kernels::dot_i8::PANEL;
use negmine_kernels::isa::Isa;
use negmine_kernels::quantize::{RowCode, largest_magnitude, quantize_row, round_down, round_up};

use super::score::{Metric, factor, unit_for};

/// The slack terms of the bound. All values other than [`Slack::CERTIFIED`] are for tests that show that a term is
/// needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slack {
    /// Relative, for the f32 arithmetic of the first pass.
    pub rounding: f64,
    /// Absolute, in the kernel's units, for what f32 flushes to zero.
    pub underflow: f64,
    /// Relative to ||q|| ||d||, for the rounding of the canonical score.
    pub canonical: f64,
    /// Relative, one rounding of the f32 arithmetic that rotates rows.
    pub gamma: f64,
    /// The share of the rotation's deviation from orthogonality that the bound covers: 1 for all, 0 for none.
    pub eta: f64,
    /// The share of the rotation's error in a product, relative to ||q|| ||c||, that the bound covers: 1 for all, 0 for
    /// none.
    pub rho: f64,
}

impl Slack {
    /// 2^-20 is four times the rounding loss of the first pass, 2^-120 far above its smallest normal number, and 2^-34
    /// is above D 2^-53 for every width.
    pub const CERTIFIED: Self = Self {
        rounding: 1.0 / (1_u64 << 20) as f64,
        underflow: 1.0 / (1_u128 << 120) as f64,
        canonical: 1.0 / (1_u64 << 34) as f64,
        gamma: 1.0 / (1_u64 << 24) as f64,
        eta: 1.0,
        rho: 1.0,
    };
}

/// A query's terms of the bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryBound {
    metric: Metric,
    slack: Slack,
    /// Scale of the codes.
    scale: f64,
    /// At least ||s i||.
    code_norm: f64,
    /// At least ||e||.
    error: f64,
    /// At least the norm, in the query's unit.
    norm: f64,
    /// The factor of coordinates (1 under cosine, where rows are normed), and its inverse.
    unit: f64,
    back: f64,
    /// Squared norm, in the caller's units.
    pub(crate) qq: f64,
}

/// The weights that the kernel multiplies a document's numbers with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    pub(crate) error: f32,
    pub(crate) norm: f32,
}

impl QueryBound {
    pub(crate) fn new(metric: Metric, slack: Slack, code: &RowCode, unit: f64, qq: f64) -> Self {
        // Codes that are all zero may have any scale.
        let scale = if code.scale == 0.0 { 1.0 } else { f64::from(code.scale) };
        let (norm, error) = (f64::from(code.norm), f64::from(code.error));
        Self { metric, slack, scale, code_norm: norm + error, error, norm, unit, back: 1.0 / unit, qq }
    }

    /// The bound of a query; writes its codes.
    pub(crate) fn of(metric: Metric, slack: Slack, isa: Isa, row: &[f32], codes: &mut [i8]) -> Self {
        let qq = metric.squared_norm(isa, row);
        let unit = if metric == Metric::Cosine { 1.0 } else { unit_for(largest_magnitude(isa, row)) };
        let code = quantize_row(isa, row, factor(metric, qq, unit), codes);
        Self::new(metric, slack, &code, unit, qq)
    }

    /// At least the norm, in the query's unit.
    pub(crate) fn norm(&self) -> f64 {
        self.norm
    }

    /// The factor of coordinates before every other step.
    pub(crate) fn factor(&self) -> f64 {
        factor(self.metric, self.qq, self.unit)
    }

    /// The factor of coordinates (1 under cosine, where rows are normed).
    pub(crate) fn unit(&self) -> f64 {
        self.unit
    }

    /// Whether every document scores exactly zero.
    pub(crate) fn is_zero(&self) -> bool {
        self.norm == 0.0 && self.metric != Metric::L2
    }

    /// Whether the metric is cosine and the query has no direction.
    pub(crate) fn is_zero_cosine(&self) -> bool {
        self.metric == Metric::Cosine && self.qq == 0.0
    }

    pub(crate) fn weights(&self) -> Weights {
        let rounding = self.slack.rounding;
        Weights {
            error: round_up(self.code_norm * (1.0 + rounding) / self.scale),
            norm: round_up((self.error * (1.0 + rounding) + self.code_norm * rounding) / self.scale),
        }
    }

    /// Weight of the offset in a panel whose coordinates were multiplied with `unit`.
    pub(crate) fn offset_weight(&self, unit: f64) -> f32 {
        // The weight is rounded to nearest: the offset itself is moved up by more than this rounding can lose.
        (self.unit / unit / self.scale) as f32
    }

    /// The kernel's threshold for "may score at least `score`" in such a panel; -inf if f32 is too coarse to decide.
    pub(crate) fn threshold(&self, score: f64, unit: f64) -> f32 {
        if score == f64::NEG_INFINITY {
            return f32::NEG_INFINITY;
        }
        let (dot, magnitude) = match self.metric {
            Metric::Cosine | Metric::Ip => (score, score.abs()),
            Metric::L2 => (f64::midpoint(score, self.qq), score.abs() + self.qq),
        };
        if self.metric == Metric::L2 && !self.offset_weight(unit).is_finite() {
            return f32::NEG_INFINITY;
        }
        let certain = dot - magnitude * self.slack.canonical;
        let scaled = certain * self.unit * unit / self.scale - self.slack.underflow;
        if scaled.is_nan() { f32::NEG_INFINITY } else { round_down(scaled) }
    }

    /// The interval that holds the canonical score of a document with that exact product of codes.
    pub(crate) fn interval(&self, dot: i32, document: &DocumentBound) -> (f64, f64) {
        let product = self.scale * document.scale * f64::from(dot) * self.back;
        let lost = self.code_norm * document.error + self.error * document.norm;
        let lost = (lost + (lost + self.norm * document.norm) * self.slack.canonical) * self.back;
        match self.metric {
            Metric::Cosine | Metric::Ip => (product - lost, product + lost),
            Metric::L2 => {
                let squares = document.dd + self.qq;
                let lost = 2.0 * lost + squares * self.slack.canonical;
                (2.0 * product - squares - lost, 2.0 * product - squares + lost)
            }
        }
    }
}

/// A document's terms of the bound, in the caller's units (under cosine, of normed rows).
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentBound {
    pub(crate) scale: f64,
    pub(crate) error: f64,
    pub(crate) norm: f64,
    /// Squared norm; not used under `Ip`.
    pub(crate) dd: f64,
}

/// The kernel's offset of a document: minus half its squared norm in the panel's unit, moved up.
pub(crate) fn offset(dd: f64, unit: f64, slack: Slack) -> f32 {
    let half = dd * unit * unit / 2.0;
    round_up(-half * (1.0 - slack.rounding))
}

/// One f32 per document of a panel.
pub(crate) type PerLane = [f32; PANEL];
