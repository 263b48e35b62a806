//! Random negatives per query: pure functions of (seed, epoch, query), of any number of sources at once.
//!
//! Every source gives a probability to each document that the query may have: uniform, by weights, or uniform over the
//! query's list. Sources are mixed by their shares, which are divided among the sources that have any such document.
//! With the mixed probability `w` of a document, the draws without replacement are those of clocks that ring at rate
//! `w`: documents are taken in the order of their first rings. Given the time `T` at which the first document rings that
//! is not taken, a document is taken with probability `1 - exp(-w T)`, and its inverse is unbiased for sums.

use std::collections::HashSet;

use crate::base::csr::CsrView;
use crate::base::draw::log_inclusion;
use crate::base::error::check_length;
use crate::base::key_ranges::{KeyRanges, all_admit};
use crate::base::math::ln;
use crate::base::memory::with_capacity;
use crate::base::parallel::{Run, Ticker};
use crate::base::philox::{Draws, Stream, below, unit};
use crate::base::{Error, Result};

use super::alias::Alias;
use super::complement::{distinct, row_of_rank, rows_of_ranks};
use super::seen::Seen;

/// The most sources: their numbers are 8 bits wide.
const MOST_SOURCES: usize = i8::MAX as usize;

/// Queries of a piece of work.
const QUERIES_PER_ITEM: usize = 64;

/// Documents looked through between two checks for an interrupt.
const DOCUMENTS_PER_CHECK: usize = 1 << 14;

/// If the allowed documents have less than this part of all weight, they are listed: most draws would be refused, and
/// what remains of a difference would be rounding errors.
const LEAST_ALLOWED: f64 = 0.125;

/// Rings per requested document, in addition to some, before the clocks of all documents are read.
const RINGS_PER_DOCUMENT: usize = 16;

/// Where documents come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// All documents, with equal probability.
    Uniform,
    /// All documents, in proportion to weights.
    Weighted(&'a Alias),
    /// The documents of the query's list, with equal probability; ascending.
    Lists(CsrView<'a>),
}

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
                Source::Uniform => {}
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
    /// not depend on the others; `offset` is the row of query 0 in the whole data set.
    ///
    /// # Errors
    /// Returns an error on a query that does not exist, lack of memory, or an interrupt.
    pub fn sample(
        &self,
        queries: &[i64],
        n: usize,
        epoch: u64,
        offset: u64,
        run: &Run<'_>,
    ) -> Result<Sampled> {
        let known = self.forbidden.len();
        if let Some(&row) = queries.iter().find(|&&query| query < 0 || query >= known as i64) {
            return Err(Error::RowOutOfRange { argument: "queries", row, rows: known });
        }
        let draws = Draws::new(self.seed, Stream::Sampler);
        let items = queries.len().div_ceil(QUERIES_PER_ITEM);
        let parts = run.map(items, Scratch::default, |scratch, item, ticker| {
            let mut part = Sampled::default();
            let end = ((item + 1) * QUERIES_PER_ITEM).min(queries.len());
            for &query in &queries[item * QUERIES_PER_ITEM..end] {
                ticker.check()?;
                let place = Place { draws: &draws, epoch, query: offset + query as u64 };
                let rows = self.row(query as usize, n, &place, scratch, ticker)?;
                part.push(&rows, n);
            }
            Ok(part)
        })?;
        let entries = queries.len().saturating_mul(n);
        let mut all = Sampled {
            indices: with_capacity(entries)?,
            log_q: with_capacity(entries)?,
            source: with_capacity(entries)?,
            counts: with_capacity(queries.len())?,
        };
        for part in parts {
            all.indices.extend(part.indices);
            all.log_q.extend(part.log_q);
            all.source.extend(part.source);
            all.counts.extend(part.counts);
        }
        Ok(all)
    }

    fn row(
        &self,
        query: usize,
        n: usize,
        place: &Place<'_>,
        scratch: &mut Scratch,
        ticker: &Ticker<'_>,
    ) -> Result<Vec<Drawn>> {
        let laws = self.laws(query, ticker)?;
        if n == 0 || laws.is_empty() {
            return Ok(Vec::new());
        }
        if let ([law], false) = (&laws[..], self.replace)
            && let Kind::Ranks { count, rows } = &law.kind
        {
            // One uniform source: sets need no clocks.
            let Scratch { seen, ranks } = scratch;
            distinct(*count, n, |block| place.attempt(block), seen, ranks);
            let log_q = ln(ranks.len() as f64 / *count as f64);
            match rows {
                Some(rows) => ranks.iter_mut().for_each(|rank| *rank = u64::from(rows[*rank as usize])),
                None => rows_of_ranks(self.forbidden.row(query), ranks),
            }
            let drawn = |&row: &u64| Drawn { row: row as u32, log_q, source: law.source };
            return Ok(ranks.iter().map(drawn).collect());
        }
        let mixture = Mixture { sampler: self, query, laws: &laws, place };
        if self.replace {
            return Ok(mixture.with_replacement(n));
        }
        mixture.without_replacement(n, &mut scratch.seen, ticker)
    }

    /// The law of every source that has a document for the query; their shares add up to 1.
    fn laws(&self, query: usize, ticker: &Ticker<'_>) -> Result<Vec<Law<'_>>> {
        let mut laws = Vec::with_capacity(self.sources.len());
        let mut total = 0.0;
        for (number, (source, &share)) in self.sources.iter().zip(self.shares).enumerate() {
            let kind = if share > 0.0 { self.kind(query, source, ticker)? } else { None };
            if let Some(kind) = kind {
                total += share;
                laws.push(Law { source: number as i8, share, kind });
            }
        }
        for law in &mut laws {
            law.share /= total;
        }
        Ok(laws)
    }

    fn kind<'a>(&self, query: usize, source: &Source<'a>, ticker: &Ticker<'_>) -> Result<Option<Kind<'a>>> {
        let forbidden = self.forbidden.row(query);
        Ok(match source {
            Source::Uniform if self.eligible.is_empty() => {
                let count = (self.documents - forbidden.len()) as u64;
                (count > 0).then_some(Kind::Ranks { count, rows: None })
            }
            Source::Uniform => Kind::of_rows(self.allowed(query, ticker)?),
            Source::Lists(lists) => {
                let allowed = lists.row(query).iter().filter(|&&row| self.allows(query, row));
                Kind::of_rows(allowed.map(|&row| row as u32).collect())
            }
            Source::Weighted(table) => {
                let lost = forbidden.iter().fold(0.0, |sum, &row| sum + table.weight(row as u32));
                let mass = table.total() - lost;
                if table.positive() == 0 {
                    None
                } else if self.eligible.is_empty() && mass >= LEAST_ALLOWED * table.total() {
                    Some(Kind::Alias { table, mass })
                } else {
                    let mut rows = self.allowed(query, ticker)?;
                    rows.retain(|&row| table.weight(row) > 0.0);
                    let mut sum = 0.0;
                    let add = |&row: &u32| {
                        sum += table.weight(row);
                        sum
                    };
                    let cumulative: Vec<f64> = rows.iter().map(add).collect();
                    cumulative.last().copied().map(|mass| Kind::Listed { table, rows, cumulative, mass })
                }
            }
        })
    }

    fn allows(&self, query: usize, row: i64) -> bool {
        self.forbidden.row(query).binary_search(&row).is_err()
            && all_admit(self.eligible, query, row as usize)
    }

    /// All documents that the query may have, in row order.
    fn allowed(&self, query: usize, ticker: &Ticker<'_>) -> Result<Vec<u32>> {
        let mut rows = Vec::new();
        for first in (0..self.documents).step_by(DOCUMENTS_PER_CHECK) {
            ticker.check()?;
            let some = first..(first + DOCUMENTS_PER_CHECK).min(self.documents);
            rows.extend(some.filter(|&row| self.allows(query, row as i64)).map(|row| row as u32));
        }
        Ok(rows)
    }

    /// The document of a rank among those of a uniform law.
    fn at(&self, query: usize, law: &Law<'_>, rank: u64) -> u32 {
        match &law.kind {
            Kind::Ranks { rows: Some(rows), .. } => rows[rank as usize],
            _ => row_of_rank(self.forbidden.row(query), rank) as u32,
        }
    }
}

impl Sampled {
    fn push(&mut self, drawn: &[Drawn], n: usize) {
        let end = self.indices.len() + n;
        for one in drawn {
            self.indices.push(i64::from(one.row));
            self.log_q.push(one.log_q);
            self.source.push(one.source);
        }
        self.indices.resize(end, -1);
        self.log_q.resize(end, f64::NAN);
        self.source.resize(end, -1);
        self.counts.push(drawn.len() as i32);
    }
}

/// Memory that a worker uses for one row after the other.
#[derive(Default)]
struct Scratch {
    seen: Seen,
    ranks: Vec<u64>,
}

/// A document of a row.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    row: u32,
    log_q: f64,
    source: i8,
}

/// What the draws of a row depend on.
struct Place<'a> {
    draws: &'a Draws,
    epoch: u64,
    query: u64,
}

impl Place<'_> {
    /// The numbers of attempt `t`: the source, the document, the clock, and one more.
    fn attempt(&self, t: u64) -> [u64; 4] {
        self.draws.block([1 + t, 0, self.query, self.epoch])
    }

    /// The numbers of a document, whose counters no attempt reaches: the clock and the source.
    fn document(&self, row: u32) -> [u64; 4] {
        self.draws.block([u64::MAX, u64::from(row), self.query, self.epoch])
    }
}

/// The probabilities of one source for one query.
struct Law<'a> {
    source: i8,
    share: f64,
    kind: Kind<'a>,
}

enum Kind<'a> {
    /// Equal probabilities of all allowed documents, or of these rows.
    Ranks { count: u64, rows: Option<Vec<u32>> },
    /// Weights, with the sum of those of allowed documents; others are refused.
    Alias { table: &'a Alias, mass: f64 },
    /// Weights of these rows, added up.
    Listed { table: &'a Alias, rows: Vec<u32>, cumulative: Vec<f64>, mass: f64 },
}

impl Kind<'_> {
    fn of_rows(rows: Vec<u32>) -> Option<Self> {
        (!rows.is_empty()).then_some(Self::Ranks { count: rows.len() as u64, rows: Some(rows) })
    }
}

/// All laws of one query.
struct Mixture<'a> {
    sampler: &'a Sampler<'a>,
    query: usize,
    laws: &'a [Law<'a>],
    place: &'a Place<'a>,
}

impl Mixture<'_> {
    fn with_replacement(&self, n: usize) -> Vec<Drawn> {
        let mut t = 0;
        let mut drawn: Vec<Drawn> = (0..n)
            .map(|_| {
                let numbers = self.place.attempt(t);
                t += 1;
                let (row, source) = self.draw(numbers, &mut t);
                Drawn { row, log_q: ln(n as f64 * self.probability(row)), source }
            })
            .collect();
        drawn.sort_by_key(|one| one.row);
        drawn
    }

    /// The document of the numbers of an attempt, and its source. Refused documents are drawn again, from the same
    /// source, by attempts from `t` on.
    fn draw(&self, numbers: [u64; 4], t: &mut u64) -> (u32, i8) {
        let chosen = if self.laws.len() == 1 { 0 } else { self.choose(unit(numbers[0]), |law| law.share) };
        let law = &self.laws[chosen];
        let mut x = numbers[1];
        loop {
            if let Some(row) = self.from(law, x) {
                return (row, law.source);
            }
            x = self.place.attempt(*t)[1];
            *t += 1;
        }
    }

    /// The document of a draw from one source; `None` if the query may not have it.
    fn from(&self, law: &Law<'_>, x: u64) -> Option<u32> {
        match &law.kind {
            Kind::Ranks { count, .. } => Some(self.sampler.at(self.query, law, below(x, *count))),
            Kind::Alias { table, .. } => {
                let row = table.draw(x);
                self.sampler.allows(self.query, i64::from(row)).then_some(row)
            }
            Kind::Listed { rows, cumulative, mass, .. } => {
                let place = cumulative.partition_point(|sum| *sum <= unit(x) * mass);
                Some(rows[place.min(rows.len() - 1)])
            }
        }
    }

    /// The part of `w` that one source gives to a document.
    fn part(law: &Law<'_>, row: u32) -> f64 {
        let probability = match &law.kind {
            Kind::Ranks { rows: Some(rows), .. } if rows.binary_search(&row).is_err() => 0.0,
            Kind::Ranks { count, .. } => 1.0 / *count as f64,
            Kind::Alias { table, mass } | Kind::Listed { table, mass, .. } => table.weight(row) / mass,
        };
        law.share * probability
    }

    /// The mixed probability `w` of a document that the query may have.
    fn probability(&self, row: u32) -> f64 {
        self.laws.iter().fold(0.0, |sum, law| sum + Self::part(law, row))
    }

    /// The law in whose part of the sum of all parts the number u of (0, 1) lies.
    fn choose(&self, u: f64, part: impl Fn(&Law<'_>) -> f64) -> usize {
        let total = self.laws.iter().fold(0.0, |sum, law| sum + part(law));
        let mut sum = 0.0;
        let reached = self.laws.iter().position(|law| {
            sum += part(law);
            u * total < sum
        });
        reached.unwrap_or(self.laws.len() - 1)
    }

    /// The first `n` documents to ring. Rings come one after the other, of any document, until enough have rung. If
    /// most of them repeat, the clocks of all others are read at once, which changes no probability: clocks have no
    /// memory.
    fn without_replacement(&self, n: usize, seen: &mut Seen, ticker: &Ticker<'_>) -> Result<Vec<Drawn>> {
        let mut taken: Vec<(u32, i8)> = Vec::with_capacity(n + 1);
        seen.clear(n + 1);
        let (mut time, mut t) = (0.0, 0);
        for _ in 0..RINGS_PER_DOCUMENT * (n + 4) {
            let numbers = self.place.attempt(t);
            t += 1;
            time -= ln(unit(numbers[2]));
            let (row, source) = self.draw(numbers, &mut t);
            if seen.insert(u64::from(row)) {
                taken.push((row, source));
            }
            if taken.len() > n {
                break;
            }
        }
        if taken.len() <= n {
            time = self.read_clocks(&mut taken, n, time, ticker)?;
        }
        taken.truncate(n);
        let log_rate = -ln(time);
        let mut drawn: Vec<Drawn> = taken
            .into_iter()
            .map(|(row, source)| {
                let log_q = if time == f64::INFINITY {
                    0.0
                } else {
                    log_inclusion(ln(self.probability(row)), log_rate)
                };
                Drawn { row, log_q, source }
            })
            .collect();
        drawn.sort_unstable_by_key(|one| one.row);
        Ok(drawn)
    }

    /// Takes the documents that ring next, up to `n` in all; returns the time of the first ring after these, infinity
    /// if there is no further document.
    fn read_clocks(
        &self,
        taken: &mut Vec<(u32, i8)>,
        n: usize,
        time: f64,
        ticker: &Ticker<'_>,
    ) -> Result<f64> {
        let mut rings: Vec<(f64, u32)> = Vec::new();
        let rung: HashSet<u32> = taken.iter().map(|one| one.0).collect();
        for row in self.sampler.allowed(self.query, ticker)? {
            let rate = self.probability(row);
            if rate > 0.0 && !rung.contains(&row) {
                rings.push((-ln(unit(self.place.document(row)[0])) / rate, row));
            }
        }
        let lacking = n - taken.len();
        rings.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for &(_, row) in rings.iter().take(lacking) {
            let law = self.choose(unit(self.place.document(row)[1]), |law| Self::part(law, row));
            taken.push((row, self.laws[law].source));
        }
        Ok(rings.get(lacking).map_or(f64::INFINITY, |ring| time + ring.0))
    }
}

#[cfg(test)]
mod tests {
    use negmine_kernels::Isa;

    use super::*;
    use crate::base::math::exp;

    fn run() -> Run<'static> {
        Run { threads: 1, isa: Isa::best(), poll: &|_, _| false }
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
        let sampled = sampler.sample(&queries, n, 0, 0, &run()).unwrap();
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
        let sampled = sampler.sample(&[0, 1, 2], 3, 0, 0, &run()).unwrap();
        assert_eq!(sampled.indices, [0, 1, 2, 1, 2, -1, 0, -1, -1]);
        assert_eq!(sampled.counts, [3, 2, 1]);
        assert_eq!(sampled.log_q[..3], [0.0; 3]);
    }
}
