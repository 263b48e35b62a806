//! The index: what is known about a corpus that somebody else keeps.

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;

use super::score::Metric;

/// Rows read between two looks at the clock.
const ROWS_PER_ITEM: usize = 1024;

/// An exact index over rows that the caller keeps and hands in again with every call.
#[derive(Clone, Debug)]
pub struct ExactIndex {
    metric: Metric,
    rows: usize,
    width: usize,
    squared_norms: Vec<f64>,
    zero_rows: usize,
}

impl ExactIndex {
    /// Reads the corpus once: every row must be finite.
    ///
    /// # Errors
    /// A value that is not finite, or an interrupt.
    pub fn build(corpus: &Rows<'_>, metric: Metric, run: &Run<'_>) -> Result<Self> {
        let parts = run.map(
            corpus.len().div_ceil(ROWS_PER_ITEM),
            || vec![0.0; corpus.width()],
            |buffer, item, ticker| {
                ticker.check()?;
                let mut norms = Vec::with_capacity(ROWS_PER_ITEM);
                for r in item * ROWS_PER_ITEM..((item + 1) * ROWS_PER_ITEM).min(corpus.len()) {
                    let row = corpus.finite_row(run.isa, r, buffer)?;
                    norms.push(metric.squared_norm(run.isa, row));
                }
                Ok(norms)
            },
        )?;
        let squared_norms: Vec<f64> = parts.into_iter().flatten().collect();
        let zero_rows = squared_norms.iter().filter(|&&dd| dd == 0.0).count();
        Ok(Self { metric, rows: corpus.len(), width: corpus.width(), squared_norms, zero_rows })
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

    /// Squared norm of document `r` under cosine.
    pub(crate) fn squared_norm(&self, r: usize) -> f64 {
        self.squared_norms[r]
    }
}
