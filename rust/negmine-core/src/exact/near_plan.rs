//! The memory of a search for near-duplicates.

use negmine_kernels::dot_i8::{Hit, PANEL, padded_width};

use crate::base::union_find::Link;
use crate::base::{Error, Result};
use crate::scoring::pack::Tile;

use super::copies;
use super::memory_plan::{TILE_ROWS, largest_tile};

/// Rows of a block, which is compared with all later rows at once. Larger blocks read packed rows less often, and
/// yield more pairs of one large group before it is recognized.
pub(crate) const BLOCK: usize = 192;

/// The most pairs that a panel adds to a block's forest: one fewer than the block's rows and its own.
const PAIRS_PER_ROW: usize = (BLOCK + PANEL - 1).div_ceil(PANEL);

/// The plan of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NearPlan {
    /// Rows that are packed at a time.
    pub(crate) tile_rows: usize,
    /// Whether all rows are packed at the same time, once.
    pub(crate) resident: bool,
    /// Threads.
    pub(crate) threads: usize,
}

impl NearPlan {
    /// The plan under a memory limit. A search that is possible within a limit is possible within every higher limit.
    ///
    /// # Errors
    /// Returns an error on more than the limit, even with one thread and one panel of packed rows at a time.
    pub(crate) fn new(rows: usize, width: usize, threads: usize, limit: Option<usize>) -> Result<Self> {
        let resident = Self { tile_rows: rows.max(1), resident: true, threads };
        let Some(limit) = limit else { return Ok(resident) };
        let (fixed, thread) = (fixed_bytes(rows, width), thread_bytes(width));
        let least = fixed.saturating_add(thread).saturating_add(Tile::bytes(PANEL.min(rows), width));
        let Some(left) = limit.checked_sub(least) else {
            return Err(Error::MemoryLimit { needed: least, limit });
        };
        let threads = threads.min(1 + left / thread);
        let left = limit - fixed - threads * thread;
        if Tile::bytes(rows, width) <= left {
            return Ok(Self { threads, ..resident });
        }
        let tile_rows = largest_tile(rows.min(TILE_ROWS), width, left).max(1);
        Ok(Self { tile_rows, resident: false, threads })
    }
}

/// Bytes of everything but packed rows and threads.
fn fixed_bytes(rows: usize, width: usize) -> usize {
    // Places, groups and leaders; the pairs of a block, in vectors of up to twice their size while they are joined; the
    // forest.
    let scan = 3 * size_of::<u32>() + 3 * PAIRS_PER_ROW * size_of::<u64>() + 2 * size_of::<u64>();
    let results = 2 * size_of::<Link>() + 6 * size_of::<i64>();
    // Codes of a block as words and as pairs of words.
    let block = BLOCK * (3 * padded_width(width) + 256);
    rows.saturating_mul(copies::BYTES_PER_ROW.max(scan.max(results))).saturating_add(block)
}

/// Bytes of a thread: hits of a panel, and the buffers of packing.
fn thread_bytes(width: usize) -> usize {
    // A vector may have twice the capacity that it needs.
    2 * 2 * PANEL * BLOCK * size_of::<Hit>() + (PANEL + 4) * 5 * padded_width(width)
}
