//! Union-find: groups of rows that are connected, directly or through other rows.

use super::Result;
use super::memory::with_capacity;
use super::parallel::Run;
use super::sort::sort;

/// Two similar rows, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The lower row.
    pub a: u32,
    /// The higher row.
    pub b: u32,
    /// Their similarity.
    pub similarity: f64,
}

/// Sorts links by their rows; no pair occurs twice.
///
/// # Errors
/// Returns an error on lack of memory, or an interrupt.
pub(crate) fn sort_links(links: Vec<Link>, run: &Run<'_>) -> Result<Vec<Link>> {
    let mut keys = with_capacity(links.len())?;
    keys.extend(links.iter().map(|link| (link.a, link.b, link.similarity.to_bits())));
    drop(links);
    sort(&mut keys, run)?;
    let mut links = with_capacity(keys.len())?;
    links.extend(keys.iter().map(|&(a, b, bits)| Link { a, b, similarity: f64::from_bits(bits) }));
    Ok(links)
}

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
