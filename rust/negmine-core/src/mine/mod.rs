//! Mining of hard negatives: candidate rules, score caps, candidate pools, and selection from the pools.
//!
//! Two stages: [`pool::candidates`] reads vectors once; [`select::select`] and [`limit::limit_per_document`] are pure
//! functions of the pool it made.

pub mod caps;
pub mod eligible;
pub mod limit;
pub mod lists;
pub mod offers;
pub mod order;
pub mod policy;
pub mod pool;
pub mod quota;
pub mod random;
pub mod reason;
pub mod select;
pub mod weighted;

pub use caps::{Cap, CapRules, Reference};
pub use policy::{Policy, Scale};
pub use pool::{Pool, PoolRequest};
pub use reason::Reason;
