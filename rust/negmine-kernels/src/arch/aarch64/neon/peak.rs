//! Multiply-add loops on registers, which measure peak arithmetic rates.
//!
//! Each has enough independent accumulators for the latency and the number of pipes, in registers only; operands pass
//! through `black_box` so that nothing is computed beforehand. They return the number of multiply-adds done.

use std::arch::aarch64::{vdupq_n_f32, vdupq_n_s8, vdupq_n_s32, vfmaq_f32};
use std::hint::black_box;

use super::dot_i8::add_products;

#[target_feature(enable = "neon")]
pub(crate) fn f32(rounds: u64) -> u64 {
    let (mut sums, factor) = ([vdupq_n_f32(1.0); 24], vdupq_n_f32(black_box(0.5)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = vfmaq_f32(factor, *sum, factor);
        }
    }
    black_box(sums);
    rounds * 24 * 4
}

/// The exact sequence of the panel scan.
#[target_feature(enable = "neon")]
pub(crate) fn int8(rounds: u64) -> u64 {
    let documents = black_box([vdupq_n_s8(3); 12]);
    let mut sums = [vdupq_n_s32(0); 12];
    for _ in 0..rounds {
        // The products do not change from round to round; opaque operands keep them from being computed once.
        let codes = vdupq_n_s8(black_box(2));
        for (sum, documents) in sums.iter_mut().zip(documents) {
            *sum = add_products(*sum, documents, codes);
        }
    }
    black_box(sums);
    rounds * 12 * 16
}
