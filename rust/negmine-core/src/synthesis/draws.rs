//! Draws of oversampling, by number: row `r` of a class uses the numbers from `r (1 + width)` on.

use crate::base::memory::with_capacity;
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream, below};
use crate::base::{Error, Result};

/// Rows drawn between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 1 << 14;

/// The number of uniform numbers whose median is a draw of Beta(10, 10).
const UNIFORMS_OF_MEDIAN: usize = 19;

/// What was drawn for some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct RowDraws {
    /// One number below `choices` per row.
    pub choice: Vec<i64>,
    /// `width` numbers strictly between 0 and 1 per row.
    pub gap: Vec<f32>,
}

/// Draws for the `n` rows of a class that begin with row `first`.
///
/// # Errors
/// Returns an error on `choices` of 0, lack of memory, or an interrupt.
pub fn row_draws(
    seed: u64,
    class: u64,
    first: u64,
    n: usize,
    width: usize,
    choices: u64,
    run: &Run<'_>,
) -> Result<RowDraws> {
    if choices == 0 && n > 0 {
        return Err(Error::Value { argument: "choices", rule: "at least 1", got: "0".to_owned() });
    }
    let draws = Draws::new(seed, Stream::Oversample);
    let mut choice = with_capacity(n)?;
    let mut gap = with_capacity(n.saturating_mul(width))?;
    for row in 0..n {
        if row % ROWS_PER_CHECK == 0 {
            run.tick(row, n)?;
        }
        let number = (first + row as u64) * (1 + width as u64);
        choice.push(below(draws.by_number(0, class, None, number), choices) as i64);
        gap.extend((1..=width as u64).map(|t| open_unit(draws.by_number(0, class, None, number + t))));
    }
    Ok(RowDraws { choice, gap })
}

/// A draw as one of the 2^23 numbers in the middle of equal parts of (0, 1), each of which is exact in f32.
fn open_unit(x: u64) -> f32 {
    const SCALE: f32 = 1.0 / (1_u32 << 23) as f32;
    ((x >> 41) as f32 + 0.5) * SCALE
}

/// The share of rows of a class that lie between their parents, of Beta(10, 10): the median of 19 uniform numbers.
///
/// These numbers are those of positive 0, which no row uses.
#[must_use]
pub fn interpolated_share(seed: u64, class: u64) -> f64 {
    let draws = Draws::new(seed, Stream::Oversample);
    let mut numbers = [0; UNIFORMS_OF_MEDIAN];
    for (t, number) in numbers.iter_mut().enumerate() {
        *number = draws.by_number(0, class, Some(0), t as u64);
    }
    numbers.sort_unstable();
    crate::base::philox::unit(numbers[UNIFORMS_OF_MEDIAN / 2])
}

#[cfg(test)]
mod tests {
    use negmine_kernels::isa::Isa;

    use super::*;

    fn drawn(first: u64, n: usize, width: usize) -> RowDraws {
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
        row_draws(7, 2, first, n, width, 10, &run).unwrap()
    }

    #[test]
    fn rows_have_their_own_numbers() {
        let all = drawn(0, 20, 3);
        let last = drawn(15, 5, 3);
        assert_eq!(all.choice[15..], last.choice);
        assert_eq!(all.gap[45..], last.gap);
        assert!(all.choice.iter().all(|choice| (0..10).contains(choice)));
    }

    #[test]
    fn gaps_are_open_at_both_ends() {
        assert!(open_unit(0) > 0.0);
        assert!(open_unit(u64::MAX) < 1.0);
    }

    #[test]
    fn shares_have_the_moments_of_the_beta_distribution() {
        let n = 20_000;
        let shares: Vec<f64> = (0..n).map(|seed| interpolated_share(seed, 1)).collect();
        let mean = shares.iter().sum::<f64>() / n as f64;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / n as f64;
        // Beta(10, 10): mean 1/2, variance 1/84; five standard errors.
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 84.0 / n as f64).sqrt(), "{mean}");
        assert!((variance * 84.0 - 1.0).abs() < 0.05, "{variance}");
    }
}
