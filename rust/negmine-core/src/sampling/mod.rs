//! Random negatives: distinct documents from all that a query may have, uniformly, by weights, or from lists; and
//! corrupted triples of knowledge graphs.

pub mod alias;
mod allowed;
pub(crate) mod clocks;
pub mod coins;
pub mod corruptor;
mod distinct;
mod filter;
pub mod law;
mod mixture;
pub mod sampler;
mod seen;
mod side_counts;
mod two_sides;

pub use alias::Alias;
pub use corruptor::{Anchor, Corrupted, Corruptor, Known, SideSource};
pub use law::Source;
pub use sampler::{Sampled, Sampler};
