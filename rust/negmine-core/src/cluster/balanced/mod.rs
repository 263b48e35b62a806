//! Balanced clusters: bisection into equal parts (NGAME), then refinement by prices and an auction.

pub(crate) mod auction;
pub(crate) mod bisect;
pub(crate) mod candidates;
pub(crate) mod centroids_i8;
pub(crate) mod duplicates;
pub mod fit;
pub(crate) mod prices;
pub(crate) mod quantized_rows;
pub(crate) mod refine;

pub use fit::Balanced;
pub use refine::Quality;
