//! k-means: Lloyd's iterations, with exact and pruned assignment.

pub(crate) mod assign;
pub mod lloyd;
pub(crate) mod pruned_assign;
pub(crate) mod pruning_choice;
#[cfg(test)]
mod tests;

pub use lloyd::KMeans;
