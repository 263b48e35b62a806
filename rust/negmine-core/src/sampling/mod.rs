//! Random negatives: distinct documents from all that a query may have, uniformly, by weights, or from lists.

pub mod alias;
mod allowed;
mod distinct;
pub mod law;
mod mixture;
pub mod sampler;
mod seen;

pub use alias::Alias;
pub use law::Source;
pub use sampler::{Sampled, Sampler};
