//! Clusters of similar rows, of any size (`kmeans`) or of one size (`balanced`).

pub mod balanced;
pub mod centroids;
pub mod kmeans;
pub(crate) mod members;

pub use balanced::{Balanced, Quality};
pub use centroids::Clustering;
pub use kmeans::KMeans;
