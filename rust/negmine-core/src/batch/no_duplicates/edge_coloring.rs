//! Equitable edge coloring of bipartite graphs (König 1916; de Werra 1971). Rows of at most two ids are the edges of a
//! graph, and steps are colors of its edges. If the graph is bipartite, as for anchors and positives, the number of
//! rows of the most frequent id is enough colors (König), and the colors can be made equally frequent (de Werra).
//!
//! A row whose ids have no free step in common gets one by exchanging two steps along an alternating path, which cannot
//! end where it began. The same exchange along a path that has one row more in one step than in the other moves a row
//! between steps.

use super::conflicts::Conflicts;
use super::effort::Effort;
use super::repair::Rng;
use super::step_sizes::Shape;
use crate::base::Result;

const NONE: u32 = u32::MAX;

/// The most rows of an id that are searched one by one; more frequent ids have a table of the row in each step.
const SCANNED: usize = 64;

/// Whether rows are the edges of a bipartite graph: at most two ids each, none of them shared, on two sides.
pub(super) fn is_bipartite(conflicts: &Conflicts) -> bool {
    let two = (0..conflicts.rows() as u32).all(|row| conflicts.of_row(row).count() <= 2);
    if !two || (0..conflicts.ids() as u32).any(|id| !conflicts.holders(id).1.is_empty()) {
        return false;
    }
    // Sides by a search through the ids: 0 is not yet known.
    let mut side = vec![0_u8; conflicts.ids()];
    let mut waiting = Vec::new();
    for first in 0..conflicts.ids() as u32 {
        if side[first as usize] != 0 {
            continue;
        }
        side[first as usize] = 1;
        waiting.push(first);
        while let Some(id) = waiting.pop() {
            let own = side[id as usize];
            for row in conflicts.holders(id).0 {
                for (other, _) in conflicts.of_row(*row).filter(|(other, _)| *other != id) {
                    if side[other as usize] == own {
                        return false;
                    }
                    if side[other as usize] == 0 {
                        side[other as usize] = 3 - own;
                        waiting.push(other);
                    }
                }
            }
        }
    }
    true
}

struct Coloring<'a> {
    conflicts: &'a Conflicts,
    effort: &'a Effort<'a>,
    steps: usize,
    /// Number of leading steps of equal size: all steps but a short last one.
    full: usize,
    /// Step of each row; `NONE` if it has none.
    step: Vec<u32>,
    /// The row of each step, for the ids `0..tabled`.
    table: Vec<u32>,
    tabled: u32,
    /// Rows of each step.
    sizes: Vec<usize>,
}

/// Puts the rows of `order` into steps of the sizes of `shape`; moves only rows that conflict or that make a size
/// wrong. Rows beyond the steps stay there. `None` if the sizes cannot be reached in this way.
///
/// # Errors
/// Returns an error if the call is interrupted.
pub(super) fn edge_coloring(
    conflicts: &Conflicts,
    shape: Shape,
    order: &[u32],
    rng: &mut Rng,
    effort: &Effort<'_>,
) -> Result<Option<Vec<u32>>> {
    let steps = shape.steps;
    let least = SCANNED.max(steps / 16);
    let tabled = (0..conflicts.ids() as u32).take_while(|id| conflicts.frequency(*id) > least).count();
    let mut coloring = Coloring {
        conflicts,
        effort,
        steps,
        full: steps - usize::from(shape.range(steps - 1).len() + 1 < shape.range(0).len()),
        step: vec![NONE; conflicts.rows()],
        table: vec![NONE; tabled * steps],
        tabled: tabled as u32,
        sizes: vec![0; steps],
    };
    let mut waiting = Vec::new();
    for step in 0..steps {
        for &row in &order[shape.range(step)] {
            if conflicts.of_row(row).all(|(id, _)| coloring.row_at(id, step as u32).is_none()) {
                coloring.put(row, step as u32);
            } else {
                waiting.push(row);
            }
        }
        effort.check()?;
    }
    for row in waiting {
        effort.check()?;
        if effort.is_spent() || !coloring.insert(row, rng) {
            return Ok(None);
        }
    }
    if !coloring.balance(&shape)? {
        return Ok(None);
    }
    let mut next: Vec<usize> = (0..steps).map(|step| shape.range(step).start).collect();
    let mut rows = order.to_vec();
    for &row in &order[..shape.held()] {
        let place = &mut next[coloring.step[row as usize] as usize];
        rows[*place] = row;
        *place += 1;
    }
    Ok(Some(rows))
}

impl Coloring<'_> {
    /// The row of an id in a step.
    fn row_at(&self, id: u32, step: u32) -> Option<u32> {
        if id < self.tabled {
            self.effort.look(1);
            return Some(self.table[id as usize * self.steps + step as usize]).filter(|row| *row != NONE);
        }
        let holders = self.conflicts.holders(id).0;
        self.effort.look(holders.len());
        holders.iter().copied().find(|row| self.step[*row as usize] == step)
    }

    /// Puts a row that is in no step into one.
    fn put(&mut self, row: u32, step: u32) {
        self.step[row as usize] = step;
        self.sizes[step as usize] += 1;
        for (id, _) in self.conflicts.of_row(row).take_while(|(id, _)| *id < self.tabled) {
            self.table[id as usize * self.steps + step as usize] = row;
        }
    }

    /// Takes a row out of its step.
    fn take(&mut self, row: u32) {
        let step = std::mem::replace(&mut self.step[row as usize], NONE);
        self.sizes[step as usize] -= 1;
        for (id, _) in self.conflicts.of_row(row).take_while(|(id, _)| *id < self.tabled) {
            self.table[id as usize * self.steps + step as usize] = NONE;
        }
    }

    /// Moves rows of two steps to the other one of the two.
    fn exchange(&mut self, path: &[u32], a: u32, b: u32) {
        let other: Vec<u32> = path.iter().map(|row| a + b - self.step[*row as usize]).collect();
        for row in path {
            self.take(*row);
        }
        for (row, step) in path.iter().zip(other) {
            self.put(*row, step);
        }
    }

    /// The rows of the alternating path that begins at an id with its row of step `a` and goes on in step `b`.
    fn path(&self, mut id: u32, a: u32, b: u32) -> Vec<u32> {
        let mut path = Vec::new();
        let mut steps = [a, b].into_iter().cycle();
        while let Some(row) = steps.next().and_then(|step| self.row_at(id, step)) {
            path.push(row);
            let Some((other, _)) = self.conflicts.of_row(row).find(|(other, _)| *other != id) else { break };
            id = other;
        }
        path
    }

    /// Finds a step for a row. It fails only if an id has more rows than there are steps.
    fn insert(&mut self, row: u32, rng: &mut Rng) -> bool {
        // Bits of the ids that a step holds.
        let mut held = vec![0_u8; self.steps];
        let ids: Vec<u32> = self.conflicts.of_row(row).map(|(id, _)| id).collect();
        for (place, id) in ids.iter().enumerate() {
            let holders = self.conflicts.holders(*id).0;
            self.effort.look(holders.len());
            for step in holders.iter().map(|row| self.step[*row as usize]).filter(|step| *step != NONE) {
                held[step as usize] |= 1 << place;
            }
        }
        // A short step that is filled above its size rarely gets rid of the surplus.
        let first = rng.below(self.full.max(1));
        let order = || (first..self.full).chain(0..first).chain(self.full..self.steps);
        self.effort.look(self.steps);
        let both = order().find(|step| held[*step] == 0);
        let free = |place: u8| order().find(|step| held[*step] & 1 << place == 0);
        let path = free(0).zip(free(1)).zip(ids.get(1));
        match (both, path) {
            (Some(step), None) => self.put(row, step as u32),
            (Some(step), Some(((a, b), _))) if step < self.full || a.max(b) >= self.full => {
                self.put(row, step as u32);
            }
            (_, Some(((a, b), id))) => {
                let (a, b) = (a as u32, b as u32);
                let path = self.path(*id, a, b);
                self.exchange(&path, a, b);
                self.put(row, a);
            }
            (None, None) => return false,
        }
        true
    }

    /// Gives every step its size; returns whether it succeeded.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    fn balance(&mut self, shape: &Shape) -> Result<bool> {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.steps];
        for (row, step) in self.step.iter().enumerate().filter(|(_, step)| **step != NONE) {
            rows[*step as usize].push(row as u32);
        }
        let target = |step: usize| shape.range(step).len();
        let mut small: Vec<usize> =
            (0..self.steps).filter(|step| self.sizes[*step] < target(*step)).collect();
        for a in 0..self.steps {
            let mut place = 0;
            while self.sizes[a] > target(a) && place < small.len() {
                self.effort.check()?;
                let b = small[place];
                let moved = (self.sizes[a] - target(a)).min(target(b) - self.sizes[b]);
                self.shift(&mut rows, a, b, moved);
                if self.sizes[b] == target(b) {
                    small.swap_remove(place);
                } else {
                    place += 1;
                }
            }
        }
        Ok((0..self.steps).all(|step| self.sizes[step] == target(step)))
    }

    /// Moves rows from step `a` to step `b` in number, `moved` of them or as many as there are paths for.
    fn shift(&mut self, rows: &mut [Vec<u32>], a: usize, b: usize, moved: usize) {
        let (from, to) = (a as u32, b as u32);
        let mut left = moved;
        let starts = std::mem::take(&mut rows[a]);
        for &row in &starts {
            if left == 0 {
                break;
            }
            if self.step[row as usize] != from {
                continue;
            }
            let path = self.surplus(row, from, to);
            if path.len() % 2 == 1 {
                self.exchange(&path, from, to);
                left -= 1;
            }
        }
        let mut both = starts;
        both.append(&mut rows[b]);
        (rows[a], rows[b]) = both.into_iter().partition(|row| self.step[*row as usize] == from);
    }

    /// The path through steps `a` and `b` that ends with `row`, which is in step `a`; empty if it does not end there.
    fn surplus(&self, row: u32, a: u32, b: u32) -> Vec<u32> {
        let ids: Vec<u32> = self.conflicts.of_row(row).map(|(id, _)| id).collect();
        let far = match ids[..] {
            [] => return vec![row],
            [id] => id,
            [first, second] if self.row_at(first, b).is_none() => second,
            [first, second] if self.row_at(second, b).is_none() => first,
            _ => return Vec::new(),
        };
        let mut path = vec![row];
        path.extend(self.path(far, b, a));
        path
    }
}
