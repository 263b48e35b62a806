//! One epoch in steps: an order, cut, repaired and searched through, from other beginnings if that fails.

use super::assignment::Packing;
use super::conflicts::Conflicts;
use super::greedy::fill_greedily;
use super::kempe_chains::chains;
use super::left_out::CyclicOrder;
use super::repair::{Rng, repair, search, verified};
use super::step_sizes::Shape;
use crate::base::Result;
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream};
use crate::batch::permutation::Permutation;

/// Moves that a search may take: enough for what a repair leaves, a fraction of a second at most.
const MOVES: usize = 20_000;

/// As much for each row of small data.
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
    run: &Run<'_>,
) -> Result<Option<Vec<u32>>> {
    let n = conflicts.rows();
    let mut order = vec![0; n];
    Permutation::new(n as u64, place.0, place.1).fill(0, &mut order, run)?;
    let order: Vec<u32> = order.iter().map(|row| *row as u32).collect();
    if shape.parts() == shape.steps {
        return Ok(Some(order));
    }
    let cyclic = CyclicOrder::new(n, place.0, run)?;
    Ok(cyclic.left_out(conflicts, &shape, place.1).map(|out| {
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
    run: &Run<'_>,
) -> Result<Option<Vec<u32>>> {
    let n = conflicts.rows();
    let moves = MOVES.min(MOVES_A_ROW * n);
    let Some(order) = ordered(conflicts, shape, place, run)? else { return Ok(None) };
    for attempt in 0..ATTEMPTS {
        let mut rng = rng(place.0, place.1, attempt);
        // The second attempt begins with the rows that are hardest to place.
        let (mut packing, mut left) = if attempt == 1 {
            let (rows, left) = fill_greedily(conflicts, shape, &order, &mut rng);
            (Packing::new(conflicts, shape, &[], rows), left)
        } else {
            let mut packing = Packing::new(conflicts, shape, &[], order.clone());
            let left = repair(&mut packing, &mut rng, run)?;
            (packing, left)
        };
        if attempt > 0 && left.len() <= n / 8 {
            left = chains(&mut packing, left, &mut rng, run)?;
        }
        // What is left of a hopeless number of steps is not worth a search.
        if left.len() <= 16 + n / 64 && search(&mut packing, left, moves, &mut rng, run)? {
            debug_assert!(verified(&packing));
            return Ok(Some(packing.into_rows()));
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
    run: &Run<'_>,
) -> Result<Vec<u32>> {
    let n = conflicts.rows();
    let order = ordered(conflicts, shape, place, run)?.unwrap_or_default();
    let mut rng = rng(place.0, place.1, 0);
    let mut packing = Packing::new(conflicts, shape, caps, order);
    let left = repair(&mut packing, &mut rng, run)?;
    search(&mut packing, left, MOVES.min(MOVES_A_ROW * n), &mut rng, run)?;
    Ok(packing.into_rows())
}
