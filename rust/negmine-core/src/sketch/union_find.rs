//! Union-find: groups of rows that are connected, directly or through other rows.

use crate::base::{Error, Result};

/// Groups of rows, each led by its first row.
#[derive(Clone, Debug)]
pub struct Groups {
    leader: Vec<u32>,
}

impl Groups {
    /// Groups of one row each.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self { leader: (0..rows as u32).collect() }
    }

    /// The first row of a row's group.
    pub fn find(&mut self, mut row: u32) -> u32 {
        while self.leader[row as usize] != row {
            let above = self.leader[self.leader[row as usize] as usize];
            self.leader[row as usize] = above;
            row = above;
        }
        row
    }

    /// Joins the groups of two rows; returns whether they were different.
    pub fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        self.leader[a.max(b) as usize] = a.min(b);
        a != b
    }

    /// The leader of every row.
    #[must_use]
    pub fn leaders(&mut self) -> Vec<u32> {
        (0..self.leader.len() as u32).map(|row| self.find(row)).collect()
    }

    /// The first row of every row's group, and -1 for a row that is alone.
    #[must_use]
    pub fn keys(mut self) -> Vec<i64> {
        let leaders = self.leaders();
        let mut sizes = vec![0_u32; leaders.len()];
        for leader in &leaders {
            sizes[*leader as usize] += 1;
        }
        let key = |leader: &u32| if sizes[*leader as usize] > 1 { i64::from(*leader) } else { -1 };
        leaders.iter().map(key).collect()
    }
}

/// The groups of rows that pairs connect, and whether each pair joined two groups, in the given order of pairs.
///
/// # Errors
/// Returns an error on a row number outside the rows, or sides of unequal length.
pub fn spanning(rows: usize, left: &[i64], right: &[i64]) -> Result<(Vec<i64>, Vec<bool>)> {
    crate::base::error::check_length("pairs", left.len(), right.len())?;
    let mut groups = Groups::new(rows);
    let mut joined = Vec::with_capacity(left.len());
    for (a, b) in left.iter().zip(right) {
        for row in [*a, *b] {
            if row < 0 || row >= rows as i64 {
                return Err(Error::RowOutOfRange { argument: "pairs", row, rows });
            }
        }
        joined.push(groups.join(*a as u32, *b as u32));
    }
    Ok((groups.keys(), joined))
}
