//! Score caps and floors of negatives: the highest and the lowest admitted score, and the rule that set the cap.

/// The reference score of a query's positives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The lowest score of a positive.
    Min,
    /// The highest score of a positive.
    Max,
    /// The mean: a sequential sum in CSR order, divided once. Where that sum overflows it is taken of the scores times
    /// 2^-64, and the mean is kept between the lowest and the highest.
    Mean,
    /// Each positive's own score; result rows are (query, positive) pairs.
    Each,
}

/// The rules that bound a score; absent ones are left out.
#[derive(Clone, Copy, Debug)]
pub struct CapRules {
    /// No score above this.
    pub max_score: Option<f64>,
    /// No score above the reference minus this; may be negative.
    pub absolute_margin: Option<f64>,
    /// No score above the reference minus this share of its magnitude; at least 0.
    pub relative_margin: Option<f64>,
    /// No score below this.
    pub min_score: Option<f64>,
    /// No score below the reference minus this; may be negative.
    pub absolute_floor: Option<f64>,
    /// No score below the reference minus this share of its magnitude.
    pub relative_floor: Option<f64>,
    /// The reference of margins and floors.
    pub reference: Reference,
}

/// The rule that set a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Cap {
    /// `max_score`
    MaxScore = 0,
    /// `absolute_margin`
    Absolute = 1,
    /// `relative_margin`
    Relative = 2,
}

impl CapRules {
    /// Whether a margin or a floor refers to positives, so that a query without positives has no bounds.
    #[must_use]
    pub fn needs_reference(&self) -> bool {
        [self.absolute_margin, self.relative_margin, self.absolute_floor, self.relative_floor]
            .iter()
            .any(Option::is_some)
    }

    /// The lowest admitted score under `reference`, the highest of the rules' terms; -inf if none is set.
    #[must_use]
    pub fn floor(&self, reference: f64) -> f64 {
        let terms = [
            self.min_score,
            self.absolute_floor.map(|floor| reference - floor),
            self.relative_floor.map(|floor| reference - reference.abs() * floor),
        ];
        terms.into_iter().flatten().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The reference of a query's positives; NaN if there are none, or if a score is unknown: the lowest of the known
    /// scores would admit too much. Not for `Each`.
    #[must_use]
    pub fn reduce(&self, scores: &[f64]) -> f64 {
        if scores.is_empty() || scores.iter().any(|score| score.is_nan()) {
            return f64::NAN;
        }
        match self.reference {
            Reference::Min => scores.iter().copied().fold(f64::INFINITY, f64::min),
            Reference::Max => scores.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Reference::Mean | Reference::Each => mean(scores),
        }
    }

    /// The tightest cap under `reference`, ties in the order of the rules; +inf and no rule where none is set; NaN
    /// where a margin or a floor needs a reference and there is none.
    #[must_use]
    pub fn cap(&self, reference: f64) -> (f64, Option<Cap>) {
        if self.needs_reference() && reference.is_nan() {
            return (f64::NAN, None);
        }
        let terms = [
            (self.max_score, Cap::MaxScore),
            (self.absolute_margin.map(|margin| reference - margin), Cap::Absolute),
            (self.relative_margin.map(|margin| reference - reference.abs() * margin), Cap::Relative),
        ];
        let mut tightest = (f64::INFINITY, None);
        for (value, rule) in terms {
            if let Some(value) = value
                && (tightest.1.is_none() || value < tightest.0)
            {
                tightest = (value, Some(rule));
            }
        }
        tightest
    }
}

/// Memory holds fewer scores than the reciprocal of this number, so no sum of scaled scores overflows.
const SCALE: f64 = 1.0 / 18_446_744_073_709_551_616.0;

fn mean(scores: &[f64]) -> f64 {
    let n = scores.len() as f64;
    let sum = scores.iter().fold(0.0, |sum, &score| sum + score);
    if sum.is_finite() {
        return sum / n;
    }
    let (mut sum, mut low, mut high) = (0.0, f64::INFINITY, f64::NEG_INFINITY);
    for &score in scores {
        sum += score * SCALE;
        low = low.min(score);
        high = high.max(score);
    }
    // Rounding may carry the mean past the highest score, and so past every number.
    (sum / n).clamp(low * SCALE, high * SCALE) / SCALE
}
