//! Prefetch hints for rows and panels that will be read soon.

use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

use crate::aligned::LINE;
use crate::arch::codes::{Panel, ROW_ALIGNMENT};
use crate::arch::query_tile::Block;

/// Rows between the one that is multiplied and the one that is prefetched, for kernels that read scattered rows.
/// Measured on a Zen 4 processor with rows in memory: at width 384 distances of 8 to 32 are alike, at 128 16 is best.
pub(super) const AHEAD: usize = 16;

/// A cache line of a row of codes.
pub(super) type Line = [i8; ROW_ALIGNMENT];

/// Rows of codes that start at whole cache lines.
pub(super) struct Rows<'a> {
    codes: &'a [Line],
    /// Lines from one row to the next.
    stride: usize,
    /// Lines of a row that hold its codes.
    lines: usize,
}

// Always inlined, like everything that a kernel does for each row: a closure, or `map` on an array, may not be, since
// it lacks the kernel's target features.
#[expect(clippy::inline_always, reason = "see above")]
impl<'a> Rows<'a> {
    pub(super) fn new(codes: &'a [i8], stride: usize, width: usize) -> Self {
        let codes = codes.as_chunks::<ROW_ALIGNMENT>().0;
        Rows { codes, stride: stride / ROW_ALIGNMENT, lines: width.div_ceil(ROW_ALIGNMENT) }
    }

    #[inline(always)]
    pub(super) fn row(&self, row: u32) -> &'a [Line] {
        &self.codes[row as usize * self.stride..][..self.lines]
    }

    /// Requests the rows of a list from place `first` to before `last`, as far as the list goes.
    #[inline(always)]
    pub(super) fn prefetch(&self, list: &[u32], first: usize, last: usize) {
        let last = last.min(list.len());
        for row in &list[first.min(last)..last] {
            for line in self.row(*row) {
                // SAFETY: every x86-64 processor has the instruction, and it accesses nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr()) };
            }
        }
    }
}

/// The panel after this one, fetched while this one is scanned: the first blocks of a tile each request their share.
///
/// Panels of an index follow each other in memory, but a page ends every few groups, and there the processor's own
/// prefetching stops. If another panel is next, the requests are useless but harmless. A tile of one block requests
/// nothing: it needs the next panel too soon (a loss of 15 % on a Zen 4 core with panels in memory, against gains of 34
/// % with two blocks, 14 with six, 5 with sixteen).
pub(super) struct Ahead {
    line: *const u8,
    /// Bytes from one request to the next; 0 repeats a request that costs little, less than a branch for each group.
    step: usize,
}

// Always inlined, like everything that a kernel does for each group.
#[expect(clippy::inline_always, reason = "see above")]
impl Ahead {
    /// Lines that are requested for each group.
    const LINES: usize = 2;

    /// The share of a block of queries, or no requests.
    #[inline(always)]
    pub(super) fn new(panel: &Panel<'_>, block: &Block<'_>) -> Self {
        let (place, blocks) = block.place;
        let share = place * block.words.len() * Self::LINES * LINE;
        if blocks > 1 && share < panel.codes.len() {
            Ahead { line: panel.codes.as_ptr().wrapping_add(panel.codes.len() + share), step: LINE }
        } else {
            Ahead { line: panel.codes.as_ptr(), step: 0 }
        }
    }

    /// Requests the lines that one group is responsible for.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        for _ in 0..Self::LINES {
            // SAFETY: every x86-64 processor has the instruction, and it accesses nothing, for any address.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(self.line.cast()) };
            self.line = self.line.wrapping_add(self.step);
        }
    }
}
