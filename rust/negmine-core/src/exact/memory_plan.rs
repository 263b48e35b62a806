//! Memory: how an index is laid out under a limit, and what a scan needs.

use crate::base::{Error, Result};
use crate::scoring::bound::Slack;
use crate::scoring::pack::Tile;
use crate::scoring::rotation::Segments;

use super::pruned_index::{self, Lead};
use super::query_state;

/// Documents packed at once where memory allows: at width 384 a tile is 6 MiB.
pub const TILE_ROWS: usize = 16_384;

/// Queries of a block: a multiple of the kernel's six, and at width 768 half of a 256 KiB second cache.
pub(crate) const BLOCK: usize = 96;

/// Queries of a block of a pruned scan, where memory is not limited: its panels and what refines them come from memory,
/// once a block. Measured at 100,000 documents of width 384, lead 160, k = 10: blocks of 96, 192, 288 and 480 give 344,
/// 382, 395 and 412 Gop/s.
pub(crate) const PRUNED_BLOCK: usize = 480;

/// What a pooled document costs on its way out: found, sorted, copied into padded arrays, and rounded.
const BYTES_PER_ANSWER: usize = 56;

/// How an index is laid out. None of it changes an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Documents per tile, at least 1.
    pub tile_rows: usize,
    /// Whether packed tiles are kept, or packed again in every call.
    pub resident: bool,
    /// Bytes of working memory beside the caller's arrays, if limited.
    pub memory_limit: Option<usize>,
    /// The slack of the bound.
    pub slack: Slack,
    /// Whether most coordinates of most documents may be left unread.
    pub pruned: Pruned,
}

/// Whether a scan may go by leading rotated coordinates first. None of it changes an answer; squared distances and
/// streamed corpora are scanned at full width whatever it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pruned {
    /// Where it is predicted to pay, packing included.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always, with about that many leading coordinates; full width where the rows have no more, and while another scan
    /// packs them.
    Forced(usize),
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            tile_rows: TILE_ROWS,
            resident: true,
            memory_limit: None,
            slack: Slack::CERTIFIED,
            pruned: Pruned::Auto,
        }
    }
}

/// What a scan of some size takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanPlan {
    /// Bytes of packed documents held at a time.
    pub packed_bytes: usize,
    /// Bytes of query states held at a time.
    pub query_bytes: usize,
    /// Bytes of the answer.
    pub answer_bytes: usize,
    /// Queries whose states are held at a time; a streamed corpus is read once for each such group.
    pub queries_at_once: usize,
    /// How often the documents are packed: 0 where they are kept packed.
    pub passes: usize,
    /// Bytes of rotated documents that are kept as well once a scan goes by leading coordinates, at most; 0 where none
    /// may.
    pub pruned_bytes: usize,
}

impl Layout {
    /// The layout for a corpus under a limit: kept packed where that takes at most three quarters of it, else streamed
    /// in tiles that take at most a quarter.
    ///
    /// # Errors
    /// A limit that cannot hold even the smallest tile.
    pub fn for_corpus(
        rows: usize,
        width: usize,
        tile_rows: usize,
        memory_limit: Option<usize>,
    ) -> Result<Self> {
        let kept = Self { tile_rows: tile_rows.max(1), memory_limit, ..Self::default() };
        let Some(limit) = memory_limit else { return Ok(kept) };
        if Tile::bytes(rows, width) <= limit / 4 * 3 {
            return Ok(kept);
        }
        let mut tile_rows = kept.tile_rows.next_multiple_of(64);
        while Tile::bytes(tile_rows, width) > limit / 4 {
            if tile_rows <= 64 {
                return Err(Error::MemoryLimit { needed: 4 * Tile::bytes(64, width), limit });
            }
            tile_rows = (tile_rows / 2).next_multiple_of(64).min(tile_rows - 64);
        }
        Ok(Self { tile_rows, resident: false, ..kept })
    }

    /// Bytes of the rotated form of a corpus, at most; 0 where the layout has none.
    fn rotated_bytes(&self, rows: usize, width: usize) -> usize {
        let bytes = |cut| Lead::bytes(rows, cut);
        let most = match self.pruned {
            Pruned::Off => None,
            Pruned::Forced(lead) => Segments::new(width, lead).map(bytes),
            Pruned::Auto => Segments::choices(width).map(bytes).max(),
        };
        if self.resident { most.unwrap_or(0) } else { 0 }
    }

    /// What a scan takes: `depth` documents for each of `queries`.
    ///
    /// # Errors
    /// More than the limit, even with one block of queries at a time.
    pub fn plan(
        &self,
        rows: usize,
        width: usize,
        queries: usize,
        depth: usize,
        threads: usize,
    ) -> Result<ScanPlan> {
        let tile = Tile::bytes(self.tile_rows.min(rows), width);
        let packed_bytes = if self.resident { Tile::bytes(rows, width) } else { tile };
        let answer_bytes = queries * depth.min(rows) * BYTES_PER_ANSWER;
        let rotated_bytes = self.rotated_bytes(rows, width);
        let wide = rotated_bytes > 0 && self.memory_limit.is_none();
        let block = if wide { PRUNED_BLOCK.min(queries.next_multiple_of(BLOCK)).max(BLOCK) } else { BLOCK };
        let per_query = query_state::bytes(width, depth.min(rows));
        let fixed_bytes = packed_bytes + answer_bytes;
        // What a limit leaves goes to one block of queries first, and to the rotated form only where both fit.
        let room = |limit: usize| {
            limit >= fixed_bytes + rotated_bytes + block * (per_query + pruned_index::query_bytes(width))
        };
        let pruned = rotated_bytes > 0 && self.memory_limit.is_none_or(room);
        let pruned_bytes = if pruned { rotated_bytes } else { 0 };
        let block_bytes = block * (per_query + if pruned { pruned_index::query_bytes(width) } else { 0 });
        let blocks = queries.div_ceil(block);
        let mut at_once = if self.resident { threads.min(blocks) } else { blocks };
        if let Some(limit) = self.memory_limit {
            at_once = at_once.min(limit.saturating_sub(fixed_bytes + pruned_bytes) / block_bytes);
            if at_once == 0 && blocks > 0 {
                return Err(Error::MemoryLimit { needed: fixed_bytes + block_bytes, limit });
            }
        }
        Ok(ScanPlan {
            packed_bytes,
            query_bytes: at_once * block_bytes,
            answer_bytes,
            queries_at_once: (at_once * block).min(queries),
            pruned_bytes,
            passes: if self.resident || blocks == 0 { 0 } else { blocks.div_ceil(at_once) },
        })
    }
}
