//! Choosing items: quotas, then one law within each group.

use std::sync::{Mutex, PoisonError};

use super::diverse::Diverse;
use super::groups::{Groups, ITEMS_PER_CHECK};
use super::systematic::{self, Cumulative};
use crate::base::draw::{Entry, First, Taken, gumbel_key, log_inclusion};
use crate::base::error::check_length;
use crate::base::limits::MAX_ROWS;
use crate::base::math::ln;
use crate::base::matrix::Rows;
use crate::base::memory::{push, reserve, with_capacity, zeros};
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream, below, unit};
use crate::base::share::Shares;
use crate::base::{Error, Result};
use crate::scoring::Metric;

/// Rows whose norms are computed between two checks for an interrupt.
const ROWS_PER_ITEM: usize = 1024;

/// The shares of groups.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The number of candidates.
    Proportional,
    /// Equal shares.
    Balanced,
    /// Given shares, which need not sum to 1.
    Shares(&'a [f64]),
}

/// How items are chosen within a group.
#[derive(Clone, Copy, Debug)]
pub enum Law<'a> {
    /// The highest scores, ties by row.
    Top,
    /// The highest scores, minus a penalty for the largest cosine with an item that was chosen before in the group.
    Diverse {
        /// Weight of the score, in [0, 1].
        lambda: f64,
        /// One row per item.
        embeddings: &'a Rows<'a>,
    },
    /// Weights exp(score / temperature), by Gumbel keys.
    Softmax {
        /// Above 0.
        temperature: f64,
    },
    /// Weights exp(score / temperature), by equally spaced points.
    Systematic {
        /// Above 0.
        temperature: f64,
    },
    /// Uniform.
    Random,
}

/// What is to be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Number of items.
    pub items: usize,
    /// One score per item, finite, or -inf if it is no candidate; all are equal if there are none.
    pub scores: Option<&'a [f64]>,
    /// One group per item, or -1 if it is no candidate; all are of group 0 if there are none.
    pub labels: Option<&'a [i64]>,
    /// Number of groups.
    pub groups: usize,
    /// The shares of groups.
    pub target: Target<'a>,
    /// What groups have already; empty for nothing.
    pub given: &'a [i64],
    /// The least total of each group, if it has so many candidates.
    pub minimum: u64,
    /// The law within groups.
    pub law: Law<'a>,
    /// Whether an item may be chosen more than once; not by rank.
    pub replace: bool,
    /// Seed of the draws.
    pub seed: u64,
    /// Epoch of the draws.
    pub epoch: u64,
    /// The identity of the draws.
    pub query: u64,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// Items, group after group, in the order of their choice.
    pub indices: Vec<i64>,
    /// How many are of each group.
    pub quotas: Vec<i64>,
    /// The logarithm of the probability, or with replacement of the expected number of times, of each.
    pub log_prob: Vec<f64>,
}

impl Selection<'_> {
    /// Chooses `num` items, or all candidates of groups that may have any if they are fewer.
    ///
    /// # Errors
    /// Returns an error on arrays of other lengths, scores that are NaN or +inf, labels out of range, shares that are
    /// negative, infinite, NaN or all 0, a `num` below what the minimum takes, embeddings that are not finite, lack of
    /// memory, or an interrupt.
    pub fn select(&self, num: u64, run: &Run<'_>) -> Result<Selected> {
        self.check()?;
        let groups = Groups::new(self.items, self.scores, self.labels, self.groups, run)?;
        let quotas = self.quotas(num, &groups)?;
        let total = quotas.iter().sum::<u64>() as usize;
        let mut out = Out { indices: with_capacity(total)?, log_prob: with_capacity(total)? };
        if let Law::Diverse { lambda, embeddings } = self.law {
            self.diverse(lambda, embeddings, &groups, &quotas, &mut out, run)?;
        } else {
            for (group, &quota) in quotas.iter().enumerate().filter(|(_, quota)| **quota > 0) {
                run.tick(out.indices.len(), total)?;
                self.within(group, groups.of(group), quota as usize, &mut out, run)?;
            }
        }
        let quotas = quotas.into_iter().map(|quota| quota as i64).collect();
        Ok(Selected { indices: out.indices, quotas, log_prob: out.log_prob })
    }

    fn check(&self) -> Result<()> {
        if self.items > MAX_ROWS {
            return Err(Error::TooManyRows { argument: "scores", rows: self.items });
        }
        let lengths = [
            ("scores", self.items, self.scores.map(<[f64]>::len)),
            ("groups", self.items, self.labels.map(<[i64]>::len)),
            ("given", self.groups, Some(self.given.len()).filter(|len| *len > 0)),
        ];
        for (argument, expected, got) in lengths {
            check_length(argument, expected, got.unwrap_or(expected))?;
        }
        if let Law::Diverse { embeddings, .. } = self.law {
            check_length("embeddings", self.items, embeddings.len())?;
        }
        if self.replace && matches!(self.law, Law::Top | Law::Diverse { .. }) {
            let got = "True".into();
            return Err(Error::Value { argument: "replace", rule: "False if `within` is 'top'", got });
        }
        if let Some(group) = self.given.iter().position(|given| *given < 0) {
            return Err(Error::Value {
                argument: "given",
                rule: "at least 0",
                got: format!("{} for group {group}", self.given[group]),
            });
        }
        Ok(())
    }

    /// The number of items of each group.
    fn quotas(&self, num: u64, groups: &Groups) -> Result<Vec<u64>> {
        let candidates = |group: usize| groups.of(group).len() as u64;
        let all = 0..groups.len();
        let counts: Vec<f64> = all.clone().map(|group| candidates(group) as f64).collect();
        let equal = vec![1.0; groups.len()];
        let shares = match self.target {
            Target::Proportional => &counts,
            Target::Balanced => &equal[..],
            Target::Shares(shares) => {
                check_length("target", groups.len(), shares.len())?;
                shares
            }
        };
        if groups.all().is_empty() {
            return Ok(vec![0; groups.len()]);
        }
        let caps: Vec<u64> = all
            .map(|group| match candidates(group) {
                candidates if self.replace && candidates > 0 => num,
                candidates => candidates,
            })
            .collect();
        let given: Vec<u64> = self.given.iter().map(|given| *given as u64).collect();
        Shares { shares, given: &given, minimum: self.minimum, caps: &caps }.share_out(num)
    }

    fn score(&self, item: u32) -> f64 {
        self.scores.map_or(0.0, |scores| scores[item as usize])
    }

    /// Chooses `n` items of a group by any law but the diverse one.
    fn within(&self, group: usize, items: &[u32], n: usize, out: &mut Out, run: &Run<'_>) -> Result<()> {
        let draws = Draws::new(self.seed, Stream::SelectItems);
        let by_item = |item: u32| draws.by_document(self.epoch, self.query, u64::from(item), None);
        let number = |t: usize| draws.by_number(self.epoch, self.query, Some(group as i64), t as u64);
        let best = self.best(items, run)?;
        let log_n = ln(n as f64);
        match self.law {
            Law::Top | Law::Diverse { .. } => {
                let entry = |item| Entry::new(self.score(item), 0.0, u64::from(item));
                out.extend(first(items, n, entry, run)?.entries.iter().map(|entry| (entry.item, 0.0)))
            }
            Law::Random if self.replace => {
                let log_prob = log_n - ln(items.len() as f64);
                let draw = |t| u64::from(items[below(number(t), items.len() as u64) as usize]);
                out.draw(n, |t| (draw(t), log_prob), run)
            }
            Law::Random => {
                let entry = |item| Entry::new(unit(by_item(item)), 0.0, u64::from(item));
                let log_prob = log_n - ln(items.len() as f64);
                out.extend(first(items, n, entry, run)?.entries.iter().map(|entry| (entry.item, log_prob)))
            }
            Law::Softmax { temperature } | Law::Systematic { temperature } if self.replace => {
                let log_weight = |item: u32| (self.score(item) - best) / temperature;
                let sums = Cumulative::new(items, log_weight, run)?;
                let factor = log_n - sums.log_total();
                let with = |item: u32| (u64::from(item), factor + log_weight(item));
                if matches!(self.law, Law::Softmax { .. }) {
                    return out.draw(n, |t| with(sums.at(unit(number(t)))), run);
                }
                let mut points = sums.points(n, unit(number(0)));
                out.draw(n, |_| points.next().map_or((0, f64::NAN), with), run)
            }
            Law::Softmax { temperature } => {
                let log_weight = |item: u32| (self.score(item) - best) / temperature;
                // Where log-weights are below the range of f64, noise cannot change the order of scores.
                let entry = |item| {
                    Entry::new(gumbel_key(log_weight(item), by_item(item)), self.score(item), u64::from(item))
                };
                let Taken { entries, threshold } = first(items, n, entry, run)?;
                out.extend(
                    entries
                        .iter()
                        .map(|entry| (entry.item, log_inclusion(log_weight(entry.item as u32), threshold))),
                )
            }
            Law::Systematic { .. } if n == items.len() => {
                out.extend(items.iter().map(|item| (u64::from(*item), 0.0)))
            }
            Law::Systematic { temperature } => {
                let u = unit(number(0));
                let chosen = systematic::distinct(items, |item| self.score(item), temperature, n, u, run)?;
                out.extend(chosen.into_iter().map(|(item, log_prob)| (u64::from(item), log_prob)))
            }
        }
    }

    /// The best score of some items.
    fn best(&self, items: &[u32], run: &Run<'_>) -> Result<f64> {
        let mut best = f64::NEG_INFINITY;
        for part in items.chunks(ITEMS_PER_CHECK) {
            run.tick(0, 1)?;
            best = part.iter().map(|item| self.score(*item)).fold(best, f64::max);
        }
        Ok(best)
    }

    /// Chooses items of all groups by maximal marginal relevance, groups in parallel.
    fn diverse(
        &self,
        lambda: f64,
        embeddings: &Rows<'_>,
        groups: &Groups,
        quotas: &[u64],
        out: &mut Out,
        run: &Run<'_>,
    ) -> Result<()> {
        let norms = self.squared_norms(embeddings, run)?;
        let law = Diverse { lambda, embeddings, norms: &norms, isa: run.isa };
        let chosen = run.map(
            groups.len(),
            || (),
            |(), group, ticker| {
                law.choose(groups.of(group), |item| self.score(item), quotas[group] as usize, ticker)
            },
        )?;
        chosen
            .into_iter()
            .try_for_each(|items| out.extend(items.into_iter().map(|item| (u64::from(item), 0.0))))
    }

    /// Squared norms of all rows; the first row that is not finite is named.
    fn squared_norms(&self, embeddings: &Rows<'_>, run: &Run<'_>) -> Result<Vec<f64>> {
        let mut norms = zeros(self.items)?;
        let slots: Vec<_> = norms.chunks_mut(ROWS_PER_ITEM).map(Mutex::new).collect();
        run.map(
            slots.len(),
            || vec![0.0; embeddings.width()],
            |buffer, item, _| {
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                for (place, norm) in slot.iter_mut().enumerate() {
                    let row = embeddings.finite_row(run.isa, item * ROWS_PER_ITEM + place, buffer)?;
                    *norm = Metric::Cosine.squared_norm(run.isa, row);
                }
                Ok(())
            },
        )?;
        drop(slots);
        Ok(norms)
    }
}

/// The first `n` of the items by their entries.
fn first(items: &[u32], n: usize, entry: impl Fn(u32) -> Entry, run: &Run<'_>) -> Result<Taken> {
    let mut first = First::new(n);
    for part in items.chunks(ITEMS_PER_CHECK) {
        run.tick(0, 1)?;
        part.iter().try_for_each(|item| first.offer(entry(*item)))?;
    }
    first.finish(run)
}

/// What has been chosen so far.
struct Out {
    indices: Vec<i64>,
    log_prob: Vec<f64>,
}

impl Out {
    fn extend(&mut self, chosen: impl ExactSizeIterator<Item = (u64, f64)>) -> Result<()> {
        reserve(&mut self.indices, chosen.len())?;
        reserve(&mut self.log_prob, chosen.len())?;
        for (item, log_prob) in chosen {
            self.indices.push(item as i64);
            self.log_prob.push(log_prob);
        }
        Ok(())
    }

    /// Draws `n` times.
    fn draw(&mut self, n: usize, mut draw: impl FnMut(usize) -> (u64, f64), run: &Run<'_>) -> Result<()> {
        for t in 0..n {
            if t % ITEMS_PER_CHECK == 0 {
                run.tick(t, n)?;
            }
            let (item, log_prob) = draw(t);
            push(&mut self.indices, item as i64)?;
            push(&mut self.log_prob, log_prob)?;
        }
        Ok(())
    }
}
