//! Prices of clusters, which spread rows evenly, by Newton's method.
//!
//! Every row takes the cluster of its list with the highest score minus price, the lower of several. Over-full clusters
//! get a higher price, under-full ones a lower one. The step is surplus / slope, where the slope estimates how many
//! rows would switch: those whose two best values differ by less than a width that shrinks from round to round
//! (Newton's method, one cluster at a time). The target size of a cluster on too few lists is the number of those
//! lists: otherwise its price would decrease without end, and the next search of all clusters would put it on every
//! list. All counts are integers, so the order of rows does not matter.

use crate::base::Result;
use crate::base::parallel::{Pace, Run};

use super::candidates::{DEPTH, Entry, Lists};

/// The factor of the width from round to round.
const SHRINK: f32 = 0.85;

/// The damping of steps: all prices move at once, and neighbors would overshoot together.
const DAMPING: f32 = 0.7;

/// The most rounds. There are more rounds than requested while the surplus and the deficit exceed one in `UNEVEN` rows,
/// as with small clusters.
const MOST_ROUNDS: usize = 6;
const UNEVEN: usize = 4;

/// Rows of a piece of work at least, and pieces at most.
const LEAST_ROWS: usize = 8_192;
const MOST_ITEMS: usize = 64;

/// The best value of a list and its place, the lower cluster of several, and the second best value; -inf if there is no
/// second.
#[inline]
pub(crate) fn two_best(list: &[Entry], prices: &[f32]) -> (f32, usize, f32) {
    // Every round calls this for every row. Nearly all lists have one length, for which every step is a few vector
    // instructions.
    match list.first_chunk::<DEPTH>() {
        Some(list) => two_best_of(list, prices),
        None => two_best_of_few(list, prices),
    }
}

/// The code avoids branches, which would be mispredicted, and long dependency chains.
#[expect(clippy::needless_bitwise_bool, reason = "see above")]
fn two_best_of(list: &[Entry; DEPTH], prices: &[f32]) -> (f32, usize, f32) {
    let values = list.map(|entry| entry.score - prices[entry.cluster as usize]);
    let best = greatest(values);
    let (mut place, mut cluster, mut equal) = (0, u32::MAX, 0);
    let mut others = [f32::NEG_INFINITY; DEPTH];
    for i in 0..DEPTH {
        let is_best = values[i] == best;
        others[i] = if is_best { f32::NEG_INFINITY } else { values[i] };
        equal += u32::from(is_best);
        let lower = is_best & (list[i].cluster < cluster);
        place = if lower { i } else { place };
        cluster = if lower { list[i].cluster } else { cluster };
    }
    (best, place, if equal > 1 { best } else { greatest(others) })
}

fn greatest(values: [f32; DEPTH]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 4];
    for four in values.as_chunks::<4>().0 {
        for (lane, &value) in lanes.iter_mut().zip(four) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

fn two_best_of_few(list: &[Entry], prices: &[f32]) -> (f32, usize, f32) {
    let (mut best, mut place, mut second) = (f32::NEG_INFINITY, 0, f32::NEG_INFINITY);
    let mut cluster = u32::MAX;
    for (i, entry) in list.iter().enumerate() {
        let value = entry.score - prices[entry.cluster as usize];
        if value > best || (value == best && entry.cluster < cluster) {
            second = best;
            (best, place, cluster) = (value, i, entry.cluster);
        } else if value > second {
            second = value;
        }
    }
    (best, place, second)
}

/// The clusters that the rows of one piece of work prefer.
struct Demand {
    labels: Vec<u32>,
    /// Rows of every cluster.
    counts: Vec<u32>,
    /// Rows of every cluster that are about to leave.
    near: Vec<u32>,
    /// Sum of the differences between the best and the second best value.
    margins: f64,
}

impl Demand {
    fn new<'a>(lists: impl Iterator<Item = &'a [Entry]>, prices: &[f32], width: f32) -> Self {
        let (counts, near) = (vec![0; prices.len()], vec![0; prices.len()]);
        let mut demand = Self { labels: Vec::new(), counts, near, margins: 0.0 };
        for list in lists {
            let (best, place, second) = two_best(list, prices);
            let cluster = list[place].cluster;
            demand.labels.push(cluster);
            demand.counts[cluster as usize] += 1;
            let margin = best - second;
            demand.near[cluster as usize] += u32::from(margin < width);
            // A list of one has no margin.
            demand.margins += if margin.is_finite() { f64::from(margin) } else { 0.0 };
        }
        demand
    }

    /// Counts with all threads, in pieces that depend on the number of rows alone, since margins are summed in their
    /// order.
    fn in_parallel(lists: &Lists, prices: &[f32], width: f32, run: &Run<'_>) -> Result<Self> {
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

/// The target size of each cluster: its capacity, or the number of rows that may join if that is smaller.
fn needed(lists: &Lists, capacities: &[usize], run: &Run<'_>) -> Result<Vec<usize>> {
    let mut pace = Pace::new(run);
    let mut on_lists = vec![0_usize; capacities.len()];
    for list in lists.iter() {
        pace.step(list.len())?;
        for entry in list {
            on_lists[entry.cluster as usize] += 1;
        }
    }
    Ok(on_lists.iter().zip(capacities).map(|(&lists, &capacity)| lists.min(capacity)).collect())
}

/// Moves prices for some rounds; returns the cluster that every row prefers at the end.
pub(crate) fn balance(
    lists: &Lists,
    prices: &mut [f32],
    capacities: &[usize],
    rounds: usize,
    run: &Run<'_>,
) -> Result<Vec<u32>> {
    let needed = needed(lists, capacities, run)?;
    let first = Demand::in_parallel(lists, prices, 0.0, run)?;
    let mut width = (first.margins / lists.len() as f64) as f32;
    let mut demand = Demand::in_parallel(lists, prices, width, run)?;
    for round in 0..rounds.max(MOST_ROUNDS) {
        let counts = demand.counts.iter().map(|&count| count as usize);
        let off: usize = counts.zip(capacities).map(|(count, &capacity)| count.abs_diff(capacity)).sum();
        if off == 0 || (round >= rounds && off <= lists.len() / UNEVEN) {
            break;
        }
        for (j, price) in prices.iter_mut().enumerate() {
            let surplus = demand.counts[j] as f32 - needed[j] as f32;
            // The estimate assumes that as many rows are about to join as are about to leave.
            let slope = (2 * demand.near[j]).max(1) as f32 / width.max(f32::MIN_POSITIVE);
            *price += (DAMPING * surplus / slope).clamp(-2.0 * width, 2.0 * width);
        }
        width *= SHRINK;
        demand = Demand::in_parallel(lists, prices, width, run)?;
    }
    Ok(demand.labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::philox::SplitMix;

    /// Few different values, so that many are equal, and clusters in any order.
    #[test]
    fn both_forms_agree() {
        let mut numbers = SplitMix(1);
        for _ in 0..2_000 {
            let prices: Vec<f32> = (0..40).map(|_| (numbers.draw() % 4) as f32).collect();
            let mut clusters: Vec<u32> = (0..40).collect();
            clusters.sort_by_cached_key(|_| numbers.draw());
            let entry = |i: usize| Entry { cluster: clusters[i], score: (numbers.draw() % 3) as f32 };
            let list: Vec<Entry> = (0..DEPTH).map(entry).collect();
            let (best, place, second) = two_best(&list, &prices);
            let mut values: Vec<(f32, u32)> =
                list.iter().map(|e| (prices[e.cluster as usize] - e.score, e.cluster)).collect();
            values.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            assert_eq!((-best, list[place].cluster, -second), (values[0].0, values[0].1, values[1].0));
            assert_eq!((best, place, second), two_best_of_few(&list, &prices));
        }
    }
}
