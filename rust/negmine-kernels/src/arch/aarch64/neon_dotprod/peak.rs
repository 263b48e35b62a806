//! The loop that measures the peak of `sdot`; see [`crate::arch::aarch64::neon::peak`].

use std::arch::aarch64::{vdupq_n_s8, vdupq_n_s32};
use std::hint::black_box;

use super::sdot;

#[target_feature(enable = "neon,dotprod")]
pub(crate) fn int8(rounds: u64) -> u64 {
    let (documents, codes) = (vdupq_n_s8(black_box(3)), vdupq_n_s8(black_box(2)));
    let mut sums = [vdupq_n_s32(0); 24];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sdot::<0>(*sum, documents, codes);
        }
    }
    black_box(sums);
    rounds * 24 * 16
}
