//! Clusters: rows that are alike, in groups of any size (`kmeans`) or of one size (`balanced`).

pub(crate) mod assign;
pub(crate) mod auction;
pub mod balanced;
pub(crate) mod bisect;
pub(crate) mod choose;
pub(crate) mod codes;
pub(crate) mod copies;
pub(crate) mod groups;
pub mod kmeans;
pub(crate) mod lead;
pub(crate) mod lists;
pub mod means;
pub(crate) mod prices;
pub(crate) mod refine;

pub use balanced::{Balanced, Quality};
pub use kmeans::KMeans;
pub use means::Clustering;
