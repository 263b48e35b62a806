//! Kernels by architecture, and the types that they share.

pub(crate) mod codes;
pub(crate) mod portable;
pub(crate) mod query_tile;
#[cfg(target_arch = "x86_64")]
pub(crate) mod summary;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(crate) mod x86_64;
