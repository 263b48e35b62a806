//! New vectors from given ones: interpolation between two rows, shells around anchors, and moves of rows.

pub mod draws;
pub mod interpolation;
pub mod motion;
pub mod shell;
pub mod spread;
mod vectors;

pub use draws::{RowDraws, interpolated_share, row_draws};
pub use interpolation::{Interpolated, interpolate};
pub use motion::{Motion, Moved, move_rows};
pub use shell::Shell;
pub use spread::mean_distances;
