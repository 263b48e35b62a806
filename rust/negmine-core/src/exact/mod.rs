//! Exact search: the best documents of every query under the canonical score, with filters, caps and ties decided
//! inside the scan.

pub(crate) mod bound;
pub(crate) mod cells;
pub(crate) mod choose;
pub(crate) mod guess;
pub mod index;
pub(crate) mod lead;
pub(crate) mod lead_bound;
pub(crate) mod pack;
pub mod plan;
pub(crate) mod pruned;
pub mod request;
pub mod rotate;
pub mod scan;
pub mod score;
pub mod search;
pub(crate) mod state;

pub use bound::Slack;
pub use choose::Prediction;
pub use index::ExactIndex;
pub use plan::{Layout, Pruned, ScanPlan};
pub use request::{Candidates, Counters, Eligible, Found, GroupRule, Outcome, Targets};
pub use rotate::Rotation;
pub use score::Metric;
pub use search::SearchRequest;
