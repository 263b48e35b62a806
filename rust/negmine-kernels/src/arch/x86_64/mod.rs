//! Kernels in x86-64 vector instructions, one folder for each instruction set.
//!
//! All of them are safe functions that carry their target features; only `crate::dispatch` calls them from outside.

// Small arrays of registers are indexed by loops that unroll completely; iterators over several of them at once hide
// it.
#![allow(clippy::needless_range_loop)]

pub(crate) mod avx2;
pub(crate) mod avx512;
pub(crate) mod avxvnni;
mod buckets;
pub(crate) mod peak;
mod prefetch;
pub(crate) mod vnni256;
