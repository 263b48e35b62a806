//! Multiply-add loops that measure peak arithmetic rates, as the compiler vectorizes them.

use std::hint::black_box;

/// Independent sums of the portable loops: enough for the pipes of any vector length the compiler picks.
const SUMS: usize = 64;

/// f32 multiplications and additions as the compiler vectorizes them.
pub(crate) fn f32(rounds: u64) -> u64 {
    let (mut sums, factor) = ([1.0_f32; SUMS], black_box(0.5));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = *sum * factor + 0.5;
        }
    }
    black_box(sums);
    rounds * SUMS as u64
}

/// Widened multiplications and additions as the compiler vectorizes them.
pub(crate) fn int8(rounds: u64) -> u64 {
    let (mut sums, codes) = ([0_i32; SUMS], black_box([3_i8; SUMS]));
    for _ in 0..rounds {
        let factor = black_box(2_i8);
        for (sum, code) in sums.iter_mut().zip(codes) {
            *sum = sum.wrapping_add(i32::from(i16::from(code) * i16::from(factor)));
        }
    }
    black_box(sums);
    rounds * SUMS as u64
}

/// The sum of words, which the vector modules compile again for their instructions.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}
