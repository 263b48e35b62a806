//! Canonical scores of pairs, from the kernels' canonical sums: cosine, inner product, and negative squared distance.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::canonical;
use negmine_kernels::isa::Isa;

use crate::base::csr::CsrView;
use crate::base::matrix::Rows;
use crate::base::memory::zeros;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

/// Pairs scored between two checks for an interrupt.
const PAIRS_PER_ITEM: usize = 1024;

/// Scattered documents come from memory: they are prefetched this many pairs ahead.
const AHEAD: usize = 3;

/// Row numbers checked between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 1 << 20;

/// The metric of scores; higher scores are closer under every metric.
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

    /// The canonical sum of one pair and, under `Cosine`, the squared norm of the document (0 otherwise): one pass over
    /// the document. Of a finite query, both are finite exactly if the document is.
    #[must_use]
    pub fn sum_and_norm(self, isa: Isa, q: &[f32], d: &[f32]) -> (f64, f64) {
        if self == Self::Cosine {
            let [sum, norm] = canonical::dot_both(isa, d, [q, d]);
            (sum, norm)
        } else {
            (self.sum(isa, q, d), 0.0)
        }
    }

    /// The canonical sums of one query and four documents: faster together, with the same bits.
    #[must_use]
    pub fn sum_many(self, isa: Isa, q: &[f32], rows: [&[f32]; 4]) -> [f64; 4] {
        match self {
            Self::Cosine | Self::Ip => canonical::dot_many(isa, q, rows),
            Self::L2 => canonical::squared_distance_many(isa, q, rows),
        }
    }

    /// The squared norm of a row, for `finish` and the certified bound; 0 under `Ip`, which does not need it.
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

/// The factor of a row's coordinates before they are quantized: under cosine the inverse norm.
pub(crate) fn factor(metric: Metric, squared_norm: f64, unit: f64) -> f64 {
    match metric {
        Metric::Cosine if squared_norm == 0.0 => 0.0,
        Metric::Cosine => 1.0 / squared_norm.sqrt(),
        Metric::Ip | Metric::L2 => unit,
    }
}

/// A scorer of documents against one query after another.
pub(crate) trait ScorePairs {
    /// Starts a query, which must be finite.
    fn begin(&mut self, query: &[f32]);

    /// Prefetches a document that will be scored soon.
    fn prefetch(&self, document: u32);

    /// The canonical score of a document with the query.
    fn score(&mut self, document: u32) -> Result<f64>;
}

/// Canonical scores of given pairs: entry `t` of row `i` of `pairs` is scored against query `i`.
///
/// Entries of -1 (a document outside the corpus) get NaN.
///
/// # Errors
/// Returns an error on widths that differ, rows out of range, values that are not finite, lack of memory, or an
/// interrupt.
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
    let width = documents.width();
    let scorer =
        || Plain { metric, isa: run.isa, documents, q: vec![0.0; width], qq: 0.0, buffer: vec![0.0; width] };
    score_pairs_with(queries, documents.len(), pairs, scorer, run)
}

/// Scores pairs by scorers of any kind, one per worker.
pub(crate) fn score_pairs_with<S: ScorePairs>(
    queries: &Rows<'_>,
    documents: usize,
    pairs: CsrView<'_>,
    scorer: impl Fn() -> S + Sync,
    run: &Run<'_>,
) -> Result<Vec<f64>> {
    let items = pairs.entries().div_ceil(PAIRS_PER_ITEM);
    for rows in pairs.items().chunks(ROWS_PER_CHECK) {
        run.tick(0, items)?;
        if let Some(&row) = rows.iter().find(|&&j| j < -1 || j >= documents as i64) {
            return Err(Error::RowOutOfRange { argument: "pairs", row, rows: documents });
        }
    }
    let mut scores = zeros(pairs.entries())?;
    let slots: Vec<_> = scores.chunks_mut(PAIRS_PER_ITEM).map(Mutex::new).collect();
    run.map(
        items,
        || (vec![0.0; queries.width()], scorer()),
        |(buffer, scorer), item, _| {
            let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
            let begin = item * PAIRS_PER_ITEM;
            let (mut place, end) = (begin, begin + slot.len());
            while place < end {
                let query = pairs.holding(place);
                scorer.begin(queries.finite_row(run.isa, query, buffer)?);
                let of_query = place..pairs.range(query).end.min(end);
                place = of_query.end;
                for at in of_query {
                    if let Some(&next @ 0..) = pairs.items().get(at + AHEAD) {
                        scorer.prefetch(next as u32);
                    }
                    let document = pairs.items()[at];
                    slot[at - begin] =
                        if document == -1 { f64::NAN } else { scorer.score(document as u32)? };
                }
            }
            Ok(())
        },
    )?;
    drop(slots);
    Ok(scores)
}

/// Scores documents of an array.
struct Plain<'a, 'd> {
    metric: Metric,
    isa: Isa,
    documents: &'a Rows<'d>,
    q: Vec<f32>,
    qq: f64,
    buffer: Vec<f32>,
}

impl ScorePairs for Plain<'_, '_> {
    fn begin(&mut self, query: &[f32]) {
        self.q.copy_from_slice(query);
        self.qq = self.metric.squared_norm(self.isa, query);
    }

    fn prefetch(&self, document: u32) {
        self.documents.prefetch(document as usize);
    }

    fn score(&mut self, document: u32) -> Result<f64> {
        let row = document as usize;
        let d = self.documents.row(self.isa, row, &mut self.buffer);
        let (sum, dd) = self.metric.sum_and_norm(self.isa, &self.q, d);
        if !(sum.is_finite() && dd.is_finite()) {
            self.documents.finite_row(self.isa, row, &mut self.buffer)?;
            return Err(Error::CorpusChanged { row });
        }
        Ok(self.metric.finish(sum, self.qq, dd))
    }
}
