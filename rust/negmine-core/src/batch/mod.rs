//! Batches as pure functions of (data, options, seed, epoch).

pub mod permute;

pub use permute::Permutation;
