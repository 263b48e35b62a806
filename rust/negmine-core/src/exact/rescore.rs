//! Canonical scores of the documents that a scan could not rule out.

use negmine_kernels::isa::Isa;

use crate::base::matrix::Rows;
use crate::base::memory::reserve;
use crate::base::order::Scored;
use crate::base::parallel::Ticker;
use crate::base::{Error, Result};
use crate::scoring::pack::PackedRows;
use crate::scoring::score::Metric;

/// Documents that are scored together; the kernel interleaves them.
const TOGETHER: usize = 4;

/// Scattered rows come from memory: they are prefetched this many documents ahead.
const AHEAD: usize = 8;

/// Documents scored between two checks for an interrupt.
const DOCUMENTS_PER_CHECK: usize = 4096;

/// A document whose score is known to lie in [low, high].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) row: u32,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The documents that a query's rows are scored from.
pub(crate) struct Scorer<'a, 'c> {
    isa: Isa,
    metric: Metric,
    corpus: &'a Rows<'c>,
    packed: PackedRows<'a>,
    ticker: &'a Ticker<'a>,
    /// Documents scored since the last check for an interrupt.
    since_check: usize,
    /// One row buffer for each document scored together.
    buffers: [Vec<f32>; TOGETHER],
    // Temporary buffers of a query; they are kept here because queries are many and short-lived.
    scores: Vec<Scored>,
    pub(crate) promising: Vec<Pending>,
}

impl<'a, 'c> Scorer<'a, 'c> {
    pub(crate) fn new(
        isa: Isa,
        metric: Metric,
        corpus: &'a Rows<'c>,
        packed: PackedRows<'a>,
        ticker: &'a Ticker<'a>,
    ) -> Self {
        Self {
            isa,
            metric,
            corpus,
            packed,
            ticker,
            since_check: 0,
            buffers: std::array::from_fn(|_| vec![0.0; corpus.width()]),
            scores: Vec::new(),
            promising: Vec::new(),
        }
    }

    /// Prefetches the rows of the first documents of the next call of [`Scorer::score`].
    pub(crate) fn expect(&self, documents: &[Pending]) {
        for ahead in documents.iter().take(AHEAD) {
            self.corpus.prefetch(ahead.row as usize);
        }
    }

    /// Canonical scores of the first `n` documents, each checked against its certified interval.
    pub(crate) fn score(&mut self, q: &[f32], qq: f64, documents: &[Pending], n: usize) -> Result<&[Scored]> {
        self.scores.clear();
        reserve(&mut self.scores, n)?;
        for (chunk, together) in documents[..n].chunks(TOGETHER).enumerate() {
            self.since_check += TOGETHER;
            if self.since_check > DOCUMENTS_PER_CHECK {
                self.since_check = 0;
                self.ticker.check()?;
            }
            for ahead in documents.iter().skip(chunk * TOGETHER + AHEAD).take(TOGETHER) {
                self.corpus.prefetch(ahead.row as usize);
            }
            let [a, b, c, d] = &mut self.buffers;
            let row = |i: usize| together[i.min(together.len() - 1)].row as usize;
            let rows = [
                self.corpus.row(self.isa, row(0), a),
                self.corpus.row(self.isa, row(1), b),
                self.corpus.row(self.isa, row(2), c),
                self.corpus.row(self.isa, row(3), d),
            ];
            let sums = self.metric.sum_many(self.isa, q, rows);
            for ((document, sum), d) in together.iter().zip(sums).zip(rows) {
                let dd = match self.metric {
                    Metric::Cosine if self.packed.is_empty() => self.metric.squared_norm(self.isa, d),
                    Metric::Cosine => self.packed.squared_norm(document.row),
                    Metric::Ip | Metric::L2 => 0.0,
                };
                let score = self.metric.finish(sum, qq, dd);
                if !(document.low <= score && score <= document.high) {
                    return Err(Error::CorpusChanged { row: document.row as usize });
                }
                self.scores.push(Scored { score, row: document.row });
            }
        }
        Ok(&self.scores)
    }
}
