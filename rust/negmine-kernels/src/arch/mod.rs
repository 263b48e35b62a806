//! Kernels by architecture.

#[cfg(target_arch = "x86_64")]
pub(crate) mod summary;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(crate) mod x86_64;
