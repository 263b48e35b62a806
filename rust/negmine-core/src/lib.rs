//! The core of negmine: exact, certified search and hard-negative mining, without Python.
//!
//! `base` holds what every part uses; `exact` answers "which documents score highest" with certainty; `mine` gives
//! the answer its meaning: who is a candidate, which caps apply, which of the pool is chosen; `batch` puts rows into
//! batches; `cluster` groups rows that are alike; `behavior` hashes histories and sets, pools histories by candidate, and
//! finds near-duplicates.
#![forbid(unsafe_code)]

pub mod base;
pub mod batch;
pub mod behavior;
pub mod cluster;
pub mod exact;
pub mod mine;
pub mod scoring;
