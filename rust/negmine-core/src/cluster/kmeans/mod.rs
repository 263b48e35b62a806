//! k-means: Lloyd's iterations, with exact and pruned assignment.

pub(crate) mod assign;
pub mod lloyd;
pub(crate) mod pruned_assign;
pub(crate) mod pruning_choice;

pub use lloyd::KMeans;
