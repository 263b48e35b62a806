//! Scalar kernels, written for readability: the definition of each kernel, its types, and the source code that every
//! instruction set compiles again.

pub(crate) mod buckets;
pub(crate) mod canonical;
pub(crate) mod complement;
pub(crate) mod dot_i8;
pub(crate) mod feistel;
pub(crate) mod hits_i8;
pub(crate) mod peak;
pub(crate) mod quantize;
pub(crate) mod rows_i8;
pub(crate) mod simhash;
pub(crate) mod sketch;
pub(crate) mod sketch_family;
pub(crate) mod sketch_steps;
pub(crate) mod sums;
pub(crate) mod widen;
