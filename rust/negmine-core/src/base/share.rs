//! Apportionment by largest remainders: whole numbers in proportion to shares, with a minimum, caps, and earlier
//! allocations.
//!
//! Group g gets `x_g = clip(L share_g - given_g, lo_g, cap_g)`, with L such that the numbers add up: floors first, then
//! one more for the largest remainders, ties by place. `lo_g = min(cap_g, max(0, minimum - given_g))`. A group of share
//! 0 gets `lo_g`. If caps allow fewer than asked for, every group gets its cap.

use super::error::check_length;
use super::{Error, Result};

/// The parameters of an apportionment.
#[derive(Clone, Copy, Debug)]
pub struct Shares<'a> {
    /// Finite numbers of at least 0, not all 0; they need not add up to 1.
    pub shares: &'a [f64],
    /// The earlier allocation of each group; empty for none.
    pub given: &'a [u64],
    /// The least total of each group, if its cap allows it.
    pub minimum: u64,
    /// The most that each group can get now; empty for no limits.
    pub caps: &'a [u64],
}

/// Numbers below this part of 1 are rounding errors of the shares.
const ROUNDING: f64 = 1e-9;

/// Remainders are compared in these units.
const UNITS: f64 = 1e9;

/// The least part of the largest share that a share other than 0 can be: it must not underflow to 0, and levels up to
/// 2^65 of it must stay finite.
const LEAST_SHARE: f64 = 1e-280;

impl Shares<'_> {
    /// Shares out `n`, or as much of it as the caps allow.
    ///
    /// # Errors
    /// Returns an error on shares that are negative, infinite, NaN or all 0, arrays of another length, or an `n` below
    /// the sum of the least numbers.
    pub fn share_out(&self, n: u64) -> Result<Vec<u64>> {
        let groups = self.shares.len();
        for (argument, got) in [("given", self.given.len()), ("caps", self.caps.len())] {
            if got > 0 {
                check_length(argument, groups, got)?;
            }
        }
        let shares = normalized(self.shares)?;
        let given = |group: usize| self.given.get(group).copied().unwrap_or(0);
        let bounds: Vec<[u64; 2]> = (0..groups)
            .map(|group| {
                let cap = self.caps.get(group).copied().unwrap_or(n);
                let least = cap.min(self.minimum.saturating_sub(given(group)));
                [least, if shares[group] > 0.0 { cap } else { least }]
            })
            .collect();
        let sum = |side: usize| bounds.iter().map(|bound| u128::from(bound[side])).sum::<u128>();
        if sum(0) > u128::from(n) {
            return Err(Error::Value {
                argument: "minimum",
                rule: "small enough that every group can have it",
                got: format!("{}, for which `num` must be at least {}, not {n}", self.minimum, sum(0)),
            });
        }
        let total = sum(1).min(u128::from(n)) as u64;
        let groups: Vec<Group> = (0..groups)
            .map(|group| Group { share: shares[group], given: given(group), bounds: bounds[group] })
            .collect();
        let level = level(&groups, total);
        let exact: Vec<f64> = groups.iter().map(|group| group.at(level)).collect();
        Ok(rounded(&exact, &bounds, total))
    }
}

/// Shares as parts of the largest one: sums of large shares may be infinite.
///
/// # Errors
/// Returns an error on shares that are negative, infinite, NaN or all 0.
pub(crate) fn normalized(shares: &[f64]) -> Result<Vec<f64>> {
    let largest = shares.iter().copied().fold(0.0, f64::max);
    let fits = largest > 0.0 && shares.iter().all(|share| share.is_finite() && *share >= 0.0);
    if !fits {
        return Err(Error::Value {
            argument: "shares",
            rule: "finite, at least 0, and not all 0",
            got: format!("{shares:?}"),
        });
    }
    let part = |share: &f64| if *share > 0.0 { (share / largest).max(LEAST_SHARE) } else { 0.0 };
    Ok(shares.iter().map(part).collect())
}

struct Group {
    share: f64,
    given: u64,
    bounds: [u64; 2],
}

impl Group {
    /// What the group gets where every group has `level` times its share in all.
    fn at(&self, level: f64) -> f64 {
        let [least, cap] = self.bounds.map(|bound| bound as f64);
        if self.share > 0.0 { (level * self.share - self.given as f64).clamp(least, cap) } else { least }
    }

    /// The level at which the group has `number`.
    fn level_of(&self, number: u64) -> f64 {
        (self.given as f64 + number as f64) / self.share
    }
}

/// The level at which groups get `total` together.
fn level(groups: &[Group], total: u64) -> f64 {
    let sharing = || groups.iter().filter(|group| group.share > 0.0);
    let mut corners: Vec<f64> =
        sharing().flat_map(|group| group.bounds.map(|bound| group.level_of(bound))).collect();
    corners.sort_unstable_by(f64::total_cmp);
    let at = |level: f64| groups.iter().map(|group| group.at(level)).sum::<f64>();
    let above = corners.partition_point(|corner| at(*corner) < total as f64);
    let Some(&high) = corners.get(above) else { return corners.last().copied().unwrap_or(0.0) };
    let low = if above == 0 { high } else { corners[above - 1] };
    // Between two corners the sum is a straight line.
    let (mut slope, mut rest) = (0.0, total as f64);
    for group in groups {
        let moves = group.share > 0.0
            && group.level_of(group.bounds[0]) <= low
            && group.level_of(group.bounds[1]) >= high
            && low < high;
        if moves {
            slope += group.share;
            rest += group.given as f64;
        } else {
            rest -= group.at(low);
        }
    }
    if slope > 0.0 { (rest / slope).clamp(low, high) } else { high }
}

/// Whole numbers of the sum `total`, each within its bounds: floors of `exact`, then one more for the largest
/// remainders, ties by place.
pub(crate) fn rounded(exact: &[f64], bounds: &[[u64; 2]], total: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = exact
        .iter()
        .zip(bounds)
        .map(|(exact, [least, cap])| ((exact + ROUNDING).floor().max(0.0) as u64).clamp(*least, *cap))
        .collect();
    let remainders: Vec<i64> = exact
        .iter()
        .zip(&numbers)
        .map(|(exact, number)| ((exact - *number as f64) * UNITS).round() as i64)
        .collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(remainders[*place]));
    let sum = |numbers: &[u64]| numbers.iter().map(|number| u128::from(*number)).sum::<u128>();
    // One round is enough, but for rounding errors of numbers beyond 2^50.
    while sum(&numbers) < u128::from(total) {
        let missing = u128::from(total) - sum(&numbers);
        let room = order.iter().filter(|place| numbers[**place] < bounds[**place][1]).copied();
        let chosen: Vec<usize> = room.take(missing.min(exact.len() as u128) as usize).collect();
        if chosen.is_empty() {
            break;
        }
        for place in chosen {
            numbers[place] += 1;
        }
    }
    while sum(&numbers) > u128::from(total) {
        let Some(place) = order.iter().rev().find(|place| numbers[**place] > bounds[**place][0]) else {
            break;
        };
        numbers[*place] -= 1;
    }
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shared(n: u64, shares: &[f64], given: &[u64], minimum: u64, caps: &[u64]) -> Vec<u64> {
        Shares { shares, given, minimum, caps }.share_out(n).unwrap()
    }

    #[test]
    fn golden_balanced_quotas() {
        let balanced = [1.0; 3];
        assert_eq!(shared(6, &balanced, &[5, 2, 0], 0, &[10, 10, 10]), [0, 2, 4]);
        assert_eq!(shared(6, &balanced, &[5, 2, 0], 0, &[10, 10, 3]), [0, 3, 3]);
        assert_eq!(shared(6, &balanced, &[0, 0, 0], 0, &[1, 5, 5]), [1, 3, 2]);
    }

    #[test]
    fn the_minimum_is_a_bound_and_not_handed_out_first() {
        assert_eq!(shared(10, &[50.0, 30.0, 15.0, 5.0], &[], 1, &[]), [5, 3, 1, 1]);
        assert_eq!(shared(4, &[1.0, 0.0], &[], 1, &[]), [3, 1]);
        assert_eq!(shared(4, &[1.0, 0.0], &[0, 3], 1, &[]), [4, 0]);
        let error = Shares { shares: &[1.0; 3], given: &[], minimum: 2, caps: &[] }.share_out(5);
        assert_eq!(
            error.unwrap_err().to_string(),
            "`minimum` must be small enough that every group can have it; got 2, for which `num` must be at least 6, not 5."
        );
    }

    #[test]
    fn shares_that_differ_by_a_factor_give_the_same() {
        assert_eq!(shared(50, &[0.01, 0.03, 0.96], &[], 0, &[]), [1, 1, 48]);
        assert_eq!(shared(50, &[1.0, 3.0, 96.0], &[], 0, &[]), [1, 1, 48]);
        assert_eq!(shared(20, &[1e308, 1e308], &[], 0, &[]), [10, 10]);
        assert_eq!(shared(20, &[5e-324, 5e-324], &[], 0, &[]), [10, 10]);
        // What the largest share cannot take goes to the least, however small it is.
        assert_eq!(shared(20, &[1e308, 5e-324], &[], 0, &[]), [20, 0]);
        assert_eq!(shared(50, &[1e308, 5e-324], &[], 0, &[5, 100]), [5, 45]);
        assert_eq!(shared(45, &[1e308, 5e-324, 0.0, 5e-324], &[], 0, &[5, 99, 99, 99]), [5, 20, 0, 20]);
        assert_eq!(shared(u64::MAX, &[1e308, 5e-324], &[u64::MAX, 7], 0, &[5, u64::MAX])[0], 5);
        for a in 0..=100_u32 {
            for b in 0..=100 - a {
                let parts = [a, b, 100 - a - b].map(f64::from);
                for n in [10, 50, 64] {
                    let decimals = parts.map(|part| part / 100.0);
                    assert_eq!(
                        shared(n, &parts, &[], 0, &[]),
                        shared(n, &decimals, &[], 0, &[]),
                        "{parts:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn shares_that_say_nothing_are_refused() {
        for shares in [&[0.0, 0.0][..], &[-1.0, 2.0], &[f64::NAN, 1.0], &[f64::INFINITY, 1.0], &[]] {
            let error = Shares { shares, given: &[], minimum: 0, caps: &[] }.share_out(3).unwrap_err();
            assert!(
                error.to_string().starts_with("`shares` must be finite, at least 0, and not all 0; got [")
            );
        }
        let short = Shares { shares: &[1.0, 1.0], given: &[1], minimum: 0, caps: &[] };
        assert!(short.share_out(3).is_err());
    }

    /// One at a time to the group that has the least in all and can take one more, ties by place.
    fn one_at_a_time(n: u64, given: &[u64], caps: &[u64]) -> Vec<u64> {
        let mut numbers = vec![0; given.len()];
        for _ in 0..n {
            let open = (0..given.len()).filter(|group| numbers[*group] < caps[*group]);
            let Some(least) = open.min_by_key(|group| given[*group] + numbers[*group]) else { break };
            numbers[least] += 1;
        }
        numbers
    }

    proptest! {
        #[test]
        fn equal_shares_are_one_at_a_time_to_the_least(
            groups in prop::collection::vec((0_u64..12, 0_u64..12), 1..8),
            n in 0_u64..60,
        ) {
            let (given, caps): (Vec<u64>, Vec<u64>) = groups.into_iter().unzip();
            let got = shared(n, &vec![1.0; given.len()], &given, 0, &caps);
            prop_assert_eq!(got, one_at_a_time(n, &given, &caps));
        }

        #[test]
        fn numbers_keep_to_the_law(
            groups in prop::collection::vec((0.0_f64..10.0, 0_u64..30, 0_u64..30), 1..8),
            minimum in 0_u64..3,
            n in 0_u64..100,
        ) {
            let shares: Vec<f64> = groups.iter().map(|group| if group.0 < 1.0 { 0.0 } else { group.0 }).collect();
            let (given, caps): (Vec<u64>, Vec<u64>) = groups.iter().map(|group| (group.1, group.2)).unzip();
            prop_assume!(shares.iter().any(|share| *share > 0.0));
            let law = Shares { shares: &shares, given: &given, minimum, caps: &caps };
            let least: Vec<u64> =
                (0..given.len()).map(|group| caps[group].min(minimum.saturating_sub(given[group]))).collect();
            let Ok(got) = law.share_out(n) else {
                prop_assert!(least.iter().sum::<u64>() > n);
                return Ok(());
            };
            let room = |group: usize| if shares[group] > 0.0 { caps[group] } else { least[group] };
            prop_assert_eq!(got.iter().sum::<u64>(), n.min((0..got.len()).map(room).sum()));
            // A level: no group stands more than one above it, or one below it with room for more.
            let level = |group: usize, more: f64| ((given[group] + got[group]) as f64 + more) / shares[group];
            for (a, b) in (0..got.len()).flat_map(|a| (0..got.len()).map(move |b| (a, b))) {
                prop_assert!(got[a] >= least[a] && got[a] <= room(a));
                if shares[a] > 0.0 && shares[b] > 0.0 && got[a] > least[a] && got[b] < caps[b] {
                    prop_assert!(level(a, -1.0) <= level(b, 1.0) + 1e-6, "{:?}", got);
                }
            }
        }
    }
}
