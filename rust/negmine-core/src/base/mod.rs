//! Foundations that every module of the core uses: errors, array views, ordering, threads, random draws.

pub mod caches;
pub mod complement;
pub mod csr;
pub mod draw;
pub mod error;
pub mod file_rows;
pub mod key_ranges;
pub mod limits;
pub mod math;
pub mod matrix;
pub mod memory;
pub mod order;
pub mod padded;
pub mod parallel;
pub mod philox;
pub mod share;
pub(crate) mod sort;
pub mod stages;
pub mod stored;
pub mod strings;
pub mod union_find;
pub mod xxh64;

pub use error::{Error, Result};
