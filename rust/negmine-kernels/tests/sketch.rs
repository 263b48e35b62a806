//! Sketches equal their definition on every instruction set, at every size around a cut, for any order and repeats.

mod common;

use common::{Random, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::sketch::{BLOCK, EMPTY, Family, SMALL, SPARSE, definition, sketch_sets};

fn family(random: &mut Random, bins: usize) -> Family {
    Family {
        bins,
        multiplier: random.bits() | 1,
        addend: random.bits(),
        odd: [1, random.bits() as u32 | 1, random.bits() as u32 | 1, random.bits() as u32 | 1],
        scale: std::array::from_fn(|_| random.bits() as u32 | 1),
        shift: std::array::from_fn(|_| random.bits() as u32),
    }
}

fn sketch(isa: Isa, family: &Family, prehashed: bool, tokens: &[u64]) -> Vec<u32> {
    let mut out = vec![7; family.bins];
    let offsets = [0, tokens.len() as i64];
    sketch_sets(isa, family, prehashed, &offsets, tokens, &mut out, family.bins, family.bins);
    out
}

#[test]
fn every_evaluation_equals_the_definition() {
    let mut random = Random(1);
    let around = [SPARSE, 40, SMALL, BLOCK, 2 * BLOCK].map(|cut| [cut - 1, cut, cut + 1]);
    let sizes = [0, 1, 2, 3, 5, 10, 20, 100, 200, 300, 400, 700, 2_500, 10_000];
    for bins in [16, 32, 64, 128, 256] {
        let family = family(&mut random, bins);
        for n in sizes.into_iter().chain(around.into_iter().flatten()) {
            let tokens: Vec<u64> = (0..n).map(|_| random.bits()).collect();
            for prehashed in [false, true] {
                let expected = definition(&family, prehashed, &tokens);
                for_each_isa(|isa| {
                    assert_eq!(
                        sketch(isa, &family, prehashed, &tokens),
                        expected,
                        "{isa}, {bins} bins, {n} tokens"
                    );
                });
            }
        }
    }
}

#[test]
fn tie_breaks_that_look_unfilled() {
    // With these constants the token is its own hash: all low halves are such that v is u32::MAX or next to it.
    let mut random = Random(2);
    for bins in [16, 128] {
        let family = Family { multiplier: 1, addend: 0, ..family(&mut random, bins) };
        for n in [1, 3, 16, 17, 70, 600] {
            let tokens: Vec<u64> = (0..n)
                .map(|_| {
                    let high = random.bits() >> 32;
                    (high << 32) | (high ^ (u64::from(u32::MAX) - (random.bits() & 1)))
                })
                .collect();
            let expected = definition(&family, true, &tokens);
            for_each_isa(|isa| {
                assert_eq!(sketch(isa, &family, true, &tokens), expected, "{isa}, {n} tokens");
            });
        }
    }
}

#[test]
fn elements_that_meet_in_one_bin() {
    // A third of a large set is in one bin and the rest in another: the others are missing in every round.
    let mut random = Random(3);
    let family = Family { multiplier: 1, addend: 0, ..family(&mut random, 128) };
    for n in [30, 64, 65, 512, 513, 5_000] {
        let tokens: Vec<u64> =
            (0..n)
                .map(|_| {
                    if random.below(3) == 0 { random.bits() >> 32 } else { random.bits() | 0xffff_ffff << 32 }
                })
                .collect();
        let expected = definition(&family, true, &tokens);
        for_each_isa(|isa| {
            assert_eq!(sketch(isa, &family, true, &tokens), expected, "{isa}, {n} tokens");
        });
    }
}

#[test]
fn repeats_and_order_change_nothing() {
    let mut random = Random(4);
    let family = family(&mut random, 128);
    for n in [1, 30, 65, 400, 600] {
        let tokens: Vec<u64> = (0..n).map(|_| random.bits()).collect();
        let mut longer: Vec<u64> = tokens.iter().rev().chain(&tokens).copied().collect();
        longer.rotate_left(n / 3);
        for_each_isa(|isa| {
            assert_eq!(sketch(isa, &family, false, &longer), sketch(isa, &family, false, &tokens));
        });
    }
}

#[test]
fn many_sets_and_a_part_of_the_bins() {
    let mut random = Random(5);
    let family = family(&mut random, 64);
    let tokens: Vec<u64> = (0..900).map(|_| random.bits()).collect();
    let offsets = [3, 3, 10, 800, 800, 900];
    for_each_isa(|isa| {
        let mut out = vec![1; 5 * 70];
        sketch_sets(isa, &family, true, &offsets, &tokens, &mut out, 70, 50);
        for (set, out) in offsets.windows(2).zip(out.chunks(70)) {
            let expected = definition(&family, true, &tokens[set[0] as usize..set[1] as usize]);
            assert_eq!(out[..50], expected[..50]);
            assert_eq!(out[50..], [1; 20]);
        }
        assert!(out[..50].iter().all(|word| *word == EMPTY));
    });
}

#[test]
#[should_panic(expected = "offsets within the tokens")]
fn offsets_beyond_the_tokens_are_refused() {
    let family = family(&mut Random(6), 16);
    sketch_sets(Isa::best(), &family, true, &[0, 2], &[1], &mut [0; 16], 16, 16);
}

#[test]
#[should_panic(expected = "offsets that ascend")]
fn offsets_that_fall_are_refused() {
    let family = family(&mut Random(6), 16);
    sketch_sets(Isa::best(), &family, true, &[1, 0], &[1], &mut [0; 16], 16, 16);
}
