//! Limits of the array sizes that the core accepts.

/// The widest row for which 255 * 127 * width stays below 2^31, so that an int32 sum of int8 products is exact.
pub const MAX_WIDTH: usize = 65_536;

/// The most rows of an array: row numbers are u32 inside the core.
pub const MAX_ROWS: usize = u32::MAX as usize;
