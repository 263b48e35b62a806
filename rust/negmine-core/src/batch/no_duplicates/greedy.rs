//! Greedy packing, for data on which shuffling and repair fail because steps have no spare room: rows of the most
//! frequent ids first, each into a random step without conflict. Rows without such a step are put where there is room;
//! the search that follows resolves their conflicts.

use super::conflicts::Conflicts;
use super::effort::Effort;
use super::repair::Rng;
use super::step_sizes::Shape;
use crate::base::Result;

/// Random steps that are tried for a row before all steps are.
const TRIES: usize = 64;

/// Rows between two checks for an interrupt.
const POLL_EVERY: usize = 1 << 8;

const NO_STEP: u32 = u32::MAX;

struct Filling<'a> {
    conflicts: &'a Conflicts,
    effort: &'a Effort<'a>,
    shape: Shape,
    /// Step of each row.
    step: Vec<u32>,
    room: Vec<u32>,
    /// Exclusive and shared holders for each step, of the ids `0..counted`.
    counts: Vec<[u32; 2]>,
    counted: u32,
}

/// Puts the rows of `order` into steps, or aside if they are the last ones and left out. Returns the rows in step order
/// and those that conflict; once these are more than `most`, all further rows are among them.
pub(super) fn fill_greedily(
    conflicts: &Conflicts,
    shape: Shape,
    order: &[u32],
    most: usize,
    rng: &mut Rng,
    effort: &Effort<'_>,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let steps = shape.steps;
    let counted = (0..conflicts.ids() as u32).take_while(|id| 4 * conflicts.frequency(*id) > steps).count();
    // The table may take at least as much memory as the rows themselves.
    let counted = counted.min((conflicts.rows() * 8 / steps).max(64));
    let mut filling = Filling {
        conflicts,
        effort,
        shape,
        step: vec![NO_STEP; conflicts.rows()],
        room: (0..steps).map(|step| shape.range(step).len() as u32).collect(),
        counts: vec![[0; 2]; counted * steps],
        counted: counted as u32,
    };
    let mut rows = order[..shape.held()].to_vec();
    // Ids are numbered by descending frequency, and the ids of a row ascend.
    rows.sort_by_key(|row| conflicts.of_row(*row).next().map_or(NO_STEP, |(id, _)| id));
    let mut open: Vec<u32> = (0..steps as u32).collect();
    let mut left = Vec::new();
    for (done, row) in rows.into_iter().enumerate() {
        if done.is_multiple_of(POLL_EVERY) {
            effort.check()?;
        }
        let place = if left.len() > most { None } else { filling.free(row, &open, rng) };
        match place {
            Some(place) => {
                let step = open[place];
                filling.put(row, step);
                if filling.room[step as usize] == 0 {
                    open.swap_remove(place);
                }
            }
            None => left.push(row),
        }
    }
    let mut waiting = left.iter();
    for step in 0..steps {
        for _ in 0..filling.room[step] {
            if let Some(row) = waiting.next() {
                filling.step[*row as usize] = step as u32;
            }
        }
    }
    Ok((filling.rows(order), left))
}

impl Filling<'_> {
    /// The place among `open` of a step that a row fits: random ones first, then all from a random one on.
    fn free(&self, row: u32, open: &[u32], rng: &mut Rng) -> Option<usize> {
        if open.is_empty() {
            return None;
        }
        let tried = (0..TRIES).map(|_| rng.below(open.len())).find(|place| self.fits(row, open[*place]));
        tried.or_else(|| {
            let first = rng.below(open.len());
            (first..open.len()).chain(0..first).find(|place| self.fits(row, open[*place]))
        })
    }

    fn fits(&self, row: u32, step: u32) -> bool {
        let mut looked = 0;
        let fits = self.conflicts.of_row(row).all(|(id, exclusive)| {
            looked += 1;
            if id < self.counted {
                let [e, s] = self.counts[id as usize * self.shape.steps + step as usize];
                return e == 0 && !(exclusive && s > 0);
            }
            let (holding, sharing) = self.conflicts.holders(id);
            looked += holding.len() + sharing.len();
            let here = |other: &u32| self.step[*other as usize] == step;
            !(holding.iter().any(here) || exclusive && sharing.iter().any(here))
        });
        self.effort.look(looked);
        fits
    }

    fn put(&mut self, row: u32, step: u32) {
        self.step[row as usize] = step;
        self.room[step as usize] -= 1;
        for (id, exclusive) in self.conflicts.of_row(row).take_while(|(id, _)| *id < self.counted) {
            self.counts[id as usize * self.shape.steps + step as usize][usize::from(!exclusive)] += 1;
        }
    }

    /// The rows step after step, in their order inside a step, then those that are left out.
    fn rows(&self, order: &[u32]) -> Vec<u32> {
        let mut next: Vec<usize> = (0..self.shape.parts()).map(|part| self.shape.range(part).start).collect();
        let mut rows = vec![0; order.len()];
        for row in order {
            let part = (self.step[*row as usize] as usize).min(self.shape.parts() - 1);
            rows[next[part]] = *row;
            next[part] += 1;
        }
        rows
    }
}
