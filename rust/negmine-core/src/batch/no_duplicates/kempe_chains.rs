//! Kempe chains (Kempe 1879) between two steps, for rows that no swap can place: if steps have no spare room, a row
//! gets a free step only by moving other rows.
//!
//! The rows of two steps that conflict with each other form chains, and moving a whole chain to the other side leaves
//! both steps without conflict (with two ids per row, this is the proof that a bipartite graph needs no more colors
//! than its largest degree, König 1916). A row goes into another step if the chains of its rivals there can change
//! sides without moving its rivals here along; rows without rivals are moved to balance the sizes.

use std::collections::HashSet;

use super::assignment::Packing;
use super::repair::Rng;
use crate::base::Result;

/// Steps that a row is tried with, in pairs: those with the fewest rivals.
const FEW: usize = 12;

/// The most rows of the chains of one row.
const LONGEST: usize = 2_048;

/// The most holders of ids that a call may examine: about a second.
const BUDGET: usize = 200_000_000;

struct Chains<'a, 'b> {
    packing: &'a mut Packing<'b>,
    /// Rows that are still in conflict; they do not count as rivals.
    waiting: HashSet<u32>,
    looked_at: usize,
    budget: usize,
}

/// Places rows that conflict with the help of chains. Returns the rows that still conflict, and ends early once they
/// are more than `most`.
///
/// # Errors
/// Returns an error if the call is interrupted.
pub(super) fn chains(
    packing: &mut Packing<'_>,
    left: Vec<u32>,
    most: usize,
    rng: &mut Rng,
) -> Result<Vec<u32>> {
    let budget = packing.effort.allowed(BUDGET);
    let mut chains = Chains { packing, waiting: left.iter().copied().collect(), looked_at: 0, budget };
    let mut still = Vec::new();
    for row in left {
        chains.packing.effort.check()?;
        if still.len() > most {
            break;
        }
        if !chains.is_spent() && chains.place_waiting(row, rng) {
            chains.waiting.remove(&row);
        } else {
            still.push(row);
        }
    }
    Ok(still)
}

impl Chains<'_, '_> {
    fn look(&mut self, items: usize) {
        self.looked_at += items;
        self.packing.effort.look(items);
    }

    /// Whether the work limit is reached.
    fn is_spent(&self) -> bool {
        self.looked_at > self.budget
    }

    /// Frees a step for a row that waits, and puts it there.
    fn place_waiting(&mut self, row: u32, rng: &mut Rng) -> bool {
        if self.packing.shape.is_out(self.packing.step(row)) {
            return true;
        }
        let fewest_rivals = self.fewest_rivals(row, rng);
        for &from in &fewest_rivals {
            if self.is_spent() || !self.move_waiting(row, from) {
                continue;
            }
            let here = self.rivals(row, from);
            if here.is_empty() || fewest_rivals.iter().any(|to| *to != from && self.place(row, *to, &here)) {
                return true;
            }
        }
        false
    }

    /// The steps with the fewest rivals of a row, ties at random.
    fn fewest_rivals(&mut self, row: u32, rng: &mut Rng) -> Vec<u32> {
        let steps = self.packing.shape.steps;
        let mut counts: Vec<(u32, u32)> = (0..steps as u32).map(|step| (0, step)).collect();
        for (id, exclusive) in self.packing.conflicts.of_row(row) {
            let (holding, sharing) = self.packing.conflicts.holders(id);
            let sharing = if exclusive { sharing } else { &[] };
            self.look(holding.len() + sharing.len());
            for other in holding.iter().chain(sharing) {
                let step = self.packing.step(*other);
                if !self.packing.shape.is_out(step) && *other != row && !self.waiting.contains(other) {
                    counts[step as usize].0 += 1;
                }
            }
        }
        self.look(steps);
        counts.rotate_left(rng.below(steps));
        counts.sort_by_key(|(count, _)| *count);
        counts.into_iter().take(FEW).map(|(_, step)| step).collect()
    }

    /// Moves a row that waits into a step, where it may wait on, against one that waits too or has no rivals.
    fn move_waiting(&mut self, row: u32, step: u32) -> bool {
        let own = self.packing.step(row);
        if own == step {
            return true;
        }
        let Some(&other) = self.free(step, own, 1, &HashSet::from([row]), &[]).first() else { return false };
        self.packing.swap(row, other);
        true
    }

    /// Rows of a step that conflict with `row`, except those that wait.
    fn rivals(&mut self, row: u32, step: u32) -> Vec<u32> {
        let mut found = Vec::new();
        for (id, exclusive) in self.packing.conflicts.of_row(row) {
            let (holding, sharing) = self.packing.conflicts.holders(id);
            let sharing = if exclusive { sharing } else { &[] };
            self.look(holding.len() + sharing.len());
            found.extend(holding.iter().chain(sharing).copied().filter(|other| {
                self.packing.step(*other) == step && *other != row && !self.waiting.contains(other)
            }));
        }
        found
    }

    /// Moves a row into step `other`, and chains between both steps; `here` are its rivals where it is.
    fn place(&mut self, row: u32, other: u32, here: &[u32]) -> bool {
        let own = self.packing.step(row);
        let mut chain = self.rivals(row, other);
        chain.sort_unstable();
        chain.dedup();
        let mut known: HashSet<u32> = chain.iter().copied().collect();
        let mut next = 0;
        while next < chain.len() {
            let across = if self.packing.step(chain[next]) == own { other } else { own };
            for rival in self.rivals(chain[next], across) {
                if here.contains(&rival) || chain.len() > LONGEST {
                    return false;
                }
                if known.insert(rival) {
                    chain.push(rival);
                }
            }
            next += 1;
        }
        let (mut outgoing, mut incoming): (Vec<u32>, Vec<u32>) =
            chain.iter().partition(|member| self.packing.step(**member) == own);
        outgoing.push(row);
        // Rows without rivals balance the sizes; they must not be rivals of the row.
        let missing = outgoing.len().abs_diff(incoming.len());
        if outgoing.len() > incoming.len() {
            incoming.extend(self.free(other, own, missing, &known, &[]));
        } else {
            known.insert(row);
            outgoing.extend(self.free(own, other, missing, &known, here));
        }
        if outgoing.len() != incoming.len() {
            return false;
        }
        for (a, b) in outgoing.into_iter().zip(incoming) {
            self.packing.swap(a, b);
        }
        true
    }

    /// At most `needed` rows of step `from`, none of `known` and `rivals`, that have no conflict in step `to`.
    fn free(&mut self, from: u32, to: u32, needed: usize, known: &HashSet<u32>, rivals: &[u32]) -> Vec<u32> {
        let mut found = Vec::new();
        for place in self.packing.shape.range(from as usize) {
            if found.len() == needed || self.is_spent() {
                break;
            }
            let row = self.packing.row_at(place);
            if known.contains(&row) || rivals.contains(&row) {
                continue;
            }
            if self.waiting.contains(&row) || self.rivals(row, to).is_empty() {
                found.push(row);
            }
        }
        found
    }
}
