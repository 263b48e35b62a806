//! Signatures of sets, and the near-duplicates that they find.

mod groups;
mod hash;
mod lsh;
mod minhash;
mod shingle;

pub use groups::{Groups, spanning};
pub use hash::{hash_strings, xxh64};
pub use lsh::{Bands, Evidence, Found, Link, near_duplicates};
pub use minhash::{MAX_MINIMA, MinHash, Signatures};
pub use shingle::{Shingles, Unit};
