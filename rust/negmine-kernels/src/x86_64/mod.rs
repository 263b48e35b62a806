//! Kernels in x86-64 vector instructions, one folder for each instruction set.
//!
//! All of them are safe functions that carry their target features; only `crate::dispatch` calls them from outside.

// Small arrays of registers are indexed by loops that unroll completely; iterators over several of them at once hide it.
#![allow(clippy::needless_range_loop)]

pub(crate) mod avx2;
pub(crate) mod avx512;
pub(crate) mod avxvnni;
pub(crate) mod peak;
pub(crate) mod vnni256;

/// Rows between the one that is multiplied and the one that is prefetched, for kernels that read scattered rows.
/// Measured on a Zen 4 processor at width 384 with rows in memory; 4 to 16 are within a few percent.
const AHEAD: usize = 8;

/// The places of the bits of a mask, rising.
#[inline]
fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        place
    })
}
