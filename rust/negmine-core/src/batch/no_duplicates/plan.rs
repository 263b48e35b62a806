//! Plans of conflict-free batches: every row once per epoch, and no document of a step is another row's negative by
//! accident.
//!
//! A step is `batches_per_step` consecutive batches, on any number of ranks. Two rows conflict if they share an anchor,
//! or a positive of one is any document of the other; under `strict`, if they share any document. The number of steps
//! is fixed when the plan is built, so lengths never depend on the epoch: the first number, from the lower bound up,
//! for which a packing is found. If it exceeds the number that the rows need, step sizes are as equal as possible.
//!
//! An epoch is its permutation, cut into steps and repaired by swaps (near-linear in the occurrences of ids), then by a
//! search through conflicts; if both fail, the epoch is the packing that the plan was built with, changed by random
//! swaps that keep it valid. The least number of steps is a set packing problem, which is NP-hard: small data are
//! searched exhaustively, larger data may get one step more than necessary. There is no guarantee across the borders of
//! steps.

use super::assignment::Packing;
use super::conflicts::{Bound, Columns, Conflicts};
use super::effort::Effort;
use super::epoch::{ATTEMPTS, pack, pack_spread, rng};
use super::exhaustive::{Outcome, exhaustive};
use super::left_out::CyclicOrder;
use super::step_sizes::Shape;
use crate::base::csr::CsrView;
use crate::base::error::check_length;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

/// The treatment of a short last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remainder {
    /// It is filled with rows of other steps that do not conflict with it.
    Pad,
    /// It is left out.
    Drop,
    /// It is emitted as it is.
    Short,
}

/// The treatment of ids that need more steps than the rows fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// As many steps as the ids need, of about equal sizes.
    Extend,
    /// Full steps; some rows are left out, others in the next epoch.
    Drop,
    /// As many steps as the rows fill; rows of such an id share steps, spread as evenly as possible.
    Spread,
}

/// A plan of batches; the packing it was built with is its proof that the number of steps is possible.
#[derive(Clone, Debug)]
pub struct NoDuplicates {
    conflicts: Conflicts,
    shape: Shape,
    bound: Bound,
    needed: usize,
    size: usize,
    policy: Policy,
    remainder: Remainder,
    seed: u64,
    /// If rows of an id may share a step: the number of rows that may, for the first ids.
    caps: Option<Vec<u32>>,
    base: Vec<u32>,
}

/// The outcome of a search for a packing.
enum Search {
    /// It is the base of the plan.
    Found,
    /// None was found.
    Failed,
    /// None exists.
    Impossible,
}

/// The serializable parts of a plan, without the names of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Where the ids of each row begin.
    pub row_offsets: Vec<u32>,
    /// Ids of all rows, doubled, plus 1 if they are exclusive.
    pub row_ids: Vec<u32>,
    /// The packing of the build.
    pub base: Vec<u32>,
    /// For the first ids, the number of rows of a step that may share the id; `None` if no rows may.
    pub caps: Option<Vec<u32>>,
    /// Steps.
    pub steps: usize,
    /// Rows of a full step.
    pub size: usize,
    /// The treatment of ids that need more steps than the rows fill.
    pub policy: Policy,
    /// The treatment of a short last step.
    pub remainder: Remainder,
    /// The seed.
    pub seed: u64,
}

/// One epoch of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Rows, step after step.
    pub rows: Vec<i64>,
    /// Offsets of the steps; one more than there are steps.
    pub offsets: Vec<i64>,
    /// Whether the packing of the build was used because none was found for the epoch's own order.
    pub from_base: bool,
}

impl NoDuplicates {
    /// Finds the number of steps of at most `size` rows.
    ///
    /// # Errors
    /// Returns an error on columns that do not fit each other, a size of 0 or above the number of rows, a last step
    /// that cannot be padded, not even one step without conflict, or an interrupt.
    pub fn new(
        columns: &Columns<'_>,
        size: usize,
        policy: Policy,
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
        let conflicts = Conflicts::new(columns, run)?;
        let bound = conflicts.bound(size);
        let shape = Shape::new(n, size, n.div_ceil(size));
        let plan = Self {
            conflicts,
            shape,
            bound,
            needed: bound.steps,
            size,
            policy,
            remainder,
            seed,
            caps: None,
            base: Vec::new(),
        };
        let effort = Effort::new(n, run);
        let plan = match policy {
            Policy::Extend => plan.extended(&effort),
            Policy::Drop => plan.dropped(&effort),
            Policy::Spread => plan.spread(&effort),
        }?;
        plan.check_padding()?;
        Ok(plan)
    }

    /// Searches a packing of the shape and makes it the base; the number of steps depends on the data, not on the seed.
    fn found(&mut self, effort: &Effort<'_>) -> Result<Search> {
        let found = match exhaustive(&self.conflicts, &self.shape) {
            Outcome::Found(rows) => Some(rows),
            Outcome::Impossible => return Ok(Search::Impossible),
            Outcome::Unknown => pack(&self.conflicts, self.shape, (0, 0), effort)?,
        };
        Ok(found.map_or(Search::Failed, |rows| {
            self.base = rows;
            Search::Found
        }))
    }

    fn extended(mut self, effort: &Effort<'_>) -> Result<Self> {
        let (n, size) = (self.rows(), self.size);
        let mut steps = self.bound.steps;
        let (mut tried, mut proved) = (0, true);
        loop {
            // More steps than rows need are smaller ones, which hold fewer sharers of an id.
            let next = self.conflicts.bound(if steps > n.div_ceil(size) { n.div_ceil(steps) } else { size });
            if next.steps > steps {
                steps = next.steps.min(n);
                if tried == 0 {
                    self.bound = next;
                }
                if steps < n {
                    continue;
                }
            }
            self.shape = Shape::new(n, size, steps);
            if proved {
                self.needed = steps;
            }
            match self.found(effort)? {
                Search::Found => return Ok(self),
                Search::Failed => proved = false,
                Search::Impossible => {}
            }
            // One more, then 1 %, 2 %, ... of what it is; with one row a step there is no conflict.
            steps = (steps + (steps * tried / 100).max(1)).min(n);
            tried += 1;
        }
    }

    /// The plan with the most full steps that single ids allow and for which a packing is found.
    fn dropped(mut self, effort: &Effort<'_>) -> Result<Self> {
        let (n, size) = (self.rows(), self.size);
        if self.bound.steps == self.shape.steps && matches!(self.found(effort)?, Search::Found) {
            return Ok(self);
        }
        let cyclic = CyclicOrder::new(n, 0, effort.run())?;
        let possible = |steps| {
            let shape = Shape::dropping(n, size, steps);
            cyclic.left_out(&self.conflicts, &shape, 0, effort).map(|out| out.is_some())
        };
        let (mut steps, mut beyond) = (0, n / size + 1);
        while beyond - steps > 1 {
            let middle = steps.midpoint(beyond);
            if possible(middle)? { steps = middle } else { beyond = middle }
        }
        let mut tried = 0;
        while steps > 0 {
            self.shape = Shape::dropping(n, size, steps);
            if let Some(base) = pack(&self.conflicts, self.shape, (0, 0), effort)? {
                self.base = base;
                return Ok(self);
            }
            steps -= (steps * tried / 100).clamp(1, steps);
            tried += 1;
        }
        Err(Error::Value {
            argument: "batch_size",
            rule: "small enough that one step without conflict is found",
            got: format!("{size} rows a step of {n}"),
        })
    }

    fn spread(mut self, effort: &Effort<'_>) -> Result<Self> {
        if self.bound.steps == self.shape.steps && matches!(self.found(effort)?, Search::Found) {
            return Ok(self);
        }
        let caps = self.conflicts.caps(self.shape.steps, self.size);
        self.base = pack_spread(&self.conflicts, self.shape, &caps, (0, 0), effort)?;
        self.caps = Some(caps);
        Ok(self)
    }

    /// The parts from which [`Self::restored`] rebuilds the plan in another process.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let (row_offsets, row_ids) = self.conflicts.parts();
        Parts {
            row_offsets: row_offsets.to_vec(),
            row_ids: row_ids.to_vec(),
            base: self.base.clone(),
            caps: self.caps.clone(),
            steps: self.steps(),
            size: self.size,
            policy: self.policy,
            remainder: self.remainder,
            seed: self.seed,
        }
    }

    /// Rebuilds a plan from unmodified parts; its bound names no id.
    ///
    /// # Errors
    /// Returns an error on parts that do not fit each other, or an interrupt.
    pub fn restored(parts: Parts, run: &Run<'_>) -> Result<Self> {
        let Parts { row_offsets, row_ids, base, caps, steps, size, policy, remainder, seed } = parts;
        let conflicts = Conflicts::restored(row_offsets, row_ids, run)?;
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
        let (mut shape, bound) = (Shape::new(n, size, steps), conflicts.bound(size));
        if policy == Policy::Drop && steps < n.div_ceil(size) {
            shape = Shape::dropping(n, size, steps.min(n / size));
        }
        let needed = bound.steps;
        Ok(Self { conflicts, shape, bound, needed, size, policy, remainder, seed, caps, base })
    }

    /// Number of steps that hold all rows except those that are left out.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.shape.steps
    }

    /// Number of emitted steps of an epoch: without the last if it is short and dropped.
    #[must_use]
    pub fn emitted(&self) -> usize {
        self.steps() - usize::from(self.has_remainder() && self.remainder == Remainder::Drop)
    }

    /// The least number of steps that single ids and the number of rows allow, and the id that decides.
    #[must_use]
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// The number of steps below which no packing of all rows exists, as far as it was proved, by the bound or by an
    /// exhaustive search of small data.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Whether rows are cut into full steps and a shorter last one.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.steps() == self.rows().div_ceil(self.size)
    }

    fn rows(&self) -> usize {
        self.conflicts.rows()
    }

    /// The number of rows of a step that may share an id; 0 if rows conflict.
    fn cap(&self, id: u32) -> u32 {
        self.caps.as_ref().and_then(|caps| caps.get(id as usize)).copied().unwrap_or(0)
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
                rule: "\"drop\" where too few rows are found that fit the last step without conflict",
                got: format!("\"pad\" with {missing} rows missing"),
            }),
        }
    }

    /// The batches of one epoch.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub fn epoch(&self, epoch: u64, run: &Run<'_>) -> Result<Epoch> {
        let place = (self.seed, epoch);
        let effort = Effort::new(self.rows(), run);
        let own = match &self.caps {
            None => pack(&self.conflicts, self.shape, place, &effort)?,
            Some(caps) => Some(pack_spread(&self.conflicts, self.shape, caps, place, &effort)?),
        };
        if let Some(rows) = own
            && let Ok(rows) = self.finish(&rows)
        {
            return Ok(self.emit(rows, false));
        }
        let moved = self.moved(epoch, &effort)?;
        let rows = self.finish(&moved).or_else(|_| self.finish(&self.base));
        Ok(self.emit(rows.unwrap_or_default(), true))
    }

    /// Counts conflicts in the steps of some rows, as [`Self::epoch`] emits them: pairs that conflict, counted per id,
    /// and rows beyond the even share of their id per step.
    ///
    /// # Errors
    /// Returns an error if the offsets are not those of the rows, a row is out of range, or the call is interrupted.
    pub fn together(&self, rows: &[i64], offsets: &[i64], run: &Run<'_>) -> Result<(u64, u64)> {
        let steps = CsrView::new("offsets", offsets, rows, offsets.len().saturating_sub(1))?;
        let (mut pairs, mut excess) = (0, 0);
        let mut held: Vec<(u32, bool)> = Vec::new();
        for step in 0..steps.len() {
            run.tick(step, steps.len())?;
            held.clear();
            for row in steps.row(step) {
                if !(0..self.rows() as i64).contains(row) {
                    return Err(Error::RowOutOfRange { argument: "rows", row: *row, rows: self.rows() });
                }
                held.extend(self.conflicts.of_row(*row as u32).map(|(id, exclusive)| (id, !exclusive)));
            }
            held.sort_unstable();
            for group in held.chunk_by(|a, b| a.0 == b.0) {
                let e = group.partition_point(|(_, shared)| !shared) as u64;
                let s = group.len() as u64 - e;
                pairs += e * e.saturating_sub(1) / 2 + e * s;
                excess += match self.cap(group[0].0) {
                    0 if e > 0 => e + s - 1,
                    0 => 0,
                    cap => (e + s).saturating_sub(u64::from(cap)),
                };
            }
        }
        Ok((pairs, excess))
    }

    /// [`Self::together`] of the packing of the build.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub fn together_in_base(&self, run: &Run<'_>) -> Result<(u64, u64)> {
        // Rows that no step holds stand behind the others.
        let rows: Vec<i64> = self.base[..self.shape.held()].iter().map(|row| i64::from(*row)).collect();
        let offsets: Vec<i64> = (0..=self.steps())
            .map(|step| if step == self.steps() { self.shape.held() } else { self.shape.range(step).start } as i64)
            .collect();
        self.together(&rows, &offsets, run)
    }

    fn emit(&self, rows: Vec<i64>, from_base: bool) -> Epoch {
        let whole = self.has_remainder();
        let offsets = (0..=self.emitted())
            .map(|step| if whole { (step * self.size).min(rows.len()) } else { self.shape.range(step).start })
            .map(|begin| begin as i64)
            .collect();
        Epoch { rows, offsets, from_base }
    }

    /// The rows of all emitted steps, the last one filled or left out; otherwise the number of missing rows.
    fn finish(&self, rows: &[u32]) -> std::result::Result<Vec<i64>, usize> {
        let mut out: Vec<i64> = rows[..self.shape.held()].iter().map(|row| i64::from(*row)).collect();
        if !self.has_remainder() || self.remainder == Remainder::Short {
            return Ok(out);
        }
        let (before, last) = rows[..self.shape.held()].split_at((self.steps() - 1) * self.size);
        if self.remainder == Remainder::Drop {
            out.truncate(before.len());
            return Ok(out);
        }
        // Exclusive and shared holders in the last step.
        let mut held = vec![[0_u32; 2]; self.conflicts.ids()];
        let mut missing = self.size - last.len();
        let mut passed = Vec::new();
        for (place, row) in last.iter().chain(before).enumerate() {
            if missing == 0 {
                break;
            }
            let fits = self.conflicts.of_row(*row).all(|(id, exclusive)| {
                let [e, s] = held[id as usize];
                match self.cap(id) {
                    0 => e == 0 && !(exclusive && s > 0),
                    cap => e + s < cap,
                }
            });
            if place < last.len() || fits {
                for (id, exclusive) in self.conflicts.of_row(*row) {
                    held[id as usize][usize::from(!exclusive)] += 1;
                }
                if place >= last.len() {
                    out.push(i64::from(*row));
                    missing -= 1;
                }
            } else if self.policy == Policy::Spread {
                passed.push(i64::from(*row));
            }
        }
        // Rows that share steps anyway fill the remaining places.
        let more = missing.min(passed.len());
        out.extend_from_slice(&passed[..more]);
        if missing == more { Ok(out) } else { Err(missing - more) }
    }

    /// The packing of the build after one random swap per row, if the swap is without conflict, with its steps and the
    /// rows of each step shuffled.
    fn moved(&self, epoch: u64, effort: &Effort<'_>) -> Result<Vec<u32>> {
        let mut rng = rng(self.seed, epoch, ATTEMPTS);
        let n = self.rows();
        let mut packing = Packing::new(
            &self.conflicts,
            self.shape,
            self.caps.as_deref().unwrap_or(&[]),
            self.base.clone(),
            effort,
        );
        for row in 0..n as u32 {
            if row.is_multiple_of(1 << 12) {
                effort.check()?;
            }
            let other = packing.row_at(rng.below(n));
            if packing.step(row) != packing.step(other) && packing.swaps(row, other, u32::MAX) {
                packing.swap(row, other);
            }
        }
        let mut steps: Vec<&[u32]> =
            (0..self.steps()).map(|step| &packing.rows()[self.shape.range(step)]).collect();
        for i in (1..steps.len()).rev() {
            let j = rng.below(i + 1);
            if steps[i].len() == steps[j].len() {
                steps.swap(i, j);
            }
        }
        let mut rows = steps.concat();
        rows.extend_from_slice(&packing.rows()[rows.len()..]);
        for step in 0..self.steps() {
            let part = &mut rows[self.shape.range(step)];
            for i in (1..part.len()).rev() {
                part.swap(i, rng.below(i + 1));
            }
        }
        Ok(rows)
    }
}
