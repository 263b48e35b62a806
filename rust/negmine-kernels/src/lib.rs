//! The vector kernels of negmine, the only crate with `unsafe`.
#![deny(unsafe_code)]

pub mod canonical;
