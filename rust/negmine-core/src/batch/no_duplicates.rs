//! Batches in which no document is another row's negative by accident: every row once an epoch, no step with a conflict.
//!
//! A step is `batches_per_step` consecutive batches, on whatever ranks. Two rows conflict if they share an anchor, or a
//! positive of one is any document of the other; under `strict`, if they share any document. The number of steps is
//! fixed when the plan is built, so lengths never depend on the epoch: the first number, from the lower bound up, for
//! which a packing is found. Where it exceeds what the number of rows needs, steps are as equal as they can be.
//!
//! An epoch is its permutation, cut into steps and repaired by swaps (near-linear in the occurrences of ids), then by a
//! search through conflicts; if both fail, the packing that the plan was built with, moved by random swaps that keep it
//! valid. To find the least number of steps is set packing, which is NP-hard: small data are searched through, larger
//! ones may get a step more than they need. Nothing is promised across the borders of steps.

use super::conflicts::{Bound, Columns, Conflicts};
use super::exhaustive::{Outcome, exhaustive};
use super::packing::Packing;
use super::permute::Permutation;
use super::repair::{Dice, repair, search, verified};
use super::shape::Shape;
use crate::base::error::check_length;
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream};
use crate::base::{Error, Result};

/// Moves that a search may take: enough for what a repair leaves, a fraction of a second at most.
const MOVES: usize = 20_000;

/// As much for each row of small data.
const MOVES_A_ROW: usize = 50;

/// Orders of one epoch that are tried.
const ATTEMPTS: u64 = 3;

/// What becomes of a last step that is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remainder {
    /// It is filled with rows of other steps that do not conflict with it.
    Pad,
    /// It is left out.
    Drop,
}

/// A plan of batches; the packing it was built with is its proof that the number of steps is possible.
#[derive(Clone, Debug)]
pub struct NoDuplicates {
    conflicts: Conflicts,
    shape: Shape,
    bound: Bound,
    size: usize,
    remainder: Remainder,
    seed: u64,
    base: Vec<u32>,
}

/// What a plan is made of; the names of ids are not among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Where the ids of each row begin.
    pub row_offsets: Vec<u32>,
    /// Ids of all rows, doubled, plus 1 where they are exclusive.
    pub row_ids: Vec<u32>,
    /// The packing of the build.
    pub base: Vec<u32>,
    /// Steps that hold all rows.
    pub steps: usize,
    /// Rows of a full step.
    pub size: usize,
    /// What becomes of a last step that is short.
    pub remainder: Remainder,
    /// The seed.
    pub seed: u64,
}

/// One epoch of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Rows, step after step.
    pub rows: Vec<i64>,
    /// Where each step begins; one more than there are steps.
    pub offsets: Vec<i64>,
    /// Whether the packing of the build was used, since none was found for the epoch's own order.
    pub from_base: bool,
}

impl NoDuplicates {
    /// Finds the number of steps of at most `size` rows.
    ///
    /// # Errors
    /// Columns that do not fit each other, a size of 0 or above the number of rows, a last step that cannot be padded,
    /// or an interrupt.
    pub fn new(
        columns: &Columns<'_>,
        size: usize,
        remainder: Remainder,
        seed: u64,
        run: &Run<'_>,
    ) -> Result<Self> {
        let n = columns.rows;
        if size == 0 || size > n {
            return Err(Error::Value {
                argument: "batch_size",
                rule: "at least 1, and batch_size x batches_per_step at most the number of rows",
                got: format!("{size} rows a step of {n}"),
            });
        }
        let conflicts = Conflicts::new(columns)?;
        let mut bound = conflicts.bound(size);
        let mut steps = bound.steps;
        let mut tried = 0;
        loop {
            // More steps than rows need are smaller ones, which hold fewer sharers of an id.
            let next = conflicts.bound(if steps > n.div_ceil(size) { n.div_ceil(steps) } else { size });
            if next.steps > steps {
                steps = next.steps.min(n);
                if tried == 0 {
                    bound = next;
                }
                if steps < n {
                    continue;
                }
            }
            let shape = Shape::new(n, size, steps);
            let base = match exhaustive(&conflicts, &shape) {
                Outcome::Found(rows) => Some(rows),
                Outcome::Impossible => None,
                // The number of steps is the data's and not the seed's.
                Outcome::Unknown => pack(&conflicts, shape, 0, 0, run)?,
            };
            if let Some(base) = base {
                let plan = Self { conflicts, shape, bound, size, remainder, seed, base };
                plan.check_padding()?;
                return Ok(plan);
            }
            // One more, then 1 %, 2 %, ... of what it is; with one row a step there is no conflict.
            steps = (steps + (steps * tried / 100).max(1)).min(n);
            tried += 1;
        }
    }

    /// What [`Self::restored`] makes the plan of again, in another process.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let (row_offsets, row_ids) = self.conflicts.parts();
        Parts {
            row_offsets: row_offsets.to_vec(),
            row_ids: row_ids.to_vec(),
            base: self.base.clone(),
            steps: self.steps(),
            size: self.size,
            remainder: self.remainder,
            seed: self.seed,
        }
    }

    /// The plan of these parts, which nobody has touched; its bound names no id.
    ///
    /// # Errors
    /// Parts that do not fit each other.
    pub fn restored(parts: Parts) -> Result<Self> {
        let Parts { row_offsets, row_ids, base, steps, size, remainder, seed } = parts;
        let conflicts = Conflicts::restored(row_offsets, row_ids)?;
        let n = conflicts.rows();
        check_length("base", n, base.len())?;
        if size == 0 || size > n || steps == 0 || steps > n {
            return Err(Error::Value {
                argument: "steps",
                rule: "at most the number of rows",
                got: format!("{steps} of {size} rows for {n}"),
            });
        }
        if let Some(&row) = base.iter().find(|row| **row as usize >= n) {
            return Err(Error::RowOutOfRange { argument: "base", row: i64::from(row), rows: n });
        }
        let (shape, bound) = (Shape::new(n, size, steps), conflicts.bound(size));
        Ok(Self { conflicts, shape, bound, size, remainder, seed, base })
    }

    /// Steps that hold all rows.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.shape.steps
    }

    /// Steps of an epoch as they are emitted: without the last if it is short and dropped.
    #[must_use]
    pub fn emitted(&self) -> usize {
        self.steps() - usize::from(self.has_remainder() && self.remainder == Remainder::Drop)
    }

    /// The least number of steps that single ids and the number of rows allow, and the id that decides.
    #[must_use]
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// Whether every emitted step has the full size.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.steps() == self.rows().div_ceil(self.size)
    }

    fn rows(&self) -> usize {
        self.conflicts.rows()
    }

    fn has_remainder(&self) -> bool {
        self.is_full() && !self.rows().is_multiple_of(self.size)
    }

    fn check_padding(&self) -> Result<()> {
        let missing = self.finish(&self.base).err();
        match missing {
            None => Ok(()),
            Some(missing) => Err(Error::Value {
                argument: "remainder",
                rule: "\"drop\" where too few rows fit the last step without conflict",
                got: format!("\"pad\" with {missing} rows missing"),
            }),
        }
    }

    /// The batches of one epoch.
    ///
    /// # Errors
    /// An interrupt.
    pub fn epoch(&self, epoch: u64, run: &Run<'_>) -> Result<Epoch> {
        let own = pack(&self.conflicts, self.shape, self.seed, epoch, run)?;
        if let Some(rows) = own
            && let Ok(rows) = self.finish(&rows)
        {
            return Ok(self.emit(rows, false));
        }
        let moved = self.moved(epoch);
        let rows = self.finish(&moved).or_else(|_| self.finish(&self.base));
        Ok(self.emit(rows.unwrap_or_default(), true))
    }

    fn emit(&self, rows: Vec<i64>, from_base: bool) -> Epoch {
        let whole = self.has_remainder();
        let offsets = (0..=self.emitted())
            .map(|step| if whole { step * self.size } else { self.shape.range(step).start } as i64)
            .collect();
        Epoch { rows, offsets, from_base }
    }

    /// The rows of all emitted steps, the last one filled or left out; else how many rows are missing.
    fn finish(&self, rows: &[u32]) -> std::result::Result<Vec<i64>, usize> {
        let mut out: Vec<i64> = rows.iter().map(|row| i64::from(*row)).collect();
        if !self.has_remainder() {
            return Ok(out);
        }
        let (before, last) = rows.split_at((self.steps() - 1) * self.size);
        if self.remainder == Remainder::Drop {
            out.truncate(before.len());
            return Ok(out);
        }
        // Exclusive and shared holders in the last step.
        let mut held = vec![[false; 2]; self.conflicts.ids()];
        let mut missing = self.size - last.len();
        for (place, row) in last.iter().chain(before).enumerate() {
            if missing == 0 {
                break;
            }
            let fits = self.conflicts.of_row(*row).all(|(id, exclusive)| {
                let [e, s] = held[id as usize];
                !(e || exclusive && s)
            });
            if place < last.len() || fits {
                for (id, exclusive) in self.conflicts.of_row(*row) {
                    held[id as usize][usize::from(!exclusive)] = true;
                }
                if place >= last.len() {
                    out.push(i64::from(*row));
                    missing -= 1;
                }
            }
        }
        if missing == 0 { Ok(out) } else { Err(missing) }
    }

    /// The packing of the build after a random swap for every row, as far as swaps are without conflict, its steps
    /// and the rows of each in another order.
    fn moved(&self, epoch: u64) -> Vec<u32> {
        let mut dice = dice(self.seed, epoch, ATTEMPTS);
        let n = self.rows();
        let mut packing = Packing::new(&self.conflicts, self.shape, self.base.clone());
        for row in 0..n as u32 {
            let other = packing.row_at(dice.below(n));
            if packing.step(row) != packing.step(other) && packing.swaps(row, other, u32::MAX) {
                packing.swap(row, other);
            }
        }
        let mut steps: Vec<&[u32]> =
            (0..self.steps()).map(|step| &packing.rows()[self.shape.range(step)]).collect();
        for i in (1..steps.len()).rev() {
            let j = dice.below(i + 1);
            if steps[i].len() == steps[j].len() {
                steps.swap(i, j);
            }
        }
        let mut rows = steps.concat();
        for step in 0..self.steps() {
            let part = &mut rows[self.shape.range(step)];
            for i in (1..part.len()).rev() {
                part.swap(i, dice.below(i + 1));
            }
        }
        rows
    }
}

fn dice(seed: u64, epoch: u64, attempt: u64) -> Dice {
    Dice(Draws::new(seed, Stream::Order).block([1, 2, attempt, epoch])[0])
}

/// The rows of an epoch in steps without conflict, if one is found.
fn pack(
    conflicts: &Conflicts,
    shape: Shape,
    seed: u64,
    epoch: u64,
    run: &Run<'_>,
) -> Result<Option<Vec<u32>>> {
    let n = conflicts.rows();
    let moves = MOVES.min(MOVES_A_ROW * n);
    let mut order = vec![0; n];
    Permutation::new(n as u64, seed, epoch).fill(0, &mut order, run)?;
    for attempt in 0..ATTEMPTS {
        if (run.poll)(0, 1) {
            return Err(Error::Interrupted);
        }
        let mut dice = dice(seed, epoch, attempt);
        let order = order.iter().map(|row| *row as u32).collect();
        let mut packing = Packing::new(conflicts, shape, order);
        let left = repair(&mut packing, &mut dice);
        // What is left of a hopeless number of steps is not worth a search.
        if left.len() <= 16 + n / 64 && search(&mut packing, left, moves, &mut dice) {
            debug_assert!(verified(&packing));
            return Ok(Some(packing.into_rows()));
        }
    }
    Ok(None)
}
