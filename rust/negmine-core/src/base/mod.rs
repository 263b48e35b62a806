//! What every part of the core uses: errors, views, order, threads, draws.

pub mod csr;
pub mod error;
pub mod limits;
pub mod math;
pub mod matrix;
pub mod order;
pub mod parallel;
pub mod philox;
pub mod share;
pub mod stages;

pub use error::{Error, Result};
