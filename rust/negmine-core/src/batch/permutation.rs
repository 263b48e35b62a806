//! Random-access permutations by a Feistel cipher with cycle walking (Black and Rogaway, CT-RSA 2002): the order of an
//! epoch without storage, at the same cost for every position.
//!
//! Shuffling an array costs memory and must start from its beginning, so a resumed run or a second rank pays for
//! positions that it does not use. Here position x of epoch e is a pure function of (N, seed, e, x): a Feistel cipher
//! on pairs (x div a, x mod a) with radices a = ceil(sqrt N) and b = ceil(N / a), and cycle walking: a position on one
//! of the at most a - 1 points beyond N goes through the cipher again (Black and Rogaway, "Ciphers with arbitrary
//! finite domains", CT-RSA 2002). Eight rounds pass tests of positions, pairs, differences, composition of batches, and
//! of one epoch or seed against the next; four fail and six fail up to N = 128. Up to 256 elements the cipher misses
//! permutations, and the Fisher-Yates shuffle costs little, so it is used instead.

use negmine_kernels::feistel::{MAX_RADIX, ROUNDS, mix, rounds};
use negmine_kernels::isa::Isa;

use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream, below};
use crate::base::{Error, Result};

/// Up to this many elements are shuffled and kept.
const SHUFFLED: u64 = 256;

/// Positions that go through the rounds together: two arrays of 2 KiB, well inside the L1 cache.
const BLOCK: usize = 512;

/// Positions between two checks for an interrupt: about 10 ms.
const STRIDE: usize = 1 << 20;

/// A permutation of `0..n`.
#[derive(Clone, Debug)]
pub struct Permutation {
    n: u64,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Shuffled(Vec<u8>),
    Cipher { a: u64, b: u64, keys: [u32; ROUNDS] },
}

impl Permutation {
    /// The permutation of `n` elements for one seed and epoch.
    #[must_use]
    pub fn new(n: u64, seed: u64, epoch: u64) -> Self {
        Self::keyed(n, &Draws::new(seed, Stream::Order), [0, 0, epoch])
    }

    /// One of many permutations on a stream, identified by `key`, whose first word is below 2^63.
    pub(super) fn keyed(n: u64, draws: &Draws, key: [u64; 3]) -> Self {
        let form = if n <= SHUFFLED {
            Form::Shuffled(shuffled(n as usize, draws, key))
        } else {
            let a = (n - 1).isqrt() + 1;
            let mut keys = [0; ROUNDS];
            let words = draws.block([1, 2 * key[0], key[1], key[2]]);
            for (pair, x) in keys.as_chunks_mut().0.iter_mut().zip(words) {
                *pair = [x as u32, (x >> 32) as u32];
            }
            Form::Cipher { a, b: n.div_ceil(a), keys }
        };
        Self { n, form }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The element at position `x`.
    ///
    /// # Panics
    /// If `x` is not below the number of elements.
    #[must_use]
    pub fn index(&self, x: u64) -> u64 {
        assert!(x < self.n, "a position below {}; got {x}", self.n);
        match &self.form {
            Form::Shuffled(order) => u64::from(order[x as usize]),
            Form::Cipher { a, b, keys } => {
                let mut x = x;
                loop {
                    x = once(x, *a, *b, keys);
                    if x < self.n {
                        return x;
                    }
                }
            }
        }
    }

    /// Writes the elements at positions `start..start + out.len()`.
    ///
    /// # Errors
    /// Returns an error on a range that ends beyond the last position, more elements than row numbers, or an interrupt.
    pub fn fill(&self, start: u64, out: &mut [i64], run: &Run<'_>) -> Result<()> {
        if self.n > i64::MAX as u64 {
            return Err(Error::TooManyRows { argument: "n", rows: self.n as usize });
        }
        if start.checked_add(out.len() as u64).is_none_or(|end| end > self.n) {
            return Err(Error::Value {
                argument: "stop",
                rule: "at most `n`",
                got: format!("{}", u128::from(start) + out.len() as u128),
            });
        }
        let total = out.len();
        let mut at = start;
        for (stride, part) in out.chunks_mut(STRIDE).enumerate() {
            if stride > 0 && (run.poll)(stride * STRIDE, total) {
                return Err(Error::Interrupted);
            }
            for block in part.chunks_mut(BLOCK) {
                self.fill_block(at, block, run.isa);
                at += block.len() as u64;
            }
        }
        Ok(())
    }

    fn fill_block(&self, start: u64, out: &mut [i64], isa: Isa) {
        match &self.form {
            Form::Cipher { a, b, keys } if *a <= u64::from(MAX_RADIX) => {
                let mut left = [0_u32; BLOCK];
                let mut right = [0_u32; BLOCK];
                let (left, right) = (&mut left[..out.len()], &mut right[..out.len()]);
                split(start, *a as u32, left, right);
                let largest = rounds(isa, keys, [*a as u32, *b as u32], left, right, out);
                if largest as u64 >= self.n {
                    for value in out.iter_mut().filter(|value| **value as u64 >= self.n) {
                        while *value as u64 >= self.n {
                            *value = once(*value as u64, *a, *b, keys) as i64;
                        }
                    }
                }
            }
            _ => {
                for (value, x) in out.iter_mut().zip(start..) {
                    *value = self.index(x) as i64;
                }
            }
        }
    }
}

/// One pass through the cipher. Radices go up to 2^32, so the sums are in u64.
fn once(x: u64, a: u64, b: u64, keys: &[u32; ROUNDS]) -> u64 {
    let (mut l, mut q) = (x / a, x % a);
    for pair in keys.as_chunks::<2>().0 {
        l = wrapped(l + scaled(q, pair[0], b), b);
        q = wrapped(q + scaled(l, pair[1], a), a);
    }
    l * a + q
}

/// A number below `radix` from the other half.
fn scaled(half: u64, key: u32, radix: u64) -> u64 {
    (u64::from(mix(half as u32 ^ key)) * radix) >> 32
}

/// The sum of two numbers below `radix`, modulo it.
fn wrapped(sum: u64, radix: u64) -> u64 {
    if sum >= radix { sum - radix } else { sum }
}

/// Consecutive positions as pairs.
fn split(start: u64, a: u32, left: &mut [u32], right: &mut [u32]) {
    let mut l = (start / u64::from(a)) as u32;
    let mut q = (start % u64::from(a)) as u32;
    let mut at = 0;
    while at < left.len() {
        let run = (left.len() - at).min((a - q) as usize);
        left[at..at + run].fill(l);
        for (value, q) in right[at..at + run].iter_mut().zip(q..) {
            *value = q;
        }
        at += run;
        l += 1;
        q = 0;
    }
}

fn shuffled(n: usize, draws: &Draws, key: [u64; 3]) -> Vec<u8> {
    let mut order: Vec<u8> = (0..n).map(|row| row as u8).collect();
    for i in (1..n).rev() {
        let x = draws.block([1 + i as u64 / 4, 2 * key[0] + 1, key[1], key[2]])[i % 4];
        order.swap(i, below(x, i as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run() -> Run<'static> {
        Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
    }

    fn filled(permutation: &Permutation, start: u64, len: usize, isa: Isa) -> Vec<i64> {
        let mut out = vec![-1; len];
        permutation.fill(start, &mut out, &Run { isa, ..run() }).unwrap();
        out
    }

    #[test]
    fn golden_orders() {
        let cases: [(u64, u64, &[u64]); 8] = [
            (10, 0, &[8, 6, 3, 4, 7, 2, 0, 1, 9, 5]),
            (10, 1, &[0, 1, 5, 7, 4, 9, 8, 2, 3, 6]),
            (256, 0, &[35, 61, 252, 12, 110, 64, 132, 95]),
            (257, 0, &[52, 74, 57, 229, 0, 214, 185, 248]),
            (1_000, 0, &[877, 530, 361, 508, 11, 654, 123, 144]),
            (1_000, 1, &[176, 752, 901, 687, 696, 489, 692, 113]),
            (
                10_000_000,
                0,
                &[7_710_586, 9_300_707, 7_513_638, 8_667_129, 2_679_846, 497_531, 2_242_327, 7_277_831],
            ),
            ((1 << 40) - 87, 0, &[618_836_057_590, 245_919_858_884, 300_886_781_232, 967_326_761_627]),
        ];
        for (n, epoch, expected) in cases {
            let permutation = Permutation::new(n, 42, epoch);
            let one: Vec<u64> = (0..expected.len() as u64).map(|x| permutation.index(x)).collect();
            assert_eq!(one, expected, "n = {n}, epoch {epoch}");
            let many = filled(&permutation, 0, expected.len(), Isa::active().unwrap());
            assert!(many.iter().zip(expected).all(|(&a, &b)| a as u64 == b), "n = {n}, epoch {epoch}");
        }
    }

    #[test]
    fn every_small_size_is_permuted() {
        for n in (0..600).chain([1_023, 1_024, 1_025, 4_096, 5_041, 65_536, 66_000]) {
            let permutation = Permutation::new(n, 7, n);
            assert_eq!((permutation.len(), permutation.is_empty()), (n, n == 0));
            let mut seen = filled(&permutation, 0, n as usize, Isa::active().unwrap());
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..n as i64), "n = {n}");
        }
    }

    #[test]
    fn the_largest_sizes_stay_in_range_and_tell_positions_apart() {
        for n in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 62) + 1, (1 << 62) - 1, (1 << 32) + 1] {
            let permutation = Permutation::new(n, 3, 0);
            let mut seen: Vec<u64> = (0..500)
                .chain(n - 500..n)
                .map(|x| permutation.index(x))
                .inspect(|x| assert!(*x < n))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 1_000, "n = {n}");
        }
        let refused = Permutation::new(1 << 63, 0, 0).fill(0, &mut [0], &run());
        assert!(matches!(refused, Err(Error::TooManyRows { .. })));
    }

    #[test]
    fn a_range_beyond_the_end_is_refused_and_an_interrupt_ends_the_call() {
        let permutation = Permutation::new(3 << 20, 0, 0);
        assert!(matches!(permutation.fill(3 << 20, &mut [0], &run()), Err(Error::Value { .. })));
        assert!(matches!(permutation.fill(u64::MAX, &mut [0], &run()), Err(Error::Value { .. })));
        let stop = Run { poll: &|_, _| true, ..run() };
        assert_eq!(permutation.fill(0, &mut vec![0; 2 << 20], &stop), Err(Error::Interrupted));
    }

    proptest! {
        #[test]
        fn it_is_a_permutation_and_bulk_is_one_by_one(
            n in 1_u64..4_000,
            seed: u64,
            epoch: u64,
            cut in 0.0..1.0_f64,
        ) {
            let permutation = Permutation::new(n, seed, epoch);
            let one: Vec<i64> = (0..n).map(|x| permutation.index(x) as i64).collect();
            for isa in Isa::available() {
                prop_assert_eq!(&filled(&permutation, 0, n as usize, isa), &one);
            }
            let start = (cut * n as f64) as usize;
            let part = filled(&permutation, start as u64, (n as usize - start).min(700), Isa::active().unwrap());
            prop_assert_eq!(&part[..], &one[start..start + part.len()]);
            let mut sorted = one;
            sorted.sort_unstable();
            prop_assert!(sorted.into_iter().eq(0..n as i64));
        }

        #[test]
        fn bulk_is_one_by_one_at_any_size(bits in 9_u32..63, low: u64, seed: u64, at: u64) {
            let n = (1_u64 << bits) | (low & ((1 << bits) - 1));
            let permutation = Permutation::new(n, seed, 1);
            let start = at % (n - 300);
            for isa in Isa::available() {
                let many = filled(&permutation, start, 300, isa);
                prop_assert!(many.iter().zip(start..).all(|(&y, x)| y as u64 == permutation.index(x)));
            }
        }
    }
}
