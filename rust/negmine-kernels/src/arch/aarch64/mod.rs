//! Kernels in vector instructions of 64-bit ARM processors, one folder for each instruction set.
//!
//! All of them are safe functions that carry their target features; only `crate::dispatch` calls them from outside. The
//! compiler vectorizes portable code with NEON on this architecture, so a form stands here only where it finds less.
//! Their shapes follow from counts of instructions and registers; none has been timed on a processor.

// Small arrays of registers are indexed by loops that unroll completely; iterators over several of them at once hide
// it.
#![allow(clippy::needless_range_loop)]

pub(crate) mod neon;
pub(crate) mod neon_dotprod;
