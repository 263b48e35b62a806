//! A set of numbers of one row, which is emptied and used again for the next.

/// Numbers that were seen: a table with open addresses, at most half full.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Numbers plus 1; 0 is a free slot.
    slots: Vec<u64>,
    shift: u32,
}

impl Seen {
    /// Empties the set, for up to `n` numbers.
    pub(super) fn clear(&mut self, n: usize) {
        let slots = (2 * n.max(1)).next_power_of_two();
        self.shift = u64::BITS - slots.trailing_zeros();
        self.slots.clear();
        self.slots.resize(slots, 0);
    }

    /// Whether a number was not seen before; it is from now on. Numbers are below 2^64 - 1.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let mask = self.slots.len() - 1;
        // Fibonacci hashing: the high bits of the product with 2^64 divided by the golden ratio.
        let mut slot = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => {
                    self.slots[slot] = number + 1;
                    return true;
                }
                known if known == number + 1 => return false,
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(numbers in prop::collection::vec(prop_oneof![0_u64..40, any::<u32>().prop_map(u64::from)], 0..90)) {
            let mut seen = Seen::default();
            for _ in 0..2 {
                seen.clear(numbers.len());
                let mut known = HashSet::new();
                for number in &numbers {
                    prop_assert_eq!(seen.insert(*number), known.insert(*number));
                }
            }
        }
    }
}
