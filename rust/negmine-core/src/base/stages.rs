//! Progress of work in several passes, of which each knows only itself.

use crate::base::parallel::Run;

/// Parts of a stage, as progress counts them.
const PARTS: usize = 1_000;

/// Runs stage `stage` of `stages`: what it reports becomes a share of the whole.
pub(crate) fn stage<T>(run: &Run<'_>, stage: usize, stages: usize, work: impl FnOnce(&Run<'_>) -> T) -> T {
    let begin = stage.min(stages) * PARTS;
    run.part(begin..(begin + PARTS).min(stages * PARTS), stages * PARTS, work)
}

/// The same for work that has no part of its own, after so many stages: progress stands still.
pub(crate) fn still<T>(run: &Run<'_>, done: usize, stages: usize, work: impl FnOnce(&Run<'_>) -> T) -> T {
    run.part(done * PARTS..done * PARTS, stages * PARTS, work)
}
