//! Selection policies: orders of one row's pool, of which the first n documents are taken.

use crate::base::math::ln;
use crate::base::philox::{Draws, unit};

/// How the documents of a pool are ordered.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Every step-th document, from an offset that moves with the epoch, as in the released code of `T2Ranking`.
    Stride,
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
}

/// The order of a pool: ranks, first choice first; documents of weight zero are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ranks in order.
    Ranks(Vec<usize>),
    /// The policy needs a reference and the row has none.
    NoReference,
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
            _ => return None,
        })
    }

    /// Orders one pool, of which `n` documents are requested.
    #[must_use]
    pub fn order(&self, pool: &PoolRow<'_>, n: usize, draws: &Draws, epoch: u64) -> Order {
        let ranks = 0..pool.indices.len();
        match *self {
            Self::Top => Order::Ranks(ranks.collect()),
            Self::Random => {
                let mut keyed: Vec<(u64, usize)> =
                    ranks.map(|rank| (draw(pool, rank, draws, epoch) >> 12, rank)).collect();
                keyed.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
                Order::Ranks(keyed.into_iter().map(|(_, rank)| rank).collect())
            }
            Self::Stride => {
                let step = (pool.indices.len() / n.max(1)).max(1);
                let offset = (epoch % step as u64) as usize;
                let mut ranks: Vec<usize> = ranks.collect();
                ranks.sort_by_key(|rank| ((rank + step - offset) % step, *rank));
                Order::Ranks(ranks)
            }
            Self::Softmax { temperature } => {
                gumbel(pool, draws, epoch, |score| (score - pool.scores[0]) / temperature)
            }
            Self::SimANS { .. } if pool.reference.is_nan() => Order::NoReference,
            Self::SimANS { a, b, scale } => {
                let unit = match scale {
                    Scale::Raw => 1.0,
                    Scale::Std => deviation(pool.scores),
                };
                if a == 0.0 || unit == 0.0 {
                    return gumbel(pool, draws, epoch, |_| 0.0);
                }
                gumbel(pool, draws, epoch, |score| {
                    let x = (score - pool.reference + b) / unit;
                    -a * (x * x)
                })
            }
        }
    }
}

fn draw(pool: &PoolRow<'_>, rank: usize, draws: &Draws, epoch: u64) -> u64 {
    draws.by_document(epoch, pool.query, pool.indices[rank] as u64, pool.positive)
}

/// Weighted sampling without replacement: the order of log-weight plus Gumbel noise (Efraimidis and Spirakis 2006, in
/// logarithms).
fn gumbel(pool: &PoolRow<'_>, draws: &Draws, epoch: u64, log_weight: impl Fn(f64) -> f64) -> Order {
    let mut keyed: Vec<(f64, usize)> = Vec::with_capacity(pool.indices.len());
    for (rank, &score) in pool.scores.iter().enumerate() {
        let log_weight = log_weight(score);
        if log_weight > f64::NEG_INFINITY {
            let u = unit(draw(pool, rank, draws, epoch));
            keyed.push((log_weight - ln(-ln(u)), rank));
        }
    }
    keyed.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    Order::Ranks(keyed.into_iter().map(|(_, rank)| rank).collect())
}

/// Population standard deviation in two passes over the differences from the best, in rank order; 0 for a pool whose
/// best equals its worst.
fn deviation(scores: &[f64]) -> f64 {
    let (Some(&best), Some(&worst)) = (scores.first(), scores.last()) else { return 0.0 };
    if best == worst {
        return 0.0;
    }
    let n = scores.len() as f64;
    let mean = scores.iter().fold(0.0, |sum, score| sum + (score - best)) / n;
    let square = |score: &f64| {
        let x = (score - best) - mean;
        x * x
    };
    (scores.iter().fold(0.0, |sum, score| sum + square(score)) / n).sqrt()
}
