//! Memory planning: the layout of an index under a memory limit, and the memory of a scan.

use negmine_kernels::dot_i8::{PANEL, padded_width};

use crate::base::caches::caches;
use crate::base::order::Scored;
use crate::base::{Error, Result};
use crate::scoring::bound::Slack;
use crate::scoring::pack::Tile;
use crate::scoring::rotation::Segments;

use super::pruned_index::{self, Lead};
use super::{query_state, result_rows};

/// Documents packed at once where memory allows: at width 384 a tile is 6 MiB.
pub const TILE_ROWS: usize = 16_384;

/// Queries of a block: a multiple of the kernel's six, and at width 768 half of a 256 KiB L2 cache.
pub(crate) const BLOCK: usize = 96;

/// The most queries of a block where memory is not limited. A panel comes from memory once per block, so that more queries
/// hide more of its latency: blocks of 96, 192, 384 and 768 reach .68, .69, .73 and .73 of the VNNI peak on a loaded Zen 5
/// core at width 768 (.62, .66, .65 and .65 at 384), and .52, .56, .61 and .58 on Emerald Rapids.
const WIDEST_BLOCK: usize = 384;

/// Queries of a block where memory is not limited: as many as take three tenths of the second cache.
pub(crate) fn wide_block(width: usize) -> usize {
    let [_, second, _] = caches().levels;
    let fitting = second / 10 * 3 / padded_width(width);
    (fitting / BLOCK * BLOCK).clamp(BLOCK, WIDEST_BLOCK)
}

/// Queries of a block of a pruned scan, where memory is not limited: its panels and what refines them come from memory,
/// once a block. Measured at 100,000 documents of width 384, lead 160, k = 10: blocks of 96, 192, 288 and 480 give 344,
/// 382, 395 and 412 Gop/s.
pub(crate) const PRUNED_BLOCK: usize = 480;

/// Bytes per document of a result while it is collected, sorted, copied into padded arrays, and rounded.
const BYTES_PER_ANSWER: usize = 56;

/// The layout of an index. No field changes a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Documents per tile, at least 1.
    pub tile_rows: usize,
    /// Whether packed tiles are kept, or packed again in every call.
    pub resident: bool,
    /// Bytes of working memory in addition to the caller's arrays, if limited.
    pub memory_limit: Option<usize>,
    /// The slack of the bound.
    pub slack: Slack,
    /// Whether most coordinates of most documents may be left unread.
    pub pruned: Pruned,
}

/// Whether a scan may use leading rotated coordinates first. No choice changes a result; squared distances and streamed
/// corpora are always scanned at full width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pruned {
    /// If it is predicted to save time, packing included.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always, with about that many leading coordinates; at full width if the rows have no more, and while another scan
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

/// The size of a scan, as far as it determines memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanSize {
    /// Queries.
    pub queries: usize,
    /// Result rows: one per query, or one per positive.
    pub result_rows: usize,
    /// Documents per result row.
    pub depth: usize,
    /// Threads, at least 1.
    pub threads: usize,
}

/// The memory plan of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanPlan {
    /// Bytes of packed documents held at a time.
    pub packed_bytes: usize,
    /// Bytes of query states held at a time.
    pub query_bytes: usize,
    /// Bytes of the result.
    pub answer_bytes: usize,
    /// Queries whose states are held at a time; a streamed corpus is read once for each such group.
    pub queries_at_once: usize,
    /// Whether all documents are packed at the same time, and kept so.
    pub resident: bool,
    /// The number of times that documents are packed: 0 if they are kept packed.
    pub passes: usize,
    /// Documents packed at a time.
    pub tile_rows: usize,
    /// The most bytes of rotated documents that are also kept once a scan uses leading coordinates; 0 if none may be
    /// kept.
    pub pruned_bytes: usize,
}

impl Layout {
    /// The layout for a corpus under a memory limit: packed tiles are kept if they take at most three quarters of the
    /// limit, otherwise the corpus is streamed in tiles that take at most a quarter, if a tile of one panel does.
    ///
    /// # Errors
    /// Returns an error on a limit that cannot hold even the smallest tile.
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
        let needed = Tile::bytes(PANEL, width);
        if needed > limit {
            return Err(Error::MemoryLimit { needed, limit });
        }
        let tile_rows = largest_tile(kept.tile_rows, width, limit / 4);
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

    /// The memory plan of a scan. Kept tiles are released if the scan fits into the limit only without them, so a scan
    /// that is possible within a limit is possible within every higher limit.
    ///
    /// # Errors
    /// Returns an error on more than the limit, even with one block of queries and one panel of documents at a time.
    pub fn plan(&self, rows: usize, width: usize, size: &ScanSize) -> Result<ScanPlan> {
        let needs = Needs::new(rows, width, size);
        let Some(limit) = self.memory_limit else {
            let rotated = self.rotated_bytes(rows, width);
            let wide = PRUNED_BLOCK.min(size.queries.next_multiple_of(BLOCK)).max(BLOCK);
            let block = if rotated > 0 { wide } else { wide_block(width) };
            return Ok(if self.resident {
                needs.resident(size, block, rotated, usize::MAX)
            } else {
                needs.streamed(size, self.tile_rows.min(rows), usize::MAX)
            });
        };
        let block = BLOCK.min(size.queries);
        let one_block = needs.answer.saturating_add(needs.query.saturating_mul(block));
        let packed = Tile::bytes(rows, width);
        if self.resident && one_block.saturating_add(packed) <= limit {
            // The remaining memory goes to one block of queries first, and to the rotated form only if both fit.
            let rotated = self.rotated_bytes(rows, width);
            let more = rotated.saturating_add(block * needs.pruned_query);
            let fits = one_block.saturating_add(packed).saturating_add(more) <= limit;
            return Ok(needs.resident(size, BLOCK, if fits { rotated } else { 0 }, limit));
        }
        let needed = one_block.saturating_add(Tile::bytes(PANEL.min(rows), width));
        if needed > limit {
            return Err(Error::MemoryLimit { needed, limit });
        }
        let tile_rows = largest_tile(self.tile_rows.min(rows), width, (limit / 4).min(limit - one_block));
        Ok(needs.streamed(size, tile_rows.min(rows), limit))
    }
}

/// The most documents, up to `rows`, whose tile takes at most `bytes`; one panel if no tile does.
pub(crate) fn largest_tile(rows: usize, width: usize, bytes: usize) -> usize {
    let mut tile_rows = rows.next_multiple_of(PANEL);
    while tile_rows > PANEL && Tile::bytes(tile_rows, width) > bytes {
        tile_rows = (tile_rows / 2).next_multiple_of(PANEL).min(tile_rows - PANEL);
    }
    tile_rows
}

/// Bytes of the components of a scan.
struct Needs {
    rows: usize,
    width: usize,
    answer: usize,
    /// One query's state, including the additions of a pruned scan.
    query: usize,
    pruned_query: usize,
}

impl Needs {
    fn new(rows: usize, width: usize, size: &ScanSize) -> Self {
        let depth = size.depth.min(rows);
        let answer = size.result_rows.saturating_mul(depth.saturating_mul(BYTES_PER_ANSWER));
        // A query's state holds what its first result row needs.
        let more_rows = size.result_rows.saturating_sub(size.queries);
        let of_row = depth.saturating_mul(2 * size_of::<Scored>()).saturating_add(result_rows::BYTES_PER_ROW);
        Self {
            rows,
            width,
            answer: answer.saturating_add(more_rows.saturating_mul(of_row)),
            query: query_state::bytes(rows, width, depth),
            pruned_query: pruned_index::query_bytes(width),
        }
    }

    /// The plan with all documents packed.
    fn resident(&self, size: &ScanSize, block: usize, rotated: usize, limit: usize) -> ScanPlan {
        let packed_bytes = Tile::bytes(self.rows, self.width);
        let per_query = self.query + if rotated > 0 { self.pruned_query } else { 0 };
        let block_bytes = per_query.saturating_mul(block.min(size.queries.max(1)));
        let left = limit.saturating_sub(packed_bytes.saturating_add(self.answer).saturating_add(rotated));
        let at_once = size.threads.min(size.queries.div_ceil(block)).min(left / block_bytes);
        ScanPlan {
            packed_bytes,
            query_bytes: at_once * block_bytes,
            answer_bytes: self.answer,
            queries_at_once: (at_once * block).min(size.queries),
            resident: true,
            passes: 0,
            tile_rows: self.rows,
            pruned_bytes: rotated,
        }
    }

    /// The plan with one tile of documents at a time.
    fn streamed(&self, size: &ScanSize, tile_rows: usize, limit: usize) -> ScanPlan {
        let packed_bytes = Tile::bytes(tile_rows, self.width);
        let block_bytes = self.query.saturating_mul(BLOCK.min(size.queries.max(1)));
        let left = limit.saturating_sub(packed_bytes.saturating_add(self.answer));
        let blocks = size.queries.div_ceil(BLOCK);
        let at_once = blocks.min(left / block_bytes);
        ScanPlan {
            packed_bytes,
            query_bytes: at_once * block_bytes,
            answer_bytes: self.answer,
            queries_at_once: (at_once * BLOCK).min(size.queries),
            resident: false,
            passes: if blocks == 0 { 0 } else { blocks.div_ceil(at_once) },
            tile_rows: tile_rows.max(1),
            pruned_bytes: 0,
        }
    }
}
