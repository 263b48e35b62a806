//! The vector kernels of negmine, the only crate with `unsafe`.
//!
//! Every kernel takes the instruction set to use as its first argument, so that a test can force each one, and every
//! kernel has a scalar form, written for readability, which the others must equal bit for bit.
//!
//! Three layers, in this order: a public module states what its kernel computes and checks lengths; the private
//! `dispatch` module picks the instruction set; `arch` holds the kernels, in `arch::portable` and one folder for each
//! architecture, and the types that they share. A lower layer names no higher one, so a new architecture is a new
//! folder, its line in `arch`, its instruction sets in `isa` and their arms in `dispatch`.
//!
//! Soundness, in three rules. A kernel for an instruction set is a safe function with `#[target_feature]`; it is
//! reached only through `dispatch`, which first looks the requested [`Isa`] up in the set that was detected on this
//! processor and panics when it is not there. Lengths are checked with `assert!` once per call. The remaining `unsafe`
//! code loads and stores slices whose length the types or those assertions have fixed.
//!
//! Results assume the default floating-point environment (round to nearest, denormals kept). A caller that cannot rely
//! on it holds a [`fpenv::DefaultFloatEnv`] during the call.
#![deny(unsafe_code)]

#[allow(unsafe_code)]
pub mod aligned;
mod arch;
pub mod buckets;
pub mod canonical;
pub mod complement;
#[allow(unsafe_code)]
mod dispatch;
pub mod dot_i8;
pub mod feistel;
#[allow(unsafe_code)]
pub mod file_hint;
pub mod fpenv;
pub mod hits_i8;
pub mod isa;
pub mod peak;
pub mod quantize;
pub mod rows_i8;
pub mod simhash;
pub mod sketch;
pub mod sums;
pub mod widen;

pub use isa::{Isa, IsaError};
