//! Batches in which no value of a column appears twice.

mod assignment;
mod conflicts;
mod edge_coloring;
mod effort;
mod epoch;
mod exhaustive;
mod greedy;
mod kempe_chains;
mod left_out;
pub mod plan;
mod repair;
mod step_sizes;

pub use conflicts::{Bound, Column, Columns, Id};
pub use plan::{Epoch, NoDuplicates, Parts, Policy, Remainder};
