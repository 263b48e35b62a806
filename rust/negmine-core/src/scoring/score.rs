//! The canonical score of a pair, from the kernels' canonical sums.

use negmine_kernels::canonical;
use negmine_kernels::isa::Isa;

use crate::base::csr::CsrView;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

/// Pairs scored between two looks at the clock.
const PAIRS_PER_ITEM: usize = 1024;

/// What "close" means; higher scores are closer under every metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// dot / sqrt(qq * dd): one square root, one division, clamped to [-1, 1], since rounding carries three in 5,000
    /// scaled copies beyond it; a zero row scores +0.0.
    Cosine,
    /// The inner product.
    Ip,
    /// 0.0 minus the squared Euclidean distance.
    L2,
}

impl Metric {
    /// The score from the canonical sum of a pair (a dot product, or a squared distance under `L2`) and, under
    /// `Cosine`, the squared norms.
    #[must_use]
    pub fn finish(self, sum: f64, qq: f64, dd: f64) -> f64 {
        let score = match self {
            Self::Cosine if qq == 0.0 || dd == 0.0 => 0.0,
            Self::Cosine => (sum / (qq * dd).sqrt()).clamp(-1.0, 1.0),
            Self::Ip => sum,
            Self::L2 => 0.0 - sum,
        };
        // -0.0 and +0.0 are one score; adding +0.0 leaves the latter.
        score + 0.0
    }

    /// The canonical sum of one pair.
    #[must_use]
    pub fn sum(self, isa: Isa, q: &[f32], d: &[f32]) -> f64 {
        match self {
            Self::Cosine | Self::Ip => canonical::dot_with(isa, q, d),
            Self::L2 => canonical::squared_distance_with(isa, q, d),
        }
    }

    /// The canonical sums of one query and four documents, faster together and the same bits.
    #[must_use]
    pub fn sum_many(self, isa: Isa, q: &[f32], rows: [&[f32]; 4]) -> [f64; 4] {
        match self {
            Self::Cosine | Self::Ip => canonical::dot_many(isa, q, rows),
            Self::L2 => canonical::squared_distance_many(isa, q, rows),
        }
    }

    /// The squared norm of a row, as `finish` and the certified bound want it; 0 under `Ip`, which has no use for it.
    #[must_use]
    pub fn squared_norm(self, isa: Isa, row: &[f32]) -> f64 {
        if self == Self::Ip { 0.0 } else { canonical::dot_with(isa, row, row) }
    }
}

/// The power of two that brings `largest` into [0.5, 1); 1 for zero.
pub(crate) fn unit_for(largest: f32) -> f64 {
    if largest == 0.0 {
        return 1.0;
    }
    let (_, exponent) = libm::frexp(f64::from(largest));
    libm::ldexp(1.0, -exponent)
}

/// What a row's coordinates are multiplied with before they are quantized: under cosine the inverse norm.
pub(crate) fn factor(metric: Metric, squared_norm: f64, unit: f64) -> f64 {
    match metric {
        Metric::Cosine if squared_norm == 0.0 => 0.0,
        Metric::Cosine => 1.0 / squared_norm.sqrt(),
        Metric::Ip | Metric::L2 => unit,
    }
}

/// Canonical scores of given pairs: entry `t` of row `i` of `pairs` is scored against query `i`.
///
/// Entries of -1 (a document outside the corpus) get NaN.
///
/// # Errors
/// Widths that differ, rows out of range, values that are not finite, or an interrupt.
pub fn score_pairs(
    metric: Metric,
    queries: &Rows<'_>,
    documents: &Rows<'_>,
    pairs: CsrView<'_>,
    run: &Run<'_>,
) -> Result<Vec<f64>> {
    if queries.width() != documents.width() {
        return Err(Error::WidthMismatch { queries: queries.width(), corpus: documents.width() });
    }
    for i in 0..pairs.len() {
        if let Some(&row) = pairs.row(i).iter().find(|&&j| j < -1 || j >= documents.len() as i64) {
            return Err(Error::RowOutOfRange { argument: "pairs", row, rows: documents.len() });
        }
    }
    let per_item = (PAIRS_PER_ITEM * pairs.len() / pairs.entries().max(1)).max(1);
    let width = queries.width();
    let parts = run.map(
        pairs.len().div_ceil(per_item),
        || (vec![0.0; width], vec![0.0; width]),
        |(query_buffer, buffer), item, ticker| {
            let mut scores = Vec::new();
            for i in item * per_item..((item + 1) * per_item).min(pairs.len()) {
                ticker.check()?;
                if pairs.row(i).is_empty() {
                    continue;
                }
                let q = queries.finite_row(run.isa, i, query_buffer)?;
                let qq = metric.squared_norm(run.isa, q);
                for &j in pairs.row(i) {
                    if j == -1 {
                        scores.push(f64::NAN);
                        continue;
                    }
                    let d = documents.finite_row(run.isa, j as usize, buffer)?;
                    let dd = metric.squared_norm(run.isa, d);
                    scores.push(metric.finish(metric.sum(run.isa, q, d), qq, dd));
                }
            }
            Ok(scores)
        },
    )?;
    Ok(parts.into_iter().flatten().collect())
}
