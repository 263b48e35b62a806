//! Prices: what makes rows spread evenly over clusters.
//!
//! Every row takes the cluster of its list with the highest score minus price, the lower of several. A cluster with too
//! many rows becomes dearer, one with too few cheaper: by what is missing over how many rows are about to change, which
//! are those whose two best values differ by less than a width that shrinks from round to round (Newton's method, one
//! cluster at a time). All counts are whole numbers, so the order of rows does not matter.

use super::lists::{Entry, Lists};

/// What the width is multiplied with from round to round.
const SHRINK: f32 = 0.85;

/// Share of a step that is made: all clusters move at once, and neighbours would overshoot together.
const DAMPING: f32 = 0.7;

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

/// Moves prices for some rounds; the cluster that every row takes in the end.
pub(crate) fn balance(lists: &Lists, prices: &mut [f32], capacities: &[usize], rounds: usize) -> Vec<u32> {
    let mut labels = vec![0; lists.iter().count()];
    let mut counts = vec![0_usize; prices.len()];
    let mut near = vec![0_usize; prices.len()];
    let mut width = 0.0;
    for round in 0..=rounds {
        counts.fill(0);
        near.fill(0);
        let mut margins = 0.0_f64;
        for (list, label) in lists.iter().zip(&mut labels) {
            let (best, place, second) = two_best(list, prices);
            let cluster = list[place].cluster;
            *label = cluster;
            counts[cluster as usize] += 1;
            let margin = best - second;
            if round == 0 {
                // A list of one has no margin.
                margins += if margin.is_finite() { f64::from(margin) } else { 0.0 };
            } else if margin < width {
                near[cluster as usize] += 1;
            }
        }
        if round == rounds || counts.iter().eq(capacities) {
            break;
        }
        if round == 0 {
            width = (margins / labels.len().max(1) as f64) as f32;
            continue;
        }
        for (j, price) in prices.iter_mut().enumerate() {
            let surplus = counts[j] as f32 - capacities[j] as f32;
            // As many rows outside are about to come as inside are about to leave.
            let slope = (2 * near[j]).max(1) as f32 / width.max(f32::MIN_POSITIVE);
            *price += (DAMPING * surplus / slope).clamp(-2.0 * width, 2.0 * width);
        }
        width *= SHRINK;
    }
    labels
}
