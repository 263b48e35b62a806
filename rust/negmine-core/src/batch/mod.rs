//! Batches as pure functions of (data, options, seed, epoch).

pub mod class_balanced;
pub mod cluster_plan;
pub mod mask;
pub mod mixture;
pub mod no_duplicates;
pub mod permutation;
pub mod topic;
mod without_replacement;

pub use class_balanced::{Binning, ClassBatches, sample_balanced_margins};
pub use cluster_plan::{ClusterBatches, group};
pub use mask::{BatchRules, InBatch};
pub use mixture::{EpochSteps, MixtureSteps, rows_of_steps};
pub use no_duplicates::{Bound, Column, Columns, Epoch, Id, NoDuplicates, Parts, Policy, Remainder};
pub use permutation::Permutation;
pub use topic::TopicBatches;
