//! Repair of a shuffled order to steps without conflicts: swaps for the most frequent id first, then a min-conflicts
//! search with a tabu list (Minton et al. 1992; Hertz and de Werra 1987).

use super::assignment::Packing;
use crate::base::Result;
use crate::base::philox::{SplitMix, below};

/// Random swap partners that are tried for a row if free steps are common.
const TRIES: usize = 256;

/// Free steps that are tried for a row of a frequent id, and rows of each.
const STEPS: usize = 64;
const ROWS: usize = 16;

/// Partners that one move of the search compares.
const PARTNERS: usize = 96;

/// Ids and rows between two checks for an interrupt.
const POLL_EVERY: usize = 1 << 8;

/// No id is treated leniently.
const NO_ID: u32 = u32::MAX;

/// Conflicts are counted to the end.
const NO_LIMIT: u32 = u32::MAX;

/// A `SplitMix` generator with a seed from Philox: moves need many fast draws in one order.
pub(super) struct Rng(SplitMix);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(SplitMix(seed))
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        below(self.0.draw(), n as u64) as usize
    }
}

/// Moves every row that repeats an id of its step, the most frequent id first. Returns the rows that no swap could
/// place, and ends early once they are more than `most`.
///
/// # Errors
/// Returns an error if the call is interrupted.
pub(super) fn repair(packing: &mut Packing<'_>, most: usize, rng: &mut Rng) -> Result<Vec<u32>> {
    let conflicts = packing.conflicts;
    // The last id that was seen in a step, plus 1.
    let mut seen = vec![0_u32; packing.shape.parts()];
    let mut left = Vec::new();
    let mut bad = Vec::new();
    for id in 0..conflicts.ids() as u32 {
        if (id as usize).is_multiple_of(POLL_EVERY) {
            packing.effort.check()?;
        }
        if left.len() > most {
            break;
        }
        if packing.cap(id) > 0 {
            spread(packing, id, &mut left, rng)?;
            continue;
        }
        let (exclusive, shared) = conflicts.holders(id);
        for row in exclusive {
            let step = packing.step(*row);
            if packing.shape.is_out(step) {
                continue;
            }
            let mark = &mut seen[step as usize];
            if *mark == id + 1 {
                bad.push(*row);
            }
            *mark = id + 1;
        }
        if !bad.is_empty() {
            // Shared holders are moved below.
            let lenient = if shared.is_empty() { NO_ID } else { id };
            place(packing, &mut bad, &mut seen, (id, lenient), &mut left, rng)?;
        }
        bad.extend(shared.iter().filter(|row| seen[packing.step(**row) as usize] == id + 1));
        if !bad.is_empty() {
            place(packing, &mut bad, &mut seen, (id, NO_ID), &mut left, rng)?;
        }
    }
    Ok(left)
}

/// Swaps the rows of `bad` into steps that are not marked with the id; exclusive rows mark theirs.
fn place(
    packing: &mut Packing<'_>,
    bad: &mut Vec<u32>,
    seen: &mut [u32],
    (id, lenient): (u32, u32),
    left: &mut Vec<u32>,
    rng: &mut Rng,
) -> Result<()> {
    let steps = packing.shape.steps;
    let exclusives = packing.conflicts.holders(id).0;
    let marks = lenient != NO_ID || exclusives.len() == packing.conflicts.frequency(id);
    let frequent = 4 * exclusives.len() > steps;
    let mut free: Vec<u32> = if frequent {
        (0..steps as u32).filter(|step| seen[*step as usize] != id + 1).collect()
    } else {
        Vec::new()
    };
    for (done, row) in bad.drain(..).enumerate() {
        if done.is_multiple_of(POLL_EVERY) {
            packing.effort.check()?;
        }
        let partner = if frequent {
            let found = partner_in(packing, row, &free, lenient, rng);
            found.map(|(place, other)| {
                if marks {
                    free.swap_remove(place);
                }
                other
            })
        } else {
            let held = packing.shape.held();
            (0..TRIES).map(|_| packing.row_at(rng.below(held))).find(|other| {
                packing.step(*other) != packing.step(row) && packing.swaps(row, *other, lenient)
            })
        };
        match partner {
            Some(other) => {
                packing.swap(row, other);
                if marks {
                    seen[packing.step(row) as usize] = id + 1;
                }
            }
            None => left.push(row),
        }
    }
    Ok(())
}

/// A row of a step among `free` that `row` can be swapped with, and the place of that step.
fn partner_in(
    packing: &Packing<'_>,
    row: u32,
    free: &[u32],
    lenient: u32,
    rng: &mut Rng,
) -> Option<(usize, u32)> {
    (0..STEPS.min(free.len())).find_map(|_| {
        let place = rng.below(free.len());
        let range = packing.shape.range(free[place] as usize);
        (0..ROWS)
            .map(|_| packing.row_at(range.start + rng.below(range.len())))
            .find(|other| packing.step(*other) != packing.step(row) && packing.swaps(row, *other, lenient))
            .map(|other| (place, other))
    })
}

/// Swaps rows of an id out of steps that hold more than its cap, into steps that hold fewer.
fn spread(packing: &mut Packing<'_>, id: u32, left: &mut Vec<u32>, rng: &mut Rng) -> Result<()> {
    let cap = packing.cap(id);
    let (exclusive, shared) = packing.conflicts.holders(id);
    let mut held = vec![0_u32; packing.shape.parts()];
    let mut bad = Vec::new();
    for row in exclusive.iter().chain(shared) {
        let count = &mut held[packing.step(*row) as usize];
        *count += 1;
        if *count > cap {
            bad.push(*row);
        }
    }
    let mut free: Vec<u32> =
        (0..packing.shape.steps as u32).filter(|step| held[*step as usize] < cap).collect();
    for (done, row) in bad.into_iter().enumerate() {
        if done.is_multiple_of(POLL_EVERY) {
            packing.effort.check()?;
        }
        let Some((place, other)) = partner_in(packing, row, &free, NO_ID, rng) else {
            left.push(row);
            continue;
        };
        packing.swap(row, other);
        let count = &mut held[free[place] as usize];
        *count += 1;
        if *count == cap {
            free.swap_remove(place);
        }
    }
    Ok(())
}

/// Min-conflicts with a tabu list (Minton et al. 1992; Hertz and de Werra 1987) on the rows in conflict, until there is
/// none or the moves are used up; returns whether it succeeded.
///
/// # Errors
/// Returns an error if the call is interrupted.
pub(super) fn search(
    packing: &mut Packing<'_>,
    mut waiting: Vec<u32>,
    moves: usize,
    rng: &mut Rng,
) -> Result<bool> {
    let n = packing.rows().len();
    if packing.shape.parts() < 2 {
        return Ok(waiting.iter().all(|row| trouble(packing, *row) == 0));
    }
    let mut rested = vec![0_u32; n];
    // Rows that are known to be without conflict; with caps, a move also changes the conflicts of rows that it does not
    // move.
    let mut quiet = vec![false; n];
    let watched = packing.caps.is_empty();
    let mut done = 0;
    while !waiting.is_empty() {
        let pick = rng.below(waiting.len());
        let row = waiting.swap_remove(pick);
        let own = trouble(packing, row);
        if own == 0 {
            continue;
        }
        done += 1;
        if done > moves {
            return Ok(false);
        }
        packing.effort.check()?;
        let tabu = |other: u32| rested[row as usize].max(rested[other as usize]) as usize > done;
        let Some(other) = best_partner(packing, row, own, watched.then_some(&mut quiet), tabu, rng) else {
            waiting.push(row);
            continue;
        };
        let rest = (done + 2 + rng.below((n / 4).clamp(1, 8 + waiting.len().min(16)))) as u32;
        packing.swap(row, other);
        rested[row as usize] = rest;
        rested[other as usize] = rest;
        let before = waiting.len();
        for row in [row, other] {
            quiet[row as usize] = false;
            rivals(packing, row, &mut waiting);
        }
        for row in &waiting[before..] {
            quiet[*row as usize] = false;
        }
    }
    Ok(true)
}

/// The row, among some or all, whose swap with `row`, in `own` conflicts, leaves the fewest conflicts of both.
fn best_partner(
    packing: &Packing<'_>,
    row: u32,
    own: u32,
    mut quiet: Option<&mut Vec<bool>>,
    tabu: impl Fn(u32) -> bool,
    rng: &mut Rng,
) -> Option<u32> {
    let n = packing.rows().len();
    let mut best = (i64::MAX, None);
    let try_all = n <= PARTNERS;
    for place in 0..n.min(PARTNERS) {
        let other = packing.row_at(if try_all { place } else { rng.below(n) });
        let [from, to] = [row, other].map(|row| packing.step(row));
        if from == to {
            continue;
        }
        let before = own
            + match &mut quiet {
                Some(quiet) if quiet[other as usize] => 0,
                Some(quiet) => {
                    let found = trouble(packing, other);
                    quiet[other as usize] = found == 0;
                    found
                }
                None => trouble(packing, other),
            };
        // Counting ends when the pair can no longer be the best.
        let limit = (best.0 >> 10).saturating_add(i64::from(before) + 1).clamp(0, i64::from(u32::MAX)) as u32;
        let after = swapped(packing, row, other, limit);
        let gain = i64::from(after) - i64::from(before);
        // Ties are broken at random; a pair outside the tabu list is preferred unless the swap removes all conflicts of
        // both.
        let penalty = if after > 0 && tabu(other) { 1 << 20 } else { 0 };
        let value = (gain + penalty) * 1024 + rng.below(1024) as i64;
        if value < best.0 {
            best = (value, Some(other));
        }
    }
    best.1
}

/// Conflicts of two rows after they are swapped, counted up to `limit`.
fn swapped(packing: &Packing<'_>, row: u32, other: u32, limit: u32) -> u32 {
    if limit == 0 {
        return 0;
    }
    let [from, to] = [row, other].map(|row| packing.step(row));
    let first = packing.conflicts(row, to, other, NO_ID, limit);
    if first >= limit {
        return first;
    }
    first + packing.conflicts(other, from, row, NO_ID, limit - first)
}

/// Conflicts of a row with its own step.
fn trouble(packing: &Packing<'_>, row: u32) -> u32 {
    packing.conflicts(row, packing.step(row), row, NO_ID, NO_LIMIT)
}

/// Adds a row and all that conflict with it in its step.
fn rivals(packing: &Packing<'_>, row: u32, waiting: &mut Vec<u32>) {
    let step = packing.step(row);
    if packing.shape.is_out(step) {
        return;
    }
    let before = waiting.len();
    for (id, exclusive) in packing.conflicts.of_row(row) {
        let (holding, sharing) = packing.conflicts.holders(id);
        packing.effort.look(holding.len() + if exclusive { sharing.len() } else { 0 });
        let here = |other: &&u32| **other != row && packing.step(**other) == step;
        waiting.extend(holding.iter().filter(here));
        if exclusive {
            waiting.extend(sharing.iter().filter(here));
        }
    }
    if waiting.len() > before {
        waiting.push(row);
    }
}

/// Verifies, from every id of every step, that no step holds a conflict.
pub(super) fn verified(packing: &Packing<'_>) -> bool {
    let mut seen = vec![0_u32; packing.shape.parts()];
    let inside = |row: &&u32| !packing.shape.is_out(packing.step(**row));
    (0..packing.conflicts.ids() as u32).filter(|id| packing.cap(*id) == 0).all(|id| {
        let (exclusive, shared) = packing.conflicts.holders(id);
        exclusive
            .iter()
            .filter(inside)
            .all(|row| std::mem::replace(&mut seen[packing.step(*row) as usize], id + 1) != id + 1)
            && shared.iter().filter(inside).all(|row| seen[packing.step(*row) as usize] != id + 1)
    })
}
