//! Kernels by architecture, and the types that they share.

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
pub(crate) mod aarch64;
pub(crate) mod codes;
pub(crate) mod portable;
pub(crate) mod query_tile;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod summary;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(crate) mod x86_64;
