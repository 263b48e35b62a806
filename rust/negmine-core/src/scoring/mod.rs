//! Scores and their bounds: the canonical score, int8 codes in panels, the certified bound, and rotation.

pub(crate) mod bound;
pub(crate) mod pack;
pub mod pack_file;
pub(crate) mod prefix_bound;
pub(crate) mod pruning_estimate;
pub mod quantized;
pub mod rotation;
pub mod score;

pub use bound::Slack;
pub use rotation::Rotation;
pub use score::Metric;
