//! Exact search: the best documents of every query under the canonical score, with filters, caps and ties decided
//! inside the scan.

pub(crate) mod block;
pub(crate) mod coarse_cells;
pub(crate) mod copies;
pub(crate) mod grouped_scan;
pub(crate) mod groups;
pub mod index;
pub(crate) mod initial_threshold;
pub mod memory_plan;
pub(crate) mod merge;
pub(crate) mod near_block;
pub mod near_groups;
pub(crate) mod near_plan;
pub mod offers;
pub mod packs;
pub(crate) mod pairs;
pub(crate) mod prepared;
pub(crate) mod pruned_index;
pub(crate) mod pruned_scan;
pub(crate) mod pruning_choice;
pub(crate) mod query_state;
pub(crate) mod rescore;
pub(crate) mod result_rows;
pub mod scan;
pub mod search;
pub(crate) mod tiles;
pub mod types;

pub use index::ExactIndex;
pub use memory_plan::{Layout, Pruned, ScanPlan, ScanSize};
pub use near_groups::{NearGroups, near_groups};
pub use packs::Packs;
pub use prepared::Prediction;
pub use search::SearchRequest;
pub use types::{Candidates, Counters, Found, GroupRule, Outcome, Targets};
