//! Distinct uniform ranks.

use crate::base::philox::below;

use super::seen::Seen;

/// `n` distinct ranks below `count`, ascending, uniformly over all sets, by Floyd's algorithm; all of them if there are
/// no more. Ranks are below 2^32.
///
/// Bentley and Floyd: "A sample of brilliance", CACM 1987. `block(b)` are draws number `4 b` to `4 b + 3`. Where repeats
/// are rare, they are looked for among the sorted ranks, and a row that has some is drawn again with a set.
pub(super) fn distinct(
    count: u64,
    n: usize,
    block: impl Fn(u64) -> [u64; 4],
    seen: &mut Seen,
    ranks: &mut Vec<u32>,
) {
    ranks.clear();
    let n = (n as u64).min(count);
    if n == count {
        ranks.extend(0..count as u32);
        return;
    }
    if n.saturating_mul(n) <= count {
        for (b, lasts) in (count - n..count).step_by(4).enumerate() {
            let numbers = block(b as u64);
            ranks.extend((lasts..count).zip(numbers).map(|(last, number)| below(number, last + 1) as u32));
        }
        ranks.sort_unstable();
        if ranks.windows(2).all(|pair| pair[0] != pair[1]) {
            return;
        }
        ranks.clear();
    }
    seen.clear(n as usize);
    let mut numbers = [0; 4];
    for (t, last) in (count - n..count).enumerate() {
        if t.is_multiple_of(4) {
            numbers = block(t as u64 / 4);
        }
        let mut rank = below(numbers[t % 4], last + 1);
        if !seen.insert(rank) {
            rank = last;
            seen.insert(rank);
        }
        ranks.push(rank as u32);
    }
    ranks.sort_unstable();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::philox::{Draws, Stream};

    proptest! {
        #[test]
        fn ranks_are_distinct_and_as_many_as_exist(count in 0_u64..90, n in 0_usize..90, seed: u64) {
            let draws = Draws::new(seed, Stream::Sampler);
            let mut ranks = Vec::new();
            distinct(count, n, |b| draws.block([1 + b, 0, 0, 0]), &mut Seen::default(), &mut ranks);
            prop_assert_eq!(ranks.len() as u64, count.min(n as u64));
            prop_assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(ranks.iter().all(|rank| u64::from(*rank) < count));
        }
    }

    #[test]
    fn every_set_is_as_likely() {
        // 3 of 6: 20 sets, 20,000 draws, 19 degrees of freedom; the 99.99 % quantile of chi-square is 53.
        let mut seen = std::collections::HashMap::new();
        let draws = Draws::new(7, Stream::Sampler);
        let mut ranks = Vec::new();
        for query in 0..20_000 {
            distinct(6, 3, |b| draws.block([1 + b, 0, query, 0]), &mut Seen::default(), &mut ranks);
            *seen.entry(ranks.clone()).or_insert(0.0_f64) += 1.0;
        }
        assert_eq!(seen.len(), 20);
        let chi: f64 = seen.values().map(|count| (count - 1000.0) * (count - 1000.0) / 1000.0).sum();
        assert!(chi < 53.0, "{chi}");
    }
}
