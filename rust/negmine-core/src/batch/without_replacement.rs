//! Hands of distinct cards from a pack that is shuffled anew when it is used up: any hand on its own.
//!
//! Hand `h` of `p` cards out of `n` is positions `h p .. (h + 1) p` of an endless row of shuffled packs. A hand that runs
//! over the end of a pack could hold a card twice; so where a pack begins inside a hand, cards of that hand's first part
//! are passed over and follow right after it. Only the first `p` positions of a pack move by that, and the last `p` of
//! the pack before decide how, so with `2 p <= n` nothing has to be followed back. A larger hand is what a smaller one
//! leaves. Between two hands, no card has been dealt twice more than another.

use std::collections::HashSet;

use super::permutation::Permutation;
use crate::base::philox::Draws;

/// Packs of `n` cards, dealt in hands of `p`, at most `n`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deal<'a> {
    pub(super) draws: &'a Draws,
    /// Tells one deal from another: the first word of a permutation's key.
    pub(super) key: u64,
    pub(super) n: u64,
    pub(super) p: u64,
}

impl Deal<'_> {
    /// The cards of a hand, and how often each was dealt before.
    pub(super) fn hand(&self, hand: u128) -> Vec<(u64, u128)> {
        if self.p == self.n {
            return (0..self.n).map(|card| (card, hand)).collect();
        }
        if 2 * self.p <= self.n {
            return self.straight(hand);
        }
        let left = Self { p: self.n - self.p, ..*self };
        let out: HashSet<u64> = left.straight(hand).into_iter().map(|(card, _)| card).collect();
        let (pack, at) = left.place(hand);
        let again: HashSet<u64> = left.cards(pack, 0..at).into_iter().collect();
        (0..self.n)
            .filter(|card| !out.contains(card))
            .map(|card| (card, hand - pack - u128::from(again.contains(&card))))
            .collect()
    }

    /// The pack in which a hand begins, and where.
    fn place(&self, hand: u128) -> (u128, u64) {
        let (n, p) = (u128::from(self.n), u128::from(self.p));
        let rest = hand % n * p;
        (hand / n * p + rest / n, (rest % n) as u64)
    }

    fn straight(&self, hand: u128) -> Vec<(u64, u128)> {
        let (pack, at) = self.place(hand);
        let end = (at + self.p).min(self.n);
        let first = self.cards(pack, at..end).into_iter().map(|card| (card, pack));
        let over = at + self.p - end;
        if over == 0 {
            return first.collect();
        }
        let second = self.cards(pack + 1, 0..over).into_iter().map(|card| (card, pack + 1));
        first.chain(second).collect()
    }

    fn pack(&self, pack: u128) -> Permutation {
        Permutation::keyed(self.n, self.draws, [self.key, (pack >> 64) as u64, pack as u64])
    }

    /// Cards of a pack in the order in which they are dealt.
    fn cards(&self, pack: u128, places: std::ops::Range<u64>) -> Vec<u64> {
        let order = self.pack(pack);
        let (n, p) = (u128::from(self.n), u128::from(self.p));
        // How much of the hand in which this pack begins is of the pack before.
        let before = (pack % p * (n % p) % p) as u64;
        if places.start >= self.p || before == 0 {
            return places.map(|place| order.index(place)).collect();
        }
        let last = self.pack(pack.wrapping_sub(1));
        let held: HashSet<u64> = (self.n - before..self.n).map(|place| last.index(place)).collect();
        let mut head = Vec::with_capacity(2 * self.p as usize);
        let mut passed = Vec::new();
        let mut next = 0;
        while (head.len() as u64) < self.p - before {
            let card = order.index(next);
            if held.contains(&card) {
                passed.push(card);
            } else {
                head.push(card);
            }
            next += 1;
        }
        head.append(&mut passed);
        places.map(|place| head.get(place as usize).copied().unwrap_or_else(|| order.index(place))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::philox::Stream;

    proptest! {
        #[test]
        fn hands_are_distinct_and_even(n in 1_u64..40, seed: u64, key in 0_u64..5, cut in 0.0..1.0_f64) {
            let draws = Draws::new(seed, Stream::Classes);
            let p = 1 + (cut * n as f64) as u64;
            let deal = Deal { draws: &draws, key, n, p };
            let mut times = vec![0_u128; n as usize];
            for hand in 0..3 * n {
                let cards = deal.hand(u128::from(hand));
                prop_assert_eq!(cards.len() as u64, p);
                let distinct: HashSet<u64> = cards.iter().map(|(card, _)| *card).collect();
                prop_assert_eq!(distinct.len() as u64, p);
                for (card, before) in cards {
                    prop_assert_eq!(times[card as usize], before);
                    times[card as usize] += 1;
                }
                let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
                prop_assert!(most - least <= 1, "hand {hand}: {times:?}");
            }
        }

        #[test]
        fn any_hand_is_dealt(n in 1_u64..1 << 40, cut in 0.0..1.0_f64, hand: u128) {
            let draws = Draws::new(1, Stream::Classes);
            let p = (1 + (cut * 30.0) as u64).min(n);
            let cards = Deal { draws: &draws, key: 0, n, p }.hand(hand >> 1);
            let distinct: HashSet<u64> = cards.iter().map(|(card, _)| *card).collect();
            prop_assert_eq!(distinct.len() as u64, p);
            prop_assert!(distinct.iter().all(|card| *card < n));
        }
    }
}
