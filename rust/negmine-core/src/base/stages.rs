//! Progress of work in several stages, each of which reports only its own progress.

use crate::base::parallel::Run;

/// Parts of a stage, as progress counts them.
const PARTS: usize = 1_000;

/// Runs stage `stage` of `stages`; its reports become shares of the whole.
pub(crate) fn stage<T>(run: &Run<'_>, stage: usize, stages: usize, work: impl FnOnce(&Run<'_>) -> T) -> T {
    let begin = stage.min(stages) * PARTS;
    run.part(begin..(begin + PARTS).min(stages * PARTS), stages * PARTS, work)
}

/// Runs work that is not a stage after `done` stages; the progress does not change.
pub(crate) fn still<T>(run: &Run<'_>, done: usize, stages: usize, work: impl FnOnce(&Run<'_>) -> T) -> T {
    run.part(done * PARTS..done * PARTS, stages * PARTS, work)
}
