//! Sketches: signatures of vectors ([`SimHash`]) and of sets ([`MinHash`]), and near-duplicates among them.

mod lsh;
mod minhash;
mod shingle;
pub(crate) mod simhash;
mod union_find;

pub use lsh::{Bands, Evidence, Found, Link, near_duplicates};
pub use minhash::{MAX_MINIMA, MinHash, Signatures};
pub use negmine_kernels::simhash::MASKED;
pub use shingle::{Shingles, Unit};
pub use simhash::SimHash;
pub use union_find::{Groups, spanning};
