//! Batches as pure functions of (data, options, seed, epoch).

mod conflicts;
mod exhaustive;
pub mod no_duplicates;
mod packing;
pub mod permute;
mod repair;
mod shape;

pub use conflicts::{Bound, Column, Columns, Id};
pub use no_duplicates::{Epoch, NoDuplicates, Parts, Remainder};
pub use permute::Permutation;
