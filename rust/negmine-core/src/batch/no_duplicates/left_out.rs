//! Rotation of left-out rows: if ids need more steps than the rows fill, an epoch leaves out the fewest rows of each
//! frequent id, in turn.
//!
//! Rows of one id have a cyclic order that never changes; an epoch keeps as many of them as there are steps, beginning
//! where the previous epoch ended, so a row that was left out has priority over rows that were not.

use super::conflicts::Conflicts;
use super::effort::Effort;
use super::step_sizes::Shape;
use crate::base::Result;
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream};
use crate::batch::permutation::Permutation;

/// The cyclic order of the rows of every id.
pub(super) struct CyclicOrder {
    order: Vec<i64>,
    rank: Vec<u32>,
}

impl CyclicOrder {
    /// The order of a seed.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub(super) fn new(n: usize, seed: u64, run: &Run<'_>) -> Result<Self> {
        let mut order = vec![0; n];
        let draws = Draws::new(seed, Stream::Order);
        Permutation::keyed(n as u64, &draws, [2, 0, 0]).fill(0, &mut order, run)?;
        let mut rank = vec![0; n];
        for (place, row) in order.iter().enumerate() {
            rank[*row as usize] = place as u32;
        }
        Ok(Self { order, rank })
    }

    /// The rows that `shape` leaves out in an epoch; `None` if more rows must be left out than it allows.
    ///
    /// # Errors
    /// Returns an error if the call is interrupted.
    pub(super) fn left_out(
        &self,
        conflicts: &Conflicts,
        shape: &Shape,
        epoch: u64,
        effort: &Effort<'_>,
    ) -> Result<Option<Vec<bool>>> {
        let n = conflicts.rows();
        let steps = shape.steps;
        let size = shape.range(0).len();
        let mut out = vec![false; n];
        let mut frequent = vec![false; n];
        let mut missing = n - shape.held();
        for id in 0..conflicts.ids() as u32 {
            if conflicts.frequency(id) <= steps {
                break;
            }
            effort.check()?;
            let (exclusive, shared) = conflicts.holders(id);
            let room = steps.saturating_sub(shared.len().div_ceil(size));
            if exclusive.len() <= room {
                continue;
            }
            let mut cycle = exclusive.to_vec();
            cycle.sort_unstable_by_key(|row| self.rank[*row as usize]);
            let mut kept = 0;
            for row in rotated(&cycle, room, epoch) {
                frequent[*row as usize] = true;
                if out[*row as usize] {
                    continue;
                }
                if kept < room {
                    kept += 1;
                } else if missing == 0 {
                    return Ok(None);
                } else {
                    out[*row as usize] = true;
                    missing -= 1;
                }
            }
        }
        // The remaining left-out rows also rotate, rows of frequent ids last.
        for held in [false, true] {
            let others: Vec<i64> =
                self.order.iter().copied().filter(|row| frequent[*row as usize] == held).collect();
            for row in rotated(&others, missing, epoch) {
                if missing > 0 && !out[*row as usize] {
                    out[*row as usize] = true;
                    missing -= 1;
                }
            }
        }
        Ok(Some(out))
    }
}

/// A cycle, rotated by `by` places in every epoch.
fn rotated<T>(cycle: &[T], by: usize, epoch: u64) -> impl Iterator<Item = &T> {
    let length = cycle.len().max(1) as u128;
    let first = (u128::from(epoch) * by as u128 % length) as usize;
    cycle[first..].iter().chain(&cycle[..first])
}
