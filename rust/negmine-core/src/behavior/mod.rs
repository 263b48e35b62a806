//! Behavior sequences: attention of candidates over user histories by hashing (SDIM: Cao and others, arXiv 2205.10249).
//!
//! Sampling-based deep interest modeling (SDIM: Cao and others, arXiv 2205.10249, CIKM 2022): a candidate attends to
//! the behaviors that share its bucket in each of several hash groups. A table is built once for a history
//! and read at a cost that depends neither on the history's length nor on the other candidates.
//!
//! A table does not depend on the hash function: it takes signatures, u32 below a number of buckets, one per row and
//! group. A number outside the buckets, like [`MASKED`](crate::sketch::MASKED), matches nothing.

mod hamming;
mod sdim;
mod table;

pub use hamming::nearest;
pub use negmine_kernels::buckets::Shape;
pub use sdim::{Forward, Histories, Kept, Pooling};
pub use table::{Counts, CountsMut, Normalize, Table, TableMut, Update};
