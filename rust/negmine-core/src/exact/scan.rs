//! The scan: every document against every query.

use crate::base::matrix::Rows;
use crate::base::order::{Best, Scored};
use crate::base::parallel::Run;
use crate::base::{Error, Result};

use super::index::ExactIndex;
use super::request::{Candidates, Found, Targets};

/// Documents scored between two looks at the clock.
const ROWS_PER_CHECK: usize = 1024;

impl ExactIndex {
    /// The best documents of every result row.
    ///
    /// # Errors
    /// Shapes that do not fit the index, values that are not finite, or an interrupt.
    pub fn scan(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        candidates: &Candidates<'_>,
        targets: &Targets,
        run: &Run<'_>,
    ) -> Result<Vec<Found>> {
        if corpus.len() != self.len() || corpus.width() != self.width() {
            return Err(Error::Length { argument: "corpus", expected: self.len(), got: corpus.len() });
        }
        if queries.width() != self.width() {
            return Err(Error::WidthMismatch { queries: queries.width(), corpus: self.width() });
        }
        let width = self.width();
        let parts = run.map(
            queries.len(),
            || (vec![0.0; width], vec![0.0; width]),
            |(query_buffer, buffer), i, ticker| {
                let q = queries.finite_row(run.isa, i, query_buffer)?;
                let qq = self.metric().squared_norm(run.isa, q);
                let rows = targets.offsets[i]..targets.offsets[i + 1];
                let mut best: Vec<Best> = rows.clone().map(|_| Best::new(targets.depth)).collect();
                let mut above = vec![0_u64; rows.len()];
                for r in 0..corpus.len() {
                    if r % ROWS_PER_CHECK == 0 {
                        ticker.check()?;
                    }
                    if !candidates.admits(i, r as u32) {
                        continue;
                    }
                    let d = corpus.row(run.isa, r, buffer);
                    let sum = self.metric().sum(run.isa, q, d);
                    let score = self.metric().finish(sum, qq, self.squared_norm(r));
                    for (t, row) in rows.clone().enumerate() {
                        if score > targets.caps[row] {
                            above[t] += 1;
                        } else if score <= targets.caps[row] && score >= targets.floor {
                            best[t].offer(Scored { score, row: r as u32 });
                        }
                    }
                }
                let found = best.into_iter().zip(above);
                Ok(found.map(|(b, above_cap)| Found { best: b.into_sorted(), above_cap }).collect::<Vec<_>>())
            },
        )?;
        Ok(parts.into_iter().flatten().collect())
    }
}
