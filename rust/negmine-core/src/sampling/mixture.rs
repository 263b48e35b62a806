//! Draws from the mixed law of several sources.
//!
//! With the mixed probability `w` of a document, the draws without replacement are those of clocks that ring at rate
//! `w`: documents are taken in the order of their first rings. Given the time `T` at which the first document rings that
//! is not taken, a document is taken with probability `1 - exp(-w T)`, and its inverse is unbiased for sums.

use std::collections::HashSet;

use crate::base::Result;
use crate::base::draw::log_inclusion;
use crate::base::math::ln;
use crate::base::parallel::Ticker;
use crate::base::philox::{Draws, unit};

use super::allowed::Allowed;
use super::law::Law;
use super::seen::Seen;

/// Rings per requested document, in addition to some, before the clocks of all documents are read.
const RINGS_PER_DOCUMENT: usize = 16;

/// A document of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    pub(super) row: u32,
    pub(super) log_q: f64,
    pub(super) source: i8,
}

/// A document that rang for the first time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    pub(super) time: f64,
    pub(super) row: u32,
    pub(super) source: i8,
}

/// What the draws of a row depend on.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) draws: &'a Draws,
    pub(super) epoch: u64,
    pub(super) query: u64,
    /// Number of the draws, if a row has several that do not depend on each other.
    pub(super) lane: u64,
}

impl Place<'_> {
    /// The numbers of attempt `t`: the source, the document, the clock, and one more.
    pub(super) fn attempt(&self, t: u64) -> [u64; 4] {
        self.draws.block([1 + t, self.lane, self.query, self.epoch])
    }

    /// The numbers of a document, whose counters no attempt reaches: the clock and the source.
    fn document(&self, row: u32) -> [u64; 4] {
        self.draws.block([u64::MAX - self.lane, u64::from(row), self.query, self.epoch])
    }
}

/// The most attempts whose numbers are drawn ahead: while the first of them are used, the processor fetches what the
/// others read of an alias table.
const AHEAD: usize = 32;

/// The same for draws of a single law, which need one number each.
const NUMBERS_AHEAD: usize = 128;

/// Attempts in order.
struct Attempts<'a> {
    place: &'a Place<'a>,
    laws: &'a [Law<'a>],
    drawn: [[u64; 4]; AHEAD],
    /// Numbers of `drawn` that are used, and that there are.
    used: usize,
    filled: usize,
    /// Number of the attempt after the last one that is drawn.
    next: u64,
}

impl<'a> Attempts<'a> {
    fn new(place: &'a Place<'a>, laws: &'a [Law<'a>]) -> Self {
        Self { place, laws, drawn: [[0; 4]; AHEAD], used: 0, filled: 0, next: 0 }
    }

    /// The numbers of the next attempt, of which at least `more` are wanted, if none is refused.
    #[inline]
    fn pop(&mut self, more: usize) -> [u64; 4] {
        if self.used == self.filled {
            self.fill(more);
        }
        self.used += 1;
        self.drawn[self.used - 1]
    }

    fn fill(&mut self, more: usize) {
        self.filled = more.clamp(1, AHEAD);
        self.used = 0;
        for numbers in &mut self.drawn[..self.filled] {
            *numbers = self.place.attempt(self.next);
            self.next += 1;
            for law in self.laws {
                law.prefetch(numbers[1]);
            }
        }
    }
}

/// All laws of one query.
pub(super) struct Mixture<'a> {
    pub(super) allowed: Allowed<'a>,
    pub(super) laws: &'a [Law<'a>],
    pub(super) place: &'a Place<'a>,
}

impl Mixture<'_> {
    /// Independent draws.
    pub(super) fn with_replacement(&self, n: usize, drawn: &mut Vec<Drawn>) {
        if let [law] = self.laws {
            let rows = self.repeated_rows(law, n);
            let log_q = |row| ln(n as f64 * law.part(row));
            drawn.extend(rows.into_iter().map(|row| Drawn { row, log_q: log_q(row), source: law.source }));
            return;
        }
        let mut attempts = Attempts::new(self.place, self.laws);
        for number in 0..n {
            let numbers = attempts.pop(n - number);
            let (row, source) = self.document(numbers, &mut attempts);
            self.prefetch_probability(row);
            drawn.push(Drawn { row, log_q: 0.0, source });
        }
        drawn.sort_by_key(|one| one.row);
        for one in drawn {
            one.log_q = ln(n as f64 * self.probability(one.row));
        }
    }

    /// Independent draws of one law, ascending: the documents of the first `n` numbers that are not refused.
    fn repeated_rows(&self, law: &Law<'_>, n: usize) -> Vec<u32> {
        let mut rows = Vec::with_capacity(n);
        let mut numbers = [0; NUMBERS_AHEAD];
        let mut block = 0;
        while rows.len() < n {
            let ahead = (n - rows.len()).next_multiple_of(4).min(NUMBERS_AHEAD);
            for four in numbers[..ahead].chunks_exact_mut(4) {
                four.copy_from_slice(&self.place.attempt(block));
                block += 1;
            }
            for &number in &numbers[..ahead] {
                law.prefetch(number);
            }
            for row in numbers[..ahead].iter().filter_map(|&number| law.draw(&self.allowed, number)) {
                law.prefetch_part(row);
                rows.push(row);
            }
        }
        rows.truncate(n);
        rows.sort_unstable();
        rows
    }

    /// The document of the numbers of an attempt, and its source. Refused documents are drawn again, from the same
    /// source, by the next attempts.
    fn document(&self, numbers: [u64; 4], attempts: &mut Attempts<'_>) -> (u32, i8) {
        let chosen = if self.laws.len() == 1 { 0 } else { self.choose(unit(numbers[0]), |law| law.share) };
        let law = &self.laws[chosen];
        let mut x = numbers[1];
        loop {
            if let Some(row) = law.draw(&self.allowed, x) {
                return (row, law.source);
            }
            x = attempts.pop(1)[1];
        }
    }

    /// Asks the processor to fetch what the probability of a document needs.
    fn prefetch_probability(&self, row: u32) {
        for law in self.laws {
            law.prefetch_part(row);
        }
    }

    /// The mixed probability `w` of a document that the query may have.
    pub(super) fn probability(&self, row: u32) -> f64 {
        self.laws.iter().fold(0.0, |sum, law| sum + law.part(row))
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

    /// The first `n` documents to ring, with their probabilities.
    pub(super) fn without_replacement(
        &self,
        n: usize,
        seen: &mut Seen,
        drawn: &mut Vec<Drawn>,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let (rings, next) = self.rings(n, seen, ticker)?;
        let log_rate = -ln(next);
        drawn.extend(rings.into_iter().map(|Ring { row, source, .. }| {
            let log_q =
                if next == f64::INFINITY { 0.0 } else { log_inclusion(ln(self.probability(row)), log_rate) };
            Drawn { row, log_q, source }
        }));
        drawn.sort_unstable_by_key(|one| one.row);
        Ok(())
    }

    /// The first `n` documents to ring, in this order, and the time at which the next one rings, infinity if there is
    /// none. Rings come one after the other, of any document, until enough have rung. If most of them repeat, the clocks
    /// of all others are read at once, which changes no probability: clocks have no memory.
    pub(super) fn rings(&self, n: usize, seen: &mut Seen, ticker: &Ticker<'_>) -> Result<(Vec<Ring>, f64)> {
        self.first_rings(n, n, seen, ticker)
    }

    /// As [`Self::rings`], with as many rings before all clocks are read as for `enough` documents: for one `enough`, the
    /// documents of a lower `n` are the first of those of a higher one.
    pub(super) fn first_rings(
        &self,
        n: usize,
        enough: usize,
        seen: &mut Seen,
        ticker: &Ticker<'_>,
    ) -> Result<(Vec<Ring>, f64)> {
        let [n, enough] = [n, enough].map(|number| number.min(self.allowed.documents));
        let mut taken: Vec<Ring> = Vec::with_capacity(n + 1);
        seen.clear(n + 1);
        let mut time = 0.0;
        let mut attempts = Attempts::new(self.place, self.laws);
        for _ in 0..RINGS_PER_DOCUMENT * (enough + 4) {
            let numbers = attempts.pop(n + 1 - taken.len());
            time -= ln(unit(numbers[2]));
            let (row, source) = self.document(numbers, &mut attempts);
            if seen.insert(u64::from(row)) {
                self.prefetch_probability(row);
                taken.push(Ring { time, row, source });
            }
            if taken.len() > n {
                break;
            }
        }
        if taken.len() <= n {
            time = self.read_clocks(&mut taken, n, time, ticker)?;
        }
        taken.truncate(n);
        Ok((taken, time))
    }

    /// Takes the documents that ring next, up to `n` in all; returns the time of the first ring after these, infinity
    /// if there is no further document.
    fn read_clocks(&self, taken: &mut Vec<Ring>, n: usize, time: f64, ticker: &Ticker<'_>) -> Result<f64> {
        let mut rings: Vec<(f64, u32)> = Vec::new();
        let rung: HashSet<u32> = taken.iter().map(|ring| ring.row).collect();
        for row in self.allowed.rows(ticker)? {
            let rate = self.probability(row);
            if rate > 0.0 && !rung.contains(&row) {
                rings.push((-ln(unit(self.place.document(row)[0])) / rate, row));
            }
        }
        let lacking = n - taken.len();
        rings.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for &(wait, row) in rings.iter().take(lacking) {
            let law = self.choose(unit(self.place.document(row)[1]), |law| law.part(row));
            taken.push(Ring { time: time + wait, row, source: self.laws[law].source });
        }
        Ok(rings.get(lacking).map_or(f64::INFINITY, |ring| time + ring.0))
    }
}
