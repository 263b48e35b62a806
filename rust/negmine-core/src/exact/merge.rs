//! Merging the results of one set of queries from different documents.

use crate::base::order::Scored;

use super::types::Outcome;

/// Merges the results of one block of queries from further documents into its earlier results.
pub(crate) fn merge(all: &mut Outcome, more: Outcome, depth: usize) {
    all.counters.add([more.counters]);
    for (all, mut more) in all.found.iter_mut().zip(more.found) {
        all.above_cap += more.above_cap;
        all.best.append(&mut more.best);
        all.best.sort_unstable_by(Scored::rank);
        all.best.truncate(depth);
    }
}
