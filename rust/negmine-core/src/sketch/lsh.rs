//! Near-duplicates by locality-sensitive hashing of signatures (Indyk and Motwani, STOC 1998; bands of `MinHash` words
//! as in Broder and others, "Syntactic clustering of the web", 1997).
//!
//! A signature is cut into bands of a few words; sets that agree in a whole band are candidates, with probability `1 -
//! (1 - J^rows)^bands`. Every candidate pair is verified, unless its sets are connected already, so there are no false
//! reports: a false candidate only costs time, and only a missed pair changes the result. The choice of bands follows
//! from this.
//!
//! Bands follow each other; within a band, every bucket is processed independently, from the groups that the earlier
//! bands produced. Groups, links and counts are therefore the same for any number of threads.

use negmine_kernels::sketch::{EMPTY, splitmix};

use super::bucket::connect;
use crate::base::csr::CsrView;
use crate::base::parallel::{Run, Ticker};
use crate::base::union_find::{Groups, Link, sort_links};
use crate::base::{Error, Result};

/// Parts of a band's buckets, by key.
const PARTS: usize = 16;

/// Rows whose keys are computed between two checks for an interrupt.
const ROWS_PER_ITEM: usize = 1 << 12;

/// Pairs that are compared, and items of two sets, between two checks for an interrupt.
const PAIRS_PER_CHECK: usize = 64;
const ITEMS_PER_CHECK: usize = 1 << 20;

/// Steps of the integrals.
const STEPS: usize = 1_000;

/// The mean portion of pairs above the threshold that bands may miss.
const MAX_MISSED: f64 = 0.01;

/// The division of a signature into bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Bands of a signature.
    pub bands: usize,
    /// Words of a band.
    pub rows: usize,
}

impl Bands {
    /// The most selective bands that miss at most a hundredth of the pairs at or above the threshold, whose
    /// similarities are taken to be spread evenly; where none does so, those that miss fewest. Among equals the
    /// fewest candidates below the threshold, then the fewest words in a band.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub fn choose(threshold: f64, words: usize, run: &Run<'_>) -> Result<Self> {
        let choices = run.map(
            words,
            || (),
            |(), item, _| {
                let cut = Self { bands: words / (item + 1), rows: item + 1 };
                let missed = mean(threshold, 1.0, |s| 1.0 - cut.probability(s)).max(MAX_MISSED);
                Ok((missed, mean(0.0, threshold, |s| cut.probability(s)), cut))
            },
        )?;
        let mut best: Option<(f64, f64, Bands)> = None;
        for (missed, wasted, cut) in choices {
            if best.is_none_or(|(m, w, _)| (missed, wasted) < (m, w)) {
                best = Some((missed, wasted, cut));
            }
        }
        Ok(best.map_or(Self { bands: 0, rows: 1 }, |(_, _, cut)| cut))
    }

    /// The probability that a pair of similarity `s` is a candidate.
    #[must_use]
    pub fn probability(&self, s: f64) -> f64 {
        let power = |x: f64, n: usize| (0..n).fold(1.0, |product, _| product * x);
        1.0 - power(1.0 - power(s, self.rows), self.bands)
    }
}

/// The mean of a function between two numbers, by the midpoint rule.
fn mean(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
    let middles = (0..STEPS).map(|step| from + (to - from) * (step as f64 + 0.5) / STEPS as f64);
    middles.map(f).sum::<f64>() / STEPS as f64
}

/// The evidence that verifies a candidate pair.
#[derive(Clone, Copy, Debug)]
pub enum Evidence<'a> {
    /// The sets, with items ascending and without repeats: exact Jaccard similarity.
    Sets(CsrView<'a, u64>),
    /// The signatures: the portion of words in which they agree.
    Signatures,
}

/// Near-duplicates.
#[derive(Clone, Debug)]
pub struct Found {
    /// The first row of every row's group; -1 for a row without near-duplicates.
    pub groups: Vec<i64>,
    /// The pairs that connect groups, one fewer than rows in each, in ascending order.
    pub links: Vec<Link>,
    /// Candidate pairs that were verified.
    pub verified: u64,
}

/// Finds the groups of sets that are connected by pairs of similarity `threshold` or more, among the pairs that share a
/// band.
///
/// `signatures` holds `words` minima per row; those of the empty set match nothing.
///
/// # Errors
/// Returns an error on more rows than row numbers, arrays of unequal length, or an interrupt.
pub fn near_duplicates(
    signatures: &[u32],
    words: usize,
    cut: Bands,
    threshold: f64,
    evidence: Evidence<'_>,
    run: &Run<'_>,
) -> Result<Found> {
    let n = signatures.len() / words.max(1);
    if n > u32::MAX as usize {
        return Err(Error::TooManyRows { argument: "signatures", rows: n });
    }
    crate::base::error::check_length("signatures", n * words, signatures.len())?;
    if let Evidence::Sets(sets) = evidence {
        crate::base::error::check_length("sets", n, sets.len())?;
    }
    let search = Search { signatures, words, cut, threshold, evidence };
    let mut groups = Groups::new(n);
    let (mut links, mut verified) = (Vec::new(), 0);
    for band in 0..cut.bands {
        let steps = 2 * PARTS;
        let poll =
            |done: usize, all: usize| (run.poll)(steps * band + done * PARTS / all.max(1), steps * cut.bands);
        let keys = search.keys(band, &Run { poll: &poll, ..*run })?;
        let leaders = groups.leaders();
        let poll = |done: usize, _: usize| (run.poll)(steps * band + PARTS + done, steps * cut.bands);
        let run = Run { poll: &poll, ..*run };
        let parts = run.map(
            PARTS,
            || (),
            |(), part, ticker| {
                let mut members: Vec<(u64, u32)> = (0_u32..)
                    .zip(&keys)
                    .filter(|(_, key)| key.is_some_and(|key| key as usize % PARTS == part))
                    .map(|(row, key)| (key.unwrap_or(0), row))
                    .collect();
                members.sort_unstable();
                let mut out = (Vec::new(), 0_u64);
                for bucket in members.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
                    search.connect(bucket, band, &leaders, &mut out, ticker)?;
                }
                Ok(out)
            },
        )?;
        for (found, count) in parts {
            verified += count;
            links.extend(found.into_iter().filter(|link: &Link| groups.join(link.a, link.b)));
        }
    }
    let steps = 2 * PARTS * cut.bands;
    let links = run.part(steps..steps, steps, |run| sort_links(links, run))?;
    Ok(Found { groups: groups.keys(), links, verified })
}

struct Search<'a> {
    signatures: &'a [u32],
    words: usize,
    cut: Bands,
    threshold: f64,
    evidence: Evidence<'a>,
}

impl Search<'_> {
    fn row(&self, row: usize) -> &[u32] {
        &self.signatures[row * self.words..][..self.words]
    }

    fn band(&self, row: u32, band: usize) -> &[u32] {
        &self.row(row as usize)[band * self.cut.rows..][..self.cut.rows]
    }

    /// The key of every row in one band; none for the empty set.
    fn keys(&self, band: usize, run: &Run<'_>) -> Result<Vec<Option<u64>>> {
        let n = self.signatures.len() / self.words;
        let parts = run.map(
            n.div_ceil(ROWS_PER_ITEM),
            || (),
            |(), item, _| {
                let rows = item * ROWS_PER_ITEM..n.min((item + 1) * ROWS_PER_ITEM);
                let key = |row: usize| {
                    let empty = self.row(row).iter().all(|word| *word == EMPTY);
                    let words = self.band(row as u32, band).iter();
                    (!empty).then(|| words.fold(0, |key, word| splitmix(key ^ u64::from(*word))))
                };
                Ok(rows.map(key).collect::<Vec<_>>())
            },
        )?;
        Ok(parts.concat())
    }

    /// Connects the rows of one bucket, given the groups before this band; adds to the count of verified pairs.
    fn connect(
        &self,
        bucket: &[(u64, u32)],
        band: usize,
        leaders: &[u32],
        (links, verified): &mut (Vec<Link>, u64),
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let mut compared = 0_usize;
        connect(bucket, leaders, links, |other, row| {
            if compared.is_multiple_of(PAIRS_PER_CHECK) {
                ticker.check()?;
            }
            compared += 1;
            // A pair that met in an earlier band was compared there.
            if (0..band).any(|band| self.band(other, band) == self.band(row, band)) {
                return Ok(None);
            }
            *verified += 1;
            let similarity = self.similarity(other, row, ticker)?;
            let link = Link { a: other.min(row), b: other.max(row), similarity };
            Ok((similarity >= self.threshold).then_some(link))
        })
    }

    fn similarity(&self, a: u32, b: u32, ticker: &Ticker<'_>) -> Result<f64> {
        match self.evidence {
            Evidence::Sets(sets) => jaccard(sets.row(a as usize), sets.row(b as usize), ticker),
            Evidence::Signatures => {
                let pairs = self.row(a as usize).iter().zip(self.row(b as usize));
                Ok(pairs.filter(|(a, b)| a == b).count() as f64 / self.words as f64)
            }
        }
    }
}

/// The Jaccard similarity of two sets, whose items are ascending and without repeats.
fn jaccard(a: &[u64], b: &[u64], ticker: &Ticker<'_>) -> Result<f64> {
    let (mut i, mut j, mut shared) = (0, 0, 0_usize);
    loop {
        for _ in 0..ITEMS_PER_CHECK {
            let (Some(x), Some(y)) = (a.get(i), b.get(j)) else {
                let union = a.len() + b.len() - shared;
                return Ok(if union == 0 { 0.0 } else { shared as f64 / union as f64 });
            };
            shared += usize::from(x == y);
            i += usize::from(x <= y);
            j += usize::from(y <= x);
        }
        ticker.check()?;
    }
}
