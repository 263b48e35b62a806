//! Batches as pure functions of (data, options, seed, epoch).

pub mod balanced;
mod chains;
pub mod cluster;
mod conflicts;
mod deal;
mod exhaustive;
mod heavy;
mod leave_out;
pub mod mask;
pub mod no_duplicates;
mod pack;
mod packing;
pub mod permute;
mod repair;
mod shape;
pub mod topic;

pub use balanced::{Binning, ClassBatches, sample_balanced_margins};
pub use cluster::{ClusterBatches, group};
pub use conflicts::{Bound, Column, Columns, Id};
pub use mask::{BatchRules, InBatch};
pub use no_duplicates::{Epoch, NoDuplicates, Parts, Policy, Remainder};
pub use permute::Permutation;
pub use topic::TopicBatches;
