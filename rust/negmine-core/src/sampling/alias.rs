//! Alias tables: draws from fixed weights at a constant cost.
//!
//! Walker: "An efficient method for generating discrete random variables with general distributions", ACM TOMS 1977,
//! built as by Vose, IEEE TSE 1991. Thresholds have 64 bits, so that weights of any ratio are represented.

use std::hint::select_unpredictable;

use negmine_kernels::aligned::prefetch;

use crate::base::memory::with_capacity;
use crate::base::parallel::{Pace, Run};
use crate::base::{Error, Result};

/// 2^64, the range of a threshold.
const RANGE: f64 = 18_446_744_073_709_551_616.0;

/// Weights of items, and a table that draws from them.
#[derive(Clone, Debug)]
pub struct Alias {
    weights: Vec<f64>,
    /// Threshold and alias of every column.
    columns: Vec<u64>,
    total: f64,
    /// Number of items of weight above 0.
    positive: usize,
}

/// A column of the table: its own item below the threshold, and another one from there on.
#[derive(Clone, Copy, Debug)]
struct Column {
    threshold: u64,
    alias: u32,
}

impl Alias {
    /// Builds the table.
    ///
    /// # Errors
    /// Returns an error on weights that are negative or not finite, 2^32 items or more, lack of memory, or an interrupt.
    pub fn new(weights: &[f64], run: &Run<'_>) -> Result<Self> {
        let n = weights.len();
        if u32::try_from(n).is_err() {
            return Err(Error::Value {
                argument: "weights",
                rule: "shorter than 2**32",
                got: format!("{n} weights"),
            });
        }
        if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(Error::Value {
                argument: "weights",
                rule: "finite and at least 0",
                got: format!("{} at row {row}", weights[row]),
            });
        }
        // As parts of the largest weight, the sum stays finite.
        let largest = weights.iter().copied().fold(0.0, f64::max);
        let mut scaled = with_capacity(n)?;
        scaled.extend(weights.iter().map(|weight| if largest > 0.0 { weight / largest } else { 0.0 }));
        let total = scaled.iter().fold(0.0, |sum, weight| sum + weight);
        let positive = scaled.iter().filter(|weight| **weight > 0.0).count();
        let columns = if positive > 0 { columns(&scaled, total, run)? } else { Vec::new() };
        let mut packed = with_capacity(2 * columns.len())?;
        packed.extend(columns.iter().flat_map(|column| [column.threshold, u64::from(column.alias)]));
        Ok(Self { weights: scaled, columns: packed, total, positive })
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The weight of an item, as a part of the largest one.
    #[must_use]
    pub fn weight(&self, item: u32) -> f64 {
        self.weights[item as usize]
    }

    /// All weights, as parts of the largest one.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The sum of all weights.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Number of items of weight above 0; no draw returns another item.
    #[must_use]
    pub fn positive(&self) -> usize {
        self.positive
    }

    /// The item of a draw; there must be an item of weight above 0.
    #[must_use]
    #[inline]
    pub fn draw(&self, x: u64) -> u32 {
        let (column, rest) = self.column(x);
        let [threshold, alias] = [self.columns[2 * column], self.columns[2 * column + 1]];
        select_unpredictable(rest < threshold, column as u32, alias as u32)
    }

    /// Asks the processor to fetch what a draw reads.
    #[inline]
    pub fn prefetch(&self, x: u64) {
        let (column, _) = self.column(x);
        prefetch(&self.columns[2 * column..2 * column + 2]);
    }

    /// Asks the processor to fetch the weight of an item.
    #[inline]
    pub fn prefetch_weight(&self, item: u32) {
        prefetch(&self.weights[item as usize..=item as usize]);
    }

    /// The column of a draw, the high half of the product, and a number that is uniform within it, the low half.
    #[inline]
    fn column(&self, x: u64) -> (usize, u64) {
        let product = u128::from(x) * self.weights.len() as u128;
        ((product >> 64) as usize, product as u64)
    }
}

/// Pairs columns below the mean with items above it.
fn columns(weights: &[f64], total: f64, run: &Run<'_>) -> Result<Vec<Column>> {
    let n = weights.len();
    let mut columns = with_capacity(n)?;
    columns.extend((0..n as u32).map(|item| Column { threshold: u64::MAX, alias: item }));
    let mut height: Vec<f64> = with_capacity(n)?;
    height.extend(weights.iter().map(|weight| weight / total * n as f64));
    let (mut small, mut large): (Vec<u32>, Vec<u32>) = (with_capacity(n)?, with_capacity(n)?);
    for item in (0..n as u32).rev() {
        if height[item as usize] < 1.0 { small.push(item) } else { large.push(item) }
    }
    let mut pace = Pace::new(run);
    while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
        pace.step(4)?;
        let part = height[low as usize];
        columns[low as usize] = Column { threshold: (part * RANGE) as u64, alias: high };
        height[high as usize] -= 1.0 - part;
        if height[high as usize] < 1.0 {
            large.pop();
            small.push(high);
        }
    }
    // Rounding leaves columns without a partner: full ones, and items of weight 0, which must not come up.
    if let Some(full) = (0..n).rev().find(|item| weights[*item] > 0.0) {
        for item in small.into_iter().filter(|item| weights[*item as usize] == 0.0) {
            columns[item as usize] = Column { threshold: 0, alias: full as u32 };
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use negmine_kernels::Isa;
    use proptest::prelude::*;

    use super::*;

    fn run() -> Run<'static> {
        Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
    }

    /// The probability that the table gives to every item, from its thresholds.
    fn law(table: &Alias) -> Vec<f64> {
        let mut law = vec![0.0; table.len()];
        for (item, column) in table.columns.chunks(2).enumerate() {
            let (threshold, alias) = (column[0], column[1] as usize);
            let own = if alias == item { 1.0 } else { threshold as f64 / RANGE };
            law[item] += own;
            law[alias] += 1.0 - own;
        }
        law.iter().map(|mass| mass / table.len() as f64).collect()
    }

    proptest! {
        #[test]
        fn the_table_has_the_law_of_the_weights(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 0.0..10.0, Just(1e-300), Just(1e300)], 1..60),
        ) {
            let table = Alias::new(&weights, &run()).unwrap();
            prop_assume!(table.positive() > 0);
            for (item, got) in law(&table).into_iter().enumerate() {
                let expected = table.weight(item as u32) / table.total();
                prop_assert!((got - expected).abs() < 1e-13, "{item}: {got} for {expected}");
                prop_assert!(weights[item] > 0.0 || got == 0.0);
            }
        }
    }

    #[test]
    fn bad_weights_are_named() {
        for bad in [f64::NAN, -1.0, f64::INFINITY] {
            let error = Alias::new(&[1.0, bad], &run()).unwrap_err().to_string();
            assert!(error.contains("`weights`") && error.contains("at row 1"), "{error}");
        }
        assert_eq!(Alias::new(&[0.0; 3], &run()).unwrap().positive(), 0);
        assert!(Alias::new(&[], &run()).unwrap().is_empty());
    }
}
