//! Sketches: signatures of vectors ([`SimHash`]) and of sets ([`MinHash`]), and near-duplicates among them.

mod bucket;
mod lsh;
mod minhash;
mod sets;
mod shingle;
pub(crate) mod simhash;

pub use lsh::{Bands, Evidence, Found, near_duplicates};
pub use minhash::{MAX_MINIMA, MinHash, Signatures};
pub use negmine_kernels::simhash::MASKED;
pub use sets::distinct_sets;
pub use shingle::{Shingles, Unit};
pub use simhash::SimHash;
