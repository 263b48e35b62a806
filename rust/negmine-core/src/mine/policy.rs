//! Selection policies: orders of one row's pool, of which the first n documents are taken.

use crate::base::Result;
use crate::base::draw::{Entry, gumbel_key, log_inclusion};
use crate::base::math::{exp, ln};
use crate::base::philox::Draws;

use super::order::{LogProbs, Order};
use super::quota::{self, Quota};
use super::reason::Reason;

/// How the documents of a pool are ordered.
#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    /// By rank.
    Top,
    /// Uniform without replacement.
    Random,
    /// Weights exp(score / temperature).
    Softmax {
        /// Above 0.
        temperature: f64,
    },
    /// Weights exp(-a ((score - reference + b) / scale)^2): `SimANS`, Zhou et al., EMNLP 2022 (industry), section 3.
    SimANS {
        /// At least 0.
        a: f64,
        /// In score units, its sign as in the released code.
        b: f64,
        /// The unit of score differences.
        scale: Scale,
    },
    /// The documents whose surprise is nearest to the entropy of the pool, up to a share of its mass: locally typical
    /// sampling, Meister et al., TACL 2023, section 3, as a set of documents.
    Typical {
        /// Above 0; from 1 on, all documents.
        mass: f64,
        /// Above 0: probabilities are proportional to exp(score / temperature).
        temperature: f64,
    },
    /// Every step-th document, from an offset that moves with the epoch, as in the released code of `T2Ranking`.
    Stride,
    /// Numbers per label, by rank within a label.
    Quota(Quota),
}

/// The unit of `Policy::SimANS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Scores as they are.
    Raw,
    /// The population standard deviation of the pool's scores.
    Std,
}

/// One result row's pool, and the values that its draws depend on.
#[derive(Clone, Copy, Debug)]
pub struct PoolRow<'a> {
    /// Document rows, by rank.
    pub indices: &'a [i64],
    /// Their scores, descending.
    pub scores: &'a [f64],
    /// The reference score of the row; NaN if there is none.
    pub reference: f64,
    /// Global query row.
    pub query: u64,
    /// Positive row under `reference="each"`.
    pub positive: Option<i64>,
    /// Labels of the documents, for quotas; empty if there are none.
    pub labels: &'a [i64],
}

impl Policy {
    /// The policy of a name and its numbers, in the order of its fields; a choice is the position of its option.
    #[must_use]
    pub fn from_parts(name: &str, numbers: &[f64]) -> Option<Self> {
        Some(match (name, numbers) {
            ("top", []) => Self::Top,
            ("random", []) => Self::Random,
            ("stride", []) => Self::Stride,
            ("softmax", &[temperature]) => Self::Softmax { temperature },
            ("simans", &[a, b, scale]) => {
                Self::SimANS { a, b, scale: if scale == 0.0 { Scale::Std } else { Scale::Raw } }
            }
            ("typical", &[mass, temperature]) => Self::Typical { mass, temperature },
            // Which labels are meant, `by`, is the caller's choice.
            ("quota", [shares @ .., _by, strict, rounding]) => Self::Quota(Quota {
                shares: shares.to_vec(),
                strict: *strict != 0.0,
                rounding: if *rounding == 0.0 { quota::Rounding::Place } else { quota::Rounding::Draw },
            }),
            _ => return None,
        })
    }

    /// Why a row is short if the policy leaves out documents of its pool.
    #[must_use]
    pub fn omission(&self) -> Reason {
        match self {
            Self::Quota(_) => Reason::Quota,
            _ => Reason::ZeroWeight,
        }
    }

    /// Orders one pool, of which `n` documents are requested.
    ///
    /// # Errors
    /// Returns an error on shares of a quota that are negative, not finite or all 0.
    pub fn order(&self, pool: &PoolRow<'_>, n: usize, draws: &Draws, epoch: u64) -> Result<Order> {
        let ranks = 0..pool.indices.len();
        Ok(match *self {
            Self::Top => Order::certain(ranks.collect()),
            Self::Random => {
                let mut keyed: Vec<(u64, usize)> =
                    ranks.map(|rank| (draw(pool, rank, draws, epoch) >> 12, rank)).collect();
                keyed.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
                let log_prob = ln(n.min(keyed.len()) as f64 / keyed.len().max(1) as f64);
                Order::Ranks(keyed.into_iter().map(|(_, rank)| rank).collect(), LogProbs::Same(log_prob))
            }
            Self::Stride => {
                let step = (pool.indices.len() / n.max(1)).max(1);
                let offset = (epoch % step as u64) as usize;
                let mut ranks: Vec<usize> = ranks.collect();
                ranks.sort_by_key(|rank| ((rank + step - offset) % step, *rank));
                Order::certain(ranks)
            }
            Self::Softmax { temperature } => {
                let distance = |score: f64| pool.scores[0] - score;
                gumbel(pool, n, draws, epoch, distance, |distance| -(distance / temperature))
            }
            Self::Typical { mass, temperature } => Order::certain(typical(pool.scores, mass, temperature)),
            Self::SimANS { .. } if pool.reference.is_nan() => Order::NoReference,
            Self::SimANS { a, b, scale } => {
                let unit = match scale {
                    Scale::Raw => 1.0,
                    Scale::Std => deviation(pool.scores),
                };
                let distance = |score: f64| (score - pool.reference + b).abs();
                gumbel(pool, n, draws, epoch, distance, |distance| {
                    if a == 0.0 || unit == 0.0 {
                        return 0.0;
                    }
                    let x = distance / unit;
                    -a * (x * x)
                })
            }
            Self::Quota(ref quota) => {
                quota.order(pool.labels, n, || draws.by_number(epoch, pool.query, pool.positive, 0))?
            }
        })
    }
}

fn draw(pool: &PoolRow<'_>, rank: usize, draws: &Draws, epoch: u64) -> u64 {
    draws.by_document(epoch, pool.query, pool.indices[rank] as u64, pool.positive)
}

/// What rounding may take from a cumulative mass that equals the requested one.
const MASS_TOLERANCE: f64 = 1e-12;

/// The ranks of the typical set, most typical first, ties by rank.
fn typical(scores: &[f64], mass: f64, temperature: f64) -> Vec<usize> {
    let Some(&best) = scores.first() else { return Vec::new() };
    let logits: Vec<f64> = scores.iter().map(|score| (score - best) / temperature).collect();
    let weights: Vec<f64> = logits.iter().map(|&logit| exp(logit)).collect();
    let total = weights.iter().fold(0.0, |sum, weight| sum + weight);
    let log_total = ln(total);
    let entropy = weights.iter().zip(&logits).fold(0.0, |sum, (&weight, logit)| {
        // p ln p is 0 at p = 0.
        if weight > 0.0 { sum + weight / total * (log_total - logit) } else { sum }
    });
    let distance = |rank: usize| (log_total - logits[rank] - entropy).abs();
    let mut ranks: Vec<usize> = (0..scores.len()).collect();
    ranks.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    if mass < 1.0 {
        let mut sum = 0.0;
        let reached = ranks.iter().position(|&rank| {
            sum += weights[rank] / total;
            sum >= mass - MASS_TOLERANCE
        });
        ranks.truncate(reached.map_or(scores.len(), |place| place + 1));
    }
    ranks
}

/// Weighted sampling without replacement: the order of log-weight plus Gumbel noise. Log-weights fall with a distance of
/// the score. Where they are below the range of f64, noise cannot change their order, so documents follow by distance,
/// ties by rank, and no document is left out.
fn gumbel(
    pool: &PoolRow<'_>,
    n: usize,
    draws: &Draws,
    epoch: u64,
    distance: impl Fn(f64) -> f64,
    log_weight: impl Fn(f64) -> f64,
) -> Order {
    let log_weights: Vec<f64> = pool.scores.iter().map(|&score| log_weight(distance(score))).collect();
    let mut entries: Vec<Entry> = (0..pool.scores.len())
        .map(|rank| {
            let key = gumbel_key(log_weights[rank], draw(pool, rank, draws, epoch));
            Entry::new(key, -distance(pool.scores[rank]), rank as u64)
        })
        .collect();
    entries.sort_unstable();
    let threshold = entries.get(n).map_or(f64::NEG_INFINITY, |entry| entry.key);
    let ranks: Vec<usize> = entries.into_iter().map(|entry| entry.item as usize).collect();
    let taken = ranks.iter().take(n);
    let log_probs = taken.map(|&rank| log_inclusion(log_weights[rank], threshold)).collect();
    Order::Ranks(ranks, LogProbs::Each(log_probs))
}

/// Population standard deviation in two passes over the differences from the best, in rank order; 0 for a pool whose
/// best equals its worst, and for no other.
///
/// Scores are divided by a power of two near the largest magnitude, which changes no bit of the result, so that no
/// square leaves the range of f64.
fn deviation(scores: &[f64]) -> f64 {
    let (Some(&best), Some(&worst)) = (scores.first(), scores.last()) else { return 0.0 };
    if best == worst {
        return 0.0;
    }
    let scale = power_of_two_below(best.abs().max(worst.abs()));
    let n = scores.len() as f64;
    let offset = |score: &f64| score / scale - best / scale;
    let mean = scores.iter().fold(0.0, |sum, score| sum + offset(score)) / n;
    let square = |score: &f64| {
        let x = offset(score) - mean;
        x * x
    };
    let deviation = (scores.iter().fold(0.0, |sum, score| sum + square(score)) / n).sqrt();
    (scale * deviation).clamp(f64::from_bits(1), f64::MAX)
}

/// The largest power of two that is normal and at most `x`, which is positive; the least normal number if there is none.
fn power_of_two_below(x: f64) -> f64 {
    const EXPONENT: u64 = f64::INFINITY.to_bits();
    f64::from_bits(x.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::philox::Stream;

    fn ordered(policy: &Policy, scores: &[f64], reference: f64, epoch: u64) -> Vec<usize> {
        let indices: Vec<i64> = (0..scores.len() as i64).collect();
        let pool = PoolRow { indices: &indices, scores, reference, query: 7, positive: None, labels: &[] };
        match policy.order(&pool, scores.len(), &Draws::new(42, Stream::Select), epoch).unwrap() {
            Order::Ranks(ranks, _) => ranks,
            Order::NoReference => Vec::new(),
        }
    }

    /// Any finite number, of any magnitude.
    fn finite() -> impl Strategy<Value = f64> {
        use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
        prop_oneof![
            NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE,
            -2.0_f64..2.0,
            prop::sample::select(vec![f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::from_bits(1), 0.0]),
        ]
    }

    fn policies() -> impl Strategy<Value = Policy> {
        let positive = || finite().prop_map(|x| x.abs().max(f64::from_bits(1)));
        prop_oneof![
            positive().prop_map(|temperature| Policy::Softmax { temperature }),
            (positive(), finite(), any::<bool>()).prop_map(|(a, b, raw)| Policy::SimANS {
                a,
                b,
                scale: if raw { Scale::Raw } else { Scale::Std }
            }),
        ]
    }

    #[test]
    fn golden_typical_sets() {
        // The scores are logarithms of the probabilities.
        let scores = [0.5_f64, 0.2, 0.15, 0.1, 0.05].map(ln);
        let set = |mass| {
            let mut ranks = typical(&scores, mass, 1.0);
            ranks.sort_unstable();
            ranks
        };
        assert_eq!(set(0.2), [1]);
        assert_eq!(set(0.6), [0, 1, 2]);
        assert_eq!(set(0.9), [0, 1, 2, 3]);
        assert_eq!(set(1.0), [0, 1, 2, 3, 4]);
        assert_eq!(typical(&scores, 0.9, 1.0)[0], 1);
        // A shift of the scores, which moves the cumulative mass by its last bit, changes nothing.
        assert_eq!(typical(&scores.map(|score| score + 0.1), 0.2, 1.0), [1]);
        // Equal scores are equally typical, and go by rank.
        assert_eq!(typical(&[1.0; 4], 0.5, 1.0), [0, 1]);
        assert_eq!(typical(&[1.0, -1e308, -1e308], 0.5, f64::from_bits(1)), [0]);
        assert!(typical(&[], 0.5, 1.0).is_empty());
    }

    #[test]
    fn weights_beyond_the_range_keep_their_order() {
        let scores = [1.0, 0.75, 0.5, 0.25];
        for epoch in 0..20 {
            let cold = Policy::Softmax { temperature: f64::from_bits(1) };
            assert_eq!(ordered(&cold, &scores, f64::NAN, epoch), [0, 1, 2, 3]);
            for (scale, b) in [(Scale::Raw, 0.0), (Scale::Std, 0.0), (Scale::Raw, -0.1)] {
                let sharp = Policy::SimANS { a: 1e308, b, scale };
                let expected = if b < 0.0 { [1, 2, 0, 3] } else { [2, 1, 3, 0] };
                assert_eq!(ordered(&sharp, &scores, 0.55, epoch), expected, "{scale:?}, {b}");
            }
            // Distances that are equal in f64 are ties, which go by rank.
            let far = Policy::SimANS { a: 1.0, b: 1e300, scale: Scale::Std };
            assert_eq!(ordered(&far, &scores, 0.55, epoch), [0, 1, 2, 3]);
        }
    }

    #[test]
    fn golden_deviations_of_any_magnitude() {
        let plain = [3.0, 1.0, 1.0, -1.0];
        assert_eq!(deviation(&plain).to_bits(), 2.0_f64.sqrt().to_bits());
        for power in [-1_000, -600, 500, 1_000] {
            let factor = 2.0_f64.powi(power);
            assert_eq!(deviation(&plain.map(|x| x * factor)) / factor, 2.0_f64.sqrt(), "2^{power}");
        }
        assert_eq!(deviation(&[f64::MAX, f64::MIN]), f64::MAX);
        assert_eq!(deviation(&[f64::from_bits(1), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), f64::from_bits(1));
        assert_eq!([deviation(&[]), deviation(&[1e300; 3])], [0.0; 2]);
    }

    proptest! {
        #[test]
        fn the_scale_of_a_deviation_changes_no_bit(mut scores in prop::collection::vec(-1e80_f64..1e80, 1..20)) {
            scores.sort_unstable_by(|a, b| b.total_cmp(a));
            let (best, n) = (scores[0], scores.len() as f64);
            let mean = scores.iter().fold(0.0, |sum, score| sum + (score - best)) / n;
            let square = |x: f64| x * x;
            let variance = scores.iter().fold(0.0, |sum, score| sum + square((score - best) - mean)) / n;
            prop_assert_eq!(deviation(&scores), variance.sqrt());
        }

        #[test]
        fn every_document_has_a_place(
            policy in policies(),
            mut scores in prop::collection::vec(finite(), 1..12),
            reference in finite(),
            epoch: u64,
        ) {
            scores.sort_unstable_by(|a, b| b.total_cmp(a));
            let mut ranks = ordered(&policy, &scores, reference, epoch);
            if let Policy::Softmax { temperature } = policy {
                let certain = |rank: &usize| (scores[0] - scores[*rank]) / temperature == f64::INFINITY;
                let last: Vec<usize> = ranks.iter().copied().filter(certain).collect();
                prop_assert!(last.is_sorted() && ranks.ends_with(&last), "{:?}", ranks);
            }
            ranks.sort_unstable();
            prop_assert!(ranks.into_iter().eq(0..scores.len()));
        }
    }
}
