//! Steps of each source of a mixture per epoch: apportionment by largest remainders, which are carried over epochs.
//!
//! After every epoch each source has been used within one step of its exact share of all steps so far. What an epoch
//! cannot divide goes to the largest remainders, ties by place. For a few combinations of many shares that would leave
//! an epoch with more steps due than it has; for these, what is due first goes first (earliest deadline first, which is
//! always possible). Remainders begin at 0 again every 2^20 epochs, so that any epoch can be asked for.

use crate::base::Result;
use crate::base::memory::with_capacity;
use crate::base::parallel::{Pace, Run};
use crate::base::share::{Shares, normalized, rounded};

/// Epochs over which remainders are carried.
const CYCLE: u64 = 1 << 20;

/// Epochs that are looked through for steps that cannot be taken in time.
const LOOKED_THROUGH: u64 = 1 << 10;

/// Operations of a source in an epoch, approximately.
const OPERATIONS: usize = 32;

/// Parts of a step that are rounding errors.
const ROUNDING: f64 = 1e-9;

/// Shares of a mixture of some steps an epoch.
#[derive(Clone, Debug)]
pub struct MixtureSteps {
    /// Steps an epoch of each source, as exact as shares are.
    exact: Vec<f64>,
    steps: u64,
    by_deadline: bool,
}

/// Rows of each source in each step of an epoch, step after step.
///
/// The epoch's rows are shared out by `shares`; after every step each source has been used within one row of its part of
/// the rows so far. The row that must come first goes first (earliest deadline first, which is always possible), ties by
/// place. Largest remainders, step by step, would leave some mixtures with more rows due than a step has.
///
/// # Errors
/// Returns an error on shares that are negative, not finite or all 0, lack of memory, or an interrupt.
pub fn rows_of_steps(shares: &[f64], steps: usize, width: u64, run: &Run<'_>) -> Result<Vec<i64>> {
    let law = Shares { shares, given: &[], minimum: 0, caps: &[] };
    let totals = law.share_out(steps as u64 * width)?;
    let (sources, steps) = (totals.len(), steps as u128);
    let mut given = vec![0; sources];
    let mut counts = with_capacity((steps as usize).saturating_mul(sources))?;
    let mut pace = Pace::new(run);
    for step in 1..=steps {
        pace.step(OPERATIONS * sources)?;
        let bounds: Vec<[u64; 2]> = totals
            .iter()
            .zip(&given)
            .map(|(total, given)| {
                let reached = u128::from(*total) * step;
                [reached / steps, reached.div_ceil(steps)].map(|rows| (rows as u64).saturating_sub(*given))
            })
            .collect();
        // The step by whose end the next row of a source is due.
        let due = |source: usize, now: u64| {
            (u128::from(given[source] + now + 1) * steps).div_ceil(u128::from(totals[source]))
        };
        let now = by_deadline(&bounds, width, due);
        add(&mut given, &now);
        counts.extend(now.into_iter().map(|number| number as i64));
    }
    Ok(counts)
}

/// Where an epoch stands: the steps of each source in it and before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochSteps {
    /// Steps in the epoch.
    pub now: Vec<u64>,
    cycle: u64,
    within: u64,
    /// Steps in the cycles before.
    whole: Vec<u128>,
    /// Steps in the epochs before of the same cycle.
    given: Vec<u64>,
}

impl EpochSteps {
    /// Steps in all epochs before.
    #[must_use]
    pub fn before(&self) -> Vec<u128> {
        self.whole.iter().zip(&self.given).map(|(whole, given)| whole + u128::from(*given)).collect()
    }
}

impl MixtureSteps {
    /// Shares out `steps` an epoch.
    ///
    /// # Errors
    /// Returns an error on shares that are negative, infinite, NaN or all 0, or an interrupt.
    pub fn new(shares: &[f64], steps: u64, run: &Run<'_>) -> Result<Self> {
        let shares = normalized(shares)?;
        let sum: f64 = shares.iter().sum();
        let exact: Vec<f64> = shares.iter().map(|share| steps as f64 * (share / sum)).collect();
        let mut mixture = Self { exact, steps, by_deadline: false };
        let mut given = vec![0; shares.len()];
        let mut pace = Pace::new(run);
        for epoch in 0..LOOKED_THROUGH {
            pace.step(OPERATIONS * shares.len())?;
            let Some(now) = mixture.within_one(epoch, &given) else {
                mixture.by_deadline = true;
                break;
            };
            add(&mut given, &now);
        }
        Ok(mixture)
    }

    /// Mean steps an epoch of each source.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.exact
    }

    /// The steps of an epoch, counted from `last` on if that helps.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub fn epoch(&self, epoch: u64, last: Option<&EpochSteps>, run: &Run<'_>) -> Result<EpochSteps> {
        let (cycle, within) = (epoch / CYCLE, epoch % CYCLE);
        let nothing = || vec![0; self.exact.len()];
        let (whole, from, given) = match last {
            Some(last) if last.cycle == cycle && last.within <= within => {
                (last.whole.clone(), last.within, last.given.clone())
            }
            Some(last) if last.cycle == cycle => (last.whole.clone(), 0, nothing()),
            _ => {
                let one = if cycle > 0 { self.advanced(0, nothing(), CYCLE, run)? } else { nothing() };
                let whole = one.iter().map(|steps| u128::from(*steps) * u128::from(cycle)).collect();
                (whole, 0, nothing())
            }
        };
        let given = self.advanced(from, given, within, run)?;
        let now = self.next(within, &given);
        Ok(EpochSteps { now, cycle, within, whole, given })
    }

    /// What was given before epoch `to`, of what was given before epoch `from`.
    fn advanced(&self, from: u64, mut given: Vec<u64>, to: u64, run: &Run<'_>) -> Result<Vec<u64>> {
        let mut pace = Pace::new(run);
        for epoch in from..to {
            pace.step(OPERATIONS * self.exact.len())?;
            let now = self.next(epoch, &given);
            add(&mut given, &now);
        }
        Ok(given)
    }

    fn next(&self, epoch: u64, given: &[u64]) -> Vec<u64> {
        self.within_one(epoch, given).unwrap_or_else(|| {
            // Numbers too large for fractions of a step: as near as can be.
            let law = Shares { shares: &self.exact, given, minimum: 0, caps: &[] };
            law.share_out(self.steps).unwrap_or_default()
        })
    }

    /// The steps of an epoch that leave every source within one step of its exact share.
    fn within_one(&self, epoch: u64, given: &[u64]) -> Option<Vec<u64>> {
        let exact: Vec<f64> = self.exact.iter().map(|rate| (epoch + 1) as f64 * rate).collect();
        let bounds: Vec<[u64; 2]> = exact
            .iter()
            .zip(given)
            .map(|(exact, given)| {
                let [low, high] = [(exact + ROUNDING).floor(), (exact - ROUNDING).ceil()];
                [low, high.max(low)].map(|bound| (bound as u64).saturating_sub(*given))
            })
            .collect();
        let sum = |side: usize| bounds.iter().map(|bound| u128::from(bound[side])).sum::<u128>();
        let steps = u128::from(self.steps);
        if sum(0) > steps || sum(1) < steps {
            return None;
        }
        if !self.by_deadline {
            let rest: Vec<f64> =
                exact.iter().zip(given).map(|(exact, given)| exact - *given as f64).collect();
            return Some(rounded(&rest, &bounds, self.steps));
        }
        // The epoch by which the next step of a source is due.
        let due = |group: usize, now: u64| {
            ((given[group] + now + 1) as f64 / self.exact[group] - ROUNDING).ceil() as u128
        };
        Some(by_deadline(&bounds, self.steps, due))
    }
}

/// Whole numbers of the sum `n`: the least of every group, and one more for those whose next one is due first, ties by
/// place.
fn by_deadline(bounds: &[[u64; 2]], n: u64, due: impl Fn(usize, u64) -> u128) -> Vec<u64> {
    let mut numbers: Vec<u64> = bounds.iter().map(|bound| bound[0]).collect();
    let mut open: Vec<usize> =
        (0..numbers.len()).filter(|group| bounds[*group][1] > numbers[*group]).collect();
    open.sort_by_key(|group| due(*group, numbers[*group]));
    open.truncate((n - numbers.iter().sum::<u64>()) as usize);
    for group in open {
        numbers[group] += 1;
    }
    numbers
}

fn add(given: &mut [u64], now: &[u64]) {
    for (given, now) in given.iter_mut().zip(now) {
        *given += now;
    }
}

#[cfg(test)]
mod tests {
    use negmine_kernels::Isa;
    use proptest::prelude::*;

    use super::*;

    fn run() -> Run<'static> {
        Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
    }

    #[test]
    fn rows_of_steps_are_exact_at_the_end_and_never_a_row_off_on_the_way() {
        let shares = [0.5, 0.3, 0.2];
        let counts = rows_of_steps(&shares, 10, 4, &run()).unwrap();
        let mut sums = [0; 3];
        for (step, row) in counts.chunks(3).enumerate() {
            assert_eq!(row.iter().sum::<i64>(), 4);
            for (place, count) in row.iter().enumerate() {
                sums[place] += count;
                let exact = shares[place] * 4.0 * (step + 1) as f64;
                assert!((sums[place] as f64 - exact).abs() < 1.0, "{place} after {step}: {sums:?}");
            }
        }
        assert_eq!(sums, [20, 12, 8]);
    }

    #[test]
    fn rare_sources_do_not_make_a_frequent_one_late() {
        let counts = rows_of_steps(&[1.0, 1.0, 1.0, 28.0], 31, 1, &run()).unwrap();
        let frequent: i64 = counts.iter().skip(3).step_by(4).take(17).sum();
        // 17 x 28 / 31 = 15.4; largest remainders would have used it 14 times.
        assert!((15..=16).contains(&frequent), "{frequent}");
    }

    #[test]
    fn a_rare_source_comes_up_as_often_as_its_share_says() {
        let mixture = MixtureSteps::new(&[1000.0, 1.0], 63, &run()).unwrap();
        let mut rare = 0;
        for epoch in 0..100 {
            let steps = mixture.epoch(epoch, None, &run()).unwrap();
            assert_eq!((steps.before()[1], steps.now.iter().sum::<u64>()), (rare, 63));
            rare += u128::from(steps.now[1]);
        }
        // 6,300 / 1,001 = 6.3.
        assert_eq!(rare, 6);
    }

    #[test]
    fn the_first_epoch_is_the_law_of_shares() {
        for shares in [&[0.01, 0.03, 0.96][..], &[1.0, 3.0, 96.0], &[5.0, 3.0, 1.5, 0.5], &[0.0, 1.0, 1.0]] {
            let law = Shares { shares, given: &[], minimum: 0, caps: &[] };
            let first = MixtureSteps::new(shares, 50, &run()).unwrap().epoch(0, None, &run()).unwrap();
            assert_eq!(first.now, law.share_out(50).unwrap());
        }
    }

    #[test]
    fn a_late_epoch_goes_on_where_the_cycle_before_ended() {
        let mixture = MixtureSteps::new(&[3.0, 1.0, 0.7], 10, &run()).unwrap();
        let last = mixture.epoch(CYCLE - 1, None, &run()).unwrap();
        let first = mixture.epoch(CYCLE, None, &run()).unwrap();
        for group in 0..3 {
            assert_eq!(first.before()[group], last.before()[group] + u128::from(last.now[group]));
        }
        assert_eq!(first.now, mixture.epoch(0, None, &run()).unwrap().now);
        let late = mixture.epoch(u64::MAX, None, &run()).unwrap();
        assert_eq!(late.before().iter().sum::<u128>(), 10 * u128::from(u64::MAX));
    }

    proptest! {
        #[test]
        fn every_source_stays_within_one_row_of_its_part_of_the_steps(
            shares in prop::collection::vec((0.0_f64..1.0, 1_i32..8), 1..12),
            steps in 1_usize..70,
            width in 1_u64..40,
        ) {
            let shares: Vec<f64> = shares.into_iter().map(|(share, power)| share.powi(power)).collect();
            prop_assume!(shares.iter().any(|share| *share > 0.0));
            let counts = rows_of_steps(&shares, steps, width, &run()).unwrap();
            let law = Shares { shares: &shares, given: &[], minimum: 0, caps: &[] };
            let totals = law.share_out(steps as u64 * width).unwrap();
            let mut given = vec![0_i64; shares.len()];
            for (step, row) in (1..).zip(counts.chunks(shares.len())) {
                prop_assert_eq!(row.iter().sum::<i64>(), width as i64);
                for (source, count) in row.iter().enumerate() {
                    given[source] += count;
                    let off = given[source] * steps as i64 - totals[source] as i64 * step;
                    prop_assert!(*count >= 0 && off.abs() < steps as i64, "{} in {}", source, step);
                }
            }
        }

        #[test]
        fn every_source_stays_within_one_step_of_its_share(
            shares in prop::collection::vec((0.0_f64..1.0, 1_i32..8), 1..12),
            steps in 1_u64..70,
        ) {
            let shares: Vec<f64> = shares.into_iter().map(|(share, power)| share.powi(power)).collect();
            prop_assume!(shares.iter().any(|share| *share > 0.0));
            let mixture = MixtureSteps::new(&shares, steps, &run()).unwrap();
            let mut last: Option<EpochSteps> = None;
            for epoch in 0..150_u32 {
                let found = mixture.epoch(u64::from(epoch), last.as_ref(), &run()).unwrap();
                prop_assert_eq!(found.now.iter().sum::<u64>(), steps);
                for (group, mean) in mixture.mean().iter().enumerate() {
                    let used = found.before()[group] as f64 + found.now[group] as f64;
                    let exact = f64::from(epoch + 1) * mean;
                    prop_assert!((used - exact).abs() < 1.0, "{} of {} in {}", used, exact, epoch);
                }
                last = Some(found);
            }
        }
    }

    #[test]
    fn shares_that_remainders_would_serve_too_late_go_by_deadline() {
        for shares in [
            &[10.0, 10.0, 10.0, 1.0, 1.0][..],
            &[1.0, 20.0, 1.0, 3.0, 15.0],
            &[1.0, 3.0, 17.0, 17.0, 15.0, 1.0],
        ] {
            let mixture = MixtureSteps::new(shares, 1, &run()).unwrap();
            assert!(mixture.by_deadline);
            let mut given = vec![0; shares.len()];
            for epoch in 0..5_000 {
                let now = mixture.within_one(epoch, &given).unwrap();
                assert_eq!(now.iter().sum::<u64>(), 1);
                add(&mut given, &now);
            }
        }
    }
}
