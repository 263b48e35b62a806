//! Behaviour sequences and sets: signatures, what a candidate reads from a history, and near-duplicates.
//!
//! Sampling-based deep interest modelling (SDIM: Cao and others, arXiv 2205.10249, CIKM 2022): a candidate attends to
//! the behaviours that share its bucket in each of several hash groups. A table is built once for a history
//! and read at a cost that depends neither on the history's length nor on the other candidates.
//!
//! A table knows no hash: it takes signatures, u32 below a number of buckets, one for each row and group. Whatever is
//! no bucket, like [`MASKED`], matches nothing. Signatures of sets come from [`MinHash`], and find near-duplicates.

mod groups;
mod hamming;
mod hash;
mod lsh;
mod minhash;
mod ragged;
mod sdim;
mod shingle;
mod simhash;
mod table;

pub use groups::{Groups, spanning};
pub use hamming::nearest;
pub use hash::{hash_strings, xxh64};
pub use lsh::{Bands, Evidence, Found, Link, near_duplicates};
pub use minhash::{MAX_MINIMA, MinHash, Signatures};
pub use negmine_kernels::buckets::Shape;
pub use negmine_kernels::simhash::MASKED;
pub use ragged::Ragged;
pub use sdim::{Forward, Histories, Kept, Pooling};
pub use shingle::{Shingles, Unit};
pub use simhash::SimHash;
pub use table::{Counts, CountsMut, Normalize, Table, TableMut, Update};
