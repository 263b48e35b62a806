//! Exact search: the best documents of every query under the canonical score, with filters, caps and ties decided
//! inside the scan.

pub mod index;
pub mod request;
pub mod scan;
pub mod score;
pub mod search;

pub use index::ExactIndex;
pub use request::{Candidates, Eligible, Found, GroupRule, Targets};
pub use score::Metric;
pub use search::SearchRequest;
