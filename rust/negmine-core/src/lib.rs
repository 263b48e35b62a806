//! The core of negmine: exact, certified search and hard-negative mining, without Python.
//!
//! `base` holds what every part uses; `scoring` defines the canonical score and bounds it; `exact` answers "which
//! documents score highest" with certainty; `mine` gives the answer its meaning: who is a candidate, which caps apply,
//! which of the pool is chosen; `batch` puts rows into batches; `cluster` groups rows that are alike; `sketch` hashes
//! vectors and sets and finds near-duplicates; `behavior` pools histories by candidate.
#![forbid(unsafe_code)]

pub mod base;
pub mod batch;
pub mod behavior;
pub mod cluster;
pub mod exact;
pub mod mine;
pub mod scoring;
pub mod sketch;
