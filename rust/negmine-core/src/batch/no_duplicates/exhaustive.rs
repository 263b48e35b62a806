//! Exhaustive search for small data: backtracking over all ways to fill the steps, the most constrained row first
//! (DSATUR: Brélaz 1979), up to a number of nodes.

use super::conflicts::Conflicts;
use super::step_sizes::Shape;

/// The largest data that is searched.
pub(super) const MOST_ROWS: usize = 64;

/// Nodes after which the search gives up; data of 8 rows need at most some thousands.
const NODES: usize = 20_000;

struct Search<'a> {
    shape: &'a Shape,
    rivals: Vec<u64>,
    steps: Vec<u64>,
    nodes: usize,
}

/// The outcome of a search.
pub(super) enum Outcome {
    /// Rows in step order, without conflict.
    Found(Vec<u32>),
    /// There is no such order.
    Impossible,
    /// The data are too large, or the nodes were used up.
    Unknown,
}

/// Searches all ways to fill the steps.
pub(super) fn exhaustive(conflicts: &Conflicts, shape: &Shape) -> Outcome {
    let n = conflicts.rows();
    if n > MOST_ROWS {
        return Outcome::Unknown;
    }
    let mut rivals = vec![0_u64; n];
    for id in 0..conflicts.ids() as u32 {
        let (exclusive, shared) = conflicts.holders(id);
        for row in exclusive {
            for other in exclusive.iter().chain(shared).filter(|other| *other != row) {
                rivals[*row as usize] |= 1 << other;
                rivals[*other as usize] |= 1 << row;
            }
        }
    }
    let mut search = Search { shape, rivals, steps: vec![0; shape.steps], nodes: NODES };
    let all = if n == MOST_ROWS { u64::MAX } else { (1 << n) - 1 };
    if search.fill(all) {
        Outcome::Found(search.steps.iter().flat_map(|step| rows(*step)).map(|row| row as u32).collect())
    } else if search.nodes > 0 {
        Outcome::Impossible
    } else {
        Outcome::Unknown
    }
}

fn rows(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let row = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        row
    })
}

impl Search<'_> {
    fn open(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.steps.len()).filter(move |step| {
            let held = self.steps[*step];
            let size = self.shape.range(*step).len();
            // Empty steps of one size are equivalent; only the first is tried.
            let twin = *step > 0
                && held == 0
                && self.steps[*step - 1] == 0
                && self.shape.range(*step - 1).len() == size;
            held & self.rivals[row] == 0 && (held.count_ones() as usize) < size && !twin
        })
    }

    fn fill(&mut self, waiting: u64) -> bool {
        let tightest = rows(waiting).min_by_key(|row| {
            let rivals = (self.rivals[*row] & waiting).count_ones();
            (self.open(*row).count(), std::cmp::Reverse(rivals))
        });
        let Some(row) = tightest else { return true };
        if self.nodes == 0 {
            return false;
        }
        self.nodes -= 1;
        let open: Vec<usize> = self.open(row).collect();
        for step in open {
            self.steps[step] |= 1 << row;
            if self.fill(waiting & !(1 << row)) {
                return true;
            }
            self.steps[step] &= !(1 << row);
        }
        false
    }
}
