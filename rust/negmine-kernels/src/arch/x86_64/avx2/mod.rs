//! AVX2, FMA and F16C: 256-bit vectors, sixteen registers.

pub(crate) mod buckets;
pub(crate) mod canonical;
pub(crate) mod dot_i8;
pub(crate) mod hits_i8;
pub(crate) mod pack;
pub(crate) mod quantize;
pub(crate) mod recompiled;
pub(crate) mod rows_i8;
pub(crate) mod simhash;
pub(crate) mod widen;
