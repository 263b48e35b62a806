//! Rounds of the two-radix Feistel cipher that `negmine_core::batch::permutation` walks: many positions at a time.
//!
//! A position is a pair (left, right) with left < b and right < a. Round r of eight adds to one side, modulo its radix,
//! `(mix(other ^ key[r]) * radix) >> 32`: to the left in even rounds, to the right in odd ones. `mix` is lowbias32. All
//! is integer arithmetic, so every instruction set gives the same numbers. With both radices at most 2^31 a sum fits
//! u32, and the smaller of `s` and `s - radix` (wrapped) is `s` modulo the radix: no branch and no division, and the
//! compiler makes vectors of the loop in whatever instructions the function around it may use. The instruction sets
//! therefore share one text.

use crate::dispatch;
use crate::isa::Isa;

/// Rounds of the cipher; four and six fail tests of randomness on small sets.
pub const ROUNDS: usize = 8;

/// The largest radix of this kernel.
pub const MAX_RADIX: u32 = 1 << 31;

/// lowbias32.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call would not take the target features of its caller")]
#[must_use]
pub const fn mix(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// What all rounds make of some positions, given as their halves: `left * a + right` goes to `out`, and the largest of it
/// is returned. The halves are worked on in place.
///
/// # Panics
/// Where the lengths differ, or a radix exceeds [`MAX_RADIX`].
pub fn rounds(
    isa: Isa,
    keys: &[u32; ROUNDS],
    radices: [u32; 2],
    left: &mut [u32],
    right: &mut [u32],
    out: &mut [i64],
) -> i64 {
    assert_eq!(left.len(), right.len(), "as many left halves as right ones");
    assert_eq!(left.len(), out.len(), "as many results as positions");
    assert!(radices.iter().all(|radix| *radix <= MAX_RADIX), "radices of at most 2^31");
    dispatch::feistel_rounds(isa, keys, radices, left, right, out)
}

/// The text that every instruction set compiles. Positions are the inner loop: a round waits for the one before it, and
/// neighbours fill that time.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn rounds_inline(
    keys: &[u32; ROUNDS],
    [a, b]: [u32; 2],
    left: &mut [u32],
    right: &mut [u32],
    out: &mut [i64],
) -> i64 {
    for pair in keys.as_chunks::<2>().0 {
        add(left, right, pair[0], b);
        add(right, left, pair[1], a);
    }
    let mut largest = 0;
    for ((out, l), q) in out.iter_mut().zip(left).zip(right) {
        *out = (u64::from(*l) * u64::from(a) + u64::from(*q)) as i64;
        largest = largest.max(*out);
    }
    largest
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "see `rounds_inline`")]
fn add(to: &mut [u32], other: &[u32], key: u32, radix: u32) {
    for (to, other) in to.iter_mut().zip(other) {
        let step = ((u64::from(mix(other ^ key)) * u64::from(radix)) >> 32) as u32;
        let sum = to.wrapping_add(step);
        *to = sum.min(sum.wrapping_sub(radix));
    }
}
