//! Prices: what makes rows spread evenly over clusters.
//!
//! Every row takes the cluster of its list with the highest score minus price, the lower of several. A cluster with too
//! many rows becomes dearer, one with too few cheaper: by what is missing over how many rows are about to change, which
//! are those whose two best values differ by less than a width that shrinks from round to round (Newton's method, one
//! cluster at a time). All counts are whole numbers, so the order of rows does not matter.

use crate::base::Result;
use crate::base::parallel::Run;

use super::lists::{Entry, Lists};

/// What the width is multiplied with from round to round.
const SHRINK: f32 = 0.85;

/// Share of a step that is made: all clusters move at once, and neighbours would overshoot together.
const DAMPING: f32 = 0.7;

/// Rows of a piece of work at least, and pieces at most.
const LEAST_ROWS: usize = 8_192;
const MOST_ITEMS: usize = 64;

/// The best value of a list and its place, and the second best value; infinitely low where there is no second.
///
/// Written without branches, which would be guessed wrong: every round comes here for every row.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "see above")]
pub(crate) fn two_best(list: &[Entry], prices: &[f32]) -> (f32, usize, f32) {
    let (mut best, mut place, mut second) = (f32::NEG_INFINITY, 0, f32::NEG_INFINITY);
    let mut cluster = u32::MAX;
    for (i, entry) in list.iter().enumerate() {
        let value = entry.score - prices[entry.cluster as usize];
        let better = (value > best) | ((value == best) & (entry.cluster < cluster));
        let lower = if value < best { value } else { best };
        second = if lower > second { lower } else { second };
        best = if value > best { value } else { best };
        place = if better { i } else { place };
        cluster = if better { entry.cluster } else { cluster };
    }
    (best, place, second)
}

/// What the rows of one piece of work take.
struct Taken {
    labels: Vec<u32>,
    /// Rows of every cluster.
    counts: Vec<u32>,
    /// Rows of every cluster that are about to leave.
    near: Vec<u32>,
    /// Sum of what the best is better than the second best.
    margins: f64,
}

impl Taken {
    fn new<'a>(lists: impl Iterator<Item = &'a [Entry]>, prices: &[f32], width: f32) -> Self {
        let (counts, near) = (vec![0; prices.len()], vec![0; prices.len()]);
        let mut taken = Self { labels: Vec::new(), counts, near, margins: 0.0 };
        for list in lists {
            let (best, place, second) = two_best(list, prices);
            let cluster = list[place].cluster;
            taken.labels.push(cluster);
            taken.counts[cluster as usize] += 1;
            let margin = best - second;
            taken.near[cluster as usize] += u32::from(margin < width);
            // A list of one has no margin.
            taken.margins += if margin.is_finite() { f64::from(margin) } else { 0.0 };
        }
        taken
    }

    /// By all threads, in pieces that depend on the number of rows alone, for margins are summed in their order.
    fn by_all(lists: &Lists, prices: &[f32], width: f32, run: &Run<'_>) -> Result<Self> {
        let per_item = LEAST_ROWS.max(lists.len().div_ceil(MOST_ITEMS));
        let mut parts = run.map(
            lists.len().div_ceil(per_item),
            || (),
            |(), item, ticker| {
                ticker.check()?;
                Ok(Self::new(lists.iter().skip(item * per_item).take(per_item), prices, width))
            },
        )?;
        let mut all = parts.remove(0);
        for part in parts {
            all.labels.extend(part.labels);
            all.margins += part.margins;
            for j in 0..prices.len() {
                all.counts[j] += part.counts[j];
                all.near[j] += part.near[j];
            }
        }
        Ok(all)
    }
}

/// Moves prices for some rounds; the cluster that every row takes in the end.
pub(crate) fn balance(
    lists: &Lists,
    prices: &mut [f32],
    capacities: &[usize],
    rounds: usize,
    run: &Run<'_>,
) -> Result<Vec<u32>> {
    let first = Taken::by_all(lists, prices, 0.0, run)?;
    let mut width = (first.margins / lists.len() as f64) as f32;
    let mut taken = Taken::by_all(lists, prices, width, run)?;
    for _ in 0..rounds {
        let counts = taken.counts.iter().map(|&count| count as usize);
        if counts.eq(capacities.iter().copied()) {
            break;
        }
        for (j, price) in prices.iter_mut().enumerate() {
            let surplus = taken.counts[j] as f32 - capacities[j] as f32;
            // As many rows outside are about to come as inside are about to leave.
            let slope = (2 * taken.near[j]).max(1) as f32 / width.max(f32::MIN_POSITIVE);
            *price += (DAMPING * surplus / slope).clamp(-2.0 * width, 2.0 * width);
        }
        width *= SHRINK;
        taken = Taken::by_all(lists, prices, width, run)?;
    }
    Ok(taken.labels)
}
