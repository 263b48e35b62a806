//! Rounds of a two-radix Feistel cipher (Black and Rogaway, CT-RSA 2002), for many positions at a time;
//! `negmine_core::batch::permutation` applies it.
//!
//! A position is a pair (left, right) with left < b and right < a. Round r of eight adds to one side, modulo its radix,
//! `(mix(other ^ key[r]) * radix) >> 32`: to the left in even rounds, to the right in odd ones. `mix` is lowbias32. All
//! arithmetic is on integers, so every instruction set gives the same numbers. With both radices at most 2^31 a sum
//! fits u32, and the smaller of `s` and `s - radix` (wrapped) is `s` modulo the radix: there is no branch and no
//! division, and the compiler vectorizes the loop with the instructions that the surrounding function may use. The
//! instruction sets therefore share one source.

pub use crate::arch::portable::feistel::{MAX_RADIX, ROUNDS, mix};
use crate::dispatch;
use crate::isa::Isa;

/// Applies all rounds to positions, given as their halves: writes `left * a + right` to `out`, and returns the largest
/// value. The halves are modified in place.
///
/// # Panics
/// If the lengths differ, or a radix exceeds [`MAX_RADIX`].
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
