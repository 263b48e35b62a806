//! Class-balanced batches, and balanced margin sampling (TAS-Balanced: Hofstätter et al., SIGIR 2021, section 3).
//!
//! A class-balanced batch holds equally many rows of each of its classes, as contrastive losses with class labels need.
//! Classes, and the rows of each class, are drawn without replacement, so the use counts of classes, and of rows within
//! a class, differ by at most one at any time, even across epochs.
//!
//! Balanced margin sampling draws one pair per query by a bin of its margin, so that frequent margins do not outweigh
//! rare ones.

use std::ops::Range;

use super::without_replacement::WithoutReplacement;
use crate::base::csr::CsrView;
use crate::base::error::{check_length, try_with_capacity};
use crate::base::order::total_order;
use crate::base::parallel::{Pace, Run};
use crate::base::philox::{Draws, Stream, below, unit};
use crate::base::sort::sort;
use crate::base::{Error, Result};

/// How classes become batches.
#[derive(Clone, Copy, Debug)]
pub struct ClassBatches<'a> {
    /// Rows of each class; none is empty.
    pub classes: CsrView<'a>,
    /// Classes of a batch.
    pub per_batch: usize,
    /// Rows of a class in a batch.
    pub per_class: usize,
    /// Batches of an epoch.
    pub batches: u64,
    /// The seed.
    pub seed: u64,
}

impl ClassBatches<'_> {
    /// Rows of some batches of an epoch, class after class. A class with fewer rows than `per_class` repeats its rows
    /// as evenly as possible.
    ///
    /// # Errors
    /// Returns an error on more classes a batch than there are, an empty class, batches that do not fit in memory, or
    /// an interrupt.
    pub fn batches(&self, epoch: u64, batches: Range<u64>, run: &Run<'_>) -> Result<Vec<i64>> {
        let classes = self.classes.len();
        if self.per_batch == 0 || self.per_batch > classes || self.per_class == 0 {
            return Err(Error::Value {
                argument: "batch_size",
                rule: "at least `per_class`, and at most `per_class` rows of every class",
                got: format!("{} x {} of {classes} classes", self.per_batch, self.per_class),
            });
        }
        if let Some(class) = (0..classes).find(|class| self.classes.row(*class).is_empty()) {
            return Err(Error::Value {
                argument: "labels",
                rule: "classes that have rows",
                got: format!("none of class {class}"),
            });
        }
        let draws = Draws::new(self.seed, Stream::Classes);
        let total = batches.end.saturating_sub(batches.start) as usize;
        let entries = (total as u128 * self.per_batch as u128).saturating_mul(self.per_class as u128);
        let mut out = try_with_capacity("batch_size", entries, "Ask for smaller batches.")?;
        let classes_drawn =
            WithoutReplacement { draws: &draws, key: 0, n: classes as u64, p: self.per_batch as u64 };
        let mut pace = Pace::new(run);
        for batch in batches {
            let number = u128::from(epoch) * u128::from(self.batches) + u128::from(batch);
            for (class, before) in classes_drawn.batch(number, &mut pace)? {
                self.take(&draws, class, before, &mut out, &mut pace)?;
            }
        }
        Ok(out)
    }

    /// The rows of a class when it is drawn for the `visit`-th time.
    fn take(
        &self,
        draws: &Draws,
        class: u64,
        visit: u128,
        out: &mut Vec<i64>,
        pace: &mut Pace<'_>,
    ) -> Result<()> {
        let rows = self.classes.row(class as usize);
        for _ in 0..self.per_class / rows.len() {
            pace.step(rows.len())?;
            out.extend_from_slice(rows);
        }
        let rest = (self.per_class % rows.len()) as u64;
        if rest > 0 {
            let drawn = WithoutReplacement { draws, key: 1 + class, n: rows.len() as u64, p: rest };
            out.extend(drawn.batch(visit, pace)?.into_iter().map(|(row, _)| rows[row as usize]));
        }
        Ok(())
    }
}

/// Margins of one query that are sorted at once; more are sorted between checks for an interrupt.
const ONE_SORT: usize = 1 << 16;

/// How margins are put into bins, and bins drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binning {
    /// Bins of equal width between a query's least and largest margin; nonempty bins are equally likely.
    Width,
    /// Bins of about equal numbers of pairs, equally likely.
    Quantile,
    /// Bins of equal width, with a probability proportional to the square root of their number of pairs.
    Tempered,
}

/// One pair of every query, drawn by its margin; -1 for a query without pairs.
///
/// # Errors
/// Returns an error on margins that are not finite or too far apart, or an interrupt.
pub fn sample_balanced_margins(
    margins: &[f64],
    pairs: CsrView<'_>,
    bins: usize,
    binning: Binning,
    seed: u64,
    epoch: u64,
    run: &Run<'_>,
) -> Result<Vec<i64>> {
    check_length("margins", pairs.entries(), margins.len())?;
    let mut pace = Pace::new(run);
    for (part, values) in margins.chunks(1 << 16).enumerate() {
        pace.step(values.len())?;
        if let Some(place) = values.iter().position(|margin| !margin.is_finite()) {
            return Err(Error::NonFinite { argument: "margins", row: (part << 16) + place, column: 0 });
        }
    }
    let draws = Draws::new(seed, Stream::Pairs);
    let mut numbers = Vec::new();
    let mut counts = vec![0_u64; bins];
    let mut out = Vec::with_capacity(pairs.len());
    for query in 0..pairs.len() {
        let range = pairs.range(query);
        if range.is_empty() {
            out.push(-1);
            continue;
        }
        let own = &margins[range.clone()];
        pace.step(16 + 2 * bins)?;
        bins_of(own, bins, binning, &mut numbers, run)?;
        let [x, y, ..] = draws.block([1, 0, query as u64, epoch]);
        counts.fill(0);
        for bin in &numbers {
            pace.step(1)?;
            counts[*bin] += 1;
        }
        let bin = drawn_bin(&counts, binning, x);
        let mut left = below(y, counts[bin]);
        let mut pair = -1;
        for (place, other) in numbers.iter().enumerate() {
            pace.step(1)?;
            if *other == bin {
                if left == 0 {
                    pair = (range.start + place) as i64;
                    break;
                }
                left -= 1;
            }
        }
        out.push(pair);
    }
    Ok(out)
}

fn bins_of(
    margins: &[f64],
    bins: usize,
    binning: Binning,
    out: &mut Vec<usize>,
    run: &Run<'_>,
) -> Result<()> {
    out.clear();
    let mut pace = Pace::new(run);
    if binning == Binning::Quantile {
        let mut sorted: Vec<i64> = margins.iter().copied().map(in_order).collect();
        if sorted.len() > ONE_SORT {
            sort(&mut sorted, run)?;
        } else {
            sorted.sort_unstable();
        }
        // Equal margins share the bin of the first of them.
        for margin in margins.iter().copied().map(in_order) {
            pace.step(16)?;
            out.push(sorted.partition_point(|other| *other < margin) * bins / margins.len());
        }
        return Ok(());
    }
    let low = margins.iter().copied().fold(f64::INFINITY, f64::min);
    let high = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = (high - low) / bins as f64;
    if !(high - low).is_finite() {
        return Err(Error::Value {
            argument: "margins",
            rule: "less far apart than the range of float64",
            got: format!("{low:e} and {high:e}"),
        });
    }
    for margin in margins {
        pace.step(2)?;
        // All equal, or so close that a bin has no width: one bin.
        out.push(if width > 0.0 { (((margin - low) / width) as usize).min(bins - 1) } else { 0 });
    }
    Ok(())
}

/// The place of a finite number in the ascending order, the same for both zeros.
fn in_order(x: f64) -> i64 {
    total_order(x + 0.0)
}

fn drawn_bin(counts: &[u64], binning: Binning, x: u64) -> usize {
    let mut filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    if binning != Binning::Tempered {
        let place = below(x, filled.clone().count() as u64) as usize;
        return filled.nth(place).map_or(0, |(bin, _)| bin);
    }
    let weight = |count: u64| (count as f64).sqrt();
    let mut left = unit(x) * filled.clone().map(|(_, count)| weight(*count)).sum::<f64>();
    let mut last = 0;
    for (bin, count) in filled.by_ref() {
        last = bin;
        left -= weight(*count);
        if left < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use negmine_kernels::isa::Isa;

    use super::*;

    fn run() -> Run<'static> {
        Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
    }

    fn bins(margins: &[f64], binning: Binning) -> Vec<usize> {
        let mut out = Vec::new();
        bins_of(margins, 10, binning, &mut out, &run()).unwrap();
        out
    }

    #[test]
    fn golden_bins() {
        assert_eq!(bins(&[-1.0, 0.0, 0.5, 4.0, 9.0], Binning::Width), [0, 1, 1, 5, 9]);
        assert_eq!(bins(&[3.0, 3.0, 3.0], Binning::Width), [0, 0, 0]);
        assert_eq!(bins(&[3.0], Binning::Tempered), [0]);
        assert_eq!(bins(&[0.0, f64::from_bits(1)], Binning::Width), [0, 0]);
        assert_eq!(bins(&[5.0, 1.0, 1.0, 9.0], Binning::Quantile), [5, 0, 0, 7]);
        assert_eq!(bins(&[0.0, -1.0, -0.0, -2.0, 0.0], Binning::Quantile), [4, 2, 4, 0, 4]);
    }

    #[test]
    fn margins_beyond_the_range_are_refused() {
        let mut out = Vec::new();
        assert!(bins_of(&[-1e308, 1e308], 10, Binning::Width, &mut out, &run()).is_err());
        assert!(bins_of(&[-1e308, 1e308], 10, Binning::Quantile, &mut out, &run()).is_ok());
    }

    #[test]
    fn a_bin_is_drawn_by_its_root() {
        let counts = [0, 1, 0, 9, 0];
        let of = |x: u64| drawn_bin(&counts, Binning::Tempered, x);
        assert_eq!((of(0), of(u64::MAX)), (1, 3));
        assert_eq!((of((1 << 62) - (1 << 20)), of((1 << 62) + (1 << 20))), (1, 3));
        assert_eq!(drawn_bin(&counts, Binning::Width, (1 << 63) - 1), 1);
        assert_eq!(drawn_bin(&counts, Binning::Width, 1 << 63), 3);
    }
}
