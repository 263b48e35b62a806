//! How many of n draws fall on each of two sides, if a coin decides each, and a used-up side leaves its draws to the
//! other.

/// The law of the number of draws on the first side.
pub(super) struct SideCounts {
    /// The least number; more draws than that are possible up to `first + masses.len() - 1`.
    first: usize,
    /// The probability of this number, and of the following ones.
    masses: Vec<f64>,
    /// Number of draws on both sides.
    total: usize,
}

impl SideCounts {
    /// The law of `n` distinct draws from sides of `counts` items, of which each falls on the first side with
    /// probability `p`.
    pub(super) fn new(n: usize, p: f64, counts: [u64; 2]) -> Self {
        let [first, second] = counts.map(|count| count.min(n as u64) as usize);
        let total = n.min(first + second);
        let (least, most) = (total - second, first.min(total));
        let mut masses = vec![0.0; most - least + 1];
        if least == most {
            return Self { first: least, masses: vec![1.0], total };
        }
        for (k, mass) in binomial(n, p).into_iter().enumerate() {
            masses[k.clamp(least, most) - least] += mass;
        }
        Self { first: least, masses, total }
    }

    /// The number of draws on each side after `heads` of `n` coins showed the first side.
    pub(super) fn split(&self, heads: usize) -> [usize; 2] {
        let first = heads.clamp(self.first, self.first + self.masses.len() - 1);
        [first, self.total - first]
    }

    /// The expected number of draws on one side.
    pub(super) fn expected(&self, side: usize) -> f64 {
        self.of_side(side).fold(0.0, |sum, (k, mass)| sum + k as f64 * mass)
    }

    /// The possible numbers of draws on one side, with their probabilities, which add up to 1.
    pub(super) fn of_side(&self, side: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let number = move |first| if side == 0 { first } else { self.total - first };
        self.masses.iter().enumerate().map(move |(k, mass)| (number(self.first + k), *mass))
    }
}

/// The probabilities of 0 to `n` successes. They are products of ratios from the most likely number on, so that none
/// but negligible ones are rounded to 0.
fn binomial(n: usize, p: f64) -> Vec<f64> {
    let mut masses = vec![0.0; n + 1];
    let mode = (((n + 1) as f64 * p) as usize).min(n);
    masses[mode] = 1.0;
    let odds = p / (1.0 - p);
    for k in mode..n {
        masses[k + 1] = masses[k] * ((n - k) as f64 / (k + 1) as f64 * odds);
    }
    for k in (0..mode).rev() {
        masses[k] = masses[k + 1] * ((k + 1) as f64 / (n - k) as f64 / odds);
    }
    let sum = masses.iter().fold(0.0, |sum, mass| sum + mass);
    masses.into_iter().map(|mass| mass / sum).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_are_those_of_all_sequences_of_coins(
            n in 1_usize..8, p in 0.05_f64..0.95, first in 0_u64..9, second in 0_u64..9,
        ) {
            prop_assume!(first + second > 0);
            let law = SideCounts::new(n, p, [first, second]);
            let mut expected = 0.0;
            for coins in 0_u32..1 << n {
                // Draw after draw, a used-up side leaves its draw to the other.
                let mut left = [first, second];
                let mut mass = 1.0;
                for coin in 0..n {
                    let side = usize::from(coins >> coin & 1 == 0);
                    mass *= if side == 0 { p } else { 1.0 - p };
                    let side = if left[side] == 0 { 1 - side } else { side };
                    left[side] = left[side].saturating_sub(1);
                }
                let drawn = [first - left[0], second - left[1]];
                prop_assert_eq!(law.split(coins.count_ones() as usize), drawn.map(|count| count as usize));
                expected += mass * drawn[0] as f64;
            }
            prop_assert!((law.expected(0) - expected).abs() < 1e-12);
            prop_assert!((law.expected(0) + law.expected(1) - law.total as f64).abs() < 1e-12);
        }
    }

    #[test]
    fn many_draws_keep_the_mass_of_one() {
        for p in [1e-9, 0.3, 0.5, 1.0 - 1e-9] {
            let masses = binomial(20_000, p);
            let mean = masses.iter().enumerate().map(|(k, mass)| k as f64 * mass).sum::<f64>();
            assert!((mean / (20_000.0 * p) - 1.0).abs() < 1e-9, "{p}: {mean}");
        }
    }
}
