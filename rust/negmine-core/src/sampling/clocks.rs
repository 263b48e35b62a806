//! The documents of one query in the order in which clocks at the rates of their weights first ring, as many of them as
//! a caller comes to need.

use crate::base::Result;
use crate::base::draw::log_inclusion;
use crate::base::key_ranges::KeyRanges;
use crate::base::math::ln;
use crate::base::parallel::Ticker;
use crate::base::philox::Draws;

use super::alias::Alias;
use super::allowed::Allowed;
use super::law::{Law, Source};
use super::mixture::{Mixture, Place};
use super::seen::Seen;

/// What the order of one row depends on.
#[derive(Clone, Copy)]
pub(crate) struct Clocks<'a> {
    /// The weights of all documents.
    pub(crate) weights: &'a Alias,
    /// Documents without a clock, ascending.
    pub(crate) forbidden: &'a [i64],
    /// Rules of keys, all of which must admit a document.
    pub(crate) eligible: &'a [KeyRanges<'a>],
    /// The query, for the rules of keys.
    pub(crate) query: usize,
    /// The draws.
    pub(crate) draws: &'a Draws,
    /// Epoch of the draws.
    pub(crate) epoch: u64,
    /// The query that the draws belong to, counted over the whole data set.
    pub(crate) global_query: u64,
    /// Number of the order, if a query has several.
    pub(crate) lane: u64,
}

/// The first ring of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstRing {
    pub(crate) row: u32,
    pub(crate) time: f64,
    /// The weight of the document, as a part of that of all documents with a clock.
    pub(crate) rate: f64,
}

impl FirstRing {
    /// The log-probability that the document rings before `end`, the first ring of a document that is not taken;
    /// infinity if there is none.
    pub(crate) fn log_inclusion(&self, end: f64) -> f64 {
        if end == f64::INFINITY { 0.0 } else { log_inclusion(ln(self.rate), -ln(end)) }
    }
}

impl Clocks<'_> {
    /// The first `n` documents to ring, and the time of the first ring after these, infinity if there is none. Documents
    /// of weight 0 never ring. For one `enough`, about as many as are likely to be needed, a higher `n` adds to the
    /// documents of a lower one.
    pub(crate) fn first(
        &self,
        n: usize,
        enough: usize,
        ticker: &Ticker<'_>,
    ) -> Result<(Vec<FirstRing>, f64)> {
        let documents = self.weights.len();
        let Self { forbidden, eligible, query, .. } = *self;
        let allowed = Allowed { documents, forbidden, eligible, query };
        let laws = Law::all(&[Source::Weighted(self.weights)], &[1.0], &allowed, ticker)?;
        if laws.is_empty() {
            return Ok((Vec::new(), f64::INFINITY));
        }
        let place = Place { draws: self.draws, epoch: self.epoch, query: self.global_query, lane: self.lane };
        let mixture = Mixture { allowed, laws: &laws, place: &place };
        let (rings, end) = mixture.first_rings(n, enough, &mut Seen::default(), ticker)?;
        let first = rings.into_iter().map(|ring| FirstRing {
            row: ring.row,
            time: ring.time,
            rate: mixture.probability(ring.row),
        });
        Ok((first.collect(), end))
    }
}
