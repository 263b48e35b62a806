//! Random negatives: distinct documents from all that a query may have, uniformly, by weights, or from lists.

pub mod alias;
pub mod complement;
pub mod sampler;
mod seen;

pub use alias::Alias;
pub use sampler::{Sampled, Sampler, Source};
