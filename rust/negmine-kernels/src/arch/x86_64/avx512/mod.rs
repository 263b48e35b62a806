//! AVX-512 F, BW, DQ, VL and VNNI: 512-bit vectors, thirty-two registers, masks.

pub(crate) mod buckets;
pub(crate) mod dot_i8;
pub(crate) mod hits_i8;
pub(crate) mod pack;
pub(crate) mod quantize;
pub(crate) mod recompiled;
pub(crate) mod rows_i8;
pub(crate) mod simhash;
pub(crate) mod sketch;
pub(crate) mod widen;
