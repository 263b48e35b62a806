//! Kernels in NEON, 128-bit vectors that every 64-bit ARM processor has.

pub(crate) mod canonical;
pub(crate) mod dot_i8;
pub(crate) mod pack;
pub(crate) mod peak;
pub(crate) mod quantize;
pub(crate) mod simhash;
pub(crate) mod widen;
