//! Packing of one epoch: a random order is cut into steps, repaired, then improved by a search; if that fails, other
//! initial orders are tried.

use super::assignment::Packing;
use super::conflicts::Conflicts;
use super::edge_coloring::{edge_coloring, is_bipartite};
use super::effort::Effort;
use super::greedy::fill_greedily;
use super::kempe_chains::chains;
use super::left_out::CyclicOrder;
use super::repair::{Rng, repair, search, verified};
use super::step_sizes::Shape;
use crate::base::Result;
use crate::base::philox::{Draws, Stream};
use crate::batch::permutation::Permutation;

/// The most moves of a search: enough for the conflicts that a repair leaves, a fraction of a second at most.
const MOVES: usize = 20_000;

/// The most moves per row of small data.
const MOVES_A_ROW: usize = 50;

/// Orders of one epoch that are tried.
pub(super) const ATTEMPTS: u64 = 3;

/// The generator of one attempt at an epoch.
pub(super) fn rng(seed: u64, epoch: u64, attempt: u64) -> Rng {
    Rng::new(Draws::new(seed, Stream::Order).block([1, 2, attempt, epoch])[0])
}

/// The order of an epoch, the rows that are left out at its end; `None` if more would have to be.
fn ordered(
    conflicts: &Conflicts,
    shape: Shape,
    place: (u64, u64),
    effort: &Effort<'_>,
) -> Result<Option<Vec<u32>>> {
    let n = conflicts.rows();
    let mut order = vec![0; n];
    Permutation::new(n as u64, place.0, place.1).fill(0, &mut order, effort.run())?;
    let order: Vec<u32> = order.iter().map(|row| *row as u32).collect();
    if shape.parts() == shape.steps {
        return Ok(Some(order));
    }
    let cyclic = CyclicOrder::new(n, place.0, effort.run())?;
    Ok(cyclic.left_out(conflicts, &shape, place.1, effort)?.map(|out| {
        let (left, mut kept): (Vec<u32>, Vec<u32>) = order.into_iter().partition(|row| out[*row as usize]);
        kept.extend(left);
        kept
    }))
}

/// The rows of an epoch, which is a seed and a number, in steps without conflict, if one is found.
pub(super) fn pack(
    conflicts: &Conflicts,
    shape: Shape,
    place: (u64, u64),
    effort: &Effort<'_>,
) -> Result<Option<Vec<u32>>> {
    let n = conflicts.rows();
    let moves = MOVES.min(MOVES_A_ROW * n);
    let Some(order) = ordered(conflicts, shape, place, effort)? else { return Ok(None) };
    // With more rows in conflict, the number of steps is too small for a search to succeed.
    let searched = 16 + n / 64;
    // If the most frequent id is in every step, the other attempts rarely succeed.
    let tight = conflicts.ids() > 0 && conflicts.frequency(0) >= shape.steps;
    for attempt in 0..ATTEMPTS {
        let most = if attempt == 0 { searched } else { searched.max(n / 8) };
        let mut rng = rng(place.0, place.1, attempt);
        // The second attempt begins with the rows that are hardest to place.
        let (mut packing, mut left) = if attempt == 1 {
            let (rows, left) = fill_greedily(conflicts, shape, &order, most, &mut rng, effort)?;
            (Packing::new(conflicts, shape, &[], rows, effort), left)
        } else {
            let mut packing = Packing::new(conflicts, shape, &[], order.clone(), effort);
            let left = repair(&mut packing, most, &mut rng)?;
            (packing, left)
        };
        if attempt > 0 && left.len() <= n / 8 {
            left = chains(&mut packing, left, searched, &mut rng)?;
        }
        if left.len() <= searched && search(&mut packing, left, effort.allowed(moves), &mut rng)? {
            debug_assert!(verified(&packing));
            return Ok(Some(packing.into_rows()));
        }
        let last = if tight { 0 } else { ATTEMPTS - 1 };
        if attempt == last
            && is_bipartite(conflicts)
            && let Some(rows) = edge_coloring(conflicts, shape, packing.rows(), &mut rng, effort)?
        {
            debug_assert!(verified(&Packing::new(conflicts, shape, &[], rows.clone(), effort)));
            return Ok(Some(rows));
        }
    }
    Ok(None)
}

/// The rows of an epoch in steps that keep to the caps, or nearly.
pub(super) fn pack_spread(
    conflicts: &Conflicts,
    shape: Shape,
    caps: &[u32],
    place: (u64, u64),
    effort: &Effort<'_>,
) -> Result<Vec<u32>> {
    let n = conflicts.rows();
    let order = ordered(conflicts, shape, place, effort)?.unwrap_or_default();
    let mut rng = rng(place.0, place.1, 0);
    let mut packing = Packing::new(conflicts, shape, caps, order, effort);
    let left = repair(&mut packing, usize::MAX, &mut rng)?;
    search(&mut packing, left, MOVES.min(MOVES_A_ROW * n), &mut rng)?;
    Ok(packing.into_rows())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use negmine_kernels::Isa;

    use super::super::conflicts::{Column, Columns};
    use super::*;
    use crate::base::parallel::Run;
    use crate::base::philox::SplitMix;

    const ROWS: usize = 2_000;

    /// Rows of a positive and eight negatives of few documents, so that every row conflicts with most others.
    fn crowded() -> Conflicts {
        let mut numbers = SplitMix(5);
        let mut draw = |count| (0..count).map(|_| (numbers.draw() % 60) as i64).collect::<Vec<i64>>();
        let (positives, negatives) = (draw(ROWS), draw(8 * ROWS));
        let column = |argument, ids, width| Column { argument, ids, width };
        let columns = Columns {
            rows: ROWS,
            anchors: column("anchors", &[], 0),
            positives: column("positives", &positives, 1),
            negatives: column("negatives", &negatives, 8),
            n_anchors: 0,
            n_documents: 60,
            strict: false,
        };
        Conflicts::new(&columns, &Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false })
            .unwrap()
    }

    /// The number of items that one packing into `steps` steps of `size` rows examines, after `before`, and the most
    /// between two polls.
    fn looked_at(size: usize, steps: usize, before: usize) -> (u64, usize) {
        let conflicts = crowded();
        let (last, widest) = (AtomicUsize::new(before), AtomicUsize::new(0));
        let poll = |done: usize, _| {
            widest.fetch_max(done.saturating_sub(last.swap(done, Ordering::Relaxed)), Ordering::Relaxed);
            false
        };
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &poll };
        let effort = Effort::new(ROWS, &run);
        effort.look(before);
        pack(&conflicts, Shape::new(ROWS, size, steps), (0, 0), &effort).unwrap();
        (effort.spent() - before as u64, widest.into_inner())
    }

    #[test]
    fn a_hopeless_number_of_steps_is_given_up_soon() {
        let (looked, _) = looked_at(40, 50, 0);
        assert!(looked < 1_000 * ROWS as u64, "{looked}");
    }

    #[test]
    fn polls_are_never_far_apart() {
        for steps in [60, 120, 200, 250] {
            let (looked, widest) = looked_at(40, steps, 0);
            assert!(widest < 1 << 23, "{steps} steps: {widest} of {looked}");
        }
    }

    #[test]
    fn searches_are_short_once_the_effort_is_spent() {
        let spent = usize::MAX >> 1;
        let hardest = (100..300).step_by(20).max_by_key(|steps| looked_at(40, *steps, 0).0).unwrap();
        let [fresh, late] = [0, spent].map(|before| looked_at(40, hardest, before).0);
        assert!(late < fresh / 4, "{late} after {fresh}");
    }
}
