//! The core of negmine: exact, certified search and hard-negative mining, without Python.
//!
//! `base` holds the foundations of all modules; `scoring` defines the canonical score and bounds it; `exact` finds the
//! documents that score highest, with certainty; `mine` applies the mining rules: candidates, caps, and the choice from
//! the pool; `batch` puts rows into batches; `sampling` draws random negatives; `selection` chooses items by quotas;
//! `synthesis` makes new vectors from given ones; `cluster` groups similar rows; `sketch` hashes vectors and sets and
//! finds near-duplicates; `behavior` pools histories by candidate.
#![forbid(unsafe_code)]

pub mod base;
pub mod batch;
pub mod behavior;
pub mod cluster;
pub mod exact;
pub mod mine;
pub mod sampling;
pub mod scoring;
pub mod selection;
pub mod sketch;
pub mod synthesis;
