//! Random negatives per query: pure functions of (seed, epoch, query), of any number of sources at once.
//!
//! Every source gives a probability to each document that the query may have: uniform, by weights, or uniform over the
//! query's list. Sources are mixed by their shares, which are divided among the sources that have any such document.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::Isa;

use crate::base::csr::CsrView;
use crate::base::error::check_length;
use crate::base::key_ranges::KeyRanges;
use crate::base::math::ln;
use crate::base::memory::zeros;
use crate::base::parallel::{Run, Ticker};
use crate::base::philox::{Draws, Stream};
use crate::base::{Error, Result};

use super::allowed::Allowed;
use super::distinct::distinct;
use super::law::{Law, Source};
use super::mixture::{Drawn, Mixture, Place};
use super::seen::Seen;

/// The most sources: their numbers are 8 bits wide.
const MOST_SOURCES: usize = i8::MAX as usize;

/// Entries drawn between two checks for an interrupt.
const ENTRIES_PER_CHECK: usize = 256;

/// Queries of a piece of work.
const QUERIES_PER_ITEM: usize = 64;

/// The rules and the law of the draws.
#[derive(Clone, Copy, Debug)]
pub struct Sampler<'a> {
    /// Number of documents.
    pub documents: usize,
    /// Documents that each query may not have, ascending.
    pub forbidden: CsrView<'a>,
    /// Rules of keys, all of which must admit a document.
    pub eligible: &'a [KeyRanges<'a>],
    /// The sources.
    pub sources: &'a [Source<'a>],
    /// Share of each source.
    pub shares: &'a [f64],
    /// Whether a document may be drawn several times.
    pub replace: bool,
    /// Seed of the draws.
    pub seed: u64,
}

/// Drawn documents, row-major; padded with -1 (documents), NaN (`log_q`) and -1 (sources).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampled {
    /// Document rows, ascending.
    pub indices: Vec<i64>,
    /// Logarithm of the expected number of times that the document is in the row, given the draws of the others.
    pub log_q: Vec<f64>,
    /// Source of each document.
    pub source: Vec<i8>,
    /// Documents per row.
    pub counts: Vec<i32>,
}

impl Sampler<'_> {
    /// Checks that the arrays fit each other, once for any number of draws.
    ///
    /// # Errors
    /// Returns an error that names the array that does not fit.
    pub fn check(&self) -> Result<()> {
        let queries = self.forbidden.len();
        check_length("shares", self.sources.len(), self.shares.len())?;
        if self.sources.len() > MOST_SOURCES {
            let got = format!("{} sources", self.sources.len());
            return Err(Error::Value { argument: "sources", rule: "at most 127 sources", got });
        }
        for query in 0..queries {
            self.forbidden.check_row("forbidden", query, self.documents, false)?;
        }
        for source in self.sources {
            match source {
                Source::Uniform | Source::List { .. } => {}
                Source::Weighted(table) => check_length("weights", self.documents, table.len())?,
                Source::Lists(lists) => {
                    check_length("sources", queries, lists.len())?;
                    for query in 0..queries {
                        lists.check_row("sources", query, self.documents, false)?;
                    }
                }
            }
        }
        self.eligible.iter().try_for_each(|ranges| ranges.check(queries, self.documents))
    }

    /// Draws `n` documents for each of some queries, from arrays that passed [`Self::check`]. The draws of a query do
    /// not depend on the others; `offset` is the row of query 0 in the whole data set. With `rows`, the draws belong to
    /// these numbers instead, so that a query may have several.
    ///
    /// # Errors
    /// Returns an error on a query that does not exist, a row below 0, lack of memory, or an interrupt.
    pub fn sample(
        &self,
        queries: &[i64],
        rows: Option<&[i64]>,
        n: usize,
        epoch: u64,
        offset: u64,
        run: &Run<'_>,
    ) -> Result<Sampled> {
        let known = self.forbidden.len();
        if let Some(&row) = queries.iter().find(|&&query| query < 0 || query >= known as i64) {
            return Err(Error::RowOutOfRange { argument: "queries", row, rows: known });
        }
        if let Some(rows) = rows {
            check_length("rows", queries.len(), rows.len())?;
            if let Some(row) = rows.iter().find(|&&row| row < 0) {
                return Err(Error::Value { argument: "rows", rule: "at least 0", got: row.to_string() });
            }
        }
        let draws = Draws::new(self.seed, Stream::Sampler);
        let mut sampled = Sampled::zeros(queries.len(), n)?;
        let parts = sampled.parts(QUERIES_PER_ITEM, n);
        run.map(parts.len(), Scratch::default, |scratch, item, ticker| {
            let mut part = parts[item].lock().unwrap_or_else(PoisonError::into_inner);
            let begin = item * QUERIES_PER_ITEM;
            let end = (begin + QUERIES_PER_ITEM).min(queries.len());
            let mut entries = ENTRIES_PER_CHECK;
            for (place_in_part, (number, &query)) in (begin..end).zip(&queries[begin..end]).enumerate() {
                entries += n;
                if entries >= ENTRIES_PER_CHECK {
                    ticker.check()?;
                    entries = 0;
                }
                let own = rows.map_or(offset + query as u64, |rows| rows[number] as u64);
                let place = Place { draws: &draws, epoch, query: own, lane: 0 };
                let Scratch { seen, ranks, drawn } = scratch;
                self.row(query as usize, n, &place, (seen, ranks), drawn, (run.isa, ticker))?;
                part.write(place_in_part, drawn, n);
            }
            Ok(())
        })?;
        drop(parts);
        Ok(sampled)
    }

    /// Draws the documents of one query.
    fn row(
        &self,
        query: usize,
        n: usize,
        place: &Place<'_>,
        (seen, ranks): (&mut Seen, &mut Vec<u32>),
        drawn: &mut Vec<Drawn>,
        (isa, ticker): (Isa, &Ticker<'_>),
    ) -> Result<()> {
        drawn.clear();
        let forbidden = self.forbidden.row(query);
        let allowed = Allowed { documents: self.documents, forbidden, eligible: self.eligible, query };
        let laws = Law::all(self.sources, self.shares, &allowed, ticker)?;
        if n == 0 || laws.is_empty() {
            return Ok(());
        }
        if let ([law], false) = (&laws[..], self.replace)
            && let Some(count) = law.equal()
        {
            // One uniform source: sets need no clocks.
            distinct(count, n, |block| place.attempt(block), seen, ranks);
            let log_q = ln(ranks.len() as f64 / count as f64);
            law.rows(isa, &allowed, ranks);
            drawn.extend(ranks.iter().map(|&row| Drawn { row, log_q, source: law.source }));
            return Ok(());
        }
        let mixture = Mixture { allowed, laws: &laws, place };
        if self.replace {
            mixture.with_replacement(n, drawn);
            return Ok(());
        }
        mixture.without_replacement(n, seen, drawn, ticker)
    }
}

impl Sampled {
    /// Rows that are not written yet.
    fn zeros(rows: usize, n: usize) -> Result<Self> {
        let entries = rows.saturating_mul(n);
        Ok(Self {
            indices: zeros(entries)?,
            log_q: zeros(entries)?,
            source: zeros(entries)?,
            counts: zeros(rows)?,
        })
    }

    /// Parts of some rows each, which workers write in any order.
    fn parts(&mut self, rows: usize, n: usize) -> Vec<Mutex<Part<'_>>> {
        let Self { indices, log_q, source, counts } = self;
        // Rows of no entries have counts all the same.
        let width = (rows * n).max(1);
        let (mut indices, mut log_q) = (indices.chunks_mut(width), log_q.chunks_mut(width));
        let mut source = source.chunks_mut(width);
        let part = |counts| {
            Mutex::new(Part {
                indices: indices.next().unwrap_or_default(),
                log_q: log_q.next().unwrap_or_default(),
                source: source.next().unwrap_or_default(),
                counts,
            })
        };
        counts.chunks_mut(rows).map(part).collect()
    }
}

/// Some rows of the result.
struct Part<'a> {
    indices: &'a mut [i64],
    log_q: &'a mut [f64],
    source: &'a mut [i8],
    counts: &'a mut [i32],
}

impl Part<'_> {
    /// Writes the documents of a row, and pads it to `n` entries.
    fn write(&mut self, row: usize, drawn: &[Drawn], n: usize) {
        let (begin, end) = (row * n, (row + 1) * n);
        let last = begin + drawn.len();
        let written =
            (&mut self.indices[begin..last], &mut self.log_q[begin..last], &mut self.source[begin..last]);
        for (((one, index), log_q), source) in drawn.iter().zip(written.0).zip(written.1).zip(written.2) {
            (*index, *log_q, *source) = (i64::from(one.row), one.log_q, one.source);
        }
        self.indices[last..end].fill(-1);
        self.log_q[last..end].fill(f64::NAN);
        self.source[last..end].fill(-1);
        self.counts[row] = drawn.len() as i32;
    }
}

/// Memory that a worker uses for one row after the other.
#[derive(Default)]
struct Scratch {
    seen: Seen,
    ranks: Vec<u32>,
    drawn: Vec<Drawn>,
}

#[cfg(test)]
mod tests {
    use super::super::alias::Alias;
    use super::*;
    use crate::base::math::exp;

    fn run() -> Run<'static> {
        Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
    }

    const WEIGHTS: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 10.0, 0.0];

    /// How often each document is drawn, the mean of 1 / `q`, and the standard error of that, over many queries that
    /// may not have document 3.
    fn means(sources: &[Source<'_>], shares: &[f64], replace: bool, n: usize) -> [[f64; 6]; 3] {
        const QUERIES: usize = 40_000;
        let offsets: Vec<i64> = (0..=QUERIES as i64).collect();
        let items = vec![3; QUERIES];
        let forbidden = CsrView::new("forbidden", &offsets, &items, QUERIES).unwrap();
        let sampler = Sampler { documents: 6, forbidden, eligible: &[], sources, shares, replace, seed: 11 };
        let queries: Vec<i64> = (0..QUERIES as i64).collect();
        let sampled = sampler.sample(&queries, None, n, 0, 0, &run()).unwrap();
        let mut means = [[0.0; 6]; 3];
        for (row, log_q) in sampled.indices.iter().zip(&sampled.log_q) {
            if *row >= 0 {
                means[0][*row as usize] += 1.0 / QUERIES as f64;
                means[1][*row as usize] += exp(-log_q) / QUERIES as f64;
                means[2][*row as usize] += exp(-2.0 * log_q) / QUERIES as f64;
            }
        }
        let [_, firsts, seconds] = &mut means;
        for (second, first) in seconds.iter_mut().zip(firsts.iter()) {
            *second = ((*second - first * first).max(0.0) / QUERIES as f64).sqrt();
        }
        assert_eq!(means[0][3], 0.0);
        means
    }

    #[test]
    fn inverse_probabilities_are_unbiased_under_every_law() {
        let table = Alias::new(&WEIGHTS, &run()).unwrap();
        // With a single draw, the variance of 1 / p is infinite.
        for n in [2, 4] {
            for replace in [false, true] {
                let both = [Source::Uniform, Source::Weighted(&table)];
                let laws = [
                    ("uniform", means(&both[..1], &[1.0], replace, n)),
                    ("weighted", means(&both[1..], &[2.0], replace, n)),
                    ("mixed", means(&both, &[0.3, 0.7], replace, n)),
                ];
                for (law, [_, means, errors]) in laws {
                    for (row, mean) in means.into_iter().enumerate() {
                        let possible = row != 3 && (law != "weighted" || row != 5);
                        let expected = if possible { 1.0 } else { 0.0 };
                        let error = 5.0 * errors[row] + 0.02;
                        assert!((mean - expected).abs() < error, "{law} {n} {replace} {row}: {mean}");
                    }
                }
            }
        }
    }

    #[test]
    fn single_draws_have_the_mixed_law() {
        let table = Alias::new(&WEIGHTS, &run()).unwrap();
        let [found, ..] = means(&[Source::Uniform, Source::Weighted(&table)], &[0.3, 0.7], false, 1);
        for row in [0, 1, 2, 4, 5] {
            let expected = 0.3 / 5.0 + 0.7 * WEIGHTS[row] / 16.0;
            assert!((found[row] - expected).abs() < 0.01, "{row}: {} for {expected}", found[row]);
        }
    }

    #[test]
    fn everything_is_taken_if_there_is_no_more_even_of_tiny_weight() {
        let table = Alias::new(&[1e20, 1.0, 1.0, 0.0], &run()).unwrap();
        let forbidden = CsrView::new("forbidden", &[0, 0, 1, 3], &[0, 1, 2], 3).unwrap();
        let sources = [Source::Weighted(&table)];
        let sampler = Sampler {
            documents: 4,
            forbidden,
            eligible: &[],
            sources: &sources,
            shares: &[1.0],
            replace: false,
            seed: 0,
        };
        sampler.check().unwrap();
        let sampled = sampler.sample(&[0, 1, 2], None, 3, 0, 0, &run()).unwrap();
        assert_eq!(sampled.indices, [0, 1, 2, 1, 2, -1, 0, -1, -1]);
        assert_eq!(sampled.counts, [3, 2, 1]);
        assert_eq!(sampled.log_q[..3], [0.0; 3]);
    }
}
