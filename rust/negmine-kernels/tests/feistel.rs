//! The cipher's rounds are the same on every instruction set, at every length and radix.

mod common;

use common::{Random, WIDTHS, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::feistel::{MAX_RADIX, ROUNDS, mix, rounds};

/// One position, with a remainder in the place of the kernel's comparison.
fn one(keys: &[u32; ROUNDS], [a, b]: [u32; 2], mut l: u64, mut q: u64) -> i64 {
    for (round, key) in keys.iter().enumerate() {
        if round % 2 == 0 {
            l = (l + ((u64::from(mix(q as u32 ^ key)) * u64::from(b)) >> 32)) % u64::from(b);
        } else {
            q = (q + ((u64::from(mix(l as u32 ^ key)) * u64::from(a)) >> 32)) % u64::from(a);
        }
    }
    (l * u64::from(a) + q) as i64
}

#[test]
fn awkward_lengths_and_radices() {
    let mut random = Random(5);
    for radices in [[17, 16], [1, 1], [2, 300], [MAX_RADIX, MAX_RADIX], [MAX_RADIX, 1], [3_163, 3_162]] {
        for length in WIDTHS {
            let keys: [u32; ROUNDS] = std::array::from_fn(|_| random.bits() as u32);
            let left: Vec<u32> = (0..length).map(|_| random.below(radices[1] as usize) as u32).collect();
            let right: Vec<u32> = (0..length).map(|_| random.below(radices[0] as usize) as u32).collect();
            let expected: Vec<i64> =
                left.iter().zip(&right).map(|(l, q)| one(&keys, radices, (*l).into(), (*q).into())).collect();
            for_each_isa(|isa| {
                let (mut left, mut right) = (left.clone(), right.clone());
                let mut got = vec![-1; length];
                let largest = rounds(isa, &keys, radices, &mut left, &mut right, &mut got);
                assert_eq!(got, expected, "{isa}, radices {radices:?}, length {length}");
                assert_eq!(largest, expected.iter().copied().max().unwrap_or(0));
            });
        }
    }
}

#[test]
#[should_panic(expected = "radices of at most 2^31")]
fn a_radix_whose_sums_overflow_is_refused() {
    rounds(Isa::best(), &[0; ROUNDS], [MAX_RADIX + 1, 2], &mut [0], &mut [0], &mut [0]);
}

#[test]
#[should_panic(expected = "as many left halves as right ones")]
fn halves_of_different_lengths_are_refused() {
    rounds(Isa::best(), &[0; ROUNDS], [2, 2], &mut [0, 0], &mut [0], &mut [0]);
}
