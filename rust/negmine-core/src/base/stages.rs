//! Progress of work in several passes, of which each knows only itself.

use crate::base::parallel::Run;

/// Parts of a stage, as progress counts them.
const PARTS: usize = 1_000;

/// Runs stage `stage` of `stages`: what it reports becomes a share of the whole.
pub(crate) fn stage<T>(run: &Run<'_>, stage: usize, stages: usize, work: impl FnOnce(&Run<'_>) -> T) -> T {
    let poll = |done: usize, total: usize| {
        let part = (PARTS as u64 * done as u64).checked_div(total as u64).unwrap_or(0) as usize;
        (run.poll)((stage * PARTS + part.min(PARTS)).min(stages * PARTS), stages * PARTS)
    };
    work(&Run { poll: &poll, ..*run })
}

/// The same for work that has no part of its own, after so many stages: progress stands still.
pub(crate) fn still<T>(run: &Run<'_>, done: usize, stages: usize, work: impl FnOnce(&Run<'_>) -> T) -> T {
    let poll = |_, _| (run.poll)(done * PARTS, stages * PARTS);
    work(&Run { poll: &poll, ..*run })
}
