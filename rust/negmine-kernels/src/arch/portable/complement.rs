//! Rows of ranks, in source code that every instruction set compiles.

/// Ranks that are compared with an entry at once.
const LANES: usize = 16;

/// [`crate::complement::rows_of_ranks`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn rows_of_ranks(excluded: &[i64], ranks: &mut [u32]) {
    let mut before = 0;
    for some in ranks.chunks_mut(LANES) {
        let highest = some[some.len() - 1];
        let mut lanes = [highest; LANES];
        lanes[..some.len()].copy_from_slice(some);
        let mut counts = [before as u32; LANES];
        while let Some(&row) = excluded.get(before) {
            let rank = (row as u32).wrapping_sub(before as u32);
            if rank > highest {
                break;
            }
            for (count, lane) in counts.iter_mut().zip(lanes) {
                *count += u32::from(rank <= lane);
            }
            before += 1;
        }
        for (rank, count) in some.iter_mut().zip(counts) {
            *rank += count;
        }
    }
}
