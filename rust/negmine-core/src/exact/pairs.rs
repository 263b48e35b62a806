//! Canonical scores of given pairs of a query and a document of an index.
//!
//! As in a scan, each score is checked against its certified interval if the document is kept packed: a row that has
//! changed since the build would otherwise change a reference or a cap silently. Documents that are not kept packed are
//! read in their current state.

use negmine_kernels::dot_i8::padded_width;
use negmine_kernels::isa::Isa;

use crate::base::csr::CsrView;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::base::{Error, Result};
use crate::scoring::bound::{QueryBound, Slack};
use crate::scoring::pack::PackedRows;
use crate::scoring::score::{Metric, ScorePairs, score_pairs_with};

use super::index::ExactIndex;

/// Scores documents against one query after another.
pub(crate) struct PairScorer<'a, 'c> {
    isa: Isa,
    metric: Metric,
    slack: Slack,
    corpus: &'a Rows<'c>,
    /// Empty if documents are not kept packed.
    packed: PackedRows<'a>,
    buffer: Vec<f32>,
    q: Vec<f32>,
    codes: Vec<i8>,
    bound: Option<QueryBound>,
}

impl ExactIndex {
    /// Canonical scores of given pairs, as [`score_pairs`](crate::scoring::score::score_pairs) gives them.
    ///
    /// # Errors
    /// As there, and a document that is not what was indexed.
    pub fn score_pairs(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        pairs: CsrView<'_>,
        run: &Run<'_>,
    ) -> Result<Vec<f64>> {
        self.check_sides(corpus, queries)?;
        let tiles = self.kept_tiles();
        let packed = self.packed_rows(tiles.as_deref());
        let scorer = || PairScorer::new(self, corpus, packed, run.isa);
        score_pairs_with(queries, self.len(), pairs, scorer, run)
    }
}

impl<'a, 'c> PairScorer<'a, 'c> {
    pub(crate) fn new(index: &ExactIndex, corpus: &'a Rows<'c>, packed: PackedRows<'a>, isa: Isa) -> Self {
        Self {
            isa,
            metric: index.metric(),
            slack: index.layout().slack,
            corpus,
            packed,
            buffer: vec![0.0; corpus.width()],
            q: Vec::with_capacity(corpus.width()),
            codes: vec![0; padded_width(corpus.width())],
            bound: None,
        }
    }
}

impl ScorePairs for PairScorer<'_, '_> {
    fn begin(&mut self, q: &[f32]) {
        self.q.clear();
        self.q.extend_from_slice(q);
        self.bound = Some(QueryBound::of(self.metric, self.slack, self.isa, q, &mut self.codes));
    }

    fn prefetch(&self, row: u32) {
        self.corpus.prefetch(row as usize);
    }

    fn score(&mut self, row: u32) -> Result<f64> {
        let changed = Error::CorpusChanged { row: row as usize };
        let Some(query) = &self.bound else { return Err(changed) };
        let d = self.corpus.row(self.isa, row as usize, &mut self.buffer);
        if self.packed.is_empty() {
            let (sum, dd) = self.metric.sum_and_norm(self.isa, &self.q, d);
            let score = self.metric.finish(sum, query.qq, dd);
            return if score.is_finite() { Ok(score) } else { Err(changed) };
        }
        let sum = self.metric.sum(self.isa, &self.q, d);
        let (document, dot) = self.packed.bound(row, &self.codes);
        let (low, high) = query.interval(dot, &document);
        let score = self.metric.finish(sum, query.qq, document.dd);
        if low <= score && score <= high { Ok(score) } else { Err(changed) }
    }
}
