//! Assignment of rows to steps, with a count of the conflicts between a row and a step.
//!
//! Rows that are left out have no conflicts. If the rows of an id cannot all be in different steps, the id has a cap:
//! the number of its rows that may share a step, all of its rows counted.
//!
//! Most ids have few rows, which are examined one by one; an id of many rows has a table of counts per step. A table
//! costs 8 bytes per step and is kept for ids of at least a sixteenth as many rows as there are steps, so it takes at
//! most 128 bytes per occurrence of these ids.

use super::conflicts::Conflicts;
use super::effort::Effort;
use super::step_sizes::Shape;

/// Ids of fewer rows are examined row by row.
const SCANNED: usize = 64;

/// Rows in steps.
pub(super) struct Packing<'a> {
    pub(super) conflicts: &'a Conflicts,
    pub(super) shape: Shape,
    pub(super) effort: &'a Effort<'a>,
    /// For the first ids, the number of rows of a step that may share the id; 0, and every later id, means that rows
    /// conflict.
    pub(super) caps: &'a [u32],
    /// Row at each position; positions of a step are consecutive.
    row_at: Vec<u32>,
    position: Vec<u32>,
    step: Vec<u32>,
    /// Exclusive and shared holders for each step, of the ids `0..counted`.
    counts: Vec<[u32; 2]>,
    counted: u32,
}

impl<'a> Packing<'a> {
    /// Cuts an order into steps.
    pub(super) fn new(
        conflicts: &'a Conflicts,
        shape: Shape,
        caps: &'a [u32],
        row_at: Vec<u32>,
        effort: &'a Effort<'a>,
    ) -> Self {
        let least = SCANNED.max(shape.steps / 16);
        let counted = (0..conflicts.ids() as u32).take_while(|id| conflicts.frequency(*id) > least).count();
        let mut packing = Self {
            conflicts,
            shape,
            effort,
            caps,
            position: vec![0; row_at.len()],
            step: vec![0; row_at.len()],
            counts: vec![[0; 2]; counted * shape.parts()],
            counted: counted as u32,
            row_at,
        };
        for step in 0..shape.parts() {
            for position in shape.range(step) {
                let row = packing.row_at[position];
                packing.position[row as usize] = position as u32;
                packing.step[row as usize] = step as u32;
            }
        }
        for id in 0..counted {
            let (exclusive, shared) = conflicts.holders(id as u32);
            let counts = &mut packing.counts[id * shape.parts()..][..shape.parts()];
            for (place, rows) in [exclusive, shared].into_iter().enumerate() {
                for row in rows {
                    counts[packing.step[*row as usize] as usize][place] += 1;
                }
            }
        }
        packing
    }

    /// The step of a row.
    #[inline]
    pub(super) fn step(&self, row: u32) -> u32 {
        self.step[row as usize]
    }

    /// The row at a position.
    #[inline]
    pub(super) fn row_at(&self, position: usize) -> u32 {
        self.row_at[position]
    }

    /// The rows in step order.
    pub(super) fn into_rows(self) -> Vec<u32> {
        self.row_at
    }

    /// The rows in step order.
    pub(super) fn rows(&self) -> &[u32] {
        &self.row_at
    }

    /// The number of conflicts of `row` with rows of `step` other than itself and `except`, which is in that step or in
    /// none. A pair counts once per shared id; of an id with a cap, only the rows beyond the cap count. Counting ends
    /// at `limit`. Shared holders of the id `lenient` do not count.
    pub(super) fn conflicts(&self, row: u32, step: u32, except: u32, lenient: u32, limit: u32) -> u32 {
        if self.shape.is_out(step) {
            return 0;
        }
        let (mut found, mut looked) = (0, 0);
        for (id, exclusive) in self.conflicts.of_row(row) {
            looked += 1;
            let cap = self.cap(id);
            let both = cap > 0 || exclusive && id != lenient;
            let others = if id < self.counted {
                let [mut e, mut s] = self.counts[id as usize * self.shape.parts() + step as usize];
                if e == 0 && !(both && s > 0) {
                    continue;
                }
                // Each of the two is in the count of its step once.
                if self.step(row) == step {
                    if exclusive { e -= 1 } else { s -= 1 }
                }
                if except != row
                    && self.step(except) == step
                    && let Some((_, exclusive)) =
                        self.conflicts.of_row(except).find(|(other, _)| *other == id)
                {
                    if exclusive { e -= 1 } else { s -= 1 }
                }
                e + if both { s } else { 0 }
            } else {
                let (holding, sharing) = self.conflicts.holders(id);
                let here = |other: &&u32| **other != row && **other != except && self.step(**other) == step;
                let sharing = if both { sharing } else { &[] };
                looked += holding.len() + sharing.len();
                (holding.iter().filter(here).count() + sharing.iter().filter(here).count()) as u32
            };
            found += others.saturating_sub(cap.saturating_sub(1));
            if found >= limit {
                break;
            }
        }
        self.effort.look(looked);
        found
    }

    /// The number of rows of a step that may share an id; 0 if rows conflict.
    #[inline]
    pub(super) fn cap(&self, id: u32) -> u32 {
        self.caps.get(id as usize).copied().unwrap_or(0)
    }

    /// Whether swapping two rows of different steps leaves both without conflict.
    #[inline]
    pub(super) fn swaps(&self, row: u32, other: u32, lenient: u32) -> bool {
        self.conflicts(row, self.step(other), other, lenient, 1) == 0
            && self.conflicts(other, self.step(row), row, u32::MAX, 1) == 0
    }

    /// Swaps two rows.
    pub(super) fn swap(&mut self, row: u32, other: u32) {
        let [a, b] = [row, other].map(|row| self.step(row));
        for (row, from, to) in [(row, a, b), (other, b, a)] {
            for (id, exclusive) in self.conflicts.of_row(row).take_while(|(id, _)| *id < self.counted) {
                let counts = &mut self.counts[id as usize * self.shape.parts()..][..self.shape.parts()];
                let place = usize::from(!exclusive);
                counts[from as usize][place] -= 1;
                counts[to as usize][place] += 1;
            }
            self.step[row as usize] = to;
        }
        let [p, q] = [row, other].map(|row| self.position[row as usize]);
        self.row_at.swap(p as usize, q as usize);
        self.position[row as usize] = q;
        self.position[other as usize] = p;
    }
}
