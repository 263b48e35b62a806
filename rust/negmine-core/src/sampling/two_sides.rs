//! Draws from two sides at once: a coin decides the side of each, and a used-up side leaves its draws to the other.

use negmine_kernels::Isa;

use crate::base::Result;
use crate::base::math::{expm1, ln};
use crate::base::parallel::Ticker;
use crate::base::philox::unit;

use super::distinct::distinct;
use super::mixture::{Mixture, Place, Ring};
use super::seen::Seen;
use super::side_counts::SideCounts;

/// Numbers of draws of a lower probability are left out of means.
const NEGLIGIBLE: f64 = 1e-12;

/// One side of a triple.
pub(super) struct Side<'a> {
    pub(super) mixture: Mixture<'a>,
    /// The probability that a draw falls on it while both sides have entities.
    pub(super) share: f64,
}

impl Side<'_> {
    /// The number of entities, if all have the same probability.
    pub(super) fn equal(&self) -> Option<u64> {
        match self.mixture.laws {
            [] => Some(0),
            [law] => law.equal(),
            _ => None,
        }
    }
}

/// The number of `n` coins that show heads.
pub(super) fn heads(place: &Place<'_>, n: usize, share: f64) -> usize {
    let block = |number| place.attempt(number as u64);
    if share == 0.0 || share == 1.0 {
        return if share == 0.0 { 0 } else { n };
    }
    if share == 0.5 {
        // Bits are fair coins.
        let words = (0..n.div_ceil(256)).flat_map(block);
        let coins = words.zip((0..n).step_by(64)).map(|(word, begin)| word >> (64 - (n - begin).min(64)));
        return coins.map(|coins| coins.count_ones() as usize).sum();
    }
    (0..n.div_ceil(4)).flat_map(block).take(n).filter(|&coin| unit(coin) < share).count()
}

/// Independent draws.
pub(super) fn repeated(sides: &[Side<'_>; 2], n: usize, coins: usize, scratch: &mut Scratch) {
    for (side, k) in [coins, n - coins].into_iter().enumerate().filter(|of| of.1 > 0) {
        let Side { mixture, share } = &sides[side];
        let expected = |row| ln(n as f64 * share * mixture.probability(row));
        let mut drawn = Vec::with_capacity(k);
        mixture.with_replacement(k, &mut drawn);
        scratch.drawn[side].extend(drawn.into_iter().map(|one| (one.row, expected(one.row))));
    }
}

/// Distinct entities of equal probabilities, `counts` on each side.
pub(super) fn uniform(
    sides: &[Side<'_>; 2],
    counts: [u64; 2],
    n: usize,
    coins: usize,
    scratch: &mut Scratch,
    isa: Isa,
) {
    // With enough entities, coins alone decide.
    let plenty = (0..2).all(|side| sides[side].share == 0.0 || counts[side] >= n as u64);
    let law = (!plenty).then(|| SideCounts::new(n, sides[0].share, counts));
    let split = law.as_ref().map_or([coins, n - coins], |law| law.split(coins));
    let Scratch { drawn, ranks, seen } = scratch;
    for (side, k) in split.into_iter().enumerate().filter(|of| of.1 > 0) {
        let Side { mixture, share } = &sides[side];
        let expected = law.as_ref().map_or(n as f64 * share, |law| law.expected(side));
        let log_q = ln((expected / counts[side] as f64).min(1.0));
        distinct(counts[side], k, |block| mixture.place.attempt(block), seen, ranks);
        mixture.laws[0].rows(isa, &mixture.allowed, ranks);
        drawn[side].extend(ranks.iter().map(|&entity| (entity, log_q)));
    }
}

/// Distinct entities of any probabilities: on each side, the first to ring.
pub(super) fn race(
    sides: &[Side<'_>; 2],
    n: usize,
    coins: usize,
    scratch: &mut Scratch,
    ticker: &Ticker<'_>,
) -> Result<()> {
    let Scratch { drawn, seen, .. } = scratch;
    let mut rings = [Vec::new(), Vec::new()];
    let mut next = [f64::INFINITY; 2];
    for (side, Side { mixture, share }) in sides.iter().enumerate() {
        if *share > 0.0 {
            (rings[side], next[side]) = mixture.rings(n, seen, ticker)?;
        }
    }
    let law = SideCounts::new(n, sides[0].share, [0, 1].map(|side: usize| rings[side].len() as u64));
    for (side, k) in law.split(coins).into_iter().enumerate() {
        for (place, ring) in rings[side][..k].iter().enumerate() {
            let rate = sides[side].mixture.probability(ring.row);
            let others = |number| ring_of_others(&rings[side], next[side], place, number);
            let times = law
                .of_side(side)
                .filter(|of| of.0 > 0 && of.1 > NEGLIGIBLE)
                .map(|(number, mass)| (others(number), mass));
            drawn[side].push((ring.row, log_mean_inclusion(rate, times)));
        }
        drawn[side].sort_unstable_by_key(|one| one.0);
    }
    Ok(())
}

/// The time at which the `number`-th other entity rings, from 1, if the entity at `place` is left out.
fn ring_of_others(rings: &[Ring], next: f64, place: usize, number: usize) -> f64 {
    if number <= place { rings[number - 1].time } else { rings.get(number).map_or(next, |ring| ring.time) }
}

/// The logarithm of the probability that an entity rings before a time, over times of some probabilities.
fn log_mean_inclusion(rate: f64, times: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut mean) = (0.0, 0.0);
    for (time, mass) in times {
        sum -= mass * expm1(-rate * time);
        mean += mass * time;
    }
    // Where products underflow, a probability is its rate times the time.
    if sum < f64::MIN_POSITIVE { ln(rate) + ln(mean) } else { ln(sum.min(1.0)) }
}

/// Memory that a worker uses for one triple after the other.
#[derive(Default)]
pub(super) struct Scratch {
    /// Entities of both sides, with the logarithms of expected numbers.
    pub(super) drawn: [Vec<(u32, f64)>; 2],
    ranks: Vec<u32>,
    seen: Seen,
}
